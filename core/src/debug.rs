//! Debug registers of the host around a run, for the vendors' crates.
#![expect(unsafe_code, reason = "writes debug registers")]

use crate::host::Host;

/// DR7 with all breakpoints disabled, as it is after an exit.
///
/// Intel SDM vol. 3, section 30.5.1, "Loading Host Control Registers, Debug Registers, MSRs"; AMD APM vol. 2, section 15.6,
/// "#VMEXIT".
const DISABLED: u64 = 0x400;
/// L0 to G3: a breakpoint is enabled.
const ENABLES: u64 = 0xff;

/// The host's debug registers, which an exit does not bring back.
#[derive(Debug)]
pub struct HostDebug {
    dr6: u64,
    dr7: u64,
    addresses: Option<[u64; 4]>,
}

impl HostDebug {
    /// Notes the host's registers, and loads the breakpoint addresses `guest` if `guest_dr7` enables a breakpoint.
    ///
    /// Other guests cannot tell what is in DR0 to DR3: their accesses end the run.
    #[inline]
    #[must_use]
    pub fn exchange(host: Host<'_>, guest_dr7: u64, guest: &[u64; 4]) -> Self {
        let (dr6, dr7) = (host.dr6(), host.dr7());
        if guest_dr7 & ENABLES == 0 {
            return Self { dr6, dr7, addresses: None };
        }
        if dr7 & ENABLES != 0 {
            // SAFETY: a valid DR7. No breakpoint of the host shall be at an address of the guest; `restore` brings it back.
            unsafe { host.set_dr7(DISABLED) };
        }
        let addresses = [host.dr0(), host.dr1(), host.dr2(), host.dr3()];
        set_addresses(host, guest);
        Self { dr6, dr7, addresses: Some(addresses) }
    }

    /// Loads the guest's DR6, if it is another than the host's.
    #[inline]
    pub fn load_dr6(&self, host: Host<'_>, guest: u64) {
        if guest != self.dr6 {
            // SAFETY: the vendors' `set_dr6` and the processor make only values that it takes; `restore` brings the host's back.
            unsafe { host.set_dr6(guest) };
        }
    }

    /// Brings the host's registers back, where they are others. DR6 is `dr6` now.
    #[inline]
    pub fn restore(self, host: Host<'_>, dr6: u64) {
        if self.addresses.is_some() {
            self.restore_addresses(host);
        }
        if dr6 != self.dr6 {
            // SAFETY: the value was read from the register.
            unsafe { host.set_dr6(self.dr6) };
        }
        if host.dr7() != self.dr7 {
            // SAFETY: the value was read from the register, and DR0 to DR3 are the host's again.
            unsafe { host.set_dr7(self.dr7) };
        }
    }

    #[cold]
    fn restore_addresses(&self, host: Host<'_>) {
        let Some(addresses) = &self.addresses else { return };
        if host.dr7() & ENABLES != 0 {
            // SAFETY: a valid DR7.
            unsafe { host.set_dr7(DISABLED) };
        }
        set_addresses(host, addresses);
    }
}

/// Sets DR0 to DR3. No breakpoint is enabled.
fn set_addresses(host: Host<'_>, [dr0, dr1, dr2, dr3]: &[u64; 4]) {
    // SAFETY: no breakpoint is enabled, and any address is valid.
    unsafe { host.set_dr0(*dr0) };
    // SAFETY: as above.
    unsafe { host.set_dr1(*dr1) };
    // SAFETY: as above.
    unsafe { host.set_dr2(*dr2) };
    // SAFETY: as above.
    unsafe { host.set_dr3(*dr3) };
}
