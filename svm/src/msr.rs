//! MSRs of SVM: their numbers, and those of their words that have no file of their own.

use x86_virt_core::{Gpa, TableRow, code_rows, codes, register, register_rows};

use crate::ghcb_msr::GhcbMsr;
use crate::sev::SevStatus;
use crate::tsc_ratio::TscRatio;
use crate::vm_cr::VmCr;

codes! {
    /// An MSR of SVM.
    ///
    /// AMD APM vol. 2, section 15.30, "SVM Related MSRs", and appendix A, "MSR Cross-Reference".
    ///
    /// ```
    /// use x86_virt_svm::SvmMsr;
    ///
    /// assert_eq!(SvmMsr::VM_CR.into_bits(), 0xc001_0114);
    /// assert_eq!(SvmMsr::from_bits(0xc001_0117).to_string(), "VM_HSAVE_PA");
    /// ```
    pub struct SvmMsr(u32) {
        /// TSC ratio: [`TscRatio`](crate::TscRatio).
        ///
        /// AMD APM vol. 2, section 15.30.5, "TSC Ratio MSR (C000_0104h)".
        TSC_RATIO = 0xc000_0104 aka "MSR_AMD64_TSC_RATIO";
        /// Global controls of SVM: [`VmCr`](crate::VmCr).
        ///
        /// AMD APM vol. 2, section 15.30.1, "VM_CR MSR (C001_0114h)".
        VM_CR = 0xc001_0114 aka "MSR_VM_CR";
        /// Bit 0 is the state of the IGNNE signal.
        ///
        /// AMD APM vol. 2, section 15.30.2, "IGNNE MSR (C001_0115h)".
        IGNNE = 0xc001_0115 aka "MSR_VM_IGNNE";
        /// Control of SMM: [`SmmCtl`].
        ///
        /// AMD APM vol. 2, section 15.30.3, "SMM_CTL MSR (C001_0116h)".
        SMM_CTL = 0xc001_0116;
        /// Physical address of the host save area.
        ///
        /// AMD APM vol. 2, section 15.30.4, "VM_HSAVE_PA MSR (C001_0117h)".
        VM_HSAVE_PA = 0xc001_0117 aka "MSR_VM_HSAVE_PA";
        /// Key that clears VM_CR.LOCK.
        ///
        /// AMD APM vol. 2, section 15.31.1, "SVM_KEY MSR (C001_0118h)".
        SVM_KEY = 0xc001_0118;
        /// Key that clears HWCR.SmmLock.
        ///
        /// AMD APM vol. 2, section 15.32.2, "SMM_KEY MSR (C001_0119h)".
        SMM_KEY = 0xc001_0119 aka "SMM_KEY_MSR";
        /// Doorbell of AVIC: [`AvicDoorbell`](crate::AvicDoorbell).
        ///
        /// AMD APM vol. 2, section 15.29.8.2, "Doorbell Mechanism".
        AVIC_DOORBELL = 0xc001_011b aka "MSR_AMD64_SVM_AVIC_DOORBELL";
        /// Flushes a page of an encrypted guest from the caches: [`VmpageFlush`].
        ///
        /// AMD APM vol. 2, section 15.34.9, "Page Flush MSR".
        VMPAGE_FLUSH = 0xc001_011e aka "MSR_AMD64_VM_PAGE_FLUSH";
        /// SPEC_CTRL as hypervisors give it to guests. No processor has it.
        VIRT_SPEC_CTRL = 0xc001_011f aka "MSR_AMD64_VIRT_SPEC_CTRL";
        /// Address of the GHCB, or a request: [`GhcbMsr`](crate::GhcbMsr).
        ///
        /// AMD APM vol. 2, section 15.35.7, "GHCB".
        GHCB = 0xc001_0130 aka "MSR_AMD64_SEV_ES_GHCB";
        /// What of SEV is on: [`SevStatus`](crate::SevStatus).
        ///
        /// AMD APM vol. 2, section 15.34.10, "SEV_STATUS MSR".
        SEV_STATUS = 0xc001_0131 aka "MSR_AMD64_SEV";
        /// Physical address of the reverse map.
        ///
        /// AMD APM vol. 2, section 15.36.4, "Initializing the RMP".
        RMP_BASE = 0xc001_0132 aka "MSR_AMD64_RMP_BASE";
        /// Physical address of the last byte of the reverse map.
        ///
        /// AMD APM vol. 2, section 15.36.4, "Initializing the RMP".
        RMP_END = 0xc001_0133 aka "MSR_AMD64_RMP_END";
        /// Frequency of the TSC of a guest with Secure TSC, in MHz.
        ///
        /// AMD APM vol. 2, section 15.36.18, "Secure TSC".
        GUEST_TSC_FREQ = 0xc001_0134 aka "MSR_AMD64_GUEST_TSC_FREQ";
        /// Virtual top of memory of a guest.
        ///
        /// AMD APM vol. 2, section 15.36.8, "Virtual Top-of-Memory".
        VIRTUAL_TOM = 0xc001_0135;
        /// Configuration of a segmented reverse map: [`RmpConfiguration`].
        ///
        /// AMD APM vol. 2, section 15.36.22, "Segmented RMP".
        RMP_CFG = 0xc001_0136 aka "MSR_AMD64_RMP_CFG";
        /// What a thread that is kept idle writes to the ICR when it shall wake up.
        ///
        /// AMD APM vol. 2, section 15.36.17, "Side-Channel Protection".
        IDLE_WAKEUP_ICR = 0xc001_0137;
        /// Control of Secure AVIC: [`SecureAvicControl`].
        ///
        /// AMD APM vol. 2, section 15.36.21.3, "Secure AVIC Control MSR".
        SECURE_AVIC_CONTROL = 0xc001_0138 aka "MSR_AMD64_SAVIC_CONTROL";
        /// Address of the calling area of a guest with an SVSM. Emulated.
        SVSM_CAA = 0xc001_f000 aka "MSR_SVSM_CAA";
        /// RMPUPDATE of a hypervisor under another. Emulated.
        ///
        /// AMD APM vol. 2, section 15.36.19, "SEV-SNP Instruction Virtualization".
        VIRT_RMPUPDATE = 0xc001_f001 aka "MSR_AMD64_VIRT_RMPUPDATE";
        /// PSMASH of a hypervisor under another. Emulated.
        ///
        /// AMD APM vol. 2, section 15.36.19, "SEV-SNP Instruction Virtualization".
        VIRT_PSMASH = 0xc001_f002 aka "MSR_AMD64_VIRT_PSMASH";
    }
}

impl SvmMsr {
    /// Who may write: nothing that is the host's is written by safe code.
    const fn access(self) -> &'static str {
        match self {
            Self::SEV_STATUS | Self::GUEST_TSC_FREQ => "ro",
            Self::GHCB | Self::VIRTUAL_TOM | Self::SECURE_AVIC_CONTROL | Self::SVSM_CAA => "rw",
            _ => "sensitive",
        }
    }

    /// What a processor must have. Empty if every processor with SVM has the MSR.
    const fn requires(self) -> &'static str {
        match self {
            Self::TSC_RATIO => "CPUID Fn8000_000A EDX.TscRateMsr",
            Self::SVM_KEY => "CPUID Fn8000_000A EDX.SVML",
            Self::AVIC_DOORBELL => "CPUID Fn8000_000A EDX.AVIC",
            Self::VMPAGE_FLUSH => "CPUID Fn8000_001F EAX.PageFlushMsr",
            Self::GHCB => "CPUID Fn8000_001F EAX.SEV-ES",
            Self::SEV_STATUS => "CPUID Fn8000_001F EAX.SEV",
            Self::RMP_BASE | Self::RMP_END => "CPUID Fn8000_001F EAX.SEV-SNP",
            Self::GUEST_TSC_FREQ => "CPUID Fn8000_001F EAX.SecureTsc",
            Self::VIRTUAL_TOM => "CPUID Fn8000_001F EAX.VirtualTomMsr",
            Self::RMP_CFG => "CPUID Fn8000_001F EAX.SegmentedRmp",
            Self::IDLE_WAKEUP_ICR => "CPUID Fn8000_001F EAX.SmtProtection",
            Self::SECURE_AVIC_CONTROL => "CPUID Fn8000_001F EAX.SecureAvic",
            Self::SVSM_CAA => "CPUID Fn8000_001F EAX.SvsmCommPageMsr",
            Self::VIRT_RMPUPDATE | Self::VIRT_PSMASH => "CPUID Fn8000_001F EAX.NestedVirtSnpMsr",
            _ => "",
        }
    }
}

register! {
    /// SMM_CTL: control of system-management mode. Write-only.
    ///
    /// AMD APM vol. 2, section 15.30.3, "SMM_CTL MSR (C001_0116h)".
    ///
    /// ```
    /// use x86_virt_svm::SmmCtl;
    ///
    /// assert_eq!(SmmCtl::new().with_enter(true).with_smi_cycle(true).into_bits(), 6);
    /// ```
    pub struct SmmCtl(u64) {
        /// DISMISS: no SMI is pending any more.
        pub dismiss: bool,
        /// ENTER: enter SMM.
        pub enter: bool,
        /// SMI_CYCLE: send an SMI special cycle.
        pub smi_cycle: bool,
        /// EXIT: leave SMM.
        pub exit: bool,
        /// RSM_CYCLE: send an RSM special cycle.
        pub rsm_cycle: bool,
        #[bits(59)]
        _reserved5: u64,
    }
}

register! {
    /// IGNNE: the state of the signal IGNNE.
    ///
    /// AMD APM vol. 2, section 15.30.2, "IGNNE MSR (C001_0115h)".
    ///
    /// ```
    /// use x86_virt_svm::Ignne;
    ///
    /// assert!(Ignne::from_bits(1).ignne());
    /// ```
    pub struct Ignne(u64) {
        /// IGNNE: the signal.
        pub ignne: bool,
        #[bits(63)]
        _reserved1: u64,
    }
}

register! {
    /// VMPAGE_FLUSH: which page to flush. Write-only.
    ///
    /// AMD APM vol. 2, section 15.34.9, "Page Flush MSR".
    ///
    /// ```
    /// use x86_virt_svm::VmpageFlush;
    ///
    /// assert_eq!(VmpageFlush::from_bits(0x1234_5007).asid(), 7);
    /// ```
    pub struct VmpageFlush(u64) {
        /// ASID of the guest.
        #[bits(12)]
        pub asid: u16,
        /// VirtualAddr, bits 63:12: the page in the address space of the host.
        #[bits(52)]
        pub virtual_addr: u64,
    }
}

register! {
    /// Configuration of a segmented reverse map.
    ///
    /// AMD APM vol. 2, section 15.36.22, "Segmented RMP".
    ///
    /// ```
    /// use x86_virt_svm::RmpConfiguration;
    ///
    /// let configuration = RmpConfiguration::from_bits(0x2401);
    /// assert!(configuration.seg_rmp_en() && configuration.rmp_seg_size() == 36);
    /// ```
    pub struct RmpConfiguration(u64) {
        /// SegRmpEn: the reverse map is segmented.
        pub seg_rmp_en: bool,
        #[bits(7)]
        _reserved1: u8,
        /// RmpSegSize: a segment covers 2^n bytes.
        #[bits(6)]
        pub rmp_seg_size: u8,
        #[bits(50)]
        _reserved14: u64,
    }
}

register! {
    /// Control of Secure AVIC, which the guest writes. It is also in the VMSA.
    ///
    /// AMD APM vol. 2, section 15.36.21.3, "Secure AVIC Control MSR".
    ///
    /// ```
    /// use x86_virt_core::Gpa;
    /// use x86_virt_svm::SecureAvicControl;
    ///
    /// let control = SecureAvicControl::from_bits(0x1234_5003);
    /// assert!(control.secure_avic_en() && control.allowed_nmi());
    /// assert_eq!(control.backing_page(), Gpa::new(0x1234_5000));
    /// ```
    pub struct SecureAvicControl(u64) {
        /// SecureAvicEn: the backing page is used.
        pub secure_avic_en: bool,
        /// AllowedNmi: the host may inject NMIs.
        pub allowed_nmi: bool,
        #[bits(10)]
        _reserved2: u16,
        /// GuestApicBackingPagePtr, bits 51:12. The address is [`backing_page`](Self::backing_page).
        #[bits(40)]
        pub guest_apic_backing_page_ptr: u64,
        #[bits(12)]
        _reserved52: u16,
    }
}

impl SecureAvicControl {
    /// The address of the backing page.
    #[must_use]
    pub const fn backing_page(self) -> Gpa {
        Gpa::new(self.guest_apic_backing_page_ptr() << 12)
    }
}

/// Visits the MSRs and their bits as rows.
pub(crate) fn msr_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    code_rows("svm_msr", "", SvmMsr::ALL, &mut |row| {
        let Ok(msr) = u32::try_from(row.encoding).map(SvmMsr::from_bits) else { return };
        visit(&TableRow { width_bits: 64, access: msr.access(), requires: &msr.requires(), ..*row });
    });
    register_rows::<TscRatio>("svm_msr_bit", "TSC_RATIO", visit);
    register_rows::<VmCr>("svm_msr_bit", "VM_CR", visit);
    register_rows::<Ignne>("svm_msr_bit", "IGNNE", visit);
    register_rows::<SmmCtl>("svm_msr_bit", "SMM_CTL", visit);
    register_rows::<VmpageFlush>("svm_msr_bit", "VMPAGE_FLUSH", visit);
    register_rows::<GhcbMsr>("svm_msr_bit", "GHCB", visit);
    register_rows::<SevStatus>("svm_msr_bit", "SEV_STATUS", visit);
    register_rows::<RmpConfiguration>("svm_msr_bit", "RMP_CFG", visit);
    register_rows::<SecureAvicControl>("svm_msr_bit", "SECURE_AVIC_CONTROL", visit);
}

#[cfg(test)]
mod tests {
    use super::{SmmCtl, SvmMsr, msr_rows};

    #[test]
    fn tables_are_complete() {
        let (mut msrs, mut bits) = (0, 0);
        msr_rows(&mut |row| if row.table == "svm_msr" { msrs += 1 } else { bits += 1 });
        assert_eq!((msrs, bits), (22, 2 + 5 + 1 + 5 + 2 + 2 + 20 + 2 + 3));
    }

    #[test]
    fn numbers_are_those_of_the_manual() {
        for (msr, number) in [
            (SvmMsr::TSC_RATIO, 0xc000_0104),
            (SvmMsr::VM_HSAVE_PA, 0xc001_0117),
            (SvmMsr::AVIC_DOORBELL, 0xc001_011b),
            (SvmMsr::SEV_STATUS, 0xc001_0131),
            (SvmMsr::VIRTUAL_TOM, 0xc001_0135),
        ] {
            assert_eq!(msr.into_bits(), number);
        }
        assert_eq!(SmmCtl::from_bits(0x18), SmmCtl::new().with_exit(true).with_rsm_cycle(true));
    }
}
