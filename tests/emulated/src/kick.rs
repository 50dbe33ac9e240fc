//! Kicks: a virtual processor leaves the guest, or does not enter it.

use core::hint;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use machine::{MAX_PROCESSORS, apic};
use x86_virt::{Activity, Event, ExitKind, Kick, Vcpu, VcpuConfig, VcpuState};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, Mode};
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::interrupts::take_pending;

/// STI; CLI; PAUSE; JMP to the start: takes note of what was pending at the entry in Bochs 2.7 too. QEMU with `-icount` turns to another
/// processor only after PAUSE.
const SPIN: [u8; 6] = [0xfb, 0xfa, 0xf3, 0x90, 0xeb, 0xfa];
const VECTOR: u8 = 0x60;
/// How often each virtual processor is kicked.
const ROUNDS: u64 = 300;

static KICKS: [Kick; MAX_PROCESSORS] = [const { Kick::new() }; MAX_PROCESSORS];
/// How many kicks each virtual processor has seen.
static SEEN: [AtomicU64; MAX_PROCESSORS] = [const { AtomicU64::new(0) }; MAX_PROCESSORS];
/// How many virtual processors have left.
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Outside of the guest: the next run ends at once, the one after that does not.
pub(crate) fn before_the_entry(bench: &Bench) -> Outcome {
    let Some(kick) = KICKS.get(bench.processor) else { return Ok(()) };
    // NOP; HLT.
    bench.with_guest(Mode::Long, &[0x90, 0xf4], &VcpuConfig::new(), |guest| {
        guest.vcpu.set_kick(kick, 0);
        ensure_eq!(kick.kick(), None, "processor to interrupt");
        ensure_eq!(kick.kick(), None, "processor to interrupt again");
        guest.expect(ExitKind::Kicked)?;
        ensure_eq!(guest.vcpu.rip(), CODE, "RIP after a run that was kicked");
        guest.vcpu.inject(Event::Nmi)?;
        ensure_eq!(kick.kick(), None, "processor to interrupt");
        guest.expect(ExitKind::Kicked)?;
        ensure_eq!(guest.vcpu.pending_event(), Some(Event::Nmi), "event that waits");
        guest.expect_handler(2)?;
        guest.return_to_hlt(Event::Nmi, CODE + 1)?;
        // One that is halted has no entry to look before, with SVM.
        let mut state = VcpuState::reset(0);
        guest.vcpu.save(&mut state);
        state.activity = Activity::Halted;
        guest.vcpu.restore(&state)?;
        ensure_eq!(kick.kick(), None, "processor to interrupt");
        guest.expect(ExitKind::Kicked)?;
        ensure!(!kick.is_pending(), "a halted virtual processor has not seen the kick");
        ensure_eq!(guest.vcpu.activity(), Activity::Halted, "activity after the kick");
        Ok(())
    })
}

/// The first processor kicks all others, which spin in their guests: none is lost, at any moment of an entry or an exit.
pub(crate) fn from_another_processor(bench: &Bench) -> Outcome {
    // QEMU with `-icount` lets processors take turns, and does not get to the one that kicks while a guest spins.
    if !has(Feature::InterruptsOnce) {
        return Ok(());
    }
    let result = if bench.processor == 0 { kick_all() } else { spin(bench) };
    if bench.processor != 0 {
        LEFT.fetch_add(1, Ordering::AcqRel);
    }
    result
}

fn kick_all() -> Outcome {
    let others = || KICKS.iter().zip(&SEEN).take(machine::processors()).skip(1);
    for round in 1..=ROUNDS {
        for (kick, _) in others() {
            if let Some(processor) = kick.kick() {
                apic::send_interrupt(usize::try_from(processor)?, VECTOR);
            }
        }
        for (_, seen) in others() {
            // A kick that is lost hangs here, and the machine's time limit ends it.
            while seen.load(Ordering::Acquire) < round && LEFT.load(Ordering::Acquire) == 0 {
                hint::spin_loop();
            }
        }
        // Moves the next one over entry and exit.
        for _ in 0..round * 7 % 97 {
            hint::spin_loop();
        }
    }
    while LEFT.load(Ordering::Acquire) + 1 < machine::processors() {
        hint::spin_loop();
    }
    Ok(())
}

fn spin(bench: &Bench) -> Outcome {
    let (Some(kick), Some(seen)) = (KICKS.get(bench.processor), SEEN.get(bench.processor)) else { return Ok(()) };
    bench.with_guest(Mode::Long, &SPIN, &VcpuConfig::new(), |guest| {
        guest.vcpu.set_kick(kick, u32::try_from(bench.processor)?);
        let mut interrupts = 0_u64;
        while seen.load(Ordering::Relaxed) < ROUNDS {
            match guest.run()?.kind {
                ExitKind::Kicked => {
                    seen.fetch_add(1, Ordering::Release);
                }
                ExitKind::HostInterrupt => {
                    interrupts += 1;
                    take_pending();
                }
                kind => fail!("{kind:x?} at {:#x}", guest.vcpu.rip()),
            }
        }
        take_pending();
        ensure!(interrupts <= ROUNDS, "{interrupts} interrupts for {ROUNDS} kicks");
        ensure!(!kick.is_pending(), "a kick is left over");
        Ok(())
    })
}
