//! The values of all control words, and what of them contradicts itself.

use super::{
    Control, ControlWord, EntryControls, ExitControls, PinControls, PrimaryControls, SecondaryControls,
    SecondaryExitControls, TertiaryControls, VmFunctionControls,
};

/// The values of all control words.
///
/// ```
/// use x86_virt_vmx::{ControlValues, PinControls};
///
/// let values = ControlValues { pin: PinControls::VIRTUAL_NMIS, ..ControlValues::default() };
/// let conflicts: Vec<_> = values.violations().map(|conflict| conflict.to_string()).collect();
/// assert_eq!(conflicts, ["pin 5 VIRTUAL_NMIS needs pin 3 NMI_EXITING"]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct ControlValues {
    /// Pin-based VM-execution controls.
    pub pin: PinControls,
    /// Primary processor-based VM-execution controls.
    pub primary: PrimaryControls,
    /// Secondary processor-based VM-execution controls.
    pub secondary: SecondaryControls,
    /// Tertiary processor-based VM-execution controls.
    pub tertiary: TertiaryControls,
    /// Primary VM-exit controls.
    pub exit: ExitControls,
    /// Secondary VM-exit controls.
    pub secondary_exit: SecondaryExitControls,
    /// VM-entry controls.
    pub entry: EntryControls,
    /// VM-function controls.
    pub vm_functions: VmFunctionControls,
}

impl ControlValues {
    /// The value of a word, whether the processor uses it or not.
    #[must_use]
    pub fn word(&self, word: ControlWord) -> u64 {
        match word {
            ControlWord::Pin => u64::from(self.pin.into_bits()),
            ControlWord::Primary => u64::from(self.primary.into_bits()),
            ControlWord::Secondary => u64::from(self.secondary.into_bits()),
            ControlWord::Tertiary => self.tertiary.into_bits(),
            ControlWord::Exit => u64::from(self.exit.into_bits()),
            ControlWord::SecondaryExit => self.secondary_exit.into_bits(),
            ControlWord::Entry => u64::from(self.entry.into_bits()),
            ControlWord::VmFunction => self.vm_functions.into_bits(),
        }
    }

    /// Whether the processor uses `word`: it is always there, or the control that activates it is in force.
    #[must_use]
    pub fn is_active(&self, word: ControlWord) -> bool {
        word.activation().is_none_or(|control| self.is_in_force(control))
    }

    /// Whether `control` is 1 in a word that the processor uses.
    #[must_use]
    pub fn is_in_force(&self, control: Control) -> bool {
        let bit = 1_u64.checked_shl(u32::from(control.bit)).unwrap_or(0);
        self.word(control.word) & bit != 0 && self.is_active(control.word)
    }

    /// What a VM entry would refuse: controls in force without one that they need, or with one that they exclude.
    ///
    /// Intel SDM vol. 3, section 29.2.1, "Checks on VMX Controls".
    pub fn violations(&self) -> impl Iterator<Item = ControlConflict> {
        Control::all().filter(|info| self.is_in_force(info.control)).flat_map(move |info| {
            let control = info.control;
            let missing = info.needs.iter().filter(|needed| !self.is_in_force(**needed));
            let present = info.excludes.iter().filter(|excluded| self.is_in_force(**excluded));
            missing
                .map(move |needed| ControlConflict::Needs { control, needed: *needed })
                .chain(present.map(move |excluded| ControlConflict::Excludes { control, excluded: *excluded }))
        })
    }
}

/// Two controls that contradict each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum ControlConflict {
    /// A control is in force, and one without which it cannot be is not.
    #[error("{control} needs {needed}")]
    Needs {
        /// The control in force.
        control: Control,
        /// The other.
        needed: Control,
    },
    /// Two controls that cannot both be in force are.
    #[error("{control} excludes {excluded}")]
    Excludes {
        /// One of them.
        control: Control,
        /// The other.
        excluded: Control,
    },
}

#[cfg(test)]
mod tests {
    use super::{ControlConflict, ControlValues};
    use crate::control::{
        Control, ControlWord, EntryControls, ExitControls, PinControls, PrimaryControls, SecondaryControls,
        TertiaryControls, VmFunctionControls,
    };

    fn texts(values: ControlValues) -> Vec<String> {
        values.violations().map(|conflict| conflict.to_string()).collect()
    }

    #[test]
    fn a_word_counts_only_while_it_is_active() {
        let values = ControlValues { secondary: SecondaryControls::UNRESTRICTED_GUEST, ..ControlValues::default() };
        assert_eq!(texts(values), [""; 0]);
        let values = ControlValues { primary: PrimaryControls::ACTIVATE_SECONDARY_CONTROLS, ..values };
        assert_eq!(texts(values), ["secondary 7 UNRESTRICTED_GUEST needs secondary 1 ENABLE_EPT"]);
        let values = ControlValues { secondary: values.secondary | SecondaryControls::ENABLE_EPT, ..values };
        assert_eq!(texts(values), [""; 0]);
    }

    #[test]
    fn vm_functions_are_active_through_two_words() {
        let values = ControlValues {
            primary: PrimaryControls::from_bits(0),
            secondary: SecondaryControls::ENABLE_VM_FUNCTIONS,
            vm_functions: VmFunctionControls::EPTP_SWITCHING,
            ..ControlValues::default()
        };
        assert!(!values.is_active(ControlWord::VmFunction));
        let values = ControlValues { primary: PrimaryControls::ACTIVATE_SECONDARY_CONTROLS, ..values };
        assert_eq!(texts(values), ["vm-function 0 EPTP_SWITCHING needs secondary 1 ENABLE_EPT"]);
    }

    /// The rules of the manual, each broken alone.
    #[test]
    fn every_rule_is_found() {
        let mut rules = 0;
        for info in Control::all() {
            for needed in info.needs {
                let values = with_all_but(info.control, *needed);
                let expected = ControlConflict::Needs { control: info.control, needed: *needed };
                assert!(values.violations().any(|conflict| conflict == expected), "{expected}");
                rules += 1;
            }
            for excluded in info.excludes {
                let all = everything();
                let expected = ControlConflict::Excludes { control: info.control, excluded: *excluded };
                assert!(all.violations().any(|conflict| conflict == expected), "{expected}");
                rules += 1;
            }
        }
        assert_eq!(rules, 26);
    }

    fn everything() -> ControlValues {
        ControlValues {
            pin: PinControls::from_bits(u32::MAX),
            primary: PrimaryControls::from_bits(u32::MAX),
            secondary: SecondaryControls::from_bits(u32::MAX),
            tertiary: TertiaryControls::from_bits(u64::MAX),
            exit: ExitControls::from_bits(u32::MAX),
            secondary_exit: crate::control::SecondaryExitControls::from_bits(u64::MAX),
            entry: EntryControls::from_bits(u32::MAX),
            vm_functions: VmFunctionControls::from_bits(u64::MAX),
        }
    }

    fn with_all_but(control: Control, missing: Control) -> ControlValues {
        let mut values = everything();
        assert_ne!(control, missing);
        match missing.word {
            ControlWord::Pin => values.pin = PinControls::from_bits(!(1 << missing.bit)),
            ControlWord::Primary => values.primary = PrimaryControls::from_bits(!(1 << missing.bit)),
            ControlWord::Secondary => values.secondary = SecondaryControls::from_bits(!(1 << missing.bit)),
            ControlWord::Exit => values.exit = ExitControls::from_bits(!(1 << missing.bit)),
            ControlWord::Entry => values.entry = EntryControls::from_bits(!(1 << missing.bit)),
            _ => unreachable!("no control needs one of {}", missing.word),
        }
        values
    }

    #[test]
    fn posted_interrupts_need_a_chain_of_controls() {
        let values = ControlValues {
            pin: PinControls::PROCESS_POSTED_INTERRUPTS,
            primary: PrimaryControls::ACTIVATE_SECONDARY_CONTROLS,
            secondary: SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY,
            ..ControlValues::default()
        };
        assert_eq!(
            texts(values),
            [
                "pin 7 PROCESS_POSTED_INTERRUPTS needs exit 15 ACKNOWLEDGE_INTERRUPT_ON_EXIT",
                "secondary 9 VIRTUAL_INTERRUPT_DELIVERY needs primary 21 USE_TPR_SHADOW",
                "secondary 9 VIRTUAL_INTERRUPT_DELIVERY needs pin 0 EXTERNAL_INTERRUPT_EXITING",
            ]
        );
    }
}
