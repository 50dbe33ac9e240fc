//! Readable copies of the VMCB, the VMSA and the GHCB.

mod parse;

use core::fmt;
use core::marker::PhantomData;

use crate::ghcb::{self, Ghcb};
use crate::vmcb::{Field, Vmcb, VmcbFieldInfo, VmcbValue, control, save};
use crate::vmsa::{self, Vmsa};

pub use parse::{ParseDumpError, ParseDumpErrorKind};

/// Bytes of a structure: a page.
const BYTES: usize = 4096;

/// What a dump calls bytes that have no field. They are listed if one of them is not zero.
const RESERVED: &str = "RESERVED";

/// A structure whose fields a dump lists.
pub trait DumpLayout: VmcbValue + sealed::Sealed {
    /// The tables, in the order of their offsets, with a heading each.
    const TABLES: &'static [(&'static str, &'static [VmcbFieldInfo])];
}

impl DumpLayout for Vmcb {
    const TABLES: &'static [(&'static str, &'static [VmcbFieldInfo])] =
        &[("control", control::ALL), ("save", save::ALL)];
}

impl DumpLayout for Vmsa {
    const TABLES: &'static [(&'static str, &'static [VmcbFieldInfo])] = &[("vmsa", vmsa::ALL)];
}

impl DumpLayout for Ghcb {
    const TABLES: &'static [(&'static str, &'static [VmcbFieldInfo])] = &[("ghcb", ghcb::ALL)];
}

mod sealed {
    #[expect(unnameable_types, reason = "seals a trait")]
    pub trait Sealed {}

    impl Sealed for crate::vmcb::Vmcb {}
    impl Sealed for crate::vmsa::Vmsa {}
    impl Sealed for crate::ghcb::Ghcb {}
}

/// A copy of a structure, which prints one field per line, and which can be read back from that text.
///
/// A line is the name, the offset, the value, and what the value means. Values of up to eight bytes are numbers, longer ones
/// bytes in their order in memory, or `0` if all are zero. Lines that begin with `#` are headings.
///
/// ```
/// use x86_virt_svm::VmcbDump;
/// use x86_virt_svm::vmcb::{NestedControl, Vmcb, control};
///
/// let mut vmcb = Vmcb::from_bytes(&[0; 4096]);
/// let before = VmcbDump::new(&vmcb);
/// vmcb.control.NESTED_CTL = NestedControl::new().with_np_enable(true);
/// let after = VmcbDump::new(&vmcb);
///
/// let mut differences = before.differences(&after);
/// assert_eq!(
///     differences.next().map(|difference| difference.to_string()).as_deref(),
///     Some("NESTED_CTL 0x090 0x0000000000000000 -> 0x0000000000000001 NP_ENABLE"),
/// );
/// assert!(differences.next().is_none());
/// assert!(after.get(control::NESTED_CTL).np_enable());
/// assert_eq!(VmcbDump::parse(&after.to_string()), Ok(after));
/// ```
#[derive(Clone, Copy)]
pub struct PageDump<S> {
    bytes: [u8; BYTES],
    _structure: PhantomData<fn() -> S>,
}

/// A copy of a VMCB.
pub type VmcbDump = PageDump<Vmcb>;

/// A copy of a VMSA.
pub type VmsaDump = PageDump<Vmsa>;

/// A copy of a GHCB.
pub type GhcbDump = PageDump<Ghcb>;

impl<S: DumpLayout> PageDump<S> {
    /// A copy of `structure`.
    #[must_use]
    pub fn new(structure: &S) -> Self {
        let mut bytes = [0; BYTES];
        structure.encode(&mut bytes);
        Self::from_bytes(bytes)
    }

    /// The structure with these bytes in memory.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self { bytes, _structure: PhantomData }
    }

    /// The bytes in memory.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; BYTES] {
        &self.bytes
    }

    /// The structure.
    #[must_use]
    pub fn structure(&self) -> S {
        S::decode(&self.bytes)
    }

    /// The value of `field`.
    #[must_use]
    pub fn get<T: VmcbValue, A>(&self, field: Field<T, A, S>) -> T {
        T::decode(self.bytes.get(field.offset()..).unwrap_or_default())
    }

    /// All fields, and the bytes between them that have no field.
    pub fn entries(&self) -> impl Iterator<Item = DumpEntry<'_>> {
        let fields = S::TABLES.iter().flat_map(|(_, fields)| fields.iter());
        let mut place = 0;
        fields.map(Some).chain([None]).flat_map(move |field| {
            let (start, end) = field.map_or((BYTES, BYTES), |field| (field.offset, field.offset + field.bytes));
            let before = self.entry(None, place, start);
            place = end;
            [before, self.entry(field, start, end)].into_iter().flatten()
        })
    }

    fn entry(&self, field: Option<&'static VmcbFieldInfo>, start: usize, end: usize) -> Option<DumpEntry<'_>> {
        let bytes = self.bytes.get(start..end).filter(|bytes| !bytes.is_empty())?;
        Some(DumpEntry { field, offset: start, bytes })
    }

    /// The fields whose values differ in `other`, and the bytes without a field that do.
    pub fn differences<'d>(&'d self, other: &'d Self) -> impl Iterator<Item = DumpDifference<'d>> {
        self.entries()
            .zip(other.entries())
            .filter(|(one, other)| one.bytes != other.bytes)
            .map(|(one, other)| DumpDifference { one, other })
    }
}

impl<S> PartialEq for PageDump<S> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<S> Eq for PageDump<S> {}

#[cfg(feature = "arbitrary")]
impl<'a, S> x86_virt_core::arbitrary::Arbitrary<'a> for PageDump<S> {
    fn arbitrary(
        source: &mut x86_virt_core::arbitrary::Unstructured<'a>,
    ) -> Result<Self, x86_virt_core::arbitrary::Error> {
        let mut bytes = [0; BYTES];
        source.fill_buffer(&mut bytes)?;
        Ok(Self { bytes, _structure: PhantomData })
    }
}

impl<S: DumpLayout> fmt::Display for PageDump<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut headings = S::TABLES.iter().peekable();
        for entry in self.entries() {
            let is_due =
                |(_, fields): &&(_, &[VmcbFieldInfo])| fields.first().is_some_and(|field| field.offset <= entry.offset);
            if let Some((heading, _)) = headings.next_if(is_due) {
                writeln!(f, "# {heading}")?;
            }
            if entry.field.is_some() || !entry.is_zero() {
                writeln!(f, "{entry}")?;
            }
        }
        Ok(())
    }
}

impl<S: DumpLayout> fmt::Debug for PageDump<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A field of a structure with its value, or bytes that have no field.
#[derive(Clone, Copy, Debug)]
pub struct DumpEntry<'d> {
    /// The field, unless the bytes are reserved.
    pub field: Option<&'static VmcbFieldInfo>,
    /// Offset in the structure, in bytes.
    pub offset: usize,
    /// The bytes in memory.
    pub bytes: &'d [u8],
}

impl DumpEntry<'_> {
    /// The manual's name, or `RESERVED`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.field {
            Some(field) => field.name,
            None => RESERVED,
        }
    }

    /// Whether all bytes are zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.bytes.iter().all(|byte| *byte == 0)
    }

    /// Whether the value is written as a number.
    const fn is_number(&self) -> bool {
        self.field.is_some() && self.bytes.len() <= 8
    }

    fn value(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_number() {
            f.write_str("0x")?;
            return self.bytes.iter().rev().try_for_each(|byte| write!(f, "{byte:02x}"));
        }
        if self.is_zero() {
            return f.write_str("0");
        }
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }

    fn meaning(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) if !self.is_zero() => (field.show)(self.bytes, f),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for DumpEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:#05x} ", self.name(), self.offset)?;
        self.value(f)?;
        self.meaning(f)
    }
}

/// A field that has another value in another copy.
#[derive(Clone, Copy, Debug)]
pub struct DumpDifference<'d> {
    /// The value here.
    pub one: DumpEntry<'d>,
    /// The value in the other copy.
    pub other: DumpEntry<'d>,
}

impl fmt::Display for DumpDifference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> ", self.one)?;
        self.other.value(f)?;
        self.other.meaning(f)
    }
}

#[cfg(test)]
mod tests;
