//! Names of the sources that are not compared, with the reason.

use super::symbol::{Origin, Symbol};

/// Names that say something else than our tables, and why. A `*` at the end stands for any rest.
const SKIPPED: &[(&str, &str)] = &[
    // Not of the processor.
    ("EXIT_REASON_UNDEFINED", "KVM's mark of no exit"),
    ("VMX_MISC_MSR_LIST_MULTIPLIER", "a factor, not a bit"),
    ("VMX_EPT_IDENTITY_PAGETABLE_ADDR", "an address that KVM chose"),
    ("VMX_VMFUNC_EPTP_ENTRIES", "a number of entries"),
    ("SVM_EXIT_REASONS", "a list of texts"),
    ("SVM_EXIT_LAST_EXCP", "the end of a range"),
    ("SVM_VMGEXIT_SET_AP_JUMP_TABLE", "an argument of an exit, not its code"),
    ("SVM_VMGEXIT_GET_AP_JUMP_TABLE", "an argument of an exit, not its code"),
    ("SVM_VMGEXIT_AP_CREATE_ON_INIT", "an argument of an exit, not its code"),
    ("SVM_VMGEXIT_AP_CREATE", "an argument of an exit, not its code"),
    ("SVM_VMGEXIT_AP_DESTROY", "an argument of an exit, not its code"),
    ("INTERCEPT_EXCEPTION_OFFSET", "the beginning of a word"),
    // Several bits at once.
    ("PIN_BASED_ALWAYSON_WITHOUT_TRUE_MSR", "several controls"),
    ("CPU_BASED_ALWAYSON_WITHOUT_TRUE_MSR", "several controls"),
    ("VM_EXIT_ALWAYSON_WITHOUT_TRUE_MSR", "several controls"),
    ("VM_ENTRY_ALWAYSON_WITHOUT_TRUE_MSR", "several controls"),
    ("VMX_EPT_RWX_MASK", "several bits"),
    ("EPT_VIOLATION_RWX_MASK", "several bits"),
    ("INTR_INFO_RESVD_BITS_MASK", "what is reserved, without bit 12"),
    ("V_IRQ_INJECTION_BITS_MASK", "several bits"),
    ("SVM_SEV_FEAT_INT_INJ_MODES", "several bits"),
    ("SVM_VM_CR_VALID_MASK", "several bits"),
    ("MSR_AMD64_SNP_RESV_BIT", "the first bit of several"),
    ("INTR_TYPE_RESERVED", "no type"),
    ("SVM_IOIO_SIZE_MASK", "several bits"),
    ("SVM_IOIO_ASIZE_MASK", "several bits"),
    ("VMX_BASIC_MEM_TYPE_WB", "a value of several bits"),
    // Fewer or more bits than the manual's.
    ("CONTROL_REG_ACCESS_NUM", "without bit 3, which CR8 needs"),
    ("V_TPR_MASK", "the 4 bits in use, of the manual's 8"),
    ("AVIC_UNACCEL_ACCESS_VECTOR_MASK", "32 bits, where the manual has 8"),
    ("AVIC_UNACCEL_ACCESS_WRITE_MASK", "for the upper half, shifted down"),
    ("AVIC_PHYSICAL_MAX_INDEX_MASK", "9 bits, where the manual now has 12"),
    // The same word under other numbers.
    ("EPT_VIOLATION_RWX_SHIFT", "a distance between bits"),
    ("EPT_VIOLATION_RWX_TO_PROT", "a distance between bits"),
    ("EPT_VIOLATION_PROT_MASK", "several bits"),
    ("VMX_EPT_EXTENT_SHIFT", "a distance between bits"),
    ("LMSW_SOURCE_DATA_SHIFT", "a distance between bits"),
    ("SVM_EVTINJ_TYPE_SHIFT", "a distance between bits"),
    ("VMX_FEATURE_INVVPID", "a bit that Linux chose for a capability of IA32_VMX_EPT_VPID_CAP"),
    ("VMX_FEATURE_EPT_EXECUTE_ONLY", "a bit that Linux chose for a capability of IA32_VMX_EPT_VPID_CAP"),
    ("VMX_FEATURE_EPT_AD", "a bit that Linux chose for a capability of IA32_VMX_EPT_VPID_CAP"),
    ("VMX_FEATURE_EPT_1GB", "a bit that Linux chose for a capability of IA32_VMX_EPT_VPID_CAP"),
    ("VMX_FEATURE_EPT_5LEVEL", "a bit that Linux chose for a capability of IA32_VMX_EPT_VPID_CAP"),
    ("VMX_FEATURE_FLEXPRIORITY", "several controls"),
    ("VMX_FEATURE_APICV", "several controls"),
    ("VMX_FEATURE_EPTP_SWITCHING", "a bit that Linux chose for a VM function"),
    // Spellings and errors of the crate `x86`.
    ("IA32_VMX_CRO_FIXED0", "a second spelling of IA32_VMX_CR0_FIXED0"),
    ("IA32_VMX_CRO_FIXED1", "a second spelling of IA32_VMX_CR0_FIXED1"),
    ("IA32_VMX_EPT_VPID_ENUM", "a second spelling of IA32_VMX_EPT_VPID_CAP"),
    ("IA32_VMX_FMFUNC", "a second spelling of IA32_VMX_VMFUNC"),
    // What a structure or a word leaves free.
    ("reserved*", "reserved"),
    ("MSR_AMD64_SNP_RESERVED_*", "bits that the header calls reserved, some of which the manual now names"),
    ("ghcb.save*", "compared as `ghcb_save_area`"),
    ("vmcb_save_area.vmpl", "reserved in the manual, other than in the VMSA"),
    ("vmcb_control_area.int_vector", "the upper half of a field"),
    ("vmcb_control_area.exit_code_hi", "the upper half of a field"),
    ("vmcb_control_area.exit_int_info_err", "the upper half of a field"),
    ("vmcb_control_area.event_inj_err", "the upper half of a field"),
];

/// Why a name is not compared.
pub(crate) fn skipped(symbol: &Symbol) -> Option<&'static str> {
    let qualified = match &symbol.origin {
        Origin::Structure(structure) => format!("{structure}.{}", symbol.name),
        Origin::Constant | Origin::Group(_) => symbol.name.clone(),
    };
    let is_it = |pattern: &str| {
        [symbol.name.as_str(), &qualified].into_iter().any(|name| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        })
    };
    SKIPPED.iter().find(|(pattern, _)| is_it(pattern)).map(|&(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn is_skipped(name: &str, origin: Origin) -> bool {
        let symbol = Symbol { name: name.to_owned(), origin, file: String::new(), line: 1, value: Ok(0) };
        skipped(&symbol).is_some()
    }

    #[test]
    fn a_star_stands_for_any_rest_and_members_have_their_structure() {
        let structure = |name: &str| Origin::Structure(name.to_owned());
        assert!(is_skipped("reserved_0x3b0", structure("ghcb")));
        assert!(is_skipped("vmpl", structure("vmcb_save_area")));
        assert!(!is_skipped("vmpl", structure("sev_es_save_area")));
        assert!(is_skipped("EXIT_REASON_UNDEFINED", Origin::Constant));
        assert!(!is_skipped("EXIT_REASON_UNDEFINED_TOO", Origin::Constant));
    }

    #[test]
    fn every_name_is_listed_once() {
        let names: BTreeSet<_> = SKIPPED.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), SKIPPED.len());
    }
}
