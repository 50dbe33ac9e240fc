//! Names of what a processor can do.

use crate::capability::Capabilities;
use crate::control::{PinControls, SecondaryControls};

impl Capabilities {
    /// What the processor has beyond the first processors with VMX, in words.
    ///
    /// ```
    /// use x86_virt_vmx::{Capabilities, RawCapabilities};
    ///
    /// let raw = RawCapabilities { secondary: 0x0000_0082_0000_0000, ept_vpid: 1 << 17, ..RawCapabilities::default() };
    /// let features: Vec<_> = Capabilities::from_raw(raw).feature_names().collect();
    /// assert_eq!(features, ["extended page tables (EPT)", "unrestricted guest", "EPT pages of 1 GiB"]);
    /// ```
    pub fn feature_names(&self) -> impl Iterator<Item = &'static str> {
        let pin = self.pin().may_be_one();
        let secondary = self.secondary().may_be_one();
        let ept = self.ept();
        [
            (secondary.contains(SecondaryControls::ENABLE_EPT), "extended page tables (EPT)"),
            (secondary.contains(SecondaryControls::UNRESTRICTED_GUEST), "unrestricted guest"),
            (ept.pages_1g(), "EPT pages of 1 GiB"),
            (ept.pages_2m(), "EPT pages of 2 MiB"),
            (ept.page_walk_length_5(), "EPT of 5 levels"),
            (ept.execute_only(), "EPT execute-only pages"),
            (ept.accessed_dirty(), "EPT accessed and dirty flags"),
            (secondary.contains(SecondaryControls::ENABLE_VPID), "virtual-processor identifiers (VPID)"),
            (pin.contains(PinControls::VIRTUAL_NMIS), "virtual NMIs"),
            (pin.contains(PinControls::ACTIVATE_PREEMPTION_TIMER), "preemption timer"),
            (pin.contains(PinControls::PROCESS_POSTED_INTERRUPTS), "posted interrupts"),
            (secondary.contains(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY), "virtual-interrupt delivery"),
            (secondary.contains(SecondaryControls::ENABLE_VM_FUNCTIONS), "VM functions"),
            (secondary.contains(SecondaryControls::VMCS_SHADOWING), "VMCS shadowing"),
            (secondary.contains(SecondaryControls::ENABLE_PML), "page-modification logging (PML)"),
            (secondary.contains(SecondaryControls::EPT_VIOLATION_VE), "virtualization exceptions (#VE)"),
            (secondary.contains(SecondaryControls::MODE_BASED_EXECUTE_CONTROL), "mode-based execute control"),
            (secondary.contains(SecondaryControls::USE_TSC_SCALING), "TSC scaling"),
        ]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
    }
}
