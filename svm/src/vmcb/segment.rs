//! Segments in the VMCB.

use core::fmt;

use static_assertions::const_assert_eq;
use x86_virt_core::{DescriptorTable, Register, Segment, SegmentAccessRights, register};

use crate::vmcb::VmcbValue;

/// A segment or descriptor-table register in the VMCB.
///
/// AMD APM vol. 2, appendix B, "VMCB Layout".
///
/// ```
/// use x86_virt_core::{Segment, SegmentAccessRights};
/// use x86_virt_svm::vmcb::VmcbSegment;
///
/// let segment = VmcbSegment::from(Segment::flat(8, SegmentAccessRights::CODE64));
/// assert_eq!(segment.attributes.into_bits(), 0xa9b);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(C)]
pub struct VmcbSegment {
    /// Selector.
    pub selector: u16,
    /// Attributes.
    pub attributes: SegmentAttributes,
    /// Limit in bytes.
    pub limit: u32,
    /// Base address, of which VMRUN takes the canonical part.
    pub base: u64,
}

const_assert_eq!(size_of::<VmcbSegment>(), 16);
const_assert_eq!(core::mem::offset_of!(VmcbSegment, selector), 0);
const_assert_eq!(core::mem::offset_of!(VmcbSegment, attributes), 2);
const_assert_eq!(core::mem::offset_of!(VmcbSegment, limit), 4);
const_assert_eq!(core::mem::offset_of!(VmcbSegment, base), 8);

impl VmcbValue for VmcbSegment {
    fn decode(bytes: &[u8]) -> Self {
        Self {
            selector: VmcbValue::decode(bytes),
            attributes: SegmentAttributes::from_bits(VmcbValue::decode(bytes.get(2..).unwrap_or_default())),
            limit: VmcbValue::decode(bytes.get(4..).unwrap_or_default()),
            base: VmcbValue::decode(bytes.get(8..).unwrap_or_default()),
        }
    }

    fn encode(&self, bytes: &mut [u8]) {
        let low = u64::from(self.limit) << 32 | u64::from(self.attributes.into_bits()) << 16 | u64::from(self.selector);
        low.encode(bytes);
        self.base.encode(bytes.get_mut(8..).unwrap_or_default());
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { selector, attributes, limit, base } = self;
        write!(f, " selector={selector:#x} limit={limit:#x} base={base:#x} attributes={:#x}", attributes.into_bits())?;
        attributes.show_names(f)
    }
}

register! {
    /// Attributes of a segment: bits 55:52 and 47:40 of its descriptor.
    ///
    /// AMD APM vol. 2, section 15.5.1, "Basic Operation" (segment state in the VMCB), and section 4.7, "Legacy Segment
    /// Descriptors".
    ///
    /// ```
    /// use x86_virt_svm::vmcb::SegmentAttributes;
    ///
    /// let data = SegmentAttributes::from_bits(0xc93);
    /// assert!(data.p() && data.s() && data.db() && data.g() && !data.l());
    /// ```
    pub struct SegmentAttributes(u16) {
        /// Type.
        #[bits(4)]
        pub segment_type: u8,
        /// S: code or data.
        pub s: bool,
        /// Descriptor privilege level.
        #[bits(2)]
        pub dpl: u8,
        /// P: present. A register that holds no segment has it clear.
        pub p: bool,
        /// AVL: for the system's use.
        pub avl: bool,
        /// L: 64-bit code.
        pub l: bool,
        /// D/B: 32-bit default operand size or stack.
        pub db: bool,
        /// G: the limit counts pages.
        pub g: bool,
        #[bits(4)]
        _reserved12: u8,
    }
}

impl From<SegmentAccessRights> for SegmentAttributes {
    fn from(rights: SegmentAccessRights) -> Self {
        Self::new()
            .with_segment_type(rights.segment_type())
            .with_s(rights.code_or_data())
            .with_dpl(rights.dpl())
            .with_p(rights.present() && !rights.unusable())
            .with_avl(rights.available())
            .with_l(rights.long())
            .with_db(rights.default_big())
            .with_g(rights.granularity())
    }
}

impl From<SegmentAttributes> for SegmentAccessRights {
    fn from(attributes: SegmentAttributes) -> Self {
        Self::new()
            .with_segment_type(attributes.segment_type())
            .with_code_or_data(attributes.s())
            .with_dpl(attributes.dpl())
            .with_present(attributes.p())
            .with_available(attributes.avl())
            .with_long(attributes.l())
            .with_default_big(attributes.db())
            .with_granularity(attributes.g())
            .with_unusable(!attributes.p())
    }
}

impl From<Segment> for VmcbSegment {
    fn from(segment: Segment) -> Self {
        Self { selector: segment.selector, attributes: segment.rights.into(), limit: segment.limit, base: segment.base }
    }
}

impl From<VmcbSegment> for Segment {
    fn from(segment: VmcbSegment) -> Self {
        Self { selector: segment.selector, rights: segment.attributes.into(), limit: segment.limit, base: segment.base }
    }
}

impl From<DescriptorTable> for VmcbSegment {
    fn from(table: DescriptorTable) -> Self {
        Self { selector: 0, attributes: SegmentAttributes::new(), limit: u32::from(table.limit), base: table.base }
    }
}

impl From<VmcbSegment> for DescriptorTable {
    fn from(segment: VmcbSegment) -> Self {
        let [low, high, ..] = segment.limit.to_le_bytes();
        Self { base: segment.base, limit: u16::from_le_bytes([low, high]) }
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{Segment, SegmentAccessRights};

    use super::{SegmentAttributes, VmcbSegment};

    #[test]
    fn rights_are_packed_into_12_bits_and_back() {
        for (rights, attributes) in [
            (SegmentAccessRights::CODE64, 0xa9b),
            (SegmentAccessRights::CODE32, 0xc9b),
            (SegmentAccessRights::DATA32, 0xc93),
            (SegmentAccessRights::CODE16, 0x09b),
            (SegmentAccessRights::LDT, 0x082),
            (SegmentAccessRights::BUSY_TSS, 0x08b),
            (SegmentAccessRights::DATA32.with_dpl(3).with_available(true), 0xdf3),
            (SegmentAccessRights::UNUSABLE, 0),
        ] {
            assert_eq!(SegmentAttributes::from(rights).into_bits(), attributes);
            assert_eq!(SegmentAccessRights::from(SegmentAttributes::from_bits(attributes)), rights);
        }
    }

    #[test]
    fn every_packing_of_12_bits_survives() {
        for bits in 0..0x1000 {
            let attributes = SegmentAttributes::from_bits(bits);
            assert_eq!(SegmentAttributes::from(SegmentAccessRights::from(attributes)), attributes);
        }
    }

    #[test]
    fn a_segment_keeps_selector_limit_and_base() {
        let segment = Segment { selector: 0x18, rights: SegmentAccessRights::DATA32, limit: 0x1234, base: 1 << 40 };
        assert_eq!(Segment::from(VmcbSegment::from(segment)), segment);
    }
}
