//! Why VMRUN refuses a guest: its rules, checked without a processor.
//!
//! [`check`] compares a VMCB with every rule of VMRUN and names all that it breaks, where the processor says VMEXIT_INVALID and no
//! more. Besides, it tells what VMRUN changes in silence, and what cannot be told because something is not known.
//!
//! [`RULES`] lists the rules in the order of the manual.
#![forbid(unsafe_code)]

mod avic;
mod canonical;
mod contradiction;
mod controls;
mod event;
mod finding;
mod instruction;
mod nested;
mod registers;
mod report;
mod rule;
mod sev;
mod table;
mod view;

pub use contradiction::Contradiction;
pub use finding::{Fix, Note, Undecided, Violation};
pub use report::{Prediction, Report};
pub use rule::{Place, Rule, RuleClass, RuleKind, RuleSet};
pub use table::RULES;
pub use view::{Missing, NextVmcb, VmcbRead, VmrunContext};

use crate::capability::RawCpuid;

/// Checks what `vmcb` holds against the rules of VMRUN, on a processor with these CPUID values.
///
/// `cpuid` is a [`RawCpuid`], or `None` if it is not known. What `context` does not tell is not known either. A rule that needs
/// something unknown is [undecided](Report::undecided); the others are checked all the same. Nothing is computed before an
/// iterator is used, and nothing is allocated.
///
/// AMD APM vol. 2, section 15.5.1, "Basic Operation" (canonicalization and consistency checks).
///
/// ```
/// use x86_virt_core::{Cr0, Efer};
/// use x86_virt_svm::check::{Prediction, RuleClass, VmrunContext, check};
/// use x86_virt_svm::vmcb::Vmcb;
/// use x86_virt_svm::{VmcbDump, profile};
///
/// let mut vmcb = Vmcb::from_bytes(&[0; 4096]);
/// vmcb.control.INTERCEPT_MISC2 = 1;
/// vmcb.control.GUEST_ASID = 1;
/// vmcb.save.EFER = Efer::new().with_svme(true);
/// vmcb.save.CR0 = Cr0::new().with_nw(true);
/// let dump = VmcbDump::new(&vmcb);
///
/// let report = check(&dump, profile::MILAN.raw, VmrunContext::UNKNOWN);
/// assert_eq!(report.prediction(), Prediction::Refused(RuleClass::InvalidState));
/// let mut violations = report.violations();
/// assert_eq!(
///     violations.next().map(|violation| violation.to_string()).as_deref(),
///     Some(
///         "SVM-VMRUN-CR0-NW: SAVE.CR0 = 0x0000000020000000: CR0.CD must be 1 if CR0.NW is 1 \
///          (APM vol. 2, section 15.5.1, \"Basic Operation\")"
///     ),
/// );
/// assert!(violations.next().is_none());
/// ```
pub fn check<S: VmcbRead>(vmcb: S, cpuid: impl Into<Option<RawCpuid>>, context: VmrunContext<'_>) -> Report<'_, S> {
    Report::new(vmcb, cpuid.into(), context)
}

#[cfg(test)]
mod tests;
