//! The encoding of a field.

use core::fmt;

use super::FieldInfo;

/// Width of a field.
///
/// Intel SDM vol. 3, appendix B, "Field Encoding in VMCS".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Width {
    /// 16 bits.
    Bits16,
    /// 64 bits, in two 32-bit halves outside of 64-bit mode.
    Bits64,
    /// 32 bits.
    Bits32,
    /// The width of a linear address: 64 bits where the processor has Intel 64.
    Natural,
}

impl Width {
    /// Bits that a field of this width has on a processor with Intel 64.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Bits16 => 16,
            Self::Bits32 => 32,
            Self::Bits64 | Self::Natural => 64,
        }
    }
}

/// Group of a field.
///
/// Intel SDM vol. 3, section 27.11.2, "VMREAD, VMWRITE, and Encodings of VMCS Fields".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Group {
    /// Controls.
    Control,
    /// Read-only data: what a VM exit reports.
    ReadOnlyData,
    /// Guest state.
    Guest,
    /// Host state.
    Host,
}

impl Group {
    /// All groups, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Control, Self::ReadOnlyData, Self::Guest, Self::Host];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Control => "control",
            Self::ReadOnlyData => "read-only-data",
            Self::Guest => "guest-state",
            Self::Host => "host-state",
        })
    }
}

/// The encoding of a field, or of the high half of one.
///
/// Intel SDM vol. 3, section 27.11.2, "VMREAD, VMWRITE, and Encodings of VMCS Fields".
///
/// ```
/// use x86_virt_vmx::field::{self, Encoding};
///
/// let eptp = field::EPT_POINTER.encoding();
/// assert_eq!(eptp.high_half(), Some(Encoding::new(0x201b)));
/// assert_eq!(Encoding::new(0x201b).to_string(), "EPT_POINTER_HIGH");
/// assert_eq!(field::GUEST_RIP.encoding().high_half(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Encoding(u32);

impl Encoding {
    /// Bits that are zero in every encoding: 12 and 31:15.
    const RESERVED: u32 = 0xffff_9000;

    /// The encoding with this value.
    #[must_use]
    pub const fn new(encoding: u32) -> Self {
        Self(encoding)
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Bits 14:13.
    #[must_use]
    pub const fn width(self) -> Width {
        match self.0 >> 13 & 3 {
            0 => Width::Bits16,
            1 => Width::Bits64,
            2 => Width::Bits32,
            _ => Width::Natural,
        }
    }

    /// Bits 11:10.
    #[must_use]
    pub const fn group(self) -> Group {
        match self.0 >> 10 & 3 {
            0 => Group::Control,
            1 => Group::ReadOnlyData,
            2 => Group::Guest,
            _ => Group::Host,
        }
    }

    /// Bits 9:1.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0 >> 1 & 0x1ff
    }

    /// Whether the encoding can be that of a whole field: reserved bits and the access type are zero.
    #[must_use]
    pub const fn is_full_field(self) -> bool {
        self.0 & (Self::RESERVED | 1) == 0
    }

    /// Bit 0: whether it is that of bits 63:32 of a field, which only 64-bit fields have.
    #[must_use]
    pub const fn is_high(self) -> bool {
        self.0 & 1 != 0
    }

    /// The encoding of the whole field.
    #[must_use]
    pub const fn full(self) -> Self {
        Self(self.0 & !1)
    }

    /// The encoding of bits 63:32 of the field. `None` if it is not a 64-bit field.
    #[must_use]
    pub const fn high_half(self) -> Option<Self> {
        match self.width() {
            Width::Bits64 => Some(Self(self.0 | 1)),
            Width::Bits16 | Width::Bits32 | Width::Natural => None,
        }
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match FieldInfo::of(self.full()) {
            Some(info) if !self.is_high() => f.write_str(info.name),
            Some(info) if self.width() == Width::Bits64 => f.write_str(info.high_name()),
            _ => write!(f, "field {:#06x}", self.0),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Encoding, Group, Width};

    #[test]
    fn encodings_tell_width_group_and_index() {
        let rip = Encoding::new(0x681e);
        assert_eq!((rip.width(), rip.group(), rip.index()), (Width::Natural, Group::Guest, 15));
        let eptp = Encoding::new(0x201a);
        assert_eq!((eptp.width(), eptp.group(), eptp.index()), (Width::Bits64, Group::Control, 13));
        assert!(!Encoding::new(0x201b).is_full_field());
        assert!(!Encoding::new(0x1000).is_full_field());
    }

    #[test]
    fn only_64_bit_fields_have_a_high_half() {
        let high = Encoding::new(0x201a).high_half().unwrap();
        assert!(high.is_high() && high.full() == Encoding::new(0x201a) && high.high_half() == Some(high));
        for full in [0x0000, 0x4402, 0x681e] {
            assert_eq!(Encoding::new(full).high_half(), None);
        }
    }

    #[test]
    fn encodings_are_shown_by_name() {
        assert_eq!(format!("{:?}", Encoding::new(0x681e)), "GUEST_RIP");
        assert_eq!(format!("{:?}", Encoding::new(0x681f)), "field 0x681f");
        assert_eq!(format!("{:?}", Encoding::new(0x2046)), "field 0x2046");
        assert_eq!(format!("{:?}", Encoding::new(0x2801)), "VMCS_LINK_POINTER_HIGH");
    }
}
