//! The MSR permission map.

use x86_virt_core::{FRAME_BYTES, Frame, Frames, Hpa, MsrAccess, MsrBitmap, MsrRangeError, OutOfFrames, Permission};

use crate::permission_map::PermissionMap;

/// Frames of the map.
const FRAMES: usize = 2;

/// Which RDMSR and WRMSR of a guest end a run: two bits for each MSR of three ranges.
///
/// MSRs that are in no range always end a run.
///
/// AMD APM vol. 2, section 15.11, "MSR Intercepts".
#[derive(Debug)]
pub(crate) struct Msrpm<A: Frames>(PermissionMap<A>);

/// Where the bits of an MSR are: the byte in the map, and the bit for reads in the byte; the bit for writes is next.
///
/// AMD APM vol. 2, section 15.11, "MSR Intercepts" (table "MSR Ranges Covered by MSRPM").
fn position(msr: u32) -> Option<(usize, u32)> {
    /// MSRs that one range covers, and bytes that it takes.
    const RANGE: u32 = 0x2000;
    const RANGE_BYTES: u32 = 0x800;
    let (range, index) = [0, 0xc000_0000, 0xc001_0000]
        .into_iter()
        .zip(0..)
        .find_map(|(first, range)| msr.checked_sub(first).filter(|index| *index < RANGE).map(|index| (range, index)))?;
    let byte = usize::try_from(range * RANGE_BYTES + index / 4).ok()?;
    Some((byte, index % 4 * 2))
}

/// The bits of an MSR whose bit for reads is `bit`.
const fn mask(bit: u32, access: MsrAccess) -> u8 {
    let both = match access {
        MsrAccess::Read => 1,
        MsrAccess::Write => 2,
        MsrAccess::ReadWrite => 3,
    };
    both << bit
}

impl<A: Frames> Msrpm<A> {
    /// The map that intercepts everything.
    pub(crate) fn new(frames: &A) -> Result<Self, OutOfFrames> {
        Ok(Self(PermissionMap::all_intercepted(Frame::zeroed(frames, FRAMES)?)))
    }

    /// The physical address.
    pub(crate) const fn hpa(&self) -> Hpa {
        self.0.hpa()
    }

    /// Whether there are bits for the MSR with the number `msr`.
    #[expect(clippy::unused_self, reason = "a property of the map")]
    pub(crate) fn covers(&self, msr: u32) -> bool {
        position(msr).is_some()
    }
}

impl<A: Frames> MsrBitmap for Msrpm<A> {
    fn is_intercepted(&self, msr: u32, access: MsrAccess) -> bool {
        position(msr).is_none_or(|(byte, bit)| self.0.byte(byte) & mask(bit, access) != 0)
    }

    fn set(&mut self, msr: u32, access: MsrAccess, permission: Permission) -> Result<(), MsrRangeError> {
        let (byte, bit) = position(msr).ok_or(MsrRangeError { msr })?;
        self.0.apply(byte, mask(bit, access), permission);
        Ok(())
    }
}

static_assertions::const_assert_eq!(FRAMES * FRAME_BYTES, 0x2000);

#[cfg(test)]
mod tests {
    use x86_virt_core::{MsrAccess, MsrBitmap, MsrRangeError, Permission};

    use super::{Msrpm, position};
    use x86_virt_core::testing::FakeFrames;

    #[test]
    fn ranges_are_where_the_manual_has_them() {
        for (msr, expected) in [
            (0, Some((0, 0))),
            (0x174, Some((0x5d, 0))),
            (0x1fff, Some((0x7ff, 6))),
            (0x2000, None),
            (0xbfff_ffff, None),
            (0xc000_0000, Some((0x800, 0))),
            (0xc000_0080, Some((0x820, 0))),
            (0xc000_1fff, Some((0xfff, 6))),
            (0xc000_2000, None),
            (0xc001_0000, Some((0x1000, 0))),
            (0xc001_0117, Some((0x1045, 6))),
            (0xc001_1fff, Some((0x17ff, 6))),
            (0xc001_2000, None),
            (0xffff_ffff, None),
        ] {
            assert_eq!(position(msr), expected, "{msr:#x}");
        }
    }

    #[test]
    fn directions_are_passed_one_by_one() {
        let frames = FakeFrames::new();
        let mut map = Msrpm::new(&frames).unwrap();
        assert!(map.is_intercepted(0xc000_0101, MsrAccess::Read));
        map.set(0xc000_0101, MsrAccess::Read, Permission::PassThrough).unwrap();
        assert!(!map.is_intercepted(0xc000_0101, MsrAccess::Read));
        assert!(map.is_intercepted(0xc000_0101, MsrAccess::Write));
        assert!(map.is_intercepted(0xc000_0100, MsrAccess::Read) && map.is_intercepted(0xc000_0102, MsrAccess::Read));
        map.set(0xc000_0101, MsrAccess::ReadWrite, Permission::Intercept).unwrap();
        assert!(map.is_intercepted(0xc000_0101, MsrAccess::Read));
        let error = map.set(0x4000_0000, MsrAccess::Read, Permission::PassThrough);
        assert_eq!(error, Err(MsrRangeError { msr: 0x4000_0000 }));
        assert!(map.is_intercepted(0x4000_0000, MsrAccess::Read));
    }
}
