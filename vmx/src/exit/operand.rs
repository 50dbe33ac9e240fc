//! Operands of instructions, as exit qualifications and instruction information encode them.

use x86_virt_core::{AddressSize, Gpr, SegmentRegister, codes};

codes! {
    /// Number of a general-purpose register.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Control-Register Accesses").
    pub struct RegisterNumber(u8 & 0xf) {
        /// RAX.
        RAX = 0;
        /// RCX.
        RCX = 1;
        /// RDX.
        RDX = 2;
        /// RBX.
        RBX = 3;
        /// RSP.
        RSP = 4;
        /// RBP.
        RBP = 5;
        /// RSI.
        RSI = 6;
        /// RDI.
        RDI = 7;
        /// R8.
        R8 = 8;
        /// R9.
        R9 = 9;
        /// R10.
        R10 = 10;
        /// R11.
        R11 = 11;
        /// R12.
        R12 = 12;
        /// R13.
        R13 = 13;
        /// R14.
        R14 = 14;
        /// R15.
        R15 = 15;
    }
}

impl From<RegisterNumber> for Gpr {
    fn from(number: RegisterNumber) -> Self {
        Self::from_number(u64::from(number.into_bits()))
    }
}

codes! {
    /// Number of a segment register.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution".
    pub struct SegmentNumber(u8 & 7) {
        /// ES.
        ES = 0;
        /// CS.
        CS = 1;
        /// SS.
        SS = 2;
        /// DS.
        DS = 3;
        /// FS.
        FS = 4;
        /// GS.
        GS = 5;
    }
}

impl From<SegmentNumber> for SegmentRegister {
    fn from(number: SegmentNumber) -> Self {
        Self::from_number(u64::from(number.into_bits()))
    }
}

codes! {
    /// Address size in instruction information.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution".
    pub struct AddressSizeCode(u8 & 7) {
        /// 16 bits.
        BITS_16 = 0;
        /// 32 bits.
        BITS_32 = 1;
        /// 64 bits.
        BITS_64 = 2;
    }
}

impl AddressSizeCode {
    /// The size, or `None` if the code is not used.
    #[must_use]
    pub const fn size(self) -> Option<AddressSize> {
        Some(match self {
            Self::BITS_16 => AddressSize::Bits16,
            Self::BITS_32 => AddressSize::Bits32,
            Self::BITS_64 => AddressSize::Bits64,
            _ => return None,
        })
    }
}

codes! {
    /// Operand size in instruction information, and in the extended format address size.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution".
    pub struct SizeCode(u8 & 3) {
        /// 16 bits.
        BITS_16 = 0;
        /// 32 bits.
        BITS_32 = 1;
        /// 64 bits.
        BITS_64 = 2;
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use x86_virt_core::{AddressSize, Gpr, SegmentRegister};

    use super::{AddressSizeCode, RegisterNumber, SegmentNumber};

    #[test]
    fn numbers_are_those_of_instructions() {
        for number in 0..=u8::MAX {
            let code = RegisterNumber::from_bits(number);
            assert_eq!(code.into_bits(), number & 0xf);
            assert_eq!(format!("{:?}", Gpr::from(code)).to_uppercase(), code.to_string());
        }
        for number in 0..6 {
            let code = SegmentNumber::from_bits(number);
            assert_eq!(format!("{:?}", SegmentRegister::from(code)).to_uppercase(), code.to_string());
        }
        assert_eq!(SegmentNumber::from_bits(6).name(), None);
    }

    #[test]
    fn three_address_sizes_are_used() {
        let sizes: Vec<_> = (0..8).map(|bits| AddressSizeCode::from_bits(bits).size()).collect();
        assert_eq!(
            sizes.get(..3),
            Some(&[AddressSize::Bits16, AddressSize::Bits32, AddressSize::Bits64].map(Some)[..])
        );
        assert!(sizes.iter().skip(3).all(Option::is_none));
    }
}
