//! CPUID values that no processor has.

use core::fmt;

use crate::capability::{Capabilities, RawCpuid};

/// What of CPUID contradicts itself.
///
/// AMD APM vol. 3, appendix E.4, "Extended Feature Function Numbers".
///
/// ```
/// use x86_virt_svm::RawCpuid;
/// use x86_virt_svm::check::{Contradiction, VmrunContext, check};
/// use x86_virt_svm::{VmcbDump, profile};
///
/// let cpuid = RawCpuid { leaf_8000_0008_eax: 0x3040, ..profile::MILAN.raw };
/// let vmcb = VmcbDump::from_bytes([0; 4096]);
/// let report = check(&vmcb, cpuid, VmrunContext::UNKNOWN);
/// assert_eq!(report.contradictions().next(), Some(Contradiction::PhysicalAddressWidth { width: 64 }));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Contradiction {
    /// There is a feature without another that it is part of.
    Without {
        /// The feature.
        feature: &'static str,
        /// The other.
        needed: &'static str,
    },
    /// There is no address-space identifier for a guest.
    NoAsids {
        /// How many there are, the host's included.
        count: u32,
    },
    /// No guest without SEV-ES could have an ASID, and there are fewer for encrypted guests.
    EncryptedAsids {
        /// The lowest ASID of a guest with SEV and without SEV-ES.
        lowest: u32,
        /// How many encrypted guests there can be.
        count: u32,
    },
    /// No processor has physical addresses of so many bits.
    PhysicalAddressWidth {
        /// The width.
        width: u8,
    },
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Without { feature, needed } => write!(f, "there is {feature}, and no {needed}"),
            Self::NoAsids { count } => write!(f, "there are {count} ASIDs, and none is for a guest"),
            Self::EncryptedAsids { lowest, count } => {
                write!(f, "there are {count} encrypted guests, and those without SEV-ES begin at {lowest}")
            }
            Self::PhysicalAddressWidth { width } => write!(f, "no processor has physical addresses of {width} bits"),
        }
    }
}

/// Everything that contradicts itself.
pub(crate) fn all(cpuid: RawCpuid) -> impl Iterator<Item = Contradiction> {
    let processor = Capabilities::of(cpuid);
    let (features, encryption) = (processor.features(), processor.encryption());
    let has_svm = cpuid.leaf_8000_0001_ecx >> 2 & 1 != 0;
    let needs = [
        ("nested paging", features.np(), "SVM", has_svm),
        ("SEV", encryption.sev(), "nested paging", features.np()),
        ("SEV-ES", encryption.sev_es(), "SEV", encryption.sev()),
        ("SEV-SNP", encryption.sev_snp(), "SEV-ES", encryption.sev_es()),
        // Firmware may take SEV-SNP away and leave its parts.
    ];
    let without = needs.into_iter().filter(|(_, has_feature, _, has_needed)| *has_feature && !has_needed);
    let without = without.map(|(feature, _, needed, _)| Contradiction::Without { feature, needed });
    let count = processor.asids();
    let asids = (has_svm && count < 2).then_some(Contradiction::NoAsids { count });
    let (lowest, count) = (processor.min_sev_no_es_asid(), processor.encrypted_guests());
    let are_encrypted = encryption.sev() && lowest > count.saturating_add(1);
    let encrypted = are_encrypted.then_some(Contradiction::EncryptedAsids { lowest, count });
    let width = processor.physical_width();
    let width = (!(32..=52).contains(&width)).then_some(Contradiction::PhysicalAddressWidth { width });
    without.chain(asids).chain(encrypted).chain(width)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::all;
    use crate::capability::RawCpuid;
    use crate::profile;

    fn texts(cpuid: RawCpuid) -> Vec<String> {
        all(cpuid).map(|contradiction| contradiction.to_string()).collect()
    }

    #[test]
    fn no_profile_contradicts_itself() {
        for profile in profile::ALL {
            assert_eq!(texts(profile.raw), [""; 0], "{}", profile.name);
        }
    }

    #[test]
    fn each_contradiction_is_told() {
        let raw = profile::MILAN.raw;
        assert_eq!(texts(RawCpuid { leaf_8000_0001_ecx: 0, ..raw }), ["there is nested paging, and no SVM"]);
        assert_eq!(texts(RawCpuid { leaf_8000_000a_edx: 0, ..raw }), ["there is SEV, and no nested paging"]);
        assert_eq!(texts(RawCpuid { leaf_8000_001f_eax: 1 << 3, ..raw }), ["there is SEV-ES, and no SEV"]);
        assert_eq!(texts(RawCpuid { leaf_8000_001f_eax: 1 << 4, ..raw }), ["there is SEV-SNP, and no SEV-ES"]);
        assert_eq!(texts(RawCpuid { leaf_8000_000a_ebx: 1, ..raw }), ["there are 1 ASIDs, and none is for a guest"]);
        assert_eq!(
            texts(RawCpuid { leaf_8000_001f_ecx: 9, leaf_8000_001f_edx: 11, ..raw }),
            ["there are 9 encrypted guests, and those without SEV-ES begin at 11"]
        );
        assert_eq!(texts(RawCpuid { leaf_8000_001f_ecx: 9, leaf_8000_001f_edx: 10, ..raw }), [""; 0]);
        for (width, is_wrong) in [(31, true), (32, false), (52, false), (53, true)] {
            assert_eq!(texts(RawCpuid { leaf_8000_0008_eax: width, ..raw }).len(), usize::from(is_wrong), "{width}");
        }
    }
}
