//! Exit codes, which are also the numbers of the intercepts.

use x86_virt_core::{TableRow, code_rows, codes};

codes! {
    /// Why the processor left the guest: EXITCODE of the VMCB.
    ///
    /// The codes 0 to a6h are those of the intercepts: word `code / 32` and bit `code % 32` of the intercept vectors. A code that
    /// has no name here keeps its value. The names are the manual's without `VMEXIT_`.
    ///
    /// AMD APM vol. 2, appendix C, "SVM Intercept Exit Codes".
    ///
    /// ```
    /// use x86_virt_svm::ExitCode;
    ///
    /// assert_eq!(ExitCode::CPUID.into_bits(), 0x72);
    /// assert_eq!(ExitCode::CPUID.to_string(), "CPUID");
    /// assert_eq!(ExitCode::from_bits(0x7b), ExitCode::IOIO);
    /// assert_eq!(ExitCode::from_bits(0x1234).name(), None);
    /// ```
    pub struct ExitCode(u64) {
        /// Read of CR0.
        CR0_READ = 0x0 aka "SVM_EXIT_READ_CR0";
        /// Read of CR1.
        CR1_READ = 0x1;
        /// Read of CR2.
        CR2_READ = 0x2 aka "SVM_EXIT_READ_CR2";
        /// Read of CR3.
        CR3_READ = 0x3 aka "SVM_EXIT_READ_CR3";
        /// Read of CR4.
        CR4_READ = 0x4 aka "SVM_EXIT_READ_CR4";
        /// Read of CR5.
        CR5_READ = 0x5;
        /// Read of CR6.
        CR6_READ = 0x6;
        /// Read of CR7.
        CR7_READ = 0x7;
        /// Read of CR8.
        CR8_READ = 0x8 aka "SVM_EXIT_READ_CR8";
        /// Read of CR9.
        CR9_READ = 0x9;
        /// Read of CR10.
        CR10_READ = 0xa;
        /// Read of CR11.
        CR11_READ = 0xb;
        /// Read of CR12.
        CR12_READ = 0xc;
        /// Read of CR13.
        CR13_READ = 0xd;
        /// Read of CR14.
        CR14_READ = 0xe;
        /// Read of CR15.
        CR15_READ = 0xf;
        /// Write of CR0.
        CR0_WRITE = 0x10 aka "SVM_EXIT_WRITE_CR0";
        /// Write of CR1.
        CR1_WRITE = 0x11;
        /// Write of CR2.
        CR2_WRITE = 0x12 aka "SVM_EXIT_WRITE_CR2";
        /// Write of CR3.
        CR3_WRITE = 0x13 aka "SVM_EXIT_WRITE_CR3";
        /// Write of CR4.
        CR4_WRITE = 0x14 aka "SVM_EXIT_WRITE_CR4";
        /// Write of CR5.
        CR5_WRITE = 0x15;
        /// Write of CR6.
        CR6_WRITE = 0x16;
        /// Write of CR7.
        CR7_WRITE = 0x17;
        /// Write of CR8.
        CR8_WRITE = 0x18 aka "SVM_EXIT_WRITE_CR8";
        /// Write of CR9.
        CR9_WRITE = 0x19;
        /// Write of CR10.
        CR10_WRITE = 0x1a;
        /// Write of CR11.
        CR11_WRITE = 0x1b;
        /// Write of CR12.
        CR12_WRITE = 0x1c;
        /// Write of CR13.
        CR13_WRITE = 0x1d;
        /// Write of CR14.
        CR14_WRITE = 0x1e;
        /// Write of CR15.
        CR15_WRITE = 0x1f;
        /// Read of DR0.
        DR0_READ = 0x20 aka "SVM_EXIT_READ_DR0";
        /// Read of DR1.
        DR1_READ = 0x21 aka "SVM_EXIT_READ_DR1";
        /// Read of DR2.
        DR2_READ = 0x22 aka "SVM_EXIT_READ_DR2";
        /// Read of DR3.
        DR3_READ = 0x23 aka "SVM_EXIT_READ_DR3";
        /// Read of DR4.
        DR4_READ = 0x24 aka "SVM_EXIT_READ_DR4";
        /// Read of DR5.
        DR5_READ = 0x25 aka "SVM_EXIT_READ_DR5";
        /// Read of DR6.
        DR6_READ = 0x26 aka "SVM_EXIT_READ_DR6";
        /// Read of DR7.
        DR7_READ = 0x27 aka "SVM_EXIT_READ_DR7";
        /// Read of DR8.
        DR8_READ = 0x28;
        /// Read of DR9.
        DR9_READ = 0x29;
        /// Read of DR10.
        DR10_READ = 0x2a;
        /// Read of DR11.
        DR11_READ = 0x2b;
        /// Read of DR12.
        DR12_READ = 0x2c;
        /// Read of DR13.
        DR13_READ = 0x2d;
        /// Read of DR14.
        DR14_READ = 0x2e;
        /// Read of DR15.
        DR15_READ = 0x2f;
        /// Write of DR0.
        DR0_WRITE = 0x30 aka "SVM_EXIT_WRITE_DR0";
        /// Write of DR1.
        DR1_WRITE = 0x31 aka "SVM_EXIT_WRITE_DR1";
        /// Write of DR2.
        DR2_WRITE = 0x32 aka "SVM_EXIT_WRITE_DR2";
        /// Write of DR3.
        DR3_WRITE = 0x33 aka "SVM_EXIT_WRITE_DR3";
        /// Write of DR4.
        DR4_WRITE = 0x34 aka "SVM_EXIT_WRITE_DR4";
        /// Write of DR5.
        DR5_WRITE = 0x35 aka "SVM_EXIT_WRITE_DR5";
        /// Write of DR6.
        DR6_WRITE = 0x36 aka "SVM_EXIT_WRITE_DR6";
        /// Write of DR7.
        DR7_WRITE = 0x37 aka "SVM_EXIT_WRITE_DR7";
        /// Write of DR8.
        DR8_WRITE = 0x38;
        /// Write of DR9.
        DR9_WRITE = 0x39;
        /// Write of DR10.
        DR10_WRITE = 0x3a;
        /// Write of DR11.
        DR11_WRITE = 0x3b;
        /// Write of DR12.
        DR12_WRITE = 0x3c;
        /// Write of DR13.
        DR13_WRITE = 0x3d;
        /// Write of DR14.
        DR14_WRITE = 0x3e;
        /// Write of DR15.
        DR15_WRITE = 0x3f;
        /// Exception #DE.
        EXCP_DE = 0x40 aka "SVM_EXIT_EXCP_BASE";
        /// Exception #DB.
        EXCP_DB = 0x41;
        /// Exception #NMI.
        EXCP_NMI = 0x42;
        /// Exception #BP.
        EXCP_BP = 0x43;
        /// Exception #OF.
        EXCP_OF = 0x44;
        /// Exception #BR.
        EXCP_BR = 0x45;
        /// Exception #UD.
        EXCP_UD = 0x46;
        /// Exception #NM.
        EXCP_NM = 0x47;
        /// Exception #DF.
        EXCP_DF = 0x48;
        /// Exception 9.
        EXCP_09 = 0x49;
        /// Exception #TS.
        EXCP_TS = 0x4a;
        /// Exception #NP.
        EXCP_NP = 0x4b;
        /// Exception #SS.
        EXCP_SS = 0x4c;
        /// Exception #GP.
        EXCP_GP = 0x4d;
        /// Exception #PF.
        EXCP_PF = 0x4e;
        /// Exception 15.
        EXCP_15 = 0x4f;
        /// Exception #MF.
        EXCP_MF = 0x50;
        /// Exception #AC.
        EXCP_AC = 0x51;
        /// Exception #MC.
        EXCP_MC = 0x52;
        /// Exception #XF.
        EXCP_XF = 0x53;
        /// Exception 20.
        EXCP_20 = 0x54;
        /// Exception #CP.
        EXCP_CP = 0x55;
        /// Exception 22.
        EXCP_22 = 0x56;
        /// Exception 23.
        EXCP_23 = 0x57;
        /// Exception 24.
        EXCP_24 = 0x58;
        /// Exception 25.
        EXCP_25 = 0x59;
        /// Exception 26.
        EXCP_26 = 0x5a;
        /// Exception 27.
        EXCP_27 = 0x5b;
        /// Exception #HV.
        EXCP_HV = 0x5c;
        /// Exception #VC.
        EXCP_VC = 0x5d;
        /// Exception #SX.
        EXCP_SX = 0x5e;
        /// Exception 31.
        EXCP_31 = 0x5f aka "SVM_EXIT_LAST_EXCP";
        /// Physical maskable interrupt.
        INTR = 0x60 aka "SVM_EXIT_INTR";
        /// Physical non-maskable interrupt.
        NMI = 0x61 aka "SVM_EXIT_NMI";
        /// System-management interrupt.
        SMI = 0x62 aka "SVM_EXIT_SMI";
        /// INIT signal.
        INIT = 0x63 aka "SVM_EXIT_INIT";
        /// Virtual interrupt.
        VINTR = 0x64 aka "SVM_EXIT_VINTR";
        /// Write to CR0 that changes other bits than TS and MP.
        CR0_SEL_WRITE = 0x65 aka "SVM_EXIT_CR0_SEL_WRITE";
        /// Read of IDTR.
        IDTR_READ = 0x66 aka "SVM_EXIT_IDTR_READ";
        /// Read of GDTR.
        GDTR_READ = 0x67 aka "SVM_EXIT_GDTR_READ";
        /// Read of LDTR.
        LDTR_READ = 0x68 aka "SVM_EXIT_LDTR_READ";
        /// Read of TR.
        TR_READ = 0x69 aka "SVM_EXIT_TR_READ";
        /// Write of IDTR.
        IDTR_WRITE = 0x6a aka "SVM_EXIT_IDTR_WRITE";
        /// Write of GDTR.
        GDTR_WRITE = 0x6b aka "SVM_EXIT_GDTR_WRITE";
        /// Write of LDTR.
        LDTR_WRITE = 0x6c aka "SVM_EXIT_LDTR_WRITE";
        /// Write of TR.
        TR_WRITE = 0x6d aka "SVM_EXIT_TR_WRITE";
        /// RDTSC.
        RDTSC = 0x6e aka "SVM_EXIT_RDTSC";
        /// RDPMC.
        RDPMC = 0x6f aka "SVM_EXIT_RDPMC";
        /// PUSHF.
        PUSHF = 0x70 aka "SVM_EXIT_PUSHF";
        /// POPF.
        POPF = 0x71 aka "SVM_EXIT_POPF";
        /// CPUID.
        CPUID = 0x72 aka "SVM_EXIT_CPUID";
        /// RSM.
        RSM = 0x73 aka "SVM_EXIT_RSM";
        /// IRET.
        IRET = 0x74 aka "SVM_EXIT_IRET";
        /// `INT n`.
        SWINT = 0x75 aka "SVM_EXIT_SWINT";
        /// INVD.
        INVD = 0x76 aka "SVM_EXIT_INVD";
        /// PAUSE.
        PAUSE = 0x77 aka "SVM_EXIT_PAUSE";
        /// HLT.
        HLT = 0x78 aka "SVM_EXIT_HLT";
        /// INVLPG.
        INVLPG = 0x79 aka "SVM_EXIT_INVLPG";
        /// INVLPGA.
        INVLPGA = 0x7a aka "SVM_EXIT_INVLPGA";
        /// IN, OUT, INS or OUTS.
        IOIO = 0x7b aka "SVM_EXIT_IOIO";
        /// RDMSR or WRMSR.
        MSR = 0x7c aka "SVM_EXIT_MSR";
        /// Task switch.
        TASK_SWITCH = 0x7d aka "SVM_EXIT_TASK_SWITCH";
        /// FERR freeze of a legacy x87.
        FERR_FREEZE = 0x7e aka "SVM_EXIT_FERR_FREEZE";
        /// Shutdown.
        SHUTDOWN = 0x7f aka "SVM_EXIT_SHUTDOWN";
        /// VMRUN.
        VMRUN = 0x80 aka "SVM_EXIT_VMRUN";
        /// VMMCALL.
        VMMCALL = 0x81 aka "SVM_EXIT_VMMCALL";
        /// VMLOAD.
        VMLOAD = 0x82 aka "SVM_EXIT_VMLOAD";
        /// VMSAVE.
        VMSAVE = 0x83 aka "SVM_EXIT_VMSAVE";
        /// STGI.
        STGI = 0x84 aka "SVM_EXIT_STGI";
        /// CLGI.
        CLGI = 0x85 aka "SVM_EXIT_CLGI";
        /// SKINIT.
        SKINIT = 0x86 aka "SVM_EXIT_SKINIT";
        /// RDTSCP.
        RDTSCP = 0x87 aka "SVM_EXIT_RDTSCP";
        /// INT1.
        ICEBP = 0x88 aka "SVM_EXIT_ICEBP";
        /// WBINVD.
        WBINVD = 0x89 aka "SVM_EXIT_WBINVD";
        /// MONITOR.
        MONITOR = 0x8a aka "SVM_EXIT_MONITOR";
        /// MWAIT.
        MWAIT = 0x8b aka "SVM_EXIT_MWAIT";
        /// MWAIT while the monitor is armed.
        MWAIT_CONDITIONAL = 0x8c aka "SVM_EXIT_MWAIT_COND";
        /// XSETBV.
        XSETBV = 0x8d aka "SVM_EXIT_XSETBV";
        /// RDPRU.
        RDPRU = 0x8e aka "SVM_EXIT_RDPRU";
        /// After a write to EFER.
        EFER_WRITE_TRAP = 0x8f aka "SVM_EXIT_EFER_WRITE_TRAP";
        /// After a write to CR0.
        CR0_WRITE_TRAP = 0x90 aka "SVM_EXIT_CR0_WRITE_TRAP";
        /// After a write to CR1.
        CR1_WRITE_TRAP = 0x91 aka "SVM_EXIT_CR1_WRITE_TRAP";
        /// After a write to CR2.
        CR2_WRITE_TRAP = 0x92 aka "SVM_EXIT_CR2_WRITE_TRAP";
        /// After a write to CR3.
        CR3_WRITE_TRAP = 0x93 aka "SVM_EXIT_CR3_WRITE_TRAP";
        /// After a write to CR4.
        CR4_WRITE_TRAP = 0x94 aka "SVM_EXIT_CR4_WRITE_TRAP";
        /// After a write to CR5.
        CR5_WRITE_TRAP = 0x95 aka "SVM_EXIT_CR5_WRITE_TRAP";
        /// After a write to CR6.
        CR6_WRITE_TRAP = 0x96 aka "SVM_EXIT_CR6_WRITE_TRAP";
        /// After a write to CR7.
        CR7_WRITE_TRAP = 0x97 aka "SVM_EXIT_CR7_WRITE_TRAP";
        /// After a write to CR8.
        CR8_WRITE_TRAP = 0x98 aka "SVM_EXIT_CR8_WRITE_TRAP";
        /// After a write to CR9.
        CR9_WRITE_TRAP = 0x99 aka "SVM_EXIT_CR9_WRITE_TRAP";
        /// After a write to CR10.
        CR10_WRITE_TRAP = 0x9a aka "SVM_EXIT_CR10_WRITE_TRAP";
        /// After a write to CR11.
        CR11_WRITE_TRAP = 0x9b aka "SVM_EXIT_CR11_WRITE_TRAP";
        /// After a write to CR12.
        CR12_WRITE_TRAP = 0x9c aka "SVM_EXIT_CR12_WRITE_TRAP";
        /// After a write to CR13.
        CR13_WRITE_TRAP = 0x9d aka "SVM_EXIT_CR13_WRITE_TRAP";
        /// After a write to CR14.
        CR14_WRITE_TRAP = 0x9e aka "SVM_EXIT_CR14_WRITE_TRAP";
        /// After a write to CR15.
        CR15_WRITE_TRAP = 0x9f aka "SVM_EXIT_CR15_WRITE_TRAP";
        /// INVLPGB.
        INVLPGB = 0xa0;
        /// INVLPGB that is not allowed.
        ILLEGAL_INVLPGB = 0xa1 aka "INVLPGB_ILLEGAL";
        /// INVPCID.
        INVPCID = 0xa2 aka "SVM_EXIT_INVPCID";
        /// MCOMMIT.
        MCOMMIT = 0xa3;
        /// TLBSYNC.
        TLBSYNC = 0xa4;
        /// Bus lock threshold.
        BUSLOCK = 0xa5 aka "SVM_EXIT_BUS_LOCK";
        /// HLT with no virtual interrupt pending.
        IDLE_HLT = 0xa6 aka "SVM_EXIT_IDLE_HLT";
        /// Nested page fault.
        NPF = 0x400 aka "SVM_EXIT_NPF";
        /// AVIC: an IPI that was not delivered in full.
        AVIC_INCOMPLETE_IPI = 0x401 aka "SVM_EXIT_AVIC_INCOMPLETE_IPI";
        /// AVIC: an access that is not accelerated.
        AVIC_NOACCEL = 0x402 aka "SVM_EXIT_AVIC_UNACCELERATED_ACCESS";
        /// VMGEXIT of an SEV-ES guest.
        VMGEXIT = 0x403 aka "SVM_EXIT_VMGEXIT";
        /// The page-modification log is full.
        ///
        /// Provisional: patches for KVM. It is not in the edition of the manual that is cited here.
        PML_FULL = 0x407 aka "SVM_EXIT_PML_FULL" if feature = "provisional";
        /// Invalid guest state in the VMCB.
        INVALID = 0xffff_ffff_ffff_ffff aka "SVM_EXIT_ERR" "INVALID_VMCB";
        /// The VMSA is in use.
        BUSY = 0xffff_ffff_ffff_fffe aka "VMSA_BUSY";
        /// A sibling thread is not idle.
        IDLE_REQUIRED = 0xffff_ffff_ffff_fffd;
        /// Invalid state of a performance counter.
        INVALID_PMC = 0xffff_ffff_ffff_fffc;
    }
}

codes! {
    /// Codes that no processor reports in EXITCODE, and that software may use.
    ///
    /// AMD APM vol. 2, appendix C, "SVM Intercept Exit Codes". The manual prints seven digits; the value here is that of Linux.
    ///
    /// ```
    /// use x86_virt_svm::SoftwareExitCode;
    ///
    /// assert_eq!(SoftwareExitCode::HOST_SW.into_bits(), 0xf000_0000);
    /// ```
    pub struct SoftwareExitCode(u64) {
        /// Reserved for software of the host.
        HOST_SW = 0xf000_0000 aka "SVM_EXIT_SW";
    }
}

codes! {
    /// Error codes of #VC that are not exit codes. All others are the exit code of the event.
    ///
    /// AMD APM vol. 2, section 15.35.5, "#VC Exception", section 15.36.10, "RMP and VMPL Access Checks", and section 15.36.21.4,
    /// "Guest APIC Backing Page".
    ///
    /// ```
    /// use x86_virt_svm::VcErrorCode;
    ///
    /// assert_eq!(VcErrorCode::from_bits(0x404), VcErrorCode::PAGE_NOT_VALIDATED);
    /// ```
    pub struct VcErrorCode(u64) {
        /// The guest accessed a private page that it has not validated. Its address is in CR2.
        PAGE_NOT_VALIDATED = 0x404;
        /// The backing page of Secure AVIC is not validated. The access cannot be restarted.
        NOT_RESTARTABLE = 0x406;
    }
}

/// [`ExitCode::INVALID`] where only 32 bits are stored, as QEMU 7.2 does.
const INVALID_32: u64 = 0xffff_ffff;

impl ExitCode {
    /// Whether VMRUN refused the state of the guest: [`INVALID`](Self::INVALID), in 64 bits or in 32.
    #[must_use]
    pub const fn is_invalid(self) -> bool {
        self.0 == Self::INVALID.0 || self.0 == INVALID_32
    }

    /// Whether the guest did not run at all.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        self.is_invalid() || self.0 == Self::BUSY.0 || self.0 == Self::IDLE_REQUIRED.0 || self.0 == Self::INVALID_PMC.0
    }

    /// Whether an instruction of the guest was intercepted before it was executed.
    #[must_use]
    pub const fn is_instruction(self) -> bool {
        matches!(self.0, 0x00..=0x3f | 0x65..=0x7c | 0x80..=0x8e | 0xa0..=0xa4 | 0xa6)
    }

    /// The vector of the exception that was intercepted, if one was.
    ///
    /// ```
    /// use x86_virt_svm::ExitCode;
    ///
    /// assert_eq!(ExitCode::EXCP_PF.exception(), Some(14));
    /// assert_eq!(ExitCode::NPF.exception(), None);
    /// ```
    #[must_use]
    pub fn exception(self) -> Option<u8> {
        let vector = self.0.checked_sub(Self::EXCP_DE.0).filter(|vector| *vector < 32)?;
        u8::try_from(vector).ok()
    }

    /// What a processor must have to report the code. Empty if every processor with SVM may.
    pub(crate) const fn requires(self) -> &'static str {
        match self {
            Self::XSETBV => "CPUID Fn0000_0001 ECX.XSAVE",
            Self::RDTSCP => "CPUID Fn8000_0001 EDX.RDTSCP",
            Self::MONITOR | Self::MWAIT | Self::MWAIT_CONDITIONAL => "CPUID Fn0000_0001 ECX.MONITOR",
            Self::RDPRU => "CPUID Fn8000_0008 EBX.RDPRU",
            Self::INVLPGB | Self::ILLEGAL_INVLPGB | Self::TLBSYNC => "CPUID Fn8000_0008 EBX.INVLPGB",
            Self::INVPCID => "CPUID Fn0000_0007 EBX.INVPCID",
            Self::MCOMMIT => "CPUID Fn8000_0008 EBX.MCOMMIT",
            Self::BUSLOCK => "CPUID Fn8000_000A EDX.BusLockThreshold",
            Self::IDLE_HLT => "CPUID Fn8000_000A EDX.IdleHltIntercept",
            Self::NPF => "CPUID Fn8000_000A EDX.NP",
            Self::AVIC_INCOMPLETE_IPI | Self::AVIC_NOACCEL => "CPUID Fn8000_000A EDX.AVIC",
            Self::VMGEXIT | Self::BUSY => "CPUID Fn8000_001F EAX.SEV-ES",
            Self::IDLE_REQUIRED => "CPUID Fn8000_001F EAX.SmtProtection",
            Self::INVALID_PMC => "CPUID Fn8000_001F EAX.PmcVirtGuestCtl",
            Self(0x8f..=0x9f) => "CPUID Fn8000_001F EAX.SEV-ES",
            Self(_) => "",
        }
    }
}

/// Visits the rows of the tables of this file.
pub(crate) fn exit_code_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    code_rows("svm_exit_code", "", ExitCode::ALL, &mut |row| {
        visit(&TableRow { requires: &ExitCode::from_bits(row.encoding).requires(), ..*row });
    });
    code_rows("svm_software_exit_code", "", SoftwareExitCode::ALL, visit);
    code_rows("svm_vc_error_code", "", VcErrorCode::ALL, visit);
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::{ExitCode, SoftwareExitCode, VcErrorCode, exit_code_rows};

    #[test]
    fn intercepts_have_codes_without_a_gap() {
        let low: Vec<u64> = ExitCode::ALL.iter().map(|code| code.value).take_while(|&code| code < 0x400).collect();
        assert_eq!(low, (0..=0xa6).collect::<Vec<u64>>());
    }

    #[test]
    fn there_are_175_codes_and_one_that_is_provisional() {
        assert_eq!(ExitCode::ALL.iter().filter(|code| !code.provisional).count(), 167 + 4 + 4);
        let provisional: Vec<_> = ExitCode::ALL.iter().filter(|code| code.provisional).map(|code| code.value).collect();
        assert_eq!(provisional, if cfg!(feature = "provisional") { Vec::from([0x407]) } else { Vec::new() });
        assert_eq!((SoftwareExitCode::ALL.len(), VcErrorCode::ALL.len()), (1, 2));
    }

    #[test]
    fn codes_have_the_values_of_the_manual() {
        for (code, value, name) in [
            (ExitCode::CR8_WRITE, 0x18, "CR8_WRITE"),
            (ExitCode::EXCP_PF, 0x4e, "EXCP_PF"),
            (ExitCode::INTR, 0x60, "INTR"),
            (ExitCode::IOIO, 0x7b, "IOIO"),
            (ExitCode::VMMCALL, 0x81, "VMMCALL"),
            (ExitCode::XSETBV, 0x8d, "XSETBV"),
            (ExitCode::CR3_WRITE_TRAP, 0x93, "CR3_WRITE_TRAP"),
            (ExitCode::TLBSYNC, 0xa4, "TLBSYNC"),
            (ExitCode::NPF, 0x400, "NPF"),
            (ExitCode::VMGEXIT, 0x403, "VMGEXIT"),
            (ExitCode::INVALID, u64::MAX, "INVALID"),
            (ExitCode::INVALID_PMC, u64::MAX - 3, "INVALID_PMC"),
        ] {
            assert_eq!((code.into_bits(), code.to_string().as_str()), (value, name));
        }
        // #VC error codes are not exit codes.
        assert_eq!((ExitCode::from_bits(0x404).name(), ExitCode::from_bits(0x406).name()), (None, None));
    }

    #[test]
    fn invalid_is_recognised_in_64_and_32_bits() {
        assert!(ExitCode::INVALID.is_invalid() && ExitCode::from_bits(0xffff_ffff).is_invalid());
        assert!(ExitCode::BUSY.is_refusal() && !ExitCode::BUSY.is_invalid() && !ExitCode::NPF.is_refusal());
    }

    #[test]
    fn rows_say_what_a_code_needs() {
        let mut needs = Vec::new();
        exit_code_rows(&mut |row| {
            if row.name == "IDLE_HLT" || row.name == "CPUID" {
                needs.push((row.encoding, row.requires.to_string()));
            }
        });
        assert_eq!(needs, [(0x72, "".to_string()), (0xa6, "CPUID Fn8000_000A EDX.IdleHltIntercept".to_string())]);
    }

    proptest! {
        #[test]
        fn every_value_is_kept(value: u64) {
            prop_assert_eq!(ExitCode::from_bits(value).into_bits(), value);
            prop_assert!(!ExitCode::from_bits(value).to_string().is_empty());
        }
    }
}
