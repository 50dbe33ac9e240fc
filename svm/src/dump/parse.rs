//! Dumps from their text.

use core::fmt;
use core::str::FromStr;

use crate::dump::{BYTES, DumpEntry, DumpLayout, PageDump};

impl<S: DumpLayout> PageDump<S> {
    /// The copy that prints as `text`. Fields that the text does not have are zero.
    ///
    /// # Errors
    ///
    /// [`ParseDumpError`] with the place where the text is not that of a dump.
    pub fn parse(text: &str) -> Result<Self, ParseDumpError> {
        let mut dump = Self::from_bytes([0; BYTES]);
        let layout = dump;
        let mut end = 0;
        for (line, content) in (1..).zip(text.lines()) {
            let mut words = Words { content, place: 0 };
            let (column, name) = words.word();
            if name.is_empty() || name.starts_with('#') {
                continue;
            }
            let at = |column, kind| ParseDumpError { line, column, kind };
            let (offset_column, offset) = words.word();
            let offset = offset
                .strip_prefix("0x")
                // `from_str_radix` would take a sign.
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|digits| usize::from_str_radix(digits, 16).ok())
                .ok_or_else(|| at(offset_column, ParseDumpErrorKind::Offset))?;
            let mut named = layout.entries().filter(|entry| entry.name() == name).peekable();
            if named.peek().is_none() {
                return Err(at(column, ParseDumpErrorKind::Name));
            }
            let entry = named
                .find(|entry| entry.offset == offset)
                .ok_or_else(|| at(offset_column, ParseDumpErrorKind::Offset))?;
            if offset < end {
                return Err(at(column, ParseDumpErrorKind::Order));
            }
            end = offset + entry.bytes.len();
            let (column, value) = words.word();
            let bytes = value_bytes(&entry, value).ok_or_else(|| at(column, ParseDumpErrorKind::Value))?;
            if let Some(place) = dump.bytes.get_mut(offset..end) {
                place.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
            }
        }
        Ok(dump)
    }
}

impl<S: DumpLayout> FromStr for PageDump<S> {
    type Err = ParseDumpError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The bytes of `entry` with this value.
fn value_bytes(entry: &DumpEntry<'_>, value: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let place = bytes.get_mut(..entry.bytes.len())?;
    if value == "0" && !entry.is_number() {
        return Some(bytes);
    }
    let digits = if entry.is_number() { value.strip_prefix("0x")? } else { value };
    if digits.len() != 2 * place.len() {
        return None;
    }
    for (byte, pair) in place.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let [high, low] = *pair.first_chunk()?;
        *byte = digit(high)? << 4 | digit(low)?;
    }
    if entry.is_number() {
        place.reverse();
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    u8::try_from(char::from(character).to_digit(16)?).ok()
}

/// The words of a line.
struct Words<'t> {
    content: &'t str,
    place: usize,
}

impl<'t> Words<'t> {
    /// The next word and its column; an empty one at the end.
    fn word(&mut self) -> (usize, &'t str) {
        let rest = self.content.get(self.place..).unwrap_or_default();
        let word = rest.trim_start();
        let start = self.content.len() - word.len();
        let word = word.split_whitespace().next().unwrap_or_default();
        self.place = start + word.len();
        (start + 1, word)
    }
}

/// Where a text is not that of a dump.
///
/// ```
/// use x86_virt_svm::VmcbDump;
///
/// let error = VmcbDump::parse("# control\nRIP 0x070 0x0000000000000000\n").unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column 5: no field of that name has this offset");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[error("line {line}, column {column}: {kind}")]
pub struct ParseDumpError {
    /// The line, from 1 on.
    pub line: usize,
    /// The byte in the line, from 1 on.
    pub column: usize,
    /// What is wrong there.
    pub kind: ParseDumpErrorKind,
}

/// What is wrong in a text that is not that of a dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum ParseDumpErrorKind {
    /// No field has this name.
    Name,
    /// No field of that name has this offset.
    Offset,
    /// The field is at or before one that was listed before it.
    Order,
    /// The value is not one of a field of this size.
    Value,
}

impl fmt::Display for ParseDumpErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "no field has this name",
            Self::Offset => "no field of that name has this offset",
            Self::Order => "the field is not behind the one before it",
            Self::Value => "no value of a field of this size",
        })
    }
}
