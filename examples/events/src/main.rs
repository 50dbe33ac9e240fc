//! Step 6: interrupts for a guest, each when it takes one.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{boxed::Box, format};
use core::error::Error;

use machine::{Verdict, println};
use promises::ThisProcessor;
use x86_virt::{Access, CpuState, ExitKind, Gpa, InterruptRequest, Root, Vcpu, VcpuConfig};

machine::entry!(main);

/// 16-bit code: `sti; again: hlt; cmp byte [500H], 3; jne again; cli; hlt`.
const CODE: &[u8] = b"\xfb\xf4\x80\x3e\x00\x05\x03\x75\xf8\xfa\xf4";
/// The handler: `inc byte [500H]; iret`.
const HANDLER: &[u8] = b"\xfe\x06\x00\x05\xcf";
const VECTOR: u8 = 0x20;

fn main() -> Verdict {
    promises::verdict(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let ram = promises::guest_ram();
    ram.write(0x7c00, CODE)?;
    promises::write_handler(&ram, VECTOR, 0x7d00, HANDLER)?;
    let mut root = Root::enter(&ThisProcessor, promises::frames())?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), &ram, 0, Access::ALL)?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    let mut state = CpuState::real_mode(0, 0x7c00);
    state.rsp = 0x7000;
    vcpu.set_state(&state)?;
    let mut accepted = 0;
    loop {
        let exit = vcpu.run()?;
        if let Some(vector) = vcpu.accepted_interrupt() {
            println!("the guest has taken vector {vector:#x}");
            accepted += 1;
        }
        match exit.kind {
            ExitKind::Hlt if vcpu.rflags().r#if() => {
                vcpu.skip_instruction()?;
                // It waits until the guest takes it, which here is at once.
                vcpu.request_interrupt(InterruptRequest::external(VECTOR));
            }
            // With interrupts off it halts for ever.
            ExitKind::Hlt => break,
            ExitKind::HostInterrupt | ExitKind::HostNmi => {}
            other => return Err(format!("{other:?} at {:#x}", vcpu.rip()).into()),
        }
    }
    let mut count = [0];
    ram.read(0x500, &mut count)?;
    if (accepted, count) == (3, [3]) { Ok(()) } else { Err(format!("{accepted} accepted, {count:?} handled").into()) }
}
