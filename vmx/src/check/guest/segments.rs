//! Rules of the selectors, bases and limits of the guest's segment registers.

use x86_virt_core::{SegmentAccessRights, SegmentRegister};

use super::SEGMENTS;
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Missing, View, must, must_be, must_be_zero, when, when_settled};
use crate::exit::EntryFailureCause;
use crate::field;
use crate::segment::SegmentFields;

/// Bit 2 of a selector: the table indicator (TI).
const TABLE_INDICATOR: u64 = 4;

/// The fields of a segment register.
pub(in crate::check) const fn of(register: SegmentRegister) -> SegmentFields {
    SegmentFields::of(register)
}

pub(super) fn rights(v: &View<'_>, register: SegmentRegister) -> Result<SegmentAccessRights, Missing> {
    v.get(of(register).rights)
}

/// Whether the register holds a usable segment.
pub(super) fn is_usable(v: &View<'_>, register: SegmentRegister) -> Result<bool, Missing> {
    rights(v, register).map(|rights| !rights.unusable())
}

/// Whether the guest will be in virtual-8086 mode.
pub(super) fn is_virtual_8086(v: &View<'_>) -> Result<bool, Missing> {
    v.get(field::GUEST_RFLAGS).map(|rflags| rflags.vm())
}

/// Bits 1:0 of the selector: the requested privilege level.
pub(super) fn rpl(v: &View<'_>, register: SegmentRegister) -> Result<u8, Missing> {
    let [low, _] = v.get(of(register).selector)?.to_le_bytes();
    Ok(low & 3)
}

/// Selectors.
pub(super) const SELECTORS: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section SEGMENTS;
    "VMX-GUEST-SEG-TR-SELECTOR", ["guest-seg-01"], [field::GUEST_TR_SELECTOR],
        "TI of the selector of TR must be 0",
        |v| must_be_zero(v, field::GUEST_TR_SELECTOR, TABLE_INDICATOR);
    "VMX-GUEST-SEG-LDTR-SELECTOR", ["guest-seg-02"], [field::GUEST_LDTR_SELECTOR, field::GUEST_LDTR_ACCESS_RIGHTS],
        "TI of the selector of LDTR must be 0 if LDTR is usable",
        |v| when_settled(
            is_usable(v, SegmentRegister::Ldtr),
            || must_be_zero(v, field::GUEST_LDTR_SELECTOR, TABLE_INDICATOR),
        );
    "VMX-GUEST-SEG-SS-SELECTOR", ["guest-seg-03"],
        [
            field::GUEST_SS_SELECTOR, field::GUEST_CS_SELECTOR, field::GUEST_RFLAGS, field::SECONDARY_CONTROLS,
            field::PRIMARY_CONTROLS,
        ],
        "RPL of SS must equal RPL of CS, but for a guest that is unrestricted or in virtual-8086 mode",
        |v| when(
            is_virtual_8086(v).and_then(|virtual_8086| Ok(!virtual_8086 && !v.unrestricted()?)),
            || Ok(rpl(v, SegmentRegister::Ss)? == rpl(v, SegmentRegister::Cs)?),
        );
};

/// Bases: one rule for each register.
macro_rules! bases {
    (
        virtual_8086 { $($v_name:literal $v_row:literal $v_register:ident $v_base:ident $v_selector:ident;)* }
        canonical { $($c_name:literal $c_row:literal $c_base:ident;)* }
        short { $($s_name:literal $s_row:literal $s_register:ident $s_base:ident $s_rights:ident;)* }
    ) => {
        rules! {
            class RuleClass::GuestState(EntryFailureCause::OTHER);
            section SEGMENTS;
            $(concat!("VMX-GUEST-SEG-", $v_name, "-V86-BASE"), [$v_row],
                [field::$v_base, field::$v_selector, field::GUEST_RFLAGS],
                concat!("the base of ", $v_name, " must be 16 times its selector in virtual-8086 mode"),
                |v| when_settled(is_virtual_8086(v), || {
                    must_be(v, field::$v_base, u64::MAX, u64::from(v.get(field::$v_selector)?) << 4)
                });)*
            $(concat!("VMX-GUEST-SEG-", $c_name, "-BASE"), [$c_row], [field::$c_base],
                concat!("the base of ", $c_name, " must be canonical"),
                |v| must(v.get(field::$c_base).and_then(|base| v.are_canonical(&[base])));)*
            "VMX-GUEST-SEG-LDTR-BASE", ["guest-seg-25"], [field::GUEST_LDTR_BASE, field::GUEST_LDTR_ACCESS_RIGHTS],
                "the base of LDTR must be canonical if LDTR is usable",
                |v| when(
                    is_usable(v, SegmentRegister::Ldtr),
                    || v.are_canonical(&[v.get(field::GUEST_LDTR_BASE)?]),
                );
            "VMX-GUEST-SEG-CS-BASE", ["guest-seg-26"], [field::GUEST_CS_BASE],
                "bits 63:32 of the base of CS must be 0",
                |v| must_be_zero(v, field::GUEST_CS_BASE, !0xffff_ffff);
            $(concat!("VMX-GUEST-SEG-", $s_name, "-BASE"), [$s_row], [field::$s_base, field::$s_rights],
                concat!("bits 63:32 of the base of ", $s_name, " must be 0 if ", $s_name, " is usable"),
                |v| when_settled(
                    is_usable(v, SegmentRegister::$s_register),
                    || must_be_zero(v, field::$s_base, !0xffff_ffff),
                );)*
        }
    };
}

/// Bases.
pub(super) const BASES: &[Rule] = bases! {
    virtual_8086 {
        "CS" "guest-seg-05" Cs GUEST_CS_BASE GUEST_CS_SELECTOR;
        "SS" "guest-seg-06" Ss GUEST_SS_BASE GUEST_SS_SELECTOR;
        "DS" "guest-seg-07" Ds GUEST_DS_BASE GUEST_DS_SELECTOR;
        "ES" "guest-seg-04" Es GUEST_ES_BASE GUEST_ES_SELECTOR;
        "FS" "guest-seg-08" Fs GUEST_FS_BASE GUEST_FS_SELECTOR;
        "GS" "guest-seg-09" Gs GUEST_GS_BASE GUEST_GS_SELECTOR;
    }
    canonical {
        "TR" "guest-seg-22" GUEST_TR_BASE;
        "FS" "guest-seg-23" GUEST_FS_BASE;
        "GS" "guest-seg-24" GUEST_GS_BASE;
    }
    short {
        "SS" "guest-seg-27" Ss GUEST_SS_BASE GUEST_SS_ACCESS_RIGHTS;
        "DS" "guest-seg-28" Ds GUEST_DS_BASE GUEST_DS_ACCESS_RIGHTS;
        "ES" "guest-seg-29" Es GUEST_ES_BASE GUEST_ES_ACCESS_RIGHTS;
    }
};

/// Limits in virtual-8086 mode: one rule for each register.
macro_rules! limits {
    ($($name:literal $row:literal $limit:ident;)*) => {
        rules! {
            class RuleClass::GuestState(EntryFailureCause::OTHER);
            section SEGMENTS;
            $(concat!("VMX-GUEST-SEG-", $name, "-V86-LIMIT"), [$row], [field::$limit, field::GUEST_RFLAGS],
                concat!("the limit of ", $name, " must be FFFFH in virtual-8086 mode"),
                |v| when_settled(is_virtual_8086(v), || must_be(v, field::$limit, 0xffff_ffff, 0xffff));)*
        }
    };
}

/// Limits.
pub(super) const LIMITS: &[Rule] = limits! {
    "CS" "guest-seg-11" GUEST_CS_LIMIT;
    "SS" "guest-seg-12" GUEST_SS_LIMIT;
    "DS" "guest-seg-13" GUEST_DS_LIMIT;
    "ES" "guest-seg-10" GUEST_ES_LIMIT;
    "FS" "guest-seg-14" GUEST_FS_LIMIT;
    "GS" "guest-seg-15" GUEST_GS_LIMIT;
};
