//! Registers of the guest that are read late and written if they changed.

use core::cell::Cell;

use crate::access::VmcsWrite;
use crate::field;

/// A register that is cached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cached {
    Rip,
    Rsp,
    Rflags,
}

impl Cached {
    const fn bit(self) -> u8 {
        match self {
            Self::Rip => 1,
            Self::Rsp => 2,
            Self::Rflags => 4,
        }
    }
}

/// RIP, RSP and RFLAGS: read on first use after an exit, written before an entry if they changed.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    rip: Cell<u64>,
    rsp: Cell<u64>,
    rflags: Cell<u64>,
    /// Those whose values above count.
    known: Cell<u8>,
    /// Those that the VMCS does not have yet.
    dirty: u8,
}

impl Cache {
    const fn slot(&self, register: Cached) -> &Cell<u64> {
        match register {
            Cached::Rip => &self.rip,
            Cached::Rsp => &self.rsp,
            Cached::Rflags => &self.rflags,
        }
    }

    #[inline]
    pub(crate) fn get(&self, register: Cached, read: impl FnOnce() -> u64) -> u64 {
        if self.known.get() & register.bit() == 0 {
            self.slot(register).set(read());
            self.known.set(self.known.get() | register.bit());
        }
        self.slot(register).get()
    }

    /// The same for a register that is set next, so that it need not be kept.
    #[inline]
    pub(crate) fn peek(&self, register: Cached, read: impl FnOnce() -> u64) -> u64 {
        if self.known.get() & register.bit() == 0 { read() } else { self.slot(register).get() }
    }

    #[inline]
    pub(crate) fn set(&mut self, register: Cached, value: u64) {
        self.slot(register).set(value);
        self.known.set(self.known.get() | register.bit());
        self.dirty |= register.bit();
    }

    /// The guest has run.
    #[inline]
    pub(crate) fn forget(&mut self) {
        self.known.set(0);
    }

    /// Writes what has changed. What could not be written is noted, and written the next time.
    #[inline]
    pub(crate) fn write_back(&mut self, vmcs: &mut impl VmcsWrite) {
        let dirty = core::mem::take(&mut self.dirty);
        if dirty & Cached::Rip.bit() != 0
            && let Err(failure) = vmcs.write(field::GUEST_RIP, self.rip.get())
        {
            vmcs.note(failure);
            self.dirty |= Cached::Rip.bit();
        }
        if dirty & !Cached::Rip.bit() != 0 {
            self.write_others(vmcs, dirty);
        }
    }

    #[inline(never)]
    fn write_others(&mut self, vmcs: &mut impl VmcsWrite, dirty: u8) {
        if dirty & Cached::Rsp.bit() != 0
            && let Err(failure) = vmcs.write(field::GUEST_RSP, self.rsp.get())
        {
            vmcs.note(failure);
            self.dirty |= Cached::Rsp.bit();
        }
        if dirty & Cached::Rflags.bit() != 0
            && let Err(failure) = vmcs.write(field::GUEST_RFLAGS, self.rflags.get().into())
        {
            vmcs.note(failure);
            self.dirty |= Cached::Rflags.bit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, Cached};
    use crate::access::{VmcsRead as _, VmcsWrite as _};
    use crate::field;
    use crate::testing::{CountingVmcs, FakeVmcs, LostVmcs};

    #[test]
    fn what_is_not_asked_is_not_read_and_what_is_not_changed_not_written() {
        let mut vmcs = CountingVmcs::new(FakeVmcs::new());
        vmcs.put(field::GUEST_RIP, 0x7c00);
        let mut cache = Cache::default();
        for _ in 0..2 {
            assert_eq!(cache.get(Cached::Rip, || vmcs.get(field::GUEST_RIP)), 0x7c00);
        }
        assert_eq!(vmcs.reads(), 1, "read once");
        cache.write_back(&mut vmcs);
        assert_eq!(vmcs.writes(), 1, "the one above");
        cache.set(Cached::Rip, 0x7c02);
        cache.set(Cached::Rflags, 2);
        assert_eq!(cache.get(Cached::Rip, || unreachable!("it is known")), 0x7c02);
        for _ in 0..2 {
            cache.write_back(&mut vmcs);
            assert_eq!((vmcs.reads(), vmcs.writes()), (1, 3), "each once");
        }
        assert_eq!((vmcs.get(field::GUEST_RIP), vmcs.get(field::GUEST_RFLAGS).into_bits()), (0x7c02, 2));
        cache.forget();
        assert_eq!(cache.peek(Cached::Rip, || 0x7c04), 0x7c04);
        assert_eq!(cache.get(Cached::Rip, || 0x7c06), 0x7c06, "it was not kept");
        assert_eq!(cache.peek(Cached::Rip, || unreachable!("it is known")), 0x7c06);
    }

    #[test]
    fn what_could_not_be_written_is_written_the_next_time() {
        let mut cache = Cache::default();
        for (register, value) in [(Cached::Rip, 0x7c00), (Cached::Rsp, 0x8000), (Cached::Rflags, 2)] {
            cache.set(register, value);
        }
        let mut lost = LostVmcs::default();
        for round in 1..3 {
            cache.write_back(&mut lost);
            assert_eq!(lost.noted(), 3 * round, "each is noted");
        }
        let mut vmcs = CountingVmcs::new(FakeVmcs::new());
        for _ in 0..2 {
            cache.write_back(&mut vmcs);
            assert_eq!(vmcs.writes(), 3, "each once");
        }
        assert_eq!((vmcs.get(field::GUEST_RIP), vmcs.get(field::GUEST_RSP)), (0x7c00, 0x8000));
        assert_eq!(vmcs.get(field::GUEST_RFLAGS).into_bits(), 2);
    }
}
