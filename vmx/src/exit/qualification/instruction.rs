//! Instructions that have a format of their own.

use x86_virt_core::{codes, register};

codes! {
    /// What began a task switch.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Task Switches").
    pub struct TaskSwitchSource(u8 & 3) {
        /// CALL.
        CALL = 0 aka "TASK_SWITCH_CALL";
        /// IRET.
        IRET = 1 aka "TASK_SWITCH_IRET";
        /// JMP.
        JMP = 2 aka "TASK_SWITCH_JMP";
        /// A task gate in the IDT.
        TASK_GATE = 3 aka "TASK_SWITCH_GATE";
    }
}

register! {
    /// Exit qualification of a task switch.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Task Switches").
    pub struct TaskSwitchQualification(u64) {
        /// Selector of the task-state segment.
        pub selector: u16,
        #[bits(14)]
        _reserved16: u16,
        /// What began the task switch.
        #[bits(2)]
        pub source: TaskSwitchSource,
        _reserved32: u32,
    }
}

register! {
    /// Exit qualification of an I/O instruction.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for I/O Instructions").
    pub struct IoQualification(u64) {
        /// Bytes moved at a time, less one.
        #[bits(3)]
        pub size_less_one: u8,
        /// IN or INS.
        pub input: bool,
        /// INS or OUTS.
        pub string: bool,
        /// REP.
        pub repeat: bool,
        /// The port is in the instruction and not in DX.
        pub immediate: bool,
        #[bits(9)]
        _reserved7: u16,
        /// The port.
        pub port: u16,
        _reserved32: u32,
    }
}

register! {
    /// Exit qualification of MWAIT.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    pub struct MwaitQualification(u64) {
        /// The address-range monitor was armed.
        pub monitor_armed: bool,
        #[bits(63)]
        _reserved1: u64,
    }
}

register! {
    /// Exit qualification of an access to an MSR whose number is not in ECX: RDMSR and WRMSRNS with an immediate operand, URDMSR
    /// and UWRMSR, and one of the MSRs of RDMSRLIST and WRMSRLIST.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    pub struct MsrQualification(u64) {
        /// Number of the MSR.
        pub msr: u32,
        _reserved32: u32,
    }
}

register! {
    /// Exit qualification of WBINVD and WBNOINVD, which have one exit reason.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    pub struct WbinvdQualification(u64) {
        /// The instruction is WBNOINVD.
        pub wbnoinvd: bool,
        #[bits(63)]
        _reserved1: u64,
    }
}

register! {
    /// Exit qualification of WRMSR and WRMSRNS, which have one exit reason.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    pub struct WrmsrQualification(u64) {
        /// The instruction is WRMSRNS.
        pub wrmsrns: bool,
        #[bits(63)]
        _reserved1: u64,
    }
}

register! {
    /// Exit qualification of ENQCMD, which has the PASID of IA32_PASID, and of ENQCMDS, which has the low half of the first
    /// quadword of its operand.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    pub struct PasidQualification(u64) {
        /// The process address-space identifier, before its translation.
        #[bits(20)]
        pub pasid: u32,
        #[bits(11)]
        _reserved20: u16,
        /// PRIV: the command is a supervisor's (ENQCMDS only).
        pub privileged: bool,
        _reserved32: u32,
    }
}
