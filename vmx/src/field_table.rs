vmcs_fields! {
    /// Virtual-processor identifier (VPID): tag of the guest's linear translations.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VIRTUAL_PROCESSOR_ID: u16, Sensitive = 0x0000 requires [SecondaryControls::ENABLE_VPID] aka "CONTROL_VPID" "VPID";
    /// Vector of the interrupt that makes the processor look at the posted-interrupt descriptor.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    POSTED_INTERRUPT_NOTIFICATION_VECTOR: u16, Sensitive = 0x0002
        requires [PinControls::PROCESS_POSTED_INTERRUPTS]
        aka "POSTED_INTR_NV" "CONTROL_POSTED_INTERRUPT_VECTOR" "POSTED_INT_NOTIFICATION";
    /// Index of the current entry of the EPTP list.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EPTP_INDEX: u16, Sensitive = 0x0004 requires [SecondaryControls::EPT_VIOLATION_VE] aka "CONTROL_EPTP_INDEX";
    /// How many of the highest bits of a linear address select translation by the host's tables (HLAT).
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    HLAT_PREFIX_SIZE: u16, ReadWrite = 0x0006 requires [TertiaryControls::ENABLE_HLAT] aka "CONTROL_HLAT_PREFIX";
    /// Index of the last entry of the table of pointers to posted-interrupt descriptors.
    ///
    /// Intel SDM vol. 3, section 27.6.8, "Controls for APIC Virtualization".
    LAST_PID_POINTER_INDEX: u16, Sensitive = 0x0008
        requires [TertiaryControls::IPI_VIRTUALIZATION]
        aka "CONTROL_LAST_PID_POINTER_INDEX" "LAST_PID_PTR";
    /// Vector of the interrupt that the guest's virtual timer requests.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VIRTUAL_TIMER_VECTOR: u16, ReadWrite = 0x000a
        requires [TertiaryControls::APIC_TIMER_VIRTUALIZATION]
        aka "CONTROL_VIRTUAL_TIMER_VECTOR";
    /// ES selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_ES_SELECTOR: u16, ReadWrite = 0x0800 aka "GUEST_SEL_ES";
    /// CS selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CS_SELECTOR: u16, ReadWrite = 0x0802 aka "GUEST_SEL_CS";
    /// SS selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_SS_SELECTOR: u16, ReadWrite = 0x0804 aka "GUEST_SEL_SS";
    /// DS selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_DS_SELECTOR: u16, ReadWrite = 0x0806 aka "GUEST_SEL_DS";
    /// FS selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_FS_SELECTOR: u16, ReadWrite = 0x0808 aka "GUEST_SEL_FS";
    /// GS selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GS_SELECTOR: u16, ReadWrite = 0x080a aka "GUEST_SEL_GS";
    /// LDTR selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_LDTR_SELECTOR: u16, ReadWrite = 0x080c aka "GUEST_SEL_LDTR";
    /// TR selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_TR_SELECTOR: u16, ReadWrite = 0x080e aka "GUEST_SEL_TR";
    /// Highest virtual interrupt requested and in service.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_INTERRUPT_STATUS: GuestInterruptStatus, ReadWrite = 0x0810
        requires [SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY]
        aka "GUEST_INTR_STATUS" "GUEST_INT_STATUS";
    /// Next entry of the page-modification log.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    PML_INDEX: u16, ReadWrite = 0x0812 requires [SecondaryControls::ENABLE_PML] aka "GUEST_PML_INDEX";
    /// Vector of user-interrupt notifications.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_UINV: u16, Sensitive = 0x0814 requires [EntryControls::LOAD_UINV, ExitControls::CLEAR_UINV];
    /// ES selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_ES_SELECTOR: u16, Sensitive = 0x0c00 aka "HOST_SEL_ES";
    /// CS selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_CS_SELECTOR: u16, Sensitive = 0x0c02 aka "HOST_SEL_CS";
    /// SS selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_SS_SELECTOR: u16, Sensitive = 0x0c04 aka "HOST_SEL_SS";
    /// DS selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_DS_SELECTOR: u16, Sensitive = 0x0c06 aka "HOST_SEL_DS";
    /// FS selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_FS_SELECTOR: u16, Sensitive = 0x0c08 aka "HOST_SEL_FS";
    /// GS selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_GS_SELECTOR: u16, Sensitive = 0x0c0a aka "HOST_SEL_GS";
    /// TR selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_TR_SELECTOR: u16, Sensitive = 0x0c0c aka "HOST_SEL_TR";
    /// Address of the bitmap for ports 0 to 0x7fff.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    IO_BITMAP_A: Hpa, Sensitive = 0x2000 aka "CONTROL_IO_BITMAP_A" "BITMAP_IO_A";
    /// Address of the bitmap for ports 0x8000 to 0xffff.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    IO_BITMAP_B: Hpa, Sensitive = 0x2002 aka "CONTROL_IO_BITMAP_B" "BITMAP_IO_B";
    /// Address of the MSR bitmaps.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    MSR_BITMAPS: Hpa, Sensitive = 0x2004
        requires [PrimaryControls::USE_MSR_BITMAPS]
        aka "MSR_BITMAP" "CONTROL_MSR_BITMAPS" "BITMAP_MSR";
    /// Address of the area to which a VM exit stores MSRs.
    ///
    /// Intel SDM vol. 3, section 27.7, "VM-Exit Control Fields".
    EXIT_MSR_STORE_ADDRESS: Hpa, Sensitive = 0x2006
        aka "VM_EXIT_MSR_STORE_ADDR" "CONTROL_VMEXIT_MSR_STORE_ADDR" "EXI_MSR_ST_ADDR";
    /// Address of the area from which a VM exit loads MSRs.
    ///
    /// Intel SDM vol. 3, section 27.7, "VM-Exit Control Fields".
    EXIT_MSR_LOAD_ADDRESS: Hpa, Sensitive = 0x2008
        aka "VM_EXIT_MSR_LOAD_ADDR" "CONTROL_VMEXIT_MSR_LOAD_ADDR" "EXI_MSR_LD_ADDR";
    /// Address of the area from which a VM entry loads MSRs.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_MSR_LOAD_ADDRESS: Hpa, Sensitive = 0x200a
        aka "VM_ENTRY_MSR_LOAD_ADDR" "CONTROL_VMENTRY_MSR_LOAD_ADDR" "ENT_MSR_LD_ADDR";
    /// Address of the executive VMCS, for SMM.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EXECUTIVE_VMCS_POINTER: Hpa, Sensitive = 0x200c aka "CONTROL_EXECUTIVE_VMCS_PTR" "EXEC_VMCS_PTR";
    /// Address of the page-modification log.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PML_ADDRESS: Hpa, Sensitive = 0x200e requires [SecondaryControls::ENABLE_PML] aka "CONTROL_PML_ADDRESS";
    /// What the guest's time-stamp counter is ahead of the host's.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    TSC_OFFSET: u64, ReadWrite = 0x2010 aka "CONTROL_TSC_OFFSET";
    /// Address of the virtual-APIC page.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VIRTUAL_APIC_ADDRESS: Hpa, Sensitive = 0x2012
        requires [PrimaryControls::USE_TPR_SHADOW]
        aka "VIRTUAL_APIC_PAGE_ADDR" "CONTROL_VIRTUAL_APIC_PAGE_ADDR" "APIC_PAGE_ADDR";
    /// Address of the APIC-access page.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    APIC_ACCESS_ADDRESS: Hpa, Sensitive = 0x2014
        requires [SecondaryControls::VIRTUALIZE_APIC_ACCESSES]
        aka "APIC_ACCESS_ADDR" "CONTROL_APIC_ACCESS_ADDR" "APIC_ACCS_ADDR";
    /// Address of the posted-interrupt descriptor.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    POSTED_INTERRUPT_DESCRIPTOR_ADDRESS: Hpa, Sensitive = 0x2016
        requires [PinControls::PROCESS_POSTED_INTERRUPTS]
        aka "POSTED_INTR_DESC_ADDR" "CONTROL_POSTED_INTERRUPT_DESC_ADDR" "POSTED_INT_DESC_ADDR";
    /// VM functions that the guest may use.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VM_FUNCTION_CONTROLS: VmFunctionControls, Sensitive = 0x2018
        requires [SecondaryControls::ENABLE_VM_FUNCTIONS]
        aka "VM_FUNCTION_CONTROL" "CONTROL_VMFUNC_CTRLS" "VMFUNC_CONTROLS";
    /// EPT pointer (EPTP): root and format of the extended page tables.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EPT_POINTER: Eptp, Sensitive = 0x201a requires [SecondaryControls::ENABLE_EPT] aka "CONTROL_EPTPTR" "EPTP";
    /// Vectors 0 to 63 whose virtualized EOI ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EOI_EXIT_BITMAP_0: u64, ReadWrite = 0x201c
        requires [SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY]
        aka "EOI_EXIT_BITMAP0" "CONTROL_EOI_EXIT_BITMAP0" "BITMAP_EOI0";
    /// Vectors 64 to 127 whose virtualized EOI ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EOI_EXIT_BITMAP_1: u64, ReadWrite = 0x201e
        requires [SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY]
        aka "EOI_EXIT_BITMAP1" "CONTROL_EOI_EXIT_BITMAP1" "BITMAP_EOI1";
    /// Vectors 128 to 191 whose virtualized EOI ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EOI_EXIT_BITMAP_2: u64, ReadWrite = 0x2020
        requires [SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY]
        aka "EOI_EXIT_BITMAP2" "CONTROL_EOI_EXIT_BITMAP2" "BITMAP_EOI2";
    /// Vectors 192 to 255 whose virtualized EOI ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EOI_EXIT_BITMAP_3: u64, ReadWrite = 0x2022
        requires [SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY]
        aka "EOI_EXIT_BITMAP3" "CONTROL_EOI_EXIT_BITMAP3" "BITMAP_EOI3";
    /// Address of the list of EPT pointers.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EPTP_LIST_ADDRESS: Hpa, Sensitive = 0x2024
        requires [VmFunctionControls::EPTP_SWITCHING]
        aka "CONTROL_EPTP_LIST_ADDRESS" "EPTP_LIST";
    /// Address of the VMREAD bitmap.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VMREAD_BITMAP_ADDRESS: Hpa, Sensitive = 0x2026
        requires [SecondaryControls::VMCS_SHADOWING]
        aka "VMREAD_BITMAP" "CONTROL_VMREAD_BITMAP_ADDR" "BITMAP_VMREAD";
    /// Address of the VMWRITE bitmap.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VMWRITE_BITMAP_ADDRESS: Hpa, Sensitive = 0x2028
        requires [SecondaryControls::VMCS_SHADOWING]
        aka "VMWRITE_BITMAP" "CONTROL_VMWRITE_BITMAP_ADDR" "BITMAP_VMWRITE";
    /// Address of the virtualization-exception information area.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VIRTUALIZATION_EXCEPTION_ADDRESS: Hpa, Sensitive = 0x202a
        requires [SecondaryControls::EPT_VIOLATION_VE]
        aka "VE_INFORMATION_ADDRESS" "CONTROL_VE_EXCEPTION_INFO_ADDR" "VE_INFO_ADDRESS";
    /// State components whose XSAVES or XRSTORS ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    XSS_EXITING_BITMAP: u64, Sensitive = 0x202c
        requires [SecondaryControls::ENABLE_XSAVES]
        aka "XSS_EXIT_BITMAP" "CONTROL_XSS_EXITING_BITMAP" "BITMAP_XSS";
    /// Leaves of ENCLS that end a run.
    ///
    /// Intel SDM vol. 3, section 27.6.16, "ENCLS-Exiting Bitmap".
    ENCLS_EXITING_BITMAP: u64, Sensitive = 0x202e
        requires [SecondaryControls::ENABLE_ENCLS_EXITING]
        aka "CONTROL_ENCLS_EXITING_BITMAP" "BITMAP_ENCLS";
    /// Sub-page-permission-table pointer (SPPTP): address of the root of the write permissions of parts of pages.
    ///
    /// Intel SDM vol. 3, section 27.6.21, "Sub-Page-Permission-Table Pointer (SPPTP)".
    SUB_PAGE_PERMISSION_TABLE_POINTER: Spptp, Sensitive = 0x2030
        requires [SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS]
        aka "CONTROL_SPPTP" "SPP_TABLE_PTR";
    /// Factor from the host's to the guest's time-stamp counter, in units of 2^-48.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    TSC_MULTIPLIER: u64, ReadWrite = 0x2032 requires [SecondaryControls::USE_TSC_SCALING] aka "CONTROL_TSC_MULTIPLIER";
    /// Tertiary processor-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6.2, "Processor-Based VM-Execution Controls".
    TERTIARY_CONTROLS: TertiaryControls, Sensitive = 0x2034
        requires [PrimaryControls::ACTIVATE_TERTIARY_CONTROLS]
        aka "TERTIARY_VM_EXEC_CONTROL" "CONTROL_TERTIARY_VMEXEC_CONTROLS" "CPU_CONTROLS_TER";
    /// Leaves of ENCLV that end a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    ENCLV_EXITING_BITMAP: u64, Sensitive = 0x2036
        requires [SecondaryControls::ENABLE_ENCLV_EXITING]
        aka "CONTROL_ENCLV_EXITING_BITMAP" "BITMAP_ENCLV";
    /// Address of the directory of the lower half of process address-space identifiers.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    LOW_PASID_DIRECTORY_ADDRESS: Hpa, Sensitive = 0x2038
        requires [SecondaryControls::PASID_TRANSLATION]
        aka "CONTROL_LO_PASID_DIRECTORY_ADDR" "PASID_DIR_ADDR_LO";
    /// Address of the directory of the upper half of process address-space identifiers.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    HIGH_PASID_DIRECTORY_ADDRESS: Hpa, Sensitive = 0x203a
        requires [SecondaryControls::PASID_TRANSLATION]
        aka "CONTROL_HI_PASID_DIRECTORY_ADDR" "PASID_DIR_ADDR_HI";
    /// SEAM shared EPT pointer: root of the extended page tables for shared guest-physical addresses.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    SHARED_EPT_POINTER: Hpa, Sensitive = 0x203c
        requires [TertiaryControls::SEAM_GUEST_PHYSICAL_ADDRESS_WIDTH]
        aka "CONTROL_SEAM_SHARED_EPT_POINTER" "SHARED_EPTP";
    /// Leaves of PCONFIG that end a run.
    ///
    /// Intel SDM vol. 3, section 27.6.17, "PCONFIG-Exiting Bitmap".
    PCONFIG_EXITING_BITMAP: u64, Sensitive = 0x203e
        requires [SecondaryControls::ENABLE_PCONFIG]
        aka "CONTROL_PCONFIG_EXITING_BITMAP" "BITMAP_PCONFIG";
    /// HLAT pointer (HLATP): guest-physical root of the host's tables for linear addresses.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    HLAT_POINTER: Hlatp, ReadWrite = 0x2040 requires [TertiaryControls::ENABLE_HLAT] aka "CONTROL_HLAT_POINTER" "HLATP";
    /// Address of the table of pointers to posted-interrupt descriptors.
    ///
    /// Intel SDM vol. 3, section 27.6.8, "Controls for APIC Virtualization".
    PID_POINTER_TABLE_ADDRESS: Hpa, Sensitive = 0x2042
        requires [TertiaryControls::IPI_VIRTUALIZATION]
        aka "PID_POINTER_TABLE" "CONTROL_PID_POINTER_TABLE_ADDRESS" "PID_PTR";
    /// Secondary VM-exit controls.
    ///
    /// Intel SDM vol. 3, section 27.7.1, "VM-Exit Controls".
    SECONDARY_EXIT_CONTROLS: SecondaryExitControls, Sensitive = 0x2044
        requires [ExitControls::ACTIVATE_SECONDARY_CONTROLS]
        aka "CONTROL_SECONDARY_VMEXIT_CONTROLS" "EXI_CONTROLS_SEC";
    /// Bits of IA32_SPEC_CTRL that the guest cannot change.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    IA32_SPEC_CTRL_MASK: SpecCtrl, Sensitive = 0x204a
        requires [TertiaryControls::VIRTUALIZE_IA32_SPEC_CTRL]
        aka "CONTROL_IA32_SPEC_CTRL_MASK" "SPEC_CTRL_MASK";
    /// Value that the guest takes IA32_SPEC_CTRL to have.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    IA32_SPEC_CTRL_SHADOW: SpecCtrl, ReadWrite = 0x204c
        requires [TertiaryControls::VIRTUALIZE_IA32_SPEC_CTRL]
        aka "CONTROL_IA32_SPEC_CTRL_SHADOW" "SPEC_CTRL_SHADOW";
    /// Deadline of the guest's timer, by its own time-stamp counter.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    GUEST_DEADLINE_SHADOW: u64, ReadWrite = 0x204e
        requires [TertiaryControls::APIC_TIMER_VIRTUALIZATION]
        aka "CONTROL_GUEST_DEADLINE_SHADOW" "GUEST_DEADLINE_VIR";
    /// Event data that FRED delivery of the injected event saves.
    ///
    /// Intel SDM vol. 3, section 27.8.3, "VM-Entry Controls for Event Injection".
    INJECTED_EVENT_DATA: u64, ReadWrite = 0x2052
        requires [EntryControls::LOAD_FRED, SecondaryExitControls::SAVE_FRED, SecondaryExitControls::LOAD_FRED]
        aka "CONTROL_INJECTED_EVENT_DATA" "INJ_EVENT_DATA";
    /// Guest-physical address of an EPT violation or misconfiguration.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    GUEST_PHYSICAL_ADDRESS: Gpa, ReadOnly = 0x2400 requires [SecondaryControls::ENABLE_EPT] aka "GUEST_PHYSICAL_ADDR";
    /// Data that WRMSRLIST would have written to the MSR that ended the run.
    ///
    /// Intel SDM vol. 3, section 27.9.4, "Information for VM Exits Due to Instruction Execution".
    MSR_DATA: u64, ReadOnly = 0x2402 requires [TertiaryControls::ENABLE_MSR_LIST_INSTRUCTIONS];
    /// Event data of the FRED delivery that the exit interrupted.
    ///
    /// Intel SDM vol. 3, section 27.9.3, "Information for VM Exits That Occur During Event Delivery".
    ORIGINAL_EVENT_DATA: u64, ReadOnly = 0x2404
        requires [EntryControls::LOAD_FRED, SecondaryExitControls::SAVE_FRED, SecondaryExitControls::LOAD_FRED]
        aka "ORG_EVENT_DATA";
    /// Operands of the instruction that ended the run, with room for the registers of APX. Exists on processors with
    /// APX.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXTENDED_INSTRUCTION_INFORMATION: u64, ReadOnly = 0x2406 aka "EXTENDED_INSTRUCTION_INFO" "EII";
    /// Address of the shadow VMCS, or all ones.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    VMCS_LINK_POINTER: Hpa, Sensitive = 0x2800 aka "GUEST_LINK_POINTER" "VMCS_LINK_PTR";
    /// IA32_DEBUGCTL.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_DEBUGCTL: DebugControl, ReadWrite = 0x2802 aka "GUEST_DEBUGCTL";
    /// IA32_PAT.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_PAT: u64, ReadWrite = 0x2804
        requires [EntryControls::LOAD_IA32_PAT, ExitControls::SAVE_IA32_PAT]
        aka "GUEST_PAT";
    /// IA32_EFER.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_EFER: Efer, ReadWrite = 0x2806
        requires [EntryControls::LOAD_IA32_EFER, ExitControls::SAVE_IA32_EFER]
        aka "GUEST_EFER";
    /// IA32_PERF_GLOBAL_CTRL.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_PERF_GLOBAL_CTRL: u64, Sensitive = 0x2808
        requires [EntryControls::LOAD_IA32_PERF_GLOBAL_CTRL, ExitControls::SAVE_IA32_PERF_GLOBAL_CTRL]
        aka "GUEST_PERF_GLOBAL_CTRL";
    /// Page-directory-pointer-table entry 0 of PAE paging.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_PDPTE0: u64, ReadWrite = 0x280a
        requires [SecondaryControls::ENABLE_EPT]
        aka "GUEST_PDPTR0" "GUEST_IA32_PDPTE0";
    /// Page-directory-pointer-table entry 1 of PAE paging.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_PDPTE1: u64, ReadWrite = 0x280c
        requires [SecondaryControls::ENABLE_EPT]
        aka "GUEST_PDPTR1" "GUEST_IA32_PDPTE1";
    /// Page-directory-pointer-table entry 2 of PAE paging.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_PDPTE2: u64, ReadWrite = 0x280e
        requires [SecondaryControls::ENABLE_EPT]
        aka "GUEST_PDPTR2" "GUEST_IA32_PDPTE2";
    /// Page-directory-pointer-table entry 3 of PAE paging.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_PDPTE3: u64, ReadWrite = 0x2810
        requires [SecondaryControls::ENABLE_EPT]
        aka "GUEST_PDPTR3" "GUEST_IA32_PDPTE3";
    /// IA32_BNDCFGS.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_BNDCFGS: Bndcfgs, Sensitive = 0x2812
        requires [EntryControls::LOAD_IA32_BNDCFGS, ExitControls::CLEAR_IA32_BNDCFGS]
        aka "GUEST_BNDCFGS";
    /// IA32_RTIT_CTL.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_RTIT_CTL: RtitCtl, Sensitive = 0x2814
        requires [EntryControls::LOAD_IA32_RTIT_CTL, ExitControls::CLEAR_IA32_RTIT_CTL]
        aka "GUEST_RTIT_CTL";
    /// IA32_LBR_CTL.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_LBR_CTL: LbrCtl, Sensitive = 0x2816
        requires [EntryControls::LOAD_IA32_LBR_CTL, ExitControls::CLEAR_IA32_LBR_CTL]
        aka "GUEST_LBR_CTL";
    /// IA32_PKRS.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_PKRS: u64, Sensitive = 0x2818 requires [EntryControls::LOAD_PKRS] aka "GUEST_PKRS";
    /// IA32_FRED_CONFIG.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_FRED_CONFIG: FredConfig, Sensitive = 0x281a
        requires [EntryControls::LOAD_FRED, SecondaryExitControls::SAVE_FRED]
        aka "GUEST_FRED_CONFIG";
    /// IA32_FRED_RSP1.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_FRED_RSP1: u64, Sensitive = 0x281c
        requires [EntryControls::LOAD_FRED, SecondaryExitControls::SAVE_FRED]
        aka "GUEST_FRED_RSP1";
    /// IA32_FRED_RSP2.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_FRED_RSP2: u64, Sensitive = 0x281e
        requires [EntryControls::LOAD_FRED, SecondaryExitControls::SAVE_FRED]
        aka "GUEST_FRED_RSP2";
    /// IA32_FRED_RSP3.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_FRED_RSP3: u64, Sensitive = 0x2820
        requires [EntryControls::LOAD_FRED, SecondaryExitControls::SAVE_FRED]
        aka "GUEST_FRED_RSP3";
    /// IA32_FRED_STKLVLS.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_FRED_STKLVLS: u64, Sensitive = 0x2822
        requires [EntryControls::LOAD_FRED, SecondaryExitControls::SAVE_FRED]
        aka "GUEST_IA32_FRED_STACK_LEVELS" "GUEST_FRED_STKLVLS";
    /// IA32_FRED_SSP1.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_FRED_SSP1: u64, Sensitive = 0x2824
        requires [EntryControls::LOAD_FRED, SecondaryExitControls::SAVE_FRED]
        aka "GUEST_FRED_SSP1";
    /// IA32_FRED_SSP2.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_FRED_SSP2: u64, Sensitive = 0x2826
        requires [EntryControls::LOAD_FRED, SecondaryExitControls::SAVE_FRED]
        aka "GUEST_FRED_SSP2";
    /// IA32_FRED_SSP3.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_FRED_SSP3: u64, Sensitive = 0x2828
        requires [EntryControls::LOAD_FRED, SecondaryExitControls::SAVE_FRED]
        aka "GUEST_FRED_SSP3";
    /// IA32_FMASK. Provisional: one source, NOVA; the manual's guest-state area has no such field.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_FMASK: u64, Sensitive = 0x282a aka "GUEST_FMASK" if feature = "provisional";
    /// IA32_PL0_SSP. Provisional: one source, NOVA; the manual's guest-state area has no such field.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_PL0_SSP: u64, Sensitive = 0x282c aka "GUEST_PL0_SSP" if feature = "provisional";
    /// IA32_SPEC_CTRL. Provisional: the number rests on one source, Bochs; the manual names the field.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_SPEC_CTRL: SpecCtrl, Sensitive = 0x282e
        requires [EntryControls::LOAD_IA32_SPEC_CTRL]
        if feature = "provisional";
    /// Deadline to which an entry sets the guest's timer.
    ///
    /// Intel SDM vol. 3, section 27.4.2, "Guest Non-Register State".
    GUEST_DEADLINE: u64, ReadWrite = 0x2830 requires [TertiaryControls::APIC_TIMER_VIRTUALIZATION];
    /// IA32_PAT.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_PAT: u64, Sensitive = 0x2c00 requires [ExitControls::LOAD_IA32_PAT] aka "HOST_PAT";
    /// IA32_EFER.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_EFER: Efer, Sensitive = 0x2c02 requires [ExitControls::LOAD_IA32_EFER] aka "HOST_EFER";
    /// IA32_PERF_GLOBAL_CTRL.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_PERF_GLOBAL_CTRL: u64, Sensitive = 0x2c04
        requires [ExitControls::LOAD_IA32_PERF_GLOBAL_CTRL]
        aka "HOST_PERF_GLOBAL_CTRL";
    /// IA32_PKRS.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_PKRS: u64, Sensitive = 0x2c06 requires [ExitControls::LOAD_PKRS] aka "HOST_PKRS";
    /// IA32_FRED_CONFIG.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_FRED_CONFIG: FredConfig, Sensitive = 0x2c08 requires [SecondaryExitControls::LOAD_FRED] aka "HOST_FRED_CONFIG";
    /// IA32_FRED_RSP1.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_FRED_RSP1: u64, Sensitive = 0x2c0a requires [SecondaryExitControls::LOAD_FRED] aka "HOST_FRED_RSP1";
    /// IA32_FRED_RSP2.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_FRED_RSP2: u64, Sensitive = 0x2c0c requires [SecondaryExitControls::LOAD_FRED] aka "HOST_FRED_RSP2";
    /// IA32_FRED_RSP3.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_FRED_RSP3: u64, Sensitive = 0x2c0e requires [SecondaryExitControls::LOAD_FRED] aka "HOST_FRED_RSP3";
    /// IA32_FRED_STKLVLS.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_FRED_STKLVLS: u64, Sensitive = 0x2c10
        requires [SecondaryExitControls::LOAD_FRED]
        aka "HOST_IA32_FRED_STACK_LEVELS" "HOST_FRED_STKLVLS";
    /// IA32_FRED_SSP1.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_FRED_SSP1: u64, Sensitive = 0x2c12 requires [SecondaryExitControls::LOAD_FRED] aka "HOST_FRED_SSP1";
    /// IA32_FRED_SSP2.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_FRED_SSP2: u64, Sensitive = 0x2c14 requires [SecondaryExitControls::LOAD_FRED] aka "HOST_FRED_SSP2";
    /// IA32_FRED_SSP3.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_FRED_SSP3: u64, Sensitive = 0x2c16 requires [SecondaryExitControls::LOAD_FRED] aka "HOST_FRED_SSP3";
    /// IA32_FMASK. Provisional: one source, NOVA; the manual's host-state area has no such field.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_FMASK: u64, Sensitive = 0x2c18 aka "HOST_FMASK" if feature = "provisional";
    /// IA32_SPEC_CTRL. Provisional: the number rests on one source, Bochs; the manual names the field.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_SPEC_CTRL: SpecCtrl, Sensitive = 0x2c1a
        requires [SecondaryExitControls::LOAD_IA32_SPEC_CTRL]
        if feature = "provisional";
    /// Pin-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PIN_CONTROLS: PinControls, Sensitive = 0x4000 aka "PIN_BASED_VM_EXEC_CONTROL" "CONTROL_PIN_BASED_EXEC_CONTROLS";
    /// Primary processor-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PRIMARY_CONTROLS: PrimaryControls, Sensitive = 0x4002
        aka "CPU_BASED_VM_EXEC_CONTROL" "CONTROL_PROCESSOR_BASED_VMEXEC_CONTROLS" "CPU_CONTROLS_PRI";
    /// Exceptions, by vector, that end a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EXCEPTION_BITMAP: ExceptionBitmap, Sensitive = 0x4004 aka "CONTROL_EXECUTION_BITMAP" "BITMAP_EXC";
    /// Bits of a page fault's error code that are compared.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PAGE_FAULT_ERROR_CODE_MASK: PageFaultErrorCode, ReadWrite = 0x4006 aka "CONTROL_PAGE_FAULT_ERR_CODE_MASK" "PF_ERROR_MASK";
    /// What they are compared with.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PAGE_FAULT_ERROR_CODE_MATCH: PageFaultErrorCode, ReadWrite = 0x4008 aka "CONTROL_PAGE_FAULT_ERR_CODE_MATCH" "PF_ERROR_MATCH";
    /// How many CR3-target values there are.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR3_TARGET_COUNT: u32, ReadWrite = 0x400a aka "CONTROL_CR3_TARGET_COUNT";
    /// Primary VM-exit controls.
    ///
    /// Intel SDM vol. 3, section 27.7, "VM-Exit Control Fields".
    EXIT_CONTROLS: ExitControls, Sensitive = 0x400c aka "VM_EXIT_CONTROLS" "CONTROL_VMEXIT_CONTROLS" "EXI_CONTROLS_PRI";
    /// How many MSRs a VM exit stores.
    ///
    /// Intel SDM vol. 3, section 27.7, "VM-Exit Control Fields".
    EXIT_MSR_STORE_COUNT: u32, Sensitive = 0x400e
        aka "VM_EXIT_MSR_STORE_COUNT" "CONTROL_VMEXIT_MSR_STORE_COUNT" "EXI_MSR_ST_CNT";
    /// How many MSRs a VM exit loads.
    ///
    /// Intel SDM vol. 3, section 27.7, "VM-Exit Control Fields".
    EXIT_MSR_LOAD_COUNT: u32, Sensitive = 0x4010
        aka "VM_EXIT_MSR_LOAD_COUNT" "CONTROL_VMEXIT_MSR_LOAD_COUNT" "EXI_MSR_LD_CNT";
    /// VM-entry controls.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_CONTROLS: EntryControls, Sensitive = 0x4012 aka "VM_ENTRY_CONTROLS" "CONTROL_VMENTRY_CONTROLS" "ENT_CONTROLS";
    /// How many MSRs a VM entry loads.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_MSR_LOAD_COUNT: u32, Sensitive = 0x4014
        aka "VM_ENTRY_MSR_LOAD_COUNT" "CONTROL_VMENTRY_MSR_LOAD_COUNT" "ENT_MSR_LD_CNT";
    /// Event that the VM entry injects.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_INTERRUPTION_INFORMATION: EntryInterruption, ReadWrite = 0x4016
        aka "VM_ENTRY_INTR_INFO_FIELD" "CONTROL_VMENTRY_INTERRUPTION_INFO" "INJ_EVENT_IDENT";
    /// Error code of the injected exception.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_EXCEPTION_ERROR_CODE: u32, ReadWrite = 0x4018
        aka "VM_ENTRY_EXCEPTION_ERROR_CODE" "CONTROL_VMENTRY_EXCEPTION_ERR_CODE" "INJ_EVENT_ERROR";
    /// Length of the instruction behind an injected software event.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_INSTRUCTION_LENGTH: u32, ReadWrite = 0x401a
        aka "VM_ENTRY_INSTRUCTION_LEN" "CONTROL_VMENTRY_INSTRUCTION_LENGTH" "ENT_INST_LEN";
    /// Priority class below which a write of the task-priority register ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    TPR_THRESHOLD: u32, ReadWrite = 0x401c requires [PrimaryControls::USE_TPR_SHADOW] aka "CONTROL_TPR_THRESHOLD";
    /// Secondary processor-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    SECONDARY_CONTROLS: SecondaryControls, Sensitive = 0x401e
        requires [PrimaryControls::ACTIVATE_SECONDARY_CONTROLS]
        aka "SECONDARY_VM_EXEC_CONTROL" "CONTROL_SECONDARY_VMEXEC_CONTROLS" "CPU_CONTROLS_SEC";
    /// Most cycles between two PAUSEs of one loop.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PLE_GAP: u32, ReadWrite = 0x4020
        requires [SecondaryControls::PAUSE_LOOP_EXITING]
        aka "CONTROL_PAUSE_LOOP_EXITING_GAP";
    /// Most cycles that a guest may spend in a PAUSE loop.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PLE_WINDOW: u32, ReadWrite = 0x4022
        requires [SecondaryControls::PAUSE_LOOP_EXITING]
        aka "CONTROL_PAUSE_LOOP_EXITING_WINDOW";
    /// Most time without an instruction boundary, in cycles of the crystal clock.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    INSTRUCTION_TIMEOUT_CONTROL: u32, ReadWrite = 0x4024
        requires [SecondaryControls::INSTRUCTION_TIMEOUT]
        aka "NOTIFY_WINDOW" "CONTROL_INSTRUCTION_TIMEOUT_CTRL" "INST_TIMEOUT";
    /// Identifier of the key that encrypts the private memory of a SEAM guest.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    SEAM_GUEST_KEYID: u32, Sensitive = 0x4026
        requires [TertiaryControls::SEAM_GUEST_PHYSICAL_ADDRESS_WIDTH]
        aka "CONTROL_SEAM_GUEST_KEYID";
    /// Why the last VMX instruction failed.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    VM_INSTRUCTION_ERROR: InstructionError, ReadOnly = 0x4400 aka "INSTRUCTION_ERROR" "VMX_INST_ERROR";
    /// Why the last run ended.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_REASON: ExitReason, ReadOnly = 0x4402 aka "VM_EXIT_REASON" "VMEXIT_REASON" "EXI_REASON";
    /// Exception, NMI or interrupt that ended the run.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_INTERRUPTION_INFORMATION: VmExitInterruption, ReadOnly = 0x4404
        aka "VM_EXIT_INTR_INFO" "VMEXIT_INTERRUPTION_INFO" "EXI_EVENT_IDENT";
    /// Error code of the exception that ended the run.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_INTERRUPTION_ERROR_CODE: u32, ReadOnly = 0x4406
        aka "VM_EXIT_INTR_ERROR_CODE" "VMEXIT_INTERRUPTION_ERR_CODE" "EXI_EVENT_ERROR";
    /// Event whose delivery the exit interrupted.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    IDT_VECTORING_INFORMATION: IdtVectoring, ReadOnly = 0x4408
        aka "IDT_VECTORING_INFO_FIELD" "IDT_VECTORING_INFO" "ORG_EVENT_IDENT";
    /// Error code of the event whose delivery the exit interrupted.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    IDT_VECTORING_ERROR_CODE: u32, ReadOnly = 0x440a aka "IDT_VECTORING_ERR_CODE" "ORG_EVENT_ERROR";
    /// Length of the instruction that ended the run.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_INSTRUCTION_LENGTH: u32, ReadOnly = 0x440c
        aka "VM_EXIT_INSTRUCTION_LEN" "VMEXIT_INSTRUCTION_LENGTH" "EXI_INST_LEN";
    /// Operands of the instruction that ended the run.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_INSTRUCTION_INFORMATION: u32, ReadOnly = 0x440e
        aka "VMX_INSTRUCTION_INFO" "VMEXIT_INSTRUCTION_INFO" "EXI_INST_INFO";
    /// ES limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_ES_LIMIT: u32, ReadWrite = 0x4800 aka "GUEST_LIMIT_ES";
    /// CS limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CS_LIMIT: u32, ReadWrite = 0x4802 aka "GUEST_LIMIT_CS";
    /// SS limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_SS_LIMIT: u32, ReadWrite = 0x4804 aka "GUEST_LIMIT_SS";
    /// DS limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_DS_LIMIT: u32, ReadWrite = 0x4806 aka "GUEST_LIMIT_DS";
    /// FS limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_FS_LIMIT: u32, ReadWrite = 0x4808 aka "GUEST_LIMIT_FS";
    /// GS limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GS_LIMIT: u32, ReadWrite = 0x480a aka "GUEST_LIMIT_GS";
    /// LDTR limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_LDTR_LIMIT: u32, ReadWrite = 0x480c aka "GUEST_LIMIT_LDTR";
    /// TR limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_TR_LIMIT: u32, ReadWrite = 0x480e aka "GUEST_LIMIT_TR";
    /// GDTR limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GDTR_LIMIT: u32, ReadWrite = 0x4810 aka "GUEST_LIMIT_GDTR";
    /// IDTR limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IDTR_LIMIT: u32, ReadWrite = 0x4812 aka "GUEST_LIMIT_IDTR";
    /// ES access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_ES_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x4814 aka "GUEST_ES_AR_BYTES" "GUEST_AR_ES";
    /// CS access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CS_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x4816 aka "GUEST_CS_AR_BYTES" "GUEST_AR_CS";
    /// SS access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_SS_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x4818 aka "GUEST_SS_AR_BYTES" "GUEST_AR_SS";
    /// DS access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_DS_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x481a aka "GUEST_DS_AR_BYTES" "GUEST_AR_DS";
    /// FS access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_FS_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x481c aka "GUEST_FS_AR_BYTES" "GUEST_AR_FS";
    /// GS access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GS_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x481e aka "GUEST_GS_AR_BYTES" "GUEST_AR_GS";
    /// LDTR access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_LDTR_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x4820 aka "GUEST_LDTR_AR_BYTES" "GUEST_AR_LDTR";
    /// TR access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_TR_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x4822 aka "GUEST_TR_AR_BYTES" "GUEST_AR_TR";
    /// What blocks interrupts.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_INTERRUPTIBILITY_STATE: InterruptibilityState, ReadWrite = 0x4824
        aka "GUEST_INTERRUPTIBILITY_INFO" "GUEST_INTR_STATE";
    /// Whether the processor executes instructions, or waits and for what.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_ACTIVITY_STATE: ActivityState, Sensitive = 0x4826 aka "GUEST_ACTV_STATE";
    /// SMBASE.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_SMBASE: u32, ReadWrite = 0x4828;
    /// IA32_SYSENTER_CS.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_SYSENTER_CS: u32, ReadWrite = 0x482a aka "GUEST_SYSENTER_CS" "GUEST_IA32_SYSENTER_CS_MSR";
    /// Ticks until the preemption timer ends the run.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    PREEMPTION_TIMER_VALUE: u32, ReadWrite = 0x482e
        requires [PinControls::ACTIVATE_PREEMPTION_TIMER]
        aka "VMX_PREEMPTION_TIMER_VALUE" "GUEST_PREEMPTION_TIMER_VALUE" "PREEMPTION_TIMER";
    /// IA32_SYSENTER_CS.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_SYSENTER_CS: u32, Sensitive = 0x4c00 aka "HOST_IA32_SYSENTER_CS_MSR" "HOST_SYSENTER_CS";
    /// Bits of CR0 that the host owns.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR0_GUEST_HOST_MASK: Cr0, Sensitive = 0x6000 aka "CONTROL_CR0_GUEST_HOST_MASK" "CR0_MASK";
    /// Bits of CR4 that the host owns.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR4_GUEST_HOST_MASK: Cr4, Sensitive = 0x6002 aka "CONTROL_CR4_GUEST_HOST_MASK" "CR4_MASK";
    /// What the guest reads in the bits of CR0 that the host owns.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR0_READ_SHADOW: Cr0, ReadWrite = 0x6004 aka "CONTROL_CR0_READ_SHADOW";
    /// What the guest reads in the bits of CR4 that the host owns.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR4_READ_SHADOW: Cr4, ReadWrite = 0x6006 aka "CONTROL_CR4_READ_SHADOW";
    /// Value of CR3 whose load does not end a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR3_TARGET_0: u64, ReadWrite = 0x6008 aka "CR3_TARGET_VALUE0" "CR3_TARGET0";
    /// Value of CR3 whose load does not end a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR3_TARGET_1: u64, ReadWrite = 0x600a aka "CR3_TARGET_VALUE1" "CR3_TARGET1";
    /// Value of CR3 whose load does not end a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR3_TARGET_2: u64, ReadWrite = 0x600c aka "CR3_TARGET_VALUE2" "CR3_TARGET2";
    /// Value of CR3 whose load does not end a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR3_TARGET_3: u64, ReadWrite = 0x600e aka "CR3_TARGET_VALUE3" "CR3_TARGET3";
    /// Details of the exit, in a format that depends on the reason.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_QUALIFICATION: u64, ReadOnly = 0x6400 aka "VMEXIT_QUALIFICATION" "EXI_QUALIFICATION";
    /// RCX before an I/O instruction that SMM interrupted.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    IO_RCX: u64, ReadOnly = 0x6402;
    /// RSI before an I/O instruction that SMM interrupted.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    IO_RSI: u64, ReadOnly = 0x6404;
    /// RDI before an I/O instruction that SMM interrupted.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    IO_RDI: u64, ReadOnly = 0x6406;
    /// RIP of an I/O instruction that SMM interrupted.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    IO_RIP: u64, ReadOnly = 0x6408;
    /// Linear address of the access that ended the run.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    GUEST_LINEAR_ADDRESS: Gva, ReadOnly = 0x640a aka "GUEST_LINEAR_ADDR";
    /// CR0 as the processor uses it in the guest.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CR0: Cr0, ReadWrite = 0x6800;
    /// CR3.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CR3: u64, ReadWrite = 0x6802;
    /// CR4 as the processor uses it in the guest.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CR4: Cr4, Sensitive = 0x6804;
    /// ES base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_ES_BASE: u64, ReadWrite = 0x6806 aka "GUEST_BASE_ES";
    /// CS base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CS_BASE: u64, ReadWrite = 0x6808 aka "GUEST_BASE_CS";
    /// SS base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_SS_BASE: u64, ReadWrite = 0x680a aka "GUEST_BASE_SS";
    /// DS base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_DS_BASE: u64, ReadWrite = 0x680c aka "GUEST_BASE_DS";
    /// FS base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_FS_BASE: u64, ReadWrite = 0x680e aka "GUEST_BASE_FS";
    /// GS base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GS_BASE: u64, ReadWrite = 0x6810 aka "GUEST_BASE_GS";
    /// LDTR base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_LDTR_BASE: u64, ReadWrite = 0x6812 aka "GUEST_BASE_LDTR";
    /// TR base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_TR_BASE: u64, ReadWrite = 0x6814 aka "GUEST_BASE_TR";
    /// GDTR base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GDTR_BASE: u64, ReadWrite = 0x6816 aka "GUEST_BASE_GDTR";
    /// IDTR base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IDTR_BASE: u64, ReadWrite = 0x6818 aka "GUEST_BASE_IDTR";
    /// DR7.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_DR7: Dr7, ReadWrite = 0x681a;
    /// RSP.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_RSP: u64, ReadWrite = 0x681c;
    /// RIP.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_RIP: u64, ReadWrite = 0x681e;
    /// RFLAGS.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_RFLAGS: Rflags, ReadWrite = 0x6820;
    /// Debug exceptions that wait for delivery.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_PENDING_DEBUG_EXCEPTIONS: PendingDebugExceptions, ReadWrite = 0x6822
        aka "GUEST_PENDING_DBG_EXCEPTIONS" "GUEST_PENDING_DEBUG";
    /// IA32_SYSENTER_ESP.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_SYSENTER_ESP: u64, ReadWrite = 0x6824 aka "GUEST_SYSENTER_ESP" "GUEST_IA32_SYSENTER_ESP_MSR";
    /// IA32_SYSENTER_EIP.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_SYSENTER_EIP: u64, ReadWrite = 0x6826 aka "GUEST_SYSENTER_EIP" "GUEST_IA32_SYSENTER_EIP_MSR";
    /// IA32_S_CET.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_S_CET: SupervisorCet, Sensitive = 0x6828 requires [EntryControls::LOAD_CET_STATE] aka "GUEST_S_CET";
    /// SSP: shadow-stack pointer.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_SSP: u64, Sensitive = 0x682a requires [EntryControls::LOAD_CET_STATE];
    /// IA32_INTERRUPT_SSP_TABLE_ADDR.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR: u64, Sensitive = 0x682c
        requires [EntryControls::LOAD_CET_STATE]
        aka "GUEST_INTERRUPT_SSP_TABLE_ADDR" "GUEST_SSP_TABLE_ADDR";
    /// CR0.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_CR0: Cr0, Sensitive = 0x6c00;
    /// CR3.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_CR3: u64, Sensitive = 0x6c02;
    /// CR4.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_CR4: Cr4, Sensitive = 0x6c04;
    /// FS base.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_FS_BASE: u64, Sensitive = 0x6c06 aka "HOST_BASE_FS";
    /// GS base.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_GS_BASE: u64, Sensitive = 0x6c08 aka "HOST_BASE_GS";
    /// TR base.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_TR_BASE: u64, Sensitive = 0x6c0a aka "HOST_BASE_TR";
    /// GDTR base.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_GDTR_BASE: u64, Sensitive = 0x6c0c aka "HOST_BASE_GDTR";
    /// IDTR base.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IDTR_BASE: u64, Sensitive = 0x6c0e aka "HOST_BASE_IDTR";
    /// IA32_SYSENTER_ESP.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_SYSENTER_ESP: u64, Sensitive = 0x6c10 aka "HOST_IA32_SYSENTER_ESP_MSR" "HOST_SYSENTER_ESP";
    /// IA32_SYSENTER_EIP.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_SYSENTER_EIP: u64, Sensitive = 0x6c12 aka "HOST_IA32_SYSENTER_EIP_MSR" "HOST_SYSENTER_EIP";
    /// RSP.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_RSP: u64, Sensitive = 0x6c14;
    /// RIP.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_RIP: u64, Sensitive = 0x6c16;
    /// IA32_S_CET.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_S_CET: SupervisorCet, Sensitive = 0x6c18 requires [ExitControls::LOAD_CET_STATE] aka "HOST_S_CET";
    /// SSP: shadow-stack pointer.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_SSP: u64, Sensitive = 0x6c1a requires [ExitControls::LOAD_CET_STATE];
    /// IA32_INTERRUPT_SSP_TABLE_ADDR.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_INTERRUPT_SSP_TABLE_ADDR: u64, Sensitive = 0x6c1c
        requires [ExitControls::LOAD_CET_STATE]
        aka "HOST_INTERRUPT_SSP_TABLE_ADDR" "HOST_SSP_TABLE_ADDR";
}
