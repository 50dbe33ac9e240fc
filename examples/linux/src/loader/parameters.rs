//! The boot parameters, called the zero page.
//!
//! Linux, Documentation/arch/x86/zero-page.rst, "Zero Page".

use core::ops::Range;

use super::header::{Header, SETUP_HEADER};

const BYTES: usize = 0x1000;
const ACPI_ROOT: usize = 0x070;
const MAP_ENTRIES: usize = 0x1e8;
const LOADER: usize = 0x210;
const INITRD: usize = 0x218;
const COMMAND_LINE: usize = 0x228;
const MAP: usize = 0x2d0;
const MAP_ENTRY_BYTES: usize = 20;
/// The loader has no number of its own.
const UNDEFINED_LOADER: u8 = 0xff;
const IS_MEMORY: u32 = 1;
const IS_RESERVED: u32 = 2;

/// The boot parameters.
pub(super) struct Parameters {
    bytes: [u8; BYTES],
    map_entries: u8,
}

impl Parameters {
    /// Parameters with the kernel's own header in them.
    pub(super) fn new(kernel: &[u8], header: &Header) -> Self {
        let mut parameters = Self { bytes: [0; BYTES], map_entries: 0 };
        parameters.set(SETUP_HEADER, kernel.get(SETUP_HEADER..header.end).unwrap_or_default());
        parameters.set(LOADER, &[UNDEFINED_LOADER]);
        parameters
    }

    pub(super) fn set_initrd(&mut self, address: u64, bytes: usize) {
        self.set_double(INITRD, address);
        self.set_double(INITRD + 4, u64::try_from(bytes).unwrap_or(0));
    }

    pub(super) fn set_command_line(&mut self, address: u64) {
        self.set_double(COMMAND_LINE, address);
    }

    pub(super) fn set_acpi(&mut self, address: u64) {
        self.set(ACPI_ROOT, &address.to_le_bytes());
    }

    pub(super) fn add_memory(&mut self, range: Range<u64>) {
        self.add(range, IS_MEMORY);
    }

    pub(super) fn add_reserved(&mut self, range: Range<u64>) {
        self.add(range, IS_RESERVED);
    }

    pub(super) const fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn add(&mut self, range: Range<u64>, kind: u32) {
        let at = MAP + usize::from(self.map_entries) * MAP_ENTRY_BYTES;
        self.set(at, &range.start.to_le_bytes());
        self.set(at + 8, &(range.end - range.start).to_le_bytes());
        self.set(at + 16, &kind.to_le_bytes());
        self.map_entries += 1;
        self.set(MAP_ENTRIES, &[self.map_entries]);
    }

    /// Everything is below 4 GiB.
    fn set_double(&mut self, offset: usize, value: u64) {
        self.set(offset, &u32::try_from(value).unwrap_or(0).to_le_bytes());
    }

    fn set(&mut self, offset: usize, value: &[u8]) {
        if let Some(target) = self.bytes.get_mut(offset..offset + value.len()) {
            target.copy_from_slice(value);
        }
    }
}
