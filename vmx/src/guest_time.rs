//! The guest's time: TSC offset and multiplier, and runs that end in time.
#![expect(unsafe_code, reason = "writes controls")]

use core::cell::Cell;

use x86_virt_core::{Exit, ExitKind, Frames, GivenBack, GuestTime, HostTimer, TscClock, TscError, TscScale};

use crate::access::{VmcsRead, VmcsWrite};
use crate::capability::Unsupported;
use crate::control::{PinControls, PrimaryControls, SecondaryControls};
use crate::exit::{BasicExitReason, ExitReason};
use crate::field;
use crate::preemption_timer::PreemptionTimer;
use crate::tsc::TscMultiplier;
use crate::vcpu::{EntryError, VmxVcpu};

/// What of a virtual processor's time is not in its VMCS.
#[derive(Debug)]
pub(crate) struct Time {
    /// What the VMCS says; `None` if it must be asked.
    clock: Cell<Option<TscClock>>,
    /// IA32_TSC_ADJUST.
    adjust: u64,
    pin: PinControls,
    timer: Option<PreemptionTimer>,
}

impl Time {
    pub(crate) const fn new(pin: PinControls, timer: Option<PreemptionTimer>) -> Self {
        Self { clock: Cell::new(None), adjust: 0, pin, timer }
    }

    /// The VMCS may have been changed.
    pub(crate) const fn forget(&mut self) {
        self.clock = Cell::new(None);
    }

    /// Whether the preemption timer is on.
    pub(crate) const fn is_timed(&self) -> bool {
        self.pin.contains(PinControls::ACTIVATE_PREEMPTION_TIMER)
    }
}

impl<A: Frames> VmxVcpu<'_, '_, '_, A> {
    /// Gives the guest the processor's counter times `multiplier`. The value that the guest reads now stays.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] if the processor does not scale; then nothing is changed. [`TscMultiplier::ONE`] is possible on every processor.
    pub fn set_tsc_multiplier(&mut self, multiplier: TscMultiplier) -> Result<(), Unsupported> {
        let scaling = SecondaryControls::USE_TSC_SCALING;
        let before = self.parts.secondary;
        let secondary = if multiplier == TscMultiplier::ONE {
            before.without(scaling)
        } else {
            let none = SecondaryControls::NONE;
            SecondaryControls::negotiate(self.parts.capabilities.secondary(), before | scaling, none, none)?
        };
        let (now, clock) = (self.host_tsc(), self.tsc_clock());
        let value = clock.guest(now);
        if secondary.contains(scaling) {
            self.vmcs.put(field::TSC_MULTIPLIER, multiplier.into_bits());
        }
        if secondary != before {
            self.write_secondary(secondary);
        }
        let scale = if secondary.contains(scaling) { multiplier.scale() } else { TscScale::ONE };
        self.write_clock(TscClock { scale, offset: 0 }.with_guest(now, value));
        Ok(())
    }

    /// Writes the offset. Without offset and multiplier, the control is left as it is: 0 is added for nothing.
    fn write_clock(&mut self, clock: TscClock) {
        if clock != TscClock::HOST {
            // The multiplier, too, is used with this control only.
            self.write_primary(self.parts.primary | PrimaryControls::USE_TSC_OFFSETTING);
        }
        self.vmcs.put(field::TSC_OFFSET, clock.offset);
        self.parts.time.clock.set(Some(clock));
    }

    /// Turns the preemption timer on or off.
    fn write_pin(&mut self, pin: PinControls) {
        if pin != self.parts.time.pin {
            self.parts.time.pin = pin;
            // SAFETY: the timer only ends a run, and the other controls are as `Controls::new` made them.
            unsafe { self.vmcs.put_sensitive(field::PIN_CONTROLS, pin) };
        }
    }

    /// A run that shall not end in time.
    #[cold]
    pub(crate) fn stop_timer(&mut self) {
        self.write_pin(self.parts.time.pin.without(PinControls::ACTIVATE_PREEMPTION_TIMER));
    }

    /// One entry that ends in time.
    fn enter_until(&mut self, deadline: u64, timer: &impl HostTimer) -> Result<ExitReason, EntryError> {
        let clock = self.tsc_clock();
        let _interrupts_disabled = self.host.disable_interrupts();
        let now = self.host.tsc();
        let deadline = clock.host_at(deadline, now);
        match self.parts.time.timer {
            Some(timer) => {
                self.write_pin(self.parts.time.pin | PinControls::ACTIVATE_PREEMPTION_TIMER);
                self.vmcs.put(field::PREEMPTION_TIMER_VALUE, timer.value(now, deadline));
                self.enter()
            }
            None => {
                timer.arm(deadline);
                let exit = self.enter();
                timer.disarm();
                exit
            }
        }
    }
}

impl<A: Frames> GuestTime for VmxVcpu<'_, '_, '_, A> {
    fn tsc_clock(&self) -> TscClock {
        let parts = &self.parts;
        parts.time.clock.get().unwrap_or_else(|| {
            let clock = read_clock(&self.vmcs, parts.primary, parts.secondary);
            parts.time.clock.set(Some(clock));
            clock
        })
    }

    fn host_tsc(&self) -> u64 {
        self.host.tsc()
    }

    fn set_tsc_offset(&mut self, offset: u64) {
        self.write_clock(TscClock { offset, ..self.tsc_clock() });
    }

    fn set_tsc_frequency(&mut self, guest: u64, host: u64) -> Result<(), TscError> {
        let multiplier = TscMultiplier::of(guest, host).ok_or(TscError::Ratio { guest, host })?;
        self.set_tsc_multiplier(multiplier)
            .map_err(|_| TscError::NoScaling { needs: "the secondary control USE_TSC_SCALING" })
    }

    fn tsc_adjust(&self) -> u64 {
        self.parts.time.adjust
    }

    fn set_tsc_adjust(&mut self, adjust: u64) {
        self.parts.time.adjust = adjust;
    }

    fn run_until(&mut self, deadline: u64, timer: &impl HostTimer) -> Result<Exit<ExitReason>, EntryError> {
        if self.parts.events.is_due() && self.parts.events.take_shutdown() {
            return Ok(self.shut_down());
        }
        let mut given = GivenBack::new();
        loop {
            let reason = self.enter_until(deadline, timer)?;
            let mut exit = self.exit(reason);
            let is_timer = match exit.reason.basic() {
                BasicExitReason::PREEMPTION_TIMER_EXPIRED => true,
                BasicExitReason::EXTERNAL_INTERRUPT => self.parts.time.timer.is_none(),
                _ => false,
            };
            let has_passed = is_timer && self.tsc_clock().has_reached(deadline, self.host.tsc());
            if has_passed {
                exit.kind = ExitKind::Deadline;
            }
            let is_own = self.log_exit(&exit) || self.is_own_window(&exit) || self.give_back(&mut exit, &mut given);
            // After many exceptions the deadline may have passed in the host.
            if exit.kind == ExitKind::HostInterrupt && self.tsc_clock().has_reached(deadline, self.host.tsc()) {
                exit.kind = ExitKind::Deadline;
                return Ok(exit);
            }
            // The deadline may be further away than the timer counts.
            let is_early = exit.kind == ExitKind::Deadline && !has_passed;
            if !is_own && !is_early {
                return Ok(exit);
            }
        }
    }
}

/// What the VMCS says of the guest's counter.
fn read_clock(vmcs: &impl VmcsRead, primary: PrimaryControls, secondary: SecondaryControls) -> TscClock {
    if !primary.contains(PrimaryControls::USE_TSC_OFFSETTING) {
        return TscClock::HOST;
    }
    let scale = if secondary.contains(SecondaryControls::USE_TSC_SCALING) {
        TscMultiplier::from_bits(vmcs.get(field::TSC_MULTIPLIER)).scale()
    } else {
        TscScale::ONE
    };
    TscClock { scale, offset: vmcs.get(field::TSC_OFFSET) }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{TscClock, TscScale};

    use super::read_clock;
    use crate::access::VmcsWrite as _;
    use crate::control::{PrimaryControls, SecondaryControls};
    use crate::field;
    use crate::testing::FakeVmcs;

    #[test]
    fn fields_count_only_with_their_controls() {
        let mut vmcs = FakeVmcs::new();
        vmcs.put(field::TSC_OFFSET, 7);
        vmcs.put(field::TSC_MULTIPLIER, 3 << 47);
        let (offset, scaling) = (PrimaryControls::USE_TSC_OFFSETTING, SecondaryControls::USE_TSC_SCALING);
        let (no_offset, no_scaling) = (PrimaryControls::NONE, SecondaryControls::NONE);
        assert_eq!(read_clock(&vmcs, no_offset, scaling), TscClock::HOST);
        assert_eq!(read_clock(&vmcs, offset, no_scaling), TscClock { scale: TscScale::ONE, offset: 7 });
        assert_eq!(read_clock(&vmcs, offset, scaling), TscClock { scale: TscScale::new(3 << 47, 48), offset: 7 });
    }
}
