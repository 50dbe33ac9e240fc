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
    /// Those whose values above differ.
    differing: Set,
    /// Those that the guest may access without an exit.
    passed: Set,
}

/// Some of the MSRs: bit N is the one at index N.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Set(u8);

impl Set {
    pub(crate) const NONE: Self = Self(0);
    const ALL: Self = Self(0b1_1111);
    /// SWAPGS changes it without an exit.
    const KERNEL_GS_BASE: Self = Self(0b1_0000);

    fn of(msr: SwitchedMsr) -> Self {
        Self((0..).zip(MSRS).filter(|(_, held)| *held == msr).fold(0, |set, (index, _)| set | 1 << index))
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The index of each, and which it is.
    fn each(self) -> impl Iterator<Item = (usize, SwitchedMsr)> {
        MSRS.into_iter().enumerate().filter(move |(index, _)| self.0 & 1 << index != 0)
    }
}

impl Msrs {
    pub(crate) const fn new() -> Self {
        Self { host: [0; 5], guest: [0; 5], differing: Set::NONE, passed: Set::NONE }
    }

    /// Takes the host's values, which stay as they are while the virtual processor is loaded (`CpuPin`).
    pub(crate) fn load_host(&mut self, host: Host<'_>) {
        for (value, msr) in self.host.iter_mut().zip(MSRS) {
            // SAFETY: every processor with 64-bit mode has these MSRs.
            *value = unsafe { host.msr(msr.number()) };
        }
        self.compare();
    }

    fn compare(&mut self) {
        let pairs = (0..).zip(self.guest.iter().zip(&self.host));
        self.differing = Set(pairs.fold(0, |set, (index, (guest, own))| set | u8::from(guest != own) << index));
    }

    pub(crate) fn guest(&self, msr: SwitchedMsr) -> Option<u64> {
        MSRS.iter().position(|&held| held == msr).and_then(|index| self.guest.get(index).copied())
    }

    pub(crate) fn set_guest(&mut self, msr: SwitchedMsr, value: u64) {
        if let Some((_, slot)) = MSRS.iter().zip(&mut self.guest).find(|(held, _)| **held == msr) {
            *slot = value;
        }
        self.compare();
    }

    /// Takes note that the guest may access `msr` without an exit.
    pub(crate) fn pass(&mut self, msr: SwitchedMsr) {
        self.passed = self.passed.or(Set::of(msr));
    }

    /// Takes note that the guest may use all of them at any time.
    pub(crate) const fn pass_all(&mut self) {
        self.passed = Set::ALL;
    }

    /// The MSRs that the guest can use. EFER.LMA: 64-bit code has SWAPGS, which exchanges KERNEL_GS_BASE. EFER.SCE: SYSCALL
    /// and SYSRET use the others.
    pub(crate) fn usable(&self, efer: Efer) -> Set {
        let kernel_gs_base = if efer.lma() { Set::KERNEL_GS_BASE } else { Set::NONE };
        let others = if efer.sce() { Set(Set::ALL.0 & !Set::KERNEL_GS_BASE.0) } else { Set::NONE };
        self.passed.or(kernel_gs_base).or(others)
    }

    /// Writes the guest's values of `usable` where they differ from the host's.
    #[inline]
    pub(crate) fn enter(&self, host: Host<'_>, usable: Set) {
        let different = usable.and(self.differing);
        if different != Set::NONE {
            // `Vcpu::set_msr` and the guest's own WRMSR let only values through that the processor takes.
            write(host, different, &self.guest);
        }
    }

    /// Takes the guest's values of `usable` where it can have changed them, and writes the host's.
    #[inline]
    pub(crate) fn leave(&mut self, host: Host<'_>, usable: Set) {
        let changeable = usable.and(self.passed.or(Set::KERNEL_GS_BASE));
        if changeable == Set::KERNEL_GS_BASE {
            // The usual case: a 64-bit guest.
            let [.., own] = self.host;
            let [.., guest] = &mut self.guest;
            // SAFETY: every processor with 64-bit mode has the MSR.
            *guest = unsafe { host.msr(SwitchedMsr::KernelGsBase.number()) };
            let is_other = u8::from(*guest != own) << 4;
            self.differing = Set(self.differing.0 & !Set::KERNEL_GS_BASE.0 | is_other);
        } else if changeable != Set::NONE {
            self.read(host, changeable);
        }
        let different = usable.and(self.differing);
        if different != Set::NONE {
            write(host, different, &self.host);
        }
    }

    #[inline(never)]
    fn read(&mut self, host: Host<'_>, set: Set) {
        for (index, msr) in set.each() {
            if let Some(guest) = self.guest.get_mut(index) {
                // SAFETY: every processor with 64-bit mode has the MSR.
                *guest = unsafe { host.msr(msr.number()) };
            }
        }
        self.compare();
    }
}

/// Writes these `values`: those of the guest before an entry, or those of the host, before its code can use them.
#[inline]
fn write(host: Host<'_>, set: Set, values: &[u64; 5]) {
    if set == Set::KERNEL_GS_BASE {
        // The usual case: a 64-bit guest.
        let [.., value] = *values;
        // SAFETY: a processor with 64-bit mode has the MSR; the value is the host's own, or one that the MSR takes.
        unsafe { host.set_msr(SwitchedMsr::KernelGsBase.number(), value) };
    } else {
        write_each(host, set, values);
    }
}

#[inline(never)]
fn write_each(host: Host<'_>, set: Set, values: &[u64; 5]) {
    for (index, msr) in set.each() {
        if let Some(value) = values.get(index) {
            // SAFETY: a processor with 64-bit mode has the MSR; the value is the host's own, or one that the MSR takes.
            unsafe { host.set_msr(msr.number(), *value) };
        }
    }
}

/// The guest's values that stay in the registers between runs. When it is dropped, the host's come back.
#[derive(Debug)]
pub(crate) struct ResidentMsrs<'p> {
    host: Host<'p>,
    own: [u64; 5],
    loaded: Set,
}

impl<'p> ResidentMsrs<'p> {
    /// None yet; the values that come back are those that `msrs` has of the host.
    pub(crate) const fn new(host: Host<'p>, msrs: &Msrs) -> Self {
        Self { host, own: msrs.host, loaded: Set::NONE }
    }

    /// Sees to it that those of `usable` are loaded.
    #[inline]
    pub(crate) fn load(&mut self, msrs: &mut Msrs, usable: Set) {
        if self.loaded != usable {
            self.change(msrs, usable);
        }
    }

    #[cold]
    fn change(&mut self, msrs: &mut Msrs, usable: Set) {
        self.unload(msrs);
        msrs.enter(self.host, usable);
        self.loaded = usable;
    }

    /// Takes the guest's values, and brings the host's back.
    pub(crate) fn unload(&mut self, msrs: &mut Msrs) {
        let loaded = core::mem::replace(&mut self.loaded, Set::NONE);
        msrs.leave(self.host, loaded);
    }

    /// The guest's value of `msr`, if it is loaded.
    pub(crate) fn value(&self, msr: SwitchedMsr) -> Option<u64> {
        let is_loaded = self.loaded.and(Set::of(msr)) != Set::NONE;
        // SAFETY: every processor with 64-bit mode has the MSRs that can be loaded.
        is_loaded.then(|| unsafe { self.host.msr(msr.number()) })
    }
}

impl Drop for ResidentMsrs<'_> {
    fn drop(&mut self) {
        write(self.host, self.loaded, &self.own);
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
        assert_eq!(msrs.usable(Efer::new().with_lma(true)), Set::of(SwitchedMsr::KernelGsBase));
        assert_eq!(msrs.usable(Efer::new().with_lma(true).with_sce(true)), Set::ALL);
        msrs.pass(SwitchedMsr::Lstar);
        assert_eq!(msrs.usable(Efer::new()), Set(0b10));
        msrs.pass_all();
        assert_eq!(msrs.usable(Efer::new()), Set::ALL);
        assert_eq!(Set::of(SwitchedMsr::Pat), Set::NONE, "a VMCS field holds it");
    }

    #[test]
    fn values_are_kept_by_msr_and_compared() {
        let mut msrs = Msrs::new();
        msrs.set_guest(SwitchedMsr::Lstar, 7);
        assert_eq!(msrs.guest(SwitchedMsr::Lstar), Some(7));
        assert_eq!(msrs.guest(SwitchedMsr::Star), Some(0));
        assert_eq!(msrs.guest(SwitchedMsr::Pat), None, "a VMCS field holds it");
        assert_eq!(msrs.differing, Set::of(SwitchedMsr::Lstar));
        msrs.set_guest(SwitchedMsr::Lstar, 0);
        assert_eq!(msrs.differing, Set::NONE);
    }
}
