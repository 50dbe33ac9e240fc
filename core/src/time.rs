//! The guest's time-stamp counter, and runs that end in time.

mod clock;

use crate::exit::{Exit, ExitKind};
use crate::vcpu::{SkipError, Vcpu};

pub use clock::{TscClock, TscScale};

/// The time-stamp counter of a guest.
///
/// The processor makes it of its own: guest = (host * scale) + offset. [`Vcpu::run`] does not change it, so that a guest's time goes on
/// while it does not run. A guest that shall not see this is set back with [`set_guest_tsc`](Self::set_guest_tsc).
///
/// ```
/// use x86_virt_core::{ExitKind, GuestTime, HostTimer};
///
/// /// Runs the guest for so many ticks of its own counter, or to something else.
/// fn slice<V: GuestTime>(vcpu: &mut V, timer: &impl HostTimer, ticks: u64) -> Result<ExitKind, V::EntryError> {
///     let end = vcpu.guest_tsc().wrapping_add(ticks);
///     loop {
///         match vcpu.run_until(end, timer)?.kind {
///             // The host's handlers have run, if interrupts are enabled.
///             ExitKind::HostInterrupt | ExitKind::HostNmi => {}
///             // `Deadline` if the time is over.
///             other => return Ok(other),
///         }
///     }
/// }
/// ```
pub trait GuestTime: Vcpu {
    /// How the guest's counter follows from the processor's.
    fn tsc_clock(&self) -> TscClock;

    /// The time-stamp counter of this processor, as the host reads it.
    fn host_tsc(&self) -> u64;

    /// Sets what is added to the processor's counter, after scaling.
    fn set_tsc_offset(&mut self, offset: u64);

    /// Lets the guest's counter run with the frequency `guest` on a processor whose own runs with `host`, in any unit. The value that the
    /// guest reads now stays.
    ///
    /// Equal frequencies turn scaling off, and are possible on every processor.
    ///
    /// # Errors
    ///
    /// [`TscError`] if the processor does not scale, or the ratio is too large for it or 0; then nothing is changed.
    fn set_tsc_frequency(&mut self, guest: u64, host: u64) -> Result<(), TscError>;

    /// IA32_TSC_ADJUST as the guest sees it: the sum of what it has added to its counter.
    ///
    /// Intel SDM vol. 3, section 20.17.3, "Time-Stamp Counter Adjustment".
    fn tsc_adjust(&self) -> u64;

    /// Sets IA32_TSC_ADJUST, and nothing else: as when a guest is restored. [`write_tsc_adjust`](Self::write_tsc_adjust) is what a WRMSR
    /// of the guest does.
    fn set_tsc_adjust(&mut self, adjust: u64);

    /// Runs the guest as [`run`](Vcpu::run) does, and ends the run with [`ExitKind::Deadline`] when its time-stamp counter reaches
    /// `deadline`. Never before; how soon after depends on the processor: Intel's preemption timer counts in steps of 2^n ticks, and a
    /// timer of the host interrupts as it can.
    ///
    /// If the deadline has passed already, the run ends at once. A deadline more than 2^63 ticks away has passed.
    ///
    /// `timer` is used on processors without a timer of their own for guests, AMD's among them. There a run that the interrupt of
    /// `timer`, or another one, ends after the deadline has the kind `Deadline`, not `HostInterrupt`; as always, the host's handler runs
    /// when interrupts are enabled.
    ///
    /// # Errors
    ///
    /// As [`run`](Vcpu::run).
    fn run_until(&mut self, deadline: u64, timer: &impl HostTimer) -> Result<Exit<Self::Reason>, Self::EntryError>;

    /// The guest's counter now.
    fn guest_tsc(&self) -> u64 {
        self.tsc_clock().guest(self.host_tsc())
    }

    /// Makes the guest's counter `value` now, without a trace in IA32_TSC_ADJUST: as when a guest is restored or was paused.
    fn set_guest_tsc(&mut self, value: u64) {
        let offset = self.tsc_clock().with_guest(self.host_tsc(), value).offset;
        self.set_tsc_offset(offset);
    }

    /// Does what WRMSR of IA32_TIME_STAMP_COUNTER does: the counter becomes `value`, and IA32_TSC_ADJUST changes by as much.
    ///
    /// Intel SDM vol. 3, section 20.17.3, "Time-Stamp Counter Adjustment".
    fn write_tsc(&mut self, value: u64) {
        let change = value.wrapping_sub(self.guest_tsc());
        self.move_tsc(change);
    }

    /// Does what WRMSR of IA32_TSC_ADJUST does: it becomes `adjust`, and the counter changes by as much.
    ///
    /// Intel SDM vol. 3, section 20.17.3, "Time-Stamp Counter Adjustment".
    fn write_tsc_adjust(&mut self, adjust: u64) {
        let change = adjust.wrapping_sub(self.tsc_adjust());
        self.move_tsc(change);
    }

    /// Adds `change` to the counter and to IA32_TSC_ADJUST.
    fn move_tsc(&mut self, change: u64) {
        self.set_tsc_offset(self.tsc_clock().offset.wrapping_add(change));
        self.set_tsc_adjust(self.tsc_adjust().wrapping_add(change));
    }

    /// Answers RDTSC, and RDMSR and WRMSR of IA32_TIME_STAMP_COUNTER and IA32_TSC_ADJUST. False if the exit is none of these: then nothing
    /// is done.
    ///
    /// A guest whose CPUID has no IA32_TSC_ADJUST expects #GP for it: ask for that one first.
    ///
    /// # Errors
    ///
    /// As [`next_rip`](Vcpu::next_rip); then nothing is changed.
    fn complete_time(&mut self, kind: &ExitKind) -> Result<bool, SkipError> {
        match *kind {
            ExitKind::Rdtsc | ExitKind::ReadMsr(IA32_TIME_STAMP_COUNTER) => self.complete_edx_eax(self.guest_tsc())?,
            ExitKind::ReadMsr(IA32_TSC_ADJUST) => self.complete_edx_eax(self.tsc_adjust())?,
            ExitKind::WriteMsr { msr: IA32_TIME_STAMP_COUNTER, value } => {
                self.skip_instruction()?;
                self.write_tsc(value);
            }
            ExitKind::WriteMsr { msr: IA32_TSC_ADJUST, value } => {
                self.skip_instruction()?;
                self.write_tsc_adjust(value);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The number of IA32_TIME_STAMP_COUNTER.
pub(crate) const IA32_TIME_STAMP_COUNTER: u32 = 0x10;

/// The number of IA32_TSC_ADJUST.
pub(crate) const IA32_TSC_ADJUST: u32 = 0x3b;

/// A timer of the host that interrupts this processor, such as that of the local APIC.
///
/// What an implementation does wrong makes a run end early or not in time, and no worse.
///
/// ```
/// use core::cell::Cell;
/// use x86_virt_core::HostTimer;
///
/// /// The timer of a local APIC in TSC-deadline mode, which is written only when it must be.
/// struct ApicTimer {
///     armed: Cell<u64>,
///     write_tsc_deadline: fn(u64),
/// }
///
/// impl HostTimer for ApicTimer {
///     fn arm(&self, deadline: u64) {
///         if self.armed.replace(deadline) != deadline {
///             // 0 would disarm it.
///             (self.write_tsc_deadline)(deadline.max(1));
///         }
///     }
///
///     fn disarm(&self) {
///         // An interrupt that is not needed does no harm to this host.
///     }
/// }
/// ```
pub trait HostTimer {
    /// Lets an interrupt come to this processor when its time-stamp counter reaches `deadline`, not before; at once if it has already.
    ///
    /// Called before each entry of [`GuestTime::run_until`], with interrupts disabled.
    fn arm(&self, deadline: u64);

    /// The interrupt is not needed any more. Called after each of these entries, with interrupts disabled.
    fn disarm(&self);
}

/// No timer: a run ends in time only on a processor that has one for guests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NoHostTimer;

impl HostTimer for NoHostTimer {
    fn arm(&self, _deadline: u64) {}

    fn disarm(&self) {}
}

/// Why the guest's counter cannot run with a frequency.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum TscError {
    /// The processor does not scale the counter of a guest.
    #[error("this processor does not scale the time-stamp counter of guests: it lacks {needs}")]
    NoScaling {
        /// What it lacks.
        #[cfg_attr(feature = "arbitrary", arbitrary(value = ""))]
        needs: &'static str,
    },
    /// The processor cannot have such a ratio.
    #[error("the ratio of {guest} to {host} is 0 or too large for this processor")]
    Ratio {
        /// The frequency for the guest.
        guest: u64,
        /// The frequency of the processor.
        host: u64,
    },
}
