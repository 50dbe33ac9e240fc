//! VM-instruction errors.

use core::fmt;

use x86_virt_core::{Code, arbitrary_bits};

/// A VM-instruction error number.
///
/// Intel SDM vol. 3, section 33.4, "VM Instruction Error Numbers".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstructionError(u32);

/// Defines the constants and the texts from one list.
macro_rules! instruction_errors {
    ($($name:ident = $number:literal aka $alias:literal, $text:literal;)*) => {
        impl InstructionError {
            $(
                #[doc = concat!("Error ", stringify!($number), ": ", $text, ".")]
                #[doc(alias = $alias)]
                pub const $name: Self = Self($number);
            )*

            /// The rows of the table.
            pub const ALL: &'static [Code<u32>] = &[
                $(Code { name: stringify!($name), value: $number, aliases: &[$alias], provisional: false },)*
            ];

            /// What the manual calls the error, or `None` for a number that it does not list.
            #[must_use]
            pub const fn text(self) -> Option<&'static str> {
                Some(match self.0 {
                    $($number => $text,)*
                    _ => return None,
                })
            }
        }
    };
}

instruction_errors! {
    VMCALL_IN_VMX_ROOT = 1 aka "VMXERR_VMCALL_IN_VMX_ROOT_OPERATION", "VMCALL executed in VMX root operation";
    VMCLEAR_INVALID_ADDRESS = 2 aka "VMXERR_VMCLEAR_INVALID_ADDRESS", "VMCLEAR with invalid physical address";
    VMCLEAR_VMXON_POINTER = 3 aka "VMXERR_VMCLEAR_VMXON_POINTER", "VMCLEAR with VMXON pointer";
    VMLAUNCH_NOT_CLEAR = 4 aka "VMXERR_VMLAUNCH_NONCLEAR_VMCS", "VMLAUNCH with non-clear VMCS";
    VMRESUME_NOT_LAUNCHED = 5 aka "VMXERR_VMRESUME_NONLAUNCHED_VMCS", "VMRESUME with non-launched VMCS";
    VMRESUME_AFTER_VMXOFF = 6 aka "VMXERR_VMRESUME_AFTER_VMXOFF", "VMRESUME after VMXOFF";
    INVALID_CONTROL_FIELDS = 7 aka "VMXERR_ENTRY_INVALID_CONTROL_FIELD", "VM entry with invalid control field(s)";
    INVALID_HOST_STATE = 8 aka "VMXERR_ENTRY_INVALID_HOST_STATE_FIELD", "VM entry with invalid host-state field(s)";
    VMPTRLD_INVALID_ADDRESS = 9 aka "VMXERR_VMPTRLD_INVALID_ADDRESS", "VMPTRLD with invalid physical address";
    VMPTRLD_VMXON_POINTER = 10 aka "VMXERR_VMPTRLD_VMXON_POINTER", "VMPTRLD with VMXON pointer";
    VMPTRLD_WRONG_REVISION = 11 aka "VMXERR_VMPTRLD_INCORRECT_VMCS_REVISION_ID", "VMPTRLD with incorrect VMCS revision identifier";
    UNSUPPORTED_FIELD = 12 aka "VMXERR_UNSUPPORTED_VMCS_COMPONENT", "VMREAD or VMWRITE from or to unsupported VMCS component";
    VMWRITE_READ_ONLY_FIELD = 13 aka "VMXERR_VMWRITE_READ_ONLY_VMCS_COMPONENT", "VMWRITE to read-only VMCS component";
    VMXON_IN_VMX_ROOT = 15 aka "VMXERR_VMXON_IN_VMX_ROOT_OPERATION", "VMXON executed in VMX root operation";
    INVALID_EXECUTIVE_VMCS = 16 aka "VMXERR_ENTRY_INVALID_EXECUTIVE_VMCS_POINTER", "VM entry with invalid executive-VMCS pointer";
    EXECUTIVE_VMCS_NOT_LAUNCHED = 17 aka "VMXERR_ENTRY_NONLAUNCHED_EXECUTIVE_VMCS", "VM entry with non-launched executive VMCS";
    EXECUTIVE_VMCS_NOT_VMXON_POINTER = 18 aka "VMXERR_ENTRY_EXECUTIVE_VMCS_POINTER_NOT_VMXON_POINTER", "VM entry with executive-VMCS pointer not VMXON pointer";
    VMCALL_NOT_CLEAR = 19 aka "VMXERR_VMCALL_NONCLEAR_VMCS", "VMCALL with non-clear VMCS";
    VMCALL_INVALID_EXIT_CONTROLS = 20 aka "VMXERR_VMCALL_INVALID_VM_EXIT_CONTROL_FIELDS", "VMCALL with invalid VM-exit control fields";
    VMCALL_WRONG_MSEG_REVISION = 22 aka "VMXERR_VMCALL_INCORRECT_MSEG_REVISION_ID", "VMCALL with incorrect MSEG revision identifier";
    VMXOFF_UNDER_DUAL_MONITOR = 23 aka "VMXERR_VMXOFF_UNDER_DUAL_MONITOR_TREATMENT_OF_SMIS_AND_SMM", "VMXOFF under dual-monitor treatment of SMIs and SMM";
    VMCALL_INVALID_SMM_FEATURES = 24 aka "VMXERR_VMCALL_INVALID_SMM_MONITOR_FEATURES", "VMCALL with invalid SMM-monitor features";
    INVALID_EXECUTION_CONTROLS_OUTSIDE_SMM = 25 aka "VMXERR_ENTRY_INVALID_VM_EXECUTION_CONTROL_FIELDS_IN_EXECUTIVE_VMCS",
        "VM entry with invalid VM-execution control fields in executive VMCS";
    EVENTS_BLOCKED_BY_MOV_SS = 26 aka "VMXERR_ENTRY_EVENTS_BLOCKED_BY_MOV_SS", "VM entry with events blocked by MOV SS";
    INVALID_INVEPT_OPERAND = 28 aka "VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID", "invalid operand to INVEPT or INVVPID";
}

impl InstructionError {
    /// The error with this number.
    #[must_use]
    pub const fn from_bits(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn into_bits(self) -> u32 {
        self.0
    }
}

arbitrary_bits!(InstructionError);

impl fmt::Debug for InstructionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for InstructionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VM-instruction error {}: {}", self.0, self.text().unwrap_or("not in the manual"))
    }
}

/// How a VMX instruction fails.
///
/// Intel SDM vol. 3, section 33.2, "Conventions".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum VmFail {
    /// There is no current VMCS, so that no error number was stored.
    #[error("VMfailInvalid: no current VMCS")]
    Invalid,
    /// The instruction failed with this error.
    #[error("VMfailValid: {0}")]
    Valid(InstructionError),
}

#[cfg(test)]
mod tests {
    use super::{InstructionError, VmFail};

    #[test]
    fn twenty_five_errors_have_a_text() {
        let named: Vec<u32> = (0..64).filter(|&number| InstructionError::from_bits(number).text().is_some()).collect();
        let expected: Vec<u32> = (1..=28).filter(|number| ![14, 21, 27].contains(number)).collect();
        assert_eq!(named, expected);
        assert!(InstructionError::ALL.iter().map(|code| code.value).eq(expected));
    }

    #[test]
    fn an_error_is_printed_with_number_and_name() {
        let fail = VmFail::Valid(InstructionError::INVALID_CONTROL_FIELDS);
        assert_eq!(fail.to_string(), "VMfailValid: VM-instruction error 7: VM entry with invalid control field(s)");
        assert_eq!(InstructionError::from_bits(99).to_string(), "VM-instruction error 99: not in the manual");
    }
}
