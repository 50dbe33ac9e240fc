//! Which values a guest's registers can have: pure checks.

use x86_virt_core::{CpuState, Cr0, Cr4, Efer, Gva, Rflags, SegmentRegister, StateError};

use crate::capability::Capabilities;

/// RFLAGS: bit 1 is 1, and bits 3, 5, 15 and 63:22 are 0.
///
/// AMD APM vol. 2, section 3.1.6, "RFLAGS Register".
const RFLAGS_DEFINED: u64 = 0x3f_7fd5;

/// DR7: bit 10 is 1, and bits 11, 12, 14, 15 and 63:32 are 0.
///
/// AMD APM vol. 2, section 13.1.1.4, "Debug-Control Register (DR7)".
const DR7_DEFINED: u64 = 0xffff_23ff;
const DR7_FIXED: u64 = 1 << 10;

/// DR6: bits 31:16 and 11:4 are 1, bits 63:32 and 12 are 0. Bit 11 would be 0 after a bus lock, which guests are not told of.
///
/// AMD APM vol. 2, section 13.1.1.3, "Debug-Status Register (DR6)".
const DR6_DEFINED: u64 = 0xe00f;
const DR6_FIXED: u64 = 0xffff_0ff0;

/// Bits of CR4 that change how linear addresses are translated: PSE, PAE, PGE, LA57, PCIDE, SMEP, SMAP, PKE.
const CR4_PAGING: u64 = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 12 | 1 << 17 | 1 << 20 | 1 << 21 | 1 << 22;

/// Bits of CR0 that change how linear addresses are translated: PE, WP, PG.
const CR0_PAGING: u64 = 1 | 1 << 16 | 1 << 31;

/// Bits of EFER that change how linear addresses are translated: LME, LMA, NXE.
const EFER_PAGING: u64 = 1 << 8 | 1 << 10 | 1 << 11;

/// The registers that say how linear addresses are translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mode {
    pub(crate) cr0: Cr0,
    pub(crate) cr4: Cr4,
    pub(crate) efer: Efer,
}

impl Mode {
    /// The same with EFER.LMA as it follows from EFER.LME and CR0.PG.
    pub(crate) const fn with_lma(self) -> Self {
        let lma = is_long(self.cr0, self.efer);
        Self { efer: self.efer.with_lma(lma), ..self }
    }

    /// Whether the TLB may hold translations that are wrong after a change to `next`.
    pub(crate) const fn needs_flush(self, next: Self) -> bool {
        (self.cr0.into_bits() ^ next.cr0.into_bits()) & CR0_PAGING != 0
            || (self.cr4.into_bits() ^ next.cr4.into_bits()) & CR4_PAGING != 0
            || (self.efer.into_bits() ^ next.efer.into_bits()) & EFER_PAGING != 0
    }

    /// Bits in a canonical address.
    pub(crate) const fn canonical_width(self) -> u32 {
        if self.cr4.la57() { 57 } else { 48 }
    }

    /// Whether the processor runs a guest with these registers; `changed` names the one that is being written.
    ///
    /// AMD APM vol. 2, section 15.5.1, "Basic Operation" (canonicalization and consistency checks).
    pub(crate) fn check(self, capabilities: &Capabilities, changed: &'static str) -> Result<(), StateError> {
        let Self { cr0, cr4, efer } = self;
        bits("CR0", cr0.into_bits(), cr0.into_bits() & !0xffff_ffff)?;
        if has_illegal_caching(cr0) {
            return bits("CR0", cr0.into_bits(), Cr0::new().with_nw(true).into_bits());
        }
        bits("CR4", cr4.into_bits(), cr4.into_bits() & !capabilities.guest_cr4())?;
        if is_long(cr0, efer) && !(cr4.pae() && cr0.pe()) {
            return match changed {
                "CR4" => bits("CR4", cr4.into_bits(), Cr4::new().with_pae(true).into_bits()),
                _ => bits("CR0", cr0.into_bits(), Cr0::new().with_pg(true).with_pe(!cr0.pe()).into_bits()),
            };
        }
        Ok(())
    }
}

/// Whether the guest is in long mode.
pub(crate) const fn is_long(cr0: Cr0, efer: Efer) -> bool {
    efer.lme() && cr0.pg()
}

/// Whether CR0.NW is 1 without CR0.CD.
pub(crate) const fn has_illegal_caching(cr0: Cr0) -> bool {
    cr0.nw() && !cr0.cd()
}

fn bits(register: &'static str, value: u64, bits: u64) -> Result<(), StateError> {
    if bits == 0 { Ok(()) } else { Err(StateError::Bits { register, value, bits }) }
}

fn canonical(register: &'static str, value: u64, width: u32) -> Result<(), StateError> {
    if Gva::new(value).is_canonical(width) { Ok(()) } else { Err(StateError::NonCanonical { register, value }) }
}

/// CR3 fits into the physical address width.
pub(crate) fn check_cr3(cr3: u64, capabilities: &Capabilities) -> Result<(), StateError> {
    let beyond = u64::MAX.checked_shl(u32::from(capabilities.physical_width())).unwrap_or(0);
    bits("CR3", cr3, cr3 & beyond)
}

/// CR8 has four bits.
pub(crate) fn check_cr8(cr8: u64) -> Result<u8, StateError> {
    bits("CR8", cr8, cr8 & !0xf)?;
    let [tpr, ..] = cr8.to_le_bytes();
    Ok(tpr)
}

/// An address is canonical.
pub(crate) fn check_address(register: &'static str, value: u64, mode: Mode) -> Result<(), StateError> {
    canonical(register, value, mode.canonical_width())
}

/// RFLAGS with reserved bits as they must be.
pub(crate) const fn rflags(value: Rflags) -> Rflags {
    Rflags::from_bits(value.with_one(true).into_bits() & (RFLAGS_DEFINED | 2))
}

/// DR7 with reserved bits as they must be.
pub(crate) const fn dr7(value: u64) -> u64 {
    value & DR7_DEFINED | DR7_FIXED
}

/// DR6 with reserved bits as they must be.
pub(crate) const fn dr6(value: u64) -> u64 {
    value & DR6_DEFINED | DR6_FIXED
}

/// Whether the processor runs a guest in `state`.
pub(crate) fn check_state(state: &CpuState, capabilities: &Capabilities) -> Result<(), StateError> {
    let mode = Mode { cr0: state.cr0, cr4: state.cr4, efer: state.efer };
    mode.check(capabilities, "CR0")?;
    let efer = state.efer.with_svme(false).into_bits();
    bits("EFER", state.efer.into_bits(), efer & !capabilities.guest_efer())?;
    check_cr3(state.cr3, capabilities)?;
    bits("DR7", state.dr7, state.dr7 & !0xffff_ffff)?;
    if !is_long(state.cr0, state.efer) {
        return Ok(());
    }
    let rights = state.cs.rights;
    if rights.long() && rights.default_big() {
        let wrong = rights.into_bits() & 0x6000;
        return bits("CS", u64::from(rights.into_bits()), u64::from(wrong));
    }
    let width = mode.canonical_width();
    if rights.long() {
        canonical("RIP", state.rip, width)?;
    }
    for register in SegmentRegister::ALL {
        canonical(name(register), state.segment(register).base, width)?;
    }
    canonical("GDTR base", state.gdtr.base, width)?;
    canonical("IDTR base", state.idtr.base, width)
}

const fn name(register: SegmentRegister) -> &'static str {
    match register {
        SegmentRegister::Es => "ES base",
        SegmentRegister::Cs => "CS base",
        SegmentRegister::Ss => "SS base",
        SegmentRegister::Ds => "DS base",
        SegmentRegister::Fs => "FS base",
        SegmentRegister::Gs => "GS base",
        SegmentRegister::Ldtr => "LDTR base",
        SegmentRegister::Tr => "TR base",
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{CpuState, Cr0, Cr4, Efer, Rflags, SegmentAccessRights, StateError};

    use super::{Mode, check_cr3, check_cr8, check_state, dr6, dr7, rflags};
    use crate::capability::{Capabilities, RawCpuid};

    fn capabilities() -> Capabilities {
        Capabilities::new(RawCpuid {
            leaf_8000_0001_ecx: 1 << 2,
            leaf_8000_0001_edx: 1 << 20,
            leaf_8000_0008_eax: 40,
            leaf_8000_000a_ebx: 16,
            leaf_8000_000a_edx: 1,
            ..RawCpuid::default()
        })
        .unwrap()
    }

    fn long() -> CpuState {
        CpuState::long_mode(0x1000, 0x8000, 0x2000)
    }

    #[test]
    fn usual_states_are_accepted() {
        assert_eq!(check_state(&CpuState::real_mode(0xf000, 0xfff0), &capabilities()), Ok(()));
        assert_eq!(check_state(&long(), &capabilities()), Ok(()));
    }

    #[test]
    fn control_registers_are_refused_with_the_bits() {
        let check = |state: &CpuState| check_state(state, &capabilities()).unwrap_err();
        let cr0 = Cr0::new().with_nw(true);
        let refused = |register, value, bits| StateError::Bits { register, value, bits };
        assert_eq!(check(&CpuState { cr0, ..long() }), refused("CR0", 1 << 29, 1 << 29));
        let cr0 = Cr0::from_bits(1 << 40);
        assert_eq!(check(&CpuState { cr0, ..long() }), refused("CR0", 1 << 40, 1 << 40));
        let cr4 = Cr4::from_bits(1 << 23 | 1 << 5);
        assert_eq!(check(&CpuState { cr4, ..long() }), refused("CR4", 1 << 23 | 1 << 5, 1 << 23));
        let efer = Efer::from_bits(1 << 14 | 1 << 8);
        assert_eq!(check(&CpuState { efer, ..long() }), refused("EFER", 1 << 14 | 1 << 8, 1 << 14));
        let no_pae = CpuState { cr4: Cr4::new(), ..long() };
        assert_eq!(check(&no_pae), refused("CR0", long().cr0.into_bits(), 1 << 31));
        assert_eq!(check(&CpuState { dr7: 1 << 32, ..long() }), refused("DR7", 1 << 32, 1 << 32));
        assert_eq!(check_cr3(1 << 40, &capabilities()), Err(refused("CR3", 1 << 40, 1 << 40)));
        assert_eq!((check_cr8(0xf), check_cr8(0x1f)), (Ok(0xf), Err(refused("CR8", 0x1f, 0x10))));
    }

    #[test]
    fn addresses_are_canonical_in_long_mode() {
        let wrong = 0x0000_8000_0000_0000;
        let rip = CpuState { rip: wrong, ..long() };
        let error = StateError::NonCanonical { register: "RIP", value: wrong };
        assert_eq!(check_state(&rip, &capabilities()), Err(error));
        let mut fs = long();
        fs.fs.base = wrong;
        assert!(check_state(&fs, &capabilities()).is_err());
        let mut both = long();
        both.cs.rights = SegmentAccessRights::CODE64.with_default_big(true);
        assert!(check_state(&both, &capabilities()).is_err());
    }

    #[test]
    fn lma_follows_and_paging_bits_flush() {
        let off = Mode { cr0: Cr0::new(), cr4: Cr4::new(), efer: Efer::new().with_lme(true) };
        assert!(!off.with_lma().efer.lma());
        let on = Mode { cr0: off.cr0.with_pg(true), ..off }.with_lma();
        assert!(on.efer.lma() && off.needs_flush(on));
        assert!(!on.needs_flush(Mode { cr0: on.cr0.with_ts(true), ..on }));
        assert!(on.needs_flush(Mode { cr4: on.cr4.with_pge(true), ..on }));
    }

    #[test]
    fn reserved_bits_are_made_as_required() {
        assert_eq!(rflags(Rflags::from_bits(u64::MAX)).into_bits(), 0x3f_7fd7);
        assert_eq!(rflags(Rflags::from_bits(0)).into_bits(), 2);
        assert_eq!((dr7(u64::MAX), dr7(0)), (0xffff_27ff, 0x400));
        assert_eq!((dr6(0), dr6(u64::MAX)), (0xffff_0ff0, 0xffff_efff));
    }
}
