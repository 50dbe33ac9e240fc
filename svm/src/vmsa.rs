//! The save area of a virtual processor with encrypted state (SEV-ES and SEV-SNP).
//!
//! It has all rows of the [state-save area](crate::vmcb::save) of the VMCB, at the same distance from its start but for those of
//! FRED, and more. The latter say "VMSA only".
//!
//! AMD APM vol. 2, section 15.35, "Encrypted State (SEV-ES)", and appendix B, "VMCB Layout".

mod virtual_interrupt;

use x86_virt_core::{Cr0, Cr4, Efer, Rflags};

use crate::exit_code::ExitCode;
use crate::sev::SevFeatures;
use crate::vmcb::{EventInjection, VmcbSegment, area};

pub use virtual_interrupt::VmsaVirtualInterrupt;

area! {
    /// The save area of a guest with SEV-ES, in a page of its own that is encrypted with the guest's key.
    ///
    /// The hypervisor fills one only before the guest is launched; later the guest itself makes those of further processors.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout" (table "VMCB Layout, State Save Area for SEV-ES").
    ///
    /// ```
    /// use x86_virt_core::Efer;
    /// use x86_virt_svm::vmsa::{self, Vmsa};
    ///
    /// let mut vmsa = Vmsa::from_bytes(&[0; 4096]);
    /// vmsa.EFER = Efer::new().with_svme(true);
    /// assert_eq!(vmsa.to_bytes()[vmsa::EFER.offset()..][..8], [0, 0x10, 0, 0, 0, 0, 0, 0]);
    /// ```
    struct Vmsa of Vmsa, at 0x000..0x1000 {
        /// ES.
        0x000..0x010 => pub ES: VmcbSegment, ReadWrite, SEG aka "es";
        /// CS.
        0x010..0x020 => pub CS: VmcbSegment, ReadWrite, SEG aka "cs";
        /// SS.
        0x020..0x030 => pub SS: VmcbSegment, ReadWrite, SEG aka "ss";
        /// DS.
        0x030..0x040 => pub DS: VmcbSegment, ReadWrite, SEG aka "ds";
        /// FS.
        0x040..0x050 => pub FS: VmcbSegment, ReadWrite, NONE aka "fs";
        /// GS.
        0x050..0x060 => pub GS: VmcbSegment, ReadWrite, NONE aka "gs";
        /// GDTR.
        0x060..0x070 => pub GDTR: VmcbSegment, ReadWrite, DT aka "gdtr" "gdt";
        /// LDTR.
        0x070..0x080 => pub LDTR: VmcbSegment, ReadWrite, NONE aka "ldtr" "ldt";
        /// IDTR.
        0x080..0x090 => pub IDTR: VmcbSegment, ReadWrite, DT aka "idtr" "idt";
        /// TR.
        0x090..0x0a0 => pub TR: VmcbSegment, ReadWrite, NONE aka "tr";
        /// PL0_SSP: shadow-stack pointer of privilege level 0. VMSA only.
        0x0a0..0x0a8 => pub PL0_SSP: u64, ReadWrite, CET aka "pl0_ssp" "vmpl0_ssp";
        /// PL1_SSP: shadow-stack pointer of privilege level 1. VMSA only.
        0x0a8..0x0b0 => pub PL1_SSP: u64, ReadWrite, CET aka "pl1_ssp" "vmpl1_ssp";
        /// PL2_SSP: shadow-stack pointer of privilege level 2. VMSA only.
        0x0b0..0x0b8 => pub PL2_SSP: u64, ReadWrite, CET aka "pl2_ssp" "vmpl2_ssp";
        /// PL3_SSP: shadow-stack pointer of privilege level 3. VMSA only.
        0x0b8..0x0c0 => pub PL3_SSP: u64, ReadWrite, CET aka "pl3_ssp" "vmpl3_ssp";
        /// U_CET. VMSA only.
        0x0c0..0x0c8 => pub U_CET: u64, ReadWrite, CET aka "u_cet";
        /// Reserved.
        0x0c8..0x0ca => _reserved0c8: [u8; 2];
        /// Virtual machine privilege level. VMSA only.
        0x0ca..0x0cb => pub VMPL: u8, ReadWrite, NONE aka "vmpl";
        /// Current privilege level.
        0x0cb..0x0cc => pub CPL: u8, ReadWrite, SEG aka "cpl";
        /// Reserved.
        0x0cc..0x0d0 => _reserved0cc: [u8; 4];
        /// EFER. SVME is 1.
        0x0d0..0x0d8 => pub EFER: Efer, ReadWrite, CRX aka "efer";
        /// Reserved.
        0x0d8..0x0e0 => _reserved0d8: [u8; 8];
        /// PERF_CTL0.
        0x0e0..0x0e8 => pub PERF_CTL0: u64, ReadWrite, NONE;
        /// PERF_CTR0.
        0x0e8..0x0f0 => pub PERF_CTR0: u64, ReadWrite, NONE;
        /// PERF_CTL1.
        0x0f0..0x0f8 => pub PERF_CTL1: u64, ReadWrite, NONE;
        /// PERF_CTR1.
        0x0f8..0x100 => pub PERF_CTR1: u64, ReadWrite, NONE;
        /// PERF_CTL2.
        0x100..0x108 => pub PERF_CTL2: u64, ReadWrite, NONE;
        /// PERF_CTR2.
        0x108..0x110 => pub PERF_CTR2: u64, ReadWrite, NONE;
        /// PERF_CTL3.
        0x110..0x118 => pub PERF_CTL3: u64, ReadWrite, NONE;
        /// PERF_CTR3.
        0x118..0x120 => pub PERF_CTR3: u64, ReadWrite, NONE;
        /// PERF_CTL4.
        0x120..0x128 => pub PERF_CTL4: u64, ReadWrite, NONE;
        /// PERF_CTR4.
        0x128..0x130 => pub PERF_CTR4: u64, ReadWrite, NONE;
        /// PERF_CTL5.
        0x130..0x138 => pub PERF_CTL5: u64, ReadWrite, NONE;
        /// PERF_CTR5.
        0x138..0x140 => pub PERF_CTR5: u64, ReadWrite, NONE;
        /// XSS. VMSA only.
        0x140..0x148 => pub XSS: u64, ReadWrite, NONE aka "xss";
        /// CR4.
        0x148..0x150 => pub CR4: Cr4, ReadWrite, CRX aka "cr4";
        /// CR3.
        0x150..0x158 => pub CR3: u64, ReadWrite, CRX aka "cr3";
        /// CR0.
        0x158..0x160 => pub CR0: Cr0, ReadWrite, CRX aka "cr0";
        /// DR7.
        0x160..0x168 => pub DR7: u64, ReadWrite, DRX aka "dr7";
        /// DR6.
        0x168..0x170 => pub DR6: u64, ReadWrite, DRX aka "dr6";
        /// RFLAGS.
        0x170..0x178 => pub RFLAGS: Rflags, ReadWrite, NONE aka "rflags";
        /// RIP.
        0x178..0x180 => pub RIP: u64, ReadWrite, NONE aka "rip";
        /// DR0. VMSA only.
        0x180..0x188 => pub DR0: u64, ReadWrite, NONE aka "dr0";
        /// DR1. VMSA only.
        0x188..0x190 => pub DR1: u64, ReadWrite, NONE aka "dr1";
        /// DR2. VMSA only.
        0x190..0x198 => pub DR2: u64, ReadWrite, NONE aka "dr2";
        /// DR3. VMSA only.
        0x198..0x1a0 => pub DR3: u64, ReadWrite, NONE aka "dr3";
        /// Address mask of the breakpoint in DR0. VMSA only.
        0x1a0..0x1a8 => pub DR0_ADDR_MASK: u64, ReadWrite, NONE aka "dr0_addr_mask" "dr0_mask";
        /// Address mask of the breakpoint in DR1. VMSA only.
        0x1a8..0x1b0 => pub DR1_ADDR_MASK: u64, ReadWrite, NONE aka "dr1_addr_mask" "dr1_mask";
        /// Address mask of the breakpoint in DR2. VMSA only.
        0x1b0..0x1b8 => pub DR2_ADDR_MASK: u64, ReadWrite, NONE aka "dr2_addr_mask" "dr2_mask";
        /// Address mask of the breakpoint in DR3. VMSA only.
        0x1b8..0x1c0 => pub DR3_ADDR_MASK: u64, ReadWrite, NONE aka "dr3_addr_mask" "dr3_mask";
        /// INSTR_RETIRED_CTR.
        0x1c0..0x1c8 => pub INSTR_RETIRED_CTR: u64, ReadWrite, NONE;
        /// PERF_CTR_GLOBAL_STS.
        0x1c8..0x1d0 => pub PERF_CTR_GLOBAL_STS: u64, ReadWrite, NONE;
        /// PERF_CTR_GLOBAL_CTL.
        0x1d0..0x1d8 => pub PERF_CTR_GLOBAL_CTL: u64, ReadWrite, NONE;
        /// RSP.
        0x1d8..0x1e0 => pub RSP: u64, ReadWrite, NONE aka "rsp";
        /// S_CET.
        0x1e0..0x1e8 => pub S_CET: u64, ReadWrite, CET aka "s_cet";
        /// SSP.
        0x1e8..0x1f0 => pub SSP: u64, ReadWrite, CET aka "ssp";
        /// ISST_ADDR.
        0x1f0..0x1f8 => pub ISST_ADDR: u64, ReadWrite, CET aka "isst_addr" "interrupt_ssp_table_addr";
        /// RAX.
        0x1f8..0x200 => pub RAX: u64, ReadWrite, NONE aka "rax";
        /// STAR.
        0x200..0x208 => pub STAR: u64, ReadWrite, NONE aka "star";
        /// LSTAR.
        0x208..0x210 => pub LSTAR: u64, ReadWrite, NONE aka "lstar";
        /// CSTAR.
        0x210..0x218 => pub CSTAR: u64, ReadWrite, NONE aka "cstar";
        /// SFMASK.
        0x218..0x220 => pub SFMASK: u64, ReadWrite, NONE aka "sfmask";
        /// KERNEL_GS_BASE.
        0x220..0x228 => pub KERNEL_GS_BASE: u64, ReadWrite, NONE aka "kernel_gs_base";
        /// SYSENTER_CS.
        0x228..0x230 => pub SYSENTER_CS: u64, ReadWrite, NONE aka "sysenter_cs";
        /// SYSENTER_ESP.
        0x230..0x238 => pub SYSENTER_ESP: u64, ReadWrite, NONE aka "sysenter_esp";
        /// SYSENTER_EIP.
        0x238..0x240 => pub SYSENTER_EIP: u64, ReadWrite, NONE aka "sysenter_eip";
        /// CR2.
        0x240..0x248 => pub CR2: u64, ReadWrite, CR2 aka "cr2";
        /// Reserved.
        0x248..0x268 => _reserved248: [u8; 0x20];
        /// PAT of the guest, for nested paging.
        0x268..0x270 => pub G_PAT: u64, ReadWrite, NP aka "g_pat" "pat";
        /// DebugCtl.
        0x270..0x278 => pub DBGCTL: u64, ReadWrite, LBR aka "dbgctl";
        /// LastBranchFromIP.
        0x278..0x280 => pub BR_FROM: u64, ReadWrite, LBR aka "br_from" "last_branch_from_ip";
        /// LastBranchToIP.
        0x280..0x288 => pub BR_TO: u64, ReadWrite, LBR aka "br_to" "last_branch_to_ip";
        /// LastIntFromIP.
        0x288..0x290 => pub LAST_EXCP_FROM: u64, ReadWrite, LBR aka "last_excp_from" "last_excp_from_ip";
        /// LastIntToIP.
        0x290..0x298 => pub LAST_EXCP_TO: u64, ReadWrite, LBR aka "last_excp_to" "last_excp_to_ip";
        /// DbgExtnCtl.
        0x298..0x2a0 => pub DBGEXTNCTL: u64, ReadWrite, NONE;
        /// Reserved.
        0x2a0..0x2e0 => _reserved2a0: [u8; 0x40];
        /// SPEC_CTRL.
        0x2e0..0x2e8 => pub SPEC_CTRL: u64, ReadWrite, NONE aka "spec_ctrl";
        /// PKRU. VMSA only.
        0x2e8..0x2ec => pub PKRU: u32, ReadWrite, NONE aka "pkru";
        /// TSC_AUX. VMSA only.
        0x2ec..0x2f0 => pub TSC_AUX: u32, ReadWrite, NONE aka "tsc_aux";
        /// Scale of the time-stamp counter, with Secure TSC. VMSA only.
        0x2f0..0x2f8 => pub GUEST_TSC_SCALE: u64, ReadWrite, NONE aka "tsc_scale" "guest_tsc_scale";
        /// Offset of the time-stamp counter, with Secure TSC. VMSA only.
        0x2f8..0x300 => pub GUEST_TSC_OFFSET: u64, ReadWrite, NONE aka "tsc_offset" "guest_tsc_offset";
        /// Nonce of register protection. VMSA only.
        0x300..0x308 => pub REG_PROT_NONCE: u64, ReadWrite, NONE aka "reg_prot_nonce" "register_protection_nonce";
        /// RCX. VMSA only.
        0x308..0x310 => pub RCX: u64, ReadWrite, NONE aka "rcx";
        /// RDX. VMSA only.
        0x310..0x318 => pub RDX: u64, ReadWrite, NONE aka "rdx";
        /// RBX. VMSA only.
        0x318..0x320 => pub RBX: u64, ReadWrite, NONE aka "rbx";
        /// Control of Secure AVIC. VMSA only.
        0x320..0x328 => pub SECURE_AVIC_CTL: u64, ReadWrite, NONE;
        /// RBP. VMSA only.
        0x328..0x330 => pub RBP: u64, ReadWrite, NONE aka "rbp";
        /// RSI. VMSA only.
        0x330..0x338 => pub RSI: u64, ReadWrite, NONE aka "rsi";
        /// RDI. VMSA only.
        0x338..0x340 => pub RDI: u64, ReadWrite, NONE aka "rdi";
        /// R8. VMSA only.
        0x340..0x348 => pub R8: u64, ReadWrite, NONE aka "r8";
        /// R9. VMSA only.
        0x348..0x350 => pub R9: u64, ReadWrite, NONE aka "r9";
        /// R10. VMSA only.
        0x350..0x358 => pub R10: u64, ReadWrite, NONE aka "r10";
        /// R11. VMSA only.
        0x358..0x360 => pub R11: u64, ReadWrite, NONE aka "r11";
        /// R12. VMSA only.
        0x360..0x368 => pub R12: u64, ReadWrite, NONE aka "r12";
        /// R13. VMSA only.
        0x368..0x370 => pub R13: u64, ReadWrite, NONE aka "r13";
        /// R14. VMSA only.
        0x370..0x378 => pub R14: u64, ReadWrite, NONE aka "r14";
        /// R15. VMSA only.
        0x378..0x380 => pub R15: u64, ReadWrite, NONE aka "r15";
        /// Reserved.
        0x380..0x390 => _reserved380: [u8; 0x10];
        /// EXITINFO1 of the automatic exit. VMSA only.
        0x390..0x398 => pub GUEST_EXITINFO1: u64, ReadOnly, NONE aka "guest_exit_info_1" "guest_exitinfo1" "exit_info1";
        /// EXITINFO2 of the automatic exit. VMSA only.
        0x398..0x3a0 => pub GUEST_EXITINFO2: u64, ReadOnly, NONE aka "guest_exit_info_2" "guest_exitinfo2" "exit_info2";
        /// EXITINTINFO of the automatic exit. VMSA only.
        0x3a0..0x3a8 => pub GUEST_EXITINTINFO: EventInjection, ReadOnly, NONE aka "guest_exit_int_info" "guest_exitintinfo" "exit_int_info";
        /// RIP of the next instruction at the automatic exit. VMSA only.
        0x3a8..0x3b0 => pub GUEST_NRIP: u64, ReadOnly, NONE aka "guest_nrip" "next_rip";
        /// SEV features of the virtual processor. VMSA only.
        0x3b0..0x3b8 => pub SEV_FEATURES: SevFeatures, ReadWrite, NONE aka "sev_features";
        /// Virtual interrupts. VMSA only.
        0x3b8..0x3c0 => pub VINTR_CTRL: VmsaVirtualInterrupt, ReadWrite, NONE aka "vintr_ctrl" "v_intr_cntrl";
        /// EXITCODE of the automatic exit. VMSA only.
        0x3c0..0x3c8 => pub GUEST_EXITCODE: ExitCode, ReadOnly, NONE aka "guest_exit_code" "guest_error_code";
        /// Virtual top of memory. VMSA only.
        0x3c8..0x3d0 => pub VIRTUAL_TOM: u64, ReadWrite, NONE aka "virtual_tom" "vtom";
        /// Identifier of what the TLB holds of the virtual processor. VMSA only.
        0x3d0..0x3d8 => pub TLB_ID: u64, ReadOnly, NONE aka "tlb_id";
        /// The physical processor that the virtual one last ran on. With 0, the next VMRUN flushes the TLB. VMSA only.
        0x3d8..0x3e0 => pub PCPU_ID: u64, ReadWrite, NONE aka "pcpu_id";
        /// The event that VMRUN delivers. VMSA only.
        0x3e0..0x3e8 => pub EVENTINJ: EventInjection, ReadWrite, NONE aka "event_inj" "event_inject";
        /// XCR0. VMSA only.
        0x3e8..0x3f0 => pub XCR0: u64, ReadWrite, NONE aka "xcr0";
        /// Which parts of the FPU state are valid. VMSA only.
        ///
        /// Provisional: one source, OpenVMM.
        0x3f0..0x400 => pub XSAVE_VALID_BITMAP: [u8; 16], ReadWrite, NONE aka "xsave_valid_bitmap" if feature = "provisional";
        /// Address of the last x87 operand. VMSA only.
        0x400..0x408 => pub X87_DP: u64, ReadWrite, NONE aka "x87_dp" "x87dp";
        /// MXCSR. VMSA only.
        0x408..0x40c => pub MXCSR: u32, ReadWrite, NONE aka "mxcsr";
        /// x87 tag word. VMSA only.
        0x40c..0x40e => pub X87_FTW: u16, ReadWrite, NONE aka "x87_ftw";
        /// x87 status word. VMSA only.
        0x40e..0x410 => pub X87_FSW: u16, ReadWrite, NONE aka "x87_fsw";
        /// x87 control word. VMSA only.
        0x410..0x412 => pub X87_FCW: u16, ReadWrite, NONE aka "x87_fcw";
        /// Opcode of the last x87 instruction. VMSA only.
        0x412..0x414 => pub X87_FOP: u16, ReadWrite, NONE aka "x87_fop" "x87_op";
        /// Segment of the last x87 operand. VMSA only.
        0x414..0x416 => pub X87_DS: u16, ReadWrite, NONE aka "x87_ds";
        /// Code segment of the last x87 instruction. VMSA only.
        0x416..0x418 => pub X87_CS: u16, ReadWrite, NONE aka "x87_cs";
        /// RIP of the last x87 instruction. VMSA only.
        0x418..0x420 => pub X87_RIP: u64, ReadWrite, NONE aka "x87_rip";
        /// ST0 to ST7, ten bytes each. VMSA only.
        0x420..0x470 => pub FPREG_X87: [u8; 80], ReadWrite, NONE aka "fpreg_x87" "x87_registers";
        /// XMM0 to XMM15. VMSA only.
        0x470..0x570 => pub FPREG_XMM: [u8; 256], ReadWrite, NONE aka "fpreg_xmm" "xmm_registers";
        /// Upper halves of YMM0 to YMM15. VMSA only.
        0x570..0x670 => pub FPREG_YMM: [u8; 256], ReadWrite, NONE aka "fpreg_ymm" "ymm_registers";
        /// LBR_STACK: from and to, 16 times.
        0x670..0x770 => pub LBR_STACK: [[u64; 2]; 16], ReadWrite, NONE aka "lbr_stack";
        /// LBR_SELECT.
        0x770..0x778 => pub LBR_SELECT: u64, ReadWrite, NONE aka "lbr_select";
        /// IBS_FETCH_CTL.
        0x778..0x780 => pub IBS_FETCH_CTL: u64, ReadWrite, NONE aka "ibs_fetch_ctl";
        /// IBS_FETCH_LINADDR.
        0x780..0x788 => pub IBS_FETCH_LINADDR: u64, ReadWrite, NONE aka "ibs_fetch_linaddr";
        /// IBS_OP_CTL.
        0x788..0x790 => pub IBS_OP_CTL: u64, ReadWrite, NONE aka "ibs_op_ctl";
        /// IBS_OP_RIP.
        0x790..0x798 => pub IBS_OP_RIP: u64, ReadWrite, NONE aka "ibs_op_rip";
        /// IBS_OP_DATA.
        0x798..0x7a0 => pub IBS_OP_DATA: u64, ReadWrite, NONE aka "ibs_op_data";
        /// IBS_OP_DATA2.
        0x7a0..0x7a8 => pub IBS_OP_DATA2: u64, ReadWrite, NONE aka "ibs_op_data2";
        /// IBS_OP_DATA3.
        0x7a8..0x7b0 => pub IBS_OP_DATA3: u64, ReadWrite, NONE aka "ibs_op_data3";
        /// IBS_DC_LINADDR.
        0x7b0..0x7b8 => pub IBS_DC_LINADDR: u64, ReadWrite, NONE aka "ibs_dc_linaddr";
        /// BP_IBSTGT_RIP.
        0x7b8..0x7c0 => pub BP_IBSTGT_RIP: u64, ReadWrite, NONE aka "bp_ibstgt_rip";
        /// IC_IBS_EXTD_CTL.
        0x7c0..0x7c8 => pub IC_IBS_EXTD_CTL: u64, ReadWrite, NONE aka "ic_ibs_extd_ctl";
        /// Reserved.
        0x7c8..0x8a8 => _reserved7c8: [u8; 0xe0];
        /// Event data of the event whose delivery the exit interrupted, for the guest.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8a8..0x8b0 => pub GUEST_EXITINTDATA: u64, ReadWrite, NONE if feature = "provisional";
        /// Event data of the event that VMRUN delivers, for the guest.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8b0..0x8b8 => pub GUEST_EVENTINJDATA: u64, ReadWrite, NONE if feature = "provisional";
        /// FRED_RSP0.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8b8..0x8c0 => pub FRED_RSP0: u64, ReadWrite, NONE if feature = "provisional";
        /// FRED_RSP1.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8c0..0x8c8 => pub FRED_RSP1: u64, ReadWrite, NONE if feature = "provisional";
        /// FRED_RSP2.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8c8..0x8d0 => pub FRED_RSP2: u64, ReadWrite, NONE if feature = "provisional";
        /// FRED_RSP3.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8d0..0x8d8 => pub FRED_RSP3: u64, ReadWrite, NONE if feature = "provisional";
        /// FRED_STKLVLS.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8d8..0x8e0 => pub FRED_STKLVLS: u64, ReadWrite, NONE if feature = "provisional";
        /// FRED_SSP1.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8e0..0x8e8 => pub FRED_SSP1: u64, ReadWrite, NONE if feature = "provisional";
        /// FRED_SSP2.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8e8..0x8f0 => pub FRED_SSP2: u64, ReadWrite, NONE if feature = "provisional";
        /// FRED_SSP3.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8f0..0x8f8 => pub FRED_SSP3: u64, ReadWrite, NONE if feature = "provisional";
        /// FRED_CONFIG.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8f8..0x900 => pub FRED_CONFIG: u64, ReadWrite, NONE if feature = "provisional";
        /// Intercepts of the guest itself, word 0. VMSA only.
        0x900..0x904 => pub INTERCEPT_VEC_0: u32, ReadWrite, NONE;
        /// Intercepts of the guest itself, word 1. VMSA only.
        0x904..0x908 => pub INTERCEPT_VEC_1: u32, ReadWrite, NONE;
        /// Intercepts of the guest itself, word 2. VMSA only.
        0x908..0x90c => pub INTERCEPT_VEC_2: u32, ReadWrite, NONE;
        /// Intercepts of the guest itself, word 3. VMSA only.
        0x90c..0x910 => pub INTERCEPT_VEC_3: u32, ReadWrite, NONE;
        /// Intercepts of the guest itself, word 4. VMSA only.
        0x910..0x914 => pub INTERCEPT_VEC_4: u32, ReadWrite, NONE;
        /// Intercepts of the guest itself, word 5. VMSA only.
        0x914..0x918 => pub INTERCEPT_VEC_5: u32, ReadWrite, NONE;
        /// Intercepts of the guest itself, word 6. VMSA only.
        0x918..0x91c => pub INTERCEPT_VEC_6: u32, ReadWrite, NONE;
        /// Intercepts of the guest itself, word 7. VMSA only.
        0x91c..0x920 => pub INTERCEPT_VEC_7: u32, ReadWrite, NONE;
        /// Intercepts of MSRs of the guest itself, word 0. VMSA only.
        0x920..0x928 => pub INTERCEPT_MSR_VEC_0: u64, ReadWrite, NONE;
        /// Intercepts of MSRs of the guest itself, word 1. VMSA only.
        0x928..0x930 => pub INTERCEPT_MSR_VEC_1: u64, ReadWrite, NONE;
        /// Intercepts of MSRs of the guest itself, word 2. VMSA only.
        0x930..0x938 => pub INTERCEPT_MSR_VEC_2: u64, ReadWrite, NONE;
        /// Intercepts of MSRs of the guest itself, word 3. VMSA only.
        0x938..0x940 => pub INTERCEPT_MSR_VEC_3: u64, ReadWrite, NONE;
        /// Reserved.
        0x940..0x980 => _reserved940: [u8; 0x40];
        /// Mask registers K0 to K7. VMSA only.
        0x980..0x9c0 => pub FPREG_K: [u64; 8], ReadWrite, NONE;
        /// Upper halves of ZMM0 to ZMM15. VMSA only.
        0x9c0..0xbc0 => pub FPREG_ZMMHI: [u8; 512], ReadWrite, NONE;
        /// ZMM16 to ZMM31. VMSA only.
        0xbc0..0xfc0 => pub FPREG_HIZMM: [u8; 1024], ReadWrite, NONE;
        /// Reserved.
        0xfc0..0x1000 => _reservedfc0: [u8; 0x40];
    }
}

#[cfg(test)]
mod tests {
    use super::ALL;
    use crate::vmcb::save;

    #[test]
    fn the_union_with_the_save_area_has_as_many_rows_as_the_manual() {
        let proposed = ALL.iter().filter(|field| field.provisional).count();
        assert_eq!(proposed, if cfg!(feature = "provisional") { 12 } else { 0 });
        assert_eq!(ALL.len() - proposed, 142);
        let union = ALL.len() + save::ALL.iter().filter(|row| ALL.iter().all(|field| field.name != row.name)).count();
        assert_eq!(union, if cfg!(feature = "provisional") { 154 } else { 142 });
    }

    #[test]
    fn rows_of_the_save_area_are_at_the_same_distance_but_for_fred() {
        for row in save::ALL {
            let field = ALL.iter().find(|field| field.name == row.name).unwrap();
            let distance = if row.provisional { row.offset } else { row.offset - save::START };
            assert_eq!((field.offset, field.bytes, field.clean), (distance, row.bytes, row.clean), "{}", row.name);
        }
    }
}
