//! What the processor's SVM can do.

use x86_virt_npt::NptControls;

use crate::cpuid::{EncryptionFeatures, EncryptionParameters, SvmExtendedFeatures, SvmFeatures, SvmRevision};
use crate::vm_cr::VmCr;

/// The CPUID values that [`Capabilities`] are made from, as the processor gives them.
///
/// A leaf that the processor does not have is 0.
///
/// AMD APM vol. 3, appendix E, "Obtaining Processor Information Via the CPUID Instruction".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct RawCpuid {
    /// Fn0000_0001 ECX.
    pub leaf_1_ecx: u32,
    /// Fn0000_0007 subleaf 0 EBX.
    pub leaf_7_ebx: u32,
    /// Fn0000_0007 subleaf 0 ECX.
    pub leaf_7_ecx: u32,
    /// Fn8000_0001 ECX.
    pub leaf_8000_0001_ecx: u32,
    /// Fn8000_0001 EDX.
    pub leaf_8000_0001_edx: u32,
    /// Fn8000_0008 EAX.
    pub leaf_8000_0008_eax: u32,
    /// Fn8000_000A EAX.
    pub leaf_8000_000a_eax: u32,
    /// Fn8000_000A EBX.
    pub leaf_8000_000a_ebx: u32,
    /// Fn8000_000A ECX.
    pub leaf_8000_000a_ecx: u32,
    /// Fn8000_000A EDX.
    pub leaf_8000_000a_edx: u32,
    /// Fn8000_001F EAX.
    pub leaf_8000_001f_eax: u32,
    /// Fn8000_001F EBX.
    pub leaf_8000_001f_ebx: u32,
    /// Fn8000_001F ECX.
    pub leaf_8000_001f_ecx: u32,
    /// Fn8000_001F EDX.
    pub leaf_8000_001f_edx: u32,
}

/// What the processor's SVM can do, and what else of the processor a guest's registers depend on.
///
/// ```
/// use x86_virt_svm::{Capabilities, RawCpuid, Unsupported};
///
/// // Bochs 2.7, model ryzen, as far as it matters here.
/// let cpuid = RawCpuid {
///     leaf_8000_0001_ecx: 1 << 2,
///     leaf_8000_000a_ebx: 0x8000,
///     leaf_8000_000a_edx: 0x44f,
///     leaf_8000_0008_eax: 0x3028,
///     ..RawCpuid::default()
/// };
/// let capabilities = Capabilities::new(cpuid)?;
/// assert_eq!((capabilities.asids(), capabilities.physical_width()), (0x8000, 40));
/// assert!(capabilities.features().nrips());
/// assert_eq!(Capabilities::new(RawCpuid::default()), Err(Unsupported::NoSvm));
/// # Ok::<(), Unsupported>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    cpuid: RawCpuid,
}

const fn has(register: u32, bit: u32) -> bool {
    register >> bit & 1 != 0
}

impl Capabilities {
    /// The capabilities that these values stand for.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] if the library cannot run guests on such a processor.
    pub const fn new(cpuid: RawCpuid) -> Result<Self, Unsupported> {
        let capabilities = Self::of(cpuid);
        if !has(cpuid.leaf_8000_0001_ecx, 2) {
            return Err(Unsupported::NoSvm);
        }
        if !capabilities.features().np() {
            return Err(Unsupported::NoNestedPaging { features: capabilities.features() });
        }
        if capabilities.asids() < 2 {
            return Err(Unsupported::NoAsids { count: capabilities.asids() });
        }
        Ok(capabilities)
    }

    /// The same for any processor, to look at what it has.
    pub(crate) const fn of(cpuid: RawCpuid) -> Self {
        Self { cpuid }
    }

    /// The values that the capabilities were made from.
    #[must_use]
    pub const fn cpuid(&self) -> RawCpuid {
        self.cpuid
    }

    /// SVM revision.
    #[must_use]
    pub const fn revision(&self) -> u8 {
        SvmRevision::from_bits(self.cpuid.leaf_8000_000a_eax).svm_rev()
    }

    /// How many address-space identifiers there are, the host's included.
    #[must_use]
    pub const fn asids(&self) -> u32 {
        self.cpuid.leaf_8000_000a_ebx
    }

    /// Features of SVM.
    #[must_use]
    pub const fn features(&self) -> SvmFeatures {
        SvmFeatures::from_bits(self.cpuid.leaf_8000_000a_edx)
    }

    /// The controls that give entries of nested page tables more meaning.
    #[must_use]
    pub const fn nested_controls(&self) -> NptControls {
        NptControls::new()
            .with_guest_mode_execute_trap(self.features().gmet())
            .with_supervisor_shadow_stack_check(self.features().sss_check())
    }

    /// More features of SVM.
    #[must_use]
    pub const fn extended_features(&self) -> SvmExtendedFeatures {
        SvmExtendedFeatures::from_bits(self.cpuid.leaf_8000_000a_ecx)
    }

    /// Features of memory encryption.
    #[must_use]
    pub const fn encryption(&self) -> EncryptionFeatures {
        EncryptionFeatures::from_bits(self.cpuid.leaf_8000_001f_eax)
    }

    /// Where the C-bit is, and what memory encryption costs.
    #[must_use]
    pub const fn encryption_parameters(&self) -> EncryptionParameters {
        EncryptionParameters::from_bits(self.cpuid.leaf_8000_001f_ebx)
    }

    /// NumEncryptedGuests: how many encrypted guests there can be, which is the highest ASID of one.
    #[must_use]
    pub const fn encrypted_guests(&self) -> u32 {
        self.cpuid.leaf_8000_001f_ecx
    }

    /// MinSevNoEsAsid: the lowest ASID of a guest with SEV and without SEV-ES.
    #[must_use]
    pub const fn min_sev_no_es_asid(&self) -> u32 {
        self.cpuid.leaf_8000_001f_edx
    }

    /// Bits in a physical address.
    #[must_use]
    pub const fn physical_width(&self) -> u8 {
        match self.cpuid.leaf_8000_0008_eax.to_le_bytes() {
            // The leaf is missing: AMD APM vol. 3, appendix E.4.7, "Function 8000_0008h".
            [0, ..] => 36,
            [width, ..] => width,
        }
    }

    /// Whether there are pages of 1 GiB.
    #[must_use]
    pub const fn has_1g_pages(&self) -> bool {
        has(self.cpuid.leaf_8000_0001_edx, 26)
    }

    /// The bits of CR4 that a guest may set: those that the processor has, without CET and PKE, whose other
    /// registers the library does not switch in every case.
    ///
    /// AMD APM vol. 2, section 3.1.3, "CR4 Register".
    #[must_use]
    pub fn guest_cr4(&self) -> u64 {
        const ALWAYS: u64 = 0x7ff;
        let RawCpuid { leaf_1_ecx, leaf_7_ebx, leaf_7_ecx, .. } = self.cpuid;
        [
            (has(leaf_7_ecx, 2), 11),  // UMIP
            (has(leaf_7_ecx, 16), 12), // LA57
            (has(leaf_7_ebx, 0), 16),  // FSGSBASE
            (has(leaf_1_ecx, 17), 17), // PCIDE
            (has(leaf_1_ecx, 26), 18), // OSXSAVE
            (has(leaf_7_ebx, 7), 20),  // SMEP
            (has(leaf_7_ebx, 20), 21), // SMAP
        ]
        .into_iter()
        .filter(|(is_supported, _)| *is_supported)
        .fold(ALWAYS, |bits, (_, bit)| bits | 1 << bit)
    }

    /// The bits of EFER that a guest may set: SCE, LME, LMA, and NXE, FFXSR and TCE where the processor has them.
    ///
    /// AMD APM vol. 2, section 3.1.7, "Extended Feature Enable Register (EFER)".
    #[must_use]
    pub fn guest_efer(&self) -> u64 {
        const ALWAYS: u64 = 0x501;
        let RawCpuid { leaf_8000_0001_ecx, leaf_8000_0001_edx, .. } = self.cpuid;
        [
            (has(leaf_8000_0001_edx, 20), 11), // NXE
            (has(leaf_8000_0001_edx, 25), 14), // FFXSR
            (has(leaf_8000_0001_ecx, 17), 15), // TCE
        ]
        .into_iter()
        .filter(|(is_supported, _)| *is_supported)
        .fold(ALWAYS, |bits, (_, bit)| bits | 1 << bit)
    }
}

/// Why guests cannot run on this processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum Unsupported {
    /// The processor has no SVM.
    #[error("the processor has no SVM (CPUID Fn8000_0001 ECX bit 2)")]
    NoSvm,
    /// The processor has no nested paging.
    #[error("the processor has no nested paging (CPUID Fn8000_000A EDX bit 0): {features:?}")]
    NoNestedPaging {
        /// What it has.
        features: SvmFeatures,
    },
    /// The processor has no address-space identifier for a guest.
    #[error("the processor has {count} address-space identifiers, with that of the host")]
    NoAsids {
        /// How many it has.
        count: u32,
    },
    /// SVMDIS is set and locked: only a reset, or the key of an SVM lock, enables SVM again.
    #[error("firmware disabled SVM and locked VM_CR = {:#x}", .vm_cr.into_bits())]
    DisabledByFirmware {
        /// VM_CR.
        vm_cr: VmCr,
    },
    /// Physical addresses have a width that no processor has.
    #[error(transparent)]
    NestedFormat(#[from] x86_virt_npt::NptUnsupported),
}

impl VmCr {
    /// The value with which EFER.SVME can be set: the same, or without SVMDIS where that is not locked.
    ///
    /// # Errors
    ///
    /// [`Unsupported::DisabledByFirmware`] if SVMDIS is set and locked.
    pub const fn allow_svm(self) -> Result<Self, Unsupported> {
        match (self.svmdis(), self.lock()) {
            (true, true) => Err(Unsupported::DisabledByFirmware { vm_cr: self }),
            (true, false) => Ok(self.with_svmdis(false)),
            (false, _) => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Capabilities, RawCpuid, Unsupported};
    use crate::cpuid::SvmFeatures;
    use crate::vm_cr::VmCr;

    const SVM: RawCpuid = RawCpuid {
        leaf_1_ecx: 0,
        leaf_7_ebx: 0,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 1 << 2,
        leaf_8000_0001_edx: 0,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 16,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 1,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    };

    #[test]
    fn what_is_missing_is_named() {
        assert!(Capabilities::new(SVM).is_ok());
        assert_eq!(Capabilities::new(RawCpuid { leaf_8000_0001_ecx: 0, ..SVM }), Err(Unsupported::NoSvm));
        let features = SvmFeatures::from_bits(0x8);
        assert_eq!(
            Capabilities::new(RawCpuid { leaf_8000_000a_edx: 0x8, ..SVM }),
            Err(Unsupported::NoNestedPaging { features })
        );
        assert_eq!(
            Capabilities::new(RawCpuid { leaf_8000_000a_ebx: 1, ..SVM }),
            Err(Unsupported::NoAsids { count: 1 })
        );
    }

    #[test]
    fn svmdis_is_cleared_unless_it_is_locked() {
        let locked_but_enabled = VmCr::from_bits(0x08);
        assert_eq!(locked_but_enabled.allow_svm(), Ok(locked_but_enabled));
        assert_eq!(VmCr::from_bits(0x12).allow_svm(), Ok(VmCr::from_bits(0x02)));
        let vm_cr = VmCr::from_bits(0x18);
        let error = vm_cr.allow_svm().unwrap_err();
        assert_eq!(error, Unsupported::DisabledByFirmware { vm_cr });
        assert_eq!(error.to_string(), "firmware disabled SVM and locked VM_CR = 0x18");
    }

    #[test]
    fn bits_for_guests_follow_from_cpuid() {
        let plain = Capabilities::new(SVM).unwrap();
        assert_eq!((plain.guest_cr4(), plain.guest_efer()), (0x7ff, 0x501));
        assert_eq!((plain.physical_width(), plain.has_1g_pages(), plain.revision()), (48, false, 1));
        let all = Capabilities::new(RawCpuid {
            leaf_1_ecx: u32::MAX,
            leaf_7_ebx: u32::MAX,
            leaf_7_ecx: u32::MAX,
            leaf_8000_0001_ecx: u32::MAX,
            leaf_8000_0001_edx: u32::MAX,
            leaf_8000_0008_eax: 0,
            ..SVM
        })
        .unwrap();
        assert_eq!((all.guest_cr4(), all.guest_efer()), (0x37_1fff, 0xcd01));
        assert_eq!((all.physical_width(), all.has_1g_pages()), (36, true));
    }
    #[test]
    fn encryption_is_described() {
        // C-bit 51, 5 bits of addresses less, 4 VMPLs, 509 ASIDs, of which 5 to 509 need no SEV-ES.
        let snp = Capabilities::new(RawCpuid {
            leaf_8000_001f_eax: 0x0101_fd3f,
            leaf_8000_001f_ebx: 0x4173,
            leaf_8000_001f_ecx: 509,
            leaf_8000_001f_edx: 5,
            ..SVM
        })
        .unwrap();
        assert!(snp.encryption().sev_snp() && snp.encryption().vmpl() && !snp.encryption().secure_avic());
        let parameters = snp.encryption_parameters();
        assert_eq!((parameters.cbit_position(), parameters.phys_addr_reduction(), parameters.num_vmpl()), (51, 5, 4));
        assert_eq!((snp.encrypted_guests(), snp.min_sev_no_es_asid()), (509, 5));
        assert!(!snp.extended_features().x2avic_ext());
    }
}
