//! This processor as a host, whoever made it.

use x86_virt_core::{AddressSpace, CpuPin, Frames, OutOfFrames, VcpuConfig};

use crate::processor::{Processor, Vendor};
use crate::space::Space;
use crate::vcpu::AnyVcpu;

/// This processor with its virtualization extension enabled, until it is dropped.
///
/// It is a [`vmx::VmxRoot`](crate::vmx::VmxRoot) or an [`svm::SvmRoot`](crate::svm::SvmRoot), whichever the processor has.
#[derive(Debug)]
#[non_exhaustive]
pub enum Root<'p, A: Frames> {
    /// Intel VMX.
    #[cfg(feature = "vmx")]
    Vmx(x86_virt_vmx::VmxRoot<'p, A>),
    /// AMD SVM.
    #[cfg(feature = "svm")]
    Svm(x86_virt_svm::SvmRoot<'p, A>),
}

impl<'p, A: Frames> Root<'p, A> {
    /// Enables what the processor has.
    ///
    /// # Errors
    ///
    /// [`EnterError`]; then the processor is as before.
    pub fn enter<P: CpuPin + ?Sized>(pin: &'p P, frames: A) -> Result<Self, EnterError> {
        match Processor::detect().vendor() {
            #[cfg(feature = "vmx")]
            Some(Vendor::Intel) => Ok(Self::Vmx(x86_virt_vmx::VmxRoot::enter(pin, frames)?)),
            #[cfg(feature = "svm")]
            Some(Vendor::Amd) => Ok(Self::Svm(x86_virt_svm::SvmRoot::enter(pin, frames)?)),
            _ => Err(EnterError::NoVirtualization),
        }
    }

    /// Makes guest-physical memory in which nothing is mapped, in the format of this processor.
    ///
    /// # Errors
    ///
    /// [`SpaceError`] if the processor has no nested paging, or there is no frame for the root table.
    pub fn address_space<'m>(&self) -> Result<Space<'m, A>, SpaceError> {
        Ok(match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(root) => Space::Ept(AddressSpace::new(root.capabilities().ept_format()?, root.frames().clone())?),
            #[cfg(feature = "svm")]
            Self::Svm(root) => Space::Npt(AddressSpace::new(root.nested_format()?, root.frames().clone())?),
        })
    }

    /// Makes a virtual processor with `space` as its memory, and loads it. Its registers are as after INIT.
    ///
    /// # Errors
    ///
    /// [`CreateError`] if the processor lacks something, frames run out, or `space` is of another vendor's format.
    pub fn vcpu<'r, 's, 'm>(
        &'r mut self,
        space: &'s Space<'m, A>,
        config: &VcpuConfig,
    ) -> Result<AnyVcpu<'r, 's, 'm, A>, CreateError> {
        // Without `?`, for which a virtual processor would be copied once more: hosts have small stacks.
        match (self, space) {
            #[cfg(feature = "vmx")]
            (Self::Vmx(root), Space::Ept(space)) => match x86_virt_vmx::VmxVcpu::new(root, space, config) {
                Ok(vcpu) => Ok(AnyVcpu::Vmx(vcpu)),
                Err(error) => Err(CreateError::Vmx(error)),
            },
            #[cfg(feature = "svm")]
            (Self::Svm(root), Space::Npt(space)) => match x86_virt_svm::SvmVcpu::new(root, space, config) {
                Ok(vcpu) => Ok(AnyVcpu::Svm(vcpu)),
                Err(error) => Err(CreateError::Svm(error)),
            },
            #[cfg(all(feature = "vmx", feature = "svm"))]
            _ => Err(CreateError::OtherVendorsSpace),
        }
    }

    /// What the processor's virtualization extension has, in words.
    pub fn features(&self) -> impl Iterator<Item = &'static str> {
        #[cfg(feature = "vmx")]
        let vmx = match self {
            Self::Vmx(root) => Some(root.capabilities().feature_names()),
            #[cfg(feature = "svm")]
            Self::Svm(_) => None,
        };
        #[cfg(not(feature = "vmx"))]
        let vmx = None::<core::iter::Empty<&'static str>>;
        #[cfg(feature = "svm")]
        let svm = match self {
            Self::Svm(root) => Some(root.capabilities().feature_names()),
            #[cfg(feature = "vmx")]
            Self::Vmx(_) => None,
        };
        #[cfg(not(feature = "svm"))]
        let svm = None::<core::iter::Empty<&'static str>>;
        vmx.into_iter().flatten().chain(svm.into_iter().flatten())
    }

    /// The vendor.
    #[must_use]
    pub const fn vendor(&self) -> Vendor {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(_) => Vendor::Intel,
            #[cfg(feature = "svm")]
            Self::Svm(_) => Vendor::Amd,
        }
    }
}

/// Why the processor cannot be a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum EnterError {
    /// It has neither VMX nor SVM, as far as this build supports them.
    #[error("this processor has no virtualization extension that this build supports")]
    NoVirtualization,
    /// VMX cannot be entered.
    #[cfg(feature = "vmx")]
    #[error(transparent)]
    Vmx(#[from] x86_virt_vmx::EnterError),
    /// SVM cannot be enabled.
    #[cfg(feature = "svm")]
    #[error(transparent)]
    Svm(#[from] x86_virt_svm::EnterError),
}

impl EnterError {
    /// Whether the processor lacks something, or firmware took it away.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        match self {
            Self::NoVirtualization => true,
            #[cfg(feature = "vmx")]
            Self::Vmx(error) => matches!(error, x86_virt_vmx::EnterError::Unsupported(_)),
            #[cfg(feature = "svm")]
            Self::Svm(error) => matches!(error, x86_virt_svm::EnterError::Unsupported(_)),
        }
    }

    /// Whether somebody else uses the virtualization extension on this processor, such as another hypervisor in the same kernel.
    #[must_use]
    pub const fn is_in_use(&self) -> bool {
        match self {
            Self::NoVirtualization => false,
            #[cfg(feature = "vmx")]
            Self::Vmx(error) => matches!(error, x86_virt_vmx::EnterError::InUse),
            #[cfg(feature = "svm")]
            Self::Svm(error) => matches!(error, x86_virt_svm::EnterError::AlreadyInUse),
        }
    }
}

/// Why guest-physical memory cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum SpaceError {
    /// There is no frame for the root table.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
    /// The processor's EPT is missing or lacks something.
    #[cfg(feature = "vmx")]
    #[error(transparent)]
    Vmx(#[from] x86_virt_vmx::Unsupported),
    /// The processor's nested paging is missing or lacks something.
    #[cfg(feature = "svm")]
    #[error(transparent)]
    Svm(#[from] x86_virt_svm::Unsupported),
}

impl SpaceError {
    /// Whether the processor lacks something.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        !matches!(self, Self::OutOfFrames(_))
    }
}

/// Why a virtual processor cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum CreateError {
    /// The address space has the format of the other vendor.
    #[error("the address space was made for the other vendor's processors")]
    OtherVendorsSpace,
    /// Not with VMX.
    #[cfg(feature = "vmx")]
    #[error(transparent)]
    Vmx(#[from] x86_virt_vmx::CreateError),
    /// Not with SVM.
    #[cfg(feature = "svm")]
    #[error(transparent)]
    Svm(#[from] x86_virt_svm::CreateError),
}

impl CreateError {
    /// Whether the processor lacks something.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        match self {
            Self::OtherVendorsSpace => false,
            #[cfg(feature = "vmx")]
            Self::Vmx(error) => matches!(error, x86_virt_vmx::CreateError::Unsupported(_)),
            #[cfg(feature = "svm")]
            Self::Svm(error) => {
                matches!(error, x86_virt_svm::CreateError::Load(_) | x86_virt_svm::CreateError::Intercept(_))
            }
        }
    }
}

/// Whether an error of this module, as code with `?` and boxed errors gets it, says that the processor lacks something.
#[must_use]
pub fn is_unsupported(error: &(dyn core::error::Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(EnterError::is_unsupported)
        || error.downcast_ref().is_some_and(SpaceError::is_unsupported)
        || error.downcast_ref().is_some_and(CreateError::is_unsupported)
}
