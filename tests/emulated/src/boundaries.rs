//! An interrupt of the host at every instruction of a run: the timer is set so that it comes one instruction later each time, from
//! before the run to behind it. The host's registers and the caller's are as before each time, and it comes once.

use alloc::collections::BTreeSet;

use machine::{apic, interrupts};
use x86_virt::{ExitKind, StatePolicy, Vcpu as _, VcpuConfig};

use crate::bench::Bench;
use crate::code;
use crate::feature::{Feature, has};
use crate::guest::Mode;
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::interrupts::take_pending;
use crate::registers::capture;
use crate::world_switch::{differences, kept, own_registers, prepare, switch};

const TIMER: u8 = 0x52;
const NMI: u8 = 2;
/// Ticks of the machine's timer, of some 42 instructions each in Bochs, between its start and the NMI.
const NMI_TICKS: u16 = 100;
/// How many delays there are before a run.
const DELAYS: u32 = 6000;
/// Instructions of the library and of the test around at which NMIs must have come.
const LEAST_PLACES: usize = 300;
/// Ticks by which a run must be over.
const MOST: u32 = 20_000;
/// So many times in a row the interrupt must come behind the run.
const BEHIND: u32 = 50;

/// With interrupts disabled, it waits until the guest is entered, and ends the run.
pub(crate) fn interrupts_disabled(bench: &Bench) -> Outcome {
    sweep(bench, &VcpuConfig::new(), 1)
}

/// With interrupts enabled, the host takes it before the run, in it, or behind it.
pub(crate) fn interrupts_enabled(bench: &Bench) -> Outcome {
    sweep(bench, &VcpuConfig::new(), 0)
}

/// The same with MSRs of the guest that stay loaded.
#[expect(unsafe_code, reason = "promises not to use the MSRs")]
pub(crate) fn resident_state(bench: &Bench) -> Outcome {
    let before = capture();
    // SAFETY: the tests use no SWAPGS and no SYSCALL, and `Guest` is dropped.
    let config = unsafe { VcpuConfig::new().with_resident_state() };
    sweep(bench, &config, 1)?;
    let changed = differences(&before, &capture());
    ensure!(changed.is_empty(), "after the virtual processor is gone, the host has {changed}");
    Ok(())
}

/// The same with the guest's segments in the registers, in which the run begins.
#[expect(unsafe_code, reason = "promises not to use the registers")]
pub(crate) fn resident_segments(bench: &Bench) -> Outcome {
    let before = capture();
    // SAFETY: as above; the tests use neither FS, GS and LDTR nor what SYSENTER needs, take no exception on another stack, and have the
    // host's state back before they wait.
    let config = unsafe { VcpuConfig::new().with_resident_segments() };
    sweep(bench, &config, 1)?;
    sweep(bench, &config, 0)?;
    let changed = differences(&before, &capture());
    ensure!(changed.is_empty(), "after the virtual processor is gone, the host has {changed}");
    Ok(())
}

/// The same with interrupts that the exit acknowledges.
#[expect(unsafe_code, reason = "promises about handlers")]
pub(crate) fn acknowledged(bench: &Bench) -> Outcome {
    // SAFETY: the handlers of `machine` count and no more.
    let config = unsafe { VcpuConfig::new().with_acknowledged_interrupts() };
    sweep(bench, &config, 1)?;
    sweep(bench, &config, 0)
}

/// NMIs at every instruction: the timer of the machine sends one some thousand instructions after it is started, and each run begins one
/// instruction later than the one before. The handler says where each came.
pub(crate) fn nmis(bench: &Bench) -> Outcome {
    sweep_nmis(bench, &VcpuConfig::new(), LEAST_PLACES)
}

/// The same with the guest's segments in the registers: an NMI that comes then waits.
#[expect(unsafe_code, reason = "promises not to use the registers")]
pub(crate) fn nmis_with_resident_segments(bench: &Bench) -> Outcome {
    // SAFETY: as in `resident_segments`.
    let config = unsafe { VcpuConfig::new().with_resident_segments() };
    sweep_nmis(bench, &config, 1)
}

fn sweep_nmis(bench: &Bench, config: &VcpuConfig, least: usize) -> Outcome {
    if !has(Feature::InterruptsAnywhere) {
        return Ok(());
    }
    let outcome = bench.with_guest(Mode::Long, code::world_switch(), config, |guest| {
        prepare(guest)?;
        let (all, expected) = (capture(), own_registers(config));
        let (mut places, mut in_guest) = (BTreeSet::new(), 0);
        for delay in 0..DELAYS {
            let number = 2 * u64::from(delay) + 1;
            let kept = kept(number);
            machine::nmi::start(bench.processor, NMI_TICKS);
            wait(delay);
            let before = interrupts::count(NMI);
            let kind = switch(guest, &kept, number)?;
            let changed = differences(&expected, &own_registers(config));
            ensure!(changed.is_empty(), "with a delay of {delay}, the host has {changed}");
            guest.vcpu.settle();
            let (came, at) = (interrupts::count(NMI) - before, interrupts::interrupted());
            machine::nmi::stop();
            in_guest += u32::from(kind == ExitKind::HostNmi);
            ensure!(kind != ExitKind::HostNmi || came > 0, "the handler did not run");
            if came > 0 && kind != ExitKind::HostNmi {
                places.insert(at);
            }
            if config.state() == StatePolicy::ResidentSegments {
                let changed = differences(&all, &capture());
                ensure!(changed.is_empty(), "with a delay of {delay}, the host that asks has {changed}");
            }
        }
        machine::println!("NMIs at {} instructions, {in_guest} in the guest", places.len());
        ensure!(in_guest > 0, "no NMI ended a run");
        ensure!(places.len() >= least, "NMIs came at {} instructions only", places.len());
        Ok(())
    });
    machine::nmi::stop();
    outcome
}

/// Executes `instructions` instructions, about.
fn wait(instructions: u32) {
    for _ in 0..instructions / 2 {
        core::hint::spin_loop();
    }
}

/// Runs with the timer at each distance. `parity` of an exit's number says whether interrupts are disabled.
fn sweep(bench: &Bench, config: &VcpuConfig, parity: u64) -> Outcome {
    let outcome = bench.with_guest(Mode::Long, code::world_switch(), config, |guest| {
        prepare(guest)?;
        let (all, expected) = (capture(), own_registers(config));
        let starts_resident = config.state() == StatePolicy::ResidentSegments;
        let (mut behind, mut in_guest) = (0, 0);
        for ticks in 1..=MOST {
            if starts_resident {
                switch(guest, &kept(1), 1)?;
            }
            let before = interrupts::count(TIMER);
            let number = 2 * u64::from(ticks) + parity;
            let kept = kept(number);
            apic::start_one_shot(TIMER, ticks);
            let kind = switch(guest, &kept, number)?;
            in_guest += u32::from(kind == ExitKind::HostInterrupt);
            let changed = differences(&expected, &own_registers(config));
            ensure!(changed.is_empty(), "with {ticks} ticks, the host has {changed}");
            let came = interrupts::count(TIMER) - before;
            guest.vcpu.settle();
            if starts_resident {
                let changed = differences(&all, &capture());
                ensure!(changed.is_empty(), "with {ticks} ticks, the host that asks has {changed}");
            }
            behind = if came == 0 && kind != ExitKind::HostInterrupt { behind + 1 } else { 0 };
            for _ in 0..MOST {
                if interrupts::count(TIMER) != before {
                    break;
                }
                take_pending();
            }
            take_pending();
            ensure_eq!(interrupts::count(TIMER) - before, 1, "interrupts with {ticks} ticks");
            if behind == BEHIND {
                ensure!(in_guest > 0, "no interrupt ended a run");
                return Ok(());
            }
        }
        fail!("after {MOST} ticks the interrupt still came in the run, {in_guest} times in the guest")
    });
    apic::stop_timer();
    take_pending();
    outcome
}
