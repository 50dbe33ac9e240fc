//! An allocator that can be made to break its promises, so that the processor refuses what the library makes of a frame.
#![expect(unsafe_code, reason = "an allocator, and memory that the processor reads")]

use core::cell::Cell;
use core::ptr::NonNull;

use x86_virt::{Frames as _, Hpa};

use crate::bench::Frames;

/// What is wrong with a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Oddity {
    /// The library writes to another frame, and this one has no revision identifier that a processor knows.
    Elsewhere,
    /// The address has a bit that no physical address of the processor has.
    TooHigh,
}

/// A bit of [`Oddity::TooHigh`]: emulated processors have 40 bits.
pub(crate) const HIGH: u64 = 1 << 51;

/// What is in a frame that [`Oddity::Elsewhere`] leaves alone.
const CONTENT: u8 = 0x55;

/// Which frame is odd.
#[derive(Debug, Default)]
pub(crate) struct Oddities {
    /// How many allocations there were.
    pub(crate) allocations: Cell<usize>,
    /// Where the first of them was.
    pub(crate) first: Cell<Option<Hpa>>,
    /// Which allocation is to be odd, counted from 0.
    pub(crate) next: Cell<Option<(usize, Oddity)>>,
    /// The one that is.
    odd: Cell<Option<(Hpa, Oddity)>>,
}

impl Oddities {
    /// The allocation after so many others is odd.
    pub(crate) fn set_next(&self, others: usize, oddity: Oddity) {
        self.next.set(Some((self.allocations.get() + others, oddity)));
    }
}

/// Frames of a processor, of which one can be odd at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OddFrames<'a> {
    pub(crate) frames: Frames,
    pub(crate) oddities: &'a Oddities,
}

impl OddFrames<'_> {
    /// What is odd about the frame at `hpa`.
    fn oddity(&self, hpa: Hpa) -> Option<Oddity> {
        self.oddities.odd.get().filter(|(odd, _)| *odd == hpa).map(|(_, oddity)| oddity)
    }

    fn allocate_odd(&self, oddity: Oddity) -> Option<Hpa> {
        match oddity {
            Oddity::Elsewhere => {
                let hpa = self.frames.allocate(2)?;
                // SAFETY: the first of two frames that were allocated, of 4096 bytes.
                unsafe { self.frames.pointer(hpa)?.write_bytes(CONTENT, 4096) };
                Some(hpa)
            }
            Oddity::TooHigh => Some(Hpa::new(self.frames.allocate(1)?.get() | HIGH)),
        }
    }
}

// SAFETY: not the contract, where a frame is odd: the processor, which must refuse it, would find other memory there than the library. What
// the library reads and writes is memory of the pool that nobody else has, and what the processor finds is nobody's, too.
unsafe impl x86_virt::Frames for OddFrames<'_> {
    fn allocate(&self, count: usize) -> Option<Hpa> {
        let number = self.oddities.allocations.get();
        let oddity = self.oddities.next.get().filter(|(odd, _)| *odd == number).map(|(_, oddity)| oddity);
        let hpa = match oddity {
            Some(oddity) if count == 1 => {
                let hpa = self.allocate_odd(oddity)?;
                self.oddities.next.set(None);
                self.oddities.odd.set(Some((hpa, oddity)));
                hpa
            }
            _ => self.frames.allocate(count)?,
        };
        self.oddities.allocations.set(number + 1);
        if number == 0 {
            self.oddities.first.set(Some(hpa));
        }
        Some(hpa)
    }

    unsafe fn free(&self, hpa: Hpa, count: usize) {
        let (hpa, count) = match self.oddity(hpa) {
            None => (hpa, count),
            Some(oddity) => {
                self.oddities.odd.set(None);
                match oddity {
                    Oddity::Elsewhere => (hpa, 2),
                    Oddity::TooHigh => (Hpa::new(hpa.get() & !HIGH), count),
                }
            }
        };
        // SAFETY: the caller's promise, and the frames are those that the pool has given for it.
        unsafe { self.frames.free(hpa, count) };
    }

    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        self.frames.pointer(match self.oddity(hpa) {
            None => hpa,
            Some(Oddity::Elsewhere) => Hpa::new(hpa.get() + 0x1000),
            Some(Oddity::TooHigh) => Hpa::new(hpa.get() & !HIGH),
        })
    }
}
