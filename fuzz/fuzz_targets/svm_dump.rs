//! Dumps of a VMCB, a VMSA and a GHCB: their text reads back as the same, and errors in other texts are at a place in them.
#![no_main]

use fuzz::text::{Token, write_all};
use libfuzzer_sys::fuzz_target;
use x86_virt::svm::ghcb::Ghcb;
use x86_virt::svm::vmcb::{Vmcb, VmcbFieldInfo};
use x86_virt::svm::vmsa::Vmsa;
use x86_virt::svm::{DumpLayout, PageDump, ParseDumpErrorKind};

const BYTES: usize = 4096;

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
enum Structure {
    Vmcb,
    Vmsa,
    Ghcb,
}

#[derive(Clone, Debug, arbitrary::Arbitrary)]
enum Content {
    /// A structure with bytes at these places, and some of the lines of its text.
    Page { bytes: Vec<(u16, u8)>, changed: u16, first: u8 },
    /// The text of some fields.
    Lines(Vec<(u16, u64)>),
    /// Any text.
    Text(Vec<Token>),
}

fuzz_target!(|input: (Structure, Content)| {
    let (structure, content) = input;
    match structure {
        Structure::Vmcb => perform::<Vmcb>(&content),
        Structure::Vmsa => perform::<Vmsa>(&content),
        Structure::Ghcb => perform::<Ghcb>(&content),
    }
});

fn perform<S: DumpLayout>(content: &Content) {
    match content {
        Content::Page { bytes, changed, first } => page::<S>(bytes, *changed, *first),
        Content::Lines(lines) => some::<S>(lines),
        Content::Text(tokens) => any::<S>(tokens),
    }
}

fn rows<S: DumpLayout>() -> Vec<&'static VmcbFieldInfo> {
    S::TABLES.iter().flat_map(|(_, rows)| rows.iter()).collect()
}

fn row(rows: &[&'static VmcbFieldInfo], number: u16) -> &'static VmcbFieldInfo {
    let row = rows.get(usize::from(number) % rows.len().max(1));
    row.copied().unwrap_or_else(|| panic!("there are no fields"))
}

/// Where the text is read back as a whole, which takes a hundred times as long as the rest.
const WHOLE: u16 = 0x5a5a;

fn page<S: DumpLayout>(places: &[(u16, u8)], changed: u16, first: u8) {
    let mut bytes = [0; BYTES];
    let mut put = |at: u16, value: u8| bytes.get_mut(usize::from(at) % BYTES).map(|byte| *byte ^= value).is_some();
    assert!(places.iter().all(|(at, byte)| put(*at, *byte)));
    let dump = PageDump::<S>::from_bytes(bytes);
    if changed == WHOLE {
        assert_eq!(dump.to_string().parse(), Ok(dump));
    }
    lines(&dump, first.into());
    assert_eq!(PageDump::new(&dump.structure()), dump, "the structure loses bytes");
    // Every byte is in one entry.
    assert!(dump.entries().flat_map(|entry| entry.bytes.iter().copied()).eq(bytes));

    let changed = usize::from(changed) % BYTES;
    let mut other = bytes;
    other.get_mut(changed).map(|byte| *byte ^= 0x10).unwrap_or_default();
    let other = PageDump::<S>::from_bytes(other);
    let mut differences = dump.differences(&other).map(|found| (found.one.offset, found.one.bytes.len()));
    let Some((offset, length)) = differences.next() else { panic!("byte {changed:#x} makes no difference") };
    assert!((offset..offset + length).contains(&changed) && differences.next().is_none());
}

/// The text of eight entries gives their bytes back.
fn lines<S: DumpLayout>(dump: &PageDump<S>, first: usize) {
    let mut expected = [0; BYTES];
    let mut text = String::new();
    for entry in dump.entries().skip(first).take(8) {
        text += &format!("{entry}\n");
        expected.iter_mut().skip(entry.offset).zip(entry.bytes).for_each(|(to, from)| *to = *from);
    }
    match PageDump::<S>::parse(&text) {
        Ok(read) => assert!(*read.as_bytes() == expected, "{text}"),
        Err(error) => panic!("{error}: {text}"),
    }
}

/// Lines in any order: those whose fields ascend are taken, and the first other one is an error.
fn some<S: DumpLayout>(lines: &[(u16, u64)]) {
    let rows = rows::<S>();
    let mut expected = [0; BYTES];
    let (mut text, mut end, mut wrong) = (String::new(), 0, None);
    for (line, (number, value)) in (1..).zip(lines.iter().take(8)) {
        let info = row(&rows, *number);
        // The bytes of the value, again and again.
        let bytes: Vec<u8> = value.to_le_bytes().into_iter().cycle().take(info.bytes).collect();
        let hex = |bytes: &mut dyn Iterator<Item = &u8>| bytes.map(|byte| format!("{byte:02x}")).collect::<String>();
        let digits =
            if info.bytes <= 8 { "0x".to_owned() + &hex(&mut bytes.iter().rev()) } else { hex(&mut bytes.iter()) };
        text += &format!("{} {:#05x} {digits} and more\n", info.name, info.offset);
        if info.offset < end {
            wrong = wrong.or(Some(line));
        }
        end = info.offset + info.bytes;
        expected.iter_mut().skip(info.offset).zip(bytes).for_each(|(to, from)| *to = from);
    }
    match (PageDump::<S>::parse(&text), wrong) {
        (Ok(dump), None) => assert!(*dump.as_bytes() == expected, "{text}"),
        (Err(error), Some(line)) => {
            assert_eq!((error.line, error.column, error.kind), (line, 1, ParseDumpErrorKind::Order));
        }
        (result, wrong) => panic!("{:?}, and line {wrong:?} is not behind the one before it: {text}", result.err()),
    }
}

fn any<S: DumpLayout>(tokens: &[Token]) {
    let rows = rows::<S>();
    let text = write_all(tokens, |number| row(&rows, number).name, &["RESERVED", "#", "0x", "0"]);
    match PageDump::<S>::parse(&text) {
        Ok(dump) => {
            // Where nothing was said, nothing is; and each line that is no heading says where it is.
            assert!(dump.entries().all(|entry| entry.is_zero() || text.contains(entry.name())), "{text}");
            let mut words =
                text.lines().map(str::split_whitespace).filter_map(|mut words| Some((words.next()?, words.next())));
            assert!(words.all(|(name, offset)| name.starts_with('#') || offset.is_some_and(is_number)), "{text}");
        }
        Err(error) => {
            let Some(line) = text.lines().nth(error.line.wrapping_sub(1)) else { panic!("{error}: {text}") };
            assert!((1..=line.len() + 1).contains(&error.column), "{error}: {text}");
            assert!(
                text.lines().take(error.line - 1).all(|line| PageDump::<S>::parse(line).is_ok()),
                "{error}: {text}"
            );
        }
    }
}

fn is_number(word: &str) -> bool {
    word.strip_prefix("0x")
        .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_hexdigit()))
}
