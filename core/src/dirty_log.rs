//! A dirty log: what it is kept for, how, and what it has found.

use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::addr::{Gpa, PageSize};
use crate::map_error::MapError;
use crate::span::Span;

/// Pages that one word of a bitmap is for.
const WORD: u64 = 64;

/// How a space finds out which pages were written.
///
/// A later one costs a guest less. A log uses the last one that the processor has, unless it is [told](DirtyLog::method).
///
/// ```
/// use x86_virt_core::LogMethod;
///
/// assert!(LogMethod::WriteProtection < LogMethod::DirtyFlags);
/// assert_eq!(LogMethod::PageModificationLog.to_string(), "page-modification logging");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum LogMethod {
    /// Write access is taken away, and given back at the nested fault of the first write to each page.
    WriteProtection,
    /// The processor sets dirty flags in the tables, which are searched for them.
    ///
    /// Intel SDM vol. 3, section 31.3.5, "Accessed and Dirty Flags for EPT"; AMD APM vol. 2, section 15.25.5, "Nested Table
    /// Walk".
    DirtyFlags,
    /// The processor sets dirty flags, and writes the addresses of the pages to a buffer of the vCPU.
    ///
    /// Intel SDM vol. 3, section 31.3.6, "Page-Modification Logging".
    PageModificationLog,
}

impl LogMethod {
    /// The methods, the number of each being its index plus one.
    pub(crate) const ALL: [Self; 3] = [Self::WriteProtection, Self::DirtyFlags, Self::PageModificationLog];

    /// A number for the method, which is not 0.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::WriteProtection => 1,
            Self::DirtyFlags => 2,
            Self::PageModificationLog => 3,
        }
    }
}

impl fmt::Display for LogMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WriteProtection => "write protection",
            Self::DirtyFlags => "dirty flags",
            Self::PageModificationLog => "page-modification logging",
        })
    }
}

/// A log of the pages that are written: for which guest-physical addresses, and where it keeps one bit for each 4 KiB of them.
///
/// [`AddressSpace::start_dirty_log`](crate::AddressSpace::start_dirty_log) starts it, and has an example. The bitmap is the
/// log's until it is stopped: nobody else writes to it.
///
/// ```
/// use core::sync::atomic::AtomicU64;
/// use x86_virt_core::{DirtyLog, Gpa, PageSize};
///
/// const FRAME_BUFFER: core::ops::Range<Gpa> = Gpa::new(0xfd00_0000)..Gpa::new(0xfd80_0000);
/// static BITS: [AtomicU64; DirtyLog::words(&FRAME_BUFFER)] = [const { AtomicU64::new(0) }; DirtyLog::words(&FRAME_BUFFER)];
///
/// let log = DirtyLog::new(FRAME_BUFFER, &BITS);
/// assert_eq!(BITS.len(), 2048 / 64);
/// // It is enough to know which 2 MiB were written, so that no large page need be split.
/// let coarse = log.largest(PageSize::Size2M);
/// # let _ = coarse;
/// ```
#[derive(Clone, Copy)]
pub struct DirtyLog<'m> {
    start: Gpa,
    end: Gpa,
    bits: &'m [AtomicU64],
    largest: PageSize,
    method: Option<LogMethod>,
}

impl<'m> DirtyLog<'m> {
    /// A log for these addresses, in pages of 4 KiB, with at least [`words`](Self::words) words in `bits`.
    #[must_use]
    pub const fn new(gpa: Range<Gpa>, bits: &'m [AtomicU64]) -> Self {
        Self { start: gpa.start, end: gpa.end, bits, largest: PageSize::Size4K, method: None }
    }

    /// How many words a bitmap for the range has: one for each 64 pages of 4 KiB, or a part of these.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "in a constant; wrong only where no such bitmap fits in memory")]
    pub const fn words(gpa: &Range<Gpa>) -> usize {
        let pages = gpa.end.get().saturating_sub(gpa.start.get()).div_ceil(PageSize::Size4K.bytes());
        pages.div_ceil(WORD) as usize
    }

    /// The same with pages of up to `largest` left in one piece, each of which is written as a whole then. Larger ones are split
    /// when the log is started.
    #[must_use]
    pub const fn largest(self, largest: PageSize) -> Self {
        Self { largest, ..self }
    }

    /// The same with this method.
    #[must_use]
    pub const fn method(self, method: LogMethod) -> Self {
        Self { method: Some(method), ..self }
    }

    /// The addresses.
    #[must_use]
    pub const fn gpa(&self) -> Range<Gpa> {
        self.start..self.end
    }

    pub(crate) const fn largest_page(&self) -> PageSize {
        self.largest
    }

    pub(crate) const fn wanted_method(&self) -> Option<LogMethod> {
        self.method
    }

    /// How many words the bitmap has.
    pub(crate) const fn words_given(&self) -> usize {
        self.bits.len()
    }

    /// Whether bitmaps of so many words are large enough.
    pub(crate) fn check(&self, words: usize) -> Result<(), LogError> {
        let needed = Self::words(&self.gpa());
        if words < needed { Err(LogError::Bitmap { words, needed }) } else { Ok(()) }
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.bits.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// Takes note of the pages that the addresses touch, as far as the log is for them.
    pub(crate) fn mark(&self, start: Gpa, end: Gpa) {
        for (index, mask) in self.masks(start, end) {
            if let Some(word) = self.bits.get(index) {
                // Release: whoever takes the bit sees what was written to the page before.
                word.fetch_or(mask, Ordering::Release);
            }
        }
    }

    /// Moves what was taken note of to `found`, which is overwritten.
    pub(crate) fn take(&self, found: &mut [u64]) {
        for (word, found) in self.bits.iter().zip(found) {
            // Most words are 0, and to read them disturbs no other processor.
            *found = if word.load(Ordering::Relaxed) == 0 { 0 } else { word.swap(0, Ordering::AcqRel) };
        }
    }

    /// Adds a part of the addresses to `found`.
    pub(crate) fn add(&self, found: &mut [u64], part: Span) {
        for (index, mask) in self.masks(part.start(), part.end()) {
            if let Some(word) = found.get_mut(index) {
                *word |= mask;
            }
        }
    }

    /// The words and the bits in them of the pages that the addresses touch.
    fn masks(&self, start: Gpa, end: Gpa) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (start, end) = (start.max(self.start).get(), end.min(self.end).get());
        let page = PageSize::Size4K.bytes();
        let first = start.saturating_sub(self.start.get()) / page;
        let last = end.saturating_sub(self.start.get()).div_ceil(page);
        let last = if start < end { last } else { first };
        let words = first / WORD..if first < last { last.div_ceil(WORD) } else { first / WORD };
        words.map(move |word| {
            let (from, to) = (first.max(word * WORD) - word * WORD, last.min((word + 1) * WORD) - word * WORD);
            // There is at least one bit.
            let mask = (u64::MAX >> (WORD - (to - from))) << from;
            (usize::try_from(word).unwrap_or(usize::MAX), mask)
        })
    }
}

impl fmt::Debug for DirtyLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end, bits, largest, method } = self;
        f.debug_struct("DirtyLog")
            .field("gpa", &(*start..*end))
            .field("words", &bits.len())
            .field("largest", largest)
            .field("method", method)
            .finish()
    }
}

/// The pages that a log has found, as ranges in ascending order that do not touch each other.
///
/// From [`AddressSpace::collect_dirty`](crate::AddressSpace::collect_dirty).
#[derive(Clone, Debug)]
pub struct DirtyPages<'b> {
    start: Gpa,
    bits: &'b [u64],
    /// The number of the next page.
    next: u64,
}

impl<'b> DirtyPages<'b> {
    pub(crate) const fn new(start: Gpa, bits: &'b [u64]) -> Self {
        Self { start, bits, next: 0 }
    }

    /// How many pages of 4 KiB the log has found in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.bits.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The first page from `page` on whose bit, exclusive-or `flip`, is 1.
    fn page_from(&self, page: u64, flip: u64) -> Option<u64> {
        let first = usize::try_from(page / WORD).ok()?;
        // The bits before `page` in its word do not count.
        let mut mask = u64::MAX << (page % WORD);
        for (word, at) in self.bits.get(first..)?.iter().zip(page / WORD..) {
            let bits = (word ^ flip) & mask;
            if bits != 0 {
                return Some(at * WORD + u64::from(bits.trailing_zeros()));
            }
            mask = u64::MAX;
        }
        None
    }

    fn gpa(&self, page: u64) -> Gpa {
        Gpa::new(self.start.get() + page * PageSize::Size4K.bytes())
    }
}

impl Iterator for DirtyPages<'_> {
    type Item = Range<Gpa>;

    fn next(&mut self) -> Option<Range<Gpa>> {
        let first = self.page_from(self.next, 0)?;
        let all = u64::try_from(self.bits.len()).unwrap_or(u64::MAX) * WORD;
        let end = self.page_from(first, u64::MAX).unwrap_or(all);
        self.next = end;
        Some(self.gpa(first)..self.gpa(end))
    }
}

/// Why a dirty log cannot be started, or there is nothing to collect.
///
/// ```
/// use x86_virt_core::LogError;
///
/// let error = LogError::Bitmap { words: 1, needed: 2 };
/// assert_eq!(error.to_string(), "a bitmap of 1 words for a log that needs 2");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum LogError {
    /// The range cannot be, an entry in it is invalid, or there are no frames to split large pages.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The space has a log already: one at a time.
    #[error("the address space keeps a dirty log already")]
    AlreadyStarted,
    /// There is no log.
    #[error("the address space keeps no dirty log")]
    NotStarted,
    /// The bitmap has too few words.
    #[error("a bitmap of {words} words for a log that needs {needed}")]
    Bitmap {
        /// How many it has.
        words: usize,
        /// How many it should have.
        needed: usize,
    },
    /// The processor, or the format of the tables, lacks the method that was asked for.
    #[error("no dirty log by {method} on this processor")]
    Unsupported {
        /// What was asked for.
        method: LogMethod,
    },
}

#[cfg(test)]
mod tests;
