//! Registers of the guest that are read late and written if they changed.

use core::cell::Cell;

use x86_virt_core::Rflags;

use crate::access::VmcsWrite;
use crate::field;

/// RIP, RSP and RFLAGS: read on first use after an exit, written before an entry if they changed.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(crate) rip: Slot<u64>,
    pub(crate) rsp: Slot<u64>,
    pub(crate) rflags: Slot<Rflags>,
}

/// A register that is read on first use and written if it changed.
#[derive(Debug, Default)]
pub(crate) struct Slot<T: Copy> {
    value: Cell<Option<T>>,
    dirty: bool,
}

impl<T: Copy> Slot<T> {
    pub(crate) fn get(&self, read: impl FnOnce() -> T) -> T {
        self.value.get().unwrap_or_else(|| {
            let value = read();
            self.value.set(Some(value));
            value
        })
    }

    pub(crate) fn set(&mut self, value: T) {
        self.value.set(Some(value));
        self.dirty = true;
    }

    /// The value, if it must be written.
    fn take_dirty(&mut self) -> Option<T> {
        core::mem::take(&mut self.dirty).then(|| self.value.get()).flatten()
    }
}

impl Cache {
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn write_back(&mut self, vmcs: &mut impl VmcsWrite) {
        if let Some(rip) = self.rip.take_dirty() {
            vmcs.put(field::GUEST_RIP, rip);
        }
        if let Some(rsp) = self.rsp.take_dirty() {
            vmcs.put(field::GUEST_RSP, rsp);
        }
        if let Some(rflags) = self.rflags.take_dirty() {
            vmcs.put(field::GUEST_RFLAGS, rflags);
        }
    }
}
