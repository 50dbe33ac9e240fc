//! The first words of a VMCS region and of the VMXON region.

use core::mem::offset_of;

use static_assertions::const_assert_eq;
use x86_virt_core::register;

register! {
    /// The first four bytes of a VMCS region, or of the VMXON region.
    ///
    /// Intel SDM vol. 3, section 27.2, "Format of the VMCS Region", and section 27.11.5, "VMXON Region".
    ///
    /// ```
    /// use x86_virt_vmx::RegionRevision;
    ///
    /// let shadow = RegionRevision::from_bits(0x8000_0012);
    /// assert_eq!(shadow.revision_identifier(), 0x12);
    /// assert!(shadow.shadow_vmcs_indicator());
    /// ```
    pub struct RegionRevision(u32) {
        /// Bits 30:0: the VMCS revision identifier, which bits 30:0 of IA32_VMX_BASIC report.
        #[bits(31)]
        pub revision_identifier: u32,
        /// Bit 31 of a VMCS region: the region is a shadow VMCS. Clear in the VMXON region.
        pub shadow_vmcs_indicator: bool,
    }
}

/// The part of a VMCS region that has a format for software. The rest is VMCS data, which only VMREAD and VMWRITE reach.
///
/// Intel SDM vol. 3, section 27.2, "Format of the VMCS Region".
///
/// ```
/// use x86_virt_vmx::{RegionRevision, VmcsHeader};
///
/// let header = VmcsHeader { revision: RegionRevision::new().with_revision_identifier(0x12), abort: 0 };
/// assert_eq!(header.revision.to_string(), "0x00000012 REVISION_IDENTIFIER=0x12");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(C)]
pub struct VmcsHeader {
    /// Bytes 3:0: revision and kind.
    pub revision: RegionRevision,
    /// Bytes 7:4: the VMX-abort indicator, to which a VMX abort writes its reason.
    pub abort: u32,
}

const_assert_eq!(size_of::<VmcsHeader>(), 8);
const_assert_eq!(offset_of!(VmcsHeader, revision), 0);
const_assert_eq!(offset_of!(VmcsHeader, abort), 4);
