vmcs_fields! {
    /// Virtual-processor identifier (VPID): tag of the guest's linear translations.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VIRTUAL_PROCESSOR_ID: u16, Sensitive = 0x0000;
    /// Vector of the interrupt that makes the processor look at the posted-interrupt descriptor.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    POSTED_INTERRUPT_NOTIFICATION_VECTOR: u16, Sensitive = 0x0002;
    /// Index of the current entry of the EPTP list.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EPTP_INDEX: u16, Sensitive = 0x0004;
    /// ES selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_ES_SELECTOR: u16, ReadWrite = 0x0800;
    /// CS selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CS_SELECTOR: u16, ReadWrite = 0x0802;
    /// SS selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_SS_SELECTOR: u16, ReadWrite = 0x0804;
    /// DS selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_DS_SELECTOR: u16, ReadWrite = 0x0806;
    /// FS selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_FS_SELECTOR: u16, ReadWrite = 0x0808;
    /// GS selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GS_SELECTOR: u16, ReadWrite = 0x080a;
    /// LDTR selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_LDTR_SELECTOR: u16, ReadWrite = 0x080c;
    /// TR selector.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_TR_SELECTOR: u16, ReadWrite = 0x080e;
    /// Highest virtual interrupt requested and in service.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_INTERRUPT_STATUS: u16, ReadWrite = 0x0810;
    /// Next entry of the page-modification log.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    PML_INDEX: u16, ReadWrite = 0x0812;
    /// ES selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_ES_SELECTOR: u16, Sensitive = 0x0c00;
    /// CS selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_CS_SELECTOR: u16, Sensitive = 0x0c02;
    /// SS selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_SS_SELECTOR: u16, Sensitive = 0x0c04;
    /// DS selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_DS_SELECTOR: u16, Sensitive = 0x0c06;
    /// FS selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_FS_SELECTOR: u16, Sensitive = 0x0c08;
    /// GS selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_GS_SELECTOR: u16, Sensitive = 0x0c0a;
    /// TR selector.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_TR_SELECTOR: u16, Sensitive = 0x0c0c;
    /// Address of the bitmap for ports 0 to 0x7fff.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    IO_BITMAP_A: u64, Sensitive = 0x2000;
    /// Address of the bitmap for ports 0x8000 to 0xffff.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    IO_BITMAP_B: u64, Sensitive = 0x2002;
    /// Address of the MSR bitmaps.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    MSR_BITMAPS: u64, Sensitive = 0x2004;
    /// Address of the area to which a VM exit stores MSRs.
    ///
    /// Intel SDM vol. 3, section 27.7, "VM-Exit Control Fields".
    EXIT_MSR_STORE_ADDRESS: u64, Sensitive = 0x2006;
    /// Address of the area from which a VM exit loads MSRs.
    ///
    /// Intel SDM vol. 3, section 27.7, "VM-Exit Control Fields".
    EXIT_MSR_LOAD_ADDRESS: u64, Sensitive = 0x2008;
    /// Address of the area from which a VM entry loads MSRs.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_MSR_LOAD_ADDRESS: u64, Sensitive = 0x200a;
    /// Address of the executive VMCS, for SMM.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EXECUTIVE_VMCS_POINTER: u64, Sensitive = 0x200c;
    /// Address of the page-modification log.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PML_ADDRESS: u64, Sensitive = 0x200e;
    /// What the guest's time-stamp counter is ahead of the host's.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    TSC_OFFSET: u64, ReadWrite = 0x2010;
    /// Address of the virtual-APIC page.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VIRTUAL_APIC_ADDRESS: u64, Sensitive = 0x2012;
    /// Address of the APIC-access page.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    APIC_ACCESS_ADDRESS: u64, Sensitive = 0x2014;
    /// Address of the posted-interrupt descriptor.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    POSTED_INTERRUPT_DESCRIPTOR_ADDRESS: u64, Sensitive = 0x2016;
    /// VM functions that the guest may use.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VM_FUNCTION_CONTROLS: u64, Sensitive = 0x2018;
    /// EPT pointer (EPTP): root and format of the extended page tables.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EPT_POINTER: Eptp, Sensitive = 0x201a;
    /// Vectors 0 to 63 whose virtualized EOI ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EOI_EXIT_BITMAP_0: u64, ReadWrite = 0x201c;
    /// Vectors 64 to 127 whose virtualized EOI ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EOI_EXIT_BITMAP_1: u64, ReadWrite = 0x201e;
    /// Vectors 128 to 191 whose virtualized EOI ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EOI_EXIT_BITMAP_2: u64, ReadWrite = 0x2020;
    /// Vectors 192 to 255 whose virtualized EOI ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EOI_EXIT_BITMAP_3: u64, ReadWrite = 0x2022;
    /// Address of the list of EPT pointers.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EPTP_LIST_ADDRESS: u64, Sensitive = 0x2024;
    /// Address of the VMREAD bitmap.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VMREAD_BITMAP_ADDRESS: u64, Sensitive = 0x2026;
    /// Address of the VMWRITE bitmap.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VMWRITE_BITMAP_ADDRESS: u64, Sensitive = 0x2028;
    /// Address of the virtualization-exception information area.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    VIRTUALIZATION_EXCEPTION_ADDRESS: u64, Sensitive = 0x202a;
    /// State components whose XSAVES or XRSTORS ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    XSS_EXITING_BITMAP: u64, Sensitive = 0x202c;
    /// Factor from the host's to the guest's time-stamp counter, in units of 2^-48.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    TSC_MULTIPLIER: u64, ReadWrite = 0x2032;
    /// Guest-physical address of an EPT violation or misconfiguration.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    GUEST_PHYSICAL_ADDRESS: u64, ReadOnly = 0x2400;
    /// Address of the shadow VMCS, or all ones.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    VMCS_LINK_POINTER: u64, Sensitive = 0x2800;
    /// IA32_DEBUGCTL.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_DEBUGCTL: u64, ReadWrite = 0x2802;
    /// IA32_PAT.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_PAT: u64, ReadWrite = 0x2804;
    /// IA32_EFER.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_EFER: Efer, ReadWrite = 0x2806;
    /// IA32_PERF_GLOBAL_CTRL.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_PERF_GLOBAL_CTRL: u64, Sensitive = 0x2808;
    /// Page-directory-pointer-table entry 0 of PAE paging.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_PDPTE0: u64, ReadWrite = 0x280a;
    /// Page-directory-pointer-table entry 1 of PAE paging.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_PDPTE1: u64, ReadWrite = 0x280c;
    /// Page-directory-pointer-table entry 2 of PAE paging.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_PDPTE2: u64, ReadWrite = 0x280e;
    /// Page-directory-pointer-table entry 3 of PAE paging.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_PDPTE3: u64, ReadWrite = 0x2810;
    /// IA32_PAT.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_PAT: u64, Sensitive = 0x2c00;
    /// IA32_EFER.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_EFER: Efer, Sensitive = 0x2c02;
    /// IA32_PERF_GLOBAL_CTRL.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_PERF_GLOBAL_CTRL: u64, Sensitive = 0x2c04;
    /// Pin-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PIN_CONTROLS: PinControls, Sensitive = 0x4000;
    /// Primary processor-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PRIMARY_CONTROLS: PrimaryControls, Sensitive = 0x4002;
    /// Exceptions, by vector, that end a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    EXCEPTION_BITMAP: u32, Sensitive = 0x4004;
    /// Bits of a page fault's error code that are compared.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PAGE_FAULT_ERROR_CODE_MASK: u32, ReadWrite = 0x4006;
    /// What they are compared with.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PAGE_FAULT_ERROR_CODE_MATCH: u32, ReadWrite = 0x4008;
    /// How many CR3-target values there are.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR3_TARGET_COUNT: u32, ReadWrite = 0x400a;
    /// Primary VM-exit controls.
    ///
    /// Intel SDM vol. 3, section 27.7, "VM-Exit Control Fields".
    EXIT_CONTROLS: ExitControls, Sensitive = 0x400c;
    /// How many MSRs a VM exit stores.
    ///
    /// Intel SDM vol. 3, section 27.7, "VM-Exit Control Fields".
    EXIT_MSR_STORE_COUNT: u32, Sensitive = 0x400e;
    /// How many MSRs a VM exit loads.
    ///
    /// Intel SDM vol. 3, section 27.7, "VM-Exit Control Fields".
    EXIT_MSR_LOAD_COUNT: u32, Sensitive = 0x4010;
    /// VM-entry controls.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_CONTROLS: EntryControls, Sensitive = 0x4012;
    /// How many MSRs a VM entry loads.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_MSR_LOAD_COUNT: u32, Sensitive = 0x4014;
    /// Event that the VM entry injects.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_INTERRUPTION_INFORMATION: EntryInterruption, ReadWrite = 0x4016;
    /// Error code of the injected exception.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_EXCEPTION_ERROR_CODE: u32, ReadWrite = 0x4018;
    /// Length of the instruction behind an injected software event.
    ///
    /// Intel SDM vol. 3, section 27.8, "VM-Entry Control Fields".
    ENTRY_INSTRUCTION_LENGTH: u32, ReadWrite = 0x401a;
    /// Priority class below which a write of the task-priority register ends a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    TPR_THRESHOLD: u32, ReadWrite = 0x401c;
    /// Secondary processor-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    SECONDARY_CONTROLS: SecondaryControls, Sensitive = 0x401e;
    /// Most cycles between two PAUSEs of one loop.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PLE_GAP: u32, ReadWrite = 0x4020;
    /// Most cycles that a guest may spend in a PAUSE loop.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    PLE_WINDOW: u32, ReadWrite = 0x4022;
    /// Why the last VMX instruction failed.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    VM_INSTRUCTION_ERROR: InstructionError, ReadOnly = 0x4400;
    /// Why the last run ended.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_REASON: ExitReason, ReadOnly = 0x4402;
    /// Exception, NMI or interrupt that ended the run.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_INTERRUPTION_INFORMATION: VmExitInterruption, ReadOnly = 0x4404;
    /// Error code of the exception that ended the run.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_INTERRUPTION_ERROR_CODE: u32, ReadOnly = 0x4406;
    /// Event whose delivery the exit interrupted.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    IDT_VECTORING_INFORMATION: IdtVectoring, ReadOnly = 0x4408;
    /// Error code of the event whose delivery the exit interrupted.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    IDT_VECTORING_ERROR_CODE: u32, ReadOnly = 0x440a;
    /// Length of the instruction that ended the run.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_INSTRUCTION_LENGTH: u32, ReadOnly = 0x440c;
    /// Operands of the instruction that ended the run.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_INSTRUCTION_INFORMATION: u32, ReadOnly = 0x440e;
    /// ES limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_ES_LIMIT: u32, ReadWrite = 0x4800;
    /// CS limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CS_LIMIT: u32, ReadWrite = 0x4802;
    /// SS limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_SS_LIMIT: u32, ReadWrite = 0x4804;
    /// DS limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_DS_LIMIT: u32, ReadWrite = 0x4806;
    /// FS limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_FS_LIMIT: u32, ReadWrite = 0x4808;
    /// GS limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GS_LIMIT: u32, ReadWrite = 0x480a;
    /// LDTR limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_LDTR_LIMIT: u32, ReadWrite = 0x480c;
    /// TR limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_TR_LIMIT: u32, ReadWrite = 0x480e;
    /// GDTR limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GDTR_LIMIT: u32, ReadWrite = 0x4810;
    /// IDTR limit.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IDTR_LIMIT: u32, ReadWrite = 0x4812;
    /// ES access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_ES_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x4814;
    /// CS access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CS_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x4816;
    /// SS access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_SS_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x4818;
    /// DS access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_DS_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x481a;
    /// FS access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_FS_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x481c;
    /// GS access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GS_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x481e;
    /// LDTR access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_LDTR_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x4820;
    /// TR access rights.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_TR_ACCESS_RIGHTS: SegmentAccessRights, ReadWrite = 0x4822;
    /// What blocks interrupts.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_INTERRUPTIBILITY_STATE: InterruptibilityState, ReadWrite = 0x4824;
    /// Whether the processor executes instructions, or waits and for what.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_ACTIVITY_STATE: u32, Sensitive = 0x4826;
    /// SMBASE.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_SMBASE: u32, ReadWrite = 0x4828;
    /// IA32_SYSENTER_CS.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_SYSENTER_CS: u32, ReadWrite = 0x482a;
    /// Ticks until the preemption timer ends the run.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    PREEMPTION_TIMER_VALUE: u32, ReadWrite = 0x482e;
    /// IA32_SYSENTER_CS.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_SYSENTER_CS: u32, Sensitive = 0x4c00;
    /// Bits of CR0 that the host owns.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR0_GUEST_HOST_MASK: u64, Sensitive = 0x6000;
    /// Bits of CR4 that the host owns.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR4_GUEST_HOST_MASK: u64, Sensitive = 0x6002;
    /// What the guest reads in the bits of CR0 that the host owns.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR0_READ_SHADOW: u64, ReadWrite = 0x6004;
    /// What the guest reads in the bits of CR4 that the host owns.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR4_READ_SHADOW: u64, ReadWrite = 0x6006;
    /// Value of CR3 whose load does not end a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR3_TARGET_0: u64, ReadWrite = 0x6008;
    /// Value of CR3 whose load does not end a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR3_TARGET_1: u64, ReadWrite = 0x600a;
    /// Value of CR3 whose load does not end a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR3_TARGET_2: u64, ReadWrite = 0x600c;
    /// Value of CR3 whose load does not end a run.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields".
    CR3_TARGET_3: u64, ReadWrite = 0x600e;
    /// Details of the exit, in a format that depends on the reason.
    ///
    /// Intel SDM vol. 3, section 27.9, "VM-Exit Information Fields".
    EXIT_QUALIFICATION: u64, ReadOnly = 0x6400;
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
    GUEST_LINEAR_ADDRESS: u64, ReadOnly = 0x640a;
    /// CR0 as the processor uses it in the guest.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CR0: u64, ReadWrite = 0x6800;
    /// CR3.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CR3: u64, ReadWrite = 0x6802;
    /// CR4 as the processor uses it in the guest.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CR4: u64, Sensitive = 0x6804;
    /// ES base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_ES_BASE: u64, ReadWrite = 0x6806;
    /// CS base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_CS_BASE: u64, ReadWrite = 0x6808;
    /// SS base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_SS_BASE: u64, ReadWrite = 0x680a;
    /// DS base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_DS_BASE: u64, ReadWrite = 0x680c;
    /// FS base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_FS_BASE: u64, ReadWrite = 0x680e;
    /// GS base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GS_BASE: u64, ReadWrite = 0x6810;
    /// LDTR base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_LDTR_BASE: u64, ReadWrite = 0x6812;
    /// TR base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_TR_BASE: u64, ReadWrite = 0x6814;
    /// GDTR base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_GDTR_BASE: u64, ReadWrite = 0x6816;
    /// IDTR base.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IDTR_BASE: u64, ReadWrite = 0x6818;
    /// DR7.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_DR7: u64, ReadWrite = 0x681a;
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
    GUEST_PENDING_DEBUG_EXCEPTIONS: u64, ReadWrite = 0x6822;
    /// IA32_SYSENTER_ESP.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_SYSENTER_ESP: u64, ReadWrite = 0x6824;
    /// IA32_SYSENTER_EIP.
    ///
    /// Intel SDM vol. 3, section 27.4, "Guest-State Area".
    GUEST_IA32_SYSENTER_EIP: u64, ReadWrite = 0x6826;
    /// CR0.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_CR0: u64, Sensitive = 0x6c00;
    /// CR3.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_CR3: u64, Sensitive = 0x6c02;
    /// CR4.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_CR4: u64, Sensitive = 0x6c04;
    /// FS base.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_FS_BASE: u64, Sensitive = 0x6c06;
    /// GS base.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_GS_BASE: u64, Sensitive = 0x6c08;
    /// TR base.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_TR_BASE: u64, Sensitive = 0x6c0a;
    /// GDTR base.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_GDTR_BASE: u64, Sensitive = 0x6c0c;
    /// IDTR base.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IDTR_BASE: u64, Sensitive = 0x6c0e;
    /// IA32_SYSENTER_ESP.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_SYSENTER_ESP: u64, Sensitive = 0x6c10;
    /// IA32_SYSENTER_EIP.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_IA32_SYSENTER_EIP: u64, Sensitive = 0x6c12;
    /// RSP.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_RSP: u64, Sensitive = 0x6c14;
    /// RIP.
    ///
    /// Intel SDM vol. 3, section 27.5, "Host-State Area".
    HOST_RIP: u64, Sensitive = 0x6c16;
}
