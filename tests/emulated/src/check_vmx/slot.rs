//! What may change, and to what.

use alloc::vec::Vec;

use x86_virt::vmx::check::{RULES, Rule, RuleSet};
use x86_virt::vmx::field::{self, Access, Encoding, FieldInfo, Group};
use x86_virt::vmx::{Capabilities, Control, ControlWord, VmcsRead as _};

use crate::check_vmx::memory::{self, Layout};
use crate::check_vmx::{Vcpu, enter};
use crate::differential::Random;
use crate::harness::Outcome;

/// A field, or a word in memory that one points to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) name: &'static str,
    pub(super) place: Place,
    /// Bits that may change.
    mask: u64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Field(Encoding),
    Memory(u64),
}

/// What a new value is like.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Word,
    /// A control word: mostly a bit that the processor lets be 0 or 1.
    Control {
        flexible: u64,
    },
    Event,
    /// Eight memory types.
    Pat,
    /// One of these, mostly.
    OneOf(&'static [u64]),
    /// One of these, always.
    Only(&'static [u64]),
    /// Another type, or a bit turned over.
    Rights,
    /// One bit from 47 on turned over: never canonical.
    HighBit,
    /// The place of the link pointer.
    Link {
        regions: [u64; 4],
    },
    /// An address; at times one of the last.
    Area {
        last: u64,
    },
}

/// What differs from any word: the name, bits that may change, what a value is like.
type Exception = (&'static str, u64, Kind);

/// A page: bits inside it, and those from the end of memory on.
const PAGE: u64 = 0xfff | !0 << 29;

const LIMITS: Kind = Kind::OneOf(&[0, 0xffff, 0xf_ffff, 0x10_0000, 0x1f_ffff, 0xffff_f000, 0xffff_ffff, 0xfff]);

/// The exits of all states that are valid bring back a host that goes on, and nothing that the processor writes to is outside of
/// what it was given, or the machine has no memory there.
const EXCEPTIONS: &[Exception] = &[
    // What the host is entered with.
    ("HOST_RSP", 0, Kind::Word),
    ("HOST_RIP", !0 << 47, Kind::HighBit),
    ("HOST_CR3", !0 << 40 | 0x18, Kind::Word),
    // Not EM and TS, without which no code of this image runs.
    ("HOST_CR0", !0xc, Kind::Word),
    // Not OSFXSR and OSXSAVE.
    ("HOST_CR4", !(1 << 9 | 1 << 18), Kind::Word),
    // Not NXE.
    ("HOST_IA32_EFER", !(1 << 11), Kind::Word),
    // Not SH_STK_EN and ENDBR_EN.
    ("HOST_IA32_S_CET", !5, Kind::Word),
    ("HOST_IA32_PAT", !0, Kind::Pat),
    // Bits that no processor has: which ones this has is not known.
    ("HOST_IA32_PERF_GLOBAL_CTRL", !0 << 49, Kind::Word),
    ("GUEST_IA32_PERF_GLOBAL_CTRL", !0 << 49, Kind::Word),
    ("GUEST_IA32_DEBUGCTL", !0xffc4, Kind::Word),
    // Where the processor reads and writes.
    ("IO_BITMAP_A", PAGE, Kind::Word),
    ("IO_BITMAP_B", PAGE, Kind::Word),
    ("MSR_BITMAPS", PAGE, Kind::Word),
    ("PML_ADDRESS", PAGE, Kind::Word),
    ("VIRTUAL_APIC_ADDRESS", PAGE, Kind::Word),
    ("APIC_ACCESS_ADDRESS", PAGE, Kind::Word),
    ("POSTED_INTERRUPT_DESCRIPTOR_ADDRESS", PAGE, Kind::Word),
    ("EPT_POINTER", PAGE, Kind::Word),
    ("EPTP_LIST_ADDRESS", PAGE, Kind::Word),
    ("VMREAD_BITMAP_ADDRESS", PAGE, Kind::Word),
    ("VMWRITE_BITMAP_ADDRESS", PAGE, Kind::Word),
    ("VIRTUALIZATION_EXCEPTION_ADDRESS", PAGE, Kind::Word),
    ("SUB_PAGE_PERMISSION_TABLE_POINTER", PAGE, Kind::Word),
    ("GUEST_CR3", PAGE, Kind::Word),
    ("EXIT_MSR_STORE_ADDRESS", 0xf | !0 << 40, Kind::Area { last: 0 }),
    ("EXIT_MSR_LOAD_ADDRESS", 0xf | !0 << 40, Kind::Area { last: 0 }),
    ("ENTRY_MSR_LOAD_ADDRESS", 0x1f | !0 << 29, Kind::Area { last: 0 }),
    // Never 1, which would make the last address a right one.
    ("EXIT_MSR_STORE_COUNT", !0, Kind::Only(&[0, 2, 3, 200])),
    ("EXIT_MSR_LOAD_COUNT", !0, Kind::Only(&[0, 2, 3, 200])),
    // Never less than the guard.
    ("ENTRY_MSR_LOAD_COUNT", !0, Kind::Only(&[3, 4, 5, 255, 0xffff, 0xffff_ffff])),
    ("VMCS_LINK_POINTER", PAGE, Kind::Link { regions: [0; 4] }),
    // What ends the guest.
    ("EXCEPTION_BITMAP", 0, Kind::Word),
    ("PREEMPTION_TIMER_VALUE", 0, Kind::Word),
    // No event finds a gate.
    ("GUEST_IDTR_LIMIT", 0xffff_0000, Kind::Word),
    // What has few values that matter.
    ("GUEST_ACTIVITY_STATE", !0, Kind::OneOf(&[1, 2, 3, 4, 1, 2, 3])),
    ("GUEST_INTERRUPTIBILITY_STATE", !0, Kind::OneOf(&[1, 2, 3, 4, 8, 9, 10, 16, 18])),
    ("GUEST_PENDING_DEBUG_EXCEPTIONS", !0, Kind::OneOf(&[1 << 14, 1 << 12, 1 << 16, 0x1_1000, 1 << 11, 0x5000])),
    ("CR3_TARGET_COUNT", !0, Kind::OneOf(&[1, 3, 4, 5, 8, 0xff, 0x100])),
    ("VIRTUAL_PROCESSOR_ID", !0, Kind::OneOf(&[0, 1, 0xffff])),
    ("TSC_MULTIPLIER", !0, Kind::OneOf(&[0, 0, 1])),
    ("TPR_THRESHOLD", !0, Kind::OneOf(&[0, 7, 8, 9, 15, 16])),
    ("VM_FUNCTION_CONTROLS", !0, Kind::OneOf(&[0, 1, 2])),
    ("ENTRY_INSTRUCTION_LENGTH", !0, Kind::OneOf(&[0, 1, 2, 15, 16])),
    ("ENTRY_EXCEPTION_ERROR_CODE", !0, Kind::OneOf(&[0, 0x7fff, 0x8000, 0xffff, 0x1_0000])),
    ("ENTRY_INTERRUPTION_INFORMATION", !0, Kind::Event),
    ("GUEST_IA32_PAT", !0, Kind::Pat),
];

/// Indices of the MSR-load area: taken with a canonical value, taken with any, and refused.
const MSRS: &[u64] = &[
    0xc000_0102,
    0xc000_0082,
    0xc000_0081,
    0xc000_0100,
    0xc000_0101,
    0x800,
    0x80f,
    0x8ff,
    0x9b,
    1 << 32 | 0xc000_0082,
];

/// All that may change on a processor with these capabilities.
pub(super) fn slots(vcpu: &Vcpu<'_, '_>, capabilities: &Capabilities, layout: &Layout) -> Vec<Slot> {
    let exists = |info: &&FieldInfo| {
        info.access != Access::ReadOnly
            && info.is_supported(capabilities)
            && vcpu.vmcs().read_raw(info.encoding).is_ok()
    };
    let width = capabilities.raw().physical_address_width;
    let fields = field::ALL.iter().filter(exists).map(|info| of_field(info, capabilities, layout, width));
    let word = |name, place, kind| Slot { name, place: Place::Memory(place), mask: !0, kind };
    let area = layout.entry_load();
    let words = [
        word("MEMORY_VTPR", layout.vtpr(), Kind::OneOf(&[0, 0x70, 0x7f, 0x80, 0x90, 0xf0])),
        word("MEMORY_PDPTE0", layout.tables(), Kind::Word),
        word("MEMORY_PDPTE3", layout.tables() + 24, Kind::Word),
        word("MEMORY_MSR1_INDEX", area, Kind::Only(MSRS)),
        word("MEMORY_MSR1_VALUE", area + 8, Kind::Word),
        word("MEMORY_MSR2_INDEX", area + 16, Kind::Only(MSRS)),
        word("MEMORY_MSR2_VALUE", area + 24, Kind::Word),
    ];
    fields.chain(words).filter(|slot| slot.mask != 0).collect()
}

fn of_field(info: &'static FieldInfo, capabilities: &Capabilities, layout: &Layout, width: u8) -> Slot {
    let exception = EXCEPTIONS.iter().find(|(name, ..)| *name == info.name);
    let (mask, kind) = exception.map_or_else(|| (!0, default(info, capabilities)), |(_, mask, kind)| (*mask, *kind));
    let kind = match kind {
        Kind::Link { .. } => {
            Kind::Link { regions: [layout.shadow_region(), layout.region(), layout.other_region(), !0] }
        }
        Kind::Area { .. } => Kind::Area { last: (1 << width) - 16 },
        kind => kind,
    };
    Slot { name: info.name, place: Place::Field(info.encoding), mask, kind }
}

fn bits(word: ControlWord, has: impl Fn(Control) -> bool) -> u64 {
    let all = (0_u8..64).filter(|bit| has(Control { word, bit: *bit }));
    all.fold(0, |bits, bit| bits | 1 << bit)
}

/// The controls of `word` that may be 1.
pub(super) fn allowed(capabilities: &Capabilities, word: ControlWord) -> u64 {
    bits(word, |control| capabilities.supports(control))
}

/// Those that must be.
fn required(capabilities: &Capabilities, word: ControlWord) -> u64 {
    bits(word, |control| capabilities.must_be_one(control))
}

/// What values of a field are like that is no exception.
fn default(info: &FieldInfo, capabilities: &Capabilities) -> Kind {
    let words = [ControlWord::Pin, ControlWord::Primary, ControlWord::Secondary, ControlWord::Exit, ControlWord::Entry];
    let words = words.into_iter().zip([
        "PIN_CONTROLS",
        "PRIMARY_CONTROLS",
        "SECONDARY_CONTROLS",
        "EXIT_CONTROLS",
        "ENTRY_CONTROLS",
    ]);
    for (word, name) in words {
        if info.name == name {
            return Kind::Control { flexible: allowed(capabilities, word) & !required(capabilities, word) };
        }
    }
    if info.name.ends_with("_ACCESS_RIGHTS") {
        Kind::Rights
    } else if info.name.ends_with("_LIMIT") {
        LIMITS
    } else {
        Kind::Word
    }
}

impl Slot {
    /// What is there.
    pub(super) fn get(&self, vcpu: &Vcpu<'_, '_>) -> Outcome<u64> {
        match self.place {
            Place::Field(field) => vcpu.vmcs().read_raw(field).map_err(enter::failed),
            Place::Memory(address) => Ok(memory::read(address)),
        }
    }

    /// Puts a value there.
    pub(super) fn set(&self, vcpu: &mut Vcpu<'_, '_>, value: u64) -> Outcome {
        match self.place {
            Place::Field(field) => enter::write(vcpu, field, value),
            Place::Memory(address) => {
                memory::write(address, value);
                Ok(())
            }
        }
    }

    /// The rules of which it decides.
    pub(super) fn dependents(&self) -> RuleSet {
        let of_memory = |rule: &&'static Rule| match self.name {
            "MEMORY_VTPR" => rule.id == "VMX-CTL-TPR-THRESHOLD",
            "MEMORY_PDPTE0" | "MEMORY_PDPTE3" => rule.id == "VMX-GUEST-PDPTE-MEMORY",
            _ => rule.id.starts_with("VMX-MSR-LOAD-"),
        };
        match self.place {
            Place::Field(field) => RuleSet::about(field),
            Place::Memory(_) => RULES.iter().filter(of_memory).collect(),
        }
    }

    /// Whether exits load it.
    pub(super) fn is_host(&self) -> bool {
        matches!(self.place, Place::Field(field) if field.group() == Group::Host)
    }

    /// Whether exits, or [`Try::run`](super::Try::run), write to it.
    pub(super) fn is_saved(&self) -> bool {
        matches!(self.place, Place::Field(field) if field.group() == Group::Guest)
            || ["ENTRY_CONTROLS", "ENTRY_INTERRUPTION_INFORMATION", "ENTRY_MSR_LOAD_COUNT"].contains(&self.name)
    }

    /// Another value than `valid`.
    pub(super) fn change(&self, valid: u64, random: &mut Random) -> u64 {
        let bits = match self.place {
            Place::Field(field) => field.width().bits(),
            Place::Memory(_) => u64::BITS,
        };
        let own = u64::MAX >> (u64::BITS - bits);
        let bit = |random: &mut Random, end: u64| 1_u64 << random.below(end);
        let value = match self.kind {
            Kind::Word if bits < u64::BITS && random.below(2) > 0 => valid ^ bit(random, bits.into()),
            Kind::Word => random.word(valid),
            Kind::Control { flexible } if flexible != 0 && random.below(4) > 0 => {
                let mut changed = bit(random, 32);
                while changed & flexible == 0 {
                    changed = bit(random, 32);
                }
                valid ^ changed
            }
            Kind::Control { .. } => valid ^ bit(random, 32),
            Kind::Event if random.below(8) > 0 => random.event(),
            Kind::Pat if random.below(2) > 0 => random.pat(),
            Kind::OneOf(values) if random.below(4) > 0 => random.one_of(values),
            Kind::Event | Kind::Pat | Kind::OneOf(_) => random.word(valid),
            Kind::Only(values) => random.one_of(values),
            Kind::Rights => match random.below(4) {
                0 => valid & !0xf | random.below(16),
                1 => valid & !0x60 | random.below(4) << 5,
                2 => valid ^ bit(random, 17),
                _ => valid ^ bit(random, 32),
            },
            Kind::HighBit => valid ^ 1 << (47 + random.below(17)),
            Kind::Link { regions } => match random.below(4) {
                0 => random.word(valid),
                _ => return random.one_of(&regions),
            },
            Kind::Area { last } if random.below(3) == 0 => return last,
            Kind::Area { .. } => random.word(valid),
        };
        (valid & !self.mask | value & self.mask) & own
    }
}
