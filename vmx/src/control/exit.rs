//! The primary VM-exit controls.

use super::PinControls;

control_word! {
    /// Primary VM-exit controls.
    ///
    /// Intel SDM vol. 3, section 27.7.1, "VM-Exit Controls".
    pub struct ExitControls(u32), Exit {
        /// DR7 and IA32_DEBUGCTL are saved.
        SAVE_DEBUG_CONTROLS = 2 aka "VM_EXIT_SAVE_DEBUG_CONTROLS" "SAVE_DBG_CTRLS" "EXI_SAVE_DEBUG";
        /// The host is in 64-bit mode.
        HOST_ADDRESS_SPACE_SIZE = 9 aka "VM_EXIT_HOST_ADDR_SPACE_SIZE" "HOST_ADDR_SPACE_SIZE" "EXI_HOST_64";
        /// IA32_PERF_GLOBAL_CTRL is loaded.
        LOAD_IA32_PERF_GLOBAL_CTRL = 12
            aka "VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL" "LOAD_PERF_GLOBAL_CTRL_MSR" "EXI_LOAD_PERF_GLOBAL";
        /// The interrupt controller is acknowledged when an external interrupt ends the run.
        ACKNOWLEDGE_INTERRUPT_ON_EXIT = 15 aka "VM_EXIT_ACK_INTR_ON_EXIT" "INTA_ON_VMEXIT" "EXI_INTA";
        /// IA32_PAT is saved.
        SAVE_IA32_PAT = 18 aka "VM_EXIT_SAVE_IA32_PAT" "STORE_PAT_MSR" "EXI_SAVE_PAT";
        /// IA32_PAT is loaded.
        LOAD_IA32_PAT = 19 aka "VM_EXIT_LOAD_IA32_PAT" "LOAD_PAT_MSR" "EXI_LOAD_PAT";
        /// IA32_EFER is saved.
        SAVE_IA32_EFER = 20 aka "VM_EXIT_SAVE_IA32_EFER" "STORE_EFER_MSR" "EXI_SAVE_EFER";
        /// IA32_EFER is loaded.
        LOAD_IA32_EFER = 21 aka "VM_EXIT_LOAD_IA32_EFER" "LOAD_EFER_MSR" "EXI_LOAD_EFER";
        /// The preemption timer is saved.
        SAVE_PREEMPTION_TIMER = 22
            needs [PinControls::ACTIVATE_PREEMPTION_TIMER]
            aka "VM_EXIT_SAVE_VMX_PREEMPTION_TIMER" "STORE_VMX_PREEMPTION_TIMER" "EXI_SAVE_PREEMPTION_TMR";
        /// IA32_BNDCFGS is cleared.
        CLEAR_IA32_BNDCFGS = 23 aka "VM_EXIT_CLEAR_BNDCFGS" "CLEAR_BNDCFGS" "EXI_CLEAR_BNDCFGS";
        /// Processor traces do not show VMX.
        CONCEAL_VMX_FROM_PT = 24 aka "VM_EXIT_PT_CONCEAL_PIP" "SUPPRESS_HOST_VMX_TRACE" "EXI_RTIT_SUPPRESS_PIP";
        /// IA32_RTIT_CTL is cleared.
        CLEAR_IA32_RTIT_CTL = 25 aka "VM_EXIT_CLEAR_IA32_RTIT_CTL" "CLEAR_IA32_RTIT_CTRL" "EXI_CLEAR_RTIT_CTL";
        /// IA32_LBR_CTL is cleared.
        CLEAR_IA32_LBR_CTL = 26 aka "CLEAR_IA32_LBR_CTRL" "EXI_CLEAR_LBR_CTL";
        /// UINV is cleared.
        CLEAR_UINV = 27 aka "EXI_CLEAR_UINV";
        /// Shadow-stack state is loaded.
        LOAD_CET_STATE = 28 aka "LOAD_HOST_CET_STATE" "EXI_LOAD_CET";
        /// IA32_PKRS is loaded.
        LOAD_PKRS = 29 aka "LOAD_HOST_PKRS" "EXI_LOAD_PKRS";
        /// IA32_PERF_GLOBAL_CTRL is saved.
        SAVE_IA32_PERF_GLOBAL_CTRL = 30 aka "SAVE_PERF_GLOBAL_CTRL" "EXI_SAVE_PERF_GLOBAL";
        /// The secondary VM-exit controls are used.
        ACTIVATE_SECONDARY_CONTROLS = 31 aka "ACTIVATE_SECONDARY_CTRLS" "EXI_SECONDARY";
    }
}
