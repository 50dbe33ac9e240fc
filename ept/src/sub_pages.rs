//! The sub-page-permission table of a guest: which parts of its pages can be written.
#![expect(unsafe_code, reason = "owns tables that a processor walks")]

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Mutex;
use x86_virt_core::{Format as _, Frames, Gpa, Hpa, Invalidation, OutOfFrames, PageSize};

use crate::format::EptFormat;
use crate::spp::{SppEntry, SppVector, Spptp};
use crate::unsupported::EptUnsupported;

mod error;

pub use error::{SppFault, SubPageError};

/// Levels of tables: the entries of those of level 1 are vectors.
const LEVELS: u8 = 4;
/// Bits of a guest-physical address that has a vector.
const WIDTH: u8 = 48;

type Entries = [AtomicU64; 512];

/// The sub-page-permission table of a guest: for each of its pages which parts of 128 bytes can be written although the page cannot.
///
/// It counts for pages with [`PageAttributes::SUB_PAGE_WRITE`](x86_virt_core::PageAttributes::SUB_PAGE_WRITE) and without write access, in
/// all address spaces of a virtual processor that has it. Where a write meets no vector, because a table above it is missing, the run
/// ends with an SPP miss; where the vector forbids the write, with a nested fault as for any page that cannot be written.
///
/// All methods take `&self` and lock the table, by spinning, for as long as they run. Each change is planned first, and made only if it
/// can be made in full. Frames are given back when the table is dropped.
///
/// # Soundness
///
/// The tables are in frames that this owns, and to which no entry of nested page tables leads, since `Frames` promises that they are not
/// guest memory. A processor walks them only while a virtual processor runs, which borrows this meanwhile. Safe code may allow any
/// write: what a page that was mapped may be used for includes what `protect` can allow.
///
/// Intel SDM vol. 3, section 31.3.4, "Sub-Page Write Permissions".
///
/// ```
/// use x86_virt_core::{Format as _, Frames, Gpa, Invalidation};
/// use x86_virt_ept::{SppVector, SubPage, SubPageError, SubPageTable};
///
/// /// Lets the guest write the 128 bytes at `gpa`, and nothing else of the page.
/// fn allow<A: Frames>(table: &SubPageTable<A>, gpa: Gpa) -> Result<Invalidation, SubPageError> {
///     let page = Gpa::new(gpa.get() & !0xfff);
///     let vector = SppVector::NONE.with_writable(SubPage::of(gpa));
///     table.set(page..Gpa::new(page.get() + 0x1000), vector)
/// }
/// ```
#[derive(Debug)]
pub struct SubPageTable<A: Frames> {
    frames: A,
    address_width: u8,
    /// A table of level 4.
    ///
    /// Invariants: it, and each table that a valid entry of level 2 or more refers to, is a frame from `frames` that this owns, with
    /// 512 entries, and that no other entry refers to. They are freed on drop only.
    root: Hpa,
    generation: AtomicU64,
    /// How many frames there are; the lock of the tables.
    tables: Mutex<usize>,
}

/// A table of a level.
#[derive(Clone, Copy, Debug)]
struct Table<'t> {
    entries: &'t Entries,
    level: u8,
}

impl Table<'_> {
    /// The entry that translates `gpa`.
    fn slot(&self, gpa: u64) -> &AtomicU64 {
        let index = SppEntry::index(Gpa::new(gpa), self.level).unwrap_or(0);
        // SAFETY: an index has nine bits, and there are 512 entries.
        unsafe { self.entries.get_unchecked(usize::from(index)) }
    }
}

/// Frames that are all zero and in no table yet, linked by their first entries.
#[derive(Debug)]
struct Fresh {
    /// Meaningless while `count` is 0.
    head: Hpa,
    count: usize,
}

impl<A: Frames> SubPageTable<A> {
    /// A table in which nothing is: each write that it is asked about is an SPP miss.
    ///
    /// # Errors
    ///
    /// [`SubPageError::Unsupported`] if entries of `format` have no sub-page write permissions, and [`SubPageError::OutOfFrames`] or
    /// [`SubPageError::BadFrame`] if there is no frame for the root.
    pub fn new(format: &EptFormat, frames: A) -> Result<Self, SubPageError> {
        if !format.controls().sub_page_write() {
            return Err(SubPageError::Unsupported(EptUnsupported::SubPageWrite));
        }
        let address_width = format.address_width();
        let root = allocate(&frames, address_width, None)?;
        Ok(Self { frames, address_width, root, generation: AtomicU64::new(1), tables: Mutex::new(1) })
    }

    /// Gives each 4 KiB page of the range `vector`.
    ///
    /// # Errors
    ///
    /// [`SubPageError`]; nothing is changed then.
    pub fn set(&self, pages: Range<Gpa>, vector: SppVector) -> Result<Invalidation, SubPageError> {
        let bits = vector.reserved_bits();
        if bits != 0 {
            return Err(SubPageError::ReservedBits { bits });
        }
        let span = span(&pages)?;
        let mut tables = self.tables.lock();
        let count = self.count(self.root(), span.clone())?;
        let mut fresh = self.reserve(count)?;
        self.write(self.root(), span, vector, &mut fresh);
        *tables += count;
        // The lock is held, so nobody else adds.
        let generation = self.generation.load(Ordering::Relaxed) + 1;
        // Release: pairs with `generation`.
        self.generation.store(generation, Ordering::Release);
        Ok(Invalidation::new(generation))
    }

    /// How many frames [`set`](Self::set) would take for the range.
    ///
    /// # Errors
    ///
    /// [`SubPageError`], if it would be refused for another reason than a lack of frames.
    pub fn frames_needed(&self, pages: Range<Gpa>) -> Result<usize, SubPageError> {
        let span = span(&pages)?;
        let _lock = self.tables.lock();
        self.count(self.root(), span)
    }

    /// What a processor finds that is to write to `gpa`: the vector of the page, or why there is none.
    ///
    /// # Errors
    ///
    /// [`SppFault`], as the run would end.
    pub fn lookup(&self, gpa: Gpa) -> Result<SppVector, SppFault> {
        let _lock = self.tables.lock();
        let mut table = self.root();
        if gpa.get() >> WIDTH != 0 {
            return Err(SppFault::Miss { gpa, level: LEVELS });
        }
        while table.level > 1 {
            let (level, entry) = (table.level, SppEntry::from_bits(table.slot(gpa.get()).load(Ordering::Relaxed)));
            if !entry.valid() {
                return Err(SppFault::Miss { gpa, level });
            }
            table =
                self.below(table, entry).ok_or(SppFault::Misconfiguration { gpa, level, entry: entry.into_bits() })?;
        }
        let vector = SppVector::from_bits(table.slot(gpa.get()).load(Ordering::Relaxed));
        if vector.reserved_bits() == 0 {
            Ok(vector)
        } else {
            Err(SppFault::Misconfiguration { gpa, level: 1, entry: vector.into_bits() })
        }
    }

    /// The pointer to the root.
    #[must_use]
    pub const fn pointer(&self) -> Spptp {
        Spptp::new().with_hpa(self.root)
    }

    /// A number that grows with each change. It starts at 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        // Acquire: who sees the number, and then invalidates, sees the entries that were written before.
        self.generation.load(Ordering::Acquire)
    }

    /// How many frames the table holds.
    pub fn frames_in_use(&self) -> usize {
        *self.tables.lock()
    }

    fn root(&self) -> Table<'_> {
        // SAFETY: the invariant of `root`.
        unsafe { self.table(self.root, LEVELS) }
    }

    /// The table of `level` at `hpa`.
    ///
    /// # Safety
    ///
    /// It is one of those in the invariant of `root`, or a frame that was just allocated and has 512 entries.
    unsafe fn table(&self, hpa: Hpa, level: u8) -> Table<'_> {
        let pointer = self.frames.pointer(hpa).expect("contract of `Frames`: an allocated frame has a pointer");
        // SAFETY: `Frames` promises that the 4096 bytes are valid until the frame is freed, which `self` owns (the caller's promise);
        // the pointer is a multiple of 4096. Atomics may be shared with processors.
        let entries = unsafe { pointer.cast::<Entries>().as_ref() };
        Table { entries, level }
    }

    /// The table that `entry`, just read from `table`, of level 2 or more, refers to, if it is valid and has no reserved bit.
    fn below(&self, table: Table<'_>, entry: SppEntry) -> Option<Table<'_>> {
        if !entry.valid() || entry.reserved_bits(self.address_width) != 0 {
            return None;
        }
        // SAFETY: the invariant of `root`.
        Some(unsafe { self.table(entry.hpa(), table.level - 1) })
    }

    /// How many tables are missing for the span, which is inside what `table` covers.
    fn count(&self, table: Table<'_>, span: Range<u64>) -> Result<usize, SubPageError> {
        let level = table.level;
        if level == 1 {
            return Ok(0);
        }
        let mut count = 0;
        for piece in pieces(span, level) {
            let entry = SppEntry::from_bits(table.slot(piece.start).load(Ordering::Relaxed));
            count += match self.below(table, entry) {
                Some(next) => self.count(next, piece)?,
                None if entry.valid() => {
                    let (gpa, entry) = (Gpa::new(piece.start), entry.into_bits());
                    return Err(SubPageError::InvalidEntry { gpa, level, entry });
                }
                // The table that is missing here, and one for each entry of it and of those below, down to level 1.
                None => (2..=level).map(|level| touched(&piece, level)).sum(),
            };
        }
        Ok(count)
    }

    /// Takes `count` frames from the allocator, or none.
    fn reserve(&self, count: usize) -> Result<Fresh, SubPageError> {
        let mut fresh = Fresh { head: Hpa::new(0), count: 0 };
        while fresh.count < count {
            let last = (fresh.count > 0).then_some(fresh.head);
            match allocate(&self.frames, self.address_width, Some((self.root, last))) {
                Ok(hpa) => {
                    // SAFETY: it was just allocated, and `allocate` has filled it.
                    let table = unsafe { self.table(hpa, 1) };
                    table.slot(0).store(fresh.head.get(), Ordering::Relaxed);
                    fresh = Fresh { head: hpa, count: fresh.count + 1 };
                }
                Err(error) => {
                    while let Some(hpa) = self.take(&mut fresh) {
                        // SAFETY: allocated above, and in no table.
                        unsafe { self.frames.free(hpa, 1) };
                    }
                    return Err(error);
                }
            }
        }
        Ok(fresh)
    }

    /// A frame of the list, with entries that are all zero.
    fn take(&self, fresh: &mut Fresh) -> Option<Hpa> {
        fresh.count = fresh.count.checked_sub(1)?;
        let hpa = fresh.head;
        // SAFETY: a frame of the list was allocated, and filled.
        let table = unsafe { self.table(hpa, 1) };
        fresh.head = Hpa::new(table.slot(0).swap(0, Ordering::Relaxed));
        Some(hpa)
    }

    /// Writes the vectors of the span, which is inside what `table` covers, with tables from `fresh`, of which there are enough.
    fn write(&self, table: Table<'_>, span: Range<u64>, vector: SppVector, fresh: &mut Fresh) {
        for piece in pieces(span, table.level) {
            let slot = table.slot(piece.start);
            if table.level == 1 {
                slot.store(vector.into_bits(), Ordering::Relaxed);
                continue;
            }
            if let Some(next) = self.below(table, SppEntry::from_bits(slot.load(Ordering::Relaxed))) {
                self.write(next, piece, vector, fresh);
                continue;
            }
            let hpa = self.take(fresh).expect("as many frames were reserved as were counted");
            // SAFETY: it was allocated for this, and is referred to below.
            let next = unsafe { self.table(hpa, table.level - 1) };
            self.write(next, piece, vector, fresh);
            // Release: who sees the entry sees the table.
            slot.store(SppEntry::new().with_valid(true).with_hpa(hpa).into_bits(), Ordering::Release);
        }
    }

    /// Frees the tables below `table`.
    ///
    /// # Safety
    ///
    /// Nothing uses them any more.
    unsafe fn free_below(&self, table: Table<'_>) {
        if table.level == 1 {
            return;
        }
        for slot in table.entries {
            let entry = SppEntry::from_bits(slot.load(Ordering::Relaxed));
            if let Some(next) = self.below(table, entry) {
                // SAFETY: the caller's promise.
                unsafe { self.free_below(next) };
                // SAFETY: the invariant of `root`: allocated, and referred to by one entry, so it is freed once.
                unsafe { self.frames.free(entry.hpa(), 1) };
            }
        }
    }
}

impl<A: Frames> Drop for SubPageTable<A> {
    fn drop(&mut self) {
        // SAFETY: `&mut self`: no virtual processor borrows the table, so no processor walks it.
        unsafe { self.free_below(self.root()) };
        // SAFETY: as above; allocated in `new`.
        unsafe { self.frames.free(self.root, 1) };
    }
}

/// A frame filled with zeros that can be a table: one that fits in an entry, and that is neither the root nor the last one.
fn allocate<A: Frames>(frames: &A, width: u8, known: Option<(Hpa, Option<Hpa>)>) -> Result<Hpa, SubPageError> {
    let hpa = frames.allocate(1).ok_or(OutOfFrames { count: 1 })?;
    if known.is_some_and(|(root, last)| hpa == root || last == Some(hpa)) {
        // The allocator does not keep its contract. The frame is in use: it is not given back.
        return Err(SubPageError::BadFrame { hpa });
    }
    let pointer = frames.pointer(hpa).filter(|_| hpa.is_aligned(PageSize::Size4K) && hpa.get() >> width == 0);
    let Some(pointer) = pointer else {
        // SAFETY: just allocated, and used by nobody.
        unsafe { frames.free(hpa, 1) };
        return Err(SubPageError::BadFrame { hpa });
    };
    // SAFETY: `Frames` promises that the frame is valid for writes, and ours.
    unsafe { pointer.write_bytes(0, 4096) };
    Ok(hpa)
}

/// The range, if it is one of pages that can have vectors.
fn span(pages: &Range<Gpa>) -> Result<Range<u64>, SubPageError> {
    let (start, end) = (pages.start, pages.end);
    if let Some(gpa) = [start, end].into_iter().find(|gpa| !gpa.is_aligned(PageSize::Size4K)) {
        return Err(SubPageError::MisalignedGuest { gpa });
    }
    if start >= end {
        return Err(SubPageError::EmptyRange { start, end });
    }
    if end.get() > 1 << WIDTH {
        return Err(SubPageError::BeyondWidth { end });
    }
    Ok(start.get()..end.get())
}

/// The binary logarithm of the bytes that an entry of `level` covers.
fn shift(level: u8) -> u32 {
    3 + 9 * u32::from(level)
}

/// How many entries of `level` the span, which is not empty, touches.
fn touched(span: &Range<u64>, level: u8) -> usize {
    let entries = ((span.end - 1) >> shift(level)) - (span.start >> shift(level)) + 1;
    usize::try_from(entries).unwrap_or(usize::MAX)
}

/// The parts of the span that the entries of `level` cover one by one.
fn pieces(span: Range<u64>, level: u8) -> impl Iterator<Item = Range<u64>> {
    let mut start = span.start;
    core::iter::from_fn(move || {
        let piece = start..span.end.min(((start >> shift(level)) + 1) << shift(level));
        start = piece.end;
        (piece.start < piece.end).then_some(piece)
    })
}

#[cfg(test)]
mod tests;
