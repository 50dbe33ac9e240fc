//! The pointer to the root of extended page tables.

use x86_virt_core::register;
use x86_virt_core::{Hpa, MemoryType};

use crate::capabilities::EptCapabilities;
use crate::misconfiguration::beyond;
use crate::tables::Note;

register! {
    /// An extended-page-table pointer (EPTP): where the root is and how the processor reads the tables.
    ///
    /// Intel SDM vol. 3, section 27.6.11, "Extended-Page-Table Pointer (EPTP)".
    ///
    /// ```
    /// use x86_virt_core::{Hpa, MemoryType};
    /// use x86_virt_ept::Eptp;
    ///
    /// let eptp = Eptp::new(Hpa::new(0x1234_5000), 4, MemoryType::WriteBack);
    /// assert_eq!(eptp.into_bits(), 0x1234_501e);
    /// assert_eq!(eptp.with_accessed_dirty(true).into_bits(), 0x1234_505e);
    /// ```
    pub struct Eptp(u64, new = false) {
        /// Bits 2:0: the memory type with which the processor reads the tables: 0 (UC) or 6 (WB).
        #[doc(alias = "VMX_EPTP_MT_MASK")]
        #[bits(3)]
        pub memory_type_encoding: u8,
        /// Bits 5:3: the page-walk length, less 1.
        #[doc(alias = "VMX_EPTP_PWL_MASK")]
        #[bits(3)]
        pub page_walk_length_minus_1: u8,
        /// Bit 6: accessed and dirty flags are enabled.
        #[doc(alias = "VMX_EPTP_AD_ENABLE_BIT")]
        pub accessed_dirty: bool,
        /// Bit 7: access rights for supervisor shadow-stack pages are enforced.
        pub supervisor_shadow_stack: bool,
        #[bits(4)]
        _reserved8: u8,
        /// Bits 51:12: the address of the root. Bits from the physical-address width on are reserved.
        #[bits(40)]
        pub frame_number: u64,
        #[bits(12)]
        _reserved52: u16,
    }
}

impl Eptp {
    /// The pointer to the root at `root`, of which bits 51 to 12 count, of tables of `levels` levels, which the processor
    /// reads as memory of `memory_type`.
    #[must_use]
    pub const fn new(root: Hpa, levels: u8, memory_type: MemoryType) -> Self {
        Self::from_bits(0)
            .with_memory_type_encoding(memory_type.encoding())
            .with_page_walk_length_minus_1(levels.wrapping_sub(1) & 7)
            .with_frame_number((root.get() >> 12) & 0xff_ffff_ffff)
    }

    /// The address of the root.
    #[must_use]
    pub const fn root(self) -> Hpa {
        Hpa::new(self.frame_number() << 12)
    }

    /// How many levels of tables there are.
    #[must_use]
    pub const fn levels(self) -> u8 {
        self.page_walk_length_minus_1() + 1
    }

    /// The memory type, or `None` if its encoding is reserved.
    #[must_use]
    pub const fn memory_type(self) -> Option<MemoryType> {
        MemoryType::from_encoding(self.memory_type_encoding())
    }

    /// Checks what VM entries and EPTP switching check, on a processor with these `capabilities` and physical addresses of
    /// `address_width` bits.
    ///
    /// Intel SDM vol. 3, section 29.2.1.1, "VM-Execution Control Fields".
    ///
    /// # Errors
    ///
    /// [`InvalidEptp`] with the first reason.
    pub const fn check(self, capabilities: EptCapabilities, address_width: u8) -> Result<(), InvalidEptp> {
        let has_memory_type = match self.memory_type_encoding() {
            0 => capabilities.tables_uncacheable(),
            6 => capabilities.tables_write_back(),
            _ => false,
        };
        if !has_memory_type {
            return Err(InvalidEptp::MemoryType { encoding: self.memory_type_encoding() });
        }
        let has_length = match self.levels() {
            4 => capabilities.page_walk_length_4(),
            5 => capabilities.page_walk_length_5(),
            _ => false,
        };
        if !has_length {
            return Err(InvalidEptp::PageWalkLength { length: self.levels() });
        }
        if self.accessed_dirty() && !capabilities.accessed_dirty() {
            return Err(InvalidEptp::AccessedDirty);
        }
        if self.supervisor_shadow_stack() && !capabilities.supervisor_shadow_stack() {
            return Err(InvalidEptp::SupervisorShadowStack);
        }
        let bits = self.into_bits() & (0xf00 | 0xfff << 52 | beyond(address_width));
        if bits == 0 { Ok(()) } else { Err(InvalidEptp::ReservedBits { bits }) }
    }
}

/// What fields need.
pub(crate) const NOTES: [Note; 2] = [
    Note::of("ACCESSED_DIRTY").requires("EPT_VPID_CAP.ACCESSED_DIRTY"),
    Note::of("SUPERVISOR_SHADOW_STACK").requires("EPT_VPID_CAP.SUPERVISOR_SHADOW_STACK"),
];

/// Why a processor refuses an EPTP.
///
/// ```
/// use x86_virt_ept::{EptCapabilities, Eptp, InvalidEptp};
///
/// let capabilities = EptCapabilities::from_bits(0x4040);
/// assert_eq!(Eptp::from_bits(0x101e).check(capabilities, 46), Ok(()));
/// assert_eq!(Eptp::from_bits(0x105e).check(capabilities, 46), Err(InvalidEptp::AccessedDirty));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum InvalidEptp {
    /// The memory type is neither UC nor WB, or the processor does not support it.
    #[error("the processor reads no EPT tables as memory of type {encoding}")]
    MemoryType {
        /// Bits 2:0.
        encoding: u8,
    },
    /// The processor has no page walks of this length.
    #[error("the processor has no EPT page walks of length {length}")]
    PageWalkLength {
        /// The length.
        length: u8,
    },
    /// Bit 6 on a processor without accessed and dirty flags.
    #[error("the processor has no accessed and dirty flags for EPT")]
    AccessedDirty,
    /// Bit 7 on a processor without control of supervisor shadow stacks.
    #[error("the processor has no control of supervisor shadow stacks in EPT")]
    SupervisorShadowStack,
    /// Reserved bits.
    #[error("the EPTP has reserved bits set: {bits:#x}")]
    ReservedBits {
        /// The bits.
        bits: u64,
    },
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{Hpa, MemoryType};

    use super::{Eptp, InvalidEptp};
    use crate::EptCapabilities;

    #[test]
    fn each_reason_for_refusal_is_found() {
        let capabilities = EptCapabilities::from_bits(0x4040);
        let all = EptCapabilities::from_bits(u64::MAX);
        let table = [
            (0x1234_501e, capabilities, Ok(())),
            (0x1234_50e6, all, Ok(())),
            (0x1234_5018, all, Ok(())),
            (0x1234_5018, capabilities, Err(InvalidEptp::MemoryType { encoding: 0 })),
            (0x1234_501c, all, Err(InvalidEptp::MemoryType { encoding: 4 })),
            (0x1234_5026, capabilities, Err(InvalidEptp::PageWalkLength { length: 5 })),
            (0x1234_5016, all, Err(InvalidEptp::PageWalkLength { length: 3 })),
            (0x1234_503e, all, Err(InvalidEptp::PageWalkLength { length: 8 })),
            (0x1234_505e, capabilities, Err(InvalidEptp::AccessedDirty)),
            (0x1234_509e, capabilities, Err(InvalidEptp::SupervisorShadowStack)),
            (0x1234_591e, all, Err(InvalidEptp::ReservedBits { bits: 0x900 })),
            (0x4000_0000_001e, all, Err(InvalidEptp::ReservedBits { bits: 1 << 46 })),
            (1 << 63 | 0x1e, all, Err(InvalidEptp::ReservedBits { bits: 1 << 63 })),
        ];
        for (bits, capabilities, result) in table {
            assert_eq!(Eptp::from_bits(bits).check(capabilities, 46), result, "{bits:#x}");
        }
    }

    #[test]
    fn values_are_those_of_the_manual() {
        let table =
            [(4, MemoryType::WriteBack, 0x1e), (5, MemoryType::WriteBack, 0x26), (4, MemoryType::Uncacheable, 0x18)];
        for (levels, memory_type, low) in table {
            let eptp = Eptp::new(Hpa::new(0xa_bcde_f000), levels, memory_type);
            assert_eq!(eptp.into_bits(), 0xa_bcde_f000 | low);
            assert_eq!((eptp.root(), eptp.levels()), (Hpa::new(0xa_bcde_f000), levels));
            assert_eq!(eptp.memory_type(), Some(memory_type));
        }
    }

    #[test]
    fn an_address_cannot_spill_into_other_fields() {
        let eptp = Eptp::new(Hpa::new(u64::MAX), 4, MemoryType::WriteBack);
        assert_eq!(eptp.into_bits(), 0x000f_ffff_ffff_f01e);
    }
}
