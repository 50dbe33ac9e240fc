//! Control-register accesses.

use x86_virt_core::{codes, register};

use crate::exit::operand::RegisterNumber;

codes! {
    /// How a control register was accessed.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Control-Register Accesses").
    pub struct ControlRegisterAccessType(u8 & 3) {
        /// MOV to the control register.
        MOV_TO_CR = 0 aka "VMX_VMEXIT_CR_ACCESS_CR_WRITE";
        /// MOV from the control register.
        MOV_FROM_CR = 1 aka "VMX_VMEXIT_CR_ACCESS_CR_READ";
        /// CLTS.
        CLTS = 2 aka "VMX_VMEXIT_CR_ACCESS_CLTS";
        /// LMSW.
        LMSW = 3 aka "VMX_VMEXIT_CR_ACCESS_LMSW";
    }
}

register! {
    /// Exit qualification of a control-register access.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Control-Register Accesses").
    pub struct ControlRegisterQualification(u64) {
        /// Number of the control register.
        #[bits(4)]
        pub number: u8,
        /// The instruction.
        #[doc(alias = "CONTROL_REG_ACCESS_TYPE")]
        #[bits(2)]
        pub access_type: ControlRegisterAccessType,
        /// LMSW has a memory operand.
        pub lmsw_memory: bool,
        _reserved7: bool,
        /// The general-purpose register of MOV.
        #[doc(alias = "CONTROL_REG_ACCESS_REG")]
        #[bits(4)]
        pub gpr: RegisterNumber,
        #[bits(4)]
        _reserved12: u8,
        /// The source operand of LMSW.
        #[doc(alias = "LMSW_SOURCE_DATA")]
        pub lmsw_source: u16,
        _reserved32: u32,
    }
}
