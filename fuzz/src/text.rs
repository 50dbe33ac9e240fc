//! Texts that are nearly right.

use core::fmt::Write as _;

use arbitrary::Arbitrary;

/// A part of a text.
#[derive(Clone, Debug, Arbitrary)]
pub enum Token {
    /// A name of a row.
    Name(u16),
    /// A word that the format knows.
    Word(u8),
    /// A number, with so many digits.
    Number(u64, u8),
    /// Digits alone, as many.
    Digits(u64, u8),
    /// A space.
    Space,
    /// What stands between a name and its value.
    Equals,
    /// A colon.
    Colon,
    /// The end of a line.
    Line,
    /// Any character.
    Any(char),
}

/// The text. `name` gives the names of rows, `words` are those that the format knows.
pub fn write_all(tokens: &[Token], name: impl Fn(u16) -> &'static str, words: &[&str]) -> String {
    let mut text = String::new();
    for token in tokens.iter().take(64) {
        match token {
            Token::Name(row) => text.push_str(name(*row)),
            Token::Word(word) => text.push_str(words.get(usize::from(*word) % words.len().max(1)).unwrap_or(&"")),
            Token::Number(number, digits) => {
                let _ = write!(text, "0x{number:0digits$x}", digits = usize::from(digits % 40));
            }
            Token::Digits(number, digits) => {
                let _ = write!(text, "{number:0digits$x}", digits = usize::from(digits % 80));
            }
            Token::Space => text.push(' '),
            Token::Equals => text.push_str(" = "),
            Token::Colon => text.push(':'),
            Token::Line => text.push('\n'),
            Token::Any(character) => text.push(*character),
        }
    }
    text
}
