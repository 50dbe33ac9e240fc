//! Formats without a memory operand that registers address.

use x86_virt_core::register;

use crate::exit::operand::{AddressSizeCode, RegisterNumber, SegmentNumber, SizeCode};

register! {
    /// Instruction information of INS and OUTS.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution" (table for INS and OUTS).
    pub struct StringIoInformation(u32) {
        #[bits(7)]
        _undefined0: u8,
        /// Address size.
        #[bits(3)]
        pub address_size: AddressSizeCode,
        #[bits(5)]
        _undefined10: u8,
        /// Segment of OUTS.
        #[bits(3)]
        pub segment: SegmentNumber,
        #[bits(14)]
        _undefined18: u16,
    }
}

register! {
    /// Instruction information of RDRAND and RDSEED.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution" (table for RDRAND and RDSEED).
    pub struct RandomInformation(u32) {
        #[bits(3)]
        _undefined0: u8,
        /// The register for the number.
        #[bits(4)]
        pub destination: RegisterNumber,
        #[bits(4)]
        _undefined7: u8,
        /// Operand size.
        #[bits(2)]
        pub operand_size: SizeCode,
        #[bits(19)]
        _undefined13: u32,
    }
}

register! {
    /// Instruction information of TPAUSE and UMWAIT.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution" (table for TPAUSE and UMWAIT).
    pub struct WaitInformation(u32) {
        #[bits(3)]
        _undefined0: u8,
        /// The register operand.
        #[bits(4)]
        pub source: RegisterNumber,
        #[bits(25)]
        _undefined7: u32,
    }
}

register! {
    /// Instruction information of LOADIWKEY.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution" (table for LOADIWKEY).
    pub struct LoadiwkeyInformation(u32) {
        #[bits(3)]
        _undefined0: u8,
        /// Reg1: number of the first XMM register.
        #[bits(4)]
        pub reg1: u8,
        #[bits(21)]
        _undefined7: u32,
        /// Reg2: number of the second XMM register.
        #[bits(4)]
        pub reg2: u8,
    }
}

register! {
    /// Instruction information of RDMSR and WRMSRNS with an immediate operand, and of URDMSR and UWRMSR.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution".
    pub struct MsrInformation(u32) {
        #[bits(3)]
        _undefined0: u8,
        /// The register with the value, or for it.
        #[bits(4)]
        pub reg1: RegisterNumber,
        #[bits(25)]
        _undefined7: u32,
    }
}
