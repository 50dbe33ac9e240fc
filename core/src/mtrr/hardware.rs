//! The registers of this processor.

use x86::cpuid::CpuId;
use x86::msr;

use super::{MtrrCapabilities, Mtrrs, RawMtrrs};
use crate::host::Host;

const FIXED: [u32; 11] = [
    msr::IA32_MTRR_FIX64K_00000,
    msr::IA32_MTRR_FIX16K_80000,
    msr::IA32_MTRR_FIX16K_A0000,
    msr::IA32_MTRR_FIX4K_C0000,
    msr::IA32_MTRR_FIX4K_C8000,
    msr::IA32_MTRR_FIX4K_D0000,
    msr::IA32_MTRR_FIX4K_D8000,
    msr::IA32_MTRR_FIX4K_E0000,
    msr::IA32_MTRR_FIX4K_E8000,
    msr::IA32_MTRR_FIX4K_F0000,
    msr::IA32_MTRR_FIX4K_F8000,
];
const SYSCFG: u32 = 0xc001_0010;
const TOP_MEM2: u32 = 0xc001_001d;
/// Of SYSCFG: MtrrTom2En and Tom2ForceMemTypeWB.
const TOM2_IS_WRITE_BACK: u64 = 1 << 21 | 1 << 22;

impl Mtrrs {
    /// Reads the registers of this processor, or `None` if it has none.
    ///
    /// All processors have the same values, so that one is enough.
    ///
    /// Intel SDM vol. 3, section 13.11.1, "MTRR Feature Identification"; AMD APM vol. 2, section 7.7, "Memory-Type
    /// Range Registers", and section 7.9, "Memory-Mapped I/O", on the top of memory.
    #[must_use]
    #[expect(unsafe_code, reason = "reads MSRs")]
    pub fn read(host: Host<'_>) -> Option<Self> {
        let cpuid = CpuId::new();
        cpuid.get_feature_info().filter(|features| features.has_mtrr())?;
        // SAFETY: a processor with MTRRs has IA32_MTRRCAP and IA32_MTRR_DEF_TYPE, the fixed ranges if FIX is set, and VCNT
        // variable ranges (Intel SDM vol. 3, section 13.11). Those of AMD and Hygon with 64-bit mode, which `CpuPin`
        // promises, have SYSCFG and TOP_MEM2. Reading them has no side effect.
        let read = |number| unsafe { host.msr(number) };
        let capabilities = MtrrCapabilities::from_bits(read(msr::IA32_MTRRCAP));
        let mut raw = RawMtrrs {
            capabilities: capabilities.into_bits(),
            default_type: read(msr::IA32_MTRR_DEF_TYPE),
            ..RawMtrrs::default()
        };
        if capabilities.fix() {
            raw.fixed = FIXED.map(read);
        }
        let numbers = (msr::IA32_MTRR_PHYSBASE0..).step_by(2);
        for (pair, number) in raw.variable.iter_mut().take(usize::from(capabilities.vcnt())).zip(numbers) {
            *pair = (read(number), read(number + 1));
        }
        let vendor = cpuid.get_vendor_info();
        let has_syscfg = vendor.is_some_and(|vendor| matches!(vendor.as_str(), "AuthenticAMD" | "HygonGenuine"));
        if has_syscfg && read(SYSCFG) & TOM2_IS_WRITE_BACK == TOM2_IS_WRITE_BACK {
            raw.top_of_memory_2 = read(TOP_MEM2) & 0x000f_ffff_ff80_0000;
        }
        Some(Self::from_raw(raw))
    }
}
