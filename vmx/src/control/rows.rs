//! The rows of the control words.

use core::fmt;

use x86_virt_core::TableRow;

use super::{Control, ControlInfo};

/// Visits every control.
pub(crate) fn control_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    for info in Control::all() {
        visit(&TableRow {
            table: "vmx_control",
            name: info.name,
            aliases: info.aliases,
            encoding: u64::from(info.control.bit),
            width_bits: 1,
            access: "",
            group: &info.control.word,
            requires: &Requirements(info),
            provisional: info.provisional,
        });
    }
}

/// The controls that must be 1, and those that must be 0.
struct Requirements<'a>(&'a ControlInfo);

impl fmt::Display for Requirements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs = self.0.needs.iter().map(|control| ("", control));
        let excludes = self.0.excludes.iter().map(|control| ("not ", control));
        let mut separator = "";
        for (not, control) in needs.chain(excludes) {
            write!(f, "{separator}{not}{control}")?;
            separator = " and ";
        }
        Ok(())
    }
}

/// Controls of which one must be supported.
pub(crate) struct AnyOf<'a>(pub(crate) &'a [Control]);

impl fmt::Display for AnyOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for control in self.0 {
            write!(f, "{separator}{control}")?;
            separator = " or ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::control_rows;

    #[test]
    fn there_are_110_rows_with_their_rules() {
        let mut rows = Vec::new();
        control_rows(&mut |row| rows.push((format!("{} {}", row.group, row.name), row.requires.to_string())));
        assert_eq!(rows.len(), 110);
        let rule = |name: &str| rows.iter().find(|(row, _)| row == name).unwrap().1.clone();
        assert_eq!(rule("pin NMI_EXITING"), "");
        assert_eq!(
            rule("secondary VIRTUALIZE_X2APIC_MODE"),
            "primary 21 USE_TPR_SHADOW and not secondary 0 VIRTUALIZE_APIC_ACCESSES"
        );
        assert_eq!(rule("exit SAVE_PREEMPTION_TIMER"), "pin 6 ACTIVATE_PREEMPTION_TIMER");
    }
}
