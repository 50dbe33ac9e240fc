//! A VMCS with the entries of the VM-entry MSR-load area that a dump lists.

use x86_virt_core::Hpa;
use x86_virt_vmx::check::Machine;
use x86_virt_vmx::field::{self, Encoding};
use x86_virt_vmx::{VmFail, VmcsRead};

use crate::dump::{Dump, MsrArea, VmcsFields};

/// Where the area is if the dump does not tell. No rule about addresses is decided by it.
const ADDRESS: u64 = 0x1000;
/// Bytes of an entry.
const BYTES: u64 = 16;
/// How many entries are made up at most.
const MOST: u64 = 512;

/// An entry that no rule refuses: IA32_TIME_STAMP_COUNTER.
const TAKEN: (u32, u64) = (0x10, 0);

/// The fields of a VMCS, and the entries of its VM-entry MSR-load area.
#[derive(Debug)]
pub(super) struct WithLists<'d> {
    fields: &'d VmcsFields,
    /// Index and value of each entry. Empty if the dump has none.
    entries: Vec<(u32, u64)>,
}

impl<'d> WithLists<'d> {
    pub(super) fn new(dump: &Dump, fields: &'d VmcsFields) -> Self {
        let of = |area| {
            let entries = dump.msrs.iter().filter(move |entry| entry.area == area);
            entries.map(|entry| (entry.index, entry.value)).collect::<Vec<_>>()
        };
        let mut entries = of(MsrArea::EntryLoad);
        if entries.is_empty()
            && let Some(refused) = of(MsrArea::Failed).first()
        {
            // The processor took those before the one that it refused.
            let number = fields.get(field::EXIT_QUALIFICATION).filter(|number| (1..=MOST).contains(number));
            entries = (1..number.unwrap_or(1)).map(|_| TAKEN).chain([*refused]).collect();
        }
        Self { fields, entries }
    }

    /// Whether the address of the area is made up.
    pub(super) fn has_made_up_address(&self) -> bool {
        !self.entries.is_empty() && self.fields.raw(field::ENTRY_MSR_LOAD_ADDRESS.encoding()).is_none()
    }
}

impl VmcsRead for WithLists<'_> {
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
        let read = self.fields.read_raw(field);
        if read.is_ok() || self.entries.is_empty() {
            return read;
        }
        if field == field::ENTRY_MSR_LOAD_ADDRESS.encoding() {
            return Ok(ADDRESS);
        }
        if field == field::ENTRY_MSR_LOAD_COUNT.encoding() {
            return u64::try_from(self.entries.len()).or(read);
        }
        read
    }
}

impl Machine for WithLists<'_> {
    fn memory(&self, address: Hpa) -> Option<u64> {
        let area = self.fields.raw(field::ENTRY_MSR_LOAD_ADDRESS.encoding()).unwrap_or(ADDRESS) & !(BYTES - 1);
        let offset = address.get().checked_sub(area)?;
        let (index, value) = *self.entries.get(usize::try_from(offset / BYTES).ok()?)?;
        Some(if offset % BYTES == 0 { index.into() } else { value })
    }
}
