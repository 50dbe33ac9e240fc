//! MSR and I/O bitmaps.

use core::ops::RangeInclusive;

use x86_virt_core::{
    FRAME_BYTES, Frame, Frames, Hpa, MsrAccess, MsrBitmap, MsrRangeError, OutOfFrames, Permission, PortBitmap,
};

use crate::bytes::{byte, set_byte};

/// The MSR bitmaps of a VMCS: one bit for each direction of access to an MSR.
///
/// Intel SDM vol. 3, section 27.6.9, "MSR-Bitmap Address".
#[derive(Debug)]
pub struct MsrBitmaps<A: Frames> {
    frame: Frame<A>,
}

/// Bits, and so MSRs, of one bitmap.
const MSR_BITS: u32 = 0x2000;

/// The layout of the MSR bitmaps.
pub(crate) const MSR_PARTS: [(&str, usize, u32); 4] = [
    ("READ_LOW_MSRS", 0, MSR_BITS),
    ("READ_HIGH_MSRS", HIGH_OFFSET, MSR_BITS),
    ("WRITE_LOW_MSRS", WRITE_OFFSET, MSR_BITS),
    ("WRITE_HIGH_MSRS", WRITE_OFFSET + HIGH_OFFSET, MSR_BITS),
];

/// The layout of the I/O bitmaps, each of which is a page.
pub(crate) const IO_PARTS: [(&str, usize, u32); 2] =
    [("BITMAP_A_PORTS_0000_7FFF", 0, 0x8000), ("BITMAP_B_PORTS_8000_FFFF", FRAME_BYTES, 0x8000)];

/// Byte and bit of the read access to `msr`; that of the write access is [`WRITE_OFFSET`] bytes further.
fn msr_position(msr: u32) -> Option<(usize, u8)> {
    const LOW: RangeInclusive<u32> = 0..=0x1fff;
    const HIGH: RangeInclusive<u32> = 0xc000_0000..=0xc000_1fff;
    let start = if LOW.contains(&msr) {
        0
    } else if HIGH.contains(&msr) {
        HIGH_OFFSET
    } else {
        return None;
    };
    let index = usize::try_from(msr & 0x1fff).ok()?;
    Some((start + index / 8, 1 << (index % 8)))
}

/// Distance from the bitmap for low MSRs to that for high ones.
const HIGH_OFFSET: usize = 0x400;

/// Distance from the bitmaps for reads to those for writes.
const WRITE_OFFSET: usize = 0x800;

impl<A: Frames> MsrBitmaps<A> {
    /// Bitmaps that intercept every access.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`]: it takes one frame.
    pub fn new(frames: &A) -> Result<Self, OutOfFrames> {
        let mut bitmaps = Self { frame: Frame::zeroed(frames, 1)? };
        for index in 0..FRAME_BYTES {
            set_byte(&mut bitmaps.frame, index, 0xff);
        }
        Ok(bitmaps)
    }

    pub(crate) const fn hpa(&self) -> Hpa {
        self.frame.hpa()
    }

    /// Whether there is a bit for the MSR with the number `msr`.
    #[must_use]
    pub fn covers(&self, msr: u32) -> bool {
        msr_position(msr).is_some()
    }
}

impl<A: Frames> MsrBitmap for MsrBitmaps<A> {
    fn is_intercepted(&self, msr: u32, access: MsrAccess) -> bool {
        let Some((index, mask)) = msr_position(msr) else { return true };
        let read = byte(&self.frame, index) & mask != 0;
        let write = byte(&self.frame, index + WRITE_OFFSET) & mask != 0;
        access.reads() && read || access.writes() && write
    }

    fn set(&mut self, msr: u32, access: MsrAccess, permission: Permission) -> Result<(), MsrRangeError> {
        let (index, mask) = msr_position(msr).ok_or(MsrRangeError { msr })?;
        for (wanted, index) in [(access.reads(), index), (access.writes(), index + WRITE_OFFSET)] {
            if wanted {
                let old = byte(&self.frame, index);
                set_byte(&mut self.frame, index, permission.apply(old, mask));
            }
        }
        Ok(())
    }
}

/// The I/O bitmaps A and B of a VMCS: one bit for each port.
///
/// Intel SDM vol. 3, section 27.6.4, "I/O-Bitmap Addresses".
#[derive(Debug)]
pub struct IoBitmaps<A: Frames> {
    frames: Frame<A>,
}

impl<A: Frames> IoBitmaps<A> {
    /// Bitmaps that intercept every port.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`]: it takes two contiguous frames.
    pub fn new(frames: &A) -> Result<Self, OutOfFrames> {
        let mut bitmaps = Self { frames: Frame::zeroed(frames, 2)? };
        for index in 0..2 * FRAME_BYTES {
            set_byte(&mut bitmaps.frames, index, 0xff);
        }
        Ok(bitmaps)
    }

    /// The address of bitmap A; bitmap B is in the next frame.
    pub(crate) const fn hpa(&self) -> Hpa {
        self.frames.hpa()
    }
}

impl<A: Frames> PortBitmap for IoBitmaps<A> {
    fn is_intercepted(&self, port: u16) -> bool {
        byte(&self.frames, usize::from(port / 8)) >> (port % 8) & 1 == 1
    }

    fn set(&mut self, ports: RangeInclusive<u16>, permission: Permission) {
        for port in ports {
            let index = usize::from(port / 8);
            let old = byte(&self.frames, index);
            set_byte(&mut self.frames, index, permission.apply(old, 1 << (port % 8)));
        }
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{MsrAccess, MsrBitmap, MsrRangeError, Permission, PortBitmap};

    use super::{IoBitmaps, MsrBitmaps, msr_position};
    use x86_virt_core::testing::FakeFrames;

    #[test]
    fn msrs_are_where_the_manual_has_them() {
        assert_eq!(msr_position(0), Some((0, 1)));
        assert_eq!(msr_position(0x1fff), Some((0x3ff, 0x80)));
        assert_eq!(msr_position(0x2000), None);
        assert_eq!(msr_position(0xc000_0000), Some((0x400, 1)));
        assert_eq!(msr_position(0xc000_0080), Some((0x410, 1)));
        assert_eq!(msr_position(0xc000_1fff), Some((0x7ff, 0x80)));
        assert_eq!(msr_position(0xc000_2000), None);
        assert_eq!(msr_position(0xbfff_ffff), None);
    }

    #[test]
    fn each_direction_of_an_msr_is_set_alone() {
        let frames = FakeFrames::limited(4);
        let mut bitmaps = MsrBitmaps::new(&frames).unwrap();
        assert!(bitmaps.is_intercepted(0xc000_0080, MsrAccess::Read));
        bitmaps.set(0xc000_0080, MsrAccess::Read, Permission::PassThrough).unwrap();
        assert!(!bitmaps.is_intercepted(0xc000_0080, MsrAccess::Read));
        assert!(bitmaps.is_intercepted(0xc000_0080, MsrAccess::Write));
        assert!(bitmaps.is_intercepted(0xc000_0080, MsrAccess::ReadWrite));
        assert!(bitmaps.is_intercepted(0xc000_0081, MsrAccess::Read));
        bitmaps.set(0xc000_0080, MsrAccess::Read, Permission::Intercept).unwrap();
        assert!(bitmaps.is_intercepted(0xc000_0080, MsrAccess::Read));
        let outside = bitmaps.set(0x4000_0000, MsrAccess::Read, Permission::PassThrough);
        assert_eq!(outside, Err(MsrRangeError { msr: 0x4000_0000 }));
        assert!(bitmaps.is_intercepted(0x4000_0000, MsrAccess::Read));
    }

    #[test]
    fn ports_are_set_by_range() {
        let frames = FakeFrames::limited(4);
        let mut bitmaps = IoBitmaps::new(&frames).unwrap();
        bitmaps.set(0x7ffe..=0x8001, Permission::PassThrough);
        let open: Vec<u16> = (0..=u16::MAX).filter(|&port| !bitmaps.is_intercepted(port)).collect();
        assert_eq!(open, [0x7ffe, 0x7fff, 0x8000, 0x8001]);
        bitmaps.set(0..=u16::MAX, Permission::Intercept);
        assert!((0..=u16::MAX).all(|port| bitmaps.is_intercepted(port)));
    }
}
