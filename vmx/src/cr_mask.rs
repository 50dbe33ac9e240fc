//! Which bits of CR0 and CR4 the guest changes without an exit.

use x86_virt_core::{Cr0, Cr4, OwnedBits};

use crate::capability::Capabilities;

/// Bits of CR0 that a guest may own: MP, EM, TS, WP and AM. The others are fixed in VMX operation (NE), act on the host's caches (CD, NW),
/// or change EFER.LMA (PE, PG).
const CR0: Cr0 = Cr0::new().with_mp(true).with_em(true).with_ts(true).with_wp(true).with_am(true);

/// Bits of CR4 that a guest may own: those that a guest may have, but MCE, which is the host's, LA57, which decides what is canonical, and
/// OSXSAVE, with which the world switch changes.
const CR4: u64 = 0x0033_0fbf;

/// Those of `wanted` that a guest may own on a processor.
///
/// Intel SDM vol. 3, section 27.6.6, "Guest/Host Masks and Read Shadows for CR0 and CR4".
pub(crate) fn grant(wanted: OwnedBits, capabilities: &Capabilities) -> OwnedBits {
    OwnedBits {
        cr0: Cr0::from(wanted.cr0.into_bits() & CR0.into_bits()),
        cr4: Cr4::from(wanted.cr4.into_bits() & CR4 & capabilities.raw().cr4_fixed1),
    }
}

/// A register as the guest reads it: the bits that it owns as they are, the others as the shadow says.
pub(crate) const fn seen(real: u64, shadow: u64, owned: u64) -> u64 {
    real & owned | shadow & !owned
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{Cr0, Cr4, OwnedBits};

    use super::{grant, seen};
    use crate::capability::{Capabilities, RawCapabilities};

    #[test]
    fn no_bit_is_granted_that_the_host_needs() {
        let any = Capabilities::from_raw(RawCapabilities { cr4_fixed1: u64::MAX, ..RawCapabilities::NONE });
        let granted = grant(OwnedBits::all(), &any);
        assert_eq!(granted.cr0.into_bits(), 0x0005_000e);
        assert!(!granted.cr4.mce() && !granted.cr4.osxsave() && !granted.cr4.la57() && granted.cr4.smap());
        let few = Capabilities::from_raw(RawCapabilities { cr4_fixed1: 0x27ff, ..RawCapabilities::NONE });
        assert_eq!(grant(OwnedBits::all(), &few).cr4.into_bits(), 0x07bf, "the processor has no more");
        let one = OwnedBits { cr0: Cr0::new().with_ts(true).with_pg(true), cr4: Cr4::new() };
        assert_eq!(grant(one, &any).cr0, Cr0::new().with_ts(true));
    }

    #[test]
    fn a_guest_reads_its_own_bits_and_the_shadow() {
        assert_eq!(seen(0b1100, 0b1010, 0b0110), 0b1100);
        assert_eq!(seen(u64::MAX, 0, 0), 0);
    }
}
