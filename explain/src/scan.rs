//! Labels and numbers in a text, also where a line was wrapped in the midst of one.

use crate::text::Text;

/// How many digits a number of 64 bits has.
const LONGEST: usize = 16;
/// How many ends of lines may be inside a label or before a number.
const WRAPS: usize = 2;

/// A number, or what is in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Number {
    /// A number.
    Value {
        /// What it is.
        value: u64,
        /// Whether it has fewer digits than the layout gives it.
        is_short: bool,
        /// Where it begins.
        start: usize,
        /// What is behind it.
        end: usize,
    },
    /// The line ends before the number does.
    Cut {
        /// Where it ends.
        at: usize,
    },
    /// Something else.
    Other {
        /// Where it begins.
        at: usize,
    },
}

/// How a number is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Radix {
    /// In hexadecimal, with or without `0x`, with at least so many digits.
    Hexadecimal(usize),
    /// In decimal, perhaps with a sign.
    Decimal,
}

impl Text {
    /// Whether a word may begin at `index`: the character before is not part of one.
    pub(crate) fn is_word_start(&self, index: usize) -> bool {
        index.checked_sub(1).and_then(|before| self.get(before)).is_none_or(|before| !is_word(before))
    }

    /// What is behind `label` at `index`. A space in it stands for any space and commas, also for none.
    pub(crate) fn label(&self, index: usize, label: &str) -> Option<usize> {
        let mut at = index;
        for wanted in label.chars() {
            if wanted == ' ' {
                at = self.skip_space(at, WRAPS);
                continue;
            }
            if at != index && self.get(at) == Some('\n') && self.get(at + 1) == Some(wanted) {
                at += 1;
            }
            if self.get(at) != Some(wanted) {
                return None;
            }
            at += 1;
        }
        Some(at)
    }

    /// What is behind space and commas at `index`, and at most `wraps` ends of lines.
    pub(crate) fn skip_space(&self, index: usize, wraps: usize) -> usize {
        let mut at = index;
        let mut lines = 0;
        while let Some(character) = self.get(at).filter(|c| c.is_whitespace() || *c == ',') {
            if character == '\n' {
                lines += 1;
                if lines > wraps {
                    break;
                }
            }
            at += 1;
        }
        at
    }

    /// What is in parentheses at `index`, behind space, and what follows.
    pub(crate) fn aside(&self, index: usize) -> Option<(String, usize)> {
        let open = self.skip_space(index, 1);
        if self.get(open) != Some('(') {
            return None;
        }
        let content: String = (open + 1..open + 80).map_while(|at| self.get(at)).take_while(|c| *c != ')').collect();
        let end = open + 1 + content.chars().count();
        (self.get(end) == Some(')')).then_some((content, end + 1))
    }

    /// The number at `index`, behind space.
    pub(crate) fn number(&self, index: usize, radix: Radix) -> Number {
        let line_end = self.skip_space(index, 0);
        let start = self.skip_space(index, 1);
        let is_on_next_line = self.get(line_end) == Some('\n') || line_end >= self.len();
        let number = match radix {
            Radix::Hexadecimal(digits) => self.hexadecimal(start, digits),
            Radix::Decimal => self.decimal(start),
        };
        match number {
            // What stands on the next line is no number: it was not wrapped, but cut.
            Number::Other { .. } | Number::Cut { .. } | Number::Value { is_short: true, .. } if is_on_next_line => {
                Number::Cut { at: line_end }
            }
            other => other,
        }
    }

    fn hexadecimal(&self, start: usize, digits: usize) -> Number {
        let mut at = self.label(start, "0x").or_else(|| self.label(start, "0X")).unwrap_or(start);
        let (mut value, mut count) = (0_u64, 0_usize);
        loop {
            match self.get(at) {
                Some(character) if character.is_ascii_hexdigit() => {
                    if count >= LONGEST {
                        return Number::Other { at: start };
                    }
                    value = value << 4 | u64::from(character.to_digit(16).unwrap_or_default());
                    count += 1;
                }
                Some('\n') if count > 0 && count < digits && count + self.digits_on_line(at + 1) == digits => {}
                _ => break,
            }
            at += 1;
        }
        let is_short = count < digits;
        match self.get(at) {
            None | Some('\n') if is_short => Number::Cut { at },
            Some(character) if is_word(character) || count == 0 => Number::Other { at: start },
            _ => Number::Value { value, is_short, start, end: at },
        }
    }

    /// How many digits the line at `index` begins with, if they are a word.
    fn digits_on_line(&self, index: usize) -> usize {
        let digits = (index..index + LONGEST).take_while(|at| self.get(*at).is_some_and(|c| c.is_ascii_hexdigit()));
        let count = digits.count();
        if self.get(index + count).is_some_and(is_word) { 0 } else { count }
    }

    fn decimal(&self, start: usize) -> Number {
        let is_negative = self.get(start) == Some('-');
        let first = start + usize::from(is_negative);
        let (mut value, mut at) = (0_u64, first);
        while let Some(digit) = self.get(at).and_then(|character| character.to_digit(10)) {
            let Some(next) = value.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit))) else {
                return Number::Other { at: start };
            };
            value = next;
            at += 1;
        }
        match self.get(at) {
            None | Some('\n') if at == first => Number::Cut { at },
            Some(character) if is_word(character) || at == first => Number::Other { at: start },
            _ if is_negative => Number::Value { value: value.wrapping_neg(), is_short: false, start, end: at },
            _ => Number::Value { value, is_short: false, start, end: at },
        }
    }

    /// The word at `index`, to be shown.
    pub(crate) fn word(&self, index: usize) -> String {
        let word: String =
            (index..index + 24).map_while(|at| self.get(at)).take_while(|c| !c.is_whitespace() && *c != ',').collect();
        if word.is_empty() { "the end of the line".to_owned() } else { format!("`{word}`") }
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::{Number, Radix};
    use crate::text::Text;

    fn hex(source: &str, digits: usize) -> Number {
        Text::new(source).number(0, Radix::Hexadecimal(digits))
    }

    fn value(value: u64, start: usize, end: usize) -> Number {
        Number::Value { value, is_short: false, start, end }
    }

    #[test]
    fn numbers_are_read_in_both_forms() {
        assert_eq!(hex("0x0010, x", 4), value(0x10, 0, 6));
        assert_eq!(hex("0010:ff", 4), value(0x10, 0, 4));
        assert_eq!(hex("ffffffffffffffff", 16), value(u64::MAX, 0, 16));
        assert_eq!(hex("12 ", 1), value(0x12, 0, 2));
        assert_eq!(Text::new("128").number(0, Radix::Decimal), value(128, 0, 3));
        assert_eq!(Text::new("-1").number(0, Radix::Decimal), value(u64::MAX, 0, 2));
    }

    #[test]
    fn wrapped_numbers_are_joined_and_cut_ones_are_not() {
        assert_eq!(hex("0x00000000800\n50033, s", 16), value(0x8005_0033, 0, 19));
        assert_eq!(Text::new("=\n0x0010").number(1, Radix::Hexadecimal(4)), value(0x10, 2, 8));
        assert_eq!(hex("0x1000\nDS: sel", 16), Number::Cut { at: 6 });
        assert_eq!(Text::new("=\nCR4: actual").number(1, Radix::Hexadecimal(16)), Number::Cut { at: 1 });
        assert_eq!(Text::new("=").number(1, Radix::Hexadecimal(16)), Number::Cut { at: 1 });
        assert_eq!(Text::new("=").number(1, Radix::Decimal), Number::Cut { at: 1 });
    }

    #[test]
    fn what_is_no_number_is_told() {
        assert_eq!(hex("0xzz", 4), Number::Other { at: 0 });
        assert_eq!(hex("00112g", 4), Number::Other { at: 0 });
        assert_eq!(hex("00000000000000000", 16), Number::Other { at: 0 });
        assert_eq!(Text::new("99999999999999999999999").number(0, Radix::Decimal), Number::Other { at: 0 });
        assert_eq!(hex("1 x", 4), Number::Value { value: 1, is_short: true, start: 0, end: 1 });
    }

    #[test]
    fn labels_are_found_over_wraps() {
        let text = Text::new("VMEntry:  intr_in\nfo=1 gh_mask (a b) x");
        assert_eq!(text.label(0, "VMEntry: intr_info="), Some(21));
        assert_eq!(text.label(0, "VMEntry:intr"), None);
        assert_eq!(text.aside(30), Some(("a b".to_owned(), 36)));
        assert!(text.is_word_start(10) && !text.is_word_start(11));
    }
}
