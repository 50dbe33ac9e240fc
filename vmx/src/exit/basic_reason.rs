//! Basic exit reasons.

use x86_virt_core::codes;

codes! {
    /// A basic exit reason: why the processor left the guest.
    ///
    /// Intel SDM vol. 3, appendix C, "VMX Basic Exit Reasons".
    ///
    /// ```
    /// use x86_virt_vmx::BasicExitReason;
    ///
    /// assert_eq!(BasicExitReason::CPUID.into_bits(), 10);
    /// assert_eq!(BasicExitReason::from_bits(10).to_string(), "CPUID");
    /// assert_eq!(BasicExitReason::from_bits(35).to_string(), "35");
    /// ```
    pub struct BasicExitReason(u16) {
        /// Exception or non-maskable interrupt.
        EXCEPTION_OR_NMI = 0 aka "EXIT_REASON_EXCEPTION_NMI" "VMX_VMEXIT_EXCEPTION_NMI";
        /// External interrupt.
        EXTERNAL_INTERRUPT = 1 aka "EXIT_REASON_EXTERNAL_INTERRUPT" "VMX_VMEXIT_EXTERNAL_INTERRUPT";
        /// Triple fault.
        TRIPLE_FAULT = 2 aka "EXIT_REASON_TRIPLE_FAULT" "VMX_VMEXIT_TRIPLE_FAULT";
        /// INIT signal.
        INIT_SIGNAL = 3 aka "EXIT_REASON_INIT_SIGNAL" "VMX_VMEXIT_INIT";
        /// Start-up IPI (SIPI).
        STARTUP_IPI = 4 aka "EXIT_REASON_SIPI_SIGNAL" "VMX_VMEXIT_SIPI";
        /// I/O system-management interrupt.
        IO_SMI = 5 aka "VMX_VMEXIT_IO_SMI";
        /// Other system-management interrupt.
        OTHER_SMI = 6 aka "VMX_VMEXIT_SMI";
        /// Interrupt window.
        INTERRUPT_WINDOW = 7 aka "EXIT_REASON_INTERRUPT_WINDOW" "VMX_VMEXIT_INTERRUPT_WINDOW";
        /// NMI window.
        NMI_WINDOW = 8 aka "EXIT_REASON_NMI_WINDOW" "VMX_VMEXIT_NMI_WINDOW";
        /// Task switch.
        TASK_SWITCH = 9 aka "EXIT_REASON_TASK_SWITCH" "VMX_VMEXIT_TASK_SWITCH";
        /// CPUID.
        CPUID = 10 aka "EXIT_REASON_CPUID" "VMX_VMEXIT_CPUID";
        /// GETSEC.
        GETSEC = 11 aka "VMX_VMEXIT_GETSEC";
        /// HLT.
        HLT = 12 aka "EXIT_REASON_HLT" "VMX_VMEXIT_HLT";
        /// INVD.
        INVD = 13 aka "EXIT_REASON_INVD" "VMX_VMEXIT_INVD";
        /// INVLPG.
        INVLPG = 14 aka "EXIT_REASON_INVLPG" "VMX_VMEXIT_INVLPG";
        /// RDPMC.
        RDPMC = 15 aka "EXIT_REASON_RDPMC" "VMX_VMEXIT_RDPMC";
        /// RDTSC.
        RDTSC = 16 aka "EXIT_REASON_RDTSC" "VMX_VMEXIT_RDTSC";
        /// RSM.
        RSM = 17 aka "VMX_VMEXIT_RSM";
        /// VMCALL.
        VMCALL = 18 aka "EXIT_REASON_VMCALL" "VMX_VMEXIT_VMCALL";
        /// VMCLEAR.
        VMCLEAR = 19 aka "EXIT_REASON_VMCLEAR" "VMX_VMEXIT_VMCLEAR";
        /// VMLAUNCH.
        VMLAUNCH = 20 aka "EXIT_REASON_VMLAUNCH" "VMX_VMEXIT_VMLAUNCH";
        /// VMPTRLD.
        VMPTRLD = 21 aka "EXIT_REASON_VMPTRLD" "VMX_VMEXIT_VMPTRLD";
        /// VMPTRST.
        VMPTRST = 22 aka "EXIT_REASON_VMPTRST" "VMX_VMEXIT_VMPTRST";
        /// VMREAD.
        VMREAD = 23 aka "EXIT_REASON_VMREAD" "VMX_VMEXIT_VMREAD";
        /// VMRESUME.
        VMRESUME = 24 aka "EXIT_REASON_VMRESUME" "VMX_VMEXIT_VMRESUME";
        /// VMWRITE.
        VMWRITE = 25 aka "EXIT_REASON_VMWRITE" "VMX_VMEXIT_VMWRITE";
        /// VMXOFF.
        VMXOFF = 26 aka "EXIT_REASON_VMOFF" "VMX_VMEXIT_VMXOFF";
        /// VMXON.
        VMXON = 27 aka "EXIT_REASON_VMON" "VMX_VMEXIT_VMXON";
        /// Control-register access.
        CONTROL_REGISTER_ACCESS = 28 aka "EXIT_REASON_CR_ACCESS" "VMX_VMEXIT_CR_ACCESS";
        /// MOV DR.
        MOV_DR = 29 aka "EXIT_REASON_DR_ACCESS" "VMX_VMEXIT_DR_ACCESS";
        /// I/O instruction.
        IO_INSTRUCTION = 30 aka "EXIT_REASON_IO_INSTRUCTION" "VMX_VMEXIT_IO_INSTRUCTION";
        /// RDMSR.
        RDMSR = 31 aka "EXIT_REASON_MSR_READ" "VMX_VMEXIT_RDMSR";
        /// WRMSR or WRMSRNS.
        WRMSR = 32 aka "EXIT_REASON_MSR_WRITE" "VMX_VMEXIT_WRMSR";
        /// VM-entry failure because of the guest state.
        INVALID_GUEST_STATE = 33 aka "EXIT_REASON_INVALID_STATE" "VMX_VMEXIT_VMENTRY_FAILURE_GUEST_STATE";
        /// VM-entry failure because of MSR loading.
        MSR_LOADING = 34 aka "EXIT_REASON_MSR_LOAD_FAIL" "VMX_VMEXIT_VMENTRY_FAILURE_MSR";
        /// MWAIT.
        MWAIT = 36 aka "EXIT_REASON_MWAIT_INSTRUCTION" "VMX_VMEXIT_MWAIT";
        /// Monitor trap flag.
        MONITOR_TRAP_FLAG = 37 aka "EXIT_REASON_MONITOR_TRAP_FLAG" "VMX_VMEXIT_MONITOR_TRAP_FLAG";
        /// MONITOR.
        MONITOR = 39 aka "EXIT_REASON_MONITOR_INSTRUCTION" "VMX_VMEXIT_MONITOR";
        /// PAUSE.
        PAUSE = 40 aka "EXIT_REASON_PAUSE_INSTRUCTION" "VMX_VMEXIT_PAUSE";
        /// VM-entry failure because of a machine check.
        MACHINE_CHECK_DURING_ENTRY = 41 aka "EXIT_REASON_MCE_DURING_VMENTRY" "VMX_VMEXIT_VMENTRY_FAILURE_MCA";
        /// TPR below threshold.
        TPR_BELOW_THRESHOLD = 43 aka "EXIT_REASON_TPR_BELOW_THRESHOLD" "VMX_VMEXIT_TPR_THRESHOLD";
        /// APIC access.
        APIC_ACCESS = 44 aka "EXIT_REASON_APIC_ACCESS" "VMX_VMEXIT_APIC_ACCESS";
        /// Virtualized EOI.
        VIRTUALIZED_EOI = 45 aka "EXIT_REASON_EOI_INDUCED" "VMX_VMEXIT_VIRTUALIZED_EOI";
        /// Access to GDTR or IDTR: LGDT, LIDT, SGDT, SIDT.
        GDTR_OR_IDTR_ACCESS = 46 aka "EXIT_REASON_GDTR_IDTR" "VMX_VMEXIT_GDTR_IDTR_ACCESS";
        /// Access to LDTR or TR: LLDT, LTR, SLDT, STR.
        LDTR_OR_TR_ACCESS = 47 aka "EXIT_REASON_LDTR_TR" "VMX_VMEXIT_LDTR_TR_ACCESS";
        /// EPT violation.
        EPT_VIOLATION = 48 aka "EXIT_REASON_EPT_VIOLATION" "VMX_VMEXIT_EPT_VIOLATION";
        /// EPT misconfiguration.
        EPT_MISCONFIGURATION = 49 aka "EXIT_REASON_EPT_MISCONFIG" "VMX_VMEXIT_EPT_MISCONFIGURATION";
        /// INVEPT.
        INVEPT = 50 aka "EXIT_REASON_INVEPT" "VMX_VMEXIT_INVEPT";
        /// RDTSCP.
        RDTSCP = 51 aka "EXIT_REASON_RDTSCP" "VMX_VMEXIT_RDTSCP";
        /// VMX-preemption timer expired.
        PREEMPTION_TIMER_EXPIRED = 52 aka "EXIT_REASON_PREEMPTION_TIMER" "VMX_VMEXIT_VMX_PREEMPTION_TIMER_EXPIRED";
        /// INVVPID.
        INVVPID = 53 aka "EXIT_REASON_INVVPID" "VMX_VMEXIT_INVVPID";
        /// WBINVD or WBNOINVD.
        WBINVD = 54 aka "EXIT_REASON_WBINVD" "VMX_VMEXIT_WBINVD";
        /// XSETBV.
        XSETBV = 55 aka "EXIT_REASON_XSETBV" "VMX_VMEXIT_XSETBV";
        /// APIC write.
        APIC_WRITE = 56 aka "EXIT_REASON_APIC_WRITE" "VMX_VMEXIT_APIC_WRITE";
        /// RDRAND.
        RDRAND = 57 aka "EXIT_REASON_RDRAND" "VMX_VMEXIT_RDRAND";
        /// INVPCID.
        INVPCID = 58 aka "EXIT_REASON_INVPCID" "VMX_VMEXIT_INVPCID";
        /// VMFUNC.
        VMFUNC = 59 aka "EXIT_REASON_VMFUNC" "VMX_VMEXIT_VMFUNC";
        /// ENCLS.
        ENCLS = 60 aka "EXIT_REASON_ENCLS" "VMX_VMEXIT_ENCLS";
        /// RDSEED.
        RDSEED = 61 aka "EXIT_REASON_RDSEED" "VMX_VMEXIT_RDSEED";
        /// Page-modification log full.
        PAGE_MODIFICATION_LOG_FULL = 62 aka "EXIT_REASON_PML_FULL" "VMX_VMEXIT_PML_LOGFULL";
        /// XSAVES.
        XSAVES = 63 aka "EXIT_REASON_XSAVES" "VMX_VMEXIT_XSAVES";
        /// XRSTORS.
        XRSTORS = 64 aka "EXIT_REASON_XRSTORS" "VMX_VMEXIT_XRSTORS";
        /// PCONFIG.
        PCONFIG = 65 aka "VMX_VMEXIT_PCONFIG";
        /// SPP-related event: a miss or a misconfiguration of sub-page permissions.
        SPP_RELATED_EVENT = 66 aka "VMX_VMEXIT_SPP";
        /// UMWAIT.
        UMWAIT = 67 aka "EXIT_REASON_UMWAIT" "VMX_VMEXIT_UMWAIT";
        /// TPAUSE.
        TPAUSE = 68 aka "EXIT_REASON_TPAUSE" "VMX_VMEXIT_TPAUSE";
        /// LOADIWKEY.
        LOADIWKEY = 69 aka "VMX_VMEXIT_LOADIWKEY";
        /// ENCLV.
        ENCLV = 70 aka "VMX_VMEXIT_ENCLV";
        /// PASID translation of ENQCMD.
        ENQCMD_PASID = 72 aka "VMX_VMEXIT_ENQCMD_PASID";
        /// PASID translation of ENQCMDS.
        ENQCMDS_PASID = 73 aka "VMX_VMEXIT_ENQCMDS_PASID";
        /// Bus lock asserted.
        BUS_LOCK = 74 aka "EXIT_REASON_BUS_LOCK" "VMX_VMEXIT_BUS_LOCK";
        /// Instruction timeout.
        INSTRUCTION_TIMEOUT = 75 aka "EXIT_REASON_NOTIFY" "VMX_VMEXIT_INSTRUCTION_TIMEOUT";
        /// SEAMCALL.
        SEAMCALL = 76 aka "EXIT_REASON_SEAMCALL" "VMX_VMEXIT_SEAMCALL";
        /// TDCALL.
        TDCALL = 77 aka "EXIT_REASON_TDCALL" "VMX_VMEXIT_TDCALL";
        /// RDMSRLIST.
        RDMSRLIST = 78 aka "EXIT_REASON_RDMSRLIST" "VMX_VMEXIT_RDMSRLIST";
        /// WRMSRLIST.
        WRMSRLIST = 79 aka "EXIT_REASON_WRMSRLIST" "VMX_VMEXIT_WRMSRLIST";
        /// URDMSR.
        URDMSR = 80 aka "EXIT_REASON_URDMSR" "VMX_VMEXIT_URDMSR";
        /// UWRMSR.
        UWRMSR = 81 aka "EXIT_REASON_UWRMSR" "VMX_VMEXIT_UWRMSR";
        /// RDMSR with an immediate operand.
        RDMSR_IMMEDIATE = 84 aka "EXIT_REASON_MSR_READ_IMM" "VMX_VMEXIT_RDMSR_IMM";
        /// WRMSRNS with an immediate operand.
        WRMSRNS_IMMEDIATE = 85 aka "EXIT_REASON_MSR_WRITE_IMM" "VMX_VMEXIT_WRMSRNS";
    }
}

impl BasicExitReason {
    /// Whether an event whose delivery was interrupted may come with the exit.
    ///
    /// Instructions, windows and timers end a run between events.
    #[inline]
    pub(crate) const fn may_interrupt_delivery(self) -> bool {
        /// Those below 64.
        const FEW: u64 = set(&[
            BasicExitReason::EXCEPTION_OR_NMI,
            BasicExitReason::EXTERNAL_INTERRUPT,
            BasicExitReason::TASK_SWITCH,
            BasicExitReason::APIC_ACCESS,
            BasicExitReason::EPT_VIOLATION,
            BasicExitReason::EPT_MISCONFIGURATION,
            BasicExitReason::PAGE_MODIFICATION_LOG_FULL,
        ]);
        self.is_in(FEW) || matches!(self, Self::SPP_RELATED_EVENT | Self::INSTRUCTION_TIMEOUT)
    }

    /// Whether an exit may be the library's own, so that the guest goes on: a window, a task priority that an interrupt waits for, a page
    /// that the dirty log waits for, or an exception that leaves the guest for the host's sake.
    #[inline]
    pub(crate) const fn may_be_own(self) -> bool {
        const FEW: u64 = set(&[
            BasicExitReason::EXCEPTION_OR_NMI,
            BasicExitReason::INTERRUPT_WINDOW,
            BasicExitReason::NMI_WINDOW,
            BasicExitReason::TPR_BELOW_THRESHOLD,
            BasicExitReason::EPT_VIOLATION,
            BasicExitReason::PAGE_MODIFICATION_LOG_FULL,
        ]);
        self.is_in(FEW)
    }

    /// Whether it is one of `set`, all of which are below 64.
    #[inline]
    const fn is_in(self, set: u64) -> bool {
        let number = self.into_bits();
        number < 64 && set >> number & 1 != 0
    }

    /// Whether an instruction ended the run, so that its length is known.
    #[inline]
    pub(crate) fn is_instruction(self) -> bool {
        (Self::TASK_SWITCH..=Self::WRMSR).contains(&self)
            || (Self::INVVPID..=Self::XSETBV).contains(&self)
            || (Self::RDRAND..=Self::RDSEED).contains(&self)
            || (Self::XSAVES..=Self::PCONFIG).contains(&self)
            || (Self::UMWAIT..=Self::ENQCMDS_PASID).contains(&self)
            || (Self::SEAMCALL..=Self::UWRMSR).contains(&self)
            || matches!(
                self,
                Self::MWAIT
                    | Self::MONITOR
                    | Self::PAUSE
                    | Self::GDTR_OR_IDTR_ACCESS
                    | Self::LDTR_OR_TR_ACCESS
                    | Self::INVEPT
                    | Self::RDTSCP
                    | Self::APIC_ACCESS
                    | Self::EPT_VIOLATION
                    | Self::EPT_MISCONFIGURATION
                    | Self::RDMSR_IMMEDIATE
                    | Self::WRMSRNS_IMMEDIATE
            )
    }
}

/// One bit for each of `reasons`.
const fn set(mut reasons: &[BasicExitReason]) -> u64 {
    let mut set = 0;
    while let [first, rest @ ..] = reasons {
        set |= 1 << first.into_bits();
        reasons = rest;
    }
    set
}

#[cfg(test)]
mod tests {
    use super::BasicExitReason;

    #[test]
    fn eighty_of_the_numbers_up_to_85_have_a_name() {
        let reserved = [35, 38, 42, 71, 82, 83];
        let named: Vec<u16> =
            (0..=u16::MAX).filter(|&number| BasicExitReason::from_bits(number).name().is_some()).collect();
        let expected: Vec<u16> = (0..=85).filter(|number| !reserved.contains(number)).collect();
        assert_eq!(named, expected);
        assert_eq!((named.len(), BasicExitReason::ALL.len()), (80, 80));
    }

    #[test]
    fn an_instruction_has_a_length() {
        for reason in [
            BasicExitReason::CPUID,
            BasicExitReason::VMXON,
            BasicExitReason::WBINVD,
            BasicExitReason::LOADIWKEY,
            BasicExitReason::URDMSR,
            BasicExitReason::WRMSRNS_IMMEDIATE,
        ] {
            assert!(reason.is_instruction(), "{reason}");
        }
        for reason in [
            BasicExitReason::EXTERNAL_INTERRUPT,
            BasicExitReason::INVALID_GUEST_STATE,
            BasicExitReason::PREEMPTION_TIMER_EXPIRED,
            BasicExitReason::APIC_WRITE,
            BasicExitReason::PAGE_MODIFICATION_LOG_FULL,
            BasicExitReason::SPP_RELATED_EVENT,
            BasicExitReason::BUS_LOCK,
            BasicExitReason::from_bits(82),
        ] {
            assert!(!reason.is_instruction(), "{reason}");
        }
    }
}
