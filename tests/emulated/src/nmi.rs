//! The host's NMIs end a run, reach the host's handler, and are not blocked afterwards.

use machine::{apic, interrupts};
use x86_virt::{ExitKind, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::code;
use crate::guest::{CODE, Mode};
use crate::harness::{Outcome, ensure, fail};
use crate::interrupts::{SPIN, SPINNING, take_pending};
use crate::registers::capture;
use crate::world_switch::{differences, exits, prepare};

const NMI: u8 = 2;
/// Some instructions, in which an NMI that was sent comes.
const A_WHILE: u32 = 10_000;

/// An NMI that another processor, or this one, sends while a run is being prepared or going on.
pub(crate) fn self_sent_end_the_run(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &SPIN, &VcpuConfig::new(), |guest| {
        for _ in 0..200 {
            let before = interrupts::count(NMI);
            // Taken at once, in the host: without another event, the run that follows would not end.
            apic::send_nmi(bench.processor);
            wait_for_nmi(before)?;
            apic::send_interrupt(bench.processor, 0x50);
            let exit = guest.run()?;
            ensure!(matches!(exit.kind, ExitKind::HostInterrupt | ExitKind::HostNmi), "{:?}", exit.kind);
            ensure!(SPINNING.contains(&guest.vcpu.rip()), "RIP of the guest: {:#x}", guest.vcpu.rip());
            guest.vcpu.set_rip(CODE);
            take_pending();
        }
        are_not_blocked(bench)
    })
}

/// Exits of a guest that checks all of its registers, with NMIs of the timer wherever they come. The period sweeps.
pub(crate) fn timer_during_exits(bench: &Bench) -> Outcome {
    let outcome = bench.with_guest(Mode::Long, code::world_switch(), &VcpuConfig::new(), |guest| {
        prepare(guest)?;
        let expected = capture();
        let (before, exits) = (interrupts::count(NMI), exits());
        let (mut host_nmis, mut cpuids, mut done) = (0, 0, 0_u16);
        while u64::from(done) < exits {
            if done % 100 == 0 {
                machine::nmi::start(bench.processor, 97 + done / 100);
            }
            let taken = interrupts::count(NMI);
            match guest.run()?.kind {
                ExitKind::Cpuid => {
                    cpuids += 1;
                    guest.vcpu.skip_instruction()?;
                }
                ExitKind::HostNmi => {
                    host_nmis += 1;
                    ensure!(interrupts::count(NMI) > taken, "the handler did not run in the host");
                }
                ExitKind::Io(_) => fail!("check {} of the guest failed", guest.vcpu.gprs().rax & 0xff),
                kind => fail!("{kind:x?} at {:#x}", guest.vcpu.rip()),
            }
            done += 1;
        }
        machine::nmi::stop();
        let taken = interrupts::count(NMI) - before;
        ensure!(host_nmis > 0 && cpuids > 0, "{host_nmis} exits because of NMIs, {cpuids} others");
        ensure!(taken >= host_nmis, "{host_nmis} exits, but the handler ran {taken} times");
        let changed = differences(&expected, &capture());
        ensure!(changed.is_empty(), "the host has {changed}");
        are_not_blocked(bench)
    });
    machine::nmi::stop();
    outcome.and_then(|()| are_not_blocked(bench))
}

/// An NMI that this processor sends to itself comes.
fn are_not_blocked(bench: &Bench) -> Outcome {
    let before = interrupts::count(NMI);
    apic::send_nmi(bench.processor);
    wait_for_nmi(before)
}

fn wait_for_nmi(before: u64) -> Outcome {
    for _ in 0..A_WHILE {
        if interrupts::count(NMI) != before {
            return Ok(());
        }
        core::hint::spin_loop();
    }
    fail!("an NMI that was sent did not come: they are blocked");
}
