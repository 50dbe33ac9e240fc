//! The encoding in which archives of mail keep long lines.
//!
//! RFC 2045, section 6.7, "Quoted-Printable Content-Transfer-Encoding".

use super::Glyph;

/// The characters that are commonly encoded in a dump: equals sign, space at the end of a line, and the bytes of hard spaces,
/// quotation marks and letters with accents.
const COMMON: [&str; 6] = ["3D", "20", "C2", "A0", "E2", "C3"];

/// How long a line is at least that the encoding breaks, which may have 76 characters.
const SHORTEST_BROKEN: usize = 50;

/// Decodes `glyphs` if most equals signs in them begin something encoded.
pub(super) fn decode(glyphs: Vec<Glyph>) -> Vec<Glyph> {
    if !is_encoded(&glyphs) {
        return glyphs;
    }
    let mut decoded = Vec::with_capacity(glyphs.len());
    let mut rest = glyphs.as_slice();
    let mut bytes = Vec::new();
    while let Some((first, tail)) = rest.split_first() {
        if let Some((byte, tail)) = byte(rest) {
            rest = tail;
            bytes.push(byte);
            if let Some(character) = character(&mut bytes) {
                decoded.push(Glyph { character, place: first.place });
            }
            continue;
        }
        bytes.clear();
        rest = match soft_break(rest) {
            Some(tail) => tail,
            None => {
                decoded.push(*first);
                tail
            }
        };
    }
    decoded
}

fn is_encoded(glyphs: &[Glyph]) -> bool {
    let (mut encoded, mut plain) = (0_usize, 0_usize);
    let mut rest = glyphs;
    let mut before = None;
    while let Some((first, tail)) = rest.split_first() {
        if first.character == '=' {
            let next = tail.get(..2).unwrap_or_default();
            let is_common = COMMON.iter().any(|pair| next.iter().map(|glyph| glyph.character).eq(pair.chars()));
            // A line that was wrapped behind an equals sign has a space before that, or is shorter.
            let is_long = first.place.column >= SHORTEST_BROKEN;
            let is_break = is_long && before != Some(' ') && soft_break(rest).is_some();
            *(if is_common || is_break { &mut encoded } else { &mut plain }) += 1;
        }
        before = Some(first.character);
        rest = tail;
    }
    encoded > plain
}

/// The byte that `glyphs` begin with, and what follows it.
fn byte(glyphs: &[Glyph]) -> Option<(u8, &[Glyph])> {
    let ([equals, high, low], tail) = glyphs.split_first_chunk()?;
    let digit = |glyph: &Glyph| Some(glyph.character).filter(|c| !c.is_ascii_lowercase())?.to_digit(16);
    let value = digit(high)? << 4 | digit(low)?;
    (equals.character == '=').then_some((u8::try_from(value).ok()?, tail))
}

/// What follows the end of a line that is none of the original.
fn soft_break(glyphs: &[Glyph]) -> Option<&[Glyph]> {
    let (first, mut rest) = glyphs.split_first()?;
    if first.character != '=' {
        return None;
    }
    while let Some((next, tail)) = rest.split_first() {
        match next.character {
            '\n' => return Some(tail),
            ' ' | '\t' | '\r' => rest = tail,
            _ => return None,
        }
    }
    None
}

/// The character that `bytes` are, once they are complete.
fn character(bytes: &mut Vec<u8>) -> Option<char> {
    let character = match core::str::from_utf8(bytes) {
        Ok(text) => text.chars().next(),
        Err(error) if error.error_len().is_none() => return None,
        Err(_) => Some(char::REPLACEMENT_CHARACTER),
    };
    bytes.clear();
    character
}
