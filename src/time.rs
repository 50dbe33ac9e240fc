//! The guest's time, of the vendor that the processor has.

use x86_virt_core::{Exit, Frames, GuestTime, HostTimer, TscClock, TscError};

use crate::vcpu::{AnyVcpu, EntryError, Reason, either};

impl<A: Frames> GuestTime for AnyVcpu<'_, '_, '_, A> {
    fn tsc_clock(&self) -> TscClock {
        either!(self, vcpu => vcpu.tsc_clock())
    }

    fn host_tsc(&self) -> u64 {
        either!(self, vcpu => vcpu.host_tsc())
    }

    fn set_tsc_offset(&mut self, offset: u64) {
        either!(self, vcpu => vcpu.set_tsc_offset(offset));
    }

    fn set_tsc_frequency(&mut self, guest: u64, host: u64) -> Result<(), TscError> {
        either!(self, vcpu => vcpu.set_tsc_frequency(guest, host))
    }

    fn tsc_adjust(&self) -> u64 {
        either!(self, vcpu => vcpu.tsc_adjust())
    }

    fn set_tsc_adjust(&mut self, adjust: u64) {
        either!(self, vcpu => vcpu.set_tsc_adjust(adjust));
    }

    fn run_until(&mut self, deadline: u64, timer: &impl HostTimer) -> Result<Exit<Reason>, EntryError> {
        Ok(match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(vcpu) => {
                let Exit { kind, reason } = vcpu.run_until(deadline, timer)?;
                Exit { kind, reason: Reason::Vmx(reason) }
            }
            #[cfg(feature = "svm")]
            Self::Svm(vcpu) => {
                let Exit { kind, reason } = vcpu.run_until(deadline, timer)?;
                Exit { kind, reason: Reason::Svm(reason) }
            }
        })
    }
}
