//! The state-save area of the VMCB.
//!
//! The [VMSA](crate::vmsa) has all its rows too: at the same distance from its start, but for those of FRED.

use x86_virt_core::{Cr0, Cr4, Efer, Rflags};

use crate::vmcb::{Vmcb, VmcbSegment, area};

area! {
    /// The state-save area of a guest without SEV-ES. Offsets in the table are from the start of the VMCB.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout" (table "VMCB Layout, State Save Area").
    ///
    /// ```
    /// use x86_virt_svm::vmcb::save;
    ///
    /// assert_eq!(save::RIP.offset(), save::START + 0x178);
    /// ```
    struct SaveArea of Vmcb, at 0x400..0x1000 {
        /// ES.
        0x400..0x410 => pub ES: VmcbSegment, ReadWrite, SEG aka "es";
        /// CS.
        0x410..0x420 => pub CS: VmcbSegment, ReadWrite, SEG aka "cs";
        /// SS.
        0x420..0x430 => pub SS: VmcbSegment, ReadWrite, SEG aka "ss";
        /// DS.
        0x430..0x440 => pub DS: VmcbSegment, ReadWrite, SEG aka "ds";
        /// FS. Of VMLOAD and VMSAVE.
        0x440..0x450 => pub FS: VmcbSegment, ReadWrite, NONE aka "fs";
        /// GS. Of VMLOAD and VMSAVE.
        0x450..0x460 => pub GS: VmcbSegment, ReadWrite, NONE aka "gs";
        /// GDTR.
        0x460..0x470 => pub GDTR: VmcbSegment, ReadWrite, DT aka "gdtr";
        /// LDTR. Of VMLOAD and VMSAVE.
        0x470..0x480 => pub LDTR: VmcbSegment, ReadWrite, NONE aka "ldtr";
        /// IDTR.
        0x480..0x490 => pub IDTR: VmcbSegment, ReadWrite, DT aka "idtr";
        /// TR. Of VMLOAD and VMSAVE.
        0x490..0x4a0 => pub TR: VmcbSegment, ReadWrite, NONE aka "tr";
        /// Reserved.
        0x4a0..0x4cb => _reserved4a0: [u8; 0x2b];
        /// Current privilege level.
        0x4cb..0x4cc => pub CPL: u8, ReadWrite, SEG aka "cpl";
        /// Reserved.
        0x4cc..0x4d0 => _reserved4cc: [u8; 4];
        /// EFER. SVME is 1.
        0x4d0..0x4d8 => pub EFER: Efer, ReadWrite, CRX aka "efer";
        /// Reserved.
        0x4d8..0x4e0 => _reserved4d8: [u8; 8];
        /// PERF_CTL0.
        0x4e0..0x4e8 => pub PERF_CTL0: u64, Owned, NONE;
        /// PERF_CTR0.
        0x4e8..0x4f0 => pub PERF_CTR0: u64, Owned, NONE;
        /// PERF_CTL1.
        0x4f0..0x4f8 => pub PERF_CTL1: u64, Owned, NONE;
        /// PERF_CTR1.
        0x4f8..0x500 => pub PERF_CTR1: u64, Owned, NONE;
        /// PERF_CTL2.
        0x500..0x508 => pub PERF_CTL2: u64, Owned, NONE;
        /// PERF_CTR2.
        0x508..0x510 => pub PERF_CTR2: u64, Owned, NONE;
        /// PERF_CTL3.
        0x510..0x518 => pub PERF_CTL3: u64, Owned, NONE;
        /// PERF_CTR3.
        0x518..0x520 => pub PERF_CTR3: u64, Owned, NONE;
        /// PERF_CTL4.
        0x520..0x528 => pub PERF_CTL4: u64, Owned, NONE;
        /// PERF_CTR4.
        0x528..0x530 => pub PERF_CTR4: u64, Owned, NONE;
        /// PERF_CTL5.
        0x530..0x538 => pub PERF_CTL5: u64, Owned, NONE;
        /// PERF_CTR5.
        0x538..0x540 => pub PERF_CTR5: u64, Owned, NONE;
        /// Reserved.
        0x540..0x548 => _reserved540: [u8; 8];
        /// CR4.
        0x548..0x550 => pub CR4: Cr4, Owned, CRX aka "cr4";
        /// CR3.
        0x550..0x558 => pub CR3: u64, ReadWrite, CRX aka "cr3";
        /// CR0.
        0x558..0x560 => pub CR0: Cr0, Owned, CRX aka "cr0";
        /// DR7.
        0x560..0x568 => pub DR7: u64, ReadWrite, DRX aka "dr7";
        /// DR6.
        0x568..0x570 => pub DR6: u64, ReadWrite, DRX aka "dr6";
        /// RFLAGS.
        0x570..0x578 => pub RFLAGS: Rflags, ReadWrite, NONE aka "rflags";
        /// RIP.
        0x578..0x580 => pub RIP: u64, ReadWrite, NONE aka "rip";
        /// Reserved.
        0x580..0x5c0 => _reserved580: [u8; 0x40];
        /// INSTR_RETIRED_CTR.
        0x5c0..0x5c8 => pub INSTR_RETIRED_CTR: u64, Owned, NONE;
        /// PERF_CTR_GLOBAL_STS.
        0x5c8..0x5d0 => pub PERF_CTR_GLOBAL_STS: u64, Owned, NONE;
        /// PERF_CTR_GLOBAL_CTL.
        0x5d0..0x5d8 => pub PERF_CTR_GLOBAL_CTL: u64, Owned, NONE;
        /// RSP.
        0x5d8..0x5e0 => pub RSP: u64, ReadWrite, NONE aka "rsp";
        /// S_CET.
        0x5e0..0x5e8 => pub S_CET: u64, Owned, CET aka "s_cet";
        /// SSP.
        0x5e8..0x5f0 => pub SSP: u64, Owned, CET aka "ssp";
        /// ISST_ADDR.
        0x5f0..0x5f8 => pub ISST_ADDR: u64, Owned, CET aka "isst_addr";
        /// RAX. The general-purpose registers of the virtual processor replace it.
        0x5f8..0x600 => pub RAX: u64, Owned, NONE aka "rax";
        /// STAR. Of VMLOAD and VMSAVE.
        0x600..0x608 => pub STAR: u64, ReadWrite, NONE aka "star";
        /// LSTAR. Of VMLOAD and VMSAVE.
        0x608..0x610 => pub LSTAR: u64, ReadWrite, NONE aka "lstar";
        /// CSTAR. Of VMLOAD and VMSAVE.
        0x610..0x618 => pub CSTAR: u64, ReadWrite, NONE aka "cstar";
        /// SFMASK. Of VMLOAD and VMSAVE.
        0x618..0x620 => pub SFMASK: u64, ReadWrite, NONE aka "sfmask";
        /// KERNEL_GS_BASE. Of VMLOAD and VMSAVE.
        0x620..0x628 => pub KERNEL_GS_BASE: u64, ReadWrite, NONE aka "kernel_gs_base";
        /// SYSENTER_CS. Of VMLOAD and VMSAVE.
        0x628..0x630 => pub SYSENTER_CS: u64, ReadWrite, NONE aka "sysenter_cs";
        /// SYSENTER_ESP. Of VMLOAD and VMSAVE.
        0x630..0x638 => pub SYSENTER_ESP: u64, ReadWrite, NONE aka "sysenter_esp";
        /// SYSENTER_EIP. Of VMLOAD and VMSAVE.
        0x638..0x640 => pub SYSENTER_EIP: u64, ReadWrite, NONE aka "sysenter_eip";
        /// CR2.
        0x640..0x648 => pub CR2: u64, ReadWrite, CR2 aka "cr2";
        /// Reserved.
        0x648..0x668 => _reserved648: [u8; 0x20];
        /// PAT of the guest, for nested paging.
        0x668..0x670 => pub G_PAT: u64, ReadWrite, NP aka "g_pat";
        /// DebugCtl.
        0x670..0x678 => pub DBGCTL: u64, Owned, LBR aka "dbgctl";
        /// LastBranchFromIP.
        0x678..0x680 => pub BR_FROM: u64, Owned, LBR aka "br_from";
        /// LastBranchToIP.
        0x680..0x688 => pub BR_TO: u64, Owned, LBR aka "br_to";
        /// LastIntFromIP.
        0x688..0x690 => pub LAST_EXCP_FROM: u64, Owned, LBR aka "last_excp_from";
        /// LastIntToIP.
        0x690..0x698 => pub LAST_EXCP_TO: u64, Owned, LBR aka "last_excp_to";
        /// DbgExtnCtl.
        0x698..0x6a0 => pub DBGEXTNCTL: u64, Owned, NONE;
        /// Reserved.
        0x6a0..0x6e0 => _reserved6a0: [u8; 0x40];
        /// SPEC_CTRL.
        0x6e0..0x6e8 => pub SPEC_CTRL: u64, Owned, NONE aka "spec_ctrl";
        /// Reserved.
        0x6e8..0x8a8 => _reserved6e8: [u8; 0x1c0];
        /// Event data of the event whose delivery the exit interrupted, for the guest.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8a8..0x8b0 => pub GUEST_EXITINTDATA: u64, Owned, NONE if feature = "provisional";
        /// Event data of the event that VMRUN delivers, for the guest.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8b0..0x8b8 => pub GUEST_EVENTINJDATA: u64, Owned, NONE if feature = "provisional";
        /// FRED_RSP0.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8b8..0x8c0 => pub FRED_RSP0: u64, Owned, NONE if feature = "provisional";
        /// FRED_RSP1.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8c0..0x8c8 => pub FRED_RSP1: u64, Owned, NONE if feature = "provisional";
        /// FRED_RSP2.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8c8..0x8d0 => pub FRED_RSP2: u64, Owned, NONE if feature = "provisional";
        /// FRED_RSP3.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8d0..0x8d8 => pub FRED_RSP3: u64, Owned, NONE if feature = "provisional";
        /// FRED_STKLVLS.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8d8..0x8e0 => pub FRED_STKLVLS: u64, Owned, NONE if feature = "provisional";
        /// FRED_SSP1.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8e0..0x8e8 => pub FRED_SSP1: u64, Owned, NONE if feature = "provisional";
        /// FRED_SSP2.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8e8..0x8f0 => pub FRED_SSP2: u64, Owned, NONE if feature = "provisional";
        /// FRED_SSP3.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8f0..0x8f8 => pub FRED_SSP3: u64, Owned, NONE if feature = "provisional";
        /// FRED_CONFIG.
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x8f8..0x900 => pub FRED_CONFIG: u64, Owned, NONE if feature = "provisional";
        /// Reserved.
        0x900..0xa70 => _reserved900: [u8; 0x170];
        /// LBR_STACK: from and to, 16 times.
        0xa70..0xb70 => pub LBR_STACK: [[u64; 2]; 16], Owned, NONE;
        /// LBR_SELECT.
        0xb70..0xb78 => pub LBR_SELECT: u64, Owned, NONE;
        /// IBS_FETCH_CTL.
        0xb78..0xb80 => pub IBS_FETCH_CTL: u64, Owned, NONE;
        /// IBS_FETCH_LINADDR.
        0xb80..0xb88 => pub IBS_FETCH_LINADDR: u64, Owned, NONE;
        /// IBS_OP_CTL.
        0xb88..0xb90 => pub IBS_OP_CTL: u64, Owned, NONE;
        /// IBS_OP_RIP.
        0xb90..0xb98 => pub IBS_OP_RIP: u64, Owned, NONE;
        /// IBS_OP_DATA.
        0xb98..0xba0 => pub IBS_OP_DATA: u64, Owned, NONE;
        /// IBS_OP_DATA2.
        0xba0..0xba8 => pub IBS_OP_DATA2: u64, Owned, NONE;
        /// IBS_OP_DATA3.
        0xba8..0xbb0 => pub IBS_OP_DATA3: u64, Owned, NONE;
        /// IBS_DC_LINADDR.
        0xbb0..0xbb8 => pub IBS_DC_LINADDR: u64, Owned, NONE;
        /// BP_IBSTGT_RIP.
        0xbb8..0xbc0 => pub BP_IBSTGT_RIP: u64, Owned, NONE;
        /// IC_IBS_EXTD_CTL.
        0xbc0..0xbc8 => pub IC_IBS_EXTD_CTL: u64, Owned, NONE;
        /// Reserved.
        0xbc8..0x1000 => _reservedbc8: [u8; 0x438];
    }
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn rows_are_as_many_as_the_manual_has() {
        let proposed = ALL.iter().filter(|field| field.provisional).count();
        assert_eq!(ALL.len() - proposed, 68);
        assert_eq!(proposed, if cfg!(feature = "provisional") { 11 } else { 0 });
    }
}
