//! Guests on other processors, which the bootstrap processor takes out of the guest and lets in again.
#![expect(unsafe_code, reason = "takes back what all processors shared")]

use core::hint;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use machine::apic;
use x86_virt::{ExitKind, Root, Space, Vcpu, VcpuConfig};

use crate::bench::{Bench, Frames, share, take_back};
use crate::guest::{Guest, Mode, STACK};
use crate::harness::{Failure, Outcome, ensure, fail};
use crate::interrupts::take_pending;

/// The interrupt that ends a run.
const KICK: u8 = 0x52;

/// Guests that share one address space, one on each processor from the second on.
#[derive(Debug)]
pub(crate) struct Guests {
    space: AtomicPtr<Space<'static, Frames>>,
    /// How often the guests have been told to leave.
    kicks: AtomicU64,
    /// By processor: the last of these that it has obeyed.
    obeyed: [AtomicU64; machine::MAX_PROCESSORS],
    /// Nobody goes back into the guest.
    is_held: AtomicBool,
    is_over: AtomicBool,
    /// No processor is told anything any more.
    is_quiet: AtomicBool,
    has_failed: AtomicBool,
    gone: AtomicUsize,
}

impl Guests {
    pub(crate) const fn new() -> Self {
        Self {
            space: AtomicPtr::new(core::ptr::null_mut()),
            kicks: AtomicU64::new(0),
            obeyed: [const { AtomicU64::new(0) }; machine::MAX_PROCESSORS],
            is_held: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            is_quiet: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            gone: AtomicUsize::new(0),
        }
    }

    /// On the bootstrap processor: makes the space, and does `work` while guests run on the processors 1 to `last`.
    pub(crate) fn lead(
        &self,
        bench: &Bench,
        last: usize,
        make: impl FnOnce(&Root<'_, Frames>) -> Outcome<Space<'static, Frames>>,
        work: impl FnOnce(&Leader<'_>) -> Outcome,
    ) -> Outcome {
        let root = bench.enter().inspect_err(|_| self.give_up())?;
        let shared = share(make(&root).inspect_err(|_| self.give_up())?);
        let pointer = core::ptr::from_ref(shared).cast_mut();
        self.space.store(pointer, Ordering::Release);
        let leader = Leader { guests: self, space: shared, last };
        let result = work(&leader);
        self.is_over.store(true, Ordering::Release);
        self.is_held.store(false, Ordering::Release);
        leader.send_kicks();
        self.is_quiet.store(true, Ordering::Release);
        while self.gone.load(Ordering::Acquire) != last {
            hint::spin_loop();
        }
        self.space.store(core::ptr::null_mut(), Ordering::Release);
        // SAFETY: from `share`; all processors have left, and this one refers to it no more.
        unsafe { take_back(pointer) };
        result
    }

    /// Without a space there are no guests.
    fn give_up(&self) {
        self.has_failed.store(true, Ordering::Release);
        self.is_quiet.store(true, Ordering::Release);
    }

    /// On another processor: runs the guest, which `prepare` has prepared, until the bootstrap processor is done. `judge` gets it
    /// with the number of entries.
    pub(crate) fn follow(
        &self,
        bench: &Bench,
        prepare: impl FnOnce(&mut Guest<'_, '_>) -> Outcome,
        judge: impl FnOnce(&mut Guest<'_, '_>, u64) -> Outcome,
    ) -> Outcome {
        let result = self.run_guest(bench, prepare, judge);
        if result.is_err() {
            self.has_failed.store(true, Ordering::Release);
        }
        while !self.is_quiet.load(Ordering::Acquire) {
            hint::spin_loop();
        }
        take_pending();
        self.gone.fetch_add(1, Ordering::AcqRel);
        result
    }

    fn run_guest(
        &self,
        bench: &Bench,
        prepare: impl FnOnce(&mut Guest<'_, '_>) -> Outcome,
        judge: impl FnOnce(&mut Guest<'_, '_>, u64) -> Outcome,
    ) -> Outcome {
        let space = loop {
            let pointer = self.space.load(Ordering::Acquire);
            // SAFETY: null, or from `share`, and taken back only when this processor has left.
            if let Some(space) = unsafe { pointer.as_ref() } {
                break space;
            }
            ensure!(!self.has_failed.load(Ordering::Acquire), "the bootstrap processor made no space");
            hint::spin_loop();
        };
        let mut root = bench.enter()?;
        let vcpu = root.vcpu(space, &VcpuConfig::new())?;
        let mut guest = Guest { vcpu, space, ram: bench.ram() };
        guest.vcpu.set_state(&Mode::Long.state())?;
        guest.vcpu.set_rsp(STACK - 0x100 * u64::try_from(bench.processor)?);
        prepare(&mut guest)?;
        let mut entries = 0;
        while !self.is_over.load(Ordering::Acquire) {
            entries += 1;
            match guest.run()?.kind {
                ExitKind::HostInterrupt => take_pending(),
                kind => fail!("{kind:x?} at {:#x} with {:x?}", guest.vcpu.rip(), guest.vcpu.gprs()),
            }
            self.obey(bench.processor);
        }
        judge(&mut guest, entries)
    }

    /// Says that this processor is out of the guest, and waits until it may go back.
    fn obey(&self, processor: usize) {
        let kicks = self.kicks.load(Ordering::Acquire);
        if let Some(obeyed) = self.obeyed.get(processor) {
            obeyed.store(kicks, Ordering::Release);
        }
        while self.is_held.load(Ordering::Acquire) {
            hint::spin_loop();
        }
    }
}

/// The bootstrap processor while guests run.
pub(crate) struct Leader<'g> {
    guests: &'g Guests,
    pub(crate) space: &'static Space<'static, Frames>,
    /// The last processor that has a guest.
    pub(crate) last: usize,
}

impl Leader<'_> {
    fn send_kicks(&self) -> u64 {
        let number = self.guests.kicks.fetch_add(1, Ordering::AcqRel) + 1;
        for processor in 1..=self.last {
            apic::send_interrupt(processor, KICK);
        }
        number
    }

    /// Makes each guest leave once: when this returns, all have left, and may have gone back.
    pub(crate) fn kick(&self) -> Outcome {
        let number = self.send_kicks();
        for obeyed in self.guests.obeyed.iter().skip(1).take(self.last) {
            self.wait(|| obeyed.load(Ordering::Acquire) >= number)?;
        }
        Ok(())
    }

    /// Makes each guest leave, calls `work` while all are out, and lets them in again.
    pub(crate) fn while_out(&self, work: impl FnOnce() -> Outcome) -> Outcome {
        self.guests.is_held.store(true, Ordering::Release);
        let result = self.kick().and_then(|()| work());
        self.guests.is_held.store(false, Ordering::Release);
        result
    }

    /// Waits for the condition, unless a guest has failed.
    pub(crate) fn wait(&self, condition: impl Fn() -> bool) -> Outcome {
        while !condition() {
            if self.guests.has_failed.load(Ordering::Acquire) {
                return Err(Failure::new("a guest on another processor failed".into()));
            }
            hint::spin_loop();
        }
        Ok(())
    }
}
