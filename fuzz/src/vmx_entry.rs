//! VM entries about which everything can be known, and everything can be left out.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use x86_virt::Hpa;
use x86_virt::vmx::check::{Entry, EntryInstruction, Machine, Missing, ProcessorMode};
use x86_virt::vmx::field::{self, Encoding, FieldInfo};
use x86_virt::vmx::{
    Capabilities, CapabilityMsr, FakeVmcs, InstructionError, RawCapabilities, VmFail, VmcsDump, VmcsRead, profile,
};

/// A long-mode guest, but for its control words. What it does not name is 0.
const LONG_MODE: &str = include_str!("../../benches/states/vmx-long.txt");

/// How many changes of a kind count.
const MOST: usize = 8;

/// What a state is made of.
#[derive(Clone, Debug, Arbitrary)]
pub struct Input {
    processor: Processor,
    mode: Mode,
    changes: Vec<(u16, Change)>,
    msrs: Vec<(u8, Change)>,
    entry: EntryInput,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Processor {
    /// One that exists.
    Profile(u8),
    /// One with every control.
    Everything,
    /// Nothing is known.
    Unknown,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Mode {
    Long,
    Protected,
    Virtual8086,
    /// All fields are zero.
    Nothing,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Change {
    Value(u64),
    Bit(u8),
    Low(u8),
    Ones,
    /// The field is not known.
    Missing,
}

impl Change {
    /// What becomes of `value`, which has this many bits.
    fn of(self, value: u64, bits: u32) -> u64 {
        match self {
            Self::Value(value) => value,
            Self::Bit(bit) => value ^ 1 << (u32::from(bit) % bits),
            Self::Low(byte) => value & !0xff | u64::from_le_bytes([byte, 0, 0, 0, 0, 0, 0, 0]),
            Self::Ones => u64::MAX,
            Self::Missing => 0,
        }
    }
}

#[derive(Clone, Copy, Debug, Arbitrary)]
struct EntryInput {
    /// What differs from an entry as a hypervisor makes it.
    differs: u16,
    /// Which facts are not known.
    unknown: u16,
    value: u64,
    key_id_bits: u8,
    memory: [u64; 2],
}

/// A state, capabilities, and circumstances.
#[derive(Clone, Debug)]
pub struct State {
    /// The fields, those that are not known too.
    pub vmcs: FakeVmcs,
    /// Fields that are not known.
    pub missing: Vec<Encoding>,
    /// The capabilities.
    pub raw: RawCapabilities,
    /// What else is known.
    pub facts: Facts,
}

/// What is known beside the fields and the capabilities.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    input: EntryInput,
}

impl VmcsRead for State {
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
        if self.missing.contains(&field) {
            return Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD));
        }
        self.vmcs.read_raw(field)
    }
}

/// Facts that may be unknown, by their bits in [`EntryInput::unknown`].
mod fact {
    pub(super) const CURRENT: u32 = 0;
    pub(super) const VMXON: u32 = 1;
    pub(super) const EXECUTIVE: u32 = 2;
    pub(super) const TRACING: u32 = 3;
    pub(super) const FEATURES: u32 = 4;
    pub(super) const MSR_BITS: u32 = 5;
    pub(super) const MEMORY: u32 = 6;
    pub(super) const MSRS: u32 = 7;
    pub(super) const LAUNCHED: u32 = 8;
}

/// Of the first pages, the first bytes are known: a list of MSRs ends soon.
const fn is_memory(address: u64) -> bool {
    address < 0x4000 && address & 0xfff < 0x40
}

impl Machine for Facts {
    fn memory(&self, address: Hpa) -> Option<u64> {
        let [first, second] = self.input.memory;
        let address = address.get();
        // The revision identifiers of the profiles are small.
        let value = if address & 8 == 0 { first } else { second };
        let value = if address & 0x10 == 0 { value } else { value & 0xff };
        (self.knows(fact::MEMORY) && is_memory(address)).then_some(value)
    }

    fn accepts_msr(&self, msr: u32, value: u64) -> Option<bool> {
        self.knows(fact::MSRS).then_some(u64::from(msr) & 0xf != value & 0xf)
    }

    fn can_load_msr(&self, msr: u32) -> Option<bool> {
        self.knows(fact::MSRS).then_some(msr & 0xf0 != 0x30)
    }
}

impl Facts {
    const fn knows(&self, fact: u32) -> bool {
        self.input.unknown >> fact & 1 == 0
    }

    /// Whether the usual value is kept.
    const fn is(&self, bit: u32) -> bool {
        self.input.differs >> bit & 1 == 0
    }

    /// Nothing is unknown any more.
    pub fn know_all(&mut self) {
        self.input.unknown = 0;
    }

    /// Less is known. A launch state that is not given is not unknown: it is what the instruction needs.
    pub fn forget(&mut self, facts: u16) {
        self.input.unknown |= facts & !(1 << fact::LAUNCHED);
    }

    /// The circumstances of the entry.
    #[must_use]
    pub fn entry(&self) -> Entry<'_> {
        let known = |fact: u32, value: u64| self.knows(fact).then_some(value);
        let value = self.input.value;
        let mut entry = Entry::new();
        entry.instruction = match (self.is(0), self.is(1)) {
            (true, true) => None,
            (true, false) => Some(EntryInstruction::Vmlaunch),
            (false, _) => Some(EntryInstruction::Vmresume),
        };
        entry.is_launched = self.knows(fact::LAUNCHED).then_some(self.is(2));
        entry.mode = match (self.is(3), self.is(4)) {
            (true, true) => ProcessorMode::Root,
            (true, false) => ProcessorMode::NonRoot,
            (false, true) => ProcessorMode::Legacy,
            (false, false) => ProcessorMode::OutsideVmx,
        };
        entry.privilege_level = if self.is(5) { 0 } else { 3 };
        entry.has_current_vmcs = self.is(6);
        entry.is_shadow_vmcs = !self.is(7);
        entry.blocking_by_mov_ss = !self.is(8);
        entry.in_smm = !self.is(9);
        entry.in_seam = !self.is(10);
        entry.intel_64 = self.is(11);
        entry.is_ia32e = self.is(12);
        entry.key_id_bits = self.input.key_id_bits & 0xf;
        entry.current_vmcs = known(fact::CURRENT, 0x1000).map(Hpa::new);
        entry.vmxon_pointer = known(fact::VMXON, 0x2000).map(Hpa::new);
        entry.executive_is_launched = self.knows(fact::EXECUTIVE).then_some(self.is(13));
        entry.executive_controls_are_valid = self.knows(fact::EXECUTIVE).then_some(self.is(14));
        entry.is_tracing = self.knows(fact::TRACING).then_some(!self.is(15));
        entry.has_rtm = self.knows(fact::FEATURES).then_some(value & 1 == 0);
        entry.has_sgx = self.knows(fact::FEATURES).then_some(value & 2 == 0);
        // No processor has other bits, and each has the lowest two of IA32_DEBUGCTL.
        entry.debugctl_bits = known(fact::MSR_BITS, value & 0xffc4 | 3);
        entry.perf_global_ctrl_bits = known(fact::MSR_BITS, value & 0x0001_ffff_ffff_ffff);
        entry.rtit_ctl_bits = known(fact::MSR_BITS, value & 0x0180_ffff_8f7b_ffff);
        entry.lbr_ctl_bits = known(fact::MSR_BITS, value & 0x7f_000f);
        entry.spec_ctrl_bits = known(fact::MSR_BITS, value & 0x5ff);
        entry.machine = Some(self);
        entry
    }
}

/// The row of the table of fields.
///
/// # Panics
///
/// If the table is empty.
#[must_use]
pub fn row(number: u16) -> &'static FieldInfo {
    let row = field::ALL.get(usize::from(number) % field::ALL.len());
    row.unwrap_or_else(|| panic!("there are no fields"))
}

/// The capability MSR of this number in the list.
#[must_use]
pub fn msr(number: u8) -> CapabilityMsr {
    let row = CapabilityMsr::ALL.get(usize::from(number) % CapabilityMsr::ALL.len());
    row.map_or(CapabilityMsr::IA32_VMX_BASIC, |row| CapabilityMsr::from_bits(row.value))
}

/// A Sapphire Rapids with every control, linear addresses of 57 bits, and FRED.
fn everything() -> RawCapabilities {
    let raw = profile::SAPPHIRE_RAPIDS.raw;
    RawCapabilities {
        true_pin: raw.true_pin | 0xff << 32,
        true_primary: raw.true_primary | 0xffff_ffff << 32,
        secondary: 0xffff_ffff << 32,
        tertiary: 0x13ff,
        true_exit: raw.true_exit | 0xffff_ffff << 32,
        secondary_exit: 0xf,
        true_entry: raw.true_entry | 0x3ff_fe00 << 32,
        vm_functions: 1,
        cr4_fixed1: raw.cr4_fixed1 | 1 << 12 | 1 << 28 | 1 << 32,
        ept_vpid: raw.ept_vpid | 0xc0 | 1 << 8 | 1 << 14 | 1 << 21 | 1 << 23,
        ..raw
    }
}

static LONG: LazyLock<FakeVmcs> = LazyLock::new(|| {
    let dump = VmcsDump::parse(LONG_MODE).unwrap_or_else(|error| panic!("{error}"));
    let mut vmcs = FakeVmcs::new();
    for (info, value) in dump.fields() {
        vmcs.set_raw(info.encoding.get(), value.unwrap_or_default());
    }
    vmcs
});

/// Bits of control words that a hypervisor in 64-bit mode sets: the address-space size of the host, and the secondary controls.
const HOST_64: u32 = 1 << 9;
const SECONDARY: u32 = 1 << 31;
const IA32E: u32 = 1 << 9;
const EPT: u32 = 1 << 1;

impl Input {
    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        let raw = match self.processor {
            Processor::Profile(number) => {
                profile::ALL.get(usize::from(number) % profile::ALL.len()).map_or(RawCapabilities::NONE, |one| one.raw)
            }
            Processor::Everything => everything(),
            Processor::Unknown => RawCapabilities::NONE,
        };
        let vmcs = if matches!(self.mode, Mode::Nothing) { FakeVmcs::new() } else { LONG.clone() };
        let mut state = State { vmcs, missing: Vec::new(), raw, facts: Facts { input: self.entry } };
        let capabilities = Capabilities::from_raw(raw);
        /// The bits that a word must have, and those that are wanted and may be.
        macro_rules! put {
            ($($word:ident $field:ident $wanted:expr;)*) => {
                $({
                    let capability = capabilities.$word();
                    let allowed = $wanted & capability.may_be_one().into_bits();
                    let value = capability.must_be_one().into_bits() | allowed;
                    state.set(field::$field.encoding(), value.into());
                })*
            };
        }
        put! {
            pin PIN_CONTROLS 0;
            primary PRIMARY_CONTROLS SECONDARY;
            secondary SECONDARY_CONTROLS EPT;
            exit EXIT_CONTROLS HOST_64;
            entry ENTRY_CONTROLS if matches!(self.mode, Mode::Long) { IA32E } else { 0 };
        }
        match self.mode {
            Mode::Protected => state.set(field::GUEST_CS_ACCESS_RIGHTS.encoding(), 0xc09b),
            Mode::Virtual8086 => {
                state.set(field::GUEST_RFLAGS.encoding(), 0x2_0002);
                for rights in [
                    field::GUEST_ES_ACCESS_RIGHTS,
                    field::GUEST_CS_ACCESS_RIGHTS,
                    field::GUEST_SS_ACCESS_RIGHTS,
                    field::GUEST_DS_ACCESS_RIGHTS,
                    field::GUEST_FS_ACCESS_RIGHTS,
                    field::GUEST_GS_ACCESS_RIGHTS,
                ] {
                    state.set(rights.encoding(), 0xf3);
                }
            }
            Mode::Long | Mode::Nothing => {}
        }
        for (number, change) in self.changes.iter().take(MOST) {
            let field = row(*number).encoding;
            if matches!(change, Change::Missing) {
                state.missing.push(field);
            } else {
                let value = state.vmcs.read_raw(field).unwrap_or_default();
                state.set(field, change.of(value, field.width().bits()));
            }
        }
        for (number, change) in self.msrs.iter().take(MOST) {
            if let Some(place) = state.raw.get_mut(msr(*number)) {
                *place = change.of(*place, u64::BITS);
            }
        }
        state
    }

    /// Whether the capabilities are those of a processor that exists.
    #[must_use]
    pub const fn is_profile(&self) -> bool {
        matches!(self.processor, Processor::Profile(_)) && self.msrs.is_empty()
    }
}

impl State {
    /// Sets a field.
    pub fn set(&mut self, field: Encoding, value: u64) {
        self.vmcs.set_raw(field.get(), value);
    }

    /// Makes known what a rule needs. False for what nobody can tell.
    pub fn supply(&mut self, missing: Missing) -> bool {
        match missing {
            Missing::Field(field) => {
                let count = self.missing.len();
                self.missing.retain(|other| *other != field);
                assert_ne!(count, self.missing.len(), "{field} is known");
            }
            Missing::Capability(msr) => {
                let Some(place) = self.raw.get_mut(msr) else { panic!("{msr} is none") };
                assert_eq!(*place, 0, "{msr} is known");
                *place = everything().get(msr).filter(|value| *value != 0).unwrap_or(1);
            }
            Missing::PhysicalAddressWidth => {
                assert!(self.raw.physical_address_width <= 0xf, "the width is known");
                self.raw.physical_address_width = 46;
            }
            Missing::Memory(address) => {
                if self.facts.knows(fact::MEMORY) {
                    assert!(!is_memory(address.get()), "{address} is known");
                    return false;
                }
                self.facts.input.unknown &= !(1 << fact::MEMORY);
            }
            Missing::Fact("what entries of the MSR-load area do beyond 4096") => return false,
            Missing::Fact(fact) => {
                assert_ne!(self.facts.input.unknown, 0, "{fact}: it is known");
                self.facts.know_all();
            }
            _ => panic!("{missing} is something new"),
        }
        true
    }
}
