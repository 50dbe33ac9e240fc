//! Areas of MSRs that VM entries load, and VM exits store and load.

use core::mem::offset_of;

use static_assertions::const_assert_eq;
use x86_virt_core::Hpa;

use super::Part;

/// An entry of a VM-exit MSR-store area, a VM-exit MSR-load area or a VM-entry MSR-load area.
///
/// Intel SDM vol. 3, section 27.7.2, "VM-Exit Controls for MSRs", and section 27.8.2, "VM-Entry Controls for MSRs".
///
/// ```
/// use x86_virt_vmx::{InvalidMsrArea, MsrAreaEntry};
///
/// assert_eq!(MsrAreaEntry::new(0x277, 0x0007_0406_0007_0406).check_load(), Ok(()));
/// let gs_base = MsrAreaEntry::new(0xc000_0101, 0);
/// assert_eq!(gs_base.check_load(), Err(InvalidMsrArea::Base { msr: 0xc000_0101 }));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(C, align(16))]
pub struct MsrAreaEntry {
    /// Bits 31:0: the number of the MSR.
    pub index: u32,
    /// Bits 63:32: must be zero.
    pub reserved: u32,
    /// Bits 127:64: the value.
    pub value: u64,
}

const_assert_eq!(size_of::<MsrAreaEntry>(), 16);
const_assert_eq!(offset_of!(MsrAreaEntry, index), 0);
const_assert_eq!(offset_of!(MsrAreaEntry, reserved), 4);
const_assert_eq!(offset_of!(MsrAreaEntry, value), 8);

/// The layout.
pub(super) const PARTS: [Part; 2] =
    [("MSR_INDEX", offset_of!(MsrAreaEntry, index), 32), ("MSR_DATA", offset_of!(MsrAreaEntry, value), 64)];

/// IA32_FS_BASE, which cannot be loaded.
const FS_BASE: u32 = 0xc000_0100;
/// IA32_GS_BASE, which cannot be loaded.
const GS_BASE: u32 = 0xc000_0101;
/// IA32_SMM_MONITOR_CTL, which can be written in system-management mode only.
const SMM_MONITOR_CTL: u32 = 0x9b;
/// IA32_SMBASE, which can be read in system-management mode only.
const SMBASE: u32 = 0x9e;
/// Bits 31:8 of the numbers of the MSRs of the x2APIC, which can be neither loaded nor stored.
const X2APIC_31_8: u32 = 0x8;

impl MsrAreaEntry {
    /// The bytes of an entry.
    pub const BYTES: u64 = 16;

    /// The entry for MSR `index` with `value`.
    #[must_use]
    pub const fn new(index: u32, value: u64) -> Self {
        Self { index, reserved: 0, value }
    }

    /// Checks what is checked, outside of system-management mode, of every processor before the MSR is loaded. A processor
    /// also refuses MSRs of its model, and values that WRMSR refuses.
    ///
    /// Intel SDM vol. 3, section 29.4, "Loading MSRs".
    ///
    /// # Errors
    ///
    /// [`InvalidMsrArea`] with the first reason.
    pub const fn check_load(self) -> Result<(), InvalidMsrArea> {
        match self.index {
            FS_BASE | GS_BASE => Err(InvalidMsrArea::Base { msr: self.index }),
            SMM_MONITOR_CTL => Err(InvalidMsrArea::SystemManagement { msr: self.index }),
            _ => self.check_any(),
        }
    }

    /// Checks what is checked, outside of system-management mode, of every processor before the MSR is stored. A processor
    /// also refuses MSRs of its model, and those that RDMSR refuses.
    ///
    /// Intel SDM vol. 3, section 30.4, "Saving MSRs".
    ///
    /// # Errors
    ///
    /// [`InvalidMsrArea`] with the first reason.
    pub const fn check_store(self) -> Result<(), InvalidMsrArea> {
        match self.index {
            SMBASE => Err(InvalidMsrArea::SystemManagement { msr: self.index }),
            _ => self.check_any(),
        }
    }

    const fn check_any(self) -> Result<(), InvalidMsrArea> {
        if self.index >> 8 == X2APIC_31_8 {
            return Err(InvalidMsrArea::X2Apic { msr: self.index });
        }
        if self.reserved != 0 {
            return Err(InvalidMsrArea::Reserved { reserved: self.reserved });
        }
        Ok(())
    }

    /// Checks the address and the count of an area as VM entries do, on a processor with physical addresses of
    /// `address_width` bits.
    ///
    /// Intel SDM vol. 3, section 29.2.1.2, "VM-Exit Control Fields", and section 29.2.1.3, "VM-Entry Control Fields".
    ///
    /// # Errors
    ///
    /// [`InvalidMsrArea`] with the first reason. An area of no entries is at no address.
    pub const fn check_area(address: Hpa, count: u32, address_width: u8) -> Result<(), InvalidMsrArea> {
        if count == 0 {
            return Ok(());
        }
        if address.get() & (Self::BYTES - 1) != 0 {
            return Err(InvalidMsrArea::Alignment { address });
        }
        let limit = if address_width >= 64 { u64::MAX } else { (1 << address_width) - 1 };
        let Some(last) = address.checked_add(widen(count) * Self::BYTES - 1) else {
            return Err(InvalidMsrArea::AddressWidth { address, count });
        };
        if last.get() > limit { Err(InvalidMsrArea::AddressWidth { address, count }) } else { Ok(()) }
    }

    /// How many entries an area has at most with the value `misc` of IA32_VMX_MISC. What more do is unpredictable.
    ///
    /// Intel SDM vol. 3, appendix A.6, "Miscellaneous Data".
    #[must_use]
    pub const fn recommended_maximum(misc: u64) -> u64 {
        512 * ((misc >> 25 & 7) + 1)
    }
}

/// The number in 64 bits: `u64::from`, which is not yet `const`.
const fn widen(count: u32) -> u64 {
    let [a, b, c, d] = count.to_le_bytes();
    u64::from_le_bytes([a, b, c, d, 0, 0, 0, 0])
}

/// Why a processor refuses an area of MSRs, or an entry of it.
///
/// ```
/// use x86_virt_core::Hpa;
/// use x86_virt_vmx::{InvalidMsrArea, MsrAreaEntry};
///
/// let address = Hpa::new(0x1008);
/// assert_eq!(MsrAreaEntry::check_area(address, 1, 46), Err(InvalidMsrArea::Alignment { address }));
/// assert_eq!(MsrAreaEntry::check_area(address, 0, 46), Ok(()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum InvalidMsrArea {
    /// The address is not a multiple of 16.
    #[error("the MSR area at {address} is not aligned to 16 bytes")]
    Alignment {
        /// The address.
        address: Hpa,
    },
    /// The last byte is beyond the physical-address width.
    #[error("the MSR area of {count} entries at {address} is beyond the physical-address width")]
    AddressWidth {
        /// The address.
        address: Hpa,
        /// The count of entries.
        count: u32,
    },
    /// IA32_FS_BASE or IA32_GS_BASE, which cannot be loaded.
    #[error("MSR {msr:#x} is a segment base and cannot be in an MSR area")]
    Base {
        /// The number of the MSR.
        msr: u32,
    },
    /// An MSR of the x2APIC.
    #[error("MSR {msr:#x} is one of the x2APIC and cannot be in an MSR area")]
    X2Apic {
        /// The number of the MSR.
        msr: u32,
    },
    /// An MSR that exists in system-management mode only.
    #[error("MSR {msr:#x} can be used in system-management mode only")]
    SystemManagement {
        /// The number of the MSR.
        msr: u32,
    },
    /// Bits 63:32 of the entry are not zero.
    #[error("bits 63:32 of an entry of an MSR area are {reserved:#x}, not zero")]
    Reserved {
        /// Bits 63:32.
        reserved: u32,
    },
}

#[cfg(test)]
mod tests {
    use x86_virt_core::Hpa;

    use super::{InvalidMsrArea, MsrAreaEntry};

    #[test]
    fn entries_are_checked_as_the_manual_says() {
        let entry = |index| MsrAreaEntry::new(index, 0);
        let table = [
            (entry(0xc000_0080), Ok(()), Ok(())),
            (entry(0xc000_0100), Err(InvalidMsrArea::Base { msr: 0xc000_0100 }), Ok(())),
            (entry(0xc000_0101), Err(InvalidMsrArea::Base { msr: 0xc000_0101 }), Ok(())),
            (entry(0x9b), Err(InvalidMsrArea::SystemManagement { msr: 0x9b }), Ok(())),
            (entry(0x9e), Ok(()), Err(InvalidMsrArea::SystemManagement { msr: 0x9e })),
            (entry(0x7ff), Ok(()), Ok(())),
            (entry(0x900), Ok(()), Ok(())),
        ];
        for (entry, load, store) in table {
            assert_eq!((entry.check_load(), entry.check_store()), (load, store), "{entry:?}");
        }
        for msr in 0x800..=0x8ff {
            let refused = Err(InvalidMsrArea::X2Apic { msr });
            assert_eq!((entry(msr).check_load(), entry(msr).check_store()), (refused, refused));
        }
        let reserved = MsrAreaEntry { reserved: 1, ..entry(0x277) };
        assert_eq!(reserved.check_load(), Err(InvalidMsrArea::Reserved { reserved: 1 }));
        assert_eq!(reserved.check_store(), Err(InvalidMsrArea::Reserved { reserved: 1 }));
    }

    #[test]
    fn areas_are_aligned_and_inside_the_width() {
        let end = Hpa::new((1 << 36) - 32);
        let beyond = |address, count| Err(InvalidMsrArea::AddressWidth { address, count });
        assert_eq!(MsrAreaEntry::check_area(end, 2, 36), Ok(()));
        assert_eq!(MsrAreaEntry::check_area(end, 3, 36), beyond(end, 3));
        let last = Hpa::new(u64::MAX - 15);
        assert_eq!(MsrAreaEntry::check_area(last, 1, 64), Ok(()));
        assert_eq!(MsrAreaEntry::check_area(last, 2, 64), beyond(last, 2));
        assert_eq!(MsrAreaEntry::check_area(Hpa::new(16), u32::MAX, 52), Ok(()));
        assert_eq!(MsrAreaEntry::recommended_maximum(0), 512);
        assert_eq!(MsrAreaEntry::recommended_maximum(7 << 25), 4096);
    }
}
