//! The words of a line.

use crate::place::Place;
use crate::read::{ReadError, ReadErrorKind};

/// A word, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) place: Place,
}

impl Word {
    /// The hexadecimal number that the word is, with or without `0x`.
    pub(super) fn hexadecimal(&self) -> Option<u64> {
        let digits = self.text.strip_prefix("0x").or(self.text.strip_prefix("0X")).unwrap_or(&self.text);
        // `from_str_radix` would take a sign.
        let is_number = digits.chars().all(|digit| digit.is_ascii_hexdigit());
        is_number.then(|| u64::from_str_radix(digits, 16).ok())?
    }

    /// An error at the word.
    pub(super) fn error(&self, reason: &str) -> ReadError {
        let reason = format!("`{}`: {reason}", self.text);
        ReadError { place: self.place, kind: ReadErrorKind::Capability { reason } }
    }
}

/// The words of each line that has any. What follows a `#` is a comment.
pub(super) fn lines(source: &str, separators: &str) -> Vec<Vec<Word>> {
    let mut lines = Vec::new();
    for (line, content) in (1..).zip(source.lines()) {
        let mut words: Vec<Word> = Vec::new();
        let mut is_inside = false;
        for (column, character) in (1..).zip(content.chars().take_while(|character| *character != '#')) {
            let is_separator = character.is_whitespace() || separators.contains(character);
            if !is_separator {
                if !is_inside {
                    words.push(Word { text: String::new(), place: Place { line, column } });
                }
                if let Some(word) = words.last_mut() {
                    word.text.push(character);
                }
            }
            is_inside = !is_separator;
        }
        if !words.is_empty() {
            lines.push(words);
        }
    }
    lines
}
