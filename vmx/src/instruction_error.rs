//! VM-instruction errors.

use core::fmt;

/// A VM-instruction error number.
///
/// Intel SDM vol. 3, section 33.4, "VM Instruction Error Numbers".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstructionError(u32);

/// Defines the constants and the texts from one list.
macro_rules! instruction_errors {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl InstructionError {
            $(
                #[doc = concat!("Error ", stringify!($number), ": ", $text, ".")]
                pub const $name: Self = Self($number);
            )*

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
    VMCALL_IN_VMX_ROOT = 1, "VMCALL executed in VMX root operation";
    VMCLEAR_INVALID_ADDRESS = 2, "VMCLEAR with invalid physical address";
    VMCLEAR_VMXON_POINTER = 3, "VMCLEAR with VMXON pointer";
    VMLAUNCH_NOT_CLEAR = 4, "VMLAUNCH with non-clear VMCS";
    VMRESUME_NOT_LAUNCHED = 5, "VMRESUME with non-launched VMCS";
    VMRESUME_AFTER_VMXOFF = 6, "VMRESUME after VMXOFF";
    INVALID_CONTROL_FIELDS = 7, "VM entry with invalid control field(s)";
    INVALID_HOST_STATE = 8, "VM entry with invalid host-state field(s)";
    VMPTRLD_INVALID_ADDRESS = 9, "VMPTRLD with invalid physical address";
    VMPTRLD_VMXON_POINTER = 10, "VMPTRLD with VMXON pointer";
    VMPTRLD_WRONG_REVISION = 11, "VMPTRLD with incorrect VMCS revision identifier";
    UNSUPPORTED_FIELD = 12, "VMREAD or VMWRITE from or to unsupported VMCS component";
    VMWRITE_READ_ONLY_FIELD = 13, "VMWRITE to read-only VMCS component";
    VMXON_IN_VMX_ROOT = 15, "VMXON executed in VMX root operation";
    INVALID_EXECUTIVE_VMCS = 16, "VM entry with invalid executive-VMCS pointer";
    EXECUTIVE_VMCS_NOT_LAUNCHED = 17, "VM entry with non-launched executive VMCS";
    EXECUTIVE_VMCS_NOT_VMXON_POINTER = 18, "VM entry with executive-VMCS pointer not VMXON pointer";
    VMCALL_NOT_CLEAR = 19, "VMCALL with non-clear VMCS";
    VMCALL_INVALID_EXIT_CONTROLS = 20, "VMCALL with invalid VM-exit control fields";
    VMCALL_WRONG_MSEG_REVISION = 22, "VMCALL with incorrect MSEG revision identifier";
    VMXOFF_UNDER_DUAL_MONITOR = 23, "VMXOFF under dual-monitor treatment of SMIs and SMM";
    VMCALL_INVALID_SMM_FEATURES = 24, "VMCALL with invalid SMM-monitor features";
    INVALID_EXECUTION_CONTROLS_OUTSIDE_SMM = 25,
        "VM entry with invalid VM-execution control fields in executive VMCS";
    EVENTS_BLOCKED_BY_MOV_SS = 26, "VM entry with events blocked by MOV SS";
    INVALID_INVEPT_OPERAND = 28, "invalid operand to INVEPT or INVVPID";
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
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
    }

    #[test]
    fn an_error_is_printed_with_number_and_name() {
        let fail = VmFail::Valid(InstructionError::INVALID_CONTROL_FIELDS);
        assert_eq!(fail.to_string(), "VMfailValid: VM-instruction error 7: VM entry with invalid control field(s)");
        assert_eq!(InstructionError::from_bits(99).to_string(), "VM-instruction error 99: not in the manual");
    }
}
