//! Step 7: a guest that does not stop by itself is taken out of by a timer of the host, again and again.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{boxed::Box, format};
use core::error::Error;

use machine::{Verdict, apic, interrupts, println};
use promises::ThisProcessor;
use x86_virt::{Access, CpuState, ExitKind, Gpa, Root, Vcpu, VcpuConfig};

machine::entry!(main);

/// 16-bit code: `sti; again: inc dword [500H]; jmp again`. Whether it takes interrupts itself does not matter.
const CODE: &[u8] = b"\xfb\x66\xff\x06\x00\x05\xeb\xf9";
const VECTOR: u8 = 0x50;
const SLICES: u32 = 5;
/// Ticks of the local APIC's timer.
const PERIOD: u32 = 200_000;

fn main() -> Verdict {
    interrupts::disable();
    let result = run();
    apic::stop_timer();
    promises::verdict(result)
}

fn run() -> Result<(), Box<dyn Error>> {
    let ram = promises::guest_ram();
    ram.write(0x7c00, CODE)?;
    let mut root = Root::enter(&ThisProcessor, promises::frames())?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), &ram, 0, Access::ALL)?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    vcpu.set_state(&CpuState::real_mode(0, 0x7c00))?;
    apic::start_timer(VECTOR, PERIOD);
    let mut before = 0;
    for slice in 1..=SLICES {
        let start = machine::tsc();
        match vcpu.run()?.kind {
            ExitKind::HostInterrupt => {}
            other => return Err(format!("{other:?} at {:#x}", vcpu.rip()).into()),
        }
        let ticks = machine::tsc() - start;
        // The host's handler has not run yet: interrupts are off, as they were before the run.
        interrupts::take_pending();
        let mut count = [0; 4];
        ram.read(0x500, &mut count)?;
        let count = u32::from_le_bytes(count);
        println!("slice {slice}: {ticks} ticks, the guest counted {}", count - before);
        if count == before {
            return Err("the guest did not run".into());
        }
        before = count;
    }
    Ok(())
}
