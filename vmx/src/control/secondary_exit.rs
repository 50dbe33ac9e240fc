//! The secondary VM-exit controls.

control_word! {
    /// Secondary VM-exit controls.
    ///
    /// Intel SDM vol. 3, section 27.7.1, "VM-Exit Controls".
    pub struct SecondaryExitControls(u64), SecondaryExit {
        /// The MSRs of FRED are saved.
        SAVE_FRED = 0 aka "SAVE_GUEST_FRED" "EXI_SAVE_FRED";
        /// The MSRs of FRED are loaded.
        LOAD_FRED = 1 aka "LOAD_HOST_FRED" "EXI_LOAD_FRED";
        /// IA32_SPEC_CTRL is loaded.
        LOAD_IA32_SPEC_CTRL = 2 aka "LOAD_HOST_IA32_SPEC_CTRL";
        /// An exit that leaves a shadow stack busy too early says so.
        PREMATURELY_BUSY_SHADOW_STACK = 3 aka "SHADOW_STACK_BUSY_CTRL" "EXI_FRAC_SS";
    }
}
