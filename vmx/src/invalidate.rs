//! INVEPT and INVVPID behind a trait, so that tests can make them fail.
#![expect(unsafe_code, reason = "executes INVEPT and INVVPID")]

use core::marker::PhantomData;

use crate::instruction_error::VmFail;
use crate::instructions;
use crate::invept::{InveptDescriptor, InveptType};
use crate::invvpid::{InvvpidDescriptor, InvvpidType};
use crate::vmcs::check;

/// Something that invalidates translations.
pub(crate) trait Invalidate {
    /// INVEPT.
    fn invept(&mut self, kind: InveptType, descriptor: InveptDescriptor) -> Result<(), VmFail>;

    /// INVVPID.
    fn invvpid(&mut self, kind: InvvpidType, descriptor: InvvpidDescriptor) -> Result<(), VmFail>;
}

/// This processor.
#[derive(Debug)]
pub(crate) struct ThisProcessor(PhantomData<*mut ()>);

impl ThisProcessor {
    /// This processor, for a short time.
    ///
    /// # Safety
    ///
    /// While the value lives:
    ///
    /// - the processor is in VMX root operation with a current VMCS;
    /// - it is asked for those instructions only that the processor has.
    #[inline]
    pub(crate) const unsafe fn new() -> Self {
        Self(PhantomData)
    }
}

impl Invalidate for ThisProcessor {
    #[inline]
    fn invept(&mut self, kind: InveptType, descriptor: InveptDescriptor) -> Result<(), VmFail> {
        // SAFETY: in VMX root operation, and the processor has it (`new`). It refuses types and descriptors that it does not know.
        check(unsafe { instructions::invept(kind, descriptor) })
    }

    #[inline]
    fn invvpid(&mut self, kind: InvvpidType, descriptor: InvvpidDescriptor) -> Result<(), VmFail> {
        // SAFETY: as above.
        check(unsafe { instructions::invvpid(kind, descriptor) })
    }
}
