//! The VM-entry controls.

control_word! {
    /// VM-entry controls.
    ///
    /// Intel SDM vol. 3, section 27.8.1, "VM-Entry Controls".
    pub struct EntryControls(u32), Entry {
        /// DR7 and IA32_DEBUGCTL are loaded.
        LOAD_DEBUG_CONTROLS = 2 aka "VM_ENTRY_LOAD_DEBUG_CONTROLS" "LOAD_DBG_CTRLS" "ENT_LOAD_DEBUG";
        /// The guest is in IA-32e mode.
        IA32E_MODE_GUEST = 9 aka "VM_ENTRY_IA32E_MODE" "X86_64_GUEST" "ENT_GUEST_64";
        /// The entry is to system-management mode.
        ENTRY_TO_SMM = 10 excludes [EntryControls::DEACTIVATE_DUAL_MONITOR_TREATMENT] aka "VM_ENTRY_SMM" "SMM_ENTER" "ENT_SMM";
        /// Dual-monitor treatment ends.
        DEACTIVATE_DUAL_MONITOR_TREATMENT = 11 aka "VM_ENTRY_DEACT_DUAL_MONITOR" "ENT_DEACTIVATE_DM";
        /// IA32_PERF_GLOBAL_CTRL is loaded.
        LOAD_IA32_PERF_GLOBAL_CTRL = 13
            aka "VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL" "LOAD_PERF_GLOBAL_CTRL_MSR" "ENT_LOAD_PERF_GLOBAL";
        /// IA32_PAT is loaded.
        LOAD_IA32_PAT = 14 aka "VM_ENTRY_LOAD_IA32_PAT" "LOAD_PAT_MSR" "ENT_LOAD_PAT";
        /// IA32_EFER is loaded.
        LOAD_IA32_EFER = 15 aka "VM_ENTRY_LOAD_IA32_EFER" "LOAD_EFER_MSR" "ENT_LOAD_EFER";
        /// IA32_BNDCFGS is loaded.
        LOAD_IA32_BNDCFGS = 16 aka "VM_ENTRY_LOAD_BNDCFGS" "LOAD_BNDCFGS" "ENT_LOAD_BNDCFGS";
        /// Processor traces do not show VMX.
        CONCEAL_VMX_FROM_PT = 17 aka "VM_ENTRY_PT_CONCEAL_PIP" "SUPPRESS_VMX_PACKETS" "ENT_RTIT_SUPPRESS_PIP";
        /// IA32_RTIT_CTL is loaded.
        LOAD_IA32_RTIT_CTL = 18 aka "VM_ENTRY_LOAD_IA32_RTIT_CTL" "LOAD_GUEST_RTIT_CTRL" "ENT_LOAD_RTIT_CTL";
        /// UINV is loaded.
        LOAD_UINV = 19 aka "ENT_LOAD_UINV";
        /// Shadow-stack state is loaded.
        LOAD_CET_STATE = 20 aka "LOAD_GUEST_CET_STATE" "ENT_LOAD_CET";
        /// IA32_LBR_CTL is loaded.
        LOAD_IA32_LBR_CTL = 21 aka "LOAD_GUEST_LBR_CTRL" "ENT_LOAD_LBR_CTL";
        /// IA32_PKRS is loaded.
        LOAD_PKRS = 22 aka "LOAD_GUEST_PKRS" "ENT_LOAD_PKRS";
        /// The MSRs of FRED are loaded.
        LOAD_FRED = 23 aka "LOAD_GUEST_FRED" "ENT_LOAD_FRED";
        /// IA32_SPEC_CTRL is loaded.
        LOAD_IA32_SPEC_CTRL = 24 aka "LOAD_GUEST_IA32_SPEC_CTRL";
        /// Out-of-band telemetry may go on in a SEAM guest.
        ALLOW_SEAM_GUEST_TELEMETRY = 25;
    }
}
