//! MSRs that neither the VMCS nor the VMCB switches, for the vendors' crates.
#![expect(unsafe_code, reason = "writes MSRs")]

use x86::cpuid::native_cpuid::cpuid_count;

use crate::host::Host;
use crate::permission::{MsrAccess, SwitchedMsr};
use crate::protection::SpecCtrl;
use crate::state::StateError;

/// The MSRs, in the order of the arrays below.
const MSRS: [SwitchedMsr; 2] = [SwitchedMsr::SpecCtrl, SwitchedMsr::TscAux];

/// SPEC_CTRL and TSC_AUX, which a guest feels without an access: by how it runs, and by RDTSCP and RDPID.
///
/// Where host and guest have the same values, an exit accesses neither.
#[derive(Clone, Copy, Default, Debug)]
pub struct SoftwareMsrs {
    /// The bits that the processor takes; 0 if it lacks the MSR.
    valid: [u64; 2],
    spec_ctrl: SpecCtrlSwitch,
    host: [u64; 2],
    guest: [u64; 2],
    /// Those switched here whose values above differ.
    differing: Set,
    /// Those switched here that the guest may write without an exit.
    passed: Set,
}

/// Some of the MSRs: bit N is the one at index N.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Set(u8);

impl Set {
    const NONE: Self = Self(0);

    fn with(self, index: usize) -> Self {
        Self(self.0 | 1 << index)
    }

    const fn contains(self, index: usize) -> bool {
        self.0 & 1 << index != 0
    }
}

/// Who switches SPEC_CTRL.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum SpecCtrlSwitch {
    /// Software, since the processor has no place for the guest's.
    #[default]
    Software,
    /// The processor, with a field for the guest's.
    Processor,
}

impl SoftwareMsrs {
    /// Takes the host's values, which stay as they are while the virtual processor is loaded (`CpuPin`).
    ///
    /// # Errors
    ///
    /// The MSR whose value of the guest this processor does not take; nothing is changed then.
    pub fn load_host(&mut self, host: Host<'_>, spec_ctrl: SpecCtrlSwitch) -> Result<(), SwitchedMsr> {
        let valid = valid_bits();
        let mut values = MSRS.into_iter().zip(valid.into_iter().zip(self.guest));
        if let Some((msr, _)) = values.find(|(_, (valid, guest))| guest & !valid != 0) {
            return Err(msr);
        }
        (self.valid, self.spec_ctrl) = (valid, spec_ctrl);
        for (msr, (valid, own)) in MSRS.into_iter().zip(valid.into_iter().zip(&mut self.host)) {
            // SAFETY: the processor has an MSR of which bits are valid.
            *own = if valid == 0 { 0 } else { unsafe { host.msr(msr.number()) } };
        }
        self.compare();
        Ok(())
    }

    fn compare(&mut self) {
        let values = self.guest.iter().zip(&self.host).enumerate();
        let differing = values.filter(|(index, (guest, own))| self.is_switched(*index) && guest != own);
        self.differing = differing.fold(Set::NONE, |set, (index, _)| set.with(index));
    }

    /// Whether the MSR at `index` is there, and switched here.
    fn is_switched(&self, index: usize) -> bool {
        let is_there = self.valid.get(index).is_some_and(|valid| *valid != 0);
        is_there && (MSRS.get(index) != Some(&SwitchedMsr::SpecCtrl) || self.spec_ctrl == SpecCtrlSwitch::Software)
    }

    /// Who switches SPEC_CTRL.
    #[must_use]
    pub const fn spec_ctrl(&self) -> SpecCtrlSwitch {
        self.spec_ctrl
    }

    /// The guest's value, if `msr` is one of these.
    #[must_use]
    pub fn guest(&self, msr: SwitchedMsr) -> Option<u64> {
        index(msr).and_then(|index| self.guest.get(index).copied())
    }

    /// Sets the guest's value of `msr`, which is one of these.
    ///
    /// # Errors
    ///
    /// [`StateError::Bits`] with the bits that the processor does not take; nothing is changed then.
    pub fn set_guest(&mut self, msr: SwitchedMsr, value: u64) -> Result<(), StateError> {
        let Some(index) = index(msr) else { return Ok(()) };
        let bits = value & !self.valid.get(index).copied().unwrap_or(0);
        if bits != 0 {
            return Err(StateError::Bits { register: msr.name(), value, bits });
        }
        if let Some(guest) = self.guest.get_mut(index) {
            *guest = value;
        }
        self.compare();
        Ok(())
    }

    /// Takes note of what the guest may do with `msr` without an exit.
    pub fn pass(&mut self, msr: SwitchedMsr, access: MsrAccess) {
        if let Some(index) = index(msr)
            && access.writes()
            && self.is_switched(index)
        {
            self.passed = self.passed.with(index);
        }
    }

    /// Whether there is something to do around runs. Only `load_host`, `set_guest` and `pass` can change that.
    #[must_use]
    pub fn is_any_switched(&self) -> bool {
        self.differing != Set::NONE || self.passed != Set::NONE
    }

    /// Writes the guest's values where they differ from the host's.
    #[inline]
    pub fn enter(&self, host: Host<'_>) {
        if self.differing != Set::NONE {
            write(host, self.differing, &self.guest);
        }
    }

    /// Takes the guest's values where it can have changed them, and writes the host's where they differ.
    #[inline]
    pub fn leave(&mut self, host: Host<'_>) {
        if self.passed != Set::NONE {
            self.read(host);
        }
        if self.differing != Set::NONE {
            write(host, self.differing, &self.host);
        }
    }

    #[inline(never)]
    fn read(&mut self, host: Host<'_>) {
        for (index, (msr, guest)) in MSRS.into_iter().zip(&mut self.guest).enumerate() {
            if self.passed.contains(index) {
                // SAFETY: the processor has the MSR, since it is switched here.
                *guest = unsafe { host.msr(msr.number()) };
            }
        }
        self.compare();
    }
}

/// Writes these values: those of the guest before an entry, or those of the host after the exit.
#[inline(never)]
fn write(host: Host<'_>, set: Set, values: &[u64; 2]) {
    for (index, (msr, value)) in MSRS.into_iter().zip(values).enumerate() {
        if set.contains(index) {
            // SAFETY: the processor has the MSR, since the set is one of `compare`; the value was in it, or `set_guest` found its
            // bits valid.
            unsafe { host.set_msr(msr.number(), *value) };
        }
    }
}

fn index(msr: SwitchedMsr) -> Option<usize> {
    MSRS.iter().position(|held| *held == msr)
}

/// The bits of SPEC_CTRL and TSC_AUX that this processor takes; 0 for one that it lacks.
///
/// Intel SDM vol. 2, "CPUID" (leaf 07H), and vol. 4, table 2-2 (IA32_SPEC_CTRL, IA32_TSC_AUX); AMD APM vol. 3, appendix E.4.6,
/// "Function 8000_0008h".
fn valid_bits() -> [u64; 2] {
    let leaf = |leaf: u32, subleaf| {
        let is_there = cpuid_count(leaf & 0x8000_0000, 0).eax >= leaf;
        is_there.then(|| cpuid_count(leaf, subleaf))
    };
    let features = leaf(7, 0);
    let more = features.filter(|leaf| leaf.eax >= 2).and_then(|_| leaf(7, 2));
    let leaf_7 = features.map_or((0, 0), |leaf| (leaf.ecx, leaf.edx));
    let amd = leaf(0x8000_0008, 0).map_or(0, |leaf| leaf.ebx);
    let extended = leaf(0x8000_0001, 0).map_or(0, |leaf| leaf.edx);
    [spec_ctrl_bits(leaf_7.1, more.map_or(0, |leaf| leaf.edx), amd), tsc_aux_bits(leaf_7.0, extended)]
}

/// By CPUID leaf 07H EDX, the same of subleaf 2, and leaf 8000_0008H EBX.
fn spec_ctrl_bits(leaf_7: u32, leaf_7_2: u32, amd: u32) -> u64 {
    let has = |register: u32, bit: u32| register >> bit & 1 == 1;
    let has_rrsba = has(leaf_7_2, 2);
    let has_ipred = has(leaf_7_2, 1);
    SpecCtrl::new()
        .with_ibrs(has(leaf_7, 26) || has(amd, 14))
        .with_stibp(has(leaf_7, 27) || has(amd, 15))
        .with_ssbd(has(leaf_7, 31) || has(amd, 24))
        .with_ipred_dis_u(has_ipred)
        .with_ipred_dis_s(has_ipred)
        .with_rrsba_dis_u(has_rrsba)
        .with_rrsba_dis_s(has_rrsba)
        .with_psfd(has(leaf_7_2, 0) || has(amd, 28))
        .with_ddpd_u(has(leaf_7_2, 3))
        .with_bhi_dis_s(has(leaf_7_2, 4))
        .into_bits()
}

/// By CPUID leaf 07H ECX, where RDPID is, and leaf 8000_0001H EDX, where RDTSCP is.
const fn tsc_aux_bits(leaf_7: u32, extended: u32) -> u64 {
    if leaf_7 & 1 << 22 != 0 || extended & 1 << 27 != 0 { 0xffff_ffff } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::{Set, SoftwareMsrs, SpecCtrlSwitch, spec_ctrl_bits, tsc_aux_bits};
    use crate::permission::{MsrAccess, SwitchedMsr};
    use crate::state::StateError;

    const BOTH: SoftwareMsrs = SoftwareMsrs {
        valid: [7, 0xffff_ffff],
        spec_ctrl: SpecCtrlSwitch::Software,
        host: [1, 3],
        guest: [1, 3],
        differing: Set::NONE,
        passed: Set::NONE,
    };

    #[test]
    fn values_are_switched_where_they_differ() {
        let mut msrs = BOTH;
        assert_eq!(msrs.set_guest(SwitchedMsr::TscAux, 4), Ok(()));
        assert_eq!(msrs.differing, Set(0b10));
        assert_eq!(msrs.guest(SwitchedMsr::TscAux), Some(4));
        assert_eq!(msrs.set_guest(SwitchedMsr::SpecCtrl, 0), Ok(()));
        assert_eq!(msrs.differing, Set(0b11));
        assert_eq!(msrs.set_guest(SwitchedMsr::SpecCtrl, 1), Ok(()));
        assert_eq!(msrs.set_guest(SwitchedMsr::TscAux, 3), Ok(()));
        assert_eq!(msrs.differing, Set::NONE);
        assert_eq!(msrs.guest(SwitchedMsr::Star), None, "another has it");
    }

    #[test]
    fn what_the_processor_lacks_is_refused() {
        let mut msrs = BOTH;
        let refused = StateError::Bits { register: "SPEC_CTRL", value: 0x85, bits: 0x80 };
        assert_eq!(msrs.set_guest(SwitchedMsr::SpecCtrl, 0x85), Err(refused));
        let mut none = SoftwareMsrs { valid: [0; 2], ..BOTH };
        let refused = StateError::Bits { register: "TSC_AUX", value: 1, bits: 1 };
        assert_eq!(none.set_guest(SwitchedMsr::TscAux, 1), Err(refused));
        assert_eq!(none.set_guest(SwitchedMsr::TscAux, 0), Ok(()));
        assert_eq!(none.differing, Set::NONE, "there is nothing to switch");
        none.pass(SwitchedMsr::TscAux, MsrAccess::ReadWrite);
        assert_eq!(none.passed, Set::NONE, "nothing to read");
    }

    #[test]
    fn a_processor_with_a_field_switches_spec_ctrl() {
        let mut msrs = SoftwareMsrs { spec_ctrl: SpecCtrlSwitch::Processor, ..BOTH };
        assert_eq!(msrs.set_guest(SwitchedMsr::SpecCtrl, 4), Ok(()));
        msrs.pass(SwitchedMsr::SpecCtrl, MsrAccess::ReadWrite);
        assert_eq!((msrs.guest(SwitchedMsr::SpecCtrl), msrs.differing, msrs.passed), (Some(4), Set::NONE, Set::NONE));
    }

    #[test]
    fn only_what_the_guest_can_write_is_read() {
        let mut msrs = BOTH;
        msrs.pass(SwitchedMsr::TscAux, MsrAccess::Read);
        msrs.pass(SwitchedMsr::Star, MsrAccess::Write);
        assert_eq!(msrs.passed, Set::NONE);
        msrs.pass(SwitchedMsr::TscAux, MsrAccess::ReadWrite);
        assert_eq!(msrs.passed, Set(0b10));
    }

    #[test]
    fn cpuid_says_which_bits_are_valid() {
        assert_eq!(spec_ctrl_bits(1 << 26 | 1 << 27 | 1 << 31, 0, 0), 0b111);
        assert_eq!(spec_ctrl_bits(0, 0x1f, 0), 0b101_1111_1000);
        assert_eq!(spec_ctrl_bits(0, 0, 1 << 14 | 1 << 24 | 1 << 28), 0b1000_0101);
        assert_eq!(spec_ctrl_bits(0, 0, 0), 0);
        assert_eq!((tsc_aux_bits(1 << 22, 0), tsc_aux_bits(0, 1 << 27)), (0xffff_ffff, 0xffff_ffff));
        assert_eq!(tsc_aux_bits(!(1 << 22), !(1 << 27)), 0);
    }
}
