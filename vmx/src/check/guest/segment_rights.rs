//! Rules of the access rights of the guest's segment registers.

use x86_virt_core::SegmentRegister;

use super::SEGMENTS;
use super::segments::{is_usable, is_virtual_8086, of, rights, rpl};
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Missing, Outcome, Verdict, View, both, must, must_be, must_be_zero, when, when_settled};
use crate::exit::EntryFailureCause;
use crate::field;

/// Bits 11:8 and 31:17 of access rights.
const RESERVED: u64 = 0xfffe_0f00;

/// S, P, D/B and G in access rights.
const CODE_OR_DATA: u64 = 1 << 4;
const PRESENT: u64 = 1 << 7;
const DEFAULT_BIG: u64 = 1 << 14;
const GRANULARITY: u64 = 1 << 15;

/// Types of code and data segments.
const DATA_WRITABLE_ACCESSED: u8 = 3;

fn not_virtual_8086(v: &View<'_>) -> Result<bool, Missing> {
    is_virtual_8086(v).map(|virtual_8086| !virtual_8086)
}

/// Whether the access rights of the register count: not in virtual-8086 mode, and only if the register is CS or usable.
fn counts(v: &View<'_>, register: SegmentRegister) -> Result<bool, Missing> {
    let is_usable = if register == SegmentRegister::Cs { Ok(true) } else { is_usable(v, register) };
    both(not_virtual_8086(v), is_usable)
}

/// G must be 0 if a bit of 11:0 of the limit is 0, and 1 if a bit of 31:20 is 1.
fn granularity(v: &View<'_>, register: SegmentRegister) -> Outcome {
    let limit = v.get(of(register).limit)?;
    match (limit & 0xfff != 0xfff, limit >> 20 != 0) {
        (true, true) => Ok(Verdict::Broken),
        (true, false) => must_be_zero(v, of(register).rights, GRANULARITY),
        (false, true) => must_be(v, of(register).rights, GRANULARITY, GRANULARITY),
        (false, false) => Ok(Verdict::Holds),
    }
}

/// Whether CR4.FRED of the guest is 1.
fn fred(v: &View<'_>) -> Result<bool, Missing> {
    v.get(field::GUEST_CR4).map(|cr4| cr4.fred())
}

/// One rule for each register, with the register's fields. All depend on whether the guest is in virtual-8086 mode.
macro_rules! family {
    (
        $suffix:literal, $before:literal, $after:literal, |$v:ident, $segment:ident| $test:expr;
        $($name:literal $row:literal $register:ident [$($field:ident),+];)*
    ) => {
        rules! {
            class RuleClass::GuestState(EntryFailureCause::OTHER);
            section SEGMENTS;
            $(concat!("VMX-GUEST-SEG-", $name, $suffix), [$row], [$(field::$field,)+ field::GUEST_RFLAGS],
                concat!($before, $name, $after),
                |$v| {
                    let $segment = SegmentRegister::$register;
                    $test
                };)*
        }
    };
}

/// Access rights in virtual-8086 mode.
pub(super) const VIRTUAL_8086: &[Rule] = family! {
    "-V86-RIGHTS", "the access rights of ", " must be F3H in virtual-8086 mode",
    |v, segment| when_settled(is_virtual_8086(v), || must_be(v, of(segment).rights, 0xffff_ffff, 0xf3));
    "CS" "guest-seg-17" Cs [GUEST_CS_ACCESS_RIGHTS];
    "SS" "guest-seg-18" Ss [GUEST_SS_ACCESS_RIGHTS];
    "DS" "guest-seg-19" Ds [GUEST_DS_ACCESS_RIGHTS];
    "ES" "guest-seg-16" Es [GUEST_ES_ACCESS_RIGHTS];
    "FS" "guest-seg-20" Fs [GUEST_FS_ACCESS_RIGHTS];
    "GS" "guest-seg-21" Gs [GUEST_GS_ACCESS_RIGHTS];
};

/// Whether DS, ES, FS or GS has the type of an accessed data segment or an accessed readable code segment.
const fn is_data_type(segment_type: u8) -> bool {
    segment_type & 1 != 0 && (segment_type & 8 == 0 || segment_type & 2 != 0)
}

/// The type of CS and SS.
pub(super) const CODE_AND_STACK_TYPES: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section SEGMENTS;
    "VMX-GUEST-SEG-CS-TYPE", ["guest-seg-30"],
        [field::GUEST_CS_ACCESS_RIGHTS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS, field::GUEST_RFLAGS],
        "the type of CS must be 9, 11, 13 or 15, or 3 in an unrestricted guest",
        |v| when(not_virtual_8086(v), || Ok(match rights(v, SegmentRegister::Cs)?.segment_type() {
            9 | 11 | 13 | 15 => true,
            DATA_WRITABLE_ACCESSED => v.unrestricted()?,
            _ => false,
        }));
    "VMX-GUEST-SEG-SS-TYPE", ["guest-seg-31"], [field::GUEST_SS_ACCESS_RIGHTS, field::GUEST_RFLAGS],
        "the type of SS must be 3 or 7 if SS is usable",
        |v| when(
            counts(v, SegmentRegister::Ss),
            || Ok(matches!(rights(v, SegmentRegister::Ss)?.segment_type(), 3 | 7)),
        );
};

/// The type of the other registers.
pub(super) const DATA_TYPES: &[Rule] = family! {
    "-TYPE", "the type of ", " must be accessed, and readable if it is code, if the register is usable",
    |v, segment| when(counts(v, segment), || rights(v, segment).map(|rights| is_data_type(rights.segment_type())));
    "DS" "guest-seg-32" Ds [GUEST_DS_ACCESS_RIGHTS];
    "ES" "guest-seg-33" Es [GUEST_ES_ACCESS_RIGHTS];
    "FS" "guest-seg-34" Fs [GUEST_FS_ACCESS_RIGHTS];
    "GS" "guest-seg-35" Gs [GUEST_GS_ACCESS_RIGHTS];
};

/// S.
pub(super) const CODE_OR_DATA_BITS: &[Rule] = family! {
    "-S", "S of ", " must be 1 if the register is CS or usable",
    |v, segment| when_settled(
        counts(v, segment),
        || must_be(v, of(segment).rights, CODE_OR_DATA, CODE_OR_DATA),
    );
    "CS" "guest-seg-36" Cs [GUEST_CS_ACCESS_RIGHTS];
    "SS" "guest-seg-37" Ss [GUEST_SS_ACCESS_RIGHTS];
    "DS" "guest-seg-38" Ds [GUEST_DS_ACCESS_RIGHTS];
    "ES" "guest-seg-39" Es [GUEST_ES_ACCESS_RIGHTS];
    "FS" "guest-seg-40" Fs [GUEST_FS_ACCESS_RIGHTS];
    "GS" "guest-seg-41" Gs [GUEST_GS_ACCESS_RIGHTS];
};

/// The privilege levels of CS and SS if CS has a type for which `is_type` holds.
fn code_and_stack(v: &View<'_>, is_type: fn(u8) -> bool, holds: fn(u8, u8) -> bool) -> Outcome {
    let cs = rights(v, SegmentRegister::Cs);
    when(both(not_virtual_8086(v), cs.map(|cs| is_type(cs.segment_type()))), || {
        Ok(holds(cs?.dpl(), rights(v, SegmentRegister::Ss)?.dpl()))
    })
}

/// The privilege levels of CS and SS.
pub(super) const CODE_AND_STACK_PRIVILEGE: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section SEGMENTS;
    "VMX-GUEST-SEG-CS-DPL-DATA", ["guest-seg-42"], [field::GUEST_CS_ACCESS_RIGHTS, field::GUEST_RFLAGS],
        "DPL of CS must be 0 if the type of CS is 3",
        |v| when_settled(
            both(
                not_virtual_8086(v),
                rights(v, SegmentRegister::Cs).map(|cs| cs.segment_type() == DATA_WRITABLE_ACCESSED),
            ),
            || must_be_zero(v, field::GUEST_CS_ACCESS_RIGHTS, 3 << 5),
        );
    "VMX-GUEST-SEG-CS-DPL", ["guest-seg-43"],
        [field::GUEST_CS_ACCESS_RIGHTS, field::GUEST_SS_ACCESS_RIGHTS, field::GUEST_RFLAGS],
        "DPL of CS must equal DPL of SS if the type of CS is 9 or 11",
        |v| code_and_stack(v, |code| matches!(code, 9 | 11), |cs, ss| cs == ss);
    "VMX-GUEST-SEG-CS-DPL-CONFORMING", ["guest-seg-44"],
        [field::GUEST_CS_ACCESS_RIGHTS, field::GUEST_SS_ACCESS_RIGHTS, field::GUEST_RFLAGS],
        "DPL of CS must not exceed DPL of SS if the type of CS is 13 or 15",
        |v| code_and_stack(v, |code| matches!(code, 13 | 15), |cs, ss| cs <= ss);
    "VMX-GUEST-SEG-SS-DPL-RPL", ["guest-seg-45"],
        [
            field::GUEST_SS_ACCESS_RIGHTS, field::GUEST_SS_SELECTOR, field::GUEST_RFLAGS, field::SECONDARY_CONTROLS,
            field::PRIMARY_CONTROLS,
        ],
        "DPL of SS must equal RPL of SS in a guest that is not unrestricted",
        |v| when(
            not_virtual_8086(v).and_then(|counts| Ok(counts && !v.unrestricted()?)),
            || Ok(rights(v, SegmentRegister::Ss)?.dpl() == rpl(v, SegmentRegister::Ss)?),
        );
    "VMX-GUEST-SEG-SS-DPL", ["guest-seg-46"],
        [field::GUEST_SS_ACCESS_RIGHTS, field::GUEST_CS_ACCESS_RIGHTS, field::GUEST_CR0, field::GUEST_RFLAGS],
        "DPL of SS must be 0 if the type of CS is 3 or CR0.PE is 0",
        |v| when_settled(
            both(not_virtual_8086(v), rights(v, SegmentRegister::Cs).and_then(|cs| {
                Ok(cs.segment_type() == DATA_WRITABLE_ACCESSED || !v.get(field::GUEST_CR0)?.pe())
            })),
            || must_be_zero(v, field::GUEST_SS_ACCESS_RIGHTS, 3 << 5),
        );
    "VMX-GUEST-SEG-SS-FRED", ["guest-seg-47"], [field::GUEST_SS_ACCESS_RIGHTS, field::GUEST_CR4, field::GUEST_RFLAGS],
        "DPL of SS must be 0 or 3 if CR4.FRED is 1",
        |v| when(
            both(not_virtual_8086(v), fred(v)),
            || Ok(matches!(rights(v, SegmentRegister::Ss)?.dpl(), 0 | 3)),
        );
    "VMX-GUEST-SEG-SS-FRED-USER", ["guest-seg-48"],
        [field::GUEST_RFLAGS, field::GUEST_SS_ACCESS_RIGHTS, field::GUEST_CR4],
        "RFLAGS.IOPL must be 0 if DPL of SS is 3 and CR4.FRED is 1",
        |v| when_settled(
            both(not_virtual_8086(v), both(fred(v), rights(v, SegmentRegister::Ss).map(|ss| ss.dpl() == 3))),
            || must_be_zero(v, field::GUEST_RFLAGS, 3 << 12),
        );
    "VMX-GUEST-SEG-SS-FRED-SUPERVISOR", ["guest-seg-49"],
        [field::GUEST_CS_ACCESS_RIGHTS, field::GUEST_SS_ACCESS_RIGHTS, field::GUEST_CR4, field::GUEST_RFLAGS],
        "L of CS must be 1 if DPL of SS is 0 and CR4.FRED is 1",
        |v| when(
            both(not_virtual_8086(v), both(fred(v), rights(v, SegmentRegister::Ss).map(|ss| ss.dpl() == 0))),
            || Ok(rights(v, SegmentRegister::Cs)?.long()),
        );
};

/// The privilege levels of the other registers.
pub(super) const DATA_PRIVILEGE: &[Rule] = family! {
    "-DPL", "DPL of ", " must not be less than its RPL if the register is usable, its type is at most 11 and the \
     guest not unrestricted",
    |v, segment| when(
        counts(v, segment).and_then(|counts| {
            Ok(counts && rights(v, segment)?.segment_type() <= 11 && !v.unrestricted()?)
        }),
        || Ok(rights(v, segment)?.dpl() >= rpl(v, segment)?),
    );
    "DS" "guest-seg-50" Ds [GUEST_DS_ACCESS_RIGHTS, GUEST_DS_SELECTOR, SECONDARY_CONTROLS, PRIMARY_CONTROLS];
    "ES" "guest-seg-51" Es [GUEST_ES_ACCESS_RIGHTS, GUEST_ES_SELECTOR, SECONDARY_CONTROLS, PRIMARY_CONTROLS];
    "FS" "guest-seg-52" Fs [GUEST_FS_ACCESS_RIGHTS, GUEST_FS_SELECTOR, SECONDARY_CONTROLS, PRIMARY_CONTROLS];
    "GS" "guest-seg-53" Gs [GUEST_GS_ACCESS_RIGHTS, GUEST_GS_SELECTOR, SECONDARY_CONTROLS, PRIMARY_CONTROLS];
};

/// P.
pub(super) const PRESENT_BITS: &[Rule] = family! {
    "-P", "P of ", " must be 1 if the register is CS or usable",
    |v, segment| when_settled(counts(v, segment), || must_be(v, of(segment).rights, PRESENT, PRESENT));
    "CS" "guest-seg-54" Cs [GUEST_CS_ACCESS_RIGHTS];
    "SS" "guest-seg-55" Ss [GUEST_SS_ACCESS_RIGHTS];
    "DS" "guest-seg-56" Ds [GUEST_DS_ACCESS_RIGHTS];
    "ES" "guest-seg-57" Es [GUEST_ES_ACCESS_RIGHTS];
    "FS" "guest-seg-58" Fs [GUEST_FS_ACCESS_RIGHTS];
    "GS" "guest-seg-59" Gs [GUEST_GS_ACCESS_RIGHTS];
};

/// Reserved bits.
pub(super) const RESERVED_BITS: &[Rule] = family! {
    "-RESERVED", "bits 11:8 and 31:17 of the access rights of ", " must be 0 if the register is CS or usable",
    |v, segment| when_settled(counts(v, segment), || must_be_zero(v, of(segment).rights, RESERVED));
    "CS" "guest-seg-60" Cs [GUEST_CS_ACCESS_RIGHTS];
    "SS" "guest-seg-61" Ss [GUEST_SS_ACCESS_RIGHTS];
    "DS" "guest-seg-62" Ds [GUEST_DS_ACCESS_RIGHTS];
    "ES" "guest-seg-63" Es [GUEST_ES_ACCESS_RIGHTS];
    "FS" "guest-seg-64" Fs [GUEST_FS_ACCESS_RIGHTS];
    "GS" "guest-seg-65" Gs [GUEST_GS_ACCESS_RIGHTS];
};

/// D/B.
pub(super) const DEFAULT_SIZE: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section SEGMENTS;
    "VMX-GUEST-SEG-CS-D", ["guest-seg-66"], [field::GUEST_CS_ACCESS_RIGHTS, field::ENTRY_CONTROLS, field::GUEST_RFLAGS],
        "D/B of CS must be 0 if L of CS is 1 and the guest is in IA-32e mode",
        |v| when_settled(
            both(
                not_virtual_8086(v),
                both(v.ia32e_guest(), rights(v, SegmentRegister::Cs).map(|cs| cs.long())),
            ),
            || must_be_zero(v, field::GUEST_CS_ACCESS_RIGHTS, DEFAULT_BIG),
        );
};

/// G.
pub(super) const GRANULARITIES: &[Rule] = family! {
    "-G", "G of ", " must be 0 if one of bits 11:0 of its limit is 0, and 1 if one of bits 31:20 is 1, if the \
     register is CS or usable",
    |v, segment| when_settled(counts(v, segment), || granularity(v, segment));
    "CS" "guest-seg-67" Cs [GUEST_CS_ACCESS_RIGHTS, GUEST_CS_LIMIT];
    "SS" "guest-seg-68" Ss [GUEST_SS_ACCESS_RIGHTS, GUEST_SS_LIMIT];
    "DS" "guest-seg-69" Ds [GUEST_DS_ACCESS_RIGHTS, GUEST_DS_LIMIT];
    "ES" "guest-seg-70" Es [GUEST_ES_ACCESS_RIGHTS, GUEST_ES_LIMIT];
    "FS" "guest-seg-71" Fs [GUEST_FS_ACCESS_RIGHTS, GUEST_FS_LIMIT];
    "GS" "guest-seg-72" Gs [GUEST_GS_ACCESS_RIGHTS, GUEST_GS_LIMIT];
};

/// The task register.
pub(super) const TR: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section SEGMENTS;
    "VMX-GUEST-SEG-TR-TYPE", ["guest-seg-73"], [field::GUEST_TR_ACCESS_RIGHTS, field::ENTRY_CONTROLS],
        "the type of TR must be 11, or 3 if the guest is not in IA-32e mode",
        |v| must(rights(v, SegmentRegister::Tr).and_then(|tr| Ok(match tr.segment_type() {
            11 => true,
            3 => !v.ia32e_guest()?,
            _ => false,
        })));
    "VMX-GUEST-SEG-TR-S", ["guest-seg-74"], [field::GUEST_TR_ACCESS_RIGHTS],
        "S of TR must be 0",
        |v| must_be_zero(v, field::GUEST_TR_ACCESS_RIGHTS, CODE_OR_DATA);
    "VMX-GUEST-SEG-TR-P", ["guest-seg-75"], [field::GUEST_TR_ACCESS_RIGHTS],
        "P of TR must be 1",
        |v| must_be(v, field::GUEST_TR_ACCESS_RIGHTS, PRESENT, PRESENT);
    "VMX-GUEST-SEG-TR-RESERVED", ["guest-seg-76"], [field::GUEST_TR_ACCESS_RIGHTS],
        "bits 11:8 and 31:17 of the access rights of TR must be 0",
        |v| must_be_zero(v, field::GUEST_TR_ACCESS_RIGHTS, RESERVED);
    "VMX-GUEST-SEG-TR-G", ["guest-seg-77"], [field::GUEST_TR_ACCESS_RIGHTS, field::GUEST_TR_LIMIT],
        "G of TR must be 0 if one of bits 11:0 of its limit is 0, and 1 if one of bits 31:20 is 1",
        |v| granularity(v, SegmentRegister::Tr);
    "VMX-GUEST-SEG-TR-USABLE", ["guest-seg-78"], [field::GUEST_TR_ACCESS_RIGHTS],
        "TR must be usable",
        |v| must_be_zero(v, field::GUEST_TR_ACCESS_RIGHTS, 1 << 16);
};

/// The register of the local descriptor table.
pub(super) const LDTR: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section SEGMENTS;
    "VMX-GUEST-SEG-LDTR-TYPE", ["guest-seg-79"], [field::GUEST_LDTR_ACCESS_RIGHTS],
        "the type of LDTR must be 2 if LDTR is usable",
        |v| when_settled(
            is_usable(v, SegmentRegister::Ldtr),
            || must_be(v, field::GUEST_LDTR_ACCESS_RIGHTS, 0xf, 2),
        );
    "VMX-GUEST-SEG-LDTR-S", ["guest-seg-80"], [field::GUEST_LDTR_ACCESS_RIGHTS],
        "S of LDTR must be 0 if LDTR is usable",
        |v| when_settled(
            is_usable(v, SegmentRegister::Ldtr),
            || must_be_zero(v, field::GUEST_LDTR_ACCESS_RIGHTS, CODE_OR_DATA),
        );
    "VMX-GUEST-SEG-LDTR-P", ["guest-seg-81"], [field::GUEST_LDTR_ACCESS_RIGHTS],
        "P of LDTR must be 1 if LDTR is usable",
        |v| when_settled(
            is_usable(v, SegmentRegister::Ldtr),
            || must_be(v, field::GUEST_LDTR_ACCESS_RIGHTS, PRESENT, PRESENT),
        );
    "VMX-GUEST-SEG-LDTR-RESERVED", ["guest-seg-82"], [field::GUEST_LDTR_ACCESS_RIGHTS],
        "bits 11:8 and 31:17 of the access rights of LDTR must be 0 if LDTR is usable",
        |v| when_settled(
            is_usable(v, SegmentRegister::Ldtr),
            || must_be_zero(v, field::GUEST_LDTR_ACCESS_RIGHTS, RESERVED),
        );
    "VMX-GUEST-SEG-LDTR-G", ["guest-seg-83"], [field::GUEST_LDTR_ACCESS_RIGHTS, field::GUEST_LDTR_LIMIT],
        "G of LDTR must be 0 if one of bits 11:0 of its limit is 0, and 1 if one of bits 31:20 is 1, if LDTR is usable",
        |v| when_settled(is_usable(v, SegmentRegister::Ldtr), || granularity(v, SegmentRegister::Ldtr));
};
