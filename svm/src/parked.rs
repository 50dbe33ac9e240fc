//! The virtual processor that is not loaded.

use core::fmt;

use x86_virt_core::fpu::FpuState;
use x86_virt_core::{
    Activity, AddressSpace, CpuState, Events, Format, FpuPolicy, Frames, Gprs, Host, OutOfFrames, SoftwareMsrs,
    SpecCtrlSwitch, StateError, SwitchedMsr, Tag, VcpuConfig,
};
use x86_virt_npt::{NptControls, NptFormat, Pat};

use crate::cpuid::SvmFeatures;
use crate::exit::SvmExit;
use crate::exit_code::ExitCode;
use crate::guest_controls::Chosen;
use crate::guest_time::Time;
use crate::intercept::InterceptSet;
use crate::iopm::Iopm;
use crate::msrpm::Msrpm;
use crate::nmi::{NmiBlocking, keep_blocking};
use crate::register::{Mode, dr6};
use crate::root::{HostPaging, SvmRoot};
use crate::vcpu::SvmVcpu;
use crate::vmcb::{CleanBits, NestedControl, VirtualInterruptControl, VmcbFrame, control, save};

/// A virtual processor that is not loaded. It may move to another processor and be loaded there.
///
/// ```no_run
/// # use x86_virt_core::Frames;
/// use x86_virt_svm::{LoadError, ParkedVcpu, SvmRoot};
///
/// fn go_on<'s, 'm, A: Frames>(
///     parked: ParkedVcpu<'s, 'm, A>,
///     root: &mut SvmRoot<'_, A>,
/// ) -> Result<ParkedVcpu<'s, 'm, A>, LoadError> {
///     let vcpu = parked.load(root).map_err(|refused| refused.error)?;
///     // Run it here, then:
///     Ok(vcpu.unload())
/// }
/// ```
pub struct ParkedVcpu<'s, 'm, A: Frames> {
    /// Its addresses are those of the maps below and of the root of `space`, which live as long as it.
    pub(crate) vmcb: VmcbFrame<A>,
    pub(crate) msrpm: Msrpm<A>,
    pub(crate) iopm: Iopm<A>,
    pub(crate) fpu: FpuState<A>,
    pub(crate) gprs: Gprs,
    pub(crate) space: &'s AddressSpace<'m, NptFormat, A>,
    pub(crate) intercepts: InterceptSet,
    pub(crate) events: Events,
    pub(crate) nmi: NmiBlocking,
    pub(crate) exit: Option<SvmExit>,
    /// What it runs under, on the processor where it last ran.
    pub(crate) asid: Option<Tag>,
    /// What the TLB holds under `asid` may be wrong.
    pub(crate) needs_flush: bool,
    /// The generation of `space` that the TLB has been flushed at, under `asid`; 0 if it has never run under it.
    pub(crate) generation: u64,
    /// DR0 to DR3.
    pub(crate) breakpoints: [u64; 4],
    pub(crate) activity: Activity,
    pub(crate) time: Time,
    pub(crate) chosen: Chosen,
    pub(crate) software_msrs: SoftwareMsrs,
}

impl<'s, 'm, A: Frames> ParkedVcpu<'s, 'm, A> {
    // Out of line, for the sake of hosts with a small stack: it moves much by value.
    #[inline(never)]
    pub(crate) fn new(
        host: Host<'_>,
        frames: &A,
        space: &'s AddressSpace<'m, NptFormat, A>,
        config: &VcpuConfig,
    ) -> Result<Self, OutOfFrames> {
        let fpu = match config.fpu() {
            FpuPolicy::Switched => FpuState::switched(host, frames)?,
            FpuPolicy::Shared => FpuState::shared(),
        };
        let mut guest = Self {
            vmcb: VmcbFrame::zeroed(frames)?,
            msrpm: Msrpm::new(frames)?,
            iopm: Iopm::new(frames)?,
            fpu,
            gprs: Gprs::default(),
            space,
            intercepts: InterceptSet::of(config),
            events: Events::new(),
            nmi: NmiBlocking::Open,
            exit: None,
            asid: None,
            needs_flush: false,
            generation: 0,
            breakpoints: [0; 4],
            activity: Activity::Running,
            time: Time::new(),
            chosen: Chosen::new(config),
            software_msrs: SoftwareMsrs::default(),
        };
        guest.set_up();
        Ok(guest)
    }

    /// Fills the control area, and the registers with their values after INIT.
    fn set_up(&mut self) {
        let vmcb = &mut self.vmcb;
        vmcb.set_intercepts(self.intercepts);
        vmcb.write(control::IOPM_BASE_PA, self.iopm.hpa());
        vmcb.write(control::MSRPM_BASE_PA, self.msrpm.hpa());
        vmcb.write(control::VIRTUAL_INTERRUPT_CONTROL, VirtualInterruptControl::new().with_v_intr_masking(true));
        vmcb.write(control::NESTED_CTL, nested_control(self.space.format()));
        vmcb.write(control::N_CR3, self.space.root().get());
        vmcb.write(save::G_PAT, Pat::RESET.get());
        vmcb.write(save::DR6, dr6(0));
        self.write_state(&CpuState::real_mode(0xf000, 0xfff0));
    }

    /// Loads it on the processor of `root`.
    ///
    /// # Errors
    ///
    /// [`LoadRefused`] gives it back if the processor differs from the one that its address space was made for.
    #[expect(clippy::result_large_err, reason = "the virtual processor goes back to the caller")]
    pub fn load<'r>(mut self, root: &'r mut SvmRoot<'_, A>) -> Result<SvmVcpu<'r, 's, 'm, A>, LoadRefused<'s, 'm, A>> {
        let (host, processor) = root.parts();
        let controls = processor.capabilities.nested_controls();
        if let Err(error) = check_host(self.space.format(), HostPaging::read(host), controls) {
            return Err(LoadRefused { error, vcpu: self });
        }
        if let Err(msr) = self.load_software_msrs(host, processor.capabilities.features()) {
            return Err(LoadRefused { error: LoadError::Msr(msr), vcpu: self });
        }
        if self.asid.is_none_or(|asid| !processor.asids.is_valid(asid)) {
            // What must be flushed is asked again at the entry.
            let (asid, _) = processor.asids.keep(self.asid);
            processor.flushes.asids += 1;
            self.asid = Some(asid);
            self.needs_flush = false;
            self.generation = 0;
            self.vmcb.write(control::GUEST_ASID, asid.get());
        }
        processor.load_host_state(host);
        self.keep_nmi_blocking(processor.capabilities.features());
        // The processor may have kept parts of another VMCB at this address, or of this one from before it moved.
        self.vmcb.set_clean(CleanBits::NONE);
        Ok(SvmVcpu::loaded(host, processor, self))
    }

    /// Takes the host's values of the MSRs that VMRUN does not switch, and puts the guest's SPEC_CTRL where this processor has it.
    fn load_software_msrs(&mut self, host: Host<'_>, features: SvmFeatures) -> Result<(), SwitchedMsr> {
        let mut msrs = self.software_msrs;
        let value = self.spec_ctrl();
        // On the processor before, it was valid.
        let _valid = msrs.set_guest(SwitchedMsr::SpecCtrl, value);
        let has_field = features.spec_ctrl();
        msrs.load_host(host, if has_field { SpecCtrlSwitch::Processor } else { SpecCtrlSwitch::Software })?;
        self.software_msrs = msrs;
        self.vmcb.write(save::SPEC_CTRL, if has_field { value } else { 0 });
        Ok(())
    }

    /// SPEC_CTRL of the guest.
    pub(crate) fn spec_ctrl(&self) -> u64 {
        match self.software_msrs.spec_ctrl() {
            SpecCtrlSwitch::Processor => self.vmcb.read(save::SPEC_CTRL),
            SpecCtrlSwitch::Software => self.software_msrs.guest(SwitchedMsr::SpecCtrl).unwrap_or(0),
        }
    }

    /// Sets SPEC_CTRL or TSC_AUX of the guest.
    pub(crate) fn set_software_msr(&mut self, msr: SwitchedMsr, value: u64) -> Result<(), StateError> {
        self.software_msrs.set_guest(msr, value)?;
        if msr == SwitchedMsr::SpecCtrl && self.software_msrs.spec_ctrl() == SpecCtrlSwitch::Processor {
            self.vmcb.write(save::SPEC_CTRL, value);
        }
        Ok(())
    }

    fn keep_nmi_blocking(&mut self, features: SvmFeatures) {
        let before = self.vmcb.read(control::VIRTUAL_INTERRUPT_CONTROL);
        let (nmi, interrupts) = keep_blocking(features, self.nmi, before);
        if interrupts != before {
            self.vmcb.write(control::VIRTUAL_INTERRUPT_CONTROL, interrupts);
            self.nmi = nmi;
            let without = self.intercepts.without(ExitCode::IRET);
            self.intercepts = if nmi.is_blocked() { without.with(ExitCode::IRET) } else { without };
            self.vmcb.set_intercepts(self.intercepts);
        }
    }

    /// The registers that say how linear addresses are translated, as the guest sees them.
    pub(crate) fn mode(&self) -> Mode {
        Mode {
            cr0: self.vmcb.read(save::CR0),
            cr4: self.vmcb.read(save::CR4),
            efer: self.vmcb.read(save::EFER).with_svme(false),
        }
    }
}

/// Whether `format` is one of a host with these modes, on a processor with these controls. With another number of levels, a guest
/// would reach other memory.
pub(crate) fn check_host(format: &NptFormat, host: HostPaging, controls: NptControls) -> Result<(), LoadError> {
    if format.levels() != host.levels {
        return Err(LoadError::Levels { space: format.levels(), host: host.levels });
    }
    if format.has_no_execute() && !host.has_no_execute {
        return Err(LoadError::NoExecute);
    }
    if format.pat() != host.pat {
        return Err(LoadError::Pat { space: format.pat(), host: host.pat });
    }
    check_controls(format.controls(), controls)
}

/// The control that the entries of the tables need.
pub(crate) const fn nested_control(format: &NptFormat) -> NestedControl {
    let tables = format.controls();
    NestedControl::new()
        .with_np_enable(true)
        .with_gmet(tables.guest_mode_execute_trap())
        .with_sss_check(tables.supervisor_shadow_stack_check())
}

/// Whether the processor has what the entries of the tables need.
const fn check_controls(tables: NptControls, has: NptControls) -> Result<(), LoadError> {
    if tables.guest_mode_execute_trap() && !has.guest_mode_execute_trap() {
        return Err(LoadError::GuestModeExecuteTrap);
    }
    if tables.supervisor_shadow_stack_check() && !has.supervisor_shadow_stack_check() {
        return Err(LoadError::SupervisorShadowStack);
    }
    Ok(())
}

impl<A: Frames> fmt::Debug for ParkedVcpu<'_, '_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParkedVcpu")
            .field("rip", &self.vmcb.read(save::RIP))
            .field("last_exit", &self.exit)
            .field("pending", &self.events.pending())
            .finish_non_exhaustive()
    }
}

/// A virtual processor that could not be loaded, and why.
#[derive(Debug)]
pub struct LoadRefused<'s, 'm, A: Frames> {
    /// Why.
    pub error: LoadError,
    /// The virtual processor, as it was.
    pub vcpu: ParkedVcpu<'s, 'm, A>,
}

/// Why a virtual processor cannot be loaded on a processor.
///
/// ```
/// use x86_virt_svm::LoadError;
///
/// let error = LoadError::Levels { space: 4, host: 5 };
/// assert_eq!(error.to_string(), "nested tables of 4 levels on a host with 5 levels");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum LoadError {
    /// The host has another number of levels of page tables, and so has nested paging.
    #[error("nested tables of {space} levels on a host with {host} levels")]
    Levels {
        /// Of the address space.
        space: u8,
        /// Of the host.
        host: u8,
    },
    /// Pages of the space withhold execute permission, and EFER.NXE of the host is 0.
    #[error("nested tables with no-execute bits on a host with EFER.NXE = 0")]
    NoExecute,
    /// The guest has a value in this MSR that the processor does not take.
    #[error("the processor does not take the guest's {}", .0.name())]
    Msr(SwitchedMsr),
    /// The tables need guest mode execute trap (GMET), which the processor does not have.
    #[error("nested tables with guest mode execute trap on a processor without it")]
    GuestModeExecuteTrap,
    /// The tables need supervisor shadow stack restrictions, which the processor does not have.
    #[error("nested tables with supervisor shadow stack restrictions on a processor without them")]
    SupervisorShadowStack,
    /// The host has another PAT, in which the memory types of the space are others.
    #[error("nested tables for a host with {space:?} on a host with {host:?}")]
    Pat {
        /// Of the address space.
        space: Pat,
        /// Of the host.
        host: Pat,
    },
}

#[cfg(test)]
mod tests {
    use static_assertions::{assert_impl_all, assert_not_impl_any};
    use x86_virt_npt::{NptControls, NptFormat, Pat};

    use super::{LoadError, ParkedVcpu, check_controls, check_host};
    use crate::root::HostPaging;
    use crate::vcpu::SvmVcpu;
    use x86_virt_core::testing::FakeFrames;

    assert_impl_all!(ParkedVcpu<'static, 'static, FakeFrames>: Send);
    assert_not_impl_any!(SvmVcpu<'static, 'static, 'static, FakeFrames>: Send, Sync);

    #[test]
    fn a_space_of_another_host_is_refused() {
        let format = NptFormat::new(Pat::RESET, 48).unwrap();
        let host = HostPaging { pat: Pat::RESET, levels: 4, has_no_execute: false };
        let none = NptControls::new();
        assert_eq!(check_host(&format, host, none), Ok(()));
        let five = HostPaging { levels: 5, ..host };
        assert_eq!(check_host(&format, five, none), Err(LoadError::Levels { space: 4, host: 5 }));
        assert_eq!(check_host(&format.with_no_execute(), host, none), Err(LoadError::NoExecute));
        let pat = Pat::new(0x0606_0606_0606_0606);
        assert!(matches!(check_host(&format, HostPaging { pat, ..host }, none), Err(LoadError::Pat { .. })));
    }

    #[test]
    fn a_space_whose_entries_mean_nothing_here_is_refused() {
        let [none, trap, check] = [0, 1, 2].map(NptControls::from_bits);
        for controls in [none, trap, check] {
            assert_eq!(check_controls(controls, controls), Ok(()));
        }
        assert_eq!(check_controls(trap, check), Err(LoadError::GuestModeExecuteTrap));
        assert_eq!(check_controls(check, trap), Err(LoadError::SupervisorShadowStack));
    }
}
