//! Step 5: each thing that a guest cannot do by itself ends a run, and is answered.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{boxed::Box, format, vec::Vec};
use core::error::Error;

use machine::{Verdict, println};
use promises::ThisProcessor;
use x86_virt::{Access, CpuState, Exception, ExitKind, Gpa, IoDirection, IoSize, Root, Vcpu, VcpuConfig};

machine::entry!(main);

/// 16-bit code: `mov eax, 40000000H; cpuid; mov al, bl; out 10H, al; in al, 11H; out 10H, al; mov ecx, 1BH; rdmsr; hlt`.
const CODE: &[u8] =
    b"\x66\xb8\x00\x00\x00\x40\x0f\xa2\x88\xd8\xe6\x10\xe4\x11\xe6\x10\x66\xb9\x1b\x00\x00\x00\x0f\x32\xf4";
/// The handler of #GP: `hlt`.
const HANDLER: &[u8] = b"\xf4";
const GENERAL_PROTECTION: u8 = 13;

fn main() -> Verdict {
    promises::verdict(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let ram = promises::guest_ram();
    ram.write(0x7c00, CODE)?;
    promises::write_handler(&ram, GENERAL_PROTECTION, 0x7e00, HANDLER)?;
    let mut root = Root::enter(&ThisProcessor, promises::frames())?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), &ram, 0, Access::ALL)?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    let mut state = CpuState::real_mode(0, 0x7c00);
    state.rsp = 0x7000;
    vcpu.set_state(&state)?;
    let mut printed = Vec::new();
    loop {
        let exit = vcpu.run()?;
        println!("{:#06x}: {}", vcpu.rip(), exit.kind.name());
        match exit.kind {
            // EAX, EBX, ECX, EDX; and on to the next instruction.
            ExitKind::Cpuid => vcpu.complete_cpuid([0, u32::from(b'H'), 0, 0])?,
            ExitKind::Io(io) if (io.port, io.direction) == (0x10, IoDirection::Out) => {
                printed.push(vcpu.gprs().rax.to_le_bytes()[0]);
                vcpu.skip_instruction()?;
            }
            ExitKind::Io(io) if (io.port, io.direction) == (0x11, IoDirection::In) => {
                vcpu.complete_in(IoSize::Byte, u32::from(b'i'))?;
            }
            // The guest has no such MSR: an exception in place of the instruction.
            ExitKind::ReadMsr(_) => vcpu.raise(Exception::general_protection(0))?,
            ExitKind::Hlt => break,
            ExitKind::HostInterrupt | ExitKind::HostNmi => {}
            other => return Err(format!("{other:?} at {:#x}", vcpu.rip()).into()),
        }
    }
    println!("the guest printed {}", printed.escape_ascii());
    let is_in_handler = vcpu.rip() == 0x7e00;
    if printed == b"Hi" && is_in_handler { Ok(()) } else { Err("the guest did not come to its handler".into()) }
}
