//! The guest's time-stamp counter, and runs that end at a deadline.

use alloc::string::ToString as _;

use machine::{apic, tsc};
use x86_virt::{
    Activity, ExitKind, GuestTime, HostTimer, Intercepts, MsrAccess, NoHostTimer, TscError, Vcpu, VcpuConfig,
};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, Guest, Mode};
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::interrupts::take_pending;

const TIMER: u8 = 0x52;

/// RDTSC; SHL RDX, 32; OR RAX, RDX; MOV RBX, RAX.
const READ: [u8; 12] = [0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0x48, 0x89, 0xc3];

/// The counter is read and HLT follows.
fn read_once() -> [u8; 13] {
    let mut code = [0xf4; 13];
    for (to, from) in code.iter_mut().zip(READ) {
        *to = from;
    }
    code
}

/// The counter is read for ever, with STI and CLI: Bochs 2.7 ends an SVM guest's run for an interrupt only when IF changes.
fn read_always() -> [u8; 16] {
    let mut code = [0; 16];
    for (to, from) in code.iter_mut().zip(READ.into_iter().chain([0xfb, 0xfa, 0xeb, 0xf0])) {
        *to = from;
    }
    code
}

/// What the guest reads is between what the clock says before and after.
fn check_reading(guest: &mut Guest<'_, '_>) -> Outcome<u64> {
    guest.vcpu.set_rip(CODE);
    let before = guest.vcpu.guest_tsc();
    guest.expect(ExitKind::Hlt)?;
    let (read, after) = (guest.vcpu.gprs().rbx, guest.vcpu.guest_tsc());
    ensure!(before <= read && read <= after, "the guest reads {read:#x}, not {before:#x} to {after:#x}");
    Ok(read)
}

/// The guest's counter is set, moved, and goes on while the guest does not run.
pub(crate) fn the_counter_is_the_guests(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &read_once(), &VcpuConfig::new(), |guest| {
        let host = tsc();
        ensure!(check_reading(guest)? >= host, "a new guest has the host's counter");
        guest.vcpu.set_guest_tsc(0);
        let first = check_reading(guest)?;
        ensure!(first < 1_000_000, "the counter was 0: {first:#x}");
        ensure!(check_reading(guest)? > first, "the counter stands still");
        let far = 0xffff_ffff_0000_0000;
        guest.vcpu.set_guest_tsc(far);
        ensure!(check_reading(guest)? >= far, "the counter is high");
        let before = guest.vcpu.tsc_clock().offset;
        guest.vcpu.write_tsc_adjust(1000);
        guest.vcpu.write_tsc_adjust(400);
        ensure_eq!(guest.vcpu.tsc_clock().offset, before.wrapping_add(400), "offset");
        check_reading(guest).map(|_| ())
    })
}

/// RDTSC, and the MSRs of the counter, as the guest accesses them.
pub(crate) fn msrs_are_answered(bench: &Bench) -> Outcome {
    // RDTSC; MOV ECX, 10H; WRMSR; RDMSR; MOV ECX, 3BH; RDMSR; WRMSR; HLT.
    let code =
        [0x0f, 0x31, 0xb9, 0x10, 0, 0, 0, 0x0f, 0x30, 0x0f, 0x32, 0xb9, 0x3b, 0, 0, 0, 0x0f, 0x32, 0x0f, 0x30, 0xf4];
    let config = VcpuConfig::new().with_intercepts(Intercepts::new().with_hlt(true).with_rdtsc(true));
    bench.with_guest(Mode::Long, &code, &config, |guest| {
        let mut answered = 0;
        let written = 0x12_3456_7890;
        loop {
            let kind = guest.run()?.kind;
            let clock = guest.vcpu.tsc_clock();
            if matches!(kind, ExitKind::WriteMsr { msr: 0x10, .. }) {
                // What the guest writes.
                guest.vcpu.gprs_mut().set_edx_eax(written);
            }
            let kind = match kind {
                ExitKind::WriteMsr { msr: 0x10, .. } => ExitKind::WriteMsr { msr: 0x10, value: written },
                ExitKind::WriteMsr { msr, .. } => ExitKind::WriteMsr { msr, value: 0 },
                other => other,
            };
            if !guest.vcpu.complete_time(&kind)? {
                ensure_eq!(kind, ExitKind::Hlt, "exit at {:#x}", guest.vcpu.rip());
                break;
            }
            answered += 1;
            let value = guest.vcpu.gprs().edx_eax();
            match kind {
                ExitKind::Rdtsc => ensure!(value <= guest.vcpu.guest_tsc(), "RDTSC is early"),
                ExitKind::ReadMsr(0x10) => {
                    ensure!((written..written + 1_000_000).contains(&value), "the counter was written: {value:#x}");
                }
                ExitKind::ReadMsr(_) => ensure_eq!(value, guest.vcpu.tsc_adjust(), "IA32_TSC_ADJUST"),
                ExitKind::WriteMsr { msr: 0x10, .. } => {
                    let change = guest.vcpu.tsc_clock().offset.wrapping_sub(clock.offset);
                    ensure_eq!(guest.vcpu.tsc_adjust(), change, "IA32_TSC_ADJUST after the counter was written");
                }
                // IA32_TSC_ADJUST of 0 takes it all back.
                _ => ensure_eq!(guest.vcpu.tsc_clock().offset, 0, "offset after IA32_TSC_ADJUST was cleared"),
            }
        }
        ensure_eq!(answered, 5, "exits that were answered");
        // The guest reads the MSR itself: it is the same counter.
        ensure_eq!(guest.vcpu.tsc_adjust(), 0, "IA32_TSC_ADJUST");
        guest.vcpu.intercept_msr(0x10, MsrAccess::ReadWrite);
        Ok(())
    })
}

/// A counter with another frequency, or a refusal that says what the processor lacks.
pub(crate) fn the_counter_is_scaled(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &read_once(), &VcpuConfig::new(), |guest| {
        match guest.vcpu.set_tsc_frequency(5, 2) {
            Ok(()) => {}
            Err(TscError::NoScaling { needs }) => {
                ensure!(!needs.is_empty(), "what is missing has a name");
                ensure_eq!(guest.vcpu.tsc_clock(), x86_virt::TscClock::HOST, "clock after a refusal");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        // No jump, but faster from now on.
        let (host, before) = (tsc(), guest.vcpu.guest_tsc());
        let read = check_reading(guest)?;
        let elapsed = tsc() - host;
        ensure!(read - before <= elapsed * 5 / 2 + 3, "{read:#x} after {before:#x} in {elapsed} ticks");
        guest.vcpu.set_guest_tsc(0);
        check_reading(guest)?;
        let (start, value) = (tsc(), guest.vcpu.guest_tsc());
        while tsc() - start < 100_000 {}
        let gone = guest.vcpu.guest_tsc() - value;
        ensure!((249_000..).contains(&gone), "{gone} ticks in 100000 of the host");
        ensure!(guest.vcpu.set_tsc_frequency(1 << 20, 1).is_err(), "too large a ratio");
        // A deadline is in the guest's ticks.
        reach_deadline(guest, 250_000)?;
        guest.ram.write(CODE, &read_once())?;
        guest.vcpu.set_tsc_frequency(7, 7)?;
        ensure_eq!(guest.vcpu.tsc_clock().scale, x86_virt::TscScale::ONE, "scale");
        check_reading(guest).map(|_| ())
    })
}

/// The timer of the local APIC, whose ticks are about those of the time-stamp counter on the emulators.
pub(crate) struct ApicTimer;

impl HostTimer for ApicTimer {
    fn arm(&self, deadline: u64) {
        let ticks = deadline.saturating_sub(tsc()).clamp(1, 0x7fff_ffff);
        apic::start_one_shot(TIMER, u32::try_from(ticks).unwrap_or(u32::MAX));
    }

    fn disarm(&self) {
        apic::stop_timer();
    }
}

/// Runs to a deadline so many ticks away, and checks that the guest has seen that time and not much more.
fn reach_deadline(guest: &mut Guest<'_, '_>, ticks: u64) -> Outcome {
    guest.ram.write(CODE, &read_always())?;
    guest.vcpu.set_rip(CODE);
    let start = guest.vcpu.guest_tsc();
    let deadline = start.wrapping_add(ticks);
    for _ in 0..20 {
        let exit = guest.vcpu.run_until(deadline, &ApicTimer)?;
        take_pending();
        match exit.kind {
            ExitKind::Deadline => {
                let (now, seen) = (guest.vcpu.guest_tsc(), guest.vcpu.gprs().rbx);
                ensure!(
                    now.wrapping_sub(deadline) >> 63 == 0,
                    "the run ended {} ticks early",
                    deadline.wrapping_sub(now)
                );
                if has(Feature::AllAtOnce) {
                    ensure!(seen >= start && seen + 4000 >= deadline, "the guest has seen {seen:#x} of {deadline:#x}");
                    ensure!(seen <= deadline + 20_000, "the guest has seen {seen:#x}, after {deadline:#x}");
                }
                return Ok(());
            }
            // The timer of the host was early.
            ExitKind::HostInterrupt => {}
            kind => fail!("{kind:x?} at {:#x}", guest.vcpu.rip()),
        }
    }
    fail!("the deadline is not reached")
}

/// A run ends at its deadline, at once if it has passed, and a run without one does not.
pub(crate) fn deadlines_are_kept(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &read_always(), &VcpuConfig::new(), |guest| {
        for ticks in [50_000, 10_000, 200_000] {
            guest.vcpu.set_guest_tsc(0_u64.wrapping_sub(1 << 40));
            reach_deadline(guest, ticks)?;
        }
        guest.vcpu.set_guest_tsc(0);
        // It has passed. The run ends as soon as its end can come.
        guest.vcpu.set_rip(CODE);
        let deadline = guest.vcpu.guest_tsc().wrapping_sub(1);
        let exit = guest.vcpu.run_until(deadline, &ApicTimer)?;
        take_pending();
        ensure_eq!(exit.kind, ExitKind::Deadline, "a deadline that has passed");
        // More than 32 bits of any timer away: the guest halts before.
        guest.ram.write(CODE, &read_once())?;
        guest.vcpu.set_rip(CODE);
        let far = guest.vcpu.guest_tsc() + (1 << 45);
        let exit = guest.vcpu.run_until(far, &NoHostTimer)?;
        ensure_eq!(exit.kind, ExitKind::Hlt, "a deadline that is far away");
        // A run without a deadline after one with: what was armed does not end it.
        let near = guest.vcpu.guest_tsc() + if has(Feature::AllAtOnce) { 100_000 } else { 1 << 30 };
        guest.vcpu.set_rip(CODE);
        let exit = guest.vcpu.run_until(near, &ApicTimer)?;
        ensure_eq!(exit.kind, ExitKind::Hlt, "a halt before the deadline");
        take_pending();
        // MOV ECX, 50000; LOOP; HLT.
        guest.ram.write(CODE, &[0xb9, 0x50, 0xc3, 0, 0, 0xe2, 0xfe, 0xf4])?;
        for _ in 0..3 {
            guest.vcpu.set_rip(CODE);
            guest.expect(ExitKind::Hlt)?;
        }
        Ok(())
    })
}

/// A virtual processor that waits or has shut down executes nothing, also in a run with a deadline.
pub(crate) fn deadlines_of_what_does_not_run(bench: &Bench) -> Outcome {
    // INC RBX; HLT.
    bench.with_guest(Mode::Long, &[0x48, 0xff, 0xc3, 0xf4], &VcpuConfig::new(), |guest| {
        for activity in [Activity::Shutdown, Activity::WaitForSipi] {
            guest.vcpu.set_activity(activity)?;
            let deadline = guest.vcpu.guest_tsc() + 10_000;
            let Err(error) = guest.vcpu.run_until(deadline, &ApicTimer) else { fail!("it ran while {activity}") };
            ensure!(error.to_string().contains(&activity.to_string()), "{error}: not {activity}");
        }
        guest.vcpu.set_activity(Activity::Halted)?;
        let deadline = guest.vcpu.guest_tsc() + 10_000;
        // VMX waits for the deadline in the guest; with SVM the run ends at once until it has passed.
        loop {
            match guest.vcpu.run_until(deadline, &ApicTimer)?.kind {
                ExitKind::Deadline => break,
                ExitKind::HostInterrupt => take_pending(),
                kind => fail!("{kind:x?} while halted"),
            }
        }
        take_pending();
        ensure_eq!(guest.vcpu.activity(), Activity::Halted, "activity at the deadline");
        ensure_eq!((guest.vcpu.rip(), guest.vcpu.gprs().rbx), (CODE, 0), "RIP and RBX of what was halted");
        guest.vcpu.set_activity(Activity::Running)?;
        guest.expect(ExitKind::Hlt)?;
        ensure_eq!(guest.vcpu.gprs().rbx, 1, "RBX after the guest has run");
        Ok(())
    })
}
