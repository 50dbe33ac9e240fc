//! Step 4: memory that is mapped when a guest touches it, and protected until it writes.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{boxed::Box, format};
use core::error::Error;

use machine::{Verdict, println};
use promises::ThisProcessor;
use x86_virt::{Access, CpuState, ExitKind, Gpa, Mapping, NestedFaultCause, PageSize, Root, Vcpu, VcpuConfig};

machine::entry!(main);

/// 16-bit code: `mov ax, 2000H; mov ds, ax; mov al, [0]; inc al; mov [0], al; hlt`.
const CODE: &[u8] = b"\xb8\x00\x20\x8e\xd8\xa0\x00\x00\xfe\xc0\xa2\x00\x00\xf4";
const CODE_PAGE: u64 = 0x7000;
const DATA: u64 = 0x2_0000;

fn main() -> Verdict {
    promises::verdict(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let ram = promises::guest_ram();
    ram.write(CODE_PAGE, CODE)?;
    ram.write(DATA, &[41])?;
    let mut root = Root::enter(&ThisProcessor, promises::frames())?;
    let space = root.address_space()?;
    // The page with the code, and nothing else.
    space.map(page(Gpa::new(CODE_PAGE)), &ram, CODE_PAGE, Access::RX)?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    vcpu.set_state(&CpuState::real_mode(0x700, 0))?;
    loop {
        match vcpu.run()?.kind {
            ExitKind::NestedFault(fault) => {
                println!("{} {}: {:?}", fault.gpa, fault.access, fault.cause);
                let touched = page(fault.gpa);
                match fault.cause {
                    // Read-only at first: the next write is seen, too.
                    NestedFaultCause::NotMapped => {
                        let offset = touched.start.get();
                        space.map(touched, &ram, offset, Mapping::new(Access::READ))?;
                    }
                    // What processors have kept of the old permission is forgotten at the next entry.
                    NestedFaultCause::Permission => space.protect(touched, Access::RW)?.at_next_entry(),
                    cause => return Err(format!("{cause:?}").into()),
                }
                // The instruction is executed again.
            }
            ExitKind::Hlt => break,
            ExitKind::HostInterrupt | ExitKind::HostNmi => {}
            other => return Err(format!("{other:?} at {:#x}", vcpu.rip()).into()),
        }
    }
    let mut byte = [0];
    ram.read(DATA, &mut byte)?;
    let [value] = byte;
    println!("the guest made {value} of 41");
    if value == 42 { Ok(()) } else { Err("the guest's write was lost".into()) }
}

/// The page of 4 KiB around an address.
fn page(gpa: Gpa) -> core::ops::Range<Gpa> {
    let start = gpa.align_down(PageSize::Size4K);
    start..Gpa::new(start.get() + PageSize::Size4K.bytes())
}
