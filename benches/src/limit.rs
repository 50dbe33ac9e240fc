//! The stores and loads that no implementation can do without, to memory that is there.
#![expect(unsafe_code, reason = "bounds are not checked, and frames are used again")]

use core::hint::black_box;

use crate::arena::{arena, usize_from};
use crate::meter::Meter;
use crate::workload::{Kind, MIB_2, Orders, PAGE, REPEATS, Workload};

/// Bits of an entry beside the address.
const FLAGS: u64 = 7;

/// Does what the workload cannot do without.
pub(crate) fn run(workload: &Workload, orders: &Orders, meter: &mut Meter) {
    // SAFETY: the entries below are left before this function returns, and `workload::run` leaves its tables likewise.
    unsafe { arena().reset() };
    match workload.kind {
        Kind::Map { repeats, .. } => {
            let entries = arena().entries(workload.entries / repeats);
            match repeats {
                REPEATS => meter.measure(|| repeat(entries)),
                _ if workload.entries == 1 << 20 => meter.measure(|| fill::<PAGE>(entries)),
                _ => meter.measure(|| fill::<MIB_2>(entries)),
            }
        }
        Kind::MapPages => {
            // One leaf table for each 2 MiB of 64 GiB.
            let entries = arena().entries(1 << 24);
            meter.measure(|| store(entries, &orders.sparse));
        }
        Kind::Translate => {
            let entries = arena().entries(1 << 20);
            fill::<PAGE>(entries);
            black_box(meter.measure(|| load(entries, &orders.dense)));
        }
        Kind::Split => {
            let entries = arena().entries(workload.entries);
            meter.measure(|| fill::<PAGE>(entries));
        }
        Kind::Unmap => {
            let entries = arena().entries(workload.entries);
            meter.measure(|| clear(entries));
        }
    }
}

#[inline(never)]
fn repeat(entries: &mut [u64]) {
    for _ in 0..REPEATS {
        fill::<{ 1 << 30 }>(black_box(entries));
    }
}

/// The step is a constant: as a variable it would be waited for.
#[inline(never)]
fn fill<const STEP: u64>(entries: &mut [u64]) {
    let mut value = STEP | FLAGS;
    for entry in &mut *entries {
        *entry = value;
        value += STEP;
    }
    black_box(entries);
}

#[inline(never)]
fn store(entries: &mut [u64], order: &[u64]) {
    entries.fill(0);
    for gpa in order {
        // SAFETY: the addresses are below 64 GiB, for which there are 2^24 entries.
        *unsafe { entries.get_unchecked_mut(usize_from(gpa / PAGE)) } = gpa + (PAGE | FLAGS);
    }
    black_box(entries);
}

#[inline(never)]
fn load(entries: &[u64], order: &[u64]) -> u64 {
    let mut sum = 0_u64;
    for gpa in order {
        // SAFETY: the addresses are below 4 GiB, for which there are 2^20 entries.
        let entry = *unsafe { entries.get_unchecked(usize_from(gpa / PAGE)) };
        sum = sum.wrapping_add(entry & !(PAGE - 1) | gpa & (PAGE - 1));
    }
    sum
}

#[inline(never)]
fn clear(entries: &mut [u64]) {
    entries.fill(0);
    black_box(entries);
}
