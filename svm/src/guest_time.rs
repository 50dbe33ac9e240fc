//! The guest's time: TSC offset and ratio, and runs that a timer of the host ends.

use x86_virt_core::{Exit, ExitKind, Frames, GivenBack, GuestTime, HostTimer, TscClock, TscError, TscScale};

use crate::exit::SvmExit;
use crate::exit_code::ExitCode;
use crate::run::EntryError;
use crate::tsc_ratio::TscRatio;
use crate::vcpu::SvmVcpu;
use crate::vmcb::control;

/// What of a virtual processor's time is not in its VMCB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    /// TSC_RATIO while it runs.
    pub(crate) ratio: TscRatio,
    /// IA32_TSC_ADJUST, which AMD's manual does not have; guests of other processors may.
    adjust: u64,
}

impl Time {
    pub(crate) const fn new() -> Self {
        Self { ratio: TscRatio::ONE, adjust: 0 }
    }
}

impl<A: Frames> SvmVcpu<'_, '_, '_, A> {
    /// Gives the guest the processor's counter times `ratio`. The value that the guest reads now stays.
    ///
    /// # Errors
    ///
    /// [`TscError::NoScaling`] if the processor does not scale; then nothing is changed. [`TscRatio::ONE`] is possible on every processor.
    pub fn set_tsc_ratio(&mut self, ratio: TscRatio) -> Result<(), TscError> {
        if ratio != TscRatio::ONE && !self.capabilities().features().tsc_rate_msr() {
            return Err(TscError::NoScaling { needs: "TscRateMsr (CPUID Fn8000_000A EDX bit 4)" });
        }
        let (now, clock) = (self.host_tsc(), self.tsc_clock());
        let scaled = TscClock { scale: scale_of(ratio), offset: 0 }.with_guest(now, clock.guest(now));
        // Reserved bits would fault.
        self.guest.time.ratio = TscRatio::new().with_int(ratio.int()).with_frac(ratio.frac());
        self.write(control::TSC_OFFSET, scaled.offset);
        Ok(())
    }

    /// One entry before which the timer of the host is armed.
    fn enter_until(&mut self, deadline: u64, timer: &impl HostTimer) -> Result<SvmExit, EntryError> {
        let _interrupts_disabled = self.host.disable_interrupts();
        timer.arm(self.tsc_clock().host_at(deadline, self.host.tsc()));
        let exit = self.enter_once();
        timer.disarm();
        exit
    }
}

fn scale_of(ratio: TscRatio) -> TscScale {
    if ratio == TscRatio::ONE { TscScale::ONE } else { ratio.multiplication() }
}

impl<A: Frames> GuestTime for SvmVcpu<'_, '_, '_, A> {
    fn tsc_clock(&self) -> TscClock {
        TscClock { scale: scale_of(self.guest.time.ratio), offset: self.read(control::TSC_OFFSET) }
    }

    fn host_tsc(&self) -> u64 {
        self.host.tsc()
    }

    fn set_tsc_offset(&mut self, offset: u64) {
        self.write(control::TSC_OFFSET, offset);
    }

    fn set_tsc_frequency(&mut self, guest: u64, host: u64) -> Result<(), TscError> {
        self.set_tsc_ratio(TscRatio::of(guest, host).ok_or(TscError::Ratio { guest, host })?)
    }

    fn tsc_adjust(&self) -> u64 {
        self.guest.time.adjust
    }

    fn set_tsc_adjust(&mut self, adjust: u64) {
        self.guest.time.adjust = adjust;
    }

    fn run_until(&mut self, deadline: u64, timer: &impl HostTimer) -> Result<Exit<SvmExit>, EntryError> {
        if let Some(mut exit) = self.wake_up()? {
            if exit.kind == ExitKind::HostInterrupt && self.tsc_clock().has_reached(deadline, self.host.tsc()) {
                exit.kind = ExitKind::Deadline;
            }
            return Ok(exit);
        }
        let mut given = GivenBack::new();
        loop {
            if let Some(exit) = self.before_entry() {
                return Ok(exit);
            }
            let exit = self.enter_until(deadline, timer)?;
            let has_passed = exit.code == ExitCode::INTR && self.tsc_clock().has_reached(deadline, self.host.tsc());
            if let Some(mut exit) = self.finish(exit, &mut given) {
                // After many exceptions the deadline may have passed in the host.
                let is_late =
                    exit.kind == ExitKind::HostInterrupt && self.tsc_clock().has_reached(deadline, self.host.tsc());
                if has_passed || is_late {
                    exit.kind = ExitKind::Deadline;
                }
                return Ok(exit);
            }
        }
    }
}
