//! Operands of INVEPT.

use core::mem::{offset_of, size_of};

use static_assertions::const_assert_eq;
use x86_virt_core::codes;
use x86_virt_ept::Eptp;

codes! {
    /// How much INVEPT invalidates: its register operand.
    ///
    /// Intel SDM vol. 3, section 33.3, "VMX Instructions" (INVEPT).
    pub struct InveptType(u64) {
        /// The translations made with one EPTP.
        SINGLE_CONTEXT = 1 aka "VMX_EPT_EXTENT_CONTEXT";
        /// The translations made with every EPTP.
        GLOBAL = 2 aka "VMX_EPT_EXTENT_GLOBAL";
    }
}

/// The descriptor of INVEPT: its memory operand.
///
/// Intel SDM vol. 3, section 33.3, "VMX Instructions" (INVEPT).
///
/// ```
/// use x86_virt_core::{Hpa, MemoryType};
/// use x86_virt_ept::Eptp;
/// use x86_virt_vmx::InveptDescriptor;
///
/// let eptp = Eptp::new(Hpa::new(0x1000), 4, MemoryType::WriteBack);
/// let descriptor = InveptDescriptor::new(eptp);
/// assert_eq!((descriptor.eptp(), descriptor.reserved()), (eptp, 0));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(C)]
pub struct InveptDescriptor {
    eptp: u64,
    reserved: u64,
}

const_assert_eq!(size_of::<InveptDescriptor>(), 16);
const_assert_eq!(offset_of!(InveptDescriptor, eptp), 0);
const_assert_eq!(offset_of!(InveptDescriptor, reserved), 8);

impl InveptDescriptor {
    /// The descriptor of the translations made with `eptp`. With [`InveptType::GLOBAL`] the pointer does not count.
    #[must_use]
    pub const fn new(eptp: Eptp) -> Self {
        Self { eptp: eptp.into_bits(), reserved: 0 }
    }

    /// The descriptor in these bytes of a guest's memory.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let value = u128::from_le_bytes(bytes);
        Self { eptp: low(value), reserved: low(value >> 64) }
    }

    /// The bytes of the descriptor.
    #[must_use]
    pub fn into_bytes(self) -> [u8; 16] {
        (u128::from(self.reserved) << 64 | u128::from(self.eptp)).to_le_bytes()
    }

    /// The EPTP.
    #[must_use]
    pub const fn eptp(self) -> Eptp {
        Eptp::from_bits(self.eptp)
    }

    /// Bits 127:64, which must be zero.
    #[must_use]
    pub const fn reserved(self) -> u64 {
        self.reserved
    }
}

const fn low(value: u128) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = value.to_le_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{InveptDescriptor, InveptType};

    #[test]
    fn types_are_those_of_the_manual() {
        assert_eq!((InveptType::SINGLE_CONTEXT.into_bits(), InveptType::GLOBAL.into_bits()), (1, 2));
    }

    proptest! {
        #[test]
        fn bytes_are_kept(eptp in any::<u64>(), reserved in any::<u64>()) {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&eptp.to_le_bytes());
            bytes[8..].copy_from_slice(&reserved.to_le_bytes());
            let descriptor = InveptDescriptor::from_bytes(bytes);
            assert_eq!((descriptor.eptp().into_bits(), descriptor.reserved()), (eptp, reserved));
            assert_eq!(descriptor.into_bytes(), bytes);
        }
    }
}
