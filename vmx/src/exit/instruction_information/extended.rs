//! The format for processors with 32 general-purpose registers.

use x86_virt_core::register;

use crate::exit::operand::{SegmentNumber, SizeCode};

register! {
    /// Extended instruction information, of processors with APX: one format for all instructions, and numbers of registers from
    /// 0 to 31.
    ///
    /// Provisional: one source, a series of patches for Linux.
    pub struct ExtendedInstructionInformation(u64) {
        /// The index is shifted left by so many bits. Undefined without an index.
        #[bits(2)]
        pub scaling: u8,
        /// Address size.
        #[bits(2)]
        pub address_size: SizeCode,
        /// The operand is a register, not memory.
        pub register_operand: bool,
        /// Operand size.
        #[bits(2)]
        pub operand_size: SizeCode,
        /// Segment register.
        #[bits(3)]
        pub segment: SegmentNumber,
        /// There is no index register.
        pub index_invalid: bool,
        /// There is no base register.
        pub base_invalid: bool,
        #[bits(4)]
        _reserved12: u8,
        /// Reg1: number of the first register.
        #[bits(5)]
        pub reg1: u8,
        #[bits(3)]
        _reserved21: u8,
        /// Number of the index register.
        #[bits(5)]
        pub index: u8,
        #[bits(3)]
        _reserved29: u8,
        /// Number of the base register.
        #[bits(5)]
        pub base: u8,
        #[bits(3)]
        _reserved37: u8,
        /// Reg2: number of the second register.
        #[bits(5)]
        pub reg2: u8,
        #[bits(19)]
        _reserved45: u32,
    }
}
