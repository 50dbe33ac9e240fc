//! The smallest useful hypervisor: a real-mode guest that prints a line through a port, on Intel and on AMD processors.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{boxed::Box, format, string::String};
use core::error::Error;
use x86_virt::{Access, CpuPin, CpuState, ExitKind, Frames, Gpa, GuestRam, Root, Vcpu, VcpuConfig};

/// 16-bit code: CPUID; OUT of BL, and of the bytes from 7D00H up to a zero, to port 10H; HLT.
const CODE: &[u8] = b"\x0f\xa2\x88\xd8\xe6\x10\xbe\x00\x7d\xac\x84\xc0\x74\x04\xe6\x10\xeb\xf7\xf4";

/// Runs the guest in `ram` until it halts, and returns what it printed.
pub fn run(pin: &impl CpuPin, frames: impl Frames, ram: GuestRam<'_>) -> Result<String, Box<dyn Error>> {
    ram.write(0x7c00, CODE)?;
    ram.write(0x7d00, b"ello from real mode\0")?;
    let mut root = Root::enter(pin, frames)?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), &ram, 0, Access::ALL)?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    vcpu.set_state(&CpuState::real_mode(0, 0x7c00))?;
    exit_loop(&mut vcpu)
}

fn exit_loop<V: Vcpu<EntryError: 'static>>(vcpu: &mut V) -> Result<String, Box<dyn Error>> {
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

#[cfg(test)]
mod tests;
