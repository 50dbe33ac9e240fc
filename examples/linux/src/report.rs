//! What the hypervisor itself prints.
#![forbid(unsafe_code)]

use alloc::string::ToString;
use alloc::vec::Vec;

use linux::account::Account;
use linux::clock::Clock;
use machine::println;
use x86_virt::{CpuState, Frames, Processor, Root};

/// Prints what processor this is.
pub(crate) fn processor() {
    let processor = Processor::detect();
    match processor.vendor() {
        Some(vendor) => println!("processor: {} ({vendor})", processor.brand()),
        None => println!("processor: {}, without virtualization", processor.brand()),
    }
}

/// Prints what of virtualization the processor has.
pub(crate) fn features<A: Frames>(root: &Root<'_, A>) {
    println!("features: {}", root.features().collect::<Vec<_>>().join(", "));
}

/// Prints the table of exits, and the exits one by one if they were kept.
pub(crate) fn account(number: usize, account: &Account, clock: Clock) {
    for line in account.report(clock).to_string().lines() {
        println!("cpu{number}: {line}");
    }
    for slice in account.timeline() {
        let (start, length) = (clock.nanoseconds(slice.start), clock.nanoseconds(slice.end - slice.start));
        println!("slice {number} {start} {length} {}", account.kind(slice.kind));
    }
    if account.lost() != 0 {
        println!("cpu{number}: {} more exits are not in the timeline", account.lost());
    }
}

/// Prints where a guest was at a triple fault.
pub(crate) fn state(number: usize, state: &CpuState) {
    println!(
        "cpu{number}: RIP {:#x}, RSP {:#x}, CR0 {:#x}, CR2 {:#x}, CR3 {:#x}, CR4 {:#x}, EFER {:#x}",
        state.rip,
        state.rsp,
        state.cr0.into_bits(),
        state.cr2,
        state.cr3,
        state.cr4.into_bits(),
        state.efer.into_bits(),
    );
}
