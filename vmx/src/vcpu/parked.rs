//! The virtual processor that is not loaded.
#![expect(unsafe_code, reason = "gives the virtual processor its VPID")]

use x86_virt_core::{Frames, Host, HostXss, SpecCtrlSwitch, StatePolicy, SwitchedMsr};

use super::{Parts, VmxVcpu};
use crate::access::VmcsWrite as _;
use crate::field;
use crate::host_state::HostState;
use crate::instruction_error::VmFail;
use crate::msrs::ResidentMsrs;
use crate::root::VmxRoot;
use crate::vmcs::{CurrentVmcs, Vmcs};
use crate::vpid::{Translations, VpidUse};

/// A virtual processor whose VMCS is clear, so that it may be loaded on any processor.
#[derive(Debug)]
pub struct ParkedVcpu<'s, 'm, A: Frames> {
    pub(super) vmcs: Vmcs<A>,
    pub(super) parts: Parts<'s, 'm, A>,
}

impl<'s, 'm, A: Frames> ParkedVcpu<'s, 'm, A> {
    /// Loads the virtual processor on the processor of `root`.
    ///
    /// # Errors
    ///
    /// [`LoadRefused`] gives it back if the processor differs from the one that it was made for, or an instruction failed.
    #[expect(clippy::result_large_err, reason = "the virtual processor comes back; there is no allocator to box it")]
    // In its callers, as is what it calls, so that their copies are this one's: the stacks of kernels are small.
    #[inline(always)]
    pub fn load<'r>(self, root: &'r mut VmxRoot<'_, A>) -> Result<VmxVcpu<'r, 's, 'm, A>, LoadRefused<'s, 'm, A>> {
        let Self { vmcs, mut parts } = self;
        // One way out for all errors, each of which would copy the virtual processor on the stack.
        match parts.arrive(vmcs, root) {
            Ok(arrival) => Ok(VmxVcpu::arrived(arrival, parts)),
            Err((vmcs, error)) => Err(LoadRefused { error, vcpu: Self { vmcs, parts } }),
        }
    }
}

/// What a virtual processor has where it is loaded.
pub(super) struct Arrival<'r, A: Frames> {
    vmcs: CurrentVmcs<'r, A>,
    host: Host<'r>,
    host_state: HostState,
    xss: HostXss,
    resident: Option<ResidentMsrs<'r>>,
    translations: &'r mut Translations,
}

impl<A: Frames> Parts<'_, '_, A> {
    /// Loads the VMCS on the processor of `root`. The VMCS comes back with an error.
    #[inline(always)]
    pub(super) fn arrive<'r>(
        &mut self,
        vmcs: Vmcs<A>,
        root: &'r mut VmxRoot<'_, A>,
    ) -> Result<Arrival<'r, A>, (Vmcs<A>, LoadError)> {
        if *root.capabilities() != self.capabilities {
            return Err((vmcs, LoadError::OtherProcessor));
        }
        let host = root.host();
        if let Err(msr) = self.software_msrs.load_host(host, SpecCtrlSwitch::Software) {
            return Err((vmcs, LoadError::Msr(msr)));
        }
        let (mut vmcs, translations) =
            root.load_parts(vmcs).map_err(|(vmcs, fail)| (vmcs, LoadError::Instruction(fail)))?;
        let host_state = HostState::load(host, &mut vmcs);
        self.msrs.load_host(host);
        self.mode = None;
        self.switch.host_rsp = 0;
        if let Some(vpid) = translations.arrive(self.vpid) {
            self.vpid = Some(vpid);
            self.is_new = true;
            self.needs_flush = false;
            self.forget_generations();
            if self.vpids == VpidUse::OneEach {
                let value = u16::try_from(vpid.get()).unwrap_or(0);
                // SAFETY: no other virtual processor has it on this processor before all have been invalidated.
                unsafe { vmcs.put_sensitive(field::VIRTUAL_PROCESSOR_ID, value) };
            }
        }
        let resident = match self.chosen.state {
            StatePolicy::Switched => None,
            StatePolicy::Resident | StatePolicy::ResidentSegments => Some(ResidentMsrs::new(host, &self.msrs)),
        };
        let xss = HostXss::read(host);
        Ok(Arrival { vmcs, host, host_state, xss, resident, translations })
    }
}

impl<'r, 's, 'm, A: Frames> VmxVcpu<'r, 's, 'm, A> {
    /// A virtual processor that has been loaded.
    #[inline(always)]
    pub(super) fn arrived(arrival: Arrival<'r, A>, parts: Parts<'s, 'm, A>) -> Self {
        let Arrival { vmcs, host, host_state, xss, resident, translations } = arrival;
        Self { vmcs, host, host_state, xss, resident, translations, kick: None, parts }
    }
}

/// A virtual processor that was not loaded, and why.
#[derive(Debug)]
pub struct LoadRefused<'s, 'm, A: Frames> {
    /// Why.
    pub error: LoadError,
    /// The virtual processor.
    pub vcpu: ParkedVcpu<'s, 'm, A>,
}

/// Why a virtual processor could not be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum LoadError {
    /// The processor has other capabilities than the one that the virtual processor was made for.
    #[error("the processor has other capabilities than the one that the virtual processor was made for")]
    OtherProcessor,
    /// The guest has a value in this MSR that the processor does not take.
    #[error("the processor does not take the guest's {}", .0.name())]
    Msr(SwitchedMsr),
    /// VMCLEAR or VMPTRLD failed.
    #[error("the VMCS could not be loaded: {0}")]
    Instruction(VmFail),
}
