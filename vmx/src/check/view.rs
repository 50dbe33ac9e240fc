//! What rules see: fields, capabilities and the circumstances of the entry, each of which may be unknown.

use core::fmt;

use x86_virt_core::Hpa;
use x86_virt_ept::EptCapabilities;

use super::entry::Entry;
use crate::access::VmcsRead;
use crate::capability::{Basic, Capabilities, CapabilityMsr, Misc};
use crate::control::{
    ControlWord, EntryControls, ExitControls, PinControls, PrimaryControls, SecondaryControls, SecondaryExitControls,
    TertiaryControls, VmFunctionControls,
};
use crate::field::{self, AccessClass, Encoding, Field, FieldValue};
use crate::instruction_error::VmFail;

/// What a rule finds.
pub(super) type Outcome = Result<Verdict, Missing>;

/// What a rule finds where it can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The entry keeps the rule.
    Holds,
    /// The entry breaks it.
    Broken,
    /// The entry breaks it, and the manual leaves one value to these bits of a field.
    Wrong(Correction),
    /// The entry breaks it by the item of this number in a list, from 1.
    Item(u32),
}

/// The only value that the manual leaves to some bits of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Correction {
    pub(super) field: Encoding,
    /// The bits.
    pub(super) mask: u64,
    /// Their value.
    pub(super) bits: u64,
}

/// What is not known, so that a rule cannot be decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Missing {
    /// The value of a field.
    Field(Encoding),
    /// The value of a capability MSR. It counts as unknown if it is 0, which it is on no processor that has it.
    Capability(CapabilityMsr),
    /// Bits of a physical address.
    PhysicalAddressWidth,
    /// Memory at a physical address.
    Memory(Hpa),
    /// Something about the processor or the circumstances of the entry, which the text names.
    Fact(&'static str),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => write!(f, "the field {field}"),
            Self::Capability(msr) => write!(f, "the capability {msr}"),
            Self::PhysicalAddressWidth => f.write_str("the width of physical addresses"),
            Self::Memory(address) => write!(f, "the memory at {address}"),
            Self::Fact(fact) => f.write_str(fact),
        }
    }
}

/// [`VmcsRead`] behind a pointer.
pub(super) trait ReadField {
    fn read_field(&self, field: Encoding) -> Result<u64, VmFail>;
}

impl<V: VmcsRead> ReadField for V {
    fn read_field(&self, field: Encoding) -> Result<u64, VmFail> {
        self.read_raw(field)
    }
}

/// What rules see.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    vmcs: &'a dyn ReadField,
    pub(super) capabilities: &'a Capabilities,
    pub(super) entry: Entry<'a>,
    /// The control words, which most rules ask for, in the order of [`ControlWord::ALL`].
    words: [Result<u64, Missing>; ControlWord::ALL.len()],
}

/// Reads a control word that the processor always uses.
macro_rules! word {
    ($($name:ident: $word:ident, $index:literal;)*) => {
        $(pub(super) fn $name(&self) -> Result<$word, Missing> {
            self.word($index).map(FieldValue::from_raw)
        })*
    };
}

/// Reads a control word that the processor uses if another control is 1; without it, no bit is in force.
macro_rules! activated_word {
    ($($name:ident: $word:ident, $index:literal if $activation:ident $bit:expr;)*) => {
        $(pub(super) fn $name(&self) -> Result<$word, Missing> {
            if !self.$activation()?.contains($bit) {
                return Ok($word::NONE);
            }
            self.word($index).map(FieldValue::from_raw)
        })*
    };
}

impl<'a> View<'a> {
    pub(super) fn new(vmcs: &'a dyn ReadField, capabilities: &'a Capabilities, entry: Entry<'a>) -> Self {
        let words = [
            field::PIN_CONTROLS.encoding(),
            field::PRIMARY_CONTROLS.encoding(),
            field::SECONDARY_CONTROLS.encoding(),
            field::TERTIARY_CONTROLS.encoding(),
            field::EXIT_CONTROLS.encoding(),
            field::SECONDARY_EXIT_CONTROLS.encoding(),
            field::ENTRY_CONTROLS.encoding(),
            field::VM_FUNCTION_CONTROLS.encoding(),
        ];
        // A word that is not in force is not read: a processor may not have it.
        let mut view = Self { vmcs, capabilities, entry, words: words.map(|field| Err(Missing::Field(field))) };
        for (index, field) in words.into_iter().enumerate() {
            let is_in_force = match index {
                2 => view.primary().is_ok_and(|word| word.contains(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS)),
                3 => view.primary().is_ok_and(|word| word.contains(PrimaryControls::ACTIVATE_TERTIARY_CONTROLS)),
                5 => view.exit().is_ok_and(|word| word.contains(ExitControls::ACTIVATE_SECONDARY_CONTROLS)),
                7 => view.secondary().is_ok_and(|word| word.contains(SecondaryControls::ENABLE_VM_FUNCTIONS)),
                _ => true,
            };
            let value = if is_in_force { view.raw(field) } else { Err(Missing::Field(field)) };
            if let Some(slot) = view.words.get_mut(index) {
                *slot = value;
            }
        }
        view
    }

    fn word(&self, index: usize) -> Result<u64, Missing> {
        self.words.get(index).copied().unwrap_or(Err(Missing::Fact("a control word")))
    }

    word! {
        pin: PinControls, 0;
        primary: PrimaryControls, 1;
        exit: ExitControls, 4;
        entry_controls: EntryControls, 6;
    }

    activated_word! {
        secondary: SecondaryControls, 2 if primary PrimaryControls::ACTIVATE_SECONDARY_CONTROLS;
        tertiary: TertiaryControls, 3 if primary PrimaryControls::ACTIVATE_TERTIARY_CONTROLS;
        secondary_exit: SecondaryExitControls, 5 if exit ExitControls::ACTIVATE_SECONDARY_CONTROLS;
        vm_functions: VmFunctionControls, 7 if secondary SecondaryControls::ENABLE_VM_FUNCTIONS;
    }

    /// The value of a field.
    pub(super) fn raw(&self, field: Encoding) -> Result<u64, Missing> {
        self.vmcs.read_field(field).map_err(|_| Missing::Field(field))
    }

    /// The value of a field in its type.
    pub(super) fn get<T: FieldValue, A: AccessClass>(&self, field: Field<T, A>) -> Result<T, Missing> {
        self.raw(field.encoding()).map(T::from_raw)
    }

    /// The value of a capability MSR.
    pub(super) fn capability(&self, msr: CapabilityMsr) -> Result<u64, Missing> {
        self.capabilities.raw().get(msr).filter(|value| *value != 0).ok_or(Missing::Capability(msr))
    }

    pub(super) fn basic(&self) -> Result<Basic, Missing> {
        self.capability(CapabilityMsr::IA32_VMX_BASIC).map(Basic::from_bits)
    }

    pub(super) fn misc(&self) -> Result<Misc, Missing> {
        self.capability(CapabilityMsr::IA32_VMX_MISC).map(Misc::from_bits)
    }

    pub(super) fn ept_capabilities(&self) -> Result<EptCapabilities, Missing> {
        self.capability(CapabilityMsr::IA32_VMX_EPT_VPID_CAP).map(EptCapabilities::from_bits)
    }

    /// The bits of `word` that must be 1, and those that may be.
    pub(super) fn allowed(&self, word: ControlWord) -> Result<(u64, u64), Missing> {
        let msr = match word.capability_msrs() {
            (_, Some(msr)) if self.basic()?.true_controls() => msr,
            (msr, _) => msr,
        };
        self.capability(msr)?;
        Ok(self.capabilities.bits(word))
    }

    /// Whether the processor can set a bit of CR4.
    pub(super) fn can_set_cr4(&self, bits: u64) -> Result<bool, Missing> {
        Ok(self.capability(CapabilityMsr::IA32_VMX_CR4_FIXED1)? & bits == bits)
    }

    /// Bits that no physical address has.
    pub(super) fn beyond_physical(&self) -> Result<u64, Missing> {
        let width = self.capabilities.raw().physical_address_width;
        let width = if self.entry.in_seam { width } else { width.saturating_sub(self.entry.key_id_bits) };
        if width == 0 { Err(Missing::PhysicalAddressWidth) } else { Ok(beyond(width)) }
    }

    /// Bits that the address of no structure of VMX has.
    pub(super) fn beyond_structures(&self) -> Result<u64, Missing> {
        Ok(if self.basic()?.addresses_32_bit() { beyond(32) } else { 0 } | self.beyond_physical()?)
    }

    /// Bits of a linear address.
    pub(super) fn linear_width(&self) -> Result<u8, Missing> {
        Ok(if self.can_set_cr4(LA57)? { 57 } else { 48 })
    }

    /// Whether bits 63 to `width - 1` of all `addresses` are alike. Without Intel 64 there are no such bits.
    pub(super) fn are_canonical(&self, addresses: &[u64]) -> Result<bool, Missing> {
        if !self.entry.intel_64 || addresses.iter().all(|address| sign_extends(*address, 48)) {
            return Ok(true);
        }
        let width = self.linear_width()?;
        Ok(addresses.iter().all(|address| sign_extends(*address, width)))
    }

    /// Whether bits 63 to `width` of `address` are alike, so that bit `width - 1` may differ.
    pub(super) fn has_equal_high_bits(&self, address: u64) -> Result<bool, Missing> {
        if !self.entry.intel_64 || sign_extends(address, 49) {
            return Ok(true);
        }
        Ok(sign_extends(address, self.linear_width()?.saturating_add(1)))
    }

    /// 8 bytes of memory.
    pub(super) fn memory(&self, address: u64) -> Result<u64, Missing> {
        let address = Hpa::new(address);
        self.entry.machine.and_then(|machine| machine.memory(address)).ok_or(Missing::Memory(address))
    }

    /// Whether the guest will be in IA-32e mode.
    pub(super) fn ia32e_guest(&self) -> Result<bool, Missing> {
        Ok(self.entry_controls()?.contains(EntryControls::IA32E_MODE_GUEST))
    }

    /// Whether the host is in 64-bit mode after exits.
    pub(super) fn host_64(&self) -> Result<bool, Missing> {
        Ok(self.exit()?.contains(ExitControls::HOST_ADDRESS_SPACE_SIZE))
    }

    pub(super) fn unrestricted(&self) -> Result<bool, Missing> {
        Ok(self.secondary()?.contains(SecondaryControls::UNRESTRICTED_GUEST))
    }

    pub(super) fn has_ept(&self) -> Result<bool, Missing> {
        Ok(self.secondary()?.contains(SecondaryControls::ENABLE_EPT))
    }

    /// Whether the entry returns from system-management mode.
    pub(super) fn returns_from_smm(&self) -> Result<bool, Missing> {
        Ok(self.entry.in_smm && !self.entry_controls()?.contains(EntryControls::ENTRY_TO_SMM))
    }

    /// Whether the entry returns from system-management mode to VMX root operation.
    pub(super) fn returns_to_root(&self) -> Result<bool, Missing> {
        if !self.returns_from_smm()? {
            return Ok(false);
        }
        let vmxon = self.entry.vmxon_pointer.ok_or(Missing::Fact("the VMXON pointer"))?;
        Ok(self.get(field::EXECUTIVE_VMCS_POINTER)? == vmxon)
    }
}

/// CR4.LA57.
const LA57: u64 = 1 << 12;

/// Bits from `width` on.
pub(super) const fn beyond(width: u8) -> u64 {
    if width >= 64 { 0 } else { u64::MAX << width }
}

/// Whether bits 63 to `width - 1` are alike.
pub(super) const fn sign_extends(address: u64, width: u8) -> bool {
    let high = address & beyond(width.saturating_sub(1));
    high == 0 || high == beyond(width.saturating_sub(1))
}

/// The verdict of a requirement without condition.
pub(super) fn must(requirement: Result<bool, Missing>) -> Outcome {
    requirement.map(|holds| if holds { Verdict::Holds } else { Verdict::Broken })
}

/// The verdict of a requirement that counts if `condition` is true. It can be told also where one of them is not
/// known, if the other settles it.
pub(super) fn when(condition: Result<bool, Missing>, requirement: impl FnOnce() -> Result<bool, Missing>) -> Outcome {
    when_settled(condition, || must(requirement()))
}

/// As [`when`], for a requirement that has a verdict of its own.
pub(super) fn when_settled(condition: Result<bool, Missing>, requirement: impl FnOnce() -> Outcome) -> Outcome {
    match condition {
        Ok(false) => Ok(Verdict::Holds),
        Ok(true) => requirement(),
        Err(missing) => match requirement() {
            Ok(Verdict::Holds) => Ok(Verdict::Holds),
            _ => Err(missing),
        },
    }
}

/// Of the bits `mask` of a field, each must be as in `bits`.
pub(super) fn must_be<T: FieldValue, A: AccessClass>(
    view: &View<'_>,
    field: Field<T, A>,
    mask: u64,
    bits: u64,
) -> Outcome {
    let value = view.get(field)?.into_raw();
    let wrong = (value ^ bits) & mask;
    Ok(if wrong == 0 {
        Verdict::Holds
    } else {
        Verdict::Wrong(Correction { field: field.encoding(), mask: wrong, bits: bits & wrong })
    })
}

/// The bits `mask` of a field must be zero.
pub(super) fn must_be_zero<T: FieldValue, A: AccessClass>(view: &View<'_>, field: Field<T, A>, mask: u64) -> Outcome {
    must_be(view, field, mask, 0)
}

/// Whether `first` and `second` are both true, also if the other of a false one is not known.
pub(super) fn both(first: Result<bool, Missing>, second: Result<bool, Missing>) -> Result<bool, Missing> {
    match (first, second) {
        (Ok(false), _) | (_, Ok(false)) => Ok(false),
        (Ok(true), other) | (other, Ok(true)) => other,
        (Err(missing), Err(_)) => Err(missing),
    }
}
