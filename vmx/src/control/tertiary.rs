//! The tertiary processor-based VM-execution controls.

use super::{PrimaryControls, SecondaryControls};

control_word! {
    /// Tertiary processor-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6.2, "Processor-Based VM-Execution Controls".
    pub struct TertiaryControls(u64), Tertiary {
        /// LOADIWKEY ends a run.
        LOADIWKEY_EXITING = 0 aka "LOADIWKEY_VMEXIT" "CPU_LOADIWKEY";
        /// Linear addresses are translated by tables of the host (HLAT).
        ENABLE_HLAT = 1 needs [SecondaryControls::ENABLE_EPT] aka "HLAT_ENABLE" "CPU_HLAT";
        /// EPT can allow writes of the accessed and dirty flags of guest paging alone.
        EPT_PAGING_WRITE_CONTROL = 2 needs [SecondaryControls::ENABLE_EPT] aka "EPT_PAGING_WRITE" "CPU_EPT_PW";
        /// EPT can refuse linear addresses whose translation went through pages of the guest's choice.
        GUEST_PAGING_VERIFICATION = 3 needs [SecondaryControls::ENABLE_EPT] aka "CPU_EPT_VPW";
        /// Interrupts that the guest sends to its other processors are virtualized.
        IPI_VIRTUALIZATION = 4
            needs [PrimaryControls::USE_TPR_SHADOW]
            aka "TERTIARY_EXEC_IPI_VIRT" "VMX_FEATURE_IPI_VIRT" "CPU_IPI_VIRT";
        /// Where the shared half of the guest-physical addresses of a SEAM guest begins.
        SEAM_GUEST_PHYSICAL_ADDRESS_WIDTH = 5 aka "CPU_GPAW";
        /// The guest has RDMSRLIST and WRMSRLIST.
        ENABLE_MSR_LIST_INSTRUCTIONS = 6 aka "ENABLE_MSRLIST" "CPU_MSR_LIST";
        /// IA32_SPEC_CTRL has bits that the guest cannot change, and a shadow.
        VIRTUALIZE_IA32_SPEC_CTRL = 7 aka "CPU_SPEC_CTRL";
        /// The guest has a timer of its own, which IA32_TSC_DEADLINE sets.
        APIC_TIMER_VIRTUALIZATION = 8
            needs [SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY]
            excludes [PrimaryControls::RDTSC_EXITING];
        /// The guest has PBNDKB.
        ENABLE_PBNDKB = 9 aka "CPU_PBNDKB";
        /// Addresses of architectural PEBS are guest-physical.
        PEBS_USES_GUEST_PHYSICAL_ADDRESSES = 12 needs [SecondaryControls::ENABLE_EPT];
    }
}
