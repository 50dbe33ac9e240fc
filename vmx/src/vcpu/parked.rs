//! The virtual processor that is not loaded.
#![expect(unsafe_code, reason = "gives the virtual processor its VPID")]

use x86_virt_core::{Frames, HostXss, SpecCtrlSwitch, StatePolicy, SwitchedMsr};

use super::{Parts, VmxVcpu};
use crate::access::VmcsWrite as _;
use crate::field;
use crate::host_state::HostState;
use crate::instruction_error::VmFail;
use crate::msrs::ResidentMsrs;
use crate::root::VmxRoot;
use crate::vmcs::Vmcs;
use crate::vpid::VpidUse;

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
    // In its callers, so that their copies are this one's: the stacks of kernels are small.
    #[inline(always)]
    pub fn load<'r>(self, root: &'r mut VmxRoot<'_, A>) -> Result<VmxVcpu<'r, 's, 'm, A>, LoadRefused<'s, 'm, A>> {
        if *root.capabilities() != self.parts.capabilities {
            return Err(LoadRefused { error: LoadError::OtherProcessor, vcpu: self });
        }
        let Self { vmcs, mut parts } = self;
        let host = root.host();
        // One way out for both errors: each would copy the virtual processor on the stack.
        let loaded = match parts.software_msrs.load_host(host, SpecCtrlSwitch::Software) {
            Ok(()) => root.load_parts(vmcs).map_err(|(vmcs, fail)| (vmcs, LoadError::Instruction(fail))),
            Err(msr) => Err((vmcs, LoadError::Msr(msr))),
        };
        match loaded {
            Ok((mut vmcs, translations)) => {
                let host_state = HostState::load(host, &mut vmcs);
                parts.msrs.load_host(host);
                parts.mode = None;
                parts.switch.host_rsp = 0;
                if let Some(vpid) = translations.arrive(parts.vpid) {
                    parts.vpid = Some(vpid);
                    parts.is_new = true;
                    parts.needs_flush = false;
                    parts.forget_generations();
                    if parts.vpids == VpidUse::OneEach {
                        let value = u16::try_from(vpid.get()).unwrap_or(0);
                        // SAFETY: no other virtual processor has it on this processor before all have been invalidated.
                        unsafe { vmcs.put_sensitive(field::VIRTUAL_PROCESSOR_ID, value) };
                    }
                }
                let resident = match parts.chosen.state {
                    StatePolicy::Switched => None,
                    StatePolicy::Resident | StatePolicy::ResidentSegments => Some(ResidentMsrs::new(host, &parts.msrs)),
                };
                let xss = HostXss::read(host);
                Ok(VmxVcpu { vmcs, host, host_state, xss, resident, translations, kick: None, parts })
            }
            Err((vmcs, error)) => Err(LoadRefused { error, vcpu: Self { vmcs, parts } }),
        }
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
