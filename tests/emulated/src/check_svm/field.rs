//! The fields that are changed, and to what.
#![expect(unsafe_code, reason = "writes values to fields that the library keeps")]

use x86_virt::svm::vmcb::{SegmentAttributes, VmcbSegment, VmcbValue, control, save};

use crate::check_svm::Processor;
use crate::differential::Random;

/// A field of the VMCB, or a part of one.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) get: fn(&Processor<'_, '_>) -> u64,
    pub(super) set: fn(&mut Processor<'_, '_>, u64),
    /// Bits that may change.
    mask: u64,
    kind: Kind,
}

/// What a new value is like.
#[derive(Clone, Copy)]
enum Kind {
    Word,
    Event,
    /// Eight memory types.
    Pat,
}

impl Field {
    /// Another value than `valid`.
    pub(super) fn change(&self, valid: u64, random: &mut Random) -> u64 {
        let value = match self.kind {
            Kind::Word => random.word(valid),
            Kind::Event if random.below(8) > 0 => random.event(),
            Kind::Pat if random.below(2) > 0 => random.pat(),
            Kind::Event | Kind::Pat => random.word(valid),
        };
        valid & !self.mask | value & self.mask
    }
}

fn number(value: impl VmcbValue) -> u64 {
    let mut bytes = [0; 8];
    value.encode(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Defines the list: name, bits that may change, kind, place.
macro_rules! fields {
    (@get word $field:path) => { |vcpu| number(vcpu.read($field)) };
    (@get attributes $field:path) => { |vcpu| vcpu.read($field).attributes.into_bits().into() };
    (@get $part:ident $field:path) => { |vcpu| number(vcpu.read($field).$part) };
    (@set word $field:path) => {
        |vcpu, value| {
            let value = VmcbValue::decode(&value.to_le_bytes());
            // SAFETY: every guest that is entered ends its run at its first instruction, or in the delivery of an event: HLT
            // and all exceptions are intercepted. It reaches its own memory only: nested paging stays on, with the root
            // that it has. The masks of the list keep that and the intercepts. Of the maps the processor only reads.
            unsafe { vcpu.write_owned($field, value) }
        }
    };
    (@set attributes $field:path) => {
        |vcpu, value| {
            let attributes = SegmentAttributes::from_bits(VmcbValue::decode(&value.to_le_bytes()));
            let segment = vcpu.read($field);
            vcpu.write($field, VmcbSegment { attributes, ..segment });
        }
    };
    (@set $part:ident $field:path) => {
        |vcpu, value| {
            let $part = VmcbValue::decode(&value.to_le_bytes());
            let segment = vcpu.read($field);
            vcpu.write($field, VmcbSegment { $part, ..segment });
        }
    };
    ($($name:literal $mask:literal $kind:ident $part:ident $field:path;)*) => {
        /// The fields.
        pub(super) const FIELDS: &[Field] = &[$(Field {
            name: $name,
            get: fields!(@get $part $field),
            set: fields!(@set $part $field),
            mask: $mask,
            kind: Kind::$kind,
        },)*];
    };
}

fields! {
    "CR0" 0xffff_ffff_ffff_ffff Word word save::CR0;
    "CR3" 0xffff_ffff_ffff_ffff Word word save::CR3;
    "CR4" 0xffff_ffff_ffff_ffff Word word save::CR4;
    "EFER" 0xffff_ffff_ffff_ffff Word word save::EFER;
    "DR6" 0xffff_ffff_ffff_ffff Word word save::DR6;
    "DR7" 0xffff_ffff_ffff_ffff Word word save::DR7;
    // Not TF, IF and VM: VMRUN does not look at them, and Bochs 2.7 stops when a guest with VM = 1 is left.
    "RFLAGS" 0xffff_ffff_fffd_fcff Word word save::RFLAGS;
    "RIP" 0xffff_ffff_ffff_ffff Word word save::RIP;
    "RSP" 0xffff_ffff_ffff_ffff Word word save::RSP;
    "CPL" 0x03 Word word save::CPL;
    "S_CET" 0xffff_ffff_ffff_ffff Word word save::S_CET;
    "SSP" 0xffff_ffff_ffff_ffff Word word save::SSP;
    "ISST_ADDR" 0xffff_ffff_ffff_ffff Word word save::ISST_ADDR;
    "G_PAT" 0xffff_ffff_ffff_ffff Pat word save::G_PAT;
    "CS.ATTRIBUTES" 0xffff Word attributes save::CS;
    "CS.LIMIT" 0xffff_ffff Word limit save::CS;
    "CS.BASE" 0xffff_ffff_ffff_ffff Word base save::CS;
    "SS.ATTRIBUTES" 0xffff Word attributes save::SS;
    "SS.BASE" 0xffff_ffff_ffff_ffff Word base save::SS;
    "DS.ATTRIBUTES" 0xffff Word attributes save::DS;
    "DS.BASE" 0xffff_ffff_ffff_ffff Word base save::DS;
    "ES.BASE" 0xffff_ffff_ffff_ffff Word base save::ES;
    "FS.BASE" 0xffff_ffff_ffff_ffff Word base save::FS;
    "GS.BASE" 0xffff_ffff_ffff_ffff Word base save::GS;
    "LDTR.BASE" 0xffff_ffff_ffff_ffff Word base save::LDTR;
    "TR.BASE" 0xffff_ffff_ffff_ffff Word base save::TR;
    "GDTR.BASE" 0xffff_ffff_ffff_ffff Word base save::GDTR;
    "IDTR.BASE" 0xffff_ffff_ffff_ffff Word base save::IDTR;
    "IDTR.LIMIT" 0xffff_ffff Word limit save::IDTR;
    "KERNEL_GS_BASE" 0xffff_ffff_ffff_ffff Word word save::KERNEL_GS_BASE;
    "LSTAR" 0xffff_ffff_ffff_ffff Word word save::LSTAR;
    // The intercept of NMI alone.
    "INTERCEPT_MISC1" 0x2 Word word control::INTERCEPT_MISC1;
    // That of VMRUN, and of what no guest here executes.
    "INTERCEPT_MISC2" 0x7f Word word control::INTERCEPT_MISC2;
    "IOPM_BASE_PA" 0xffff_ffff_ffff_ffff Word word control::IOPM_BASE_PA;
    "MSRPM_BASE_PA" 0xffff_ffff_ffff_ffff Word word control::MSRPM_BASE_PA;
    "GUEST_ASID" 0xffff_ffff Word word control::GUEST_ASID;
    // V_TPR, V_NMI, V_NMI_MASK, V_NMI_ENABLE, and the enables of AVIC.
    "INT_CTL" 0xc400_18ff Word word control::VIRTUAL_INTERRUPT_CONTROL;
    "INTERRUPT_STATE" 0x1 Word word control::INTERRUPT_STATE;
    // Not nested paging itself.
    "NESTED_CTL" 0xffff_ffff_ffff_fffe Word word control::NESTED_CTL;
    "EVENTINJ" 0xffff_ffff_ffff_ffff Event word control::EVENTINJ;
    // The root stays, or is where there is no memory.
    "N_CR3" 0xffff_ff00_0000_0fff Word word control::N_CR3;
    "AVIC_APIC_BACKING_PAGE" 0xffff_ffff_ffff_ffff Word word control::AVIC_APIC_BACKING_PAGE;
    "AVIC_LOGICAL_TABLE" 0xffff_ffff_ffff_ffff Word word control::AVIC_LOGICAL_TABLE;
    "AVIC_PHYSICAL_TABLE" 0xffff_ffff_ffff_ffff Word word control::AVIC_PHYSICAL_TABLE;
}
