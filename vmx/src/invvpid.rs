//! Operands of INVVPID.

use core::mem::{offset_of, size_of};

use static_assertions::const_assert_eq;
use x86_virt_core::{Gva, codes};

codes! {
    /// How much INVVPID invalidates: its register operand.
    ///
    /// Intel SDM vol. 3, section 33.3, "VMX Instructions" (INVVPID).
    pub struct InvvpidType(u64) {
        /// The translations of one linear address with one VPID.
        INDIVIDUAL_ADDRESS = 0 aka "VMX_VPID_EXTENT_INDIVIDUAL_ADDR";
        /// The translations with one VPID.
        SINGLE_CONTEXT = 1 aka "VMX_VPID_EXTENT_SINGLE_CONTEXT";
        /// The translations with every VPID but 0.
        ALL_CONTEXTS = 2 aka "VMX_VPID_EXTENT_ALL_CONTEXT";
        /// The translations with one VPID, but for those that are global.
        SINGLE_CONTEXT_RETAINING_GLOBALS = 3 aka "VMX_VPID_EXTENT_SINGLE_NON_GLOBAL";
    }
}

/// The descriptor of INVVPID: its memory operand.
///
/// Intel SDM vol. 3, section 33.3, "VMX Instructions" (INVVPID).
///
/// ```
/// use x86_virt_core::Gva;
/// use x86_virt_vmx::InvvpidDescriptor;
///
/// let descriptor = InvvpidDescriptor::new(5, Gva::new(0x1000));
/// assert_eq!((descriptor.vpid(), descriptor.linear_address()), (5, Gva::new(0x1000)));
/// assert_eq!(descriptor.reserved(), [0; 3]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(C)]
pub struct InvvpidDescriptor {
    vpid: u16,
    reserved: [u16; 3],
    linear_address: u64,
}

const_assert_eq!(size_of::<InvvpidDescriptor>(), 16);
const_assert_eq!(offset_of!(InvvpidDescriptor, vpid), 0);
const_assert_eq!(offset_of!(InvvpidDescriptor, reserved), 2);
const_assert_eq!(offset_of!(InvvpidDescriptor, linear_address), 8);

impl InvvpidDescriptor {
    /// The descriptor of this VPID and, for [`InvvpidType::INDIVIDUAL_ADDRESS`], this linear address.
    #[must_use]
    pub const fn new(vpid: u16, linear_address: Gva) -> Self {
        Self { vpid, reserved: [0; 3], linear_address: linear_address.get() }
    }

    /// The descriptor in these bytes of a guest's memory.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let [v0, v1, r0, r1, r2, r3, r4, r5, a, b, c, d, e, f, g, h] = bytes;
        Self {
            vpid: u16::from_le_bytes([v0, v1]),
            reserved: [u16::from_le_bytes([r0, r1]), u16::from_le_bytes([r2, r3]), u16::from_le_bytes([r4, r5])],
            linear_address: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        }
    }

    /// The bytes of the descriptor.
    #[must_use]
    pub const fn into_bytes(self) -> [u8; 16] {
        let [v0, v1] = self.vpid.to_le_bytes();
        let [first, second, third] = self.reserved;
        let ([r0, r1], [r2, r3], [r4, r5]) = (first.to_le_bytes(), second.to_le_bytes(), third.to_le_bytes());
        let [a, b, c, d, e, f, g, h] = self.linear_address.to_le_bytes();
        [v0, v1, r0, r1, r2, r3, r4, r5, a, b, c, d, e, f, g, h]
    }

    /// The VPID.
    #[must_use]
    pub const fn vpid(self) -> u16 {
        self.vpid
    }

    /// Bits 63:16, which must be zero.
    #[must_use]
    pub const fn reserved(self) -> [u16; 3] {
        self.reserved
    }

    /// The linear address.
    #[must_use]
    pub const fn linear_address(self) -> Gva {
        Gva::new(self.linear_address)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{InvvpidDescriptor, InvvpidType};

    #[test]
    fn types_are_those_of_the_manual() {
        assert!(InvvpidType::ALL.iter().map(|code| code.value).eq(0..=3));
        assert_eq!(InvvpidType::SINGLE_CONTEXT_RETAINING_GLOBALS.into_bits(), 3);
    }

    #[test]
    fn fields_are_where_the_manual_has_them() {
        let bytes = core::array::from_fn(|index| u8::try_from(index).unwrap());
        let descriptor = InvvpidDescriptor::from_bytes(bytes);
        assert_eq!((descriptor.vpid(), descriptor.reserved()), (0x0100, [0x0302, 0x0504, 0x0706]));
        assert_eq!(descriptor.linear_address().get(), 0x0f0e_0d0c_0b0a_0908);
    }

    proptest! {
        #[test]
        fn bytes_are_kept(bytes in any::<[u8; 16]>()) {
            assert_eq!(InvvpidDescriptor::from_bytes(bytes).into_bytes(), bytes);
        }
    }
}
