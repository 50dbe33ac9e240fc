//! Dumps of Linux and Xen.

use x86_virt_vmx::field::Encoding;

use crate::dump::{Doubt, Dump, Entry, Kind, Message, MessageMeaning, MsrArea, MsrEntry, State, VmcbImage, VmcsFields};
use crate::dump::{SEV_FEATURES, vmcb_name_at};
use crate::layout::{Found, Origin, Row, Section, Value};
use crate::place::Place;
use crate::read::error::{ReadError, ReadErrorKind};
use crate::scan::{Number, Radix};
use crate::text::Text;
use crate::{vmcb_rows, vmcs_rows};

/// Headings, and the section that they begin.
const HEADINGS: &[(&str, Section)] = &[
    ("*** Guest State ***", Section::Guest),
    ("*** Host State ***", Section::Host),
    ("*** Control State ***", Section::Control),
    ("VMCB Control Area:", Section::VmcbControl),
    ("VMCB State Save Area:", Section::VmcbSave),
];

/// Headings of MSR areas.
const AREAS: &[(&str, MsrArea)] = &[
    ("MSR guest autoload:", MsrArea::EntryLoad),
    ("MSR guest autostore:", MsrArea::ExitStore),
    ("MSR host autoload:", MsrArea::ExitLoad),
];

/// Messages about an entry: of QEMU, and of Xen in several versions.
const MESSAGES: &[(&str, Radix, MessageMeaning)] = &[
    ("entry failed, hardware error ", Radix::Hexadecimal(1), MessageMeaning::HardwareError),
    ("vmentry failure (reason ", Radix::Hexadecimal(1), MessageMeaning::ExitReason),
    ("Failed vm entry (exit reason ", Radix::Hexadecimal(1), MessageMeaning::ExitReason),
    ("VMLAUNCH error: ", Radix::Hexadecimal(1), MessageMeaning::InstructionError),
    ("VMRESUME error: ", Radix::Hexadecimal(1), MessageMeaning::InstructionError),
    ("vm_launch_fail> error code ", Radix::Hexadecimal(1), MessageMeaning::InstructionError),
    ("vm_resume_fail> error code ", Radix::Hexadecimal(1), MessageMeaning::InstructionError),
    ("Instruction Error ", Radix::Decimal, MessageMeaning::InstructionError),
];

/// The dumps in `text`, which are none if it has no line of one.
pub(super) fn read(text: &Text) -> Result<Vec<Dump>, ReadError> {
    let mut reader = Reader { text, open: Vec::new(), section: None, area: None, messages: Vec::new(), failed: None };
    let mut at = 0;
    while at < text.len() {
        let is_start = text.get(at).is_some_and(|character| !character.is_whitespace()) && text.is_word_start(at);
        at = match is_start.then(|| reader.step(at)) {
            Some(end) => end?.unwrap_or(at + 1).max(at + 1),
            None => at + 1,
        };
    }
    Ok(reader.finish())
}

/// A dump that is being read.
struct Open {
    dump: Dump,
    /// Where in the text it begins.
    start: usize,
    /// Lines that only Linux or only Xen prints.
    linux: usize,
    xen: usize,
}

impl Open {
    fn is_empty(&self) -> bool {
        match &self.dump.state {
            State::Vmcs(fields) => fields.is_empty(),
            State::Vmcb(image) => image.is_empty(),
        }
    }
}

struct Reader<'t> {
    text: &'t Text,
    open: Vec<Open>,
    section: Option<Section>,
    area: Option<MsrArea>,
    messages: Vec<(usize, Message)>,
    /// The MSR that Xen names, and where in the text it does.
    failed: Option<(usize, MsrEntry)>,
}

impl Reader<'_> {
    /// Reads what is at `at`. Gives what is behind it, if it is anything.
    fn step(&mut self, at: usize) -> Result<Option<usize>, ReadError> {
        if let Some(end) = self.heading(at).or_else(|| self.message(at)).or_else(|| self.failed_msr(at)) {
            return Ok(Some(end));
        }
        if let Some(end) = self.msr_entry(at)? {
            return Ok(Some(end));
        }
        for row in vmcs_rows::SEGMENTS.iter().chain(vmcs_rows::ROWS) {
            if let Some((found, end)) = self.row(row, at) {
                self.enter(row.section, at, row.origin);
                found.into_iter().try_for_each(|found| self.field(found))?;
                return Ok(Some(end));
            }
        }
        for row in vmcb_rows::CONTROL.iter().chain(vmcb_rows::SEGMENTS).chain(vmcb_rows::SAVE) {
            if let Some((found, end)) = self.row(row, at) {
                self.enter(row.section, at, row.origin);
                found.into_iter().try_for_each(|found| self.bytes(found))?;
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn row<T: Copy>(&self, row: &Row<T>, at: usize) -> Option<(Vec<Found<T>>, usize)> {
        if !row.opens && self.section != Some(row.section) {
            return None;
        }
        row.read(self.text, at).filter(|(found, _)| !found.is_empty())
    }

    /// Begins a section, and a dump if the one before cannot go on with it.
    fn enter(&mut self, section: Section, at: usize, origin: Origin) {
        let is_vmcb = matches!(section, Section::VmcbControl | Section::VmcbSave | Section::Vmsa);
        let goes_on = self.open.last().is_some_and(|open| matches!(open.dump.state, State::Vmcb(_)) == is_vmcb);
        if !goes_on {
            self.begin(is_vmcb, at);
        }
        self.section = Some(section);
        if let Some(open) = self.open.last_mut() {
            match origin {
                Origin::Both => {}
                Origin::Linux => open.linux += 1,
                Origin::Xen => open.xen += 1,
            }
        }
    }

    fn begin(&mut self, is_vmcb: bool, start: usize) {
        let (kind, state) = if is_vmcb {
            (Kind::LinuxVmcb, State::Vmcb(VmcbImage::default()))
        } else {
            (Kind::LinuxVmcs, State::Vmcs(VmcsFields::default()))
        };
        let dump = Dump {
            kind,
            place: self.text.place(start),
            state,
            message: None,
            msrs: Vec::new(),
            cut: Vec::new(),
            doubts: Vec::new(),
        };
        self.open.push(Open { dump, start, linux: 0, xen: 0 });
    }

    fn heading(&mut self, at: usize) -> Option<usize> {
        if let Some((end, section)) =
            HEADINGS.iter().find_map(|(label, section)| Some((self.text.label(at, label)?, *section)))
        {
            let begins = matches!(section, Section::Guest | Section::VmcbControl);
            if begins && self.open.last().is_some_and(|open| !open.is_empty()) {
                self.begin(section == Section::VmcbControl, at);
            }
            self.enter(section, at, Origin::Both);
            self.area = None;
            return Some(end);
        }
        if self.section == Some(Section::VmcbSave)
            && let Some(end) = self.text.label(at, "sev_features ")
        {
            self.section = Some(Section::Vmsa);
            return Some(self.sev_features(end));
        }
        let (end, area) = AREAS.iter().find_map(|(label, area)| Some((self.text.label(at, label)?, *area)))?;
        self.area = Some(area);
        Some(end)
    }

    /// Takes SEV_FEATURES. Gives what is behind it.
    fn sev_features(&mut self, at: usize) -> usize {
        let Number::Value { value, is_short: false, start, end } = self.text.number(at, Radix::Hexadecimal(16)) else {
            return at;
        };
        if let Some(Open { dump: Dump { state: State::Vmcb(image), .. }, .. }) = self.open.last_mut() {
            image.insert(SEV_FEATURES, &value.to_le_bytes(), self.text.place(start));
        }
        end
    }

    fn message(&mut self, at: usize) -> Option<usize> {
        let (behind, radix, meaning) = MESSAGES
            .iter()
            .find_map(|(label, radix, meaning)| Some((self.text.label(at, label)?, *radix, *meaning)))?;
        let Number::Value { value: number, start, end, .. } = self.text.number(behind, radix) else {
            return None;
        };
        self.messages.push((at, Message { number, meaning, place: Some(self.text.place(start)) }));
        Some(end)
    }

    /// The entry of the MSR-load area that Xen names.
    fn failed_msr(&mut self, at: usize) -> Option<usize> {
        let behind = self.text.label(at, "msr ")?;
        let Number::Value { value: index, is_short: false, start, end } =
            self.text.number(behind, Radix::Hexadecimal(8))
        else {
            return None;
        };
        let behind = self.text.label(end, " val ")?;
        let Number::Value { value, end, .. } = self.text.number(behind, Radix::Hexadecimal(16)) else {
            return None;
        };
        let end = self.text.label(end, " (mbz")?;
        let place = self.text.place(start);
        self.failed = Some((at, MsrEntry { area: MsrArea::Failed, index: u32::try_from(index).ok()?, value, place }));
        Some(end)
    }

    fn msr_entry(&mut self, at: usize) -> Result<Option<usize>, ReadError> {
        let (Some(area), Some(open)) = (self.area, self.open.last_mut()) else { return Ok(None) };
        let Some((found, end)) = vmcs_rows::MSR_ENTRY.read(self.text, at) else { return Ok(None) };
        let mut numbers = Vec::new();
        for Found { value, place, .. } in found {
            match value {
                Value::Number(number, _) => numbers.push((number, place)),
                Value::Cut => open.dump.cut.push(("entry of an MSR area".to_owned(), place)),
                Value::Malformed(found) => return Err(malformed("entry of an MSR area", found, place)),
            }
        }
        if let [(index, place), (value, _)] = numbers.as_slice() {
            let index = u32::try_from(*index).map_err(|_| too_large("index of an MSR", *index, 32, *place))?;
            open.dump.msrs.push(MsrEntry { area, index, value: *value, place: *place });
        }
        Ok(Some(end))
    }

    /// Takes the value of a field of the VMCS.
    fn field(&mut self, found: Found<vmcs_rows::Target>) -> Result<(), ReadError> {
        let Found { target, value, place } = found;
        let (encoding, is_efer) = match target {
            vmcs_rows::Target::Field(encoding) => (encoding, false),
            vmcs_rows::Target::Efer(encoding) => (encoding, true),
            _ => return Ok(()),
        };
        let Some(Open { dump, .. }) = self.open.last_mut() else { return Ok(()) };
        let name = encoding.to_string();
        let (value, aside) = match value {
            Value::Number(value, aside) => (value, aside),
            Value::Cut => {
                dump.cut.push((name, place));
                return Ok(());
            }
            Value::Malformed(found) => return Err(malformed(&name, found, place)),
        };
        let bits = encoding.width().bits();
        if value > u64::MAX >> (u64::BITS - bits) {
            return Err(too_large(&name, value, usize::try_from(bits).unwrap_or_default(), place));
        }
        if let (true, Some(source)) = (is_efer, aside.filter(|aside| aside == "effective" || aside == "autoload")) {
            dump.doubts.push(Doubt::EferFromElsewhere { value, source, place });
            return Ok(());
        }
        insert(dump, encoding, Entry { value: Some(value), place });
        Ok(())
    }

    /// Takes bytes of the VMCB.
    fn bytes(&mut self, found: Found<vmcb_rows::Target>) -> Result<(), ReadError> {
        let Found { target: vmcb_rows::Target { offset, bytes }, value, place } = found;
        let Some(Open { dump, .. }) = self.open.last_mut() else { return Ok(()) };
        let name = vmcb_name_at(offset);
        let value = match value {
            Value::Number(value, _) => value,
            Value::Cut => {
                dump.cut.push((name.to_owned(), place));
                return Ok(());
            }
            Value::Malformed(found) => return Err(malformed(name, found, place)),
        };
        let all = value.to_le_bytes();
        let (low, high) = all.split_at_checked(bytes).unwrap_or((&all, &[]));
        if high.iter().any(|byte| *byte != 0) {
            return Err(too_large(name, value, 8 * bytes, place));
        }
        let State::Vmcb(image) = &mut dump.state else { return Ok(()) };
        if let Some(before) = image.insert(offset, low, place)
            && before != low
        {
            let first = before.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
            dump.doubts.push(Doubt::Differs { name: name.to_owned(), place, first, second: value });
        }
        Ok(())
    }

    fn finish(self) -> Vec<Dump> {
        let Self { mut open, messages, failed, .. } = self;
        open.retain(|open| !open.is_empty());
        let starts: Vec<usize> = open.iter().map(|open| open.start).collect();
        // A message is about the dump behind it; behind the last one, about that.
        let owner = |at: usize| starts.iter().position(|start| *start > at).or(starts.len().checked_sub(1));
        for (at, message) in messages {
            if let Some(open) = owner(at).and_then(|index| open.get_mut(index)) {
                open.dump.message.get_or_insert(message);
            }
        }
        if let Some((at, entry)) = failed
            && let Some(open) = owner(at).and_then(|index| open.get_mut(index))
        {
            open.dump.msrs.push(entry);
        }
        open.into_iter()
            .map(|Open { mut dump, linux, xen, .. }| {
                if dump.kind == Kind::LinuxVmcs && xen > linux {
                    dump.kind = Kind::XenVmcs;
                }
                dump
            })
            .collect()
    }
}

/// Sets a field of a VMCS. A second value that differs is a doubt.
pub(super) fn insert(dump: &mut Dump, encoding: Encoding, entry: Entry) {
    let State::Vmcs(fields) = &mut dump.state else { return };
    if let Some(Entry { value: Some(first), .. }) = fields.insert(encoding, entry)
        && let Some(second) = entry.value.filter(|second| *second != first)
    {
        dump.doubts.push(Doubt::Differs { name: encoding.to_string(), place: entry.place, first, second });
    }
}

fn malformed(name: &str, found: String, place: Place) -> ReadError {
    ReadError { place, kind: ReadErrorKind::Number { name: name.to_owned(), found } }
}

fn too_large(name: &str, value: u64, bits: usize, place: Place) -> ReadError {
    ReadError { place, kind: ReadErrorKind::Range { name: name.to_owned(), value, bits } }
}
