//! The VM-function controls.

use super::SecondaryControls;

control_word! {
    /// VM-function controls: VM functions that the guest may use.
    ///
    /// Intel SDM vol. 3, section 27.6.14, "VM-Function Controls".
    pub struct VmFunctionControls(u64), VmFunction {
        /// The guest may switch to another EPT pointer of the EPTP list.
        EPTP_SWITCHING = 0
            needs [SecondaryControls::ENABLE_EPT]
            aka "VMX_VMFUNC_EPTP_SWITCHING" "VMX_FEATURE_EPTP_SWITCHING";
    }
}
