//! The text of what was found.

use core::fmt;

use x86_virt_vmx::field::Group;

use crate::dump::{Dump, Message, MessageMeaning, MsrArea, State};
use crate::machine::Machine;
use crate::outcome::{Outcome, Recorded};
use crate::rules::{Finding, Verdict, rules};

/// Where lists of names are wrapped.
const WIDTH: usize = 120;
/// How many names are listed.
const MOST_NAMES: usize = 40;

/// What a dump says about an entry: what was read, what is recorded, and which rules are violated.
///
/// ```
/// use x86_virt_explain::{Machine, Report, read};
///
/// let text = "CR4: actual=0x0000000000000020, shadow=0x0000000000000000, gh_mask=0000000000000000\n\
///             KVM: entry failed, hardware error 0x80000021\n";
/// let dumps = read(text)?;
/// let machine = Machine::of_profile("haswell").unwrap();
/// let report = Report::new(dumps[0].clone(), &machine);
/// assert_eq!(report.violated().map(|finding| finding.rule.as_str()).collect::<Vec<_>>(), ["VMX-GUEST-CR4-FIXED0"]);
/// # Ok::<(), x86_virt_explain::ReadError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    dump: Dump,
    machine: Machine,
    outcome: Outcome,
    findings: Vec<Finding>,
}

impl Report {
    /// Checks `dump` against what `machine` can do.
    #[must_use]
    pub fn new(dump: Dump, machine: &Machine) -> Self {
        let outcome = Outcome::of(&dump);
        let findings = rules(&dump, machine);
        Self { dump, machine: machine.clone(), outcome, findings }
    }

    /// Checks `dump` with the number that KVM or Xen reported for the failed entry.
    #[must_use]
    pub fn with_error(mut dump: Dump, machine: &Machine, number: u64) -> Self {
        dump.message = Some(Message { number, meaning: MessageMeaning::HardwareError, place: None });
        Self::new(dump, machine)
    }

    /// The dump.
    #[must_use]
    pub const fn dump(&self) -> &Dump {
        &self.dump
    }

    /// What is recorded about the entry.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Violated rules that can be why the entry failed. None if it did not fail.
    pub fn violated(&self) -> impl Iterator<Item = &Finding> {
        self.findings(Verdict::Violated, true)
    }

    /// Violated rules that cannot be why the entry failed as it is recorded: the processor did not report them. None if it did
    /// not fail.
    pub fn misfits(&self) -> impl Iterator<Item = &Finding> {
        self.findings(Verdict::Violated, false)
    }

    /// Rules that can be why the entry failed, and of which the dump or what is known of the processor does not say it.
    pub fn cannot_tell(&self) -> impl Iterator<Item = &Finding> {
        self.findings(Verdict::CannotTell, true)
    }

    fn findings(&self, verdict: Verdict, fits: bool) -> impl Iterator<Item = &Finding> {
        let outcome = self.outcome;
        self.findings.iter().filter(move |finding| {
            !outcome.is_exit() && finding.verdict == verdict && outcome.accuses(finding.class) == fits
        })
    }

    /// Writes which fields an entry uses and the dump does not have: their names, or how many there are of each group.
    fn missing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State::Vmcs(fields) = &self.dump.state else { return Ok(()) };
        let missing: Vec<_> = fields.missing().collect();
        if missing.len() <= MOST_NAMES {
            let names: Vec<_> = missing.iter().map(|info| info.name).collect();
            return list(f, "missing, of what an entry uses", &names);
        }
        write!(f, "missing, of what an entry uses: {} fields", missing.len())?;
        let mut separator = ": ";
        for group in Group::ALL {
            let count = missing.iter().filter(|info| info.encoding.group() == group).count();
            if count > 0 {
                write!(f, "{separator}{count} {group}")?;
                separator = ", ";
            }
        }
        writeln!(f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dump, machine, outcome, .. } = self;
        writeln!(f, "{}, from {} on", dump.kind, dump.place)?;
        let fields = match &dump.state {
            State::Vmcs(fields) => fields.len(),
            State::Vmcb(image) => image.len(),
        };
        write!(f, "read: {fields} fields")?;
        for (area, title) in
            [(MsrArea::EntryLoad, "entry load"), (MsrArea::ExitStore, "exit store"), (MsrArea::ExitLoad, "exit load")]
        {
            let entries = dump.msrs.iter().filter(|entry| entry.area == area).count();
            if entries > 0 {
                write!(f, ", MSRs of VM {title}: {entries}")?;
            }
        }
        writeln!(f)?;
        writeln!(f, "recorded: {}", Recorded { outcome: *outcome, dump })?;
        writeln!(f, "capabilities: {machine}")?;
        for doubt in &dump.doubts {
            writeln!(f, "note: {doubt}")?;
        }
        for (name, place) in &dump.cut {
            writeln!(f, "cut: {name} ({place})")?;
        }
        self.missing(f)?;
        if outcome.is_exit() {
            return writeln!(f, "\nNothing is accused.");
        }
        section(f, "violated", self.violated())?;
        section(
            f,
            "violated, but not what the processor reported; do dump and capabilities belong together?",
            self.misfits(),
        )?;
        section(f, "cannot tell", self.cannot_tell())?;
        if self.violated().next().is_none() {
            writeln!(f, "\nNo rule that is checked here and fits is violated.")?;
        }
        Ok(())
    }
}

fn section<'f>(f: &mut fmt::Formatter<'_>, title: &str, findings: impl Iterator<Item = &'f Finding>) -> fmt::Result {
    let mut findings = findings.peekable();
    if findings.peek().is_none() {
        return Ok(());
    }
    writeln!(f, "\n{title}:")?;
    for finding in findings {
        match finding.verdict {
            Verdict::Violated => writeln!(f, "{finding}")?,
            Verdict::CannotTell => writeln!(f, "{}: {}", finding.rule, finding.sentence)?,
        }
    }
    Ok(())
}

/// Writes names behind a title, wrapped.
fn list(f: &mut fmt::Formatter<'_>, title: &str, names: &[&str]) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    write!(f, "{title}:")?;
    let mut column = title.len() + 1;
    for name in names {
        if column + 1 + name.len() > WIDTH {
            write!(f, "\n ")?;
            column = 1;
        }
        write!(f, " {name}")?;
        column += 1 + name.len();
    }
    writeln!(f)
}
