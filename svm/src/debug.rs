//! Debug registers of the host around a run.

use x86_virt_core::Host;

/// DR7 with all breakpoints disabled: its value after a #VMEXIT.
///
/// AMD APM vol. 2, section 15.6, "#VMEXIT".
const DISABLED: u64 = 0x400;
/// L0 to G3: a breakpoint is enabled.
const ENABLES: u64 = 0xff;

/// What a #VMEXIT does not restore.
#[derive(Debug)]
pub(crate) struct HostDebug {
    dr6: u64,
    dr7: u64,
    addresses: Option<[u64; 4]>,
}

impl HostDebug {
    /// Notes the host's registers, and loads the breakpoint addresses of a guest that has breakpoints enabled. The VMCB
    /// holds its DR6 and DR7.
    ///
    /// Other guests cannot tell what is in DR0 to DR3: they neither read nor use them.
    #[expect(unsafe_code, reason = "writes debug registers")]
    pub(crate) fn exchange(host: Host<'_>, guest_dr7: u64, guest: &[u64; 4]) -> Self {
        let (dr6, dr7) = (host.dr6(), host.dr7());
        if guest_dr7 & ENABLES == 0 {
            return Self { dr6, dr7, addresses: None };
        }
        if dr7 & ENABLES != 0 {
            // SAFETY: a valid DR7; no breakpoint of the host is to be at an address of the guest. `restore` brings it back.
            unsafe { host.set_dr7(DISABLED) };
        }
        let addresses = [host.dr0(), host.dr1(), host.dr2(), host.dr3()];
        set_addresses(host, guest);
        Self { dr6, dr7, addresses: Some(addresses) }
    }

    /// Brings the host's registers back, where the guest's are in their place.
    #[expect(unsafe_code, reason = "writes debug registers")]
    pub(crate) fn restore(self, host: Host<'_>, guest_dr6: u64, guest_dr7: u64) {
        if let Some(addresses) = &self.addresses {
            set_addresses(host, addresses);
        }
        if self.dr6 != guest_dr6 {
            // SAFETY: the value was read from the register.
            unsafe { host.set_dr6(self.dr6) };
        }
        if self.dr7 != DISABLED || guest_dr7 != DISABLED {
            // SAFETY: the value was read from the register, and DR0 to DR3 are the host's again.
            unsafe { host.set_dr7(self.dr7) };
        }
    }
}

#[expect(unsafe_code, reason = "writes debug registers")]
fn set_addresses(host: Host<'_>, addresses: &[u64; 4]) {
    let [dr0, dr1, dr2, dr3] = *addresses;
    // SAFETY: no breakpoint is enabled; any address is valid.
    unsafe { host.set_dr0(dr0) };
    // SAFETY: as above.
    unsafe { host.set_dr1(dr1) };
    // SAFETY: as above.
    unsafe { host.set_dr2(dr2) };
    // SAFETY: as above.
    unsafe { host.set_dr3(dr3) };
}
