//! The features in control registers that an ordinary kernel turns on where the processor has them.

#![expect(unsafe_code, reason = "writes CR4 and XCR0")]

use core::arch::x86_64::{__cpuid, __cpuid_count};

use x86::controlregs::{Cr4, Xcr0, cr4, cr4_write, xcr0_write};

/// CPUID.01H:ECX.XSAVE.
const XSAVE: u32 = 1 << 26;
/// CPUID.01H:ECX.AVX.
const AVX: u32 = 1 << 28;
/// CPUID.(EAX=07H,ECX=0):EBX.FSGSBASE.
const FSGSBASE: u32 = 1 << 0;

/// Turns on FSGSBASE, and OSXSAVE with the state of x87, SSE and AVX. What Rust itself needs is on since `boot.s`.
pub(crate) fn enable_features() {
    // SAFETY: the kernel runs at CPL 0.
    let mut bits = unsafe { cr4() };
    let features = __cpuid(1).ecx;
    if __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ebx & FSGSBASE != 0 {
        bits |= Cr4::CR4_ENABLE_FSGSBASE;
    }
    if features & XSAVE != 0 {
        bits |= Cr4::CR4_ENABLE_OS_XSAVE;
    }
    // SAFETY: CPL 0; the bits added are of features that CPUID reports, the others are those of `boot.s`.
    unsafe { cr4_write(bits) };
    if features & XSAVE != 0 {
        let mut state = Xcr0::XCR0_FPU_MMX_STATE | Xcr0::XCR0_SSE_STATE;
        if features & AVX != 0 {
            state |= Xcr0::XCR0_AVX_STATE;
        }
        // SAFETY: CPL 0 and CR4.OSXSAVE is set; x87 and SSE are always allowed, AVX where CPUID reports it.
        unsafe { xcr0_write(state) };
    }
}
