//! What a name in a source says about which tables.

use super::symbol::{Origin, Symbol};
use crate::tables::Row;

/// Where the names are that a rule is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From {
    /// Macros, or constants outside of any group.
    Constant,
    /// An enumeration, a module, or a type of flags.
    Group(&'static str),
    /// A structure.
    Structure(&'static str),
}

/// What the number says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meaning {
    /// The encoding plus this.
    Number(u64),
    /// An offset in a part of the structure, which begins here.
    Offset(u64),
    /// A mask, to be shifted to the left by this: the encoding is its lowest bit, and its bits are the width.
    Bits(u32),
    /// A code, shifted to the left by this.
    Code(u32),
    /// 32 times the number of a word of controls, plus the bit.
    Feature,
}

/// The groups of controls in the order of Linux's words of features.
const FEATURE_WORDS: [&str; 4] = ["pin", "primary", "secondary", "tertiary"];

/// What names of one form say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    from: From,
    begins: &'static str,
    ends: &'static str,
    renames: Option<&'static str>,
    tables: &'static [&'static str],
    group: &'static str,
    meaning: Meaning,
}

impl Rule {
    /// For names that begin with `begins`.
    pub(crate) const fn new(
        from: From,
        begins: &'static str,
        tables: &'static [&'static str],
        meaning: Meaning,
    ) -> Self {
        Self { from, begins, ends: "", renames: None, tables, group: "", meaning }
    }

    /// And that end with `ends`.
    pub(crate) const fn ends(self, ends: &'static str) -> Self {
        Self { ends, ..self }
    }

    /// Our names may have this before them and leave out that end.
    pub(crate) const fn renames(self, beginning: &'static str) -> Self {
        Self { renames: Some(beginning), ..self }
    }

    /// In rows of this group.
    pub(crate) const fn group(self, group: &'static str) -> Self {
        Self { group, ..self }
    }

    /// Whether the rule is for this name.
    pub(crate) fn claims(&self, symbol: &Symbol) -> bool {
        let is_from = match (self.from, &symbol.origin) {
            (From::Constant, Origin::Constant) => true,
            (From::Group(own), Origin::Group(group)) => own == group,
            (From::Structure(own), Origin::Structure(structure)) => own == structure,
            _ => false,
        };
        is_from && symbol.name.starts_with(self.begins) && symbol.name.ends_with(self.ends)
    }

    /// The name that our row may have instead.
    pub(crate) fn our_name(&self, symbol: &Symbol) -> Option<String> {
        let name = symbol.name.strip_suffix(self.ends).unwrap_or(&symbol.name);
        self.renames.map(|beginning| format!("{beginning}{name}"))
    }

    /// Whether the rule is about this row.
    pub(crate) fn is_about(&self, row: &Row, value: u64) -> bool {
        let group = match self.meaning {
            Meaning::Feature => {
                let word = usize::try_from(value / 32).unwrap_or(usize::MAX);
                FEATURE_WORDS.get(word).copied().unwrap_or("none")
            }
            _ => self.group,
        };
        self.tables.contains(&row.table.as_str()) && (group.is_empty() || group == row.group)
    }

    /// The encoding that `value` stands for, and how many bits, if it tells that.
    pub(crate) fn read(&self, value: u64) -> Result<(u64, Option<u32>), String> {
        match self.meaning {
            Meaning::Number(added) => value
                .checked_sub(added)
                .map(|number| (number, None))
                .ok_or_else(|| format!("{value:#x} is below {added:#x}")),
            Meaning::Offset(start) => Ok((start.wrapping_add(value), None)),
            Meaning::Bits(shift) => {
                let mask = value << shift;
                let (lowest, count) = (mask.trailing_zeros(), mask.count_ones());
                let is_one_run = mask.leading_zeros() + count + lowest == u64::BITS;
                if mask == 0 || !is_one_run {
                    return Err(format!("{value:#x} is no mask of bits side by side"));
                }
                Ok((u64::from(lowest), (count > 1).then_some(count)))
            }
            Meaning::Code(shift) => Ok((value >> shift, None)),
            Meaning::Feature => Ok((value % 32, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::row;

    fn symbol(name: &str, origin: Origin) -> Symbol {
        Symbol { name: name.to_owned(), origin, file: String::new(), line: 1, value: Ok(0) }
    }

    #[test]
    fn a_rule_knows_its_names() {
        let rule = Rule::new(From::Constant, "SVM_", &["t"], Meaning::Bits(0)).ends("_MASK");
        let mask = symbol("SVM_IOIO_MASK", Origin::Constant);
        assert!(rule.claims(&mask));
        assert_eq!(rule.our_name(&mask), None);
        assert!(!rule.claims(&symbol("SVM_IOIO_SHIFT", Origin::Constant)));
        assert!(!rule.claims(&symbol("SVM_IOIO_MASK", Origin::Group(String::new()))));
        let rule = Rule::new(From::Group("guest"), "", &["t"], Meaning::Number(0)).ends("_FULL").renames("GUEST_");
        let pat = symbol("PAT_FULL", Origin::Group("guest".to_owned()));
        assert_eq!(rule.our_name(&pat).as_deref(), Some("GUEST_PAT"));
    }

    #[test]
    fn numbers_are_read_by_their_meaning() {
        let read = |meaning, value| Rule::new(From::Constant, "", &[], meaning).read(value);
        assert_eq!(read(Meaning::Number(1), 0x2001), Ok((0x2000, None)));
        assert!(read(Meaning::Number(1), 0).is_err());
        assert_eq!(read(Meaning::Offset(0x400), 0x10), Ok((0x410, None)));
        assert_eq!(read(Meaning::Bits(0), 0x80), Ok((7, None)));
        assert_eq!(read(Meaning::Bits(32), 0x100), Ok((40, None)));
        assert_eq!(read(Meaning::Bits(0), 0x700), Ok((8, Some(3))));
        assert_eq!(read(Meaning::Bits(0), u64::MAX), Ok((0, Some(64))));
        assert!(read(Meaning::Bits(0), 0x5).is_err());
        assert!(read(Meaning::Bits(0), 0).is_err());
        assert_eq!(read(Meaning::Code(8), 0x300), Ok((3, None)));
        assert_eq!(read(Meaning::Feature, 2 * 32 + 5), Ok((5, None)));
    }

    #[test]
    fn a_rule_knows_its_rows() {
        let rule = Rule::new(From::Constant, "", &["t"], Meaning::Number(0)).group("exit");
        assert!(rule.is_about(&row("t", "exit", "A", &[], 0, 1), 0));
        assert!(!rule.is_about(&row("t", "entry", "A", &[], 0, 1), 0));
        assert!(!rule.is_about(&row("tt", "exit", "A", &[], 0, 1), 0));
        let rule = Rule::new(From::Constant, "", &["t"], Meaning::Feature);
        assert!(rule.is_about(&row("t", "secondary", "A", &[], 0, 1), 2 * 32 + 5));
        assert!(!rule.is_about(&row("t", "primary", "A", &[], 0, 1), 2 * 32 + 5));
    }
}
