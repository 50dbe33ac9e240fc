//! The smallest useful hypervisor: a real-mode guest that prints a line through a port, on Intel and on AMD processors.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "promises about the machine")]

extern crate alloc;

use alloc::{boxed::Box, format, string::String};
use core::error::Error;
use x86_virt::{Access, CpuPin, CpuState, ExitKind, Frames, Gpa, GuestRam, Root, Vcpu, VcpuConfig};

/// 16-bit code: CPUID; OUT of BL, and of the bytes from 7D00H up to a zero, to port 10H; HLT.
const CODE: &[u8] = b"\x0f\xa2\x88\xd8\xe6\x10\xbe\x00\x7d\xac\x84\xc0\x74\x04\xe6\x10\xeb\xf7\xf4";

/// Runs the guest in `ram` until it halts, and returns what it printed.
fn run(pin: &impl CpuPin, frames: impl Frames, ram: GuestRam<'_>) -> Result<String, Box<dyn Error>> {
    ram.write(0x7c00, CODE)?;
    ram.write(0x7d00, b"ello from real mode\0")?;
    let mut root = Root::enter(pin, frames)?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), &ram, 0, Access::ALL)?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    vcpu.set_state(&CpuState::real_mode(0, 0x7c00))?;
    let mut printed = String::new();
    loop {
        match vcpu.run()?.kind {
            ExitKind::Cpuid => vcpu.gprs_mut().rbx = u64::from(b'h'),
            ExitKind::Io(io) if io.port == 0x10 => printed.push(char::from(vcpu.gprs().rax.to_le_bytes()[0])),
            ExitKind::Hlt => return Ok(printed),
            ExitKind::HostInterrupt | ExitKind::HostNmi => continue,
            other => return Err(format!("{other:?} at {:#x}", vcpu.rip()).into()),
        }
        vcpu.skip_instruction()?;
    }
}

mod verdict;
use x86_virt::{DirectMap, FramePool, Hpa};

const POOL: core::ops::Range<Hpa> = Hpa::new(0x200_0000)..Hpa::new(0x204_0000);
// SAFETY: `machine` maps the first 4 GiB one to one for ever, and address 0 is neither in the pool nor given to a guest.
static FRAMES: FramePool<64> = FramePool::new(POOL.start, unsafe { DirectMap::new(0, Hpa::new(1 << 32)) });

struct ThisProcessor;
// SAFETY: at privilege level 0 in 64-bit mode, and never moved; nothing else here uses virtualization or changes what the
// contract names; CR0.TS and EM are 0; the handler of NMIs has a stack of its own and counts, no more.
unsafe impl CpuPin for ThisProcessor {}

machine::entry!(main);

fn main() -> machine::Verdict {
    machine::memory::take_at(POOL.start.get(), 64 * 4096).expect("the memory is there");
    // SAFETY: it is RAM, and taken: nobody else uses it.
    unsafe { FRAMES.donate(POOL) }.expect("it is the window of the pool");
    let region = machine::memory::take_zeroed(0x20_0000, 0x20_0000).expect("the memory is there");
    // SAFETY: as above, and mapped one to one for ever.
    let ram = unsafe { GuestRam::new(region.as_ptr(), Hpa::new(region.address()), 0x20_0000) }.expect("it is aligned");
    verdict::of(run(&ThisProcessor, &FRAMES, ram), "hello from real mode")
}
