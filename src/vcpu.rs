//! A virtual processor of the vendor that the processor has.

use core::fmt;
use core::iter;
use core::ops::RangeInclusive;

use x86_virt_core::{
    Activity, ControlRegister, CpuState, DescriptorTable, Efer, Event, Events, Exit, ExtendedState, FetchedInstruction,
    Frames, Gprs, Interruptibility, Kick, MsrAccess, MsrRangeError, PendingDebugExceptions, Rflags, Segment,
    SegmentRegister, SkipError, StateError, SwitchedMsr, Vcpu, VcpuState,
};

use crate::check::{Report, Rule, Violation};
use crate::root::CreateError;
use crate::space::Space;

/// A virtual processor: VMX's or SVM's, whichever the processor has.
///
/// [`Root::vcpu`](crate::Root::vcpu) makes it. Code that is generic over [`Vcpu`] runs it as it runs the vendors' own.
#[derive(Debug)]
#[non_exhaustive]
#[cfg_attr(
    all(feature = "vmx", feature = "svm"),
    expect(clippy::large_enum_variant, reason = "there is no allocator to box the larger one")
)]
pub enum AnyVcpu<'r, 's, 'm, A: Frames> {
    /// Intel VMX.
    #[cfg(feature = "vmx")]
    Vmx(x86_virt_vmx::VmxVcpu<'r, 's, 'm, A>),
    /// AMD SVM.
    #[cfg(feature = "svm")]
    Svm(x86_virt_svm::SvmVcpu<'r, 's, 'm, A>),
}

/// The vendor's reason of an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(all(feature = "arbitrary", any(feature = "vmx", feature = "svm")), derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum Reason {
    /// Intel VMX.
    #[cfg(feature = "vmx")]
    Vmx(x86_virt_vmx::ExitReason),
    /// AMD SVM.
    #[cfg(feature = "svm")]
    Svm(x86_virt_svm::SvmExit),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(reason) => reason.fmt(f),
            #[cfg(feature = "svm")]
            Self::Svm(reason) => reason.fmt(f),
        }
    }
}

/// Why an entry did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(all(feature = "arbitrary", any(feature = "vmx", feature = "svm")), derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum EntryError {
    /// Intel VMX.
    #[cfg(feature = "vmx")]
    #[error(transparent)]
    Vmx(#[from] x86_virt_vmx::EntryError),
    /// AMD SVM.
    #[cfg(feature = "svm")]
    #[error(transparent)]
    Svm(#[from] x86_virt_svm::EntryError),
}

/// Does the same with either vendor's virtual processor.
macro_rules! either {
    ($self:expr, $vcpu:ident => $body:expr) => {
        match $self {
            #[cfg(feature = "vmx")]
            $crate::vcpu::AnyVcpu::Vmx($vcpu) => $body,
            #[cfg(feature = "svm")]
            $crate::vcpu::AnyVcpu::Svm($vcpu) => $body,
        }
    };
}

pub(crate) use either;

impl<'s, 'm, A: Frames> AnyVcpu<'_, 's, 'm, A> {
    /// Gives the guest `space` as its memory from the next entry on, which invalidates what was translated before.
    ///
    /// # Errors
    ///
    /// [`CreateError`] if `space` is of another vendor's format, or cannot be used on this processor; then nothing is changed.
    pub fn set_space(&mut self, space: &'s Space<'m, A>) -> Result<(), CreateError> {
        match (self, space) {
            #[cfg(feature = "vmx")]
            (Self::Vmx(vcpu), Space::Ept(space)) => {
                vcpu.set_space(space).map_err(x86_virt_vmx::CreateError::Controls)?
            }
            #[cfg(feature = "svm")]
            (Self::Svm(vcpu), Space::Npt(space)) => vcpu.set_space(space).map_err(x86_virt_svm::CreateError::Load)?,
            #[cfg(all(feature = "vmx", feature = "svm"))]
            _ => return Err(CreateError::OtherVendorsSpace),
        }
        Ok(())
    }

    /// Which rules of entries the next run would break. A run does not do this.
    #[must_use]
    pub fn check(&self) -> Report<'_> {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(vcpu) => Report::Vmx(vcpu.check()),
            #[cfg(feature = "svm")]
            Self::Svm(vcpu) => Report::Svm(vcpu.check()),
        }
    }

    /// The rules by which the last run failed with `error`, with the values of now. Nothing may have been changed since.
    pub fn why(&self, error: &EntryError) -> impl Iterator<Item = Violation> {
        let all = iter::empty();
        #[cfg(feature = "vmx")]
        let all = all.chain(
            match (self, error) {
                (Self::Vmx(vcpu), EntryError::Vmx(error)) => Some(vcpu.why(error).map(Violation::Vmx)),
                #[cfg(feature = "svm")]
                _ => None,
            }
            .into_iter()
            .flatten(),
        );
        #[cfg(feature = "svm")]
        let all = all.chain(
            match (self, error) {
                (Self::Svm(vcpu), EntryError::Svm(error)) => Some(vcpu.why(error).map(Violation::Svm)),
                #[cfg(feature = "vmx")]
                _ => None,
            }
            .into_iter()
            .flatten(),
        );
        all
    }
}

impl EntryError {
    /// The rules that the entry broke, in the order of the manual. If there are none, something else was wrong, or the processor
    /// checks more than is known here.
    pub fn violated(&self) -> impl Iterator<Item = Rule> + use<> {
        let all = iter::empty();
        #[cfg(feature = "vmx")]
        let all = all.chain(
            match self {
                Self::Vmx(error) => Some(error.violated().iter().map(Rule::Vmx)),
                #[cfg(feature = "svm")]
                Self::Svm(_) => None,
            }
            .into_iter()
            .flatten(),
        );
        #[cfg(feature = "svm")]
        let all = all.chain(
            match self {
                #[cfg(feature = "vmx")]
                Self::Vmx(_) => None,
                Self::Svm(error) => Some(error.violated().iter().map(Rule::Svm)),
            }
            .into_iter()
            .flatten(),
        );
        all
    }

    /// The first of them, with the values that its fields had.
    #[must_use]
    pub fn first(&self) -> Option<Violation> {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(error) => error.first().copied().map(Violation::Vmx),
            #[cfg(feature = "svm")]
            Self::Svm(error) => error.first().copied().map(Violation::Svm),
        }
    }
}

impl<'s, A: Frames> AnyVcpu<'_, 's, '_, A> {
    /// Lets `kick` take the virtual processor out of the guest while it is loaded here. `processor` is the number that [`Kick::kick`]
    /// gives to who shall interrupt it.
    pub const fn set_kick(&mut self, kick: &'s Kick, processor: u32) {
        either!(self, vcpu => vcpu.set_kick(kick, processor));
    }
}

/// Methods that only pass on.
macro_rules! pass_on {
    ($(fn $name:ident(&self $(, $argument:ident: $type:ty)*) $(-> $result:ty)?;)*) => {
        $(fn $name(&self $(, $argument: $type)*) $(-> $result)? {
            either!(self, vcpu => vcpu.$name($($argument),*))
        })*
    };
    ($(mut fn $name:ident(&mut self $(, $argument:ident: $type:ty)*) $(-> $result:ty)?;)*) => {
        $(fn $name(&mut self $(, $argument: $type)*) $(-> $result)? {
            either!(self, vcpu => vcpu.$name($($argument),*))
        })*
    };
}

#[expect(unsafe_code, reason = "passes the caller's promise on")]
impl<A: Frames> Vcpu for AnyVcpu<'_, '_, '_, A> {
    type Reason = Reason;
    type EntryError = EntryError;

    fn run(&mut self) -> Result<Exit<Reason>, EntryError> {
        Ok(match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(vcpu) => {
                let Exit { kind, reason } = vcpu.run()?;
                Exit { kind, reason: Reason::Vmx(reason) }
            }
            #[cfg(feature = "svm")]
            Self::Svm(vcpu) => {
                let Exit { kind, reason } = vcpu.run()?;
                Exit { kind, reason: Reason::Svm(reason) }
            }
        })
    }

    pass_on! {
        fn gprs(&self) -> &Gprs;
        fn rip(&self) -> u64;
        fn rsp(&self) -> u64;
        fn rflags(&self) -> Rflags;
        fn control(&self, register: ControlRegister) -> u64;
        fn efer(&self) -> Efer;
        fn segment(&self, register: SegmentRegister) -> Segment;
        fn gdtr(&self) -> DescriptorTable;
        fn idtr(&self) -> DescriptorTable;
        fn breakpoints(&self) -> [u64; 4];
        fn dr6(&self) -> u64;
        fn dr7(&self) -> u64;
        fn xcr0(&self) -> u64;
        fn msr(&self, msr: SwitchedMsr) -> u64;
        fn next_rip(&self) -> Result<u64, SkipError>;
        fn interruptibility(&self) -> Interruptibility;
        fn events(&self) -> &Events;
        fn fetched_instruction(&self) -> FetchedInstruction;
        fn activity(&self) -> Activity;
        fn pending_debug(&self) -> PendingDebugExceptions;
        fn save_extended(&self, state: &mut Option<ExtendedState>);
        fn check_state(&self, state: &VcpuState) -> Result<(), StateError>;
    }

    pass_on! {
        mut fn settle(&mut self);
        mut fn gprs_mut(&mut self) -> &mut Gprs;
        mut fn set_rip(&mut self, rip: u64);
        mut fn set_rsp(&mut self, rsp: u64);
        mut fn set_rflags(&mut self, rflags: Rflags);
        mut fn set_control(&mut self, register: ControlRegister, value: u64) -> Result<(), StateError>;
        mut fn set_efer(&mut self, efer: Efer);
        mut fn set_segment(&mut self, register: SegmentRegister, segment: Segment);
        mut fn set_gdtr(&mut self, table: DescriptorTable);
        mut fn set_idtr(&mut self, table: DescriptorTable);
        mut fn set_breakpoints(&mut self, addresses: [u64; 4]) -> Result<(), StateError>;
        mut fn set_dr6(&mut self, dr6: u64);
        mut fn set_dr7(&mut self, dr7: u64);
        mut fn set_xcr0(&mut self, xcr0: u64) -> Result<(), StateError>;
        mut fn set_msr(&mut self, msr: SwitchedMsr, value: u64) -> Result<(), StateError>;
        mut fn clear_shadow(&mut self);
        mut fn raise_single_step(&mut self);
        mut fn events_mut(&mut self) -> &mut Events;
        mut fn cancel_event(&mut self) -> Option<Event>;
        mut fn pass_msr(&mut self, msr: SwitchedMsr, access: MsrAccess);
        mut fn intercept_msr(&mut self, msr: u32, access: MsrAccess);
        mut fn intercept_ports(&mut self, ports: RangeInclusive<u16>);
        mut fn set_state(&mut self, state: &CpuState) -> Result<(), StateError>;
        mut fn set_activity(&mut self, activity: Activity) -> Result<(), StateError>;
        mut fn set_pending_debug(&mut self, pending: PendingDebugExceptions);
        mut fn set_blocking(&mut self, blocking: Interruptibility);
        mut fn set_extended(&mut self, state: &ExtendedState) -> Result<(), StateError>;
    }

    unsafe fn pass_host_msr(&mut self, msr: u32, access: MsrAccess) -> Result<(), MsrRangeError> {
        // SAFETY: the caller's promise is the same.
        either!(self, vcpu => unsafe { vcpu.pass_host_msr(msr, access) })
    }

    unsafe fn pass_ports(&mut self, ports: RangeInclusive<u16>) {
        // SAFETY: the caller's promise is the same.
        either!(self, vcpu => unsafe { vcpu.pass_ports(ports) });
    }
}
