//! Exit codes, which are also the numbers of the intercepts.

use core::fmt;

/// Why the processor left the guest: EXITCODE of the VMCB.
///
/// The codes 0 to a6h are those of the intercepts: word `code / 32` and bit `code % 32` of the intercept vectors. A code that
/// has no name here keeps its value.
///
/// AMD APM vol. 2, appendix C, "SVM Intercept Exit Codes".
///
/// ```
/// use x86_virt_svm::ExitCode;
///
/// assert_eq!(ExitCode::CPUID.get(), 0x72);
/// assert_eq!(ExitCode::CPUID.to_string(), "CPUID");
/// assert_eq!(ExitCode::new(0x1234).to_string(), "0x1234");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ExitCode(u64);

/// Defines the constants and their names from one table.
macro_rules! exit_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl ExitCode {
            $(
                $(#[$doc])*
                pub const $name: Self = Self($code);
            )*

            /// All codes that have a name.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The manual's name without `VMEXIT_`, if the code has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                Some(match self.0 {
                    $($code => stringify!($name),)*
                    _ => return None,
                })
            }
        }
    };
}

exit_codes! {
    /// Read of CR0.
    CR0_READ = 0x0;
    /// Read of CR1.
    CR1_READ = 0x1;
    /// Read of CR2.
    CR2_READ = 0x2;
    /// Read of CR3.
    CR3_READ = 0x3;
    /// Read of CR4.
    CR4_READ = 0x4;
    /// Read of CR5.
    CR5_READ = 0x5;
    /// Read of CR6.
    CR6_READ = 0x6;
    /// Read of CR7.
    CR7_READ = 0x7;
    /// Read of CR8.
    CR8_READ = 0x8;
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
    CR0_WRITE = 0x10;
    /// Write of CR1.
    CR1_WRITE = 0x11;
    /// Write of CR2.
    CR2_WRITE = 0x12;
    /// Write of CR3.
    CR3_WRITE = 0x13;
    /// Write of CR4.
    CR4_WRITE = 0x14;
    /// Write of CR5.
    CR5_WRITE = 0x15;
    /// Write of CR6.
    CR6_WRITE = 0x16;
    /// Write of CR7.
    CR7_WRITE = 0x17;
    /// Write of CR8.
    CR8_WRITE = 0x18;
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
    DR0_READ = 0x20;
    /// Read of DR1.
    DR1_READ = 0x21;
    /// Read of DR2.
    DR2_READ = 0x22;
    /// Read of DR3.
    DR3_READ = 0x23;
    /// Read of DR4.
    DR4_READ = 0x24;
    /// Read of DR5.
    DR5_READ = 0x25;
    /// Read of DR6.
    DR6_READ = 0x26;
    /// Read of DR7.
    DR7_READ = 0x27;
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
    DR0_WRITE = 0x30;
    /// Write of DR1.
    DR1_WRITE = 0x31;
    /// Write of DR2.
    DR2_WRITE = 0x32;
    /// Write of DR3.
    DR3_WRITE = 0x33;
    /// Write of DR4.
    DR4_WRITE = 0x34;
    /// Write of DR5.
    DR5_WRITE = 0x35;
    /// Write of DR6.
    DR6_WRITE = 0x36;
    /// Write of DR7.
    DR7_WRITE = 0x37;
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
    EXCP_DE = 0x40;
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
    EXCP_31 = 0x5f;
    /// Physical maskable interrupt.
    INTR = 0x60;
    /// Physical non-maskable interrupt.
    NMI = 0x61;
    /// System-management interrupt.
    SMI = 0x62;
    /// INIT signal.
    INIT = 0x63;
    /// Virtual interrupt.
    VINTR = 0x64;
    /// Write to CR0 that changes other bits than TS and MP.
    CR0_SEL_WRITE = 0x65;
    /// Read of IDTR.
    IDTR_READ = 0x66;
    /// Read of GDTR.
    GDTR_READ = 0x67;
    /// Read of LDTR.
    LDTR_READ = 0x68;
    /// Read of TR.
    TR_READ = 0x69;
    /// Write of IDTR.
    IDTR_WRITE = 0x6a;
    /// Write of GDTR.
    GDTR_WRITE = 0x6b;
    /// Write of LDTR.
    LDTR_WRITE = 0x6c;
    /// Write of TR.
    TR_WRITE = 0x6d;
    /// RDTSC.
    RDTSC = 0x6e;
    /// RDPMC.
    RDPMC = 0x6f;
    /// PUSHF.
    PUSHF = 0x70;
    /// POPF.
    POPF = 0x71;
    /// CPUID.
    CPUID = 0x72;
    /// RSM.
    RSM = 0x73;
    /// IRET.
    IRET = 0x74;
    /// `INT n`.
    SWINT = 0x75;
    /// INVD.
    INVD = 0x76;
    /// PAUSE.
    PAUSE = 0x77;
    /// HLT.
    HLT = 0x78;
    /// INVLPG.
    INVLPG = 0x79;
    /// INVLPGA.
    INVLPGA = 0x7a;
    /// IN, OUT, INS or OUTS.
    IOIO = 0x7b;
    /// RDMSR or WRMSR.
    MSR = 0x7c;
    /// Task switch.
    TASK_SWITCH = 0x7d;
    /// FERR freeze of a legacy x87.
    FERR_FREEZE = 0x7e;
    /// Shutdown.
    SHUTDOWN = 0x7f;
    /// VMRUN.
    VMRUN = 0x80;
    /// VMMCALL.
    VMMCALL = 0x81;
    /// VMLOAD.
    VMLOAD = 0x82;
    /// VMSAVE.
    VMSAVE = 0x83;
    /// STGI.
    STGI = 0x84;
    /// CLGI.
    CLGI = 0x85;
    /// SKINIT.
    SKINIT = 0x86;
    /// RDTSCP.
    RDTSCP = 0x87;
    /// INT1.
    ICEBP = 0x88;
    /// WBINVD.
    WBINVD = 0x89;
    /// MONITOR.
    MONITOR = 0x8a;
    /// MWAIT.
    MWAIT = 0x8b;
    /// MWAIT while the monitor is armed.
    MWAIT_CONDITIONAL = 0x8c;
    /// XSETBV.
    XSETBV = 0x8d;
    /// RDPRU.
    RDPRU = 0x8e;
    /// After a write to EFER.
    EFER_WRITE_TRAP = 0x8f;
    /// After a write to CR0.
    CR0_WRITE_TRAP = 0x90;
    /// After a write to CR1.
    CR1_WRITE_TRAP = 0x91;
    /// After a write to CR2.
    CR2_WRITE_TRAP = 0x92;
    /// After a write to CR3.
    CR3_WRITE_TRAP = 0x93;
    /// After a write to CR4.
    CR4_WRITE_TRAP = 0x94;
    /// After a write to CR5.
    CR5_WRITE_TRAP = 0x95;
    /// After a write to CR6.
    CR6_WRITE_TRAP = 0x96;
    /// After a write to CR7.
    CR7_WRITE_TRAP = 0x97;
    /// After a write to CR8.
    CR8_WRITE_TRAP = 0x98;
    /// After a write to CR9.
    CR9_WRITE_TRAP = 0x99;
    /// After a write to CR10.
    CR10_WRITE_TRAP = 0x9a;
    /// After a write to CR11.
    CR11_WRITE_TRAP = 0x9b;
    /// After a write to CR12.
    CR12_WRITE_TRAP = 0x9c;
    /// After a write to CR13.
    CR13_WRITE_TRAP = 0x9d;
    /// After a write to CR14.
    CR14_WRITE_TRAP = 0x9e;
    /// After a write to CR15.
    CR15_WRITE_TRAP = 0x9f;
    /// INVLPGB.
    INVLPGB = 0xa0;
    /// INVLPGB that is not allowed.
    ILLEGAL_INVLPGB = 0xa1;
    /// INVPCID.
    INVPCID = 0xa2;
    /// MCOMMIT.
    MCOMMIT = 0xa3;
    /// TLBSYNC.
    TLBSYNC = 0xa4;
    /// Bus lock threshold.
    BUSLOCK = 0xa5;
    /// HLT with no virtual interrupt pending.
    IDLE_HLT = 0xa6;
    /// Nested page fault.
    NPF = 0x400;
    /// AVIC: an IPI that was not delivered in full.
    AVIC_INCOMPLETE_IPI = 0x401;
    /// AVIC: an access that is not accelerated.
    AVIC_NOACCEL = 0x402;
    /// VMGEXIT of an SEV-ES guest.
    VMGEXIT = 0x403;
    /// Invalid guest state in the VMCB.
    INVALID = 0xffff_ffff_ffff_ffff;
    /// The VMSA is in use.
    BUSY = 0xffff_ffff_ffff_fffe;
    /// A sibling thread is not idle.
    IDLE_REQUIRED = 0xffff_ffff_ffff_fffd;
    /// Invalid state of a performance counter.
    INVALID_PMC = 0xffff_ffff_ffff_fffc;
}

/// [`ExitCode::INVALID`] where only 32 bits are stored, as QEMU 7.2 does.
const INVALID_32: u64 = 0xffff_ffff;

impl ExitCode {
    /// The code with this value.
    #[must_use]
    pub const fn new(code: u64) -> Self {
        Self(code)
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

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
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

impl fmt::Debug for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExitCode({self})")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::ExitCode;

    #[test]
    fn intercepts_have_codes_without_a_gap() {
        let low: std::vec::Vec<u64> =
            ExitCode::ALL.iter().map(|code| code.get()).take_while(|&code| code < 0x400).collect();
        assert_eq!(low, (0..=0xa6).collect::<std::vec::Vec<u64>>());
        assert_eq!(ExitCode::ALL.len(), 167 + 4 + 4);
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
            (ExitCode::NPF, 0x400, "NPF"),
            (ExitCode::INVALID, u64::MAX, "INVALID"),
        ] {
            assert_eq!((code.get(), code.to_string().as_str()), (value, name));
        }
        assert_eq!(ExitCode::new(0x404).to_string(), "0x404");
    }

    #[test]
    fn invalid_is_recognised_in_64_and_32_bits() {
        assert!(ExitCode::INVALID.is_invalid() && ExitCode::new(0xffff_ffff).is_invalid());
        assert!(ExitCode::BUSY.is_refusal() && !ExitCode::BUSY.is_invalid() && !ExitCode::NPF.is_refusal());
    }
}
