//! Registers and features of the processor itself.
use core::arch::x86_64::{__cpuid};

/// A feature of the processor that CPUID reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Feature {
    Monitor,
    Pcid,
    Xsave,
    Avx,
    Rdtscp,
    /// Each instruction that ends a run does so with a code of its own: not on QEMU's TCG, which reports RDTSCP as RDTSC and
    /// INVD as WBINVD, and does not intercept XSETBV.
    ExactExits,
}

/// Whether the processor has `feature`.
pub(crate) fn has(feature: Feature) -> bool {
    let bit = |register: u32, bit: u32| register >> bit & 1 == 1;
    match feature {
        Feature::Monitor => bit(__cpuid(1).ecx, 3),
        Feature::Pcid => bit(__cpuid(1).ecx, 17),
        Feature::Xsave => bit(__cpuid(1).ecx, 26),
        Feature::Avx => bit(__cpuid(1).ecx, 28),
        Feature::ExactExits => __cpuid(0x4000_0000).ebx != u32::from_le_bytes(*b"TCGT"),
        Feature::Rdtscp => bit(__cpuid(0x8000_0001).edx, 27),
    }
}
