//! Memory operands of instructions that ended a run.

use x86_virt_core::{AddressSize, Gpr, Gprs, SegmentRegister};

/// A memory operand, as instruction information and an exit qualification tell it.
///
/// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution"; vol. 1, section 3.7.5,
/// "Specifying an Offset".
///
/// ```
/// use x86_virt_core::{AddressSize, Gpr, Gprs, SegmentRegister};
/// use x86_virt_vmx::MemoryOperand;
///
/// let operand = MemoryOperand {
///     segment: SegmentRegister::Ds,
///     base: Some(Gpr::Rbx),
///     index: Some((Gpr::Rcx, 8)),
///     displacement: 0x10,
///     address_size: AddressSize::Bits64,
/// };
/// let gprs = Gprs { rbx: 0x1000, rcx: 2, ..Gprs::default() };
/// assert_eq!(operand.effective_address(&gprs, 0), 0x1020);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MemoryOperand {
    /// The segment register.
    pub segment: SegmentRegister,
    /// The base register, if there is one.
    pub base: Option<Gpr>,
    /// The index register and the factor, which is 1, 2, 4 or 8, if there is one.
    pub index: Option<(Gpr, u8)>,
    /// The displacement, from the exit qualification. Of an operand relative to RIP it is the address.
    pub displacement: u64,
    /// The address size of the instruction, to which the sum wraps.
    pub address_size: AddressSize,
}

impl MemoryOperand {
    /// The offset in the segment: base, scaled index and displacement, wrapped to the address size.
    ///
    /// `rsp` is the guest's RSP, which `gprs` does not hold. The base of the segment is not added. In 64-bit mode only FS and GS
    /// have one.
    #[must_use]
    pub fn effective_address(&self, gprs: &Gprs, rsp: u64) -> u64 {
        let value = |register| gprs.get(register).unwrap_or(rsp);
        let base = self.base.map_or(0, value);
        let index = self.index.map_or(0, |(register, factor)| value(register).wrapping_mul(u64::from(factor)));
        base.wrapping_add(index).wrapping_add(self.displacement) & self.address_size.mask()
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{AddressSize, Gpr, Gprs, SegmentRegister};

    use super::MemoryOperand;

    #[test]
    fn the_sum_wraps_to_the_address_size() {
        let operand = MemoryOperand {
            segment: SegmentRegister::Ss,
            base: Some(Gpr::Rsp),
            index: Some((Gpr::Rax, 4)),
            displacement: u64::MAX - 7,
            address_size: AddressSize::Bits64,
        };
        let gprs = Gprs { rax: 0x1_0000_0002, ..Gprs::default() };
        for (address_size, expected) in
            [(AddressSize::Bits64, 0x5_0000_0000), (AddressSize::Bits32, 0), (AddressSize::Bits16, 0)]
        {
            let operand = MemoryOperand { address_size, ..operand };
            assert_eq!(operand.effective_address(&gprs, 0x1_0000_0000), expected);
        }
        let absolute = MemoryOperand { base: None, index: None, displacement: 0xffff_8000_0000_1000, ..operand };
        assert_eq!(absolute.effective_address(&gprs, 0), 0xffff_8000_0000_1000);
    }
}
