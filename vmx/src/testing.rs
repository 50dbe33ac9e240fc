//! A VMCS without a processor, and one that counts: to test code that reads and writes fields, on any host; and every exit, to test
//! exit loops.

mod every_exit;
#[cfg(test)]
mod lost;

use core::cell::Cell;

use crate::access::{FieldError, VmcsRead, VmcsWrite};
use crate::field::{self, Encoding, FieldInfo, Width};
use crate::instruction_error::{InstructionError, VmFail};

pub use every_exit::every_exit;
#[cfg(test)]
pub(crate) use lost::LostVmcs;

/// A VMCS in ordinary memory, for tests without a processor: it has every field of [`field::ALL`], all zero at first, and the
/// high halves of those of 64 bits.
///
/// ```
/// use x86_virt_vmx::field;
/// use x86_virt_vmx::testing::FakeVmcs;
/// use x86_virt_vmx::{VmcsRead, VmcsWrite};
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
        // A field that does not exist has nothing to set.
        let _ignored = self.set(Encoding::new(encoding), value);
    }

    /// Writes the bits that `field` has: of a high half, bits 31:0 of `value` to bits 63:32.
    fn set(&mut self, field: Encoding, value: u64) -> Result<(), VmFail> {
        let slot = self.values.get_mut(index(field)?).ok_or(NO_FIELD)?;
        *slot = if field.is_high() {
            *slot & 0xffff_ffff | value << 32
        } else {
            value & u64::MAX >> (u64::BITS - field.width().bits())
        };
        Ok(())
    }
}

/// How VMREAD and VMWRITE fail for an encoding that is of no field.
const NO_FIELD: VmFail = VmFail::Valid(InstructionError::UNSUPPORTED_FIELD);

/// Where in [`field::ALL`] the field of the encoding is, or of which it is the high half.
fn index(field: Encoding) -> Result<usize, VmFail> {
    if field.is_high() && field.width() != Width::Bits64 {
        return Err(NO_FIELD);
    }
    FieldInfo::index(field.full()).ok_or(NO_FIELD)
}

impl Default for FakeVmcs {
    fn default() -> Self {
        Self::new()
    }
}

impl VmcsRead for FakeVmcs {
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
        let value = self.values.get(index(field)?).copied().ok_or(NO_FIELD)?;
        Ok(if field.is_high() { value >> 32 } else { value })
    }
}

#[expect(unsafe_code, reason = "implements the trait; ordinary memory is not sensitive")]
impl VmcsWrite for FakeVmcs {
    unsafe fn write_raw(&mut self, field: Encoding, value: u64) -> Result<(), VmFail> {
        let info = field::ALL.get(index(field)?).ok_or(NO_FIELD)?;
        if info.access == field::Access::ReadOnly {
            return Err(VmFail::Valid(InstructionError::VMWRITE_READ_ONLY_FIELD));
        }
        self.set(field, value)
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
    use super::{CountingVmcs, FakeVmcs};
    use crate::access::{VmcsRead, VmcsWrite};
    use crate::field::{self, Encoding};
    use crate::instruction_error::{InstructionError, VmFail};

    /// Writes without regard to the class of the field.
    #[expect(unsafe_code, reason = "a field of no type")]
    fn write(vmcs: &mut FakeVmcs, encoding: u32, value: u64) -> Result<(), VmFail> {
        // SAFETY: ordinary memory.
        unsafe { vmcs.write_raw(Encoding::new(encoding), value) }
    }

    #[test]
    fn a_fake_fails_as_a_processor_does() {
        let mut vmcs = FakeVmcs::new();
        let unsupported = Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD));
        // Holes, high halves of fields that have none, and reserved bits.
        for hole in [0x2046, 0x2048, 0x2050, 0x482c, 0x2047, 0x4403, 0x681f, 0x0801, 0x1000, 0x8800] {
            assert_eq!(vmcs.read_raw(Encoding::new(hole)), unsupported, "{hole:#x}");
            assert_eq!(write(&mut vmcs, hole, 1), unsupported.map(|_| ()), "{hole:#x}");
        }
        let read_only = Err(VmFail::Valid(InstructionError::VMWRITE_READ_ONLY_FIELD));
        assert_eq!(write(&mut vmcs, field::EXIT_REASON.encoding().get(), 1), read_only);
        assert_eq!(write(&mut vmcs, 0x2401, 1), read_only);
    }

    #[test]
    fn a_high_half_is_bits_63_to_32() {
        let mut vmcs = FakeVmcs::new();
        vmcs.put(field::TSC_OFFSET, 0x0123_4567_89ab_cdef);
        assert_eq!(vmcs.read_raw(Encoding::new(0x2011)), Ok(0x0123_4567));
        assert_eq!(write(&mut vmcs, 0x2011, 0xffff_ffff_7654_3210), Ok(()));
        assert_eq!(vmcs.get(field::TSC_OFFSET), 0x7654_3210_89ab_cdef);
        let halves = (0..0x8000).filter(|encoding| encoding & 1 == 1);
        let count = halves.filter(|encoding| vmcs.read_raw(Encoding::new(*encoding)).is_ok()).count();
        assert_eq!(count, if cfg!(feature = "provisional") { 82 } else { 77 });
    }

    #[test]
    fn bits_that_a_field_has_not_are_dropped() {
        let mut vmcs = FakeVmcs::new();
        vmcs.set_raw(0x0800, 0x1234_5678_9abc_def0);
        vmcs.set_raw(0x4800, 0x1234_5678_9abc_def0);
        assert_eq!(vmcs.get(field::GUEST_ES_SELECTOR), 0xdef0);
        assert_eq!(vmcs.read_raw(Encoding::new(0x0800)), Ok(0xdef0));
        assert_eq!(vmcs.read_raw(Encoding::new(0x4800)), Ok(0x9abc_def0));
    }

    #[test]
    fn reads_and_writes_are_counted() {
        let mut vmcs = CountingVmcs::new(FakeVmcs::new());
        vmcs.put(field::GUEST_RSP, 8);
        assert_eq!(vmcs.get(field::GUEST_RSP), 8);
        assert_eq!((vmcs.reads(), vmcs.writes()), (1, 1));
    }
}
