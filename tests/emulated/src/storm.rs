//! Interrupts and NMIs of another processor, as fast as it can send them, at entries, exits and deliveries.

use core::hint;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use machine::apic;
use x86_virt::{ExitKind, InterruptRequest, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, HANDLERS, Mode};
use crate::harness::{Outcome, ensure, fail};
use crate::interrupts::take_pending;

/// STI; MOV ECX, 100; LOOP to itself; CLI; NOP; CPUID; JMP to the start. Long enough that what is sent comes in the guest, too.
const LOOP: [u8; 14] = [0xfb, 0xb9, 100, 0, 0, 0, 0xe2, 0xfe, 0xfa, 0x90, 0x0f, 0xa2, 0xeb, 0xf2];
const VECTOR: u8 = 0x61;
const GUEST_VECTOR: u8 = 0x41;

/// How many exits each virtual processor has, unless the word `storm=N` says otherwise.
const EXITS: u64 = 3000;

/// How many virtual processors have left.
static LEFT: AtomicUsize = AtomicUsize::new(0);
/// The first processor has begun to send.
static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
/// Nothing is sent any more.
static IS_OVER: AtomicBool = AtomicBool::new(false);

pub(crate) fn at_any_moment(bench: &Bench) -> Outcome {
    // QEMU with `-icount` lets processors take turns, and nothing is sent while a guest runs.
    let is_real = machine::arg("storm").is_some();
    if machine::processors() < 2 || !is_real && !has(Feature::InterruptsOnce) {
        return Ok(());
    }
    if bench.processor == 0 {
        HAS_BEGUN.store(true, Ordering::Release);
        send_all();
        IS_OVER.store(true, Ordering::Release);
        return Ok(());
    }
    wait_for(&HAS_BEGUN);
    let exits = machine::arg("storm").and_then(|word| word.parse().ok()).unwrap_or(EXITS);
    let result = endure(bench, exits);
    LEFT.fetch_add(1, Ordering::AcqRel);
    wait_for(&IS_OVER);
    // What was sent last is not for the tests that follow.
    take_pending();
    result
}

fn wait_for(flag: &AtomicBool) {
    while !flag.load(Ordering::Acquire) {
        hint::spin_loop();
    }
}

fn send_all() {
    let mut round = 0_u64;
    while LEFT.load(Ordering::Acquire) + 1 < machine::processors() {
        for other in 1..machine::processors() {
            // Not both at once: the interrupt would end the run, and the NMI would come in the host.
            if round.is_multiple_of(3) { apic::send_nmi(other) } else { apic::send_interrupt(other, VECTOR) }
        }
        round += 1;
        // Moves the next one over entry and exit.
        for _ in 0..round * 7 % 397 {
            hint::spin_loop();
        }
    }
}

fn endure(bench: &Bench, exits: u64) -> Outcome {
    bench.with_guest(Mode::Long, &LOOP, &VcpuConfig::new(), |guest| {
        let (mut interrupts, mut nmis, mut cpuids, mut handlers) = (0_u64, 0_u64, 0_u64, 0_u64);
        let mut n = 0_u64;
        while n < exits || interrupts == 0 || nmis == 0 || cpuids == 0 || handlers == 0 {
            if n.is_multiple_of(8) {
                guest.vcpu.request_interrupt(InterruptRequest::fixed(GUEST_VECTOR));
            }
            let exit = guest.run()?;
            let rip = guest.vcpu.rip();
            let is_own = (CODE..CODE + 14).contains(&rip) || (HANDLERS..HANDLERS + 0x1000).contains(&rip);
            ensure!(is_own, "exit {n}, {:x?} ({}): RIP {rip:#x}", exit.kind, exit.reason);
            n += 1;
            ensure!(n < 20 * exits, "{interrupts} interrupts, {nmis} NMIs, {cpuids} CPUID, {handlers} of handlers");
            match exit.kind {
                ExitKind::HostInterrupt => {
                    interrupts += 1;
                    take_pending();
                }
                ExitKind::HostNmi => nmis += 1,
                ExitKind::Cpuid => {
                    cpuids += 1;
                    guest.vcpu.skip_instruction()?;
                }
                ExitKind::Io(_) => {
                    handlers += 1;
                    guest.vcpu.skip_instruction()?;
                }
                kind => fail!("exit {n}, {kind:x?} ({}) at {rip:#x}", exit.reason),
            }
        }
        Ok(())
    })
}
