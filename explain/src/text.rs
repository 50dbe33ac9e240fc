//! The characters of a pasted log, each with its place, without what mail and loggers put before a line.

mod prefix;
mod quoted_printable;

use crate::place::Place;
use prefix::prefix_length;

/// A character and where it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glyph {
    pub(crate) character: char,
    pub(crate) place: Place,
}

/// A log without prefixes. Every line ends with a line feed.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    glyphs: Vec<Glyph>,
}

impl Text {
    /// Cleans `source`.
    pub(crate) fn new(source: &str) -> Self {
        let located = quoted_printable::decode(locate(source));
        let mut glyphs = Vec::with_capacity(located.len());
        for line in located.split_inclusive(|glyph| glyph.character == '\n') {
            let characters: Vec<char> = line.iter().map(|glyph| glyph.character).collect();
            let used = characters.iter().rposition(|character| !character.is_whitespace()).map_or(0, |last| last + 1);
            let start = prefix_length(characters.get(..used).unwrap_or_default());
            glyphs.extend_from_slice(line.get(start..used).unwrap_or_default());
            if let Some(last) = line.last() {
                glyphs.push(Glyph { character: '\n', place: last.place });
            }
        }
        Self { glyphs }
    }

    /// The character at `index`.
    pub(crate) fn get(&self, index: usize) -> Option<char> {
        self.glyphs.get(index).map(|glyph| glyph.character)
    }

    /// Where the character at `index` was, or the end of the text.
    pub(crate) fn place(&self, index: usize) -> Place {
        self.glyphs.get(index).or(self.glyphs.last()).map_or(Place::START, |glyph| glyph.place)
    }

    /// How many characters there are.
    pub(crate) fn len(&self) -> usize {
        self.glyphs.len()
    }

    /// The lines, without their ends.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[Glyph]> {
        self.glyphs.split_inclusive(|glyph| glyph.character == '\n').map(|line| line.strip_suffix_newline())
    }
}

/// Cuts the end of a line.
trait StripNewline {
    fn strip_suffix_newline(&self) -> &Self;
}

impl StripNewline for [Glyph] {
    fn strip_suffix_newline(&self) -> &Self {
        match self.split_last() {
            Some((last, line)) if last.character == '\n' => line,
            _ => self,
        }
    }
}

/// Gives every character its place.
fn locate(source: &str) -> Vec<Glyph> {
    let mut place = Place::START;
    source
        .chars()
        .map(|character| {
            let glyph = Glyph { character, place };
            place = match character {
                '\n' => Place { line: place.line + 1, column: 1 },
                _ => Place { column: place.column + 1, ..place },
            };
            glyph
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Text;

    fn clean(source: &str) -> String {
        let text = Text::new(source);
        (0..text.len()).filter_map(|index| text.get(index)).collect()
    }

    #[test]
    fn prefixes_go_and_places_stay() {
        let text = Text::new("\r\n> > [ 1524.416884] kvm_intel: CR3 = 0x1\r\n");
        assert_eq!((0..text.len()).filter_map(|index| text.get(index)).collect::<String>(), "\nCR3 = 0x1\n");
        assert_eq!(text.place(1).to_string(), "line 2, column 31");
        assert_eq!(text.place(100).to_string(), "line 2, column 41");
    }

    #[test]
    fn quoted_printable_mail_is_decoded() {
        let mail = "(XEN) RIP =3D 0x00000000000=\n0fff0=C2=A0 RSP =3D 0x1\n";
        assert_eq!(clean(mail), "RIP = 0x000000000000fff0\u{a0} RSP = 0x1\n");
        assert_eq!(clean("FSBase=0000=20\n"), "FSBase=0000=20\n", "no mail");
        let text = Text::new(mail);
        assert_eq!(text.place(19).to_string(), "line 2, column 1");
    }

    #[test]
    fn an_empty_text_is_none() {
        assert_eq!(clean(""), "");
        assert_eq!(Text::new("").place(0).to_string(), "line 1, column 1");
        assert_eq!(Text::new("").lines().count(), 0);
        assert_eq!(Text::new("a\n\nb").lines().count(), 3);
    }
}
