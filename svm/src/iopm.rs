//! The I/O permission map.

use core::ops::RangeInclusive;

use x86_virt_core::{Frame, Frames, Hpa, OutOfFrames, Permission, PortBitmap};

use crate::permission_map::PermissionMap;

/// Frames of the map: one bit for each of 65,536 ports, and three bits more for accesses that wrap.
const FRAMES: usize = 3;

/// Which accesses of a guest to ports end a run. An access to several ports ends it if one of their bits is set.
///
/// The bits beyond the last port always are, so that an access which wraps at port ffffh ends a run.
///
/// AMD APM vol. 2, section 15.10.1, "I/O Permissions Map".
#[derive(Debug)]
pub(crate) struct Iopm<A: Frames>(PermissionMap<A>);

impl<A: Frames> Iopm<A> {
    /// The map that intercepts everything.
    pub(crate) fn new(frames: &A) -> Result<Self, OutOfFrames> {
        Ok(Self(PermissionMap::all_intercepted(Frame::zeroed(frames, FRAMES)?)))
    }

    /// The physical address.
    pub(crate) const fn hpa(&self) -> Hpa {
        self.0.hpa()
    }
}

/// The byte with the bit of `port`.
fn byte_of(port: u16) -> usize {
    usize::from(port / 8)
}

/// The bits from that of `first` to that of `last` in the byte `byte`.
fn mask(byte: usize, first: u16, last: u16) -> u8 {
    let from = if byte_of(first) == byte { u8::MAX << (first % 8) } else { u8::MAX };
    let to = if byte_of(last) == byte { u8::MAX >> (7 - last % 8) } else { u8::MAX };
    from & to
}

impl<A: Frames> PortBitmap for Iopm<A> {
    fn is_intercepted(&self, port: u16) -> bool {
        self.0.byte(byte_of(port)) & mask(byte_of(port), port, port) != 0
    }

    fn set(&mut self, ports: RangeInclusive<u16>, permission: Permission) {
        if ports.is_empty() {
            return;
        }
        let (first, last) = (*ports.start(), *ports.end());
        for byte in byte_of(first)..=byte_of(last) {
            self.0.apply(byte, mask(byte, first, last), permission);
        }
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{Permission, PortBitmap};

    use super::{Iopm, byte_of, mask};
    use x86_virt_core::testing::FakeFrames;

    #[test]
    fn a_port_has_one_bit() {
        assert_eq!((byte_of(0), mask(0, 0, 0)), (0, 1));
        assert_eq!((byte_of(0x3f8), mask(0x7f, 0x3f8, 0x3f8)), (0x7f, 1));
        assert_eq!((byte_of(0xffff), mask(0x1fff, 0xffff, 0xffff)), (0x1fff, 0x80));
        assert_eq!(mask(0x7f, 0x3fa, 0x3fc), 0b0001_1100);
    }

    #[test]
    fn ranges_have_exact_ends() {
        let frames = FakeFrames::new();
        let mut map = Iopm::new(&frames).unwrap();
        map.set(0x3f5..=0x40a, Permission::PassThrough);
        for port in 0..=0xffff {
            assert_eq!(map.is_intercepted(port), !(0x3f5..=0x40a).contains(&port), "{port:#x}");
        }
        map.set(0x400..=0x400, Permission::Intercept);
        assert!(map.is_intercepted(0x400) && !map.is_intercepted(0x401) && !map.is_intercepted(0x3ff));
        map.set(0..=0xffff, Permission::PassThrough);
        assert!((0..=0xffff).all(|port| !map.is_intercepted(port)));
        assert_eq!(map.0.byte(0x2000), 0xff, "accesses that wrap end a run");
        #[expect(clippy::reversed_empty_ranges, reason = "an empty range changes nothing")]
        map.set(0x10..=0x0f, Permission::Intercept);
        assert!(!map.is_intercepted(0x10));
    }
}
