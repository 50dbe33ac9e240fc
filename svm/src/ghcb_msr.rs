//! The GHCB MSR, by which a guest with SEV-ES and the host talk before there is a GHCB.

use x86_virt_core::{Gpa, TableRow, code_rows, codes, register};

codes! {
    /// GHCBInfo: what the rest of the GHCB MSR is.
    ///
    /// Guest-Hypervisor Communication Block Standardization (publication 56421), section 2.3.1, "GHCB MSR Protocol".
    ///
    /// ```
    /// use x86_virt_svm::GhcbInfo;
    ///
    /// assert_eq!(GhcbInfo::from_bits(0x100), GhcbInfo::TERMINATION_REQUEST);
    /// ```
    pub struct GhcbInfo(u16 & 0xfff) {
        /// The address of the GHCB.
        GHCB_GPA = 0x000;
        /// Versions of the protocol, and the C-bit.
        SEV_INFORMATION_RESPONSE = 0x001 aka "GHCB_MSR_SEV_INFO_RESP";
        /// Asks for them.
        SEV_INFORMATION_REQUEST = 0x002 aka "GHCB_MSR_SEV_INFO_REQ";
        /// Address of the table by which application processors start.
        ///
        /// Provisional: one source, OpenVMM.
        AP_JUMP_TABLE = 0x003 if feature = "provisional";
        /// Asks for a register of a CPUID function.
        CPUID_REQUEST = 0x004 aka "GHCB_MSR_CPUID_REQ";
        /// Its value.
        CPUID_RESPONSE = 0x005 aka "GHCB_MSR_CPUID_RESP";
        /// Asks to be held until the next INIT and SIPI.
        AP_RESET_HOLD_REQUEST = 0x006 aka "GHCB_MSR_AP_RESET_HOLD_REQ";
        /// The hold has ended.
        AP_RESET_HOLD_RESPONSE = 0x007 aka "GHCB_MSR_AP_RESET_HOLD_RESP";
        /// Asks where the host wants the GHCB.
        PREFERRED_GHCB_GPA_REQUEST = 0x010 aka "PREFERRED_REQUEST";
        /// Where.
        PREFERRED_GHCB_GPA_RESPONSE = 0x011 aka "PREFERRED_RESPONSE";
        /// Registers the address of the GHCB.
        REGISTER_GHCB_GPA_REQUEST = 0x012 aka "GHCB_MSR_REG_GPA_REQ";
        /// The address that is registered.
        REGISTER_GHCB_GPA_RESPONSE = 0x013 aka "GHCB_MSR_REG_GPA_RESP";
        /// Asks to change the state of a page.
        SNP_PAGE_STATE_CHANGE_REQUEST = 0x014 aka "GHCB_MSR_PSC_REQ";
        /// Whether it was changed.
        SNP_PAGE_STATE_CHANGE_RESPONSE = 0x015 aka "GHCB_MSR_PSC_RESP";
        /// Asks to run another VM permission level.
        SNP_RUN_VMPL_REQUEST = 0x016 aka "GHCB_MSR_VMPL_REQ" "GHCB_INFO_SNP_VMPL_REQUEST";
        /// Whether it was run.
        SNP_RUN_VMPL_RESPONSE = 0x017 aka "GHCB_MSR_VMPL_RESP" "GHCB_INFO_SNP_VMPL_RESPONSE";
        /// Asks for the features of the host.
        HYPERVISOR_FEATURES_REQUEST = 0x080 aka "GHCB_MSR_HV_FT_REQ";
        /// The features.
        HYPERVISOR_FEATURES_RESPONSE = 0x081 aka "GHCB_MSR_HV_FT_RESP";
        /// Asks to be ended.
        TERMINATION_REQUEST = 0x100 aka "GHCB_MSR_TERM_REQ";
    }
}

register! {
    /// The GHCB MSR, C001_0130h.
    ///
    /// AMD APM vol. 2, section 15.35.7, "GHCB"; Guest-Hypervisor Communication Block Standardization (publication 56421),
    /// section 2.3.1, "GHCB MSR Protocol".
    ///
    /// ```
    /// use x86_virt_svm::{GhcbInfo, GhcbMsr};
    ///
    /// let request = GhcbMsr::from_bits(0x002);
    /// assert_eq!(request.ghcb_info(), GhcbInfo::SEV_INFORMATION_REQUEST);
    /// let answer = GhcbMsr::sev_information(2, 1, 51);
    /// assert_eq!(answer.into_bits(), 0x0002_0001_3300_0001);
    /// ```
    pub struct GhcbMsr(u64) {
        /// GHCBInfo: what the data is.
        #[bits(12)]
        pub ghcb_info: GhcbInfo,
        /// GHCBData.
        #[bits(52)]
        pub ghcb_data: u64,
    }
}

impl GhcbMsr {
    /// The address of the GHCB, if the MSR has one.
    #[must_use]
    pub fn gpa(self) -> Option<Gpa> {
        (self.ghcb_info() == GhcbInfo::GHCB_GPA).then(|| Gpa::new(self.into_bits()))
    }

    /// The answer that tells the versions of the protocol that the host has, and the number of the C-bit.
    #[must_use]
    pub fn sev_information(max_version: u16, min_version: u16, c_bit: u8) -> Self {
        let data = u64::from(max_version) << 36 | u64::from(min_version) << 20 | u64::from(c_bit) << 12;
        Self::new().with_ghcb_info(GhcbInfo::SEV_INFORMATION_RESPONSE).with_ghcb_data(data)
    }

    /// The set and the code of the reason for which a guest wants to be ended.
    ///
    /// ```
    /// use x86_virt_svm::GhcbMsr;
    ///
    /// assert_eq!(GhcbMsr::from_bits(0x2_1100).termination_reason(), Some((1, 2)));
    /// ```
    #[must_use]
    pub fn termination_reason(self) -> Option<(u8, u8)> {
        let [_, low, code, ..] = self.into_bits().to_le_bytes();
        (self.ghcb_info() == GhcbInfo::TERMINATION_REQUEST).then_some((low >> 4, code))
    }
}

/// Visits the codes as rows.
pub(crate) fn ghcb_msr_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    code_rows("svm_ghcb_msr_code", "", GhcbInfo::ALL, visit);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use x86_virt_core::Gpa;

    use super::{GhcbInfo, GhcbMsr};

    #[test]
    fn there_are_18_codes_and_one_that_is_provisional() {
        assert_eq!(GhcbInfo::ALL.iter().filter(|code| !code.provisional).count(), 18);
        assert_eq!(GhcbInfo::ALL.len(), if cfg!(feature = "provisional") { 19 } else { 18 });
    }

    #[test]
    fn the_msr_holds_an_address_or_a_request() {
        assert_eq!(GhcbMsr::from_bits(0x1234_5000).gpa(), Some(Gpa::new(0x1234_5000)));
        assert_eq!(GhcbMsr::from_bits(0x1234_5002).gpa(), None);
        assert_eq!(GhcbMsr::from_bits(0x1234_5000).termination_reason(), None);
    }

    proptest! {
        #[test]
        fn every_value_is_kept(bits: u64) {
            let msr = GhcbMsr::from_bits(bits);
            prop_assert_eq!(msr.into_bits(), bits);
            prop_assert_eq!(GhcbMsr::new().with_ghcb_info(msr.ghcb_info()).with_ghcb_data(msr.ghcb_data()), msr);
        }
    }
}
