//! All fields of a VMCS at one time.

use core::fmt;

use crate::access::VmcsRead;
use crate::field::{self, AccessClass, Encoding, Field, FieldInfo, FieldValue, Group};
use crate::instruction_error::{InstructionError, VmFail};

/// What all fields of a VMCS held at one time: to print, to compare, and to read back from its text.
///
/// The text has one field per line, in four groups.
///
/// ```
/// use x86_virt_vmx::{FakeVmcs, VmcsDump, VmcsRead, VmcsWrite, field};
///
/// let mut vmcs = FakeVmcs::new();
/// vmcs.write(field::GUEST_RIP, 0x7c00)?;
/// let dump = vmcs.dump();
/// assert_eq!(dump.get(field::GUEST_RIP), Some(0x7c00));
/// assert!(dump.to_string().contains("\n  GUEST_RIP = 0x0000000000007c00\n"));
///
/// vmcs.write(field::GUEST_RIP, 0x7c02)?;
/// let changed: Vec<_> = vmcs.dump().differences(&dump).collect();
/// assert_eq!((changed[0].0.name, changed[0].1, changed[0].2), ("GUEST_RIP", Some(0x7c02), Some(0x7c00)));
///
/// assert_eq!(VmcsDump::parse(&dump.to_string())?, dump);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct VmcsDump {
    /// In the order of [`field::ALL`]. `None` for a field that the processor does not have.
    values: [Option<u64>; field::ALL.len()],
}

/// What stands for the value of a field that the processor does not have.
const UNSUPPORTED: &str = "unsupported";

impl VmcsDump {
    const EMPTY: Self = Self { values: [None; field::ALL.len()] };

    /// Reads all fields of `vmcs`.
    pub(crate) fn of<V: VmcsRead + ?Sized>(vmcs: &V) -> Self {
        let mut dump = Self::EMPTY;
        // First of all, since reading a field that does not exist changes it.
        let error_field = field::VM_INSTRUCTION_ERROR.encoding();
        let error = vmcs.read_raw(error_field).ok();
        for (value, info) in dump.values.iter_mut().zip(field::ALL) {
            *value = if info.encoding == error_field { error } else { vmcs.read_raw(info.encoding).ok() };
        }
        dump
    }

    /// The value of `field`, or `None` if the processor does not have it.
    #[must_use]
    pub fn get<T: FieldValue, A: AccessClass>(&self, field: Field<T, A>) -> Option<T> {
        self.get_raw(field.encoding()).map(T::from_raw)
    }

    /// The value of the field with the encoding `field`, or `None` if the processor does not have it.
    #[must_use]
    pub fn get_raw(&self, field: Encoding) -> Option<u64> {
        FieldInfo::index(field).and_then(|index| self.values.get(index).copied()).flatten()
    }

    /// All fields with their values, in the order of [`field::ALL`].
    pub fn fields(&self) -> impl Iterator<Item = (&'static FieldInfo, Option<u64>)> {
        field::ALL.iter().zip(self.values.iter().copied())
    }

    /// The fields that differ, with the value here and the one in `other`.
    pub fn differences(&self, other: &Self) -> impl Iterator<Item = (&'static FieldInfo, Option<u64>, Option<u64>)> {
        self.fields()
            .zip(other.values.iter().copied())
            .filter(|((_, ours), theirs)| ours != theirs)
            .map(|((info, ours), theirs)| (info, ours, theirs))
    }

    /// Reads a dump from its text. Fields that are not in it count as ones that the processor does not have, and what
    /// follows a number on its line is ignored.
    ///
    /// # Errors
    ///
    /// [`ParseDumpError`] with the place of what is no group, no field, a field for the second time, or no value of it.
    pub fn parse(text: &str) -> Result<Self, ParseDumpError> {
        let mut dump = Self::EMPTY;
        let mut seen = [false; field::ALL.len()];
        for (number, line) in (1..).zip(text.lines()) {
            let content = line.trim();
            let indent = line.len() - line.trim_start().len();
            let error = |offset: usize| ParseDumpError { line: number, column: indent + offset + 1 };
            if content.is_empty() || is_heading(content) {
                continue;
            }
            let (name, value) = content.split_once(" = ").ok_or(error(0))?;
            let index = field::ALL.iter().position(|info| info.name == name).ok_or(error(0))?;
            match seen.get_mut(index) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(error(0)),
            }
            let value_error = error(name.len() + " = ".len());
            let info = field::ALL.get(index).ok_or(error(0))?;
            let value = parse_value(value, info).ok_or(value_error)?;
            if let Some(slot) = dump.values.get_mut(index) {
                *slot = value;
            }
        }
        Ok(dump)
    }
}

/// Whether a line is the name of a group with a colon.
fn is_heading(line: &str) -> bool {
    line.strip_suffix(':').is_some_and(|name| Group::ALL.into_iter().any(|group| heading(group) == name))
}

const fn heading(group: Group) -> &'static str {
    match group {
        Group::Control => "controls",
        Group::ReadOnlyData => "read-only data",
        Group::Guest => "guest state",
        Group::Host => "host state",
    }
}

/// The value that a text of a field begins with: the inner `None` if the processor does not have the field.
fn parse_value(text: &str, info: &FieldInfo) -> Option<Option<u64>> {
    let word = text.split(' ').next().unwrap_or_default();
    if word == UNSUPPORTED {
        return Some(None);
    }
    let digits = word.strip_prefix("0x")?;
    // `from_str_radix` would take a sign.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).ok()?;
    let unused = u64::BITS - info.encoding.width().bits();
    (value <= u64::MAX >> unused).then_some(Some(value))
}

/// A field that the processor does not have fails as it does there.
impl VmcsRead for VmcsDump {
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
        self.get_raw(field).ok_or(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD))
    }
}

impl fmt::Display for VmcsDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in Group::ALL {
            writeln!(f, "{}:", heading(group))?;
            for (info, value) in self.fields().filter(|(info, _)| info.encoding.group() == group) {
                match value {
                    Some(value) => writeln!(f, "  {} = {}", info.name, info.text(value))?,
                    None => writeln!(f, "  {} = {UNSUPPORTED}", info.name)?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for VmcsDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::str::FromStr for VmcsDump {
    type Err = ParseDumpError;

    fn from_str(text: &str) -> Result<Self, ParseDumpError> {
        Self::parse(text)
    }
}

/// A text that is no dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[error("line {line}, column {column}: neither a group nor a new field with a value that fits")]
pub struct ParseDumpError {
    /// The line, from 1.
    pub line: usize,
    /// The first byte in the line that is not as it should be, from 1.
    pub column: usize,
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;

    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::{ParseDumpError, VmcsDump};
    use crate::access::{VmcsRead, VmcsWrite};
    use crate::field::{self, Encoding};
    use crate::instruction_error::{InstructionError, VmFail};
    use crate::testing::FakeVmcs;

    #[test]
    fn text_is_grouped_and_names_bits() {
        let mut vmcs = FakeVmcs::new();
        vmcs.set_raw(field::GUEST_RFLAGS.encoding().get(), 0x102);
        vmcs.set_raw(field::PIN_CONTROLS.encoding().get(), 0x3f);
        vmcs.set_raw(field::GUEST_ES_SELECTOR.encoding().get(), 0x10);
        vmcs.set_raw(field::EXIT_REASON.encoding().get(), 10);
        let text = vmcs.dump().to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.iter().filter(|line| line.starts_with("  ")).count(), field::ALL.len());
        let headings: Vec<_> = lines.iter().filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(headings, [&"controls:", &"read-only data:", &"guest state:", &"host state:"]);
        assert!(lines.contains(&"  GUEST_RFLAGS = 0x0000000000000102 ONE TF"));
        let pin = "  PIN_CONTROLS = 0x0000003f EXTERNAL_INTERRUPT_EXITING NMI_EXITING VIRTUAL_NMIS 0x16";
        assert!(lines.contains(&pin));
        assert!(lines.contains(&"  GUEST_ES_SELECTOR = 0x0010"));
        assert!(lines.contains(&"  GUEST_ACTIVITY_STATE = 0x00000000 ACTIVE"));
        assert!(lines.contains(&"  EXIT_REASON = 0x0000000a CPUID"), "{text}");
    }

    /// A processor without EPT pointers, whose reads leave the error of the last failure behind.
    struct WithoutEpt {
        vmcs: RefCell<FakeVmcs>,
    }

    impl VmcsRead for WithoutEpt {
        fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
            if field == field::EPT_POINTER.encoding() {
                self.vmcs.borrow_mut().set_raw(field::VM_INSTRUCTION_ERROR.encoding().get(), 12);
                return Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD));
            }
            self.vmcs.borrow().read_raw(field)
        }
    }

    #[test]
    fn a_dump_does_not_change_what_it_shows() {
        let mut vmcs = FakeVmcs::new();
        vmcs.set_raw(field::VM_INSTRUCTION_ERROR.encoding().get(), 7);
        let dump = WithoutEpt { vmcs: RefCell::new(vmcs) }.dump();
        assert_eq!(dump.get(field::VM_INSTRUCTION_ERROR), Some(InstructionError::INVALID_CONTROL_FIELDS));
        assert_eq!(dump.get(field::EPT_POINTER), None);
        assert!(dump.to_string().contains("\n  EPT_POINTER = unsupported\n"));
        assert_eq!(VmcsDump::parse(&dump.to_string()), Ok(dump));
    }

    #[test]
    fn differences_are_listed() {
        let mut vmcs = FakeVmcs::new();
        let before = vmcs.dump();
        assert_eq!(before.differences(&before).count(), 0);
        vmcs.put(field::GUEST_CR3, 0x1000);
        let after = vmcs.dump();
        let names: Vec<_> = after.differences(&before).map(|(info, new, old)| (info.name, new, old)).collect();
        assert_eq!(names, [("GUEST_CR3", Some(0x1000), Some(0))]);
    }

    #[test]
    fn errors_tell_the_place() {
        let error = |text| VmcsDump::parse(text).unwrap_err();
        assert_eq!(error("controls:\n  GUEST_RIP = 1"), ParseDumpError { line: 2, column: 15 });
        assert_eq!(error("state:"), ParseDumpError { line: 1, column: 1 });
        assert_eq!(error("\n\n GUEST_RIX = 0x1"), ParseDumpError { line: 3, column: 2 });
        assert_eq!(error("GUEST_RIP = 0x1\nGUEST_RIP = 0x1"), ParseDumpError { line: 2, column: 1 });
        assert_eq!(error("GUEST_ES_SELECTOR = 0x10000"), ParseDumpError { line: 1, column: 21 });
        assert_eq!(error("GUEST_RIP = 0x+1").column, 13);
        assert_eq!(error("GUEST_RIP = 0x").column, 13);
        assert_eq!(error("GUEST_RIP").to_string().split(':').next(), Some("line 1, column 1"));
        assert_eq!(VmcsDump::parse("GUEST_RIP = 0x7c00 and more").unwrap().get(field::GUEST_RIP), Some(0x7c00));
        assert_eq!(VmcsDump::parse("").unwrap().fields().filter(|(_, value)| value.is_some()).count(), 0);
    }

    proptest! {
        #[test]
        fn text_reads_back(values in vec(any::<u64>(), field::ALL.len())) {
            let mut vmcs = FakeVmcs::new();
            for (info, value) in field::ALL.iter().zip(values) {
                vmcs.set_raw(info.encoding.get(), value);
            }
            let dump = vmcs.dump();
            assert_eq!(dump.to_string().parse(), Ok(dump));
        }

        #[test]
        fn no_text_panics(text in "([A-Z_ =x0-9:\n]|GUEST_RIP|0x|controls:){0,40}") {
            let _ = VmcsDump::parse(&text);
        }
    }
}
