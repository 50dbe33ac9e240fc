//! MSRs that no VMCS field holds: STAR, LSTAR, CSTAR, SFMASK and KERNEL_GS_BASE.
#![expect(unsafe_code, reason = "writes MSRs")]

use x86_virt_core::{Host, SwitchedMsr};

/// The MSRs, in the order of the arrays below.
const MSRS: [SwitchedMsr; 5] =
    [SwitchedMsr::Star, SwitchedMsr::Lstar, SwitchedMsr::Cstar, SwitchedMsr::Sfmask, SwitchedMsr::KernelGsBase];

/// Their values in the host and in the guest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Msrs {
    host: [u64; 5],
    guest: [u64; 5],
    /// Those that the guest may write without an exit.
    passed: [bool; 5],
    any_passed: bool,
}

/// What of the MSRs the guest can use in its present mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Usable {
    /// EFER.LMA: 64-bit code has SWAPGS, which exchanges KERNEL_GS_BASE.
    pub(crate) long_mode: bool,
    /// EFER.SCE: SYSCALL and SYSRET use the others.
    pub(crate) syscall: bool,
}

impl Msrs {
    pub(crate) const fn new() -> Self {
        Self { host: [0; 5], guest: [0; 5], passed: [false; 5], any_passed: false }
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

    /// Takes note that the guest may write `msr` without an exit.
    pub(crate) fn pass(&mut self, msr: SwitchedMsr) {
        if let Some((_, passed)) = MSRS.iter().zip(&mut self.passed).find(|(held, _)| **held == msr) {
            *passed = true;
            self.any_passed = true;
        }
    }

    /// Takes note that the guest may use all of them at any time.
    pub(crate) const fn pass_all(&mut self) {
        self.passed = [true; 5];
        self.any_passed = true;
    }

    /// Whether the guest can use none of them.
    #[inline]
    fn none_usable(&self, usable: Usable) -> bool {
        !usable.long_mode && !usable.syscall && !self.any_passed
    }

    /// Writes the guest's values where they differ from the host's and the guest can use them.
    #[inline]
    pub(crate) fn enter(&self, host: Host<'_>, usable: Usable) {
        if self.none_usable(usable) {
            return;
        }
        for (((msr, guest), own), passed) in MSRS.iter().zip(self.guest).zip(self.host).zip(self.passed) {
            if guest != own && usable.needs(*msr, passed) {
                // SAFETY: a processor with 64-bit mode has the MSR; `Vcpu::set_msr` and the guest's own WRMSR let only
                // values through that it takes. The host's value comes back in `leave`, before its code can use it.
                unsafe { host.set_msr(msr.number(), guest) };
            }
        }
    }

    /// Takes the guest's values where it can have changed them, and writes the host's.
    #[inline]
    pub(crate) fn leave(&mut self, host: Host<'_>, usable: Usable) {
        if self.none_usable(usable) {
            return;
        }
        let values = self.guest.iter_mut().zip(self.host).zip(self.passed);
        for (msr, ((guest, own), passed)) in MSRS.iter().zip(values) {
            if !usable.needs(*msr, passed) {
                continue;
            }
            if passed || *msr == SwitchedMsr::KernelGsBase {
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

impl Usable {
    const fn needs(self, msr: SwitchedMsr, passed: bool) -> bool {
        let used = match msr {
            SwitchedMsr::KernelGsBase => self.long_mode,
            _ => self.syscall,
        };
        used || passed
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::SwitchedMsr;

    use super::{Msrs, Usable};

    #[test]
    fn only_what_the_guest_can_use_is_switched() {
        let real_mode = Usable { long_mode: false, syscall: false };
        let long_mode = Usable { long_mode: true, syscall: false };
        assert!(!real_mode.needs(SwitchedMsr::KernelGsBase, false));
        assert!(long_mode.needs(SwitchedMsr::KernelGsBase, false));
        assert!(!long_mode.needs(SwitchedMsr::Lstar, false));
        assert!(real_mode.needs(SwitchedMsr::Lstar, true));
        assert!(Usable { syscall: true, ..long_mode }.needs(SwitchedMsr::Star, false));
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
