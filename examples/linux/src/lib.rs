//! What a hypervisor needs to boot an unmodified Linux: the devices of a small PC, the boot protocol, and the exit loop.
//!
//! Everything here is pure: it runs, and is tested, on any host. What touches the machine is in the binary of this package.
#![no_std]
#![cfg_attr(not(test), forbid(unsafe_code))]

extern crate alloc;

pub mod account;
pub mod acpi;
pub mod board;
pub mod clock;
pub mod cpuid;
pub mod exit_loop;
pub mod host;
pub mod interrupt;
pub mod ioapic;
pub mod loader;
pub mod local_apic;
pub mod msr;
pub mod pci;
pub mod pic;
pub mod pit;
pub mod power;
pub mod rtc;
pub mod serial;

#[cfg(test)]
mod test_ram;
