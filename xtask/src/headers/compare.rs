//! Our rows against the names of a source.

use core::fmt;

use super::differences;
use super::names;
use super::rule::Rule;
use super::symbol::{Origin, Symbol};
use crate::tables::Row;

/// What came of the comparison with a source.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The names that both have, with the same number.
    pub(crate) agreed: usize,
    /// What does not agree.
    pub(crate) mismatches: Vec<String>,
    /// The names that have no row.
    pub(crate) missing: Vec<String>,
    /// The names that are left out for a reason.
    pub(crate) skipped: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agreed, mismatches, missing, skipped } = self;
        write!(
            f,
            "{agreed} agree, {} differ, {} have no counterpart, {skipped} are not comparable",
            mismatches.len(),
            missing.len()
        )
    }
}

/// What came of one name.
enum Outcome {
    Agreed,
    Mismatch(String),
    Missing(String),
    Skipped,
}

/// Compares every name that a rule claims.
pub(crate) fn compare(symbols: &[Symbol], rules: &[Rule], rows: &[Row]) -> Report {
    let mut outcomes: Vec<(&Symbol, Outcome)> =
        symbols.iter().filter_map(|symbol| Some((symbol, judge(symbol, rules, rows)?))).collect();
    // Of a structure in a structure either the whole or its members have rows.
    let agreed: Vec<_> =
        outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Agreed)).map(|&(symbol, _)| symbol).collect();
    outcomes.retain(|(symbol, outcome)| {
        !matches!(outcome, Outcome::Missing(_))
            || !agreed.iter().any(|other| is_part(symbol, other) || is_part(other, symbol))
    });
    let mut report = Report::default();
    for (_, outcome) in outcomes {
        match outcome {
            Outcome::Agreed => report.agreed += 1,
            Outcome::Skipped => report.skipped += 1,
            Outcome::Mismatch(text) => report.mismatches.push(text),
            Outcome::Missing(text) => report.missing.push(text),
        }
    }
    report
}

/// Whether one is the member of a structure that the other is.
fn is_part(part: &Symbol, whole: &Symbol) -> bool {
    matches!(part.origin, Origin::Structure(_))
        && part.origin == whole.origin
        && part.name.strip_prefix(whole.name.as_str()).is_some_and(|rest| rest.starts_with('.'))
}

/// What comes of a name; nothing if no rule claims it.
fn judge(symbol: &Symbol, rules: &[Rule], rows: &[Row]) -> Option<Outcome> {
    let mut claims = rules.iter().filter(|rule| rule.claims(symbol)).peekable();
    let first = *claims.peek()?;
    if differences::skipped(symbol).is_some() {
        return Some(Outcome::Skipped);
    }
    let value = match &symbol.value {
        Ok(value) => *value,
        Err(_) => return Some(Outcome::Mismatch(format!("{symbol}: its value cannot be read"))),
    };
    for rule in claims {
        let found = find(symbol, value, rule, rows);
        if !found.is_empty() {
            return Some(check(symbol, value, rule, &found));
        }
    }
    Some(Outcome::Missing(format!("{symbol}{}", hint(value, first, rows))))
}

/// The rows of the name: those with this name or alias, or else those with the name that the rule gives it.
fn find<'a>(symbol: &Symbol, value: u64, rule: &Rule, rows: &'a [Row]) -> Vec<&'a Row> {
    let mine: Vec<&Row> = rows.iter().filter(|row| rule.is_about(row, value)).collect();
    let called = |name: &str| -> Vec<&'a Row> {
        let is_called = |row: &&&Row| {
            row.name == names::other_name(name, &row.table).unwrap_or(name)
                || row.aliases.iter().any(|alias| alias == name)
        };
        mine.iter().filter(is_called).copied().collect()
    };
    match called(&symbol.name) {
        found if found.is_empty() => rule.our_name(symbol).map(|name| called(&name)).unwrap_or_default(),
        found => found,
    }
}

fn check(symbol: &Symbol, value: u64, rule: &Rule, found: &[&Row]) -> Outcome {
    let (encoding, width) = match rule.read(value) {
        Ok(read) => read,
        Err(error) => return Outcome::Mismatch(format!("{symbol}: {error}")),
    };
    let differs = |row: &&&Row| row.encoding != encoding || width.is_some_and(|width| width != row.width_bits);
    match found.iter().find(differs) {
        None => Outcome::Agreed,
        Some(row) => {
            let bits = width.map(|width| format!(" of {width} bits")).unwrap_or_default();
            let Row { table, name, width_bits, .. } = row;
            Outcome::Mismatch(format!(
                "{symbol} is {encoding:#06x}{bits}, but {table}.{name} is {} of {width_bits} bits",
                row.hex()
            ))
        }
    }
}

/// The row that has this number, which may want the name as an alias.
fn hint(value: u64, rule: &Rule, rows: &[Row]) -> String {
    let Ok((encoding, _)) = rule.read(value) else { return String::new() };
    let same: Vec<_> = rows
        .iter()
        .filter(|row| rule.is_about(row, value) && row.encoding == encoding)
        .map(|row| format!("{}.{}", row.table, row.name))
        .collect();
    if same.is_empty() { String::new() } else { format!("  ({} has this number)", same.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::super::rule::{From, Meaning};
    use super::*;
    use crate::tables::row;

    const RULES: [Rule; 3] = [
        Rule::new(From::Group("field"), "", &["field"], Meaning::Number(0)),
        Rule::new(From::Group("field"), "", &["field"], Meaning::Number(1)).ends("_HIGH").renames(""),
        Rule::new(From::Structure("area"), "", &["area"], Meaning::Number(0)),
    ];

    fn symbol(name: &str, origin: Origin, value: u64) -> Symbol {
        Symbol { name: name.to_owned(), origin, file: "t.h".to_owned(), line: 7, value: Ok(value) }
    }

    fn field(name: &str, value: u64) -> Symbol {
        symbol(name, Origin::Group("field".to_owned()), value)
    }

    fn member(name: &str, value: u64) -> Symbol {
        symbol(name, Origin::Structure("area".to_owned()), value)
    }

    #[test]
    fn names_aliases_and_high_halves_agree() {
        let rows = [row("field", "", "A", &["OTHER"], 0x2000, 64), row("field", "", "B", &[], 2, 64)];
        let report = compare(&[field("OTHER", 0x2000), field("A_HIGH", 0x2001), field("C", 2)], &RULES, &rows);
        assert_eq!((report.agreed, report.mismatches.len()), (2, 0), "{report:?}");
        assert_eq!(report.missing, ["t.h:7 C = 0x2  (field.B has this number)"]);
    }

    #[test]
    fn a_difference_has_both_numbers_and_the_place() {
        let rows = [row("field", "", "A", &[], 0x2000, 64)];
        let report = compare(&[field("A", 0x2002)], &RULES, &rows);
        assert_eq!(report.mismatches, ["t.h:7 A = 0x2002 is 0x2002, but field.A is 0x2000 of 64 bits"]);
        assert_eq!(report.agreed, 0);
    }

    #[test]
    fn every_row_with_the_alias_must_agree() {
        let rows = [row("field", "a", "A", &["X"], 1, 64), row("field", "b", "A", &["X"], 2, 64)];
        assert_eq!(compare(&[field("X", 1)], &RULES, &rows).mismatches.len(), 1);
    }

    #[test]
    fn a_name_without_a_value_differs_and_what_no_rule_claims_is_passed_over() {
        let unknown = Symbol { value: Err("why".to_owned()), ..field("A", 0) };
        let report = compare(&[unknown, symbol("A", Origin::Constant, 0)], &RULES, &[]);
        assert_eq!(report.mismatches, ["t.h:7 A (why): its value cannot be read"]);
        assert_eq!((report.agreed, report.missing.len(), report.skipped), (0, 0, 0));
    }

    #[test]
    fn of_a_nested_structure_the_whole_or_the_members_have_rows() {
        let rows = [row("area", "", "ES", &["es"], 0, 128), row("area", "", "CS_BASE", &["cs.base"], 24, 64)];
        let symbols = [
            member("es", 0),
            member("es.base", 8),
            member("cs", 16),
            member("cs.base", 24),
            member("cpl", 32),
            member("reserved_1", 40),
        ];
        let report = compare(&symbols, &RULES, &rows);
        assert_eq!((report.agreed, report.skipped), (2, 1));
        assert_eq!(report.missing, ["t.h:7 area.cpl = 0x20"]);
    }
}
