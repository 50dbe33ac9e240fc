//! VMCBs about which everything can be known, and everything can be left out.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use x86_virt::svm::check::{Missing, VmcbRead, VmrunContext};
use x86_virt::svm::vmcb::{Vmcb, VmcbFieldInfo};
use x86_virt::svm::vmsa::Vmsa;
use x86_virt::svm::{DumpLayout, RawCpuid, VmcbDump, VmsaDump, profile};
use x86_virt::{Cr0, Efer, Hpa};

/// A long-mode guest.
const LONG_MODE: &str = include_str!("../../benches/states/svm-long.txt");

/// How many changes count.
const MOST: usize = 8;
const BYTES: usize = 4096;
/// Where the save area begins.
pub const SAVE: usize = 0x400;
/// Where the fields of the save area end.
const SAVE_END: usize = 0x800;
/// Fields of the VMCB.
const NESTED_CTL: usize = 0x90;

/// What a state is made of.
#[derive(Clone, Debug, Arbitrary)]
pub struct Input {
    processor: Processor,
    base: Base,
    changes: Vec<(u16, Change)>,
    vmsa: Vec<(u16, Change)>,
    context: ContextInput,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Processor {
    /// One that exists.
    Profile(u8),
    /// One with every feature.
    Everything,
    /// One with any.
    Any(RawCpuid),
    /// Nothing is known.
    Unknown,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Base {
    Long,
    /// With SEV-ES.
    Encrypted,
    /// All bytes are zero.
    Nothing,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Change {
    Value(u64),
    Bit(u8),
    Byte(u8, u8),
    Ones,
    /// The field is not known.
    Missing,
}

impl Change {
    fn make(self, bytes: &mut [u8]) {
        match self {
            Self::Value(value) => bytes.iter_mut().zip(value.to_le_bytes()).for_each(|(byte, new)| *byte = new),
            Self::Bit(bit) => {
                let count = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(usize::from(bit / 8) % count) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Self::Byte(place, value) => {
                let count = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(usize::from(place) % count) {
                    *byte = value;
                }
            }
            Self::Ones => bytes.fill(0xff),
            Self::Missing => {}
        }
    }
}

#[derive(Clone, Copy, Debug, Arbitrary)]
struct ContextInput {
    /// Which facts are not known.
    unknown: u32,
    /// What differs from a host that can run the guest.
    differs: u16,
    words: [u32; 2],
    pdptes: [u64; 4],
    u_cet: u64,
}

/// A VMCB, a VMSA, CPUID values, and circumstances.
#[derive(Clone, Debug)]
pub struct State {
    /// The VMCB, with what is not known too.
    pub vmcb: [u8; BYTES],
    /// The VMSA.
    pub vmsa: [u8; BYTES],
    /// Fields that are not known: first byte, and behind the last.
    pub missing: Vec<(usize, usize)>,
    /// The processor.
    pub cpuid: Option<RawCpuid>,
    context: ContextInput,
}

impl VmcbRead for State {
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        let end = offset + bytes.len();
        if self.missing.iter().any(|(start, behind)| offset < *behind && *start < end) {
            return None;
        }
        bytes.copy_from_slice(self.vmcb.get(offset..end)?);
        Some(())
    }
}

/// Facts that may be unknown, by their bits.
mod fact {
    pub(super) const HOST: u32 = 0;
    pub(super) const ADDRESS: u32 = 1;
    pub(super) const HSAVE: u32 = 2;
    pub(super) const MSRS: u32 = 3;
    pub(super) const LEAF_8: u32 = 4;
    pub(super) const LEAF_21: u32 = 5;
    pub(super) const PDPTES: u32 = 6;
    pub(super) const U_CET: u32 = 7;
    pub(super) const VMSA: u32 = 8;
    pub(super) const RMP: u32 = 9;
    pub(super) const IBS: u32 = 10;
    pub(super) const SIBLING: u32 = 11;
    pub(super) const PMC: u32 = 12;
}

/// A processor that has everything.
const EVERYTHING: RawCpuid = RawCpuid {
    leaf_1_ecx: !0,
    leaf_7_ebx: !0,
    leaf_7_ecx: !0,
    leaf_8000_0001_ecx: !0,
    leaf_8000_0001_edx: !0,
    leaf_8000_0008_eax: 0x3030,
    leaf_8000_000a_eax: 1,
    leaf_8000_000a_ebx: 0x8000,
    leaf_8000_000a_ecx: !0,
    leaf_8000_000a_edx: !0,
    leaf_8000_001f_eax: !0,
    leaf_8000_001f_ebx: 0x4173,
    leaf_8000_001f_ecx: 509,
    leaf_8000_001f_edx: 5,
};

static LONG: LazyLock<VmcbDump> =
    LazyLock::new(|| VmcbDump::parse(LONG_MODE).unwrap_or_else(|error| panic!("{error}")));

fn rows<S: DumpLayout>() -> impl Iterator<Item = &'static VmcbFieldInfo> {
    S::TABLES.iter().flat_map(|(_, rows)| rows.iter())
}

/// Bytes of the field of this number, at most eight of them.
fn place<S: DumpLayout>(number: u16) -> (usize, usize) {
    let count = rows::<S>().count().max(1);
    rows::<S>().nth(usize::from(number) % count).map_or((0, 1), |row| (row.offset, row.offset + row.bytes))
}

/// The offset of a field of the VMSA.
#[must_use]
pub fn vmsa_offset(name: &str) -> Option<usize> {
    rows::<Vmsa>().find(|row| row.name == name).map(|row| row.offset)
}

impl Input {
    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        let cpuid = match self.processor {
            Processor::Profile(number) => profile::ALL.get(usize::from(number) % profile::ALL.len()).map(|one| one.raw),
            Processor::Everything => Some(EVERYTHING),
            Processor::Any(raw) => Some(raw),
            Processor::Unknown => None,
        };
        let vmcb = if matches!(self.base, Base::Nothing) { [0; BYTES] } else { *LONG.as_bytes() };
        let mut state = State { vmcb, vmsa: [0; BYTES], missing: Vec::new(), cpuid, context: self.context };
        let save = vmcb.get(SAVE..SAVE_END).unwrap_or_default();
        state.vmsa.iter_mut().zip(save).for_each(|(to, from)| *to = *from);
        if let (Base::Encrypted, Some(byte)) = (self.base, state.vmcb.get_mut(NESTED_CTL)) {
            *byte = 7;
        }
        for (number, change) in self.changes.iter().take(MOST) {
            let (start, end) = place::<Vmcb>(*number);
            if matches!(change, Change::Missing) {
                state.missing.push((start, end));
            } else {
                change.make(state.vmcb.get_mut(start..end).unwrap_or_default());
            }
        }
        for (number, change) in self.vmsa.iter().take(MOST) {
            let (start, end) = place::<Vmsa>(*number);
            change.make(state.vmsa.get_mut(start..end).unwrap_or_default());
        }
        state
    }
}

impl State {
    /// Whether a fact is known.
    const fn knows(&self, fact: u32) -> bool {
        self.context.unknown >> fact & 1 == 0
    }

    /// Calls `look` with the circumstances.
    pub fn with_context<R>(&self, look: impl FnOnce(VmrunContext<'_>) -> R) -> R {
        let vmsa = VmsaDump::from_bytes(self.vmsa);
        let is = |bit: u32| self.context.differs >> bit & 1 == 0;
        let [first, second] = self.context.words;
        let mut context = VmrunContext::UNKNOWN;
        if self.knows(fact::HOST) {
            context.host_cr0 = Some(Cr0::from_bits(if is(0) { 0x8001_0031 } else { first.into() }));
            context.host_efer = Some(Efer::from_bits(if is(1) { 0x1d01 } else { second.into() }));
            context.cpl = Some(if is(2) { 0 } else { 3 });
        }
        context.vmcb_address =
            self.knows(fact::ADDRESS).then_some(Hpa::new(if is(3) { 0x7000 } else { u64::MAX << 40 }));
        context.hsave_pa = self.knows(fact::HSAVE).then_some(Hpa::new(if is(4) { 0x8000 } else { 0 }));
        context.hwcr = self.knows(fact::MSRS).then_some(u64::from(is(5)));
        context.syscfg = self.knows(fact::MSRS).then_some(u64::from(is(6)) << 24);
        context.leaf_8000_0008_ebx = self.knows(fact::LEAF_8).then_some(first);
        context.leaf_8000_0021_eax = self.knows(fact::LEAF_21).then_some(second);
        context.pdptes = self.knows(fact::PDPTES).then_some(self.context.pdptes);
        context.u_cet = self.knows(fact::U_CET).then_some(self.context.u_cet);
        context.vmsa = self.knows(fact::VMSA).then_some(&vmsa);
        context.rmp_allows_vmcb = self.knows(fact::RMP).then_some(is(7));
        context.rmp_allows_avic_backing_page = self.knows(fact::RMP).then_some(is(8));
        context.rmp_allows_vmsa = self.knows(fact::RMP).then_some(is(9));
        context.host_ibs = self.knows(fact::IBS).then_some(!is(10));
        context.is_sibling_idle = self.knows(fact::SIBLING).then_some(is(11));
        context.permits_pmc_virtualization = self.knows(fact::PMC).then_some(is(12));
        look(context)
    }

    /// Whether the save area is the VMSA: the guest has SEV-ES, and the processor too.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        let mut nested = [0; 8];
        let is_known = self.read(NESTED_CTL, &mut nested).is_some();
        let has_es = self.cpuid.is_none_or(|cpuid| cpuid.leaf_8000_001f_eax >> 3 & 1 == 1);
        is_known && u64::from_le_bytes(nested) & 6 == 6 && has_es
    }

    /// Less is known.
    pub fn forget(&mut self, fields: &[u16], facts: u32) {
        self.missing.extend(fields.iter().take(MOST).map(|number| place::<Vmcb>(*number)));
        self.context.unknown |= facts;
        if facts >> 31 == 1 {
            self.cpuid = None;
        }
    }

    /// Makes known what a rule needs.
    pub fn supply(&mut self, missing: Missing) {
        let what = missing.what();
        if what == "CPUID" {
            assert!(self.cpuid.is_none(), "CPUID is known");
            self.cpuid = Some(EVERYTHING);
            return;
        }
        let count = self.missing.len();
        for row in rows::<Vmcb>().filter(|row| row.name == what) {
            let (start, end) = (row.offset, row.offset + row.bytes);
            self.missing.retain(|(first, behind)| start >= *behind || *first >= end);
        }
        if self.missing.len() == count {
            assert_ne!(self.context.unknown, 0, "{what} is known");
            self.context.unknown = 0;
        }
    }
}
