//! The VMCB of a virtual processor, in a frame of its own.

use core::ptr::NonNull;

use static_assertions::const_assert;
use x86_virt_core::{FRAME_BYTES, Frame, Frames, Hpa, OutOfFrames};

use crate::check::VmcbRead;
use crate::intercept::InterceptSet;
use crate::residence::Residence;
use crate::vmcb::{CleanBits, Field, Vmcb, control, save};

const_assert!(size_of::<Vmcb>() <= FRAME_BYTES);

/// A VMCB that the processor may read and write while a VMRUN of it executes, and nobody else.
///
/// It is accessed field by field through a pointer, never by reference.
#[derive(Debug)]
pub(crate) struct VmcbFrame<A: Frames> {
    frame: Frame<A>,
    /// Where what VMLOAD and VMSAVE move is.
    pub(crate) residence: Residence,
}

impl<A: Frames> VmcbFrame<A> {
    /// A VMCB of zeros.
    pub(crate) fn zeroed(frames: &A) -> Result<Self, OutOfFrames> {
        Ok(Self { frame: Frame::zeroed(frames, 1)?, residence: Residence::default() })
    }

    /// The physical address.
    pub(crate) const fn hpa(&self) -> Hpa {
        self.frame.hpa()
    }

    /// The value of `field`.
    #[inline]
    #[expect(unsafe_code, reason = "reads memory that the processor writes")]
    pub(crate) fn read<T: Copy, X>(&self, field: Field<T, X>) -> T {
        self.residence.before_read(self.hpa(), field.offset(), size_of::<T>());
        // SAFETY: the invariant of `Field`: inside the frame, aligned, and any bits are a `T`.
        unsafe { self.at::<T, X>(field).read_volatile() }
    }

    /// The byte at `offset`, or `None` beyond the end.
    #[expect(unsafe_code, reason = "reads memory that the processor writes")]
    pub(crate) fn byte(&self, offset: usize) -> Option<u8> {
        if offset >= FRAME_BYTES {
            return None;
        }
        self.residence.before_read(self.hpa(), offset, 1);
        // SAFETY: the offset is inside the frame.
        let byte = unsafe { self.frame.pointer().add(offset) };
        // SAFETY: `self` owns the frame.
        Some(unsafe { byte.read_volatile() })
    }

    /// Sets `field` and clears the clean bit of its group.
    #[inline]
    #[expect(unsafe_code, reason = "writes memory that the processor reads")]
    pub(crate) fn write<T: Copy, X>(&mut self, field: Field<T, X>, value: T) {
        self.residence.before_write(self.frame.hpa(), field.offset(), size_of::<T>());
        // SAFETY: the invariant of `Field`: inside the frame and aligned. `self` owns the frame, and no VMRUN executes.
        unsafe { self.at::<T, X>(field).write_volatile(value) };
        if !field.clean().is_empty() {
            let clean = self.read(control::VMCB_CLEAN).without(field.clean());
            self.write(control::VMCB_CLEAN, clean);
        }
    }

    /// Says which groups the processor need not read again.
    pub(crate) fn set_clean(&mut self, clean: CleanBits) {
        self.write(control::VMCB_CLEAN, clean);
    }

    /// Whether one of the groups in `groups` has been written since [`set_clean`](Self::set_clean) said it was clean.
    pub(crate) fn is_any_dirty(&self, groups: CleanBits) -> bool {
        !self.read(control::VMCB_CLEAN).contains(groups)
    }

    /// Sets all intercept vectors.
    pub(crate) fn set_intercepts(&mut self, intercepts: InterceptSet) {
        let [cr, dr, exceptions, misc1, misc2, misc3] = intercepts.words();
        let (cr_read, cr_write) = halves(cr);
        let (dr_read, dr_write) = halves(dr);
        self.write(control::INTERCEPT_CR_READ, cr_read);
        self.write(control::INTERCEPT_CR_WRITE, cr_write);
        self.write(control::INTERCEPT_DR_READ, dr_read);
        self.write(control::INTERCEPT_DR_WRITE, dr_write);
        self.write(control::INTERCEPT_EXCEPTIONS, exceptions);
        self.write(control::INTERCEPT_MISC1, misc1);
        self.write(control::INTERCEPT_MISC2, misc2);
        self.write(control::INTERCEPT_MISC3, misc3);
    }

    /// A copy of the guest's registers and of the event to deliver, for [`restore`](Self::restore).
    #[expect(unsafe_code, reason = "reads memory that the processor writes")]
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.residence.before_read(self.hpa(), save::START, REGISTER_WORDS * 8);
        // SAFETY: the registers are inside the frame.
        let registers = unsafe { self.frame.pointer().add(save::START) }.cast::<[u64; REGISTER_WORDS]>();
        // SAFETY: aligned to a multiple of 8 in a frame that is aligned to 4096; any bits are integers.
        let registers = unsafe { registers.read_volatile() };
        Snapshot {
            registers,
            interrupts: self.read(control::VIRTUAL_INTERRUPT_CONTROL),
            event: self.read(control::EVENTINJ),
        }
    }

    /// Puts the guest's registers back; all of them count as written.
    #[expect(unsafe_code, reason = "writes memory that the processor reads")]
    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        // SAFETY: the registers are inside the frame.
        let registers = unsafe { self.frame.pointer().add(save::START) }.cast::<[u64; REGISTER_WORDS]>();
        // SAFETY: as in `snapshot`; `self` owns the frame, and no VMRUN executes.
        unsafe { registers.write_volatile(snapshot.registers) };
        self.write(control::VIRTUAL_INTERRUPT_CONTROL, snapshot.interrupts);
        self.write(control::EVENTINJ, snapshot.event);
        self.set_clean(CleanBits::NONE);
    }

    /// The value at `offset`, which is a multiple of the size of `T`; `None` if it is not inside the VMCB.
    #[expect(unsafe_code, reason = "reads memory that the processor writes")]
    fn integer<T: Integer>(&self, offset: usize) -> Option<T> {
        if !offset.is_multiple_of(size_of::<T>()) || offset.checked_add(size_of::<T>())? > size_of::<Vmcb>() {
            return None;
        }
        // SAFETY: the offset is inside the VMCB, and so inside the frame.
        let pointer = unsafe { self.frame.pointer().add(offset) }.cast::<T>();
        // SAFETY: inside the frame, which is aligned to 4096 bytes, at a multiple of the size; any bits are an integer.
        Some(unsafe { pointer.read_volatile() })
    }

    #[expect(unsafe_code, reason = "pointer arithmetic")]
    fn at<T, X>(&self, field: Field<T, X>) -> NonNull<T> {
        // SAFETY: the invariant of `Field`: the offset is inside the VMCB, and so inside the frame.
        unsafe { self.frame.pointer().add(field.offset()) }.cast()
    }
}

/// What [`VmcbFrame::integer`] reads.
trait Integer: Copy {}

impl Integer for u8 {}
impl Integer for u64 {}

impl<A: Frames> VmcbRead for VmcbFrame<A> {
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        if offset.checked_add(bytes.len())? > size_of::<Vmcb>() {
            return None;
        }
        self.residence.before_read(self.hpa(), offset, bytes.len());
        if offset.is_multiple_of(8) && bytes.len().is_multiple_of(8) {
            for (chunk, place) in bytes.chunks_exact_mut(8).zip((offset..).step_by(8)) {
                chunk.copy_from_slice(&self.integer::<u64>(place)?.to_le_bytes());
            }
        } else {
            for (byte, place) in bytes.iter_mut().zip(offset..) {
                *byte = self.integer(place)?;
            }
        }
        Some(())
    }
}

/// Registers that a processor may write when it refuses a VMRUN: from ES to LAST_EXCP_TO.
const REGISTER_WORDS: usize = (save::LAST_EXCP_TO.offset() + 8 - save::START) / 8;

/// The guest's registers in the VMCB, and the event to deliver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    registers: [u64; REGISTER_WORDS],
    interrupts: crate::vmcb::VirtualInterruptControl,
    event: crate::vmcb::EventInjection,
}

/// The low and the high half.
const fn halves(word: u32) -> (u16, u16) {
    let [a, b, c, d] = word.to_le_bytes();
    (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
}

#[cfg(test)]
mod tests {
    use x86_virt_core::Cr0;

    use super::VmcbFrame;
    use crate::check::VmcbRead;
    use crate::exit_code::ExitCode;
    use crate::intercept::InterceptSet;
    use crate::vmcb::{CleanBits, TlbControl, control, save};
    use x86_virt_core::testing::FakeFrames;

    #[test]
    fn a_write_clears_the_clean_bit_of_its_group_only() {
        let frames = FakeFrames::new();
        let mut vmcb = VmcbFrame::zeroed(&frames).unwrap();
        vmcb.set_clean(CleanBits::ALL);
        vmcb.write(save::RIP, 0x1000);
        vmcb.write(control::TLB_CONTROL, TlbControl::FLUSH_GUEST);
        assert_eq!(vmcb.read(control::VMCB_CLEAN), CleanBits::ALL);
        vmcb.write(save::CR3, 0x2000);
        assert_eq!(vmcb.read(control::VMCB_CLEAN), CleanBits::ALL.without(CleanBits::CRX));
        vmcb.write(save::CPL, 3);
        assert!(vmcb.is_any_dirty(CleanBits::SEG) && !vmcb.is_any_dirty(CleanBits::NP));
        assert_eq!((vmcb.read(save::RIP), vmcb.read(save::CR3), vmcb.read(save::CPL)), (0x1000, 0x2000, 3));
    }

    #[test]
    fn intercepts_are_at_the_start_of_the_vmcb() {
        let frames = FakeFrames::new();
        let mut vmcb = VmcbFrame::zeroed(&frames).unwrap();
        let set = [ExitCode::CR3_READ, ExitCode::CR4_WRITE, ExitCode::DR7_WRITE, ExitCode::EXCP_PF, ExitCode::XSETBV];
        vmcb.set_intercepts(set.into_iter().fold(InterceptSet::NONE, InterceptSet::with));
        assert_eq!(vmcb.read(control::INTERCEPT_CR_READ), 1 << 3);
        assert_eq!(vmcb.read(control::INTERCEPT_CR_WRITE), 1 << 4);
        assert_eq!(vmcb.read(control::INTERCEPT_DR_WRITE), 1 << 7);
        assert_eq!(vmcb.read(control::INTERCEPT_EXCEPTIONS), 1 << 14);
        assert_eq!(vmcb.read(control::INTERCEPT_MISC2), 1 << 13);
    }

    #[test]
    fn a_snapshot_brings_the_registers_back() {
        let frames = FakeFrames::new();
        let mut vmcb = VmcbFrame::zeroed(&frames).unwrap();
        vmcb.write(save::CR0, Cr0::from_bits(0x31));
        vmcb.write(save::RAX, 7);
        vmcb.set_clean(CleanBits::ALL);
        let before = vmcb.snapshot();
        vmcb.write(save::CR0, Cr0::from_bits(0x11));
        vmcb.write(save::RAX, 8);
        vmcb.restore(&before);
        assert_eq!((vmcb.read(save::CR0).into_bits(), vmcb.read(save::RAX)), (0x31, 7));
        assert_eq!(vmcb.read(control::VMCB_CLEAN), CleanBits::NONE);
    }

    #[test]
    fn bytes_are_those_of_the_fields() {
        let frames = FakeFrames::new();
        let mut vmcb = VmcbFrame::zeroed(&frames).unwrap();
        vmcb.write(save::RIP, 0x1122_3344_5566_7788);
        let mut word = [0; 8];
        assert!(VmcbRead::read(&vmcb, save::RIP.offset(), &mut word).is_some());
        assert_eq!(word, 0x1122_3344_5566_7788_u64.to_le_bytes());
        let mut odd = [0; 3];
        assert!(VmcbRead::read(&vmcb, save::RIP.offset() + 1, &mut odd).is_some());
        assert_eq!(odd, [0x77, 0x66, 0x55]);
        for (offset, bytes) in [(4096, 1), (4095, 2), (4088, 16), (usize::MAX - 7, 8), (usize::MAX, 1)] {
            assert!(VmcbRead::read(&vmcb, offset, &mut [0; 16][..bytes]).is_none(), "{offset}");
        }
    }
}
