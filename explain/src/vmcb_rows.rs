//! The lines of a VMCB dump of Linux.
//!
//! The layout is a fact about what `dump_vmcb` of Linux 4.4 and later (`arch/x86/kvm/svm/svm.c`, before `arch/x86/kvm/svm.c`) prints.

use x86_virt_svm::vmcb::{Field, control as c, save as s};

use crate::layout::{Origin, Row, Section, Slot};
use crate::scan::Radix;

/// Bytes of the VMCB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// Where they begin.
    pub(crate) offset: usize,
    /// How many: 0 for what is not in the VMCB.
    pub(crate) bytes: usize,
}

const fn slot(offset: usize, bytes: usize, radix: Radix) -> Slot<Target> {
    Slot { target: Target { offset, bytes }, radix }
}

/// A number of `bytes` bytes at the start of `field`, or `after` bytes behind it, in hexadecimal with all digits.
const fn hex<T, A>(field: Field<T, A>, after: usize, bytes: usize) -> Slot<Target> {
    slot(field.offset() + after, bytes, Radix::Hexadecimal(2 * bytes))
}

const fn decimal<T, A>(field: Field<T, A>, bytes: usize) -> Slot<Target> {
    slot(field.offset(), bytes, Radix::Decimal)
}

/// Makes rows of `label: slot`.
macro_rules! rows {
    ($section:ident: $($sure:literal $opens:literal $($label:literal $slot:expr),+;)*) => {
        &[$(Row {
            section: Section::$section,
            origin: Origin::Linux,
            opens: $opens,
            sure: $sure,
            labels: &[$($label),+],
            slots: &[$($slot),+],
        }),*]
    };
}

/// The control area.
pub(crate) const CONTROL: &[Row<Target>] = rows! { VmcbControl:
    0 true "cr_read:" hex(c::INTERCEPT_CR_READ, 0, 2);
    0 true "cr_write:" hex(c::INTERCEPT_CR_WRITE, 0, 2);
    0 true "dr_read:" hex(c::INTERCEPT_DR_READ, 0, 2);
    0 true "dr_write:" hex(c::INTERCEPT_DR_WRITE, 0, 2);
    0 false "exceptions:" hex(c::INTERCEPT_EXCEPTIONS, 0, 4);
    1 false "intercepts:" hex(c::INTERCEPT_MISC1, 0, 8);
    0 false "intercepts:" hex(c::INTERCEPT_MISC1, 0, 4), " " hex(c::INTERCEPT_MISC2, 0, 4);
    0 true "pause filter count:" decimal(c::PAUSE_FILTER_COUNT, 2);
    0 true "pause filter threshold:" decimal(c::PAUSE_FILTER_THRESHOLD, 2);
    0 true "iopm_base_pa:" hex(c::IOPM_BASE_PA, 0, 8);
    0 true "msrpm_base_pa:" hex(c::MSRPM_BASE_PA, 0, 8);
    0 true "tsc_offset:" hex(c::TSC_OFFSET, 0, 8);
    0 false "asid:" decimal(c::GUEST_ASID, 4);
    0 true "tlb_ctl:" decimal(c::TLB_CONTROL, 1);
    0 true "erap_ctl:" decimal(c::RAP_CONTROL, 1);
    0 true "int_ctl:" hex(c::VIRTUAL_INTERRUPT_CONTROL, 0, 4);
    0 true "int_vector:" hex(c::VIRTUAL_INTERRUPT_CONTROL, 4, 4);
    0 true "int_state:" hex(c::INTERRUPT_STATE, 0, 4);
    1 true "exit_code:" hex(c::EXITCODE, 0, 8);
    0 true "exit_code:" hex(c::EXITCODE, 0, 4);
    0 true "exit_info1:" hex(c::EXITINFO1, 0, 8);
    0 true "exit_info2:" hex(c::EXITINFO2, 0, 8);
    0 true "exit_int_info:" hex(c::EXITINTINFO, 0, 4);
    0 true "exit_int_info_err:" hex(c::EXITINTINFO, 4, 4);
    0 true "nested_ctl:" decimal(c::NESTED_CTL, 8);
    0 true "misc_ctl:" decimal(c::NESTED_CTL, 8);
    0 true "nested_cr3:" hex(c::N_CR3, 0, 8);
    0 true "avic_vapic_bar:" hex(c::AVIC_APIC_BAR, 0, 8);
    0 false "ghcb:" hex(c::GHCB_GPA, 0, 8);
    0 true "event_inj:" hex(c::EVENTINJ, 0, 4);
    0 true "event_inj_err:" hex(c::EVENTINJ, 4, 4);
    0 true "lbr_ctl:" decimal(c::VIRT_EXT, 8);
    0 true "virt_ext:" decimal(c::VIRT_EXT, 8);
    0 true "misc_ctl2:" decimal(c::VIRT_EXT, 8);
    0 true "next_rip:" hex(c::NRIP, 0, 8);
    0 true "avic_backing_page:" hex(c::AVIC_APIC_BACKING_PAGE, 0, 8);
    0 true "avic_logical_id:" hex(c::AVIC_LOGICAL_TABLE, 0, 8);
    0 true "avic_physical_id:" hex(c::AVIC_PHYSICAL_TABLE, 0, 8);
    0 true "vmsa_pa:" hex(c::VMSA_PTR, 0, 8);
    0 true "allowed_sev_features:" hex(c::ALLOWED_SEV_FEATURES, 0, 8);
    0 true "guest_sev_features:" hex(c::GUEST_SEV_FEATURES, 0, 8);
};

/// Segments.
macro_rules! segments {
    ($($label:literal $field:ident;)*) => {
        &[$(Row {
            section: Section::VmcbSave,
            origin: Origin::Linux,
            opens: true,
            sure: 0,
            labels: &[concat!($label, ": s:"), " a:", " l:", " b:"],
            slots: &[hex(s::$field, 0, 2), hex(s::$field, 2, 2), hex(s::$field, 4, 4), hex(s::$field, 8, 8)],
        }),*]
    };
}

/// The segments of the state-save area.
pub(crate) const SEGMENTS: &[Row<Target>] = segments! {
    "es" ES;
    "cs" CS;
    "ss" SS;
    "ds" DS;
    "fs" FS;
    "gs" GS;
    "gdtr" GDTR;
    "ldtr" LDTR;
    "idtr" IDTR;
    "tr" TR;
};

/// The rest of the state-save area. Numbers in another format than that of the dump are other messages.
pub(crate) const SAVE: &[Row<Target>] = rows! { VmcbSave:
    1 false "cpl:" decimal(s::CPL, 1);
    1 false "efer:" hex(s::EFER, 0, 8);
    1 false "cr0:" hex(s::CR0, 0, 8);
    1 false "cr2:" hex(s::CR2, 0, 8);
    1 false "cr3:" hex(s::CR3, 0, 8);
    1 false "cr4:" hex(s::CR4, 0, 8);
    1 false "dr6:" hex(s::DR6, 0, 8);
    1 false "dr7:" hex(s::DR7, 0, 8);
    1 false "rip:" hex(s::RIP, 0, 8);
    1 false "rflags:" hex(s::RFLAGS, 0, 8);
    1 false "rsp:" hex(s::RSP, 0, 8);
    1 false "rax:" hex(s::RAX, 0, 8);
    1 false "star:" hex(s::STAR, 0, 8);
    1 false "lstar:" hex(s::LSTAR, 0, 8);
    1 false "cstar:" hex(s::CSTAR, 0, 8);
    1 false "sfmask:" hex(s::SFMASK, 0, 8);
    0 true "kernel_gs_base:" hex(s::KERNEL_GS_BASE, 0, 8);
    0 true "sysenter_cs:" hex(s::SYSENTER_CS, 0, 8);
    0 true "sysenter_esp:" hex(s::SYSENTER_ESP, 0, 8);
    0 true "sysenter_eip:" hex(s::SYSENTER_EIP, 0, 8);
    0 true "gpat:" hex(s::G_PAT, 0, 8);
    0 true "dbgctl:" hex(s::DBGCTL, 0, 8);
    0 true "br_from:" hex(s::BR_FROM, 0, 8);
    0 true "br_to:" hex(s::BR_TO, 0, 8);
    0 true "excp_from:" hex(s::LAST_EXCP_FROM, 0, 8);
    0 true "excp_to:" hex(s::LAST_EXCP_TO, 0, 8);
};
