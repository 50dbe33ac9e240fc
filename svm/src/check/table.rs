//! The rules of VMRUN.

use crate::check::rule::{Place, Rule, RuleClass, RuleKind};
use crate::check::{avic, canonical, controls, event, instruction, nested, registers, sev};
use crate::vmcb::{control, save};
use crate::vmsa;

const BASIC: &str = "15.5.1, \"Basic Operation\"";
const INSTRUCTION: &str = "15.5, \"VMRUN Instruction\"";
const EVENT: &str = "15.20, \"Event Injection\"";
const INTERRUPTS: &str = "15.21, \"Interrupt and Local APIC Support\"";
const NESTED: &str = "15.25.3, \"Enabling Nested Paging\"";
const AVIC: &str = "15.29.4.3, \"Physical Address Pointer Restrictions\"";
const AVIC_FIELDS: &str = "15.29.4.2, \"AVIC VMCB Fields\"";
const HSAVE: &str = "15.30.4, \"VM_HSAVE_PA MSR (C001_0117h)\"";
const SEV: &str = "15.34, \"Secure Encrypted Virtualization\"";
const SEV_ES: &str = "15.35, \"Encrypted State (SEV-ES)\"";
const SNP: &str = "15.36, \"Secure Nested Paging (SEV-SNP)\"";
const SNP_ENABLE: &str = "15.36.2, \"Enabling SEV-SNP\"";
const RMP: &str = "15.36.10, \"RMP and VMPL Access Checks\"";
const SIDE_CHANNEL: &str = "15.36.17, \"Side-Channel Protection\"";
const ALLOWED: &str = "15.36.20, \"Allowed SEV Features\"";
const SECURE_AVIC: &str = "15.36.21.3, \"Secure AVIC Control MSR\"";

/// Defines constants for the places of fields.
macro_rules! places {
    ($($name:ident = $constructor:ident($($argument:expr),+);)*) => {
        $(const $name: Place = Place::$constructor($($argument),+);)*
    };
}

places! {
    HOST_EFER = host("EFER of the host", |view| view.context.host_efer.map(u64::from));
    HOST_CR0 = host("CR0 of the host", |view| view.context.host_cr0.map(u64::from));
    HOST_CPL = host("CPL of the host", |view| view.context.cpl.map(u64::from));
    VMCB_ADDRESS = host("RAX", |view| view.context.vmcb_address.map(x86_virt_core::Hpa::get));
    HSAVE_PA = host("VM_HSAVE_PA", |view| view.context.hsave_pa.map(x86_virt_core::Hpa::get));
    HWCR = host("HWCR", |view| view.context.hwcr);
    SYSCFG = host("SYSCFG", |view| view.context.syscfg);
    ACTUAL_U_CET = host("U_CET", |view| match view.is_encrypted() {
        true => view.vmsa(vmsa::U_CET).ok(),
        false => view.context.u_cet,
    });
    EFER = field(save::EFER);
    CR0 = field(save::CR0);
    CR3 = field(save::CR3);
    CR4 = field(save::CR4);
    DR6 = field(save::DR6);
    DR7 = field(save::DR7);
    RFLAGS = field(save::RFLAGS);
    RIP = field(save::RIP);
    S_CET = field(save::S_CET);
    SSP = field(save::SSP);
    ISST_ADDR = field(save::ISST_ADDR);
    G_PAT = field(save::G_PAT);
    KERNEL_GS_BASE = field(save::KERNEL_GS_BASE);
    SYSENTER_ESP = field(save::SYSENTER_ESP);
    SYSENTER_EIP = field(save::SYSENTER_EIP);
    LSTAR = field(save::LSTAR);
    CSTAR = field(save::CSTAR);
    CS_ATTRIBUTES = part("CS.ATTRIBUTES", save::CS, 2, 2);
    ES_BASE = part("ES.BASE", save::ES, 8, 8);
    CS_BASE = part("CS.BASE", save::CS, 8, 8);
    SS_BASE = part("SS.BASE", save::SS, 8, 8);
    DS_BASE = part("DS.BASE", save::DS, 8, 8);
    FS_BASE = part("FS.BASE", save::FS, 8, 8);
    GS_BASE = part("GS.BASE", save::GS, 8, 8);
    GDTR_BASE = part("GDTR.BASE", save::GDTR, 8, 8);
    LDTR_BASE = part("LDTR.BASE", save::LDTR, 8, 8);
    IDTR_BASE = part("IDTR.BASE", save::IDTR, 8, 8);
    TR_BASE = part("TR.BASE", save::TR, 8, 8);
    INTERCEPT_MISC1 = field(control::INTERCEPT_MISC1);
    INTERCEPT_MISC2 = field(control::INTERCEPT_MISC2);
    IOPM_BASE_PA = field(control::IOPM_BASE_PA);
    MSRPM_BASE_PA = field(control::MSRPM_BASE_PA);
    GUEST_ASID = field(control::GUEST_ASID);
    INT_CTL = field(control::VIRTUAL_INTERRUPT_CONTROL);
    NESTED_CTL = field(control::NESTED_CTL);
    EVENTINJ = field(control::EVENTINJ);
    N_CR3 = field(control::N_CR3);
    VIRT_EXT = field(control::VIRT_EXT);
    BACKING_PAGE = field(control::AVIC_APIC_BACKING_PAGE);
    LOGICAL_TABLE = field(control::AVIC_LOGICAL_TABLE);
    PHYSICAL_TABLE = field(control::AVIC_PHYSICAL_TABLE);
    VMSA_PTR = field(control::VMSA_PTR);
    ALLOWED_SEV_FEATURES = field(control::ALLOWED_SEV_FEATURES);
    SEV_FEATURES = vmsa(vmsa::SEV_FEATURES);
    SECURE_AVIC_CTL = vmsa(vmsa::SECURE_AVIC_CTL);
    VINTR_CTRL = vmsa(vmsa::VINTR_CTRL);
    U_CET = vmsa(vmsa::U_CET);
    PL0_SSP = vmsa(vmsa::PL0_SSP);
    PL1_SSP = vmsa(vmsa::PL1_SSP);
    PL2_SSP = vmsa(vmsa::PL2_SSP);
    PL3_SSP = vmsa(vmsa::PL3_SSP);
}

/// Defines the list: id, row of the collection, kind, class, fields, section, test, requirement, whether
/// provisional.
macro_rules! rules {
    (@provisional) => { false };
    (@provisional provisional) => { true };
    ($(
        $id:literal $row:literal
        $kind:ident $class:ident [$($place:ident),*] $section:ident $test:path,
        $requirement:literal $(, $provisional:ident)?;
    )*) => {
        /// The rules, in the order of the manual: those that come before the guest's state, the guest's state, then what is not
        /// checked, and what changes.
        pub const RULES: &[Rule] = &[$(Rule {
            id: $id,
            row: $row,
            kind: RuleKind::$kind,
            class: RuleClass::$class,
            fields: &[$($place),*],
            requirement: $requirement,
            section: $section,
            provisional: rules!(@provisional $($provisional)?),
            test: $test,
        }),*];
    };
}

rules! {
    // Before anything is read.
    "SVM-VMRUN-HOST-SVME" "svm-vmrun-56" Checked UndefinedOpcode [HOST_EFER] INSTRUCTION instruction::host_svme,
        "EFER.SVME of the host must be 1";
    "SVM-VMRUN-HOST-MODE" "svm-vmrun-56" Checked UndefinedOpcode [HOST_CR0] INSTRUCTION instruction::host_protected,
        "the host must be in protected mode";
    "SVM-VMRUN-HOST-CPL" "svm-vmrun-56" Checked GeneralProtection [HOST_CPL] INSTRUCTION instruction::cpl,
        "CPL must be 0";
    "SVM-VMRUN-VMCB-ADDRESS" "svm-vmrun-29" Checked GeneralProtection [VMCB_ADDRESS] INSTRUCTION instruction::vmcb_address,
        "the address of the VMCB must be a multiple of 4096 and within the physical address width";
    "SVM-VMRUN-HSAVE-PA" "svm-vmrun-30" Checked GeneralProtection [HSAVE_PA] HSAVE instruction::hsave,
        "VM_HSAVE_PA must not be 0";
    "SVM-VMRUN-RMP-VMCB" "svm-vmrun-45" Checked GeneralProtection [VMCB_ADDRESS, SYSCFG] RMP sev::rmp_vmcb,
        "the reverse map must give the page of the VMCB to the host";

    // The guest's state.
    "SVM-VMRUN-EFER-SVME" "svm-vmrun-01" Checked InvalidState [EFER] BASIC registers::svme,
        "EFER.SVME must be 1";
    "SVM-VMRUN-CR0-NW" "svm-vmrun-02" Checked InvalidState [CR0] BASIC registers::nw_needs_cd,
        "CR0.CD must be 1 if CR0.NW is 1";
    "SVM-VMRUN-CR0-HIGH" "svm-vmrun-03" Checked InvalidState [CR0] BASIC registers::cr0_high,
        "CR0 bits 63:32 must be 0";
    "SVM-VMRUN-CR3-RESERVED" "svm-vmrun-04" Checked InvalidState [CR3, EFER, CR0] BASIC registers::cr3,
        "with EFER.LME and CR0.PG, CR3 bits from the physical address width on must be 0";
    "SVM-VMRUN-CR4-RESERVED" "svm-vmrun-05" Checked InvalidState [CR4] BASIC registers::cr4_reserved,
        "CR4 bits that the processor does not have must be 0";
    "SVM-VMRUN-DR6-HIGH" "svm-vmrun-06" Checked InvalidState [DR6] BASIC registers::dr6_high,
        "DR6 bits 63:32 must be 0";
    "SVM-VMRUN-DR7-HIGH" "svm-vmrun-07" Checked InvalidState [DR7] BASIC registers::dr7_high,
        "DR7 bits 63:32 must be 0";
    "SVM-VMRUN-EFER-RESERVED" "svm-vmrun-08" Checked InvalidState [EFER] BASIC registers::efer_reserved,
        "EFER bits that the processor does not have must be 0";
    "SVM-VMRUN-LONG-MODE" "svm-vmrun-09" Checked InvalidState [EFER] BASIC registers::long_mode_exists,
        "EFER.LME and EFER.LMA must be 0 on a processor without long mode";
    "SVM-VMRUN-LONG-MODE-PAE" "svm-vmrun-10" Checked InvalidState [EFER, CR0, CR4] BASIC registers::long_mode_needs_pae,
        "CR4.PAE must be 1 if EFER.LME and CR0.PG are 1";
    "SVM-VMRUN-LONG-MODE-PE" "svm-vmrun-11" Checked InvalidState [EFER, CR0] BASIC registers::long_mode_needs_pe,
        "CR0.PE must be 1 if EFER.LME and CR0.PG are 1";
    "SVM-VMRUN-CS-L-D" "svm-vmrun-12" Checked InvalidState [CS_ATTRIBUTES, EFER, CR0, CR4] BASIC registers::l_excludes_d,
        "CS.L and CS.D must not both be 1 if EFER.LME, CR0.PG and CR4.PAE are 1";
    "SVM-VMRUN-INTERCEPT-VMRUN" "svm-vmrun-13" Checked InvalidState [INTERCEPT_MISC2] BASIC controls::vmrun_intercept,
        "the intercept of VMRUN, bit 0, must be set";
    "SVM-VMRUN-MSRPM" "svm-vmrun-14" Checked InvalidState [MSRPM_BASE_PA] BASIC controls::msrpm,
        "the 8 KiB of the MSR permission map must be within the physical address width";
    "SVM-VMRUN-IOPM" "svm-vmrun-15" Checked InvalidState [IOPM_BASE_PA] BASIC controls::iopm,
        "the 12 KiB of the I/O permission map must be within the physical address width";
    "SVM-VMRUN-ASID" "svm-vmrun-16" Checked InvalidState [GUEST_ASID] BASIC controls::asid,
        "the ASID must not be 0, which is that of the host";
    "SVM-VMRUN-CR4-CET" "svm-vmrun-20" Checked InvalidState [CR4, CR0] BASIC registers::cet_needs_wp,
        "CR0.WP must be 1 if CR4.CET is 1";
    "SVM-VMRUN-S-CET" "svm-vmrun-21" Checked InvalidState [S_CET] BASIC registers::s_cet,
        "S_CET bits 63:2 must be 0";
    "SVM-VMRUN-CET-VM86" "svm-vmrun-35" Checked InvalidState [ACTUAL_U_CET, CR4, RFLAGS] BASIC
        registers::cet_excludes_virtual_8086,
        "SH_STK_EN, bit 0, must be 0 if CR4.CET and RFLAGS.VM are 1";
    "SVM-VMRUN-U-CET" "svm-vmrun-36" Checked InvalidState [U_CET] BASIC registers::u_cet,
        "U_CET bits 63:2 must be 0 in a VMSA";
    "SVM-VMRUN-PDPTE" "svm-vmrun-28" Checked InvalidState [CR3, CR0, CR4, EFER, NESTED_CTL] BASIC nested::pdptes,
        "without nested paging, reserved bits of present page-directory-pointer entries must be 0 with legacy PAE paging";

    // Event injection.
    "SVM-VMRUN-EVENTINJ-TYPE" "svm-vmrun-17" Checked InvalidState [EVENTINJ] EVENT event::reserved_type,
        "the type must be 0, 2, 3 or 4";
    "SVM-VMRUN-EVENTINJ-VECTOR" "svm-vmrun-18" Checked InvalidState [EVENTINJ] EVENT event::no_exception,
        "the vector of type 3 must be that of an exception: below 32, and not 2";
    "SVM-VMRUN-EVENTINJ-RESERVED-VECTOR" "svm-vmrun-18" Checked InvalidState [EVENTINJ] EVENT event::reserved_exception,
        "the vector of type 3 must be that of an exception which the processor has: not 9, 15, 20, 22 to 27, 31, nor 21 without \
         shadow stacks, nor 29 without SEV-ES";
    "SVM-VMRUN-EVENTINJ-MODE" "svm-vmrun-37" Checked InvalidState [EVENTINJ, EFER, CR0, CS_ATTRIBUTES] EVENT event::impossible,
        "#OF and #BR do not exist in 64-bit mode";

    // Virtual interrupts.
    "SVM-VMRUN-VNMI" "svm-vmrun-26" Checked InvalidState [INT_CTL, INTERCEPT_MISC1] INTERRUPTS controls::virtual_nmi,
        "the intercept of NMI, bit 1, must be set if V_NMI_ENABLE is 1";

    // Nested paging.
    "SVM-VMRUN-NP-HOST-PAGING" "svm-vmrun-23" Checked InvalidState [NESTED_CTL, HOST_CR0] NESTED nested::host_paging,
        "CR0.PG of the host must be 1 if NP_ENABLE is 1";
    "SVM-VMRUN-NCR3" "svm-vmrun-22" Checked InvalidState [N_CR3, NESTED_CTL] NESTED nested::ncr3,
        "bits from the physical address width on must be 0 if NP_ENABLE is 1";
    "SVM-VMRUN-G-PAT" "svm-vmrun-24" Checked InvalidState [G_PAT, NESTED_CTL] NESTED nested::pat,
        "each byte must be 0, 1, 4, 5, 6 or 7 if NP_ENABLE is 1";

    // AVIC.
    "SVM-VMRUN-AVIC-BACKING-PAGE" "svm-vmrun-31" Checked InvalidState [BACKING_PAGE, INT_CTL] AVIC avic::backing_page,
        "the address must be within the physical address width if AVIC is enabled";
    "SVM-VMRUN-AVIC-LOGICAL-TABLE" "svm-vmrun-31" Checked InvalidState [LOGICAL_TABLE, INT_CTL] AVIC avic::logical_table,
        "the address must be within the physical address width if AVIC is enabled";
    "SVM-VMRUN-AVIC-PHYSICAL-TABLE" "svm-vmrun-31" Checked InvalidState [PHYSICAL_TABLE, INT_CTL] AVIC avic::physical_table,
        "the address must be within the physical address width if AVIC is enabled";
    "SVM-VMRUN-X2AVIC" "svm-vmrun-38" Checked InvalidState [INT_CTL] AVIC_FIELDS avic::x2avic_needs_avic,
        "the enable of AVIC, bit 31, must be 1 if that of x2AVIC, bit 30, is 1";
    "SVM-VMRUN-AVIC-INDEX" "svm-vmrun-39" Checked InvalidState [PHYSICAL_TABLE, INT_CTL] AVIC avic::index,
        "the last index, bits 11:0, must be at most 255, with x2AVIC 511, or with x2AVIC_EXT 4095";
    "SVM-VMRUN-RMP-AVIC" "svm-vmrun-45" Checked InvalidState [BACKING_PAGE, INT_CTL, SYSCFG] RMP sev::rmp_avic_backing_page,
        "the reverse map must let AVIC use the APIC backing page";

    // Encrypted guests.
    "SVM-VMRUN-SEV-NP" "svm-vmrun-40" Checked InvalidState [NESTED_CTL] SEV sev::needs_nested_paging,
        "NP_ENABLE must be 1 if SEV is 1";
    "SVM-VMRUN-SEV-SMM-LOCK" "svm-vmrun-41" Checked InvalidState [NESTED_CTL, HWCR] SEV sev::needs_smm_lock,
        "HWCR.SmmLock, bit 0, must be 1 if SEV is 1";
    "SVM-VMRUN-SEV-ASID" "svm-vmrun-42" Checked InvalidState [GUEST_ASID, NESTED_CTL] SEV sev::asid,
        "the ASID must be at most CPUID Fn8000_001F ECX if SEV is 1";
    "SVM-VMRUN-SEV-64-BIT-HOST" "svm-vmrun-43" Checked InvalidState [NESTED_CTL, HOST_EFER] SEV sev::needs_64_bit_host,
        "the host must be in long mode if SEV is 1, on processors with CPUID Fn8000_001F EAX.64BitHost";
    "SVM-VMRUN-SNP-ENABLE" "svm-vmrun-44" Checked InvalidState [SEV_FEATURES, SYSCFG] SNP_ENABLE sev::snp_needs_enable,
        "SYSCFG.SecureNestedPagingEn, bit 24, must be 1 if SNPActive is 1";
    "SVM-VMRUN-RMP-VMSA" "svm-vmrun-45" Checked InvalidState [VMSA_PTR, SEV_FEATURES, SYSCFG] RMP sev::rmp_vmsa,
        "the reverse map must say that the page is a VMSA of the guest";
    "SVM-VMRUN-SEV-FEATURES" "svm-vmrun-33" Checked InvalidState [SEV_FEATURES, ALLOWED_SEV_FEATURES] ALLOWED
        sev::allowed_features,
        "ALLOWED_SEV_FEATURES must allow every feature, if it is enabled by bit 63 or the feature needs it";
    "SVM-VMRUN-VMPL-SSS" "svm-vmrun-46" Checked InvalidState [SEV_FEATURES, NESTED_CTL] SNP sev::vmpl_sss,
        "VmplSSS and SSSCheck must not both be 1";
    "SVM-VMRUN-RESTRICTED-ALTERNATE" "svm-vmrun-47" Checked InvalidState [SEV_FEATURES] SNP
        sev::restricted_excludes_alternate,
        "RestrictedInjection and AlternateInjection must not both be 1";
    "SVM-VMRUN-RESTRICTED-AVIC" "svm-vmrun-48" Checked InvalidState [SEV_FEATURES, INT_CTL] SNP
        sev::restricted_excludes_avic,
        "AVIC must not be enabled if RestrictedInjection is 1";
    "SVM-VMRUN-RESTRICTED-EVENT" "svm-vmrun-48" Checked InvalidState [EVENTINJ, SEV_FEATURES] SNP sev::restricted_event,
        "the event must be #HV, type 3 and vector 28, if RestrictedInjection is 1";
    "SVM-VMRUN-ALTERNATE-AVIC" "svm-vmrun-49" Checked InvalidState [SEV_FEATURES, INT_CTL] SNP sev::alternate_excludes_avic,
        "AVIC must not be enabled if AlternateInjection is 1";
    "SVM-VMRUN-HOST-IBS" "svm-vmrun-50" Checked InvalidState [SEV_FEATURES] SIDE_CHANNEL sev::host_ibs,
        "IbsFetchEn and IbsOpEn of the host must be 0 if PreventHostIBS is 1";
    "SVM-VMRUN-SECURE-AVIC" "svm-vmrun-51" Checked InvalidState [SEV_FEATURES, INT_CTL] SECURE_AVIC sev::secure_avic_excludes,
        "AVIC, RestrictedInjection and AlternateInjection must be 0 if SecureAvic is 1";
    "SVM-VMRUN-SECURE-AVIC-PAGE" "svm-vmrun-52" Checked InvalidState [SECURE_AVIC_CTL, SEV_FEATURES] SECURE_AVIC sev::secure_avic_page,
        "the address of the backing page must be within the physical address width if SecureAvicEn is 1";

    // Other refusals.
    "SVM-VMRUN-VMSA-BUSY" "svm-vmrun-53" Checked Busy [VINTR_CTRL, SEV_FEATURES] SNP sev::vmsa_busy,
        "the VMSA must not be busy, bit 63";
    "SVM-VMRUN-SMT-PROTECTION" "svm-vmrun-54" Checked IdleRequired [SEV_FEATURES] SIDE_CHANNEL sev::smt_protection,
        "the sibling thread must be idle if SmtProtection is 1";
    "SVM-VMRUN-PMC" "svm-vmrun-55" Checked InvalidPmc [VIRT_EXT] BASIC controls::pmc,
        "the state of the performance counters must permit to virtualize them if PMC_VIRTUALIZATION_ENABLE is 1";

    // What the manual leaves open.
    "SVM-VMRUN-NP-SUPPORT" "svm-vmrun-25" Open InvalidState [NESTED_CTL] NESTED nested::exists,
        "NP_ENABLE needs a processor with nested paging", provisional;
    "SVM-VMRUN-EXTENSIONS" "svm-vmrun-34" Open InvalidState [VIRT_EXT] BASIC controls::extensions_exist,
        "what is enabled needs a processor that has it", provisional;
    "SVM-VMRUN-SEV-ASID-MINIMUM" "svm-vmrun-32" Open InvalidState [GUEST_ASID, NESTED_CTL] SEV sev::asid_for_es,
        "the ASID must be below CPUID Fn8000_001F EDX with SEV-ES, and not below without", provisional;
    "SVM-VMRUN-SEV-ES-SEV" "svm-vmrun-57" Open InvalidState [NESTED_CTL] SEV_ES sev::es_needs_sev,
        "SEV must be 1 if SEV_ES is 1", provisional;
    "SVM-VMRUN-SEV-ES-LBR" "svm-vmrun-57" Open InvalidState [VIRT_EXT, NESTED_CTL] SEV_ES sev::es_needs_lbr,
        "LBR_VIRTUALIZATION_ENABLE must be 1 if SEV_ES is 1", provisional;

    // What is not checked.
    "SVM-ACCEPTED-PAGED-REAL-MODE" "svm-vmrun-11" NotChecked Entered [CR0, EFER] BASIC registers::paged_real_mode,
        "CR0.PG = 1 with CR0.PE = 0 is legal: paged real mode";
    "SVM-ACCEPTED-RIP" "svm-vmrun-12" NotChecked Entered [RIP, CS_ATTRIBUTES, EFER, CR0, CR4] BASIC registers::rip_is_not_canonical,
        "RIP need not be canonical: the guest gets #GP";
    "SVM-ACCEPTED-EVENTINJ-TYPE" "svm-vmrun-17" NotChecked Entered [EVENTINJ] EVENT event::legal_type,
        "types 0, 2, 3 and 4 are legal";
    "SVM-ACCEPTED-EVENTINJ-SBZ" "svm-vmrun-19" NotChecked Entered [EVENTINJ] EVENT event::should_be_zero,
        "bits 30:12 should be 0, and are not said to be illegal", provisional;

    // What changes.
    "SVM-IGNORED-MSRPM-LOW" "svm-vmrun-14" Changed Entered [MSRPM_BASE_PA] BASIC controls::msrpm_low,
        "bits 11:0 are ignored";
    "SVM-IGNORED-IOPM-LOW" "svm-vmrun-15" Changed Entered [IOPM_BASE_PA] BASIC controls::iopm_low,
        "bits 11:0 are ignored";
    "SVM-CANONICAL-TR" "svm-canonicalise-01" Changed Entered [TR_BASE, CR4] BASIC canonical::tr,
        "VMLOAD makes the base canonical";
    "SVM-CANONICAL-LDTR" "svm-canonicalise-02" Changed Entered [LDTR_BASE, CR4] BASIC canonical::ldtr,
        "VMLOAD makes the base canonical";
    "SVM-CANONICAL-GDTR" "svm-canonicalise-03" Changed Entered [GDTR_BASE, CR4] BASIC canonical::gdtr,
        "VMRUN makes the base canonical";
    "SVM-CANONICAL-IDTR" "svm-canonicalise-04" Changed Entered [IDTR_BASE, CR4] BASIC canonical::idtr,
        "VMRUN makes the base canonical";
    "SVM-CANONICAL-CS" "svm-canonicalise-05" Changed Entered [CS_BASE, CR4] BASIC canonical::cs,
        "VMRUN makes the base canonical";
    "SVM-CANONICAL-SS" "svm-canonicalise-06" Changed Entered [SS_BASE, CR4] BASIC canonical::ss,
        "VMRUN makes the base canonical";
    "SVM-CANONICAL-DS" "svm-canonicalise-07" Changed Entered [DS_BASE, CR4] BASIC canonical::ds,
        "VMRUN makes the base canonical";
    "SVM-CANONICAL-ES" "svm-canonicalise-08" Changed Entered [ES_BASE, CR4] BASIC canonical::es,
        "VMRUN makes the base canonical";
    "SVM-CANONICAL-FS" "svm-canonicalise-09" Changed Entered [FS_BASE, CR4] BASIC canonical::fs,
        "VMLOAD makes the base canonical";
    "SVM-CANONICAL-GS" "svm-canonicalise-10" Changed Entered [GS_BASE, CR4] BASIC canonical::gs,
        "VMLOAD makes the base canonical";
    "SVM-CANONICAL-KERNEL-GS-BASE" "svm-canonicalise-11" Changed Entered [KERNEL_GS_BASE, CR4] BASIC
        canonical::kernel_gs_base,
        "VMLOAD makes the address canonical", provisional;
    "SVM-CANONICAL-SYSENTER-ESP" "svm-canonicalise-12" Open Entered [SYSENTER_ESP, CR4] BASIC canonical::sysenter_esp,
        "the address should be canonical", provisional;
    "SVM-CANONICAL-SYSENTER-EIP" "svm-canonicalise-13" Open Entered [SYSENTER_EIP, CR4] BASIC canonical::sysenter_eip,
        "the address should be canonical", provisional;
    "SVM-CANONICAL-LSTAR" "svm-canonicalise-14" Open Entered [LSTAR, CR4] BASIC canonical::lstar,
        "the address should be canonical", provisional;
    "SVM-CANONICAL-CSTAR" "svm-canonicalise-15" Open Entered [CSTAR, CR4] BASIC canonical::cstar,
        "the address should be canonical", provisional;
    "SVM-CANONICAL-SSP" "svm-vmrun-27" Changed Entered [SSP, CR4] BASIC canonical::ssp,
        "VMRUN makes the address canonical";
    "SVM-CANONICAL-ISST-ADDR" "svm-vmrun-27" Changed Entered [ISST_ADDR, CR4] BASIC canonical::isst_addr,
        "VMRUN makes the address canonical";
    "SVM-CANONICAL-PL0-SSP" "svm-vmrun-27" Changed Entered [PL0_SSP, CR4] BASIC canonical::pl0_ssp,
        "VMRUN makes the address canonical";
    "SVM-CANONICAL-PL1-SSP" "svm-vmrun-27" Changed Entered [PL1_SSP, CR4] BASIC canonical::pl1_ssp,
        "VMRUN makes the address canonical";
    "SVM-CANONICAL-PL2-SSP" "svm-vmrun-27" Changed Entered [PL2_SSP, CR4] BASIC canonical::pl2_ssp,
        "VMRUN makes the address canonical";
    "SVM-CANONICAL-PL3-SSP" "svm-vmrun-27" Changed Entered [PL3_SSP, CR4] BASIC canonical::pl3_ssp,
        "VMRUN makes the address canonical";
}
