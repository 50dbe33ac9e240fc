//! MSRs that no VMCS field holds: STAR, LSTAR, CSTAR, SFMASK and KERNEL_GS_BASE.
#![expect(unsafe_code, reason = "writes MSRs")]

use x86_virt_core::{Efer, Host, SwitchedMsr};

/// The MSRs, in the order of the arrays below.
const MSRS: [SwitchedMsr; 5] =
    [SwitchedMsr::Star, SwitchedMsr::Lstar, SwitchedMsr::Cstar, SwitchedMsr::Sfmask, SwitchedMsr::KernelGsBase];

/// Their values in the host and in the guest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Msrs {
    host: [u64; 5],
    guest: [u64; 5],
    /// Those that the guest may access without an exit.
    passed: Set,
}

/// Some of the MSRs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Set([bool; 5]);

impl Set {
    const NONE: Self = Self([false; 5]);
    const ALL: Self = Self([true; 5]);

    fn insert(&mut self, msr: SwitchedMsr) {
        for (is_in, held) in self.0.iter_mut().zip(MSRS) {
            *is_in |= held == msr;
        }
    }
}

impl Msrs {
    pub(crate) const fn new() -> Self {
        Self { host: [0; 5], guest: [0; 5], passed: Set::NONE }
    }

    /// Takes the host's values, which stay as they are while the virtual processor is loaded (`CpuPin`).
    pub(crate) fn load_host(&mut self, host: Host<'_>) {
        for (value, msr) in self.host.iter_mut().zip(MSRS) {
            // SAFETY: every processor with 64-bit mode has these MSRs.
            *value = unsafe { host.msr(msr.number()) };
        }
    }

    pub(crate) fn guest(&self, msr: SwitchedMsr) -> Option<u64> {
        MSRS.iter().position(|&held| held == msr).and_then(|index| self.guest.get(index).copied())
    }

    pub(crate) fn set_guest(&mut self, msr: SwitchedMsr, value: u64) {
        if let Some((_, slot)) = MSRS.iter().zip(&mut self.guest).find(|(held, _)| **held == msr) {
            *slot = value;
        }
    }

    /// Takes note that the guest may access `msr` without an exit.
    pub(crate) fn pass(&mut self, msr: SwitchedMsr) {
        self.passed.insert(msr);
    }

    /// Takes note that the guest may use all of them at any time.
    pub(crate) const fn pass_all(&mut self) {
        self.passed = Set::ALL;
    }

    /// The MSRs that the guest can use. EFER.LMA: 64-bit code has SWAPGS, which exchanges KERNEL_GS_BASE. EFER.SCE: SYSCALL
    /// and SYSRET use the others.
    pub(crate) fn usable(&self, efer: Efer) -> Set {
        let mut usable = self.passed;
        for msr in MSRS {
            if if msr == SwitchedMsr::KernelGsBase { efer.lma() } else { efer.sce() } {
                usable.insert(msr);
            }
        }
        usable
    }

    /// Writes the guest's values of `usable` where they differ from the host's.
    #[inline]
    pub(crate) fn enter(&self, host: Host<'_>, usable: Set) {
        let values = self.guest.iter().zip(self.host).zip(MSRS);
        for (((guest, own), msr), is_usable) in values.zip(usable.0) {
            if is_usable && *guest != own {
                // SAFETY: a processor with 64-bit mode has the MSR; `Vcpu::set_msr` and the guest's own WRMSR let only
                // values through that it takes. The host's value comes back in `leave`, before its code can use it.
                unsafe { host.set_msr(msr.number(), *guest) };
            }
        }
    }

    /// Takes the guest's values of `usable` where it can have changed them, and writes the host's.
    #[inline]
    pub(crate) fn leave(&mut self, host: Host<'_>, usable: Set) {
        let values = self.guest.iter_mut().zip(self.host).zip(MSRS).zip(self.passed.0);
        for ((((guest, own), msr), passed), is_usable) in values.zip(usable.0) {
            if !is_usable {
                continue;
            }
            if passed || msr == SwitchedMsr::KernelGsBase {
                // SAFETY: every processor with 64-bit mode has the MSR.
                *guest = unsafe { host.msr(msr.number()) };
            }
            if *guest != own {
                // SAFETY: the host's own value.
                unsafe { host.set_msr(msr.number(), own) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{Efer, SwitchedMsr};

    use super::{Msrs, Set};

    #[test]
    fn only_what_the_guest_can_use_is_switched() {
        let mut msrs = Msrs::new();
        assert_eq!(msrs.usable(Efer::new()), Set::NONE);
        let kernel_gs_base = Set([false, false, false, false, true]);
        assert_eq!(msrs.usable(Efer::new().with_lma(true)), kernel_gs_base);
        assert_eq!(msrs.usable(Efer::new().with_lma(true).with_sce(true)), Set::ALL);
        msrs.pass(SwitchedMsr::Lstar);
        assert_eq!(msrs.usable(Efer::new()), Set([false, true, false, false, false]));
        msrs.pass_all();
        assert_eq!(msrs.usable(Efer::new()), Set::ALL);
    }

    #[test]
    fn values_are_kept_by_msr() {
        let mut msrs = Msrs::new();
        msrs.set_guest(SwitchedMsr::Lstar, 7);
        assert_eq!(msrs.guest(SwitchedMsr::Lstar), Some(7));
        assert_eq!(msrs.guest(SwitchedMsr::Star), Some(0));
        assert_eq!(msrs.guest(SwitchedMsr::Pat), None, "a VMCS field holds it");
    }
}
