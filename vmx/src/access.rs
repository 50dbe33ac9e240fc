//! Reading and writing fields: of the current VMCS, of a fake one, or with counting; see [`testing`](crate::testing) for these.

use crate::dump::VmcsDump;
use crate::field::{AccessClass, Encoding, Field, FieldValue, ReadWrite, Sensitive};
use crate::instruction_error::VmFail;

/// Something whose VMCS fields can be read.
pub trait VmcsRead {
    /// VMREAD of the field with the encoding `field`.
    ///
    /// # Errors
    ///
    /// How VMREAD fails.
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail>;

    /// Takes note of a failure inside [`get`](Self::get) or [`VmcsWrite::put`].
    fn note(&self, _failure: FieldError) {}

    /// The value of `field`.
    ///
    /// # Errors
    ///
    /// [`FieldError`] with the field, if the processor does not have it.
    fn read<T: FieldValue, A: AccessClass>(&self, field: Field<T, A>) -> Result<T, FieldError> {
        let field = field.encoding();
        self.read_raw(field).map(T::from_raw).map_err(|fail| FieldError { field, fail })
    }

    /// The value of a `field` that the processor is known to have.
    ///
    /// If it has not, the failure is noted, and zero returned.
    fn get<T: FieldValue, A: AccessClass>(&self, field: Field<T, A>) -> T {
        self.read(field).unwrap_or_else(|failure| {
            self.note(failure);
            T::from_raw(0)
        })
    }

    /// What all fields hold.
    ///
    /// Where the processor does not have a field, VMREAD leaves its error number in the VM-instruction error of the VMCS; the
    /// dump has the number before that.
    fn dump(&self) -> VmcsDump {
        VmcsDump::of(self)
    }
}

/// Something whose VMCS fields can be written.
#[expect(unsafe_code, reason = "a field may decide about the host")]
pub trait VmcsWrite: VmcsRead {
    /// VMWRITE of `value` to the field with the encoding `field`.
    ///
    /// # Errors
    ///
    /// How VMWRITE fails.
    ///
    /// # Safety
    ///
    /// If the field is [sensitive](crate::field::Access::Sensitive), the value keeps the host whole at the next entries and exits.
    unsafe fn write_raw(&mut self, field: Encoding, value: u64) -> Result<(), VmFail>;

    /// Writes `value` to `field`, which concerns the guest alone.
    ///
    /// # Errors
    ///
    /// [`FieldError`] with the field, if the processor does not have it.
    fn write<T: FieldValue>(&mut self, field: Field<T, ReadWrite>, value: T) -> Result<(), FieldError> {
        let field = field.encoding();
        // SAFETY: the class of the field is `ReadWrite`, not sensitive.
        unsafe { self.write_raw(field, value.into_raw()) }.map_err(|fail| FieldError { field, fail })
    }

    /// Writes `value` to a sensitive `field`.
    ///
    /// # Errors
    ///
    /// [`FieldError`] with the field, if the processor does not have it.
    ///
    /// # Safety
    ///
    /// The value keeps the host whole: at the next entries the processor uses no memory through it, and gives the guest
    /// nothing, that belongs to the host; at the next exits the host goes on as it was.
    unsafe fn write_sensitive<T: FieldValue>(
        &mut self,
        field: Field<T, Sensitive>,
        value: T,
    ) -> Result<(), FieldError> {
        let field = field.encoding();
        // SAFETY: the caller promises that the value keeps the host whole.
        unsafe { self.write_raw(field, value.into_raw()) }.map_err(|fail| FieldError { field, fail })
    }

    /// Writes `value` to a `field` that the processor is known to have. If it has not, the failure is noted.
    fn put<T: FieldValue>(&mut self, field: Field<T, ReadWrite>, value: T) {
        if let Err(failure) = self.write(field, value) {
            self.note(failure);
        }
    }

    /// Writes `value` to a sensitive `field` that the processor is known to have. If it has not, the failure is noted.
    ///
    /// # Safety
    ///
    /// As [`write_sensitive`](Self::write_sensitive).
    unsafe fn put_sensitive<T: FieldValue>(&mut self, field: Field<T, Sensitive>, value: T) {
        // SAFETY: the caller promises that the value keeps the host whole.
        if let Err(failure) = unsafe { self.write_sensitive(field, value) } {
            self.note(failure);
        }
    }
}

/// A field could not be read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[error("{field}: {fail}")]
pub struct FieldError {
    /// The field.
    pub field: Encoding,
    /// How the instruction failed.
    pub fail: VmFail,
}
