//! A VMCB without a processor, and one that counts: to test code that reads and writes fields, on any host; and every exit, to test
//! exit loops.

mod every_exit;

use core::cell::Cell;
use core::fmt;

use crate::vmcb::{Field, ReadWrite, Vmcb, VmcbValue, control};

pub use every_exit::every_exit;

/// Something whose VMCB fields can be read.
pub trait VmcbRead {
    /// The value of `field`.
    fn get<T: VmcbValue, A>(&self, field: Field<T, A>) -> T;
}

/// Something whose VMCB fields can be written.
pub trait VmcbWrite: VmcbRead {
    /// Sets `field`, which concerns the guest alone.
    fn put<T: VmcbValue>(&mut self, field: Field<T, ReadWrite>, value: T);
}

/// A VMCB in ordinary memory, of zeros at first. Writing a field clears the clean bit of its group, as it must for a processor to see it.
///
/// ```
/// use x86_virt_svm::testing::{FakeVmcb, VmcbRead, VmcbWrite};
/// use x86_virt_svm::vmcb::{CleanBits, control, save};
///
/// let mut vmcb = FakeVmcb::new();
/// vmcb.set(control::VMCB_CLEAN, CleanBits::ALL);
/// vmcb.put(save::CR2, 0x1000);
/// assert_eq!(vmcb.get(save::CR2), 0x1000);
/// assert_eq!(vmcb.get(control::VMCB_CLEAN), CleanBits::ALL.without(CleanBits::CR2));
/// ```
#[derive(Clone)]
pub struct FakeVmcb {
    bytes: [u8; 4096],
}

impl FakeVmcb {
    /// A VMCB of zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; 4096] }
    }

    /// Sets any field, also one that only a processor or the library writes. Its clean bit stays.
    pub fn set<T: VmcbValue, A>(&mut self, field: Field<T, A>, value: T) {
        value.encode(self.bytes.get_mut(field.offset()..).unwrap_or_default());
    }

    /// The whole of it, to check or to print.
    #[must_use]
    pub fn vmcb(&self) -> Vmcb {
        Vmcb::from_bytes(&self.bytes)
    }
}

impl Default for FakeVmcb {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeVmcb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeVmcb").finish_non_exhaustive()
    }
}

impl VmcbRead for FakeVmcb {
    fn get<T: VmcbValue, A>(&self, field: Field<T, A>) -> T {
        T::decode(self.bytes.get(field.offset()..).unwrap_or_default())
    }
}

impl VmcbWrite for FakeVmcb {
    fn put<T: VmcbValue>(&mut self, field: Field<T, ReadWrite>, value: T) {
        self.set(field, value);
        let clean = self.get(control::VMCB_CLEAN).without(field.clean());
        self.set(control::VMCB_CLEAN, clean);
    }
}

/// Counts the reads and writes of a VMCB.
#[derive(Debug)]
pub struct CountingVmcb<V> {
    vmcb: V,
    reads: Cell<u64>,
    writes: u64,
}

impl<V> CountingVmcb<V> {
    /// Counts those of `vmcb`.
    #[must_use]
    pub const fn new(vmcb: V) -> Self {
        Self { vmcb, reads: Cell::new(0), writes: 0 }
    }

    /// How many reads there were.
    #[must_use]
    pub const fn reads(&self) -> u64 {
        self.reads.get()
    }

    /// How many writes there were.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.writes
    }
}

impl<V: VmcbRead> VmcbRead for CountingVmcb<V> {
    fn get<T: VmcbValue, A>(&self, field: Field<T, A>) -> T {
        self.reads.set(self.reads.get() + 1);
        self.vmcb.get(field)
    }
}

impl<V: VmcbWrite> VmcbWrite for CountingVmcb<V> {
    fn put<T: VmcbValue>(&mut self, field: Field<T, ReadWrite>, value: T) {
        self.writes += 1;
        self.vmcb.put(field, value);
    }
}

#[cfg(target_arch = "x86_64")]
impl<A: x86_virt_core::Frames> VmcbRead for crate::SvmVcpu<'_, '_, '_, A> {
    fn get<T: VmcbValue, X>(&self, field: Field<T, X>) -> T {
        self.read(field)
    }
}

#[cfg(target_arch = "x86_64")]
impl<A: x86_virt_core::Frames> VmcbWrite for crate::SvmVcpu<'_, '_, '_, A> {
    fn put<T: VmcbValue>(&mut self, field: Field<T, ReadWrite>, value: T) {
        self.write(field, value);
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{Cr0, Segment, SegmentAccessRights};

    use super::{CountingVmcb, FakeVmcb, VmcbRead, VmcbWrite};
    use crate::exit_code::ExitCode;
    use crate::vmcb::{CleanBits, VmcbSegment, control, save};

    #[test]
    fn fields_are_where_the_layout_has_them() {
        let mut fake = FakeVmcb::new();
        let cs = VmcbSegment::from(Segment::flat(8, SegmentAccessRights::CODE64));
        fake.put(save::CS, cs);
        fake.put(save::RIP, 0x1234_5678_9abc);
        fake.set(save::CR0, Cr0::new().with_pe(true));
        fake.set(control::EXITCODE, ExitCode::CPUID);
        let vmcb = fake.vmcb();
        assert_eq!((vmcb.save.CS, vmcb.save.RIP, vmcb.control.EXITCODE), (cs, 0x1234_5678_9abc, ExitCode::CPUID));
        assert_eq!((fake.get(save::CS), fake.get(save::CR0)), (cs, Cr0::new().with_pe(true)));
    }

    #[test]
    fn writes_clear_the_clean_bit_of_their_group_alone() {
        let mut fake = FakeVmcb::default();
        fake.set(control::VMCB_CLEAN, CleanBits::ALL);
        fake.put(save::RIP, 1);
        assert_eq!(fake.get(control::VMCB_CLEAN), CleanBits::ALL, "RIP has none");
        fake.put(save::DR6, 1);
        assert_eq!(fake.get(control::VMCB_CLEAN), CleanBits::ALL.without(CleanBits::DRX));
    }

    #[test]
    fn reads_and_writes_are_counted() {
        let mut vmcb = CountingVmcb::new(FakeVmcb::new());
        vmcb.put(save::RSP, 8);
        vmcb.put(save::RSP, 16);
        assert_eq!(vmcb.get(save::RSP), 16);
        assert_eq!((vmcb.reads(), vmcb.writes()), (1, 2));
    }
}
