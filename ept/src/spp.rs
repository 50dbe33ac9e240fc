//! Sub-page write permissions: the pointer, the tables and the vectors.

use core::fmt;

use x86_virt_core::{Gpa, Hpa, register};

use crate::misconfiguration::beyond;

register! {
    /// A sub-page-permission-table pointer (SPPTP): where the root of the table is.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields", "Sub-Page-Permission-Table Pointer (SPPTP)".
    ///
    /// ```
    /// use x86_virt_core::Hpa;
    /// use x86_virt_ept::Spptp;
    ///
    /// assert_eq!(Spptp::new().with_hpa(Hpa::new(0x1234_5000)).into_bits(), 0x1234_5000);
    /// ```
    pub struct Spptp(u64) {
        #[bits(12)]
        _reserved0: u16,
        /// Bits 51:12: the address of the root. Bits from the physical-address width on are reserved.
        #[bits(40)]
        pub frame_number: u64,
        #[bits(12)]
        _reserved52: u16,
    }
}

register! {
    /// An entry of a sub-page-permission table (SPPT) that refers to a table of the next lower level: of levels 4 to 2.
    ///
    /// An entry of level 1 is an [`SppVector`].
    ///
    /// Intel SDM vol. 3, section 31.3.4, "Sub-Page Write Permissions".
    ///
    /// ```
    /// use x86_virt_core::Hpa;
    /// use x86_virt_ept::SppEntry;
    ///
    /// let entry = SppEntry::new().with_valid(true).with_hpa(Hpa::new(0x7000));
    /// assert_eq!(entry.into_bits(), 0x7001);
    /// assert_eq!(SppEntry::from_bits(0x7003).reserved_bits(46), 2);
    /// ```
    pub struct SppEntry(u64) {
        /// Bit 0: the entry refers to a table. If it does not, the access is an SPP miss.
        pub valid: bool,
        #[bits(11)]
        _reserved1: u16,
        /// Bits 51:12: the address of the table. Bits from the physical-address width on are reserved.
        #[bits(40)]
        pub frame_number: u64,
        #[bits(12)]
        _reserved52: u16,
    }
}

/// Defines what the two have in common: an address in bits 51:12.
macro_rules! frame_address {
    ($($register:ident)*) => {
        $(impl $register {
            /// The address of the table.
            #[must_use]
            pub const fn hpa(self) -> Hpa {
                Hpa::new(self.frame_number() << 12)
            }

            /// The same with the address `hpa`, of which bits 51 to 12 count.
            #[must_use]
            pub const fn with_hpa(self, hpa: Hpa) -> Self {
                self.with_frame_number((hpa.get() >> 12) & 0xff_ffff_ffff)
            }
        })*
    };
}

frame_address! { Spptp SppEntry }

/// Bits 63:52.
const HIGH: u64 = 0xfff << 52;

impl Spptp {
    /// The reserved bits that are set, on a processor with physical addresses of `address_width` bits.
    #[must_use]
    pub const fn reserved_bits(self, address_width: u8) -> u64 {
        self.into_bits() & (0xfff | HIGH | beyond(address_width))
    }
}

impl SppEntry {
    /// The reserved bits that are set, on a processor with physical addresses of `address_width` bits. In a valid entry they
    /// make an access an SPP misconfiguration.
    #[must_use]
    pub const fn reserved_bits(self, address_width: u8) -> u64 {
        self.into_bits() & (0xffe | HIGH | beyond(address_width))
    }

    /// The index of the entry for `gpa` in a table of `level`, which is 1 for the table of vectors and 4 for the root.
    #[must_use]
    pub const fn index(gpa: Gpa, level: u8) -> Option<u16> {
        let shift = match level {
            1 => 12,
            2 => 21,
            3 => 30,
            4 => 39,
            _ => return None,
        };
        let [low, high, ..] = (gpa.get() >> shift & 0x1ff).to_le_bytes();
        Some(u16::from_le_bytes([low, high]))
    }
}

/// One of the 32 parts of a 4 KiB page, of 128 bytes each.
///
/// ```
/// use x86_virt_core::Gpa;
/// use x86_virt_ept::SubPage;
///
/// assert_eq!(SubPage::of(Gpa::new(0x1f80)).index(), 31);
/// assert_eq!(SubPage::new(32), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SubPage(u8);

impl SubPage {
    /// The bytes of a part.
    pub const BYTES: u64 = 128;

    /// The part with this index, or `None` above 31.
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        if index < 32 { Some(Self(index)) } else { None }
    }

    /// The part that holds `gpa`: bits 11:7.
    #[must_use]
    pub const fn of(gpa: Gpa) -> Self {
        let [index, ..] = (gpa.get() >> 7 & 0x1f).to_le_bytes();
        Self(index)
    }

    /// The index.
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }

    /// The bit of a vector that allows writes: 2 times the index.
    const fn mask(self) -> u64 {
        1 << (2 * self.0)
    }
}

/// A sub-page-permission vector: the entry of level 1 of the table, which says what parts of a 4 KiB page can be written.
///
/// Bit 2S allows writes to part S; odd bits are reserved.
///
/// Intel SDM vol. 3, section 31.3.4, "Sub-Page Write Permissions".
///
/// ```
/// use x86_virt_core::Gpa;
/// use x86_virt_ept::{SppVector, SubPage};
///
/// let gpa = Gpa::new(0x5080);
/// let vector = SppVector::NONE.with_writable(SubPage::of(gpa));
/// assert_eq!(vector.into_bits(), 4);
/// assert!(vector.allows(gpa) && !vector.allows(Gpa::new(0x5100)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SppVector(u64);

impl SppVector {
    /// No part can be written.
    pub const NONE: Self = Self(0);
    /// All parts can be written.
    pub const ALL: Self = Self(0x5555_5555_5555_5555);

    /// The vector with this value.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The value.
    #[must_use]
    pub const fn into_bits(self) -> u64 {
        self.0
    }

    /// Whether the byte at `gpa`, which is in the page of the vector, can be written.
    #[must_use]
    pub const fn allows(self, gpa: Gpa) -> bool {
        self.is_writable(SubPage::of(gpa))
    }

    /// Whether `part` can be written.
    #[must_use]
    pub const fn is_writable(self, part: SubPage) -> bool {
        self.0 & part.mask() != 0
    }

    /// The same with writes to `part` allowed.
    #[must_use]
    pub const fn with_writable(self, part: SubPage) -> Self {
        Self(self.0 | part.mask())
    }

    /// The same with writes to `part` forbidden.
    #[must_use]
    pub const fn without_writable(self, part: SubPage) -> Self {
        Self(self.0 & !part.mask())
    }

    /// The reserved bits that are set. They make an access an SPP misconfiguration.
    #[must_use]
    pub const fn reserved_bits(self) -> u64 {
        self.0 & !Self::ALL.0
    }
}

impl fmt::Debug for SppVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SppVector({self})")
    }
}

impl fmt::Display for SppVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};
    use x86_virt_core::{Gpa, Hpa};

    use super::{SppEntry, SppVector, Spptp, SubPage};

    #[test]
    fn the_vector_has_a_bit_for_128_bytes() {
        for index in 0..32_u8 {
            let part = SubPage::new(index).unwrap();
            let vector = SppVector::NONE.with_writable(part);
            assert_eq!(vector.into_bits(), 1 << (2 * index));
            let open: Vec<u64> = (0..4096).filter(|&offset| vector.allows(Gpa::new(0xa000 + offset))).collect();
            let start = u64::from(index) * SubPage::BYTES;
            assert_eq!(open, (start..start + SubPage::BYTES).collect::<Vec<_>>());
        }
        assert_eq!(SppVector::ALL.reserved_bits(), 0);
        assert_eq!(SppVector::from_bits(u64::MAX).reserved_bits(), 0xaaaa_aaaa_aaaa_aaaa);
    }

    #[test]
    fn reserved_bits_are_those_of_the_tables() {
        let ones = SppEntry::from_bits(u64::MAX);
        assert_eq!(ones.reserved_bits(52), 0xfff0_0000_0000_0ffe, "as Bochs has it");
        assert_eq!(ones.reserved_bits(46), 0xffff_c000_0000_0ffe);
        assert_eq!(Spptp::from_bits(u64::MAX).reserved_bits(46), 0xffff_c000_0000_0fff);
        assert_eq!(ones.hpa(), Hpa::new(0x000f_ffff_ffff_f000));
    }

    #[test]
    fn indices_are_nine_bits_each() {
        let gpa = Gpa::new(1 << 39 | 2 << 30 | 3 << 21 | 4 << 12 | 0xfff);
        let indices = [4, 3, 2, 1].map(|level| SppEntry::index(gpa, level));
        assert_eq!(indices, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!([0, 5].map(|level| SppEntry::index(gpa, level)), [None, None]);
    }

    proptest! {
        #[test]
        fn parts_do_not_change_each_other(bits in any::<u64>(), part in 0_u8..32) {
            let (vector, part) = (SppVector::from_bits(bits), SubPage::new(part).unwrap());
            prop_assert_eq!(vector.with_writable(part).into_bits(), bits | 1 << (2 * part.index()));
            prop_assert_eq!(vector.without_writable(part).into_bits(), bits & !(1 << (2 * part.index())));
            prop_assert_eq!(vector.with_writable(part).is_writable(part), true);
        }
    }
}
