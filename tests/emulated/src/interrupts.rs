//! The host's interrupts end a run, and reach the host's handler once.
#![expect(unsafe_code, reason = "promises about handlers")]

use core::ops::RangeInclusive;

use machine::{apic, interrupts};
use x86_virt::{ExitKind, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::code;
use crate::guest::{CODE, Mode};
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::world_switch::{exits, prepare};

const SELF_SENT: u8 = 0x50;
const TIMER: u8 = 0x51;

/// STI, CLI, and a loop: spins with IF = 0. Bochs 2.7 takes note of an interrupt that was pending before the entry only when IF
/// changes.
pub(crate) const SPIN: [u8; 4] = [0xfb, 0xfa, 0xeb, 0xfe];
/// Where that guest can be.
pub(crate) const SPINNING: RangeInclusive<u64> = CODE..=CODE + 2;

/// With interrupts disabled, an interrupt ends each run until the host takes it; with interrupts enabled, the host has taken it
/// when the run has ended.
pub(crate) fn self_sent_come_once(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &SPIN, &VcpuConfig::new(), |guest| {
        let before = interrupts::count(SELF_SENT);
        for round in 1..=1000 {
            apic::send_interrupt(bench.processor, SELF_SENT);
            for _ in 0..2 {
                guest.vcpu.set_rip(CODE);
                guest.expect(ExitKind::HostInterrupt)?;
                ensure!(SPINNING.contains(&guest.vcpu.rip()), "RIP of the guest: {:#x}", guest.vcpu.rip());
            }
            ensure!(!interrupts::are_enabled(), "a run enabled the host's interrupts");
            ensure_eq!(interrupts::count(SELF_SENT) - before, round - 1, "interrupts taken while disabled");
            take_pending();
            ensure_eq!(interrupts::count(SELF_SENT) - before, round, "interrupts taken");
        }
        Ok(())
    })
}

/// What the exit acknowledges has been handled when the run has ended, though interrupts are disabled.
pub(crate) fn acknowledged_come_once(bench: &Bench) -> Outcome {
    // SAFETY: the handlers of `machine` count and no more.
    let config = unsafe { VcpuConfig::new().with_acknowledged_interrupts() };
    bench.with_guest(Mode::Long, &SPIN, &config, |guest| {
        // By 0xfe, `machine` tells of work.
        for vector in (0x30..=0xfd).chain(0x30..=0xfd) {
            let before = interrupts::count(vector);
            apic::send_interrupt(bench.processor, vector);
            guest.vcpu.set_rip(CODE);
            guest.expect(ExitKind::HostInterrupt)?;
            ensure!(SPINNING.contains(&guest.vcpu.rip()), "RIP of the guest: {:#x}", guest.vcpu.rip());
            ensure!(!interrupts::are_enabled(), "a run enabled the host's interrupts");
            ensure_eq!(interrupts::count(vector) - before, 1, "interrupts {vector:#x} handled in the run");
            take_pending();
            ensure_eq!(interrupts::count(vector) - before, 1, "interrupts {vector:#x} afterwards");
        }
        Ok(())
    })
}

/// Exits of a guest that checks all of its registers, with the timer interrupting wherever it does: in the guest, in the host
/// and between. Every exit because of an interrupt brings the handler one.
pub(crate) fn timer_during_exits(bench: &Bench) -> Outcome {
    let outcome = bench.with_guest(Mode::Long, code::world_switch(), &VcpuConfig::new(), |guest| {
        prepare(guest)?;
        let (mut host_interrupts, mut done) = (0, 0);
        let (before, exits) = (interrupts::count(TIMER), exits());
        interrupts::enable();
        while done < exits {
            if done % 500 == 0 {
                // A prime, so that the phase moves over everything.
                apic::start_timer(TIMER, 3001 + 2 * u32::try_from(done / 500)?);
            }
            let taken = interrupts::count(TIMER);
            match guest.run()?.kind {
                ExitKind::Cpuid => guest.vcpu.skip_instruction()?,
                ExitKind::HostInterrupt => {
                    host_interrupts += 1;
                    ensure!(interrupts::count(TIMER) > taken, "the handler did not run in the host");
                }
                ExitKind::Io(_) => fail!("check {} of the guest failed", guest.vcpu.gprs().rax & 0xff),
                kind => fail!("{kind:x?} at {:#x}", guest.vcpu.rip()),
            }
            ensure!(interrupts::are_enabled(), "a run disabled the host's interrupts");
            done += 1;
        }
        let taken = interrupts::count(TIMER) - before;
        ensure!(host_interrupts > 0, "no interrupt came while the guest ran");
        ensure!(taken >= host_interrupts, "{host_interrupts} exits, but the handler ran {taken} times");
        Ok(())
    });
    apic::stop_timer();
    take_pending();
    outcome
}

/// Lets the host take what is pending.
pub(crate) fn take_pending() {
    interrupts::enable();
    // Not PAUSE: QEMU's TCG goes on with the shadow of STI behind it.
    let _now = machine::tsc();
    interrupts::disable();
}
