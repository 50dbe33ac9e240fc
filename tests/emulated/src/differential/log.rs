//! The list of states that were refused, for who compares it with the log of the emulator.
//!
//! A line is `refused` and some states. A state is numbers in hexadecimal with commas between them: its number and the time after
//! the entry, each less that of the state before it in the line; how long the entry took; and the rules that it breaks, of which
//! those with `+` are refused here beyond the manual. Each character costs the emulators more than what makes it.

use alloc::string::String;

use machine::println;

use crate::differential::Answer;

/// So many characters make a line.
const LINE: usize = 4000;

/// What is not printed yet.
#[derive(Debug, Default)]
pub(crate) struct Log {
    line: String,
    /// The number of the last state, and the time after it.
    last: (u64, u64),
}

impl Log {
    /// Adds a state.
    pub(crate) fn add(&mut self, number: u64, answer: &Answer, extended: impl Iterator<Item = usize>) {
        let (time, took) = answer.time;
        if number < self.last.0 || self.line.len() > LINE {
            self.print();
        }
        if !self.line.is_empty() {
            self.line.push(' ');
        }
        self.push(number - self.last.0);
        self.line.push(',');
        self.push(time.wrapping_sub(self.last.1));
        self.line.push(',');
        self.push(took);
        for rule in &answer.violated {
            self.line.push(',');
            self.push(u64::try_from(*rule).unwrap_or(u64::MAX));
        }
        for rule in extended {
            self.line.push_str(",+");
            self.push(u64::try_from(rule).unwrap_or(u64::MAX));
        }
        self.last = (number, time);
    }

    /// A number in hexadecimal.
    fn push(&mut self, number: u64) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
        for place in (0..digits).rev() {
            let [digit, ..] = (number >> (4 * place) & 0xf).to_le_bytes();
            self.line.push(DIGITS.get(usize::from(digit)).copied().map_or('?', char::from));
        }
    }

    /// Prints what there is.
    pub(crate) fn print(&mut self) {
        if !self.line.is_empty() {
            println!("refused {}", self.line);
            self.line.clear();
        }
        self.last = (0, 0);
    }
}
