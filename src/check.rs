//! Why an entry would be refused, or was, in words that both vendors share.
//!
//! [`AnyVcpu::check`](crate::AnyVcpu::check) makes a [`Report`] before an entry; an [`EntryError`](crate::EntryError) has the rules that
//! the refused one broke. The vendors' own reports, in their modules `check`, tell more: they predict what the processor does, and
//! check dumps.
//!
//! ```no_run
//! use x86_virt::{AnyVcpu, Frames, Vcpu};
//!
//! fn first_run<A: Frames>(vcpu: &mut AnyVcpu<'_, '_, '_, A>) {
//!     for violation in vcpu.check().violations() {
//!         // VMX-GUEST-GDTR-LIMIT: GUEST_GDTR_LIMIT = 0x00010000: bits 31:16 of the limit of GDTR must be 0; ...
//!         println!("{violation}");
//!     }
//!     if let Err(error) = vcpu.run() {
//!         for rule in error.violated() {
//!             println!("{}: {} ({})", rule.id(), rule.requirement(), rule.section());
//!         }
//!     }
//! }
//! ```

use core::fmt;
use core::iter;

/// Does the same with what either vendor has.
macro_rules! either {
    ($self:expr, $name:ident => $body:expr) => {
        match $self {
            #[cfg(feature = "vmx")]
            Self::Vmx($name) => $body,
            #[cfg(feature = "svm")]
            Self::Svm($name) => $body,
        }
    };
}

/// What a check of a virtual processor finds, as of when it is asked.
///
/// Its text has a line for each violation and for each rule that could not be decided.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Report<'v> {
    /// Intel VMX.
    #[cfg(feature = "vmx")]
    Vmx(x86_virt_vmx::check::Report<'v>),
    /// AMD SVM.
    #[cfg(feature = "svm")]
    Svm(x86_virt_svm::check::Report<'static, x86_virt_svm::check::NextVmcb<'v>>),
}

impl<'v> Report<'v> {
    /// The rules that the next entry breaks, in the order of the manual.
    pub fn violations(&self) -> impl Iterator<Item = Violation> + use<'_, 'v> {
        let all = iter::empty();
        #[cfg(feature = "vmx")]
        let all = all.chain(self.vmx().into_iter().flat_map(|report| report.violations().map(Violation::Vmx)));
        #[cfg(feature = "svm")]
        let all = all.chain(self.svm().into_iter().flat_map(|report| report.violations().map(Violation::Svm)));
        all
    }

    /// The rules that could not be decided, in the order of the manual.
    pub fn undecided(&self) -> impl Iterator<Item = Undecided> + use<'_, 'v> {
        let all = iter::empty();
        #[cfg(feature = "vmx")]
        let all = all.chain(self.vmx().into_iter().flat_map(|report| report.undecided().map(Undecided::Vmx)));
        #[cfg(feature = "svm")]
        let all = all.chain(self.svm().into_iter().flat_map(|report| report.undecided().map(Undecided::Svm)));
        all
    }

    /// Whether the processor will enter the guest; `None` if it breaks no rule that could be decided, and others could not.
    #[must_use]
    pub fn enters(&self) -> Option<bool> {
        if self.violations().next().is_some() {
            return Some(false);
        }
        self.undecided().next().is_none().then_some(true)
    }

    #[cfg(feature = "vmx")]
    const fn vmx(&self) -> Option<&x86_virt_vmx::check::Report<'v>> {
        match self {
            Self::Vmx(report) => Some(report),
            #[cfg(feature = "svm")]
            Self::Svm(_) => None,
        }
    }

    #[cfg(feature = "svm")]
    const fn svm(&self) -> Option<&x86_virt_svm::check::Report<'static, x86_virt_svm::check::NextVmcb<'v>>> {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(_) => None,
            Self::Svm(report) => Some(report),
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self, report => report.fmt(f))
    }
}

/// A rule that an entry breaks, with the values that its fields had. Its text has all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Violation {
    /// Intel VMX.
    #[cfg(feature = "vmx")]
    Vmx(x86_virt_vmx::check::Violation),
    /// AMD SVM.
    #[cfg(feature = "svm")]
    Svm(x86_virt_svm::check::Violation),
}

impl Violation {
    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(violation) => Rule::Vmx(violation.rule()),
            #[cfg(feature = "svm")]
            Self::Svm(violation) => Rule::Svm(violation.rule()),
        }
    }

    /// The fields of the rule with their values; `None` for one that is not known.
    pub fn values(&self) -> impl Iterator<Item = (Place, Option<u64>)> {
        let all = iter::empty();
        #[cfg(feature = "vmx")]
        let all = all.chain(
            self.vmx()
                .into_iter()
                .flat_map(|violation| violation.values().map(|(field, value)| (Place::Vmx(field), value))),
        );
        #[cfg(feature = "svm")]
        let all = all.chain(
            self.svm()
                .into_iter()
                .flat_map(|violation| violation.values().map(|(place, value)| (Place::Svm(place), value))),
        );
        all
    }

    /// The field and the value with which the rule is kept, if the manual leaves one value to the bits that are wrong.
    #[must_use]
    pub fn valid(&self) -> Option<(Place, u64)> {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(violation) => violation.valid().map(|(field, value)| (Place::Vmx(field), value)),
            #[cfg(feature = "svm")]
            Self::Svm(violation) => violation.fix().map(|fix| (Place::Svm(fix.place), fix.value)),
        }
    }

    #[cfg(feature = "vmx")]
    const fn vmx(&self) -> Option<&x86_virt_vmx::check::Violation> {
        match self {
            Self::Vmx(violation) => Some(violation),
            #[cfg(feature = "svm")]
            Self::Svm(_) => None,
        }
    }

    #[cfg(feature = "svm")]
    const fn svm(&self) -> Option<&x86_virt_svm::check::Violation> {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(_) => None,
            Self::Svm(violation) => Some(violation),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self, violation => violation.fmt(f))
    }
}

/// A rule that could not be decided, and what must be known. Its text has all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Undecided {
    /// Intel VMX.
    #[cfg(feature = "vmx")]
    Vmx(x86_virt_vmx::check::Undecided),
    /// AMD SVM.
    #[cfg(feature = "svm")]
    Svm(x86_virt_svm::check::Undecided),
}

impl Undecided {
    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(undecided) => Rule::Vmx(undecided.rule),
            #[cfg(feature = "svm")]
            Self::Svm(undecided) => Rule::Svm(undecided.rule),
        }
    }
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self, undecided => undecided.fmt(f))
    }
}

/// A rule of VM entries, or of VMRUN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Rule {
    /// Intel VMX.
    #[cfg(feature = "vmx")]
    Vmx(&'static x86_virt_vmx::check::Rule),
    /// AMD SVM.
    #[cfg(feature = "svm")]
    Svm(&'static x86_virt_svm::check::Rule),
}

impl Rule {
    /// The identifier, which stays the same from version to version.
    #[must_use]
    pub const fn id(self) -> &'static str {
        either!(self, rule => rule.id)
    }

    /// What is required, in one sentence.
    #[must_use]
    pub const fn requirement(self) -> &'static str {
        either!(self, rule => rule.requirement)
    }

    /// Where the manual says so.
    #[must_use]
    pub const fn section(self) -> Section {
        Section(self)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self, rule => rule.fmt(f))
    }
}

/// Manual, volume, section number and title. It is a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section(Rule);

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            #[cfg(feature = "vmx")]
            Rule::Vmx(rule) => rule.section.fmt(f),
            #[cfg(feature = "svm")]
            Rule::Svm(rule) => write!(f, "APM vol. 2, section {}", rule.section),
        }
    }
}

/// A field of the VMCS or the VMCB, or a register that a rule is about. Its text is the manual's name.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Place {
    /// Intel VMX.
    #[cfg(feature = "vmx")]
    Vmx(x86_virt_vmx::field::Encoding),
    /// AMD SVM.
    #[cfg(feature = "svm")]
    Svm(&'static x86_virt_svm::check::Place),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self, place => place.fmt(f))
    }
}

#[cfg(all(test, feature = "vmx", feature = "svm"))]
mod tests {
    extern crate std;

    use std::string::ToString as _;
    use std::vec::Vec;

    use x86_virt_svm::VmcbDump;
    use x86_virt_svm::check::VmrunContext;
    use x86_virt_vmx::FakeVmcs;

    use super::{Report, Violation};

    #[test]
    fn a_report_of_vmx_is_told_in_common_words() {
        let capabilities = x86_virt_vmx::profile::SKYLAKE.capabilities();
        let vmcs = FakeVmcs::new();
        let report = Report::Vmx(x86_virt_vmx::check(&vmcs, &capabilities));
        let Report::Vmx(own) = report else { panic!("VMX") };
        assert!(report.violations().map(|violation| violation.to_string()).eq(own.violations().map(|v| v.to_string())));
        assert_eq!((report.undecided().count(), report.enters()), (own.undecided().count(), Some(false)));
        let one = report.violations().find(|violation| violation.rule().id() == "VMX-GUEST-RFLAGS-ONE").unwrap();
        assert_eq!(one.rule().requirement(), "bit 1 of RFLAGS must be 1");
        assert_eq!(
            one.rule().section().to_string(),
            "SDM vol. 3, section 29.3.1.4, \"Checks on Guest RIP, RFLAGS, and SSP\""
        );
        let values: Vec<_> = one.values().map(|(place, value)| (place.to_string(), value)).collect();
        assert_eq!(values, [("GUEST_RFLAGS".to_string(), Some(0))]);
        assert_eq!(one.valid().map(|(place, value)| (place.to_string(), value)), Some(("GUEST_RFLAGS".to_string(), 2)));
    }

    #[test]
    fn a_violation_of_svm_is_told_in_common_words() {
        let dump = VmcbDump::from_bytes([0; 4096]);
        let report = x86_virt_svm::check::check(&dump, x86_virt_svm::profile::MILAN.raw, VmrunContext::UNKNOWN);
        let one = report.violations().map(Violation::Svm).next().unwrap();
        assert_eq!(one.rule().id(), "SVM-VMRUN-EFER-SVME");
        assert_eq!(one.rule().section().to_string(), "APM vol. 2, section 15.5.1, \"Basic Operation\"");
        assert_eq!(
            one.valid().map(|(place, value)| (place.to_string(), value)),
            Some(("SAVE.EFER".to_string(), 1 << 12))
        );
        assert_eq!(one.values().map(|(_, value)| value).collect::<Vec<_>>(), [Some(0)]);
        assert!(one.to_string().starts_with("SVM-VMRUN-EFER-SVME: SAVE.EFER = 0x0000000000000000: "));
    }
}
