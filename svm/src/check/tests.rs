mod fields;
mod pairs;

extern crate std;

use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;
use x86_virt_core::{CpuState, Cr0, Cr4, Efer, Hpa};

use super::{Prediction, RULES, Report, Rule, RuleClass, RuleKind, RuleSet, VmcbRead, VmrunContext, check};
use crate::capability::RawCpuid;
use crate::dump::{VmcbDump, VmsaDump};
use crate::profile;
use crate::register::{Mode, check_state};
use crate::vmcb::{NestedControl, VirtualExtensions, Vmcb, save};
use crate::vmsa::Vmsa;

/// In what mode a guest is, or what the guest is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Base {
    Real,
    Protected,
    /// Legacy PAE paging.
    Pae,
    Long,
    /// With SEV-SNP, in long mode.
    Encrypted,
}

impl Base {
    const ALL: [Self; 5] = [Self::Real, Self::Protected, Self::Pae, Self::Long, Self::Encrypted];

    /// A state that a processor enters, and about which all is known.
    fn case(self) -> Case {
        let vmcb = Vmcb::from_bytes(&[0; 4096]);
        let mut case = Case { vmcb, vmsa: Vmsa::from_bytes(&[0; 4096]), raw: PROCESSOR, context: HOST };
        let vmcb = &mut case.vmcb;
        vmcb.control.INTERCEPT_MISC1 = 1 << 1;
        vmcb.control.INTERCEPT_MISC2 = 1;
        vmcb.control.IOPM_BASE_PA = Hpa::new(0x1000);
        vmcb.control.MSRPM_BASE_PA = Hpa::new(0x4000);
        vmcb.control.GUEST_ASID = 7;
        vmcb.control.NESTED_CTL = NestedControl::new().with_np_enable(true);
        vmcb.control.N_CR3 = 0x6000;
        let save = &mut vmcb.save;
        save.EFER = Efer::new().with_svme(true);
        save.CR0 = Cr0::new().with_et(true).with_pe(self != Self::Real);
        save.DR6 = 0xffff_0ff0;
        save.DR7 = 0x400;
        save.RFLAGS = 2.into();
        save.RIP = 0x8000;
        save.G_PAT = 0x0007_0406_0007_0406;
        if matches!(self, Self::Pae | Self::Long | Self::Encrypted) {
            save.CR0 = save.CR0.with_pg(true).with_wp(true);
            save.CR4 = Cr4::new().with_pae(true);
            save.CR3 = 0x1000;
        }
        if matches!(self, Self::Long | Self::Encrypted) {
            save.EFER = save.EFER.with_lme(true).with_lma(true);
            save.CS.attributes = 0xa9b.into();
        }
        if self == Self::Encrypted {
            vmcb.control.NESTED_CTL = vmcb.control.NESTED_CTL.with_sev(true).with_sev_es(true);
            vmcb.control.VIRT_EXT = VirtualExtensions::new().with_lbr_virtualization_enable(true);
            vmcb.control.GUEST_ASID = 3;
            vmcb.control.ALLOWED_SEV_FEATURES = crate::AllowedSevFeatures::allow((!0).into());
            case.vmsa = Vmsa::from_bytes(&state_of(vmcb));
            case.vmsa.SEV_FEATURES = case.vmsa.SEV_FEATURES.with_snp_active(true);
            // Nobody looks there.
            vmcb.save = crate::vmcb::SaveArea::from_bytes(&[0xff; 0xc00]);
        }
        case
    }
}

/// The save area at the start of a page.
fn state_of(vmcb: &Vmcb) -> [u8; 4096] {
    let mut bytes = [0; 4096];
    bytes[..0x2a0].copy_from_slice(&vmcb.save.to_bytes()[..0x2a0]);
    bytes
}

/// A VMCB and all that is around it.
struct Case {
    vmcb: Vmcb,
    vmsa: Vmsa,
    raw: RawCpuid,
    context: VmrunContext<'static>,
}

/// A processor that has everything.
const PROCESSOR: RawCpuid = RawCpuid {
    leaf_1_ecx: !0,
    leaf_7_ebx: !0,
    leaf_7_ecx: !0,
    leaf_8000_0001_ecx: !0,
    leaf_8000_0001_edx: !0,
    leaf_8000_0008_eax: 0x3030,
    leaf_8000_000a_eax: 1,
    leaf_8000_000a_ebx: 0x8000,
    leaf_8000_000a_ecx: 0,
    leaf_8000_000a_edx: !0,
    leaf_8000_001f_eax: !0,
    leaf_8000_001f_ebx: 0x4173,
    leaf_8000_001f_ecx: 509,
    leaf_8000_001f_edx: 5,
};

/// A host in long mode, about which all is known.
const HOST: VmrunContext<'static> = VmrunContext {
    host_cr0: Some(Cr0::from_bits(0x8001_0031)),
    host_efer: Some(Efer::from_bits(0x1d01)),
    cpl: Some(0),
    vmcb_address: Some(Hpa::new(0x7000)),
    hsave_pa: Some(Hpa::new(0x8000)),
    hwcr: Some(1),
    syscfg: Some(1 << 24),
    leaf_8000_0008_ebx: Some(1 << 8 | 1 << 13),
    leaf_8000_0021_eax: Some(1 << 7 | 1 << 8),
    pdptes: Some([1, 0, 0, 0]),
    u_cet: Some(0),
    vmsa: None,
    rmp_allows_vmcb: Some(true),
    rmp_allows_avic_backing_page: Some(true),
    rmp_allows_vmsa: Some(true),
    host_ibs: Some(false),
    is_sibling_idle: Some(true),
    permits_pmc_virtualization: Some(true),
};

impl Case {
    /// Calls `look` with the report.
    fn report<T>(&self, look: impl FnOnce(Report<'_, &VmcbDump>) -> T) -> T {
        let (vmcb, vmsa) = (VmcbDump::new(&self.vmcb), VmsaDump::new(&self.vmsa));
        let context = VmrunContext { vmsa: Some(&vmsa), ..self.context };
        look(check(&vmcb, self.raw, context))
    }
}

fn ids<T>(findings: impl Iterator<Item = T>, rule: fn(&T) -> &'static Rule) -> Vec<&'static str> {
    findings.map(|finding| rule(&finding).id).collect()
}

fn violations(case: &Case) -> Vec<&'static str> {
    case.report(|report| ids(report.violations(), super::Violation::rule))
}

fn notes(case: &Case) -> Vec<&'static str> {
    case.report(|report| ids(report.notes(), super::Note::rule))
}

#[test]
fn base_states_are_entered_and_nothing_is_unknown() {
    for base in Base::ALL {
        let case = base.case();
        case.report(|report| {
            assert_eq!(report.prediction(), Prediction::Enters, "{base:?}:\n{report}");
            assert_eq!(report.to_string(), "", "{base:?}");
        });
    }
}

#[test]
fn every_row_has_a_rule_and_ids_are_unique() {
    let rows: BTreeSet<String> = RULES.iter().map(|rule| rule.row.to_string()).collect();
    let wanted: BTreeSet<String> = (1..=57)
        .map(|number| format!("svm-vmrun-{number:02}"))
        .chain((1..=15).map(|number| format!("svm-canonicalise-{number:02}")))
        .collect();
    assert_eq!(rows, wanted);
    let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(names.len(), RULES.len());
    for rule in RULES {
        assert_eq!(rule.class == RuleClass::Entered, rule.id.split('-').nth(1) != Some("VMRUN"), "{rule}");
        assert!(!rule.fields.is_empty(), "{rule}");
        assert_eq!(Rule::find(rule.id), Some(rule));
        assert!(rule.kind != RuleKind::Open || rule.provisional, "{rule}");
        assert!(!rule.requirement.ends_with('.') && rule.section.ends_with('"'), "{rule}");
    }
    let count = |kind| RULES.iter().filter(|rule| rule.kind == kind).count();
    let counts = [RuleKind::Checked, RuleKind::Open, RuleKind::NotChecked, RuleKind::Changed].map(count);
    assert_eq!((RULES.len(), counts), (91, [59, 9, 4, 19]));
}

#[test]
fn violations_are_told_with_values_and_the_manual() {
    let mut case = Base::Long.case();
    case.vmcb.save.CR0 = Cr0::from_bits(1 << 40 | 0x8001_0031);
    case.vmcb.save.CS.attributes = 0xe9b.into();
    case.vmcb.control.GUEST_ASID = 0;
    case.report(|report| {
        let text: Vec<String> = report.violations().map(|violation| violation.to_string()).collect();
        let cite = "(APM vol. 2, section 15.5.1, \"Basic Operation\")";
        assert_eq!(
            text,
            [
                format!("SVM-VMRUN-CR0-HIGH: SAVE.CR0 = 0x0000010080010031: CR0 bits 63:32 must be 0 {cite}"),
                format!(
                    "SVM-VMRUN-CS-L-D: SAVE.CS.ATTRIBUTES = 0x0e9b, SAVE.EFER = 0x0000000000001500, \
                     SAVE.CR0 = 0x0000010080010031, SAVE.CR4 = 0x0000000000000020: CS.L and CS.D must not both be 1 if \
                     EFER.LME, CR0.PG and CR4.PAE are 1 {cite}"
                ),
                format!(
                    "SVM-VMRUN-ASID: GUEST_ASID = 0x00000000: the ASID must not be 0, which is that of the host {cite}"
                ),
            ]
        );
        let fixes: Vec<String> = report.fixes().map(|fix| fix.to_string()).collect();
        assert_eq!(fixes, ["SVM-VMRUN-CR0-HIGH: set SAVE.CR0 to 0x0000000080010031"]);
        let violated = report.violated();
        assert_eq!((violated.len(), violated.is_empty()), (3, false));
        assert_eq!(format!("{violated:?}"), "{SVM-VMRUN-CR0-HIGH, SVM-VMRUN-CS-L-D, SVM-VMRUN-ASID}");
        assert!(violated.contains(Rule::find("SVM-VMRUN-ASID").unwrap()));
        assert!(!violated.contains(Rule::find("SVM-VMRUN-CR0-NW").unwrap()));
        assert_eq!(report.prediction(), Prediction::Refused(RuleClass::InvalidState));
    });
}

#[test]
fn fixes_keep_the_rule() {
    for pair in pairs::PAIRS {
        let mut case = pair.base.case();
        (pair.broken)(&mut case);
        let fixed = case.report(|report| report.fixes().next());
        let Some((value, offset)) = fixed.and_then(|fix| Some((fix.value, fix.place.offset()?))) else { continue };
        let mut bytes = case.vmcb.to_bytes();
        let digits = fixed.map_or(0, |fix| fix.place.digits() / 2);
        bytes[offset..offset + digits].copy_from_slice(&value.to_le_bytes()[..digits]);
        case.vmcb = Vmcb::from_bytes(&bytes);
        assert_eq!(violations(&case), [""; 0], "{}", pair.id);
    }
}

#[test]
fn every_rule_has_a_state_that_breaks_it_alone_and_one_that_just_does_not() {
    let tested: BTreeSet<&str> = pairs::PAIRS.iter().map(|pair| pair.id).collect();
    let without: Vec<&str> = RULES.iter().map(|rule| rule.id).filter(|id| !tested.contains(id)).collect();
    assert!(without.is_empty(), "rules without a pair: {without:?}");
    for pair in pairs::PAIRS {
        let rule = Rule::find(pair.id).unwrap();
        let (mut broken, mut kept) = (pair.base.case(), pair.base.case());
        (pair.broken)(&mut broken);
        (pair.kept)(&mut kept);
        let entered = kept.report(|report| report.prediction());
        assert_eq!(entered, Prediction::Enters, "{}: {}", pair.id, kept.report(|report| report.to_string()));
        assert!(!notes(&kept).contains(&pair.id), "{}", pair.id);
        let prediction = broken.report(|report| report.prediction());
        match rule.kind {
            RuleKind::Checked => {
                assert_eq!(violations(&broken), [pair.id]);
                assert_eq!(prediction, Prediction::Refused(rule.class), "{}", pair.id);
            }
            RuleKind::Open if rule.class != RuleClass::Entered => {
                assert!(notes(&broken).contains(&pair.id), "{}", pair.id);
                assert_eq!(prediction, Prediction::Undecided, "{}", pair.id);
            }
            _ => {
                assert!(notes(&broken).contains(&pair.id), "{}", pair.id);
                assert_eq!(prediction, Prediction::Enters, "{}", pair.id);
            }
        }
    }
}

#[test]
fn notes_say_what_becomes_of_a_value() {
    let mut case = Base::Long.case();
    case.vmcb.save.TR.base = 0x0000_8000_0000_0000;
    case.report(|report| {
        let note = report.notes().next().unwrap();
        assert_eq!(note.becomes(), Some(0xffff_8000_0000_0000));
        assert_eq!(
            note.to_string(),
            "SVM-CANONICAL-TR: SAVE.TR.BASE = 0x0000800000000000, SAVE.CR4 = 0x0000000000000020: VMLOAD makes the base \
             canonical; becomes 0xffff800000000000 (APM vol. 2, section 15.5.1, \"Basic Operation\")"
        );
    });
    case.vmcb.save.CR4 = case.vmcb.save.CR4.with_la57(true);
    assert_eq!(notes(&case), [""; 0]);
}

#[test]
fn what_is_not_known_is_told_and_the_rest_is_checked() {
    let mut case = Base::Long.case();
    let dump = VmcbDump::new(&case.vmcb);
    let report = check(&dump, None, VmrunContext::UNKNOWN);
    assert_eq!(report.prediction(), Prediction::Undecided);
    let missing: BTreeSet<&str> = report.undecided().map(|undecided| undecided.missing.what()).collect();
    let host =
        ["CPL of the host", "CPUID", "CR0 of the host", "EFER of the host", "VM_HSAVE_PA", "the address of the VMCB"];
    assert_eq!(missing, BTreeSet::from(host));
    case.vmcb.save.CR4 = Cr4::from_bits(1 << 40 | 1 << 5);
    case.vmcb.save.DR7 |= 1 << 63;
    let dump = VmcbDump::new(&case.vmcb);
    let report = check(&dump, None, VmrunContext::UNKNOWN);
    assert_eq!(ids(report.violations(), super::Violation::rule), ["SVM-VMRUN-DR7-HIGH"]);
    let cr4 = report.undecided().find(|undecided| undecided.rule.id == "SVM-VMRUN-CR4-RESERVED").unwrap();
    assert_eq!(
        cr4.to_string(),
        "SVM-VMRUN-CR4-RESERVED: cannot tell without CPUID: CR4 bits that the processor does not have must be 0 (APM vol. 2, \
         section 15.5.1, \"Basic Operation\")"
    );
    assert_eq!(report.prediction(), Prediction::Refused(RuleClass::InvalidState));
}

/// A VMCB of which some bytes are unknown.
struct Holes<'v> {
    vmcb: &'v VmcbDump,
    unknown: core::ops::Range<usize>,
}

impl VmcbRead for Holes<'_> {
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        let is_known = offset + bytes.len() <= self.unknown.start || offset >= self.unknown.end;
        is_known.then(|| self.vmcb.read(offset, bytes)).flatten()
    }
}

#[test]
fn fields_that_are_not_known_are_named() {
    let mut case = Base::Long.case();
    case.vmcb.save.DR6 = 1 << 40;
    let vmcb = VmcbDump::new(&case.vmcb);
    let cr4 = save::CR4.offset();
    let report = check(Holes { vmcb: &vmcb, unknown: cr4..cr4 + 1 }, PROCESSOR, HOST);
    let undecided = ids(report.undecided(), |undecided| undecided.rule);
    assert_eq!(
        undecided,
        [
            "SVM-VMRUN-CR4-RESERVED",
            "SVM-VMRUN-LONG-MODE-PAE",
            "SVM-VMRUN-CS-L-D",
            "SVM-VMRUN-CR4-CET",
            "SVM-VMRUN-CET-VM86"
        ]
    );
    assert!(report.undecided().all(|undecided| undecided.missing.what() == "CR4"));
    assert_eq!(ids(report.violations(), super::Violation::rule), ["SVM-VMRUN-DR6-HIGH"]);
    let nothing = check(Holes { vmcb: &vmcb, unknown: 0..4096 }, PROCESSOR, HOST);
    assert_eq!(nothing.violations().count(), 0);
    assert!(nothing.undecided().count() > 20);
}

#[test]
fn the_c_bit_is_no_part_of_an_address() {
    let mut case = Base::Long.case();
    case.vmcb.control.IOPM_BASE_PA = Hpa::new(1 << 51 | 0x1000);
    assert_eq!(violations(&case), [""; 0]);
    case.raw.leaf_8000_001f_eax = 0;
    assert_eq!(violations(&case), ["SVM-VMRUN-IOPM"]);
}

#[test]
fn bits_of_efer_depend_on_leaves_that_may_be_unknown() {
    let mut case = Base::Long.case();
    case.vmcb.save.EFER = case.vmcb.save.EFER.with_aibrse(true);
    assert_eq!(violations(&case), [""; 0]);
    case.context.leaf_8000_0021_eax = Some(0);
    assert_eq!(violations(&case), ["SVM-VMRUN-EFER-RESERVED"]);
    case.context.leaf_8000_0021_eax = None;
    assert_eq!(violations(&case), [""; 0]);
    case.report(|report| {
        let missing = report.undecided().next().unwrap().missing;
        assert_eq!(missing.to_string(), "cannot tell without CPUID Fn8000_0021 EAX");
        assert_eq!(report.prediction(), Prediction::Undecided);
    });
    case.vmcb.save.EFER = Efer::from_bits(case.vmcb.save.EFER.into_bits() | 1 << 63);
    assert_eq!(violations(&case), ["SVM-VMRUN-EFER-RESERVED"]);
}

#[test]
fn profiles_differ_in_what_they_take() {
    let refused = |name: &str, change: fn(&mut Case)| {
        let mut case = Base::Long.case();
        case.raw = profile::find(name).unwrap().raw;
        change(&mut case);
        violations(&case)
    };
    for profile in profile::ALL {
        let expected: &[&str] = &[];
        assert_eq!(refused(profile.name, |_| {}), expected, "{}", profile.name);
    }
    let la57 = |case: &mut Case| case.vmcb.save.CR4 = case.vmcb.save.CR4.with_la57(true);
    assert_eq!(refused("milan", la57), ["SVM-VMRUN-CR4-RESERVED"]);
    assert_eq!(refused("genoa", la57), [""; 0]);
    let cet = |case: &mut Case| case.vmcb.save.CR4 = case.vmcb.save.CR4.with_cet(true);
    assert_eq!(refused("rome", cet), ["SVM-VMRUN-CR4-RESERVED"]);
    assert_eq!(refused("milan", cet), [""; 0]);
    let smep = |case: &mut Case| case.vmcb.save.CR4 = case.vmcb.save.CR4.with_smep(true);
    assert_eq!(refused("barcelona", smep), ["SVM-VMRUN-CR4-RESERVED"]);
}

#[test]
fn sets_of_rules_hold_what_was_put_in() {
    let mut set = RuleSet::NONE;
    for index in (0..RULES.len()).step_by(3) {
        set.insert(index);
    }
    set.insert(128);
    assert!(set.iter().eq(RULES.iter().step_by(3)));
    assert_eq!(set.len(), RULES.len().div_ceil(3));
}

fn bytes() -> impl Strategy<Value = std::boxed::Box<[u8; 4096]>> {
    let edit = (0_usize..0x700, prop_oneof![any::<u8>(), Just(0xff), (0_u32..8).prop_map(|bit| 1 << bit)]);
    (0..5_usize, proptest::collection::vec(edit, 0..64)).prop_map(|(base, edits)| {
        let mut bytes = std::boxed::Box::new(Base::ALL[base].case().vmcb.to_bytes());
        edits.into_iter().for_each(|(offset, byte)| bytes[offset] = byte);
        bytes
    })
}

/// A state with some bits turned over.
fn states() -> impl Strategy<Value = CpuState> {
    let bit = || prop_oneof![3 => Just(0), 1 => (0_u32..64).prop_map(|bit| 1_u64 << bit)];
    (any::<bool>(), bit(), bit(), bit(), bit(), bit(), bit(), bit()).prop_map(
        |(is_long, cr0, cr3, cr4, efer, dr7, base, attributes)| {
            let real = CpuState::real_mode(0, 0);
            let mut state = if is_long { CpuState::long_mode(0x1000, 0x8000, 0x2000) } else { real };
            state.cr0 = (state.cr0.into_bits() ^ cr0).into();
            state.cr3 ^= cr3;
            state.cr4 = (state.cr4.into_bits() ^ cr4).into();
            state.efer = (state.efer.into_bits() ^ efer).into();
            state.dr7 ^= dr7;
            state.tr.base ^= base;
            let attributes = u32::try_from(attributes & 0xffff).unwrap();
            state.cs.rights = (state.cs.rights.into_bits() ^ attributes).into();
            state
        },
    )
}

fn words() -> impl Strategy<Value = [u32; 14]> {
    prop_oneof![any::<[u32; 14]>(), Just([0; 14]), Just([!0; 14])]
}

proptest! {
    /// What `set_state` takes, no processor refuses.
    #[test]
    fn states_that_are_taken_break_no_rule(state in states(), index in 0..profile::ALL.len()) {
        let Ok(capabilities) = profile::ALL[index].capabilities() else { return Ok(()) };
        if check_state(&state, &capabilities).is_ok() {
            let mut case = Base::Real.case();
            case.raw = profile::ALL[index].raw;
            let save = &mut case.vmcb.save;
            let mode = Mode { cr0: state.cr0, cr4: state.cr4, efer: state.efer }.with_lma();
            (save.CR0, save.CR4, save.EFER) = (mode.cr0, mode.cr4, mode.efer.with_svme(true));
            (save.CR3, save.DR7, save.CS, save.TR) = (state.cr3, state.dr7, state.cs.into(), state.tr.into());
            prop_assert_eq!(violations(&case), [""; 0]);
        }
    }

    #[test]
    fn nothing_panics_and_the_parts_agree(vmcb in bytes(), vmsa in bytes(), words in words(), known: bool, has_vmsa: bool) {
        let raw = RawCpuid {
            leaf_1_ecx: words[0],
            leaf_7_ebx: words[1],
            leaf_7_ecx: words[2],
            leaf_8000_0001_ecx: words[3],
            leaf_8000_0001_edx: words[4],
            leaf_8000_0008_eax: words[5],
            leaf_8000_000a_eax: words[6],
            leaf_8000_000a_ebx: words[7],
            leaf_8000_000a_ecx: words[8],
            leaf_8000_000a_edx: words[9],
            leaf_8000_001f_eax: words[10],
            leaf_8000_001f_ebx: words[11],
            leaf_8000_001f_ecx: words[12],
            leaf_8000_001f_edx: words[13],
        };
        let vmsa = VmsaDump::from_bytes(*vmsa);
        let context = if known { HOST } else { VmrunContext::UNKNOWN };
        let context = VmrunContext { vmsa: if has_vmsa { Some(&vmsa) } else { None }, ..context };
        let report = check(VmcbDump::from_bytes(*vmcb), raw, context);
        prop_assert!(report.violated().iter().eq(report.violations().map(|violation| violation.rule())));
        prop_assert_eq!(matches!(report.prediction(), Prediction::Refused(_)), !report.violated().is_empty());
        prop_assert!(!(known && has_vmsa) || report.undecided().count() == 0);
        let lines = report.violations().count()
            + report.undecided().count()
            + report.notes().count()
            + report.contradictions().count();
        prop_assert_eq!(report.to_string().lines().count(), lines);
    }
}
