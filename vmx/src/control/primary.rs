//! The primary processor-based VM-execution controls.

use super::PinControls;

control_word! {
    /// Primary processor-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6.2, "Processor-Based VM-Execution Controls".
    pub struct PrimaryControls(u32), Primary {
        /// A run ends as soon as the guest takes interrupts.
        INTERRUPT_WINDOW_EXITING = 2
            aka "CPU_BASED_INTR_WINDOW_EXITING" "VMX_FEATURE_INTR_WINDOW_EXITING" "INTERRUPT_WINDOW_VMEXIT"
                "CPU_INTR_WINDOW";
        /// The TSC offset is used.
        USE_TSC_OFFSETTING = 3
            aka "CPU_BASED_USE_TSC_OFFSETTING" "VMX_FEATURE_USE_TSC_OFFSETTING" "TSC_OFFSET" "CPU_TSC_OFFSETTING";
        /// HLT ends a run.
        HLT_EXITING = 7 aka "CPU_BASED_HLT_EXITING" "VMX_FEATURE_HLT_EXITING" "HLT_VMEXIT" "CPU_HLT";
        /// INVLPG ends a run.
        INVLPG_EXITING = 9 aka "CPU_BASED_INVLPG_EXITING" "VMX_FEATURE_INVLPG_EXITING" "INVLPG_VMEXIT" "CPU_INVLPG";
        /// MWAIT ends a run.
        MWAIT_EXITING = 10 aka "CPU_BASED_MWAIT_EXITING" "VMX_FEATURE_MWAIT_EXITING" "MWAIT_VMEXIT" "CPU_MWAIT";
        /// RDPMC ends a run.
        RDPMC_EXITING = 11 aka "CPU_BASED_RDPMC_EXITING" "VMX_FEATURE_RDPMC_EXITING" "RDPMC_VMEXIT" "CPU_RDPMC";
        /// RDTSC and RDTSCP end a run.
        RDTSC_EXITING = 12 aka "CPU_BASED_RDTSC_EXITING" "VMX_FEATURE_RDTSC_EXITING" "RDTSC_VMEXIT" "CPU_RDTSC";
        /// MOV to CR3 ends a run.
        CR3_LOAD_EXITING = 15
            aka "CPU_BASED_CR3_LOAD_EXITING" "VMX_FEATURE_CR3_LOAD_EXITING" "CR3_WRITE_VMEXIT" "CPU_CR3_LOAD";
        /// MOV from CR3 ends a run.
        CR3_STORE_EXITING = 16
            aka "CPU_BASED_CR3_STORE_EXITING" "VMX_FEATURE_CR3_STORE_EXITING" "CR3_READ_VMEXIT" "CPU_CR3_STORE";
        /// The tertiary controls are used.
        ACTIVATE_TERTIARY_CONTROLS = 17
            aka "CPU_BASED_ACTIVATE_TERTIARY_CONTROLS" "VMX_FEATURE_TERTIARY_CONTROLS" "TERTIARY_CONTROLS"
                "CPU_TERTIARY";
        /// MOV to CR8 ends a run.
        CR8_LOAD_EXITING = 19
            aka "CPU_BASED_CR8_LOAD_EXITING" "VMX_FEATURE_CR8_LOAD_EXITING" "CR8_WRITE_VMEXIT" "CPU_CR8_LOAD";
        /// MOV from CR8 ends a run.
        CR8_STORE_EXITING = 20
            aka "CPU_BASED_CR8_STORE_EXITING" "VMX_FEATURE_CR8_STORE_EXITING" "CR8_READ_VMEXIT" "CPU_CR8_STORE";
        /// CR8 and the task-priority register are virtual.
        USE_TPR_SHADOW = 21 aka "CPU_BASED_TPR_SHADOW" "VMX_FEATURE_VIRTUAL_TPR" "TPR_SHADOW" "CPU_TPR_SHADOW";
        /// A run ends as soon as the guest takes NMIs.
        NMI_WINDOW_EXITING = 22
            needs [PinControls::VIRTUAL_NMIS]
            aka "CPU_BASED_NMI_WINDOW_EXITING" "VMX_FEATURE_NMI_WINDOW_EXITING" "CPU_NMI_WINDOW";
        /// MOV to or from a debug register ends a run.
        MOV_DR_EXITING = 23 aka "CPU_BASED_MOV_DR_EXITING" "VMX_FEATURE_MOV_DR_EXITING" "DRx_ACCESS_VMEXIT" "CPU_DR";
        /// All port I/O ends a run.
        UNCONDITIONAL_IO_EXITING = 24
            aka "CPU_BASED_UNCOND_IO_EXITING" "VMX_FEATURE_UNCOND_IO_EXITING" "IO_VMEXIT" "CPU_IO";
        /// The I/O bitmaps say which ports end a run.
        USE_IO_BITMAPS = 25 aka "CPU_BASED_USE_IO_BITMAPS" "VMX_FEATURE_USE_IO_BITMAPS" "IO_BITMAPS" "CPU_IO_BITMAP";
        /// A run ends after each instruction.
        MONITOR_TRAP_FLAG = 27 aka "CPU_BASED_MONITOR_TRAP_FLAG" "VMX_FEATURE_MONITOR_TRAP_FLAG" "CPU_MTF";
        /// The MSR bitmaps say which MSRs end a run.
        USE_MSR_BITMAPS = 28
            aka "CPU_BASED_USE_MSR_BITMAPS" "VMX_FEATURE_USE_MSR_BITMAPS" "MSR_BITMAPS" "CPU_MSR_BITMAP";
        /// MONITOR ends a run.
        MONITOR_EXITING = 29
            aka "CPU_BASED_MONITOR_EXITING" "VMX_FEATURE_MONITOR_EXITING" "MONITOR_VMEXIT" "CPU_MONITOR";
        /// PAUSE ends a run.
        PAUSE_EXITING = 30 aka "CPU_BASED_PAUSE_EXITING" "VMX_FEATURE_PAUSE_EXITING" "PAUSE_VMEXIT" "CPU_PAUSE";
        /// The secondary controls are used.
        ACTIVATE_SECONDARY_CONTROLS = 31
            aka "CPU_BASED_ACTIVATE_SECONDARY_CONTROLS" "VMX_FEATURE_SEC_CONTROLS" "SECONDARY_CONTROLS" "CPU_SECONDARY";
    }
}
