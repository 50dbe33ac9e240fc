//! Segment registers and descriptor-table registers.

mod descriptor;

use crate::register;

pub use descriptor::SegmentError;

/// A segment register, in the order of its number in exit information.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[expect(missing_docs, reason = "the names are the registers")]
pub enum SegmentRegister {
    Es,
    Cs,
    Ss,
    Ds,
    Fs,
    Gs,
    Ldtr,
    Tr,
}

impl SegmentRegister {
    /// All registers, in the order of their numbers.
    pub const ALL: [Self; 8] = [Self::Es, Self::Cs, Self::Ss, Self::Ds, Self::Fs, Self::Gs, Self::Ldtr, Self::Tr];

    /// The register with the number in bits 2:0 of `number`.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        usize::try_from(number & 7).ok().and_then(|index| Self::ALL.get(index).copied()).unwrap_or(Self::Ds)
    }
}

register! {
    /// Access rights of a segment, as the upper half of its descriptor holds them, with one bit for "unusable".
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State" (table "Format of Access Rights").
    pub struct SegmentAccessRights(u32) {
        /// Type: for a code or data segment accessed, writable or readable, expand-down or conforming, code.
        #[bits(4)]
        pub segment_type: u8,
        /// S: code or data segment, not a system segment.
        pub code_or_data: bool,
        /// Descriptor privilege level.
        #[bits(2)]
        pub dpl: u8,
        /// P: present.
        pub present: bool,
        #[bits(4)]
        _reserved8: u8,
        /// AVL: for the system's use.
        pub available: bool,
        /// L: 64-bit code.
        pub long: bool,
        /// D/B: 32-bit default operand size or stack.
        pub default_big: bool,
        /// G: the limit counts pages of 4 KiB.
        pub granularity: bool,
        /// The register holds no usable segment.
        pub unusable: bool,
        #[bits(15)]
        _reserved17: u16,
    }
}

impl SegmentAccessRights {
    /// 64-bit code, DPL 0.
    pub const CODE64: Self = Self::from_bits(0xa09b);
    /// 32-bit code of 4 GiB, DPL 0.
    pub const CODE32: Self = Self::from_bits(0xc09b);
    /// Flat data of 4 GiB, DPL 0.
    pub const DATA32: Self = Self::from_bits(0xc093);
    /// Code as in real mode.
    pub const CODE16: Self = Self::from_bits(0x009b);
    /// Data as in real mode.
    pub const DATA16: Self = Self::from_bits(0x0093);
    /// A local descriptor table.
    pub const LDT: Self = Self::from_bits(0x0082);
    /// A busy 32-bit or 64-bit task-state segment.
    pub const BUSY_TSS: Self = Self::from_bits(0x008b);
    /// No segment.
    pub const UNUSABLE: Self = Self::from_bits(0x1_0000);
}

/// A segment register with its hidden part.
///
/// Intel SDM vol. 3, section 3.4.3, "Segment Registers".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Segment {
    /// Selector.
    pub selector: u16,
    /// Access rights.
    pub rights: SegmentAccessRights,
    /// Limit in bytes.
    pub limit: u32,
    /// Base address.
    pub base: u64,
}

impl Segment {
    /// A segment of 64 KiB at `selector * 16`, as real mode has it.
    #[must_use]
    pub fn real_mode(selector: u16, rights: SegmentAccessRights) -> Self {
        Self { selector, rights, limit: 0xffff, base: u64::from(selector) << 4 }
    }

    /// A segment of 4 GiB at address 0.
    #[must_use]
    pub const fn flat(selector: u16, rights: SegmentAccessRights) -> Self {
        Self { selector, rights, limit: 0xffff_ffff, base: 0 }
    }
}

/// GDTR or IDTR.
///
/// Intel SDM vol. 3, section 2.4, "Memory-Management Registers".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct DescriptorTable {
    /// Address of the table.
    pub base: u64,
    /// Length of the table in bytes, less one.
    pub limit: u16,
}

#[cfg(test)]
mod tests {
    use super::{Segment, SegmentAccessRights, SegmentRegister};

    #[test]
    fn rights_are_the_upper_half_of_a_descriptor() {
        let code = SegmentAccessRights::CODE64;
        assert!(code.long() && code.present() && code.code_or_data() && code.granularity() && !code.default_big());
        assert_eq!(code.segment_type(), 0b1011);
        let user = SegmentAccessRights::DATA32.with_dpl(3);
        assert_eq!(user.into_bits(), 0xc0f3);
        assert!(SegmentAccessRights::UNUSABLE.unusable());
    }

    #[test]
    fn a_real_mode_base_follows_from_the_selector() {
        assert_eq!(Segment::real_mode(0xf000, SegmentAccessRights::CODE16).base, 0xf_0000);
        assert_eq!(SegmentRegister::from_number(3), SegmentRegister::Ds);
    }
}
