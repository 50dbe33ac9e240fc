//! The library's own dumps.

use x86_virt_svm::VmcbDump;
use x86_virt_vmx::VmcsDump;
use x86_virt_vmx::field::{self, FieldInfo};

use crate::dump::{Dump, Entry, Kind, State, VmcbImage, VmcsFields};
use crate::place::Place;
use crate::read::error::{ReadError, ReadErrorKind};
use crate::text::{Glyph, Text};

/// What a line of a dump of a VMCS has behind the name of the field.
const EQUALS: &str = " = ";

/// The dumps in `text`, which are none if it has no line of one.
pub(super) fn read(text: &Text) -> Result<Vec<Dump>, ReadError> {
    let mut dumps = Vec::new();
    for part in vmcs_parts(text) {
        dumps.push(vmcs(&part)?);
    }
    for part in vmcb_parts(text) {
        dumps.push(vmcb(&part)?);
    }
    Ok(dumps)
}

/// A line of a dump, with the place of each of its characters.
struct Line {
    content: String,
    places: Vec<Place>,
}

impl Line {
    fn new(glyphs: &[Glyph]) -> Self {
        Self {
            content: glyphs.iter().map(|glyph| glyph.character).collect(),
            places: glyphs.iter().map(|glyph| glyph.place).collect(),
        }
    }

    /// Appends the first word of another line, to which this one was wrapped.
    fn join(&mut self, other: &Self) {
        self.content.push(' ');
        self.content.push_str(&other.content);
        self.places.extend(self.places.last().copied());
        self.places.extend_from_slice(&other.places);
    }

    /// Where the byte `index` is.
    fn place(&self, index: usize) -> Place {
        let character = self.content.char_indices().take_while(|(start, _)| *start < index).count();
        self.places.get(character).or(self.places.last()).copied().unwrap_or(Place::START)
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.content.split_whitespace()
    }
}

/// Whether a word can be the name of a field: those of a VMCS all have an underscore, those of a VMCB an offset.
fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// All lines, of which those that end before their value have the next one too.
fn lines(text: &Text, is_cut: impl Fn(&Line) -> bool) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines().map(Line::new).filter(|line| !line.content.trim().is_empty()) {
        match lines.last_mut().filter(|last| is_cut(last)) {
            Some(last) => last.join(&line),
            None => lines.push(line),
        }
    }
    lines
}

/// The lines of each dump of a VMCS.
fn vmcs_parts(text: &Text) -> Vec<Vec<Line>> {
    let mut parts: Vec<Vec<Line>> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    let is_cut = |line: &Line| line.words().count() == 2 && line.content.ends_with(" =");
    for line in lines(text, is_cut) {
        let mut words = line.words();
        let (Some(name), Some("=")) = (words.next(), words.next()) else { continue };
        if !is_name(name) || !name.contains('_') {
            continue;
        }
        let name = name.to_owned();
        drop(words);
        if parts.is_empty() || seen.contains(&name) {
            parts.push(Vec::new());
            seen.clear();
        }
        seen.push(name);
        if let Some(part) = parts.last_mut() {
            part.push(line);
        }
    }
    let is_known = |line: &Line| line.words().next().is_some_and(|name| field_of(name).is_some());
    parts.retain(|part| part.iter().any(is_known));
    parts
}

fn field_of(name: &str) -> Option<&'static FieldInfo> {
    field::ALL.iter().find(|info| info.name == name)
}

fn vmcs(lines: &[Line]) -> Result<Dump, ReadError> {
    let source: String = lines.iter().map(|line| format!("{}\n", line.content.trim_end())).collect();
    let parsed = VmcsDump::parse(&source).map_err(|error| {
        let line = error.line.checked_sub(1).and_then(|index| lines.get(index));
        let place = line.map_or(Place::START, |line| line.place(error.column.saturating_sub(1)));
        let reason = line.and_then(|line| line.words().next()).map_or_else(String::new, |name| match field_of(name) {
            Some(info) => format!("{}: no value of {} bits", info.name, info.encoding.width().bits()),
            None => format!("{name}: no field of a VMCS that is known here"),
        });
        ReadError { place, kind: ReadErrorKind::Own { reason } }
    })?;
    let mut fields = VmcsFields::default();
    for line in lines {
        if let Some(info) = line.words().next().and_then(field_of) {
            let start = line.content.find(EQUALS).map_or(0, |equals| equals + EQUALS.len());
            let entry = Entry { value: parsed.get_raw(info.encoding), place: line.place(start) };
            fields.insert(info.encoding, entry);
        }
    }
    Ok(dump(Kind::Vmcs, lines, State::Vmcs(fields)))
}

/// The lines of each dump of a VMCB.
fn vmcb_parts(text: &Text) -> Vec<Vec<Line>> {
    let mut parts: Vec<Vec<Line>> = Vec::new();
    let is_field = |line: &Line| {
        let mut words = line.words();
        words.next().is_some_and(is_name)
            && words.next().and_then(|offset| offset.strip_prefix("0x")).is_some_and(|digits| digits.len() == 3)
    };
    let is_cut = |line: &Line| line.words().count() == 2 && is_field(line);
    for line in lines(text, is_cut) {
        if line.content.trim() == "# control" || is_field(&line) && parts.is_empty() {
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut().filter(|_| is_field(&line)) {
            part.push(line);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn vmcb(lines: &[Line]) -> Result<Dump, ReadError> {
    let source: String = lines.iter().map(|line| format!("{}\n", line.content.trim_end())).collect();
    let parsed = VmcbDump::parse(&source).map_err(|error| {
        let line = error.line.checked_sub(1).and_then(|index| lines.get(index));
        let place = line.map_or(Place::START, |line| line.place(error.column.saturating_sub(1)));
        ReadError { place, kind: ReadErrorKind::Own { reason: error.kind.to_string() } }
    })?;
    let mut image = VmcbImage::default();
    for line in lines {
        let offset = line.words().nth(1).and_then(|word| word.strip_prefix("0x"));
        let Some(offset) = offset.and_then(|digits| usize::from_str_radix(digits, 16).ok()) else { continue };
        let place = line.place(line.words().nth(2).and_then(|word| line.content.rfind(word)).unwrap_or_default());
        if let Some(entry) = parsed.entries().find(|entry| entry.offset == offset) {
            image.insert(offset, entry.bytes, place);
        }
    }
    Ok(dump(Kind::Vmcb, lines, State::Vmcb(image)))
}

fn dump(kind: Kind, lines: &[Line], state: State) -> Dump {
    let place = lines.first().map_or(Place::START, |line| line.place(0));
    Dump { kind, place, state, message: None, msrs: Vec::new(), cut: Vec::new(), doubts: Vec::new() }
}
