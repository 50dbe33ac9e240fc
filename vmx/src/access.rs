//! Reading and writing fields: of the current VMCS, of a fake one, or with counting.

use core::cell::Cell;

use crate::field::{self, AccessClass, Encoding, Field, FieldInfo, FieldValue, ReadWrite, Sensitive};
use crate::instruction_error::{InstructionError, VmFail};

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
    /// If the field is [sensitive](field::Access::Sensitive), the value keeps the host whole at the next entries and exits.
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
#[error("{field}: {fail}")]
pub struct FieldError {
    /// The field.
    pub field: Encoding,
    /// How the instruction failed.
    pub fail: VmFail,
}

/// A VMCS in ordinary memory, for tests without a processor: it has every field of [`field::ALL`], all zero at first.
///
/// ```
/// use x86_virt_vmx::field;
/// use x86_virt_vmx::{FakeVmcs, VmcsRead, VmcsWrite};
///
/// let mut vmcs = FakeVmcs::new();
/// vmcs.write(field::GUEST_RIP, 0x7c00)?;
/// assert_eq!(vmcs.read(field::GUEST_RIP)?, 0x7c00);
/// # Ok::<(), x86_virt_vmx::FieldError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FakeVmcs {
    values: [u64; field::ALL.len()],
}

impl FakeVmcs {
    /// A VMCS whose fields are all zero.
    #[must_use]
    pub const fn new() -> Self {
        Self { values: [0; field::ALL.len()] }
    }

    /// Sets a field, also one that is read-only on a processor. A field that the table does not have is ignored.
    pub fn set_raw(&mut self, encoding: u32, value: u64) {
        if let Ok(slot) = self.slot(Encoding::new(encoding)) {
            *slot = value;
        }
    }

    fn index(field: Encoding) -> Result<usize, VmFail> {
        field::ALL
            .binary_search_by_key(&field, |info| info.encoding)
            .map_err(|_| VmFail::Valid(InstructionError::UNSUPPORTED_FIELD))
    }

    fn slot(&mut self, field: Encoding) -> Result<&mut u64, VmFail> {
        let index = Self::index(field)?;
        self.values.get_mut(index).ok_or(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD))
    }
}

impl Default for FakeVmcs {
    fn default() -> Self {
        Self::new()
    }
}

impl VmcsRead for FakeVmcs {
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
        let index = Self::index(field)?;
        self.values.get(index).copied().ok_or(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD))
    }
}

#[expect(unsafe_code, reason = "implements the trait; ordinary memory is not sensitive")]
impl VmcsWrite for FakeVmcs {
    unsafe fn write_raw(&mut self, field: Encoding, value: u64) -> Result<(), VmFail> {
        if FieldInfo::of(field).is_some_and(|info| info.access == field::Access::ReadOnly) {
            return Err(VmFail::Valid(InstructionError::VMWRITE_READ_ONLY_FIELD));
        }
        *self.slot(field)? = value;
        Ok(())
    }
}

/// Counts the reads and writes of a VMCS.
#[derive(Debug)]
pub struct CountingVmcs<V> {
    vmcs: V,
    reads: Cell<u64>,
    writes: Cell<u64>,
}

impl<V> CountingVmcs<V> {
    /// Counts those of `vmcs`.
    #[must_use]
    pub const fn new(vmcs: V) -> Self {
        Self { vmcs, reads: Cell::new(0), writes: Cell::new(0) }
    }

    /// How many reads there were.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads.get()
    }

    /// How many writes there were.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.get()
    }
}

impl<V: VmcsRead> VmcsRead for CountingVmcs<V> {
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
        self.reads.set(self.reads.get() + 1);
        self.vmcs.read_raw(field)
    }

    fn note(&self, failure: FieldError) {
        self.vmcs.note(failure);
    }
}

#[expect(unsafe_code, reason = "implements the trait by the VMCS inside")]
impl<V: VmcsWrite> VmcsWrite for CountingVmcs<V> {
    unsafe fn write_raw(&mut self, field: Encoding, value: u64) -> Result<(), VmFail> {
        self.writes.set(self.writes.get() + 1);
        // SAFETY: the caller's promise is the same.
        unsafe { self.vmcs.write_raw(field, value) }
    }
}

#[cfg(test)]
mod tests {
    use super::{CountingVmcs, FakeVmcs, VmcsRead, VmcsWrite};
    use crate::field::{self, Encoding};
    use crate::instruction_error::{InstructionError, VmFail};

    #[test]
    fn a_fake_fails_as_a_processor_does() {
        let mut vmcs = FakeVmcs::new();
        let hole = vmcs.read_raw(Encoding::new(0x2046));
        assert_eq!(hole, Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD)));
        // SAFETY: ordinary memory.
        #[expect(unsafe_code, reason = "a field of no type")]
        let read_only = unsafe { vmcs.write_raw(field::EXIT_REASON.encoding(), 1) };
        assert_eq!(read_only, Err(VmFail::Valid(InstructionError::VMWRITE_READ_ONLY_FIELD)));
    }

    #[test]
    fn reads_and_writes_are_counted() {
        let mut vmcs = CountingVmcs::new(FakeVmcs::new());
        vmcs.put(field::GUEST_RSP, 8);
        assert_eq!(vmcs.get(field::GUEST_RSP), 8);
        assert_eq!((vmcs.reads(), vmcs.writes()), (1, 1));
    }
}
