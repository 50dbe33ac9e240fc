//! Control words: what their bits are, which of them a processor can set or clear, and what is asked of it.

use core::fmt;

#[macro_use]
mod word;

mod capability;
mod entry;
mod exit;
mod pin;
mod primary;
mod rows;
mod secondary;
mod secondary_exit;
mod tertiary;
mod values;
mod vm_function;

pub use capability::{ControlCapability, Setting, UnsupportedControl};
pub use entry::EntryControls;
pub use exit::ExitControls;
pub use pin::PinControls;
pub use primary::PrimaryControls;
pub(crate) use rows::{AnyOf, control_rows};
pub use secondary::SecondaryControls;
pub use secondary_exit::SecondaryExitControls;
pub use tertiary::TertiaryControls;
pub use values::{ControlConflict, ControlValues};
pub use vm_function::VmFunctionControls;

use crate::capability::CapabilityMsr;

/// A control word.
///
/// Intel SDM vol. 3, sections 27.6, "VM-Execution Control Fields", 27.7, "VM-Exit Control Fields", and 27.8, "VM-Entry
/// Control Fields".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum ControlWord {
    /// [`PinControls`].
    Pin,
    /// [`PrimaryControls`].
    Primary,
    /// [`SecondaryControls`].
    Secondary,
    /// [`TertiaryControls`].
    Tertiary,
    /// [`ExitControls`].
    Exit,
    /// [`SecondaryExitControls`].
    SecondaryExit,
    /// [`EntryControls`].
    Entry,
    /// [`VmFunctionControls`].
    VmFunction,
}

impl ControlWord {
    /// All words.
    pub const ALL: [Self; 8] = [
        Self::Pin,
        Self::Primary,
        Self::Secondary,
        Self::Tertiary,
        Self::Exit,
        Self::SecondaryExit,
        Self::Entry,
        Self::VmFunction,
    ];

    /// The named bits, in their order.
    #[must_use]
    pub const fn controls(self) -> &'static [ControlInfo] {
        match self {
            Self::Pin => PinControls::ALL,
            Self::Primary => PrimaryControls::ALL,
            Self::Secondary => SecondaryControls::ALL,
            Self::Tertiary => TertiaryControls::ALL,
            Self::Exit => ExitControls::ALL,
            Self::SecondaryExit => SecondaryExitControls::ALL,
            Self::Entry => EntryControls::ALL,
            Self::VmFunction => VmFunctionControls::ALL,
        }
    }

    /// Bits in the word.
    #[must_use]
    pub const fn width(self) -> u32 {
        match self {
            Self::Pin | Self::Primary | Self::Secondary | Self::Exit | Self::Entry => u32::BITS,
            Self::Tertiary | Self::SecondaryExit | Self::VmFunction => u64::BITS,
        }
    }

    /// The control without which the processor ignores the word.
    #[must_use]
    pub const fn activation(self) -> Option<Control> {
        Some(match self {
            Self::Pin | Self::Primary | Self::Exit | Self::Entry => return None,
            Self::Secondary => PrimaryControls::ACTIVATE_SECONDARY_CONTROLS.single(),
            Self::Tertiary => PrimaryControls::ACTIVATE_TERTIARY_CONTROLS.single(),
            Self::SecondaryExit => ExitControls::ACTIVATE_SECONDARY_CONTROLS.single(),
            Self::VmFunction => SecondaryControls::ENABLE_VM_FUNCTIONS.single(),
        })
    }

    /// The capability MSR of the word, and the one that counts instead of it where bit 55 of IA32_VMX_BASIC is 1.
    ///
    /// Intel SDM vol. 3, appendix A, "VMX Capability Reporting Facility".
    #[must_use]
    pub const fn capability_msrs(self) -> (CapabilityMsr, Option<CapabilityMsr>) {
        match self {
            Self::Pin => (CapabilityMsr::IA32_VMX_PINBASED_CTLS, Some(CapabilityMsr::IA32_VMX_TRUE_PINBASED_CTLS)),
            Self::Primary => {
                (CapabilityMsr::IA32_VMX_PROCBASED_CTLS, Some(CapabilityMsr::IA32_VMX_TRUE_PROCBASED_CTLS))
            }
            Self::Secondary => (CapabilityMsr::IA32_VMX_PROCBASED_CTLS2, None),
            Self::Tertiary => (CapabilityMsr::IA32_VMX_PROCBASED_CTLS3, None),
            Self::Exit => (CapabilityMsr::IA32_VMX_EXIT_CTLS, Some(CapabilityMsr::IA32_VMX_TRUE_EXIT_CTLS)),
            Self::SecondaryExit => (CapabilityMsr::IA32_VMX_EXIT_CTLS2, None),
            Self::Entry => (CapabilityMsr::IA32_VMX_ENTRY_CTLS, Some(CapabilityMsr::IA32_VMX_TRUE_ENTRY_CTLS)),
            Self::VmFunction => (CapabilityMsr::IA32_VMX_VMFUNC, None),
        }
    }

    /// What the manual calls the word.
    const fn title(self) -> &'static str {
        match self {
            Self::Pin => "pin-based",
            Self::Primary => "primary processor-based",
            Self::Secondary => "secondary processor-based",
            Self::Tertiary => "tertiary processor-based",
            Self::Exit => "primary VM-exit",
            Self::SecondaryExit => "secondary VM-exit",
            Self::Entry => "VM-entry",
            Self::VmFunction => "VM-function",
        }
    }
}

impl fmt::Display for ControlWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pin => "pin",
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Tertiary => "tertiary",
            Self::Exit => "exit",
            Self::SecondaryExit => "secondary-exit",
            Self::Entry => "entry",
            Self::VmFunction => "vm-function",
        })
    }
}

/// A bit of a control word.
///
/// ```
/// use x86_virt_vmx::SecondaryControls;
///
/// let ept = SecondaryControls::ENABLE_EPT.control().unwrap();
/// assert_eq!(ept.to_string(), "secondary 1 ENABLE_EPT");
/// assert!(ept.info().unwrap().needs.is_empty());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Control {
    /// The word.
    pub word: ControlWord,
    /// The number of the bit.
    pub bit: u8,
}

impl Control {
    /// The row of the control, if the bit has a name.
    #[must_use]
    pub fn info(self) -> Option<&'static ControlInfo> {
        let controls = self.word.controls();
        controls.binary_search_by_key(&self.bit, |info| info.control.bit).ok().and_then(|index| controls.get(index))
    }

    /// All controls that have a name, word by word.
    pub fn all() -> impl Iterator<Item = &'static ControlInfo> {
        ControlWord::ALL.into_iter().flat_map(ControlWord::controls)
    }

    fn name(self) -> &'static str {
        self.info().map_or("not named", |info| info.name)
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.word, self.bit, self.name())
    }
}

/// A row of the table of a control word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ControlInfo {
    /// The control.
    pub control: Control,
    /// The manual's name.
    pub name: &'static str,
    /// Names that other projects give it.
    pub aliases: &'static [&'static str],
    /// Controls that must be 1 where this one is.
    ///
    /// Intel SDM vol. 3, section 29.2.1, "Checks on VMX Controls".
    pub needs: &'static [Control],
    /// Controls that must be 0 where this one is 1.
    ///
    /// Intel SDM vol. 3, section 29.2.1, "Checks on VMX Controls".
    pub excludes: &'static [Control],
    /// Whether the row rests on one source or a proposal, and may change.
    pub provisional: bool,
}

impl ControlInfo {
    /// The capability MSR of the control's word, and the one that counts instead of it where bit 55 of IA32_VMX_BASIC is 1.
    #[must_use]
    pub const fn capability_msrs(&self) -> (CapabilityMsr, Option<CapabilityMsr>) {
        self.control.word.capability_msrs()
    }
}

#[cfg(test)]
mod tests {
    use super::{Control, ControlWord, PinControls, PrimaryControls, SecondaryControls, TertiaryControls};
    use crate::capability::CapabilityMsr;

    #[test]
    fn there_are_110_controls() {
        let counts = ControlWord::ALL.map(|word| word.controls().len());
        assert_eq!(counts, [5, 22, 32, 11, 18, 4, 17, 1]);
        assert_eq!(Control::all().count(), 110);
    }

    #[test]
    fn rows_are_sorted_and_found() {
        for word in ControlWord::ALL {
            assert!(word.controls().windows(2).all(|pair| pair[0].control.bit < pair[1].control.bit), "{word}");
        }
        for info in Control::all() {
            assert_eq!(info.control.info(), Some(info));
            assert!(u32::from(info.control.bit) < info.control.word.width());
            assert!(!info.needs.contains(&info.control) && !info.excludes.contains(&info.control));
        }
        assert_eq!(Control { word: ControlWord::Pin, bit: 1 }.info(), None);
    }

    #[test]
    fn one_bit_is_a_control() {
        let control = Control { word: ControlWord::Tertiary, bit: 12 };
        assert_eq!(TertiaryControls::from_bits(1 << 12).control(), Some(control));
        assert_eq!(control.to_string(), "tertiary 12 PEBS_USES_GUEST_PHYSICAL_ADDRESSES");
        assert_eq!(PinControls::from_bits(2).control().unwrap().to_string(), "pin 1 not named");
        assert_eq!(PinControls::NONE.control(), None);
        assert_eq!(PinControls::from_bits(3).control(), None);
        let info = SecondaryControls::ENABLE_PML.control().unwrap().info().unwrap();
        assert_eq!(info.capability_msrs(), (CapabilityMsr::IA32_VMX_PROCBASED_CTLS2, None));
    }

    #[test]
    fn a_word_shows_its_names_and_what_has_none() {
        let word = PinControls::NMI_EXITING | PinControls::VIRTUAL_NMIS | PinControls::from_bits(0x16);
        assert_eq!(word.to_string(), "0x0000003e NMI_EXITING VIRTUAL_NMIS 0x16");
        assert_eq!(format!("{:?}", PrimaryControls::HLT_EXITING), "PrimaryControls(0x00000080 HLT_EXITING)");
    }
}
