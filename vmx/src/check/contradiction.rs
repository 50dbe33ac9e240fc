//! Capabilities that no processor has.

use core::fmt;

use crate::capability::{Capabilities, CapabilityMsr};
use crate::control::ControlWord;

/// What of capabilities contradicts itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Contradiction {
    /// Bits must be 1 that may not be.
    RequiredNotAllowed {
        /// The capability MSR that requires them.
        msr: CapabilityMsr,
        /// The bits.
        bits: u64,
    },
    /// The MSR is not 0, though the control without which it does not exist cannot be 1.
    WithoutControl {
        /// The capability MSR.
        msr: CapabilityMsr,
    },
    /// The MSR is 0, though the control with which it exists can be 1, or another MSR says that it is used.
    Absent {
        /// The capability MSR.
        msr: CapabilityMsr,
    },
    /// No processor has physical addresses of so many bits.
    PhysicalAddressWidth {
        /// The width.
        width: u8,
    },
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequiredNotAllowed { msr, bits } => {
                write!(f, "contradiction: {msr} requires bits {bits:#x}, which cannot be 1")
            }
            Self::WithoutControl { msr } => {
                write!(f, "contradiction: {msr} has a value, and no control can be 1 with which it exists")
            }
            Self::Absent { msr } => write!(f, "contradiction: {msr} is 0, and other capabilities say that it exists"),
            Self::PhysicalAddressWidth { width } => {
                write!(f, "contradiction: no processor has physical addresses of {width} bits")
            }
        }
    }
}

/// Everything that contradicts itself. What is unknown, which is 0, contradicts nothing but what says that it is there.
pub(super) fn all(capabilities: &Capabilities) -> impl Iterator<Item = Contradiction> {
    let words = ControlWord::ALL.into_iter().filter_map(|word| of_word(capabilities, word));
    let existence = ControlWord::ALL.into_iter().filter_map(|word| of_existence(capabilities, word));
    let fixed = [
        of_fixed(capabilities, CapabilityMsr::IA32_VMX_CR0_FIXED0, CapabilityMsr::IA32_VMX_CR0_FIXED1),
        of_fixed(capabilities, CapabilityMsr::IA32_VMX_CR4_FIXED0, CapabilityMsr::IA32_VMX_CR4_FIXED1),
    ];
    let width = capabilities.raw().physical_address_width;
    let is_width = width == 0 || (32..=52).contains(&width);
    let width = (!is_width).then_some(Contradiction::PhysicalAddressWidth { width });
    words.chain(existence).chain(fixed.into_iter().flatten()).chain(width)
}

/// The capability MSR that counts for `word`.
fn msr(capabilities: &Capabilities, word: ControlWord) -> CapabilityMsr {
    match word.capability_msrs() {
        (_, Some(msr)) if capabilities.basic().true_controls() => msr,
        (msr, _) => msr,
    }
}

fn value(capabilities: &Capabilities, msr: CapabilityMsr) -> u64 {
    capabilities.raw().get(msr).unwrap_or_default()
}

fn of_word(capabilities: &Capabilities, word: ControlWord) -> Option<Contradiction> {
    let (required, allowed) = capabilities.bits(word);
    let bits = required & !allowed;
    (bits != 0).then_some(Contradiction::RequiredNotAllowed { msr: msr(capabilities, word), bits })
}

fn of_fixed(capabilities: &Capabilities, fixed0: CapabilityMsr, fixed1: CapabilityMsr) -> Option<Contradiction> {
    let (required, allowed) = (value(capabilities, fixed0), value(capabilities, fixed1));
    let bits = required & !allowed;
    (bits != 0 && allowed != 0).then_some(Contradiction::RequiredNotAllowed { msr: fixed0, bits })
}

fn of_existence(capabilities: &Capabilities, word: ControlWord) -> Option<Contradiction> {
    let msr = msr(capabilities, word);
    let has_value = value(capabilities, msr) != 0;
    match word.activation() {
        Some(control) if has_value && !capabilities.supports(control) => Some(Contradiction::WithoutControl { msr }),
        None if !has_value && capabilities.basic().true_controls() => Some(Contradiction::Absent { msr }),
        _ => None,
    }
}
