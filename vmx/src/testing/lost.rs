//! No VMCS.

use core::cell::Cell;

use crate::access::{FieldError, VmcsRead, VmcsWrite};
use crate::field::Encoding;
use crate::instruction_error::VmFail;

/// What VMREAD and VMWRITE find where there is no current VMCS. It counts the failures that were noted.
#[derive(Default)]
pub(crate) struct LostVmcs(Cell<usize>);

impl LostVmcs {
    pub(crate) fn noted(&self) -> usize {
        self.0.get()
    }
}

impl VmcsRead for LostVmcs {
    fn read_raw(&self, _: Encoding) -> Result<u64, VmFail> {
        Err(VmFail::Invalid)
    }

    fn note(&self, _: FieldError) {
        self.0.set(self.0.get() + 1);
    }
}

#[expect(unsafe_code, reason = "implements the trait")]
impl VmcsWrite for LostVmcs {
    unsafe fn write_raw(&mut self, _: Encoding, _: u64) -> Result<(), VmFail> {
        Err(VmFail::Invalid)
    }
}
