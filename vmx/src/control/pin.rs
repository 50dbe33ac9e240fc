//! The pin-based VM-execution controls.

use super::{ExitControls, SecondaryControls};

control_word! {
    /// Pin-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6.1, "Pin-Based VM-Execution Controls".
    pub struct PinControls(u32), Pin {
        /// External interrupts end a run.
        EXTERNAL_INTERRUPT_EXITING = 0
            aka "PIN_BASED_EXT_INTR_MASK" "VMX_FEATURE_INTR_EXITING" "EXTERNAL_INTERRUPT_VMEXIT" "PIN_EXTINT";
        /// Non-maskable interrupts end a run.
        NMI_EXITING = 3 aka "PIN_BASED_NMI_EXITING" "VMX_FEATURE_NMI_EXITING" "PIN_NMI";
        /// The guest has its own blocking of NMIs.
        VIRTUAL_NMIS = 5
            needs [PinControls::NMI_EXITING]
            aka "PIN_BASED_VIRTUAL_NMIS" "VMX_FEATURE_VIRTUAL_NMIS" "VIRTUAL_NMI" "PIN_VIRT_NMI";
        /// The preemption timer counts and ends a run.
        ACTIVATE_PREEMPTION_TIMER = 6
            aka "PIN_BASED_VMX_PREEMPTION_TIMER" "VMX_FEATURE_PREEMPTION_TIMER" "VMX_PREEMPTION_TIMER_VMEXIT"
                "PIN_PREEMPTION_TMR";
        /// Interrupts of the notification vector deliver posted interrupts.
        PROCESS_POSTED_INTERRUPTS = 7
            needs [SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY, ExitControls::ACKNOWLEDGE_INTERRUPT_ON_EXIT]
            aka "PIN_BASED_POSTED_INTR" "VMX_FEATURE_POSTED_INTR" "PIN_POSTED_INTR";
    }
}
