//! IA32_XSS of the host around a run, for the vendors' crates.
#![expect(unsafe_code, reason = "writes an MSR")]

use x86::cpuid::native_cpuid::cpuid_count;

use crate::fpu::Osxsave;
use crate::host::Host;

/// The number of IA32_XSS.
///
/// Intel SDM vol. 1, section 13.3, "Enabling the XSAVE Feature Set and XSAVE-Enabled Features"; AMD APM vol. 2, section 11.5,
/// "XSAVE/XRSTOR Instructions".
const IA32_XSS: u32 = 0xda0;

/// IA32_XSS of the host. That of a guest is 0, so that its XSAVES and XRSTORS have nothing to do with the state of the host's
/// supervisor.
#[derive(Clone, Copy, Default, Debug)]
pub struct HostXss(u64);

impl HostXss {
    /// The value now, which stays as it is while the virtual processor is loaded (`CpuPin`).
    #[must_use]
    pub fn read(host: Host<'_>) -> Self {
        const XSAVES: u32 = 1 << 3;
        if cpuid_count(0, 0).eax < 0xd || cpuid_count(0xd, 1).eax & XSAVES == 0 {
            return Self(0);
        }
        // SAFETY: a processor with XSAVES has the MSR.
        Self(unsafe { host.msr(IA32_XSS) })
    }

    /// Whether there is something to do around runs of this guest.
    #[inline]
    #[must_use]
    pub fn is_switched(self, guest: Osxsave) -> bool {
        self.0 != 0 && guest == Osxsave::Enabled
    }

    /// Before a run of a guest, which can execute XSAVES if CR4.OSXSAVE is 1.
    #[inline]
    pub fn clear(self, host: Host<'_>, guest: Osxsave) {
        if self.is_switched(guest) {
            // SAFETY: the processor has the MSR, for its value is not 0; the host executes no XSAVES before `restore`.
            unsafe { host.set_msr(IA32_XSS, 0) };
        }
    }

    /// After the run.
    #[inline]
    pub fn restore(self, host: Host<'_>, guest: Osxsave) {
        if self.is_switched(guest) {
            // SAFETY: the host's own value.
            unsafe { host.set_msr(IA32_XSS, self.0) };
        }
    }
}
