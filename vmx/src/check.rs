//! Why a VM entry fails: all rules that a state breaks.
//!
//! [`check`](crate::check()) looks at the fields of a VMCS, live or from memory, and at the capabilities of a processor, and names
//! every rule of the manual that an entry would break, in the order in which the manual lists them. It changes nothing and needs
//! no processor.
//!
//! ```
//! use x86_virt_vmx::{FakeVmcs, VmcsWrite, check, field, profile};
//!
//! let mut vmcs = FakeVmcs::new();
//! vmcs.write(field::GUEST_GDTR_LIMIT, 0x1_0000)?;
//! let capabilities = profile::SKYLAKE.capabilities();
//! let report = check(&vmcs, &capabilities);
//! let violation = report.violations().find(|violation| violation.rule().id == "VMX-GUEST-GDTR-LIMIT").unwrap();
//! assert_eq!(
//!     violation.to_string(),
//!     "VMX-GUEST-GDTR-LIMIT: GUEST_GDTR_LIMIT = 0x00010000: bits 31:16 of the limit of GDTR must be 0; valid: \
//!      GUEST_GDTR_LIMIT = 0x00000000 (SDM vol. 3, section 29.3.1.3, \"Checks on Guest Descriptor-Table Registers\")"
//! );
//! # Ok::<(), x86_virt_vmx::FieldError>(())
//! ```
//!
//! What a rule needs and is not known, such as the contents of memory, makes it undecided; the others are checked all the same.
//! [`check_entry`] takes what is known beyond VMCS and capabilities.
#![forbid(unsafe_code)]

#[macro_use]
mod rule;

mod contradiction;
mod controls;
mod entry;
mod fix;
mod guest;
mod host;
mod instruction;
mod msr;
mod msr_lists;
mod prediction;
mod report;
mod rule_set;
#[cfg(target_arch = "x86_64")]
mod vcpu;
mod view;

#[cfg(test)]
mod tests;

pub use contradiction::Contradiction;
pub use entry::{Entry, EntryInstruction, Machine, ProcessorMode};
pub use fix::Fix;
pub use prediction::{Numbers, Prediction};
pub use report::{Report, Undecided, Violation};
pub use rule::{InstructionFailure, Rule, RuleClass, RuleKind, Section};
pub use rule_set::RuleSet;
#[cfg(target_arch = "x86_64")]
pub(crate) use vcpu::Why;
pub use view::Missing;

use view::View;

use crate::access::VmcsRead;
use crate::capability::Capabilities;

/// Checks an entry as a hypervisor makes it, of which nothing is known but the VMCS and the capabilities of the processor.
///
/// A capability MSR that is 0 counts as unknown.
pub fn check<'a, V: VmcsRead>(vmcs: &'a V, capabilities: &'a Capabilities) -> Report<'a> {
    check_entry(vmcs, capabilities, Entry::new())
}

/// Checks an entry of which more is known.
///
/// ```
/// use x86_virt_core::Hpa;
/// use x86_virt_vmx::check::{Entry, Prediction, check_entry};
/// use x86_virt_vmx::{FakeVmcs, InstructionError, profile};
///
/// let mut entry = Entry::new();
/// entry.blocking_by_mov_ss = true;
/// let (vmcs, capabilities) = (FakeVmcs::new(), profile::SKYLAKE.capabilities());
/// let report = check_entry(&vmcs, &capabilities, entry);
/// assert_eq!(report.prediction().to_string(), "VMfailValid: VM-instruction error 26: VM entry with events blocked by MOV SS");
/// ```
pub fn check_entry<'a, V: VmcsRead>(vmcs: &'a V, capabilities: &'a Capabilities, entry: Entry<'a>) -> Report<'a> {
    Report::new(View::new(vmcs, capabilities, entry))
}

/// The rules of all files, group by group.
const GROUPS: [&[&[Rule]]; 6] = [
    instruction::GROUPS,
    controls::GROUPS,
    instruction::EXECUTIVE_GROUPS,
    host::GROUPS,
    guest::GROUPS,
    msr_lists::GROUPS,
];

/// How many rules there are.
const COUNT: usize = {
    let mut count = 0;
    let mut files = GROUPS.as_slice();
    while let [file, rest @ ..] = files {
        let mut groups = *file;
        while let [group, rest @ ..] = groups {
            count += group.len();
            groups = rest;
        }
        files = rest;
    }
    count
};

/// All rules, in the order of the manual.
pub const RULES: &[Rule] = &{
    let mut rules = [controls::FIRST; COUNT];
    let mut free = rules.as_mut_slice();
    let mut files = GROUPS.as_slice();
    while let [file, rest @ ..] = files {
        let mut groups = *file;
        while let [group, rest @ ..] = groups {
            let (place, behind) = free.split_at_mut(group.len());
            place.copy_from_slice(group);
            free = behind;
            groups = rest;
        }
        files = rest;
    }
    rules
};

impl Rule {
    /// The rule with this identifier.
    ///
    /// ```
    /// use x86_virt_vmx::check::Rule;
    ///
    /// let rule = Rule::find("VMX-GUEST-SEG-CS-TYPE").unwrap();
    /// assert_eq!(rule.requirement, "the type of CS must be 9, 11, 13 or 15, or 3 in an unrestricted guest");
    /// assert_eq!(rule.class.to_string(), "exit reason 33, qualification 0");
    /// ```
    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.id == id)
    }
}
