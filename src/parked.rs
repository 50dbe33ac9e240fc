//! A virtual processor that is not loaded, of the vendor that the processor has.

use core::fmt;

use x86_virt_core::Frames;

use crate::root::Root;
use crate::vcpu::AnyVcpu;

/// A virtual processor that is not loaded. It may move to another processor and be loaded there.
///
/// A host that is itself scheduled parks its virtual processors before it lets others run:
///
/// ```no_run
/// use x86_virt::{AnyParkedVcpu, ExitKind, Frames, Root, Vcpu};
///
/// /// Lets the guest run until the host has something else to do.
/// fn slice<'s, 'm, A: Frames>(
///     parked: AnyParkedVcpu<'s, 'm, A>,
///     root: &mut Root<'_, A>,
/// ) -> Result<(ExitKind, AnyParkedVcpu<'s, 'm, A>), Box<dyn core::error::Error>> {
///     let mut vcpu = parked.load(root).map_err(|refused| refused.error)?;
///     let exit = vcpu.run()?;
///     Ok((exit.kind, vcpu.unload()?))
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
#[cfg_attr(
    all(feature = "vmx", feature = "svm"),
    expect(clippy::large_enum_variant, reason = "there is no allocator to box the larger one")
)]
pub enum AnyParkedVcpu<'s, 'm, A: Frames> {
    /// Intel VMX.
    #[cfg(feature = "vmx")]
    Vmx(x86_virt_vmx::ParkedVcpu<'s, 'm, A>),
    /// AMD SVM.
    #[cfg(feature = "svm")]
    Svm(x86_virt_svm::ParkedVcpu<'s, 'm, A>),
}

impl<'s, 'm, A: Frames> AnyParkedVcpu<'s, 'm, A> {
    /// Loads it on the processor of `root`.
    ///
    /// # Errors
    ///
    /// [`LoadRefused`] gives it back if the processor differs from the one that it was made for.
    #[expect(clippy::result_large_err, reason = "the virtual processor comes back; there is no allocator to box it")]
    #[inline]
    pub fn load<'r>(self, root: &'r mut Root<'_, A>) -> Result<AnyVcpu<'r, 's, 'm, A>, LoadRefused<'s, 'm, A>> {
        // Not a match on both, which would copy the virtual processor: hosts have small stacks.
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(vcpu) => match root {
                Root::Vmx(root) => match vcpu.load(root) {
                    Ok(vcpu) => Ok(AnyVcpu::Vmx(vcpu)),
                    Err(refused) => {
                        Err(LoadRefused { error: LoadError::Vmx(refused.error), vcpu: Self::Vmx(refused.vcpu) })
                    }
                },
                #[cfg(feature = "svm")]
                Root::Svm(_) => Err(LoadRefused { error: LoadError::OtherVendor, vcpu: Self::Vmx(vcpu) }),
            },
            #[cfg(feature = "svm")]
            Self::Svm(vcpu) => match root {
                Root::Svm(root) => match vcpu.load(root) {
                    Ok(vcpu) => Ok(AnyVcpu::Svm(vcpu)),
                    Err(refused) => {
                        Err(LoadRefused { error: LoadError::Svm(refused.error), vcpu: Self::Svm(refused.vcpu) })
                    }
                },
                #[cfg(feature = "vmx")]
                Root::Vmx(_) => Err(LoadRefused { error: LoadError::OtherVendor, vcpu: Self::Svm(vcpu) }),
            },
        }
    }
}

impl<'s, 'm, A: Frames> AnyVcpu<'_, 's, 'm, A> {
    /// Takes the virtual processor off this processor, so that it may move to another one.
    ///
    /// # Errors
    ///
    /// How VMCLEAR fails, which a valid VMCS never makes it do.
    #[inline]
    pub fn unload(self) -> Result<AnyParkedVcpu<'s, 'm, A>, UnloadError> {
        Ok(match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(vcpu) => AnyParkedVcpu::Vmx(vcpu.unload().map_err(UnloadError::Vmx)?),
            #[cfg(feature = "svm")]
            Self::Svm(vcpu) => AnyParkedVcpu::Svm(vcpu.unload()),
        })
    }
}

/// A virtual processor that was not loaded, and why.
#[derive(Debug)]
pub struct LoadRefused<'s, 'm, A: Frames> {
    /// Why.
    pub error: LoadError,
    /// The virtual processor, as it was.
    pub vcpu: AnyParkedVcpu<'s, 'm, A>,
}

impl<A: Frames> fmt::Display for LoadRefused<'_, '_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// Why a virtual processor cannot be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum LoadError {
    /// The processor is of the other vendor.
    #[error("the virtual processor was made for the other vendor's processors")]
    OtherVendor,
    /// Not with VMX.
    #[cfg(feature = "vmx")]
    #[error(transparent)]
    Vmx(#[from] x86_virt_vmx::LoadError),
    /// Not with SVM.
    #[cfg(feature = "svm")]
    #[error(transparent)]
    Svm(#[from] x86_virt_svm::LoadError),
}

/// Why a virtual processor could not be taken off the processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(all(feature = "arbitrary", feature = "vmx"), derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum UnloadError {
    /// VMCLEAR failed.
    #[cfg(feature = "vmx")]
    #[error("the VMCS could not be cleared: {0}")]
    Vmx(x86_virt_vmx::VmFail),
}
