//! The state-save area of the VMCB.

use crate::vmcb::VmcbSegment;
use crate::vmcb::field::area;

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
    struct SaveArea at 0x400..0x1000 {
        /// ES.
        0x400..0x410 => ES: VmcbSegment, ReadWrite, SEG;
        /// CS.
        0x410..0x420 => CS: VmcbSegment, ReadWrite, SEG;
        /// SS.
        0x420..0x430 => SS: VmcbSegment, ReadWrite, SEG;
        /// DS.
        0x430..0x440 => DS: VmcbSegment, ReadWrite, SEG;
        /// FS. Of VMLOAD and VMSAVE.
        0x440..0x450 => FS: VmcbSegment, ReadWrite, NONE;
        /// GS. Of VMLOAD and VMSAVE.
        0x450..0x460 => GS: VmcbSegment, ReadWrite, NONE;
        /// GDTR.
        0x460..0x470 => GDTR: VmcbSegment, ReadWrite, DT;
        /// LDTR. Of VMLOAD and VMSAVE.
        0x470..0x480 => LDTR: VmcbSegment, ReadWrite, NONE;
        /// IDTR.
        0x480..0x490 => IDTR: VmcbSegment, ReadWrite, DT;
        /// TR. Of VMLOAD and VMSAVE.
        0x490..0x4a0 => TR: VmcbSegment, ReadWrite, NONE;
        /// Reserved.
        0x4a0..0x4cb => _reserved4a0: [u8; 0x2b];
        /// Current privilege level.
        0x4cb..0x4cc => CPL: u8, ReadWrite, SEG;
        /// Reserved.
        0x4cc..0x4d0 => _reserved4cc: [u8; 4];
        /// EFER. SVME is 1.
        0x4d0..0x4d8 => EFER: u64, ReadWrite, CRX;
        /// Reserved.
        0x4d8..0x4e0 => _reserved4d8: [u8; 8];
        /// PERF_CTL and PERF_CTR 0 to 5, in pairs.
        0x4e0..0x540 => PERF_CTL_CTR: [[u64; 2]; 6], Owned, NONE;
        /// Reserved.
        0x540..0x548 => _reserved540: [u8; 8];
        /// CR4.
        0x548..0x550 => CR4: u64, Owned, CRX;
        /// CR3.
        0x550..0x558 => CR3: u64, ReadWrite, CRX;
        /// CR0.
        0x558..0x560 => CR0: u64, Owned, CRX;
        /// DR7.
        0x560..0x568 => DR7: u64, ReadWrite, DRX;
        /// DR6.
        0x568..0x570 => DR6: u64, ReadWrite, DRX;
        /// RFLAGS.
        0x570..0x578 => RFLAGS: u64, ReadWrite, NONE;
        /// RIP.
        0x578..0x580 => RIP: u64, ReadWrite, NONE;
        /// Reserved.
        0x580..0x5c0 => _reserved580: [u8; 0x40];
        /// INSTR_RETIRED_CTR.
        0x5c0..0x5c8 => INSTR_RETIRED_CTR: u64, Owned, NONE;
        /// PERF_CTR_GLOBAL_STS.
        0x5c8..0x5d0 => PERF_CTR_GLOBAL_STS: u64, Owned, NONE;
        /// PERF_CTR_GLOBAL_CTL.
        0x5d0..0x5d8 => PERF_CTR_GLOBAL_CTL: u64, Owned, NONE;
        /// RSP.
        0x5d8..0x5e0 => RSP: u64, ReadWrite, NONE;
        /// S_CET.
        0x5e0..0x5e8 => S_CET: u64, Owned, CET;
        /// SSP.
        0x5e8..0x5f0 => SSP: u64, Owned, CET;
        /// ISST_ADDR.
        0x5f0..0x5f8 => ISST_ADDR: u64, Owned, CET;
        /// RAX. The general-purpose registers of the virtual processor replace it.
        0x5f8..0x600 => RAX: u64, Owned, NONE;
        /// STAR. Of VMLOAD and VMSAVE.
        0x600..0x608 => STAR: u64, ReadWrite, NONE;
        /// LSTAR. Of VMLOAD and VMSAVE.
        0x608..0x610 => LSTAR: u64, ReadWrite, NONE;
        /// CSTAR. Of VMLOAD and VMSAVE.
        0x610..0x618 => CSTAR: u64, ReadWrite, NONE;
        /// SFMASK. Of VMLOAD and VMSAVE.
        0x618..0x620 => SFMASK: u64, ReadWrite, NONE;
        /// KERNEL_GS_BASE. Of VMLOAD and VMSAVE.
        0x620..0x628 => KERNEL_GS_BASE: u64, ReadWrite, NONE;
        /// SYSENTER_CS. Of VMLOAD and VMSAVE.
        0x628..0x630 => SYSENTER_CS: u64, ReadWrite, NONE;
        /// SYSENTER_ESP. Of VMLOAD and VMSAVE.
        0x630..0x638 => SYSENTER_ESP: u64, ReadWrite, NONE;
        /// SYSENTER_EIP. Of VMLOAD and VMSAVE.
        0x638..0x640 => SYSENTER_EIP: u64, ReadWrite, NONE;
        /// CR2.
        0x640..0x648 => CR2: u64, ReadWrite, CR2;
        /// Reserved.
        0x648..0x668 => _reserved648: [u8; 0x20];
        /// PAT of the guest, for nested paging.
        0x668..0x670 => G_PAT: u64, ReadWrite, NP;
        /// DebugCtl.
        0x670..0x678 => DBGCTL: u64, Owned, LBR;
        /// LastBranchFromIP.
        0x678..0x680 => BR_FROM: u64, Owned, LBR;
        /// LastBranchToIP.
        0x680..0x688 => BR_TO: u64, Owned, LBR;
        /// LastIntFromIP.
        0x688..0x690 => LAST_EXCP_FROM: u64, Owned, LBR;
        /// LastIntToIP.
        0x690..0x698 => LAST_EXCP_TO: u64, Owned, LBR;
        /// DbgExtnCtl.
        0x698..0x6a0 => DBGEXTNCTL: u64, Owned, NONE;
        /// Reserved.
        0x6a0..0x6e0 => _reserved6a0: [u8; 0x40];
        /// SPEC_CTRL.
        0x6e0..0x6e8 => SPEC_CTRL: u64, Owned, NONE;
        /// Reserved.
        0x6e8..0xa70 => _reserved6e8: [u8; 0x388];
        /// LBR_STACK: from and to, 16 times.
        0xa70..0xb70 => LBR_STACK: [[u64; 2]; 16], Owned, NONE;
        /// LBR_SELECT.
        0xb70..0xb78 => LBR_SELECT: u64, Owned, NONE;
        /// IBS_FETCH_CTL.
        0xb78..0xb80 => IBS_FETCH_CTL: u64, Owned, NONE;
        /// IBS_FETCH_LINADDR.
        0xb80..0xb88 => IBS_FETCH_LINADDR: u64, Owned, NONE;
        /// IBS_OP_CTL.
        0xb88..0xb90 => IBS_OP_CTL: u64, Owned, NONE;
        /// IBS_OP_RIP.
        0xb90..0xb98 => IBS_OP_RIP: u64, Owned, NONE;
        /// IBS_OP_DATA.
        0xb98..0xba0 => IBS_OP_DATA: u64, Owned, NONE;
        /// IBS_OP_DATA2.
        0xba0..0xba8 => IBS_OP_DATA2: u64, Owned, NONE;
        /// IBS_OP_DATA3.
        0xba8..0xbb0 => IBS_OP_DATA3: u64, Owned, NONE;
        /// IBS_DC_LINADDR.
        0xbb0..0xbb8 => IBS_DC_LINADDR: u64, Owned, NONE;
        /// BP_IBSTGT_RIP.
        0xbb8..0xbc0 => BP_IBSTGT_RIP: u64, Owned, NONE;
        /// IC_IBS_EXTD_CTL.
        0xbc0..0xbc8 => IC_IBS_EXTD_CTL: u64, Owned, NONE;
        /// Reserved.
        0xbc8..0x1000 => _reservedbc8: [u8; 0x438];
    }
}
