//! Step 8: one guest memory, and a virtual processor on every processor of the machine.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{boxed::Box, format};
use core::error::Error;
use core::sync::atomic::{AtomicBool, Ordering};

use machine::{Verdict, println};
use promises::{Frames, ThisProcessor};
use spin::Once;
use x86_virt::{Access, CpuState, ExitKind, Gpa, GuestRam, Root, Space, Vcpu, VcpuConfig};

machine::entry!(main);

/// 16-bit code: `mov cx, 1000; again: lock inc word [500H]; loop again; hlt`.
const CODE: &[u8] = b"\xb9\xe8\x03\xf0\xff\x06\x00\x05\xe2\xf9\xf4";
const ROUNDS: usize = 1000;

/// What all processors share: tables, which each of them enters the guest with.
static SPACE: Once<Space<'static, Frames>> = Once::new();
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

fn main() -> Verdict {
    promises::verdict(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let ram = promises::guest_ram();
    ram.write(0x7c00, CODE)?;
    prepare(&ram)?;
    machine::on_every_processor(|processor| {
        if let Err(error) = run_guest(processor) {
            println!("cpu{processor}: {error}");
            HAS_FAILED.store(true, Ordering::Release);
        }
    });
    let mut count = [0; 2];
    ram.read(0x500, &mut count)?;
    let (count, processors) = (usize::from(u16::from_le_bytes(count)), machine::processors());
    println!("{processors} processors counted to {count}");
    let is_right = !HAS_FAILED.load(Ordering::Acquire) && count == ROUNDS * processors;
    if is_right { Ok(()) } else { Err("not all processors have counted".into()) }
}

/// Makes the tables, once.
fn prepare(ram: &GuestRam<'static>) -> Result<(), Box<dyn Error>> {
    let root = Root::enter(&ThisProcessor, promises::frames())?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), ram, 0, Access::ALL)?;
    SPACE.call_once(|| space);
    Ok(())
}

fn run_guest(processor: usize) -> Result<(), Box<dyn Error>> {
    let space = SPACE.get().ok_or("there are no tables")?;
    // Virtualization is a matter of each processor.
    let mut root = Root::enter(&ThisProcessor, promises::frames())?;
    let mut vcpu = root.vcpu(space, &VcpuConfig::new())?;
    vcpu.set_state(&CpuState::real_mode(0, 0x7c00))?;
    loop {
        match vcpu.run()?.kind {
            ExitKind::Hlt => break,
            ExitKind::HostInterrupt | ExitKind::HostNmi => {}
            other => return Err(format!("{other:?} at {:#x}", vcpu.rip()).into()),
        }
    }
    println!("cpu{processor}: its guest is done");
    Ok(())
}
