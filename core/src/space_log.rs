//! The dirty log of an address space.
//!
//! What is dirty is in the tables: the dirty flag of an entry, or, where the processor has none, its write access, which the log
//! takes away and gives back at a fault. The bitmap has what the tables do not: what the host wrote, what a mapping that is gone
//! had, and, with page-modification logging, where to look in the tables at all.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use spin::Mutex;

use crate::access::Access;
use crate::addr::{Gpa, PageSize};
use crate::dirty_log::{DirtyLog, DirtyPages, LogError, LogMethod};
use crate::edit::Edit;
use crate::exit::{NestedFault, NestedFaultCause};
use crate::format::{Entry, Format};
use crate::frame::Frames;
use crate::harvest::clear;
use crate::invalidation::Invalidation;
use crate::leaves::Update;
use crate::map_error::MapError;
use crate::plan::{Plan, invalid};
use crate::space::AddressSpace;
use crate::span::Span;
use crate::stock::{Needs, Stock};
use crate::table::{Node, Table};
use crate::tree::{Tree, Work};

/// Whether a space keeps a log, and which.
#[derive(Debug)]
pub(crate) struct Logging<'m> {
    /// [`LogMethod::number`], or 0 without a log.
    method: AtomicU8,
    /// Whether a log has ever taken write access away. Then a vCPU may have faulted for it, even if the log has been stopped since.
    has_protected: AtomicBool,
    /// There may be dirty flags that no vCPU has logged, so that all have to be looked at.
    has_unlogged: AtomicBool,
    /// A page may lie across an end of the range, so that one that is logged outside of it is of a page inside.
    may_straddle: AtomicBool,
    /// Locked for a copy only: with or without the lock of the space, and never the other way round.
    log: Mutex<Option<DirtyLog<'m>>>,
}

impl<'m> Logging<'m> {
    pub(crate) const fn none() -> Self {
        Self {
            method: AtomicU8::new(0),
            has_protected: AtomicBool::new(false),
            has_unlogged: AtomicBool::new(false),
            may_straddle: AtomicBool::new(false),
            log: Mutex::new(None),
        }
    }

    #[inline]
    fn method(&self) -> Option<LogMethod> {
        let number = self.method.load(Ordering::Acquire);
        LogMethod::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    fn log(&self) -> Option<DirtyLog<'m>> {
        self.method()?;
        *self.log.lock()
    }
}

impl<'m, F: Format, A: Frames> AddressSpace<'m, F, A> {
    /// Starts to log which pages of a range are written, by guests and by the host through [`write`](Self::write).
    ///
    /// Large pages in the range are split, as far as [the log](DirtyLog::largest) wants that, and those that are partly in it;
    /// what is not mapped is left out. The log starts with no page dirty: what vCPUs write before they have left the guest once may be missing.
    ///
    /// How it is kept is the library's affair: a vCPU of this library drains its page-modification log after each exit, and
    /// handles the faults of write protection, without returning from `run`. Which method it is says
    /// [`dirty_log_method`](Self::dirty_log_method).
    ///
    /// While a log is kept:
    ///
    /// - What is unmapped or remapped counts as dirty. A page that is mapped anew counts from the first write on, or earlier.
    /// - What the host writes otherwise, to the [`GuestRam`](crate::GuestRam) say, or a device does, is not noticed:
    ///   [`mark_dirty`](Self::mark_dirty) adds it.
    /// - With write protection, pages are reported as writable if they are so when the log has ended.
    /// - To merge pages is possible, and makes the log coarser.
    ///
    /// # Errors
    ///
    /// [`LogError`]; nothing is changed then.
    ///
    /// ```
    /// use core::sync::atomic::AtomicU64;
    /// use x86_virt_core::{AddressSpace, DirtyLog, Format, Frames, Gpa, LogError};
    ///
    /// /// Sends the guest's memory elsewhere while it runs, and what it has written meanwhile again, until little is left.
    /// fn migrate<'m, F: Format, A: Frames>(
    ///     space: &AddressSpace<'m, F, A>,
    ///     range: core::ops::Range<Gpa>,
    ///     bits: &'m [AtomicU64],
    ///     found: &mut [u64],
    ///     send: impl Fn(core::ops::Range<Gpa>),
    ///     make_vcpus_leave_the_guest: impl Fn(),
    ///     stop_vcpus: impl Fn(),
    /// ) -> Result<(), LogError> {
    ///     let started = space.start_dirty_log(DirtyLog::new(range.clone(), bits))?;
    ///     make_vcpus_leave_the_guest();
    ///     started.at_next_entry();
    ///     send(range);
    ///     loop {
    ///         let (pages, cleared) = space.collect_dirty(found)?;
    ///         // Before the pages are read: a vCPU that is inside the guest may write them and not be noticed.
    ///         make_vcpus_leave_the_guest();
    ///         cleared.at_next_entry();
    ///         let is_little = pages.total() < 1000;
    ///         pages.for_each(&send);
    ///         if is_little {
    ///             break;
    ///         }
    ///     }
    ///     stop_vcpus();
    ///     let (pages, cleared) = space.collect_dirty(found)?;
    ///     cleared.at_next_entry();
    ///     pages.for_each(&send);
    ///     space.stop_dirty_log()
    /// }
    /// ```
    pub fn start_dirty_log(&self, log: DirtyLog<'m>) -> Result<Invalidation, LogError> {
        let mut edit = self.edit_once();
        let tree = edit.tree();
        let span = tree.span(&log.gpa())?;
        log.check(log.words_given())?;
        let best = self.format().log_method();
        let method = log.wanted_method().unwrap_or(best);
        if method > best || method == LogMethod::WriteProtection && !self.format().can_write_protect() {
            return Err(LogError::Unsupported { method });
        }
        if self.logging.method().is_some() {
            return Err(LogError::AlreadyStarted);
        }
        tree.split_present(edit.stock(), span, log.largest_page())?;
        log.clear();
        if method == LogMethod::WriteProtection {
            self.logging.has_protected.store(true, Ordering::Release);
        }
        tree.take_dirty(span, method, &mut |_| {});
        *self.logging.log.lock() = Some(log);
        // A vCPU that is inside the guest now sets dirty flags that it does not log.
        self.logging.has_unlogged.store(true, Ordering::Relaxed);
        self.logging.may_straddle.store(false, Ordering::Relaxed);
        self.logging.method.store(method.number(), Ordering::Release);
        Ok(self.invalidation())
    }

    /// The pages that were written since the log was started, or since this was last called. The flags of these are cleared.
    ///
    /// `bits` is overwritten; it has at least [as many words](DirtyLog::words) as the log's bitmap needs.
    ///
    /// No page that was written is lost, but what a vCPU does that is inside the guest may be found later: with
    /// page-modification logging, when it has left; and what it writes to a page that is found now, before it has left, may not
    /// be found again. So make vCPUs leave the guest *before* the pages are read, as [`Invalidation`] says. When no vCPU is
    /// inside the guest, what is found is exact.
    ///
    /// # Errors
    ///
    /// [`LogError::NotStarted`], or [`LogError::Bitmap`]; nothing is changed then.
    pub fn collect_dirty<'b>(&self, bits: &'b mut [u64]) -> Result<(DirtyPages<'b>, Invalidation), LogError> {
        let edit = self.edit_once();
        let log = self.logging.log().ok_or(LogError::NotStarted)?;
        let method = self.logging.method().ok_or(LogError::NotStarted)?;
        log.check(bits.len())?;
        let bits = bits.get_mut(..DirtyLog::words(&log.gpa())).unwrap_or_default();
        log.take(bits);
        let tree = edit.tree();
        let has_bits = method == LogMethod::PageModificationLog
            // Acquire: what the vCPU did that has set it.
            && !self.logging.has_unlogged.swap(false, Ordering::AcqRel);
        let is_changed = if has_bits {
            tree.take_found(&log, bits)
        } else {
            tree.take_dirty(Span::new(&log.gpa()), method, &mut |part| log.add(bits, part))
        };
        let pages = DirtyPages::new(log.gpa().start, bits);
        Ok((pages, self.invalidation_if(is_changed)))
    }

    /// Ends the log. What has not been collected is forgotten.
    ///
    /// # Errors
    ///
    /// [`LogError::NotStarted`].
    pub fn stop_dirty_log(&self) -> Result<(), LogError> {
        let edit = self.edit_once();
        let method = self.logging.method().ok_or(LogError::NotStarted)?;
        let log = self.logging.log().ok_or(LogError::NotStarted)?;
        self.logging.method.store(0, Ordering::Release);
        *self.logging.log.lock() = None;
        if method == LogMethod::WriteProtection {
            let (tree, mark) = (edit.tree(), self.format().write_mark());
            // A page that lay across an end of the range may have been split since.
            let span = Span::new(&log.gpa()).align(PageSize::Size1G);
            tree.leaves_with(span, mark, &mut |_, _, slot| {
                let _ =
                    slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |entry| allow_write(tree.format, entry));
            });
        }
        // vCPUs stop to log at their next entry. Until then nothing is wrong.
        self.invalidation().at_next_entry();
        Ok(())
    }

    /// Adds pages to the log, all that the addresses touch. Without a log, and outside of its range, nothing happens.
    pub fn mark_dirty(&self, gpa: Range<Gpa>) {
        if let Some(log) = self.logging.log() {
            log.mark(gpa.start, gpa.end);
        }
    }

    /// How the log is kept; `None` if there is none.
    #[inline]
    #[must_use]
    pub fn dirty_log_method(&self) -> Option<LogMethod> {
        self.logging.method()
    }

    /// Allows a write that faulted because the log had taken the access away, and says whether it was so: then the guest goes on
    /// where it was, and makes the access again.
    ///
    /// For whoever runs the guest; the vCPUs of this library do it themselves.
    #[must_use = "a fault that is not the log's is the caller's"]
    pub fn log_fault(&self, fault: &NestedFault) -> bool {
        if !self.logging.has_protected.load(Ordering::Acquire)
            || fault.cause != NestedFaultCause::Permission
            || !fault.access.contains(Access::WRITE)
        {
            return false;
        }
        let edit = self.edit_once();
        let tree = edit.tree();
        let Some((slot, size)) = tree.leaf_of(fault.gpa) else { return false };
        let entry = slot.load(Ordering::Relaxed);
        // With write access, where it is the log that has taken it away.
        let Entry::Leaf { access, .. } = tree.format.classify(entry, size.level()) else { return false };
        if !access.contains(fault.access) {
            return false;
        }
        // If there is no mark, another processor was faster, or the log has been stopped.
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |entry| allow_write(tree.format, entry));
        true
    }

    /// Takes note of pages that a processor has logged by page-modification logging.
    ///
    /// For whoever runs the guest; the vCPUs of this library do it themselves.
    pub fn log_pages(&self, pages: impl Iterator<Item = Gpa>) {
        let Some(log) = self.logging.log() else { return };
        let (range, mut has_others) = (log.gpa(), false);
        for page in pages {
            // A byte is enough.
            log.mark(page, Gpa::new(page.get().saturating_add(1)));
            has_others |= !range.contains(&page);
        }
        if has_others && self.logging.may_straddle.load(Ordering::Relaxed) {
            self.log_missed();
        }
    }

    /// Takes note that a vCPU was inside the guest with page-modification logging off, so that dirty flags are to be looked for
    /// everywhere.
    ///
    /// For whoever runs the guest; the vCPUs of this library do it themselves.
    pub fn log_missed(&self) {
        // Release: what this processor has done before.
        self.logging.has_unlogged.store(true, Ordering::Release);
    }

    /// Takes note of a change of the mapping of `span`, by whoever has locked the space.
    #[inline]
    pub(crate) fn log_change(&self, span: Span, work: &Work) {
        if let Some(method) = self.logging.method() {
            self.log_change_by(method, span, work);
        }
    }

    /// Takes note of pages that were made, and maybe split, with types of their own, by whoever has locked the space.
    pub(crate) fn log_typed(&self) {
        if self.logging.method().is_some() {
            self.logging.may_straddle.store(true, Ordering::Relaxed);
            self.log_missed();
        }
    }

    #[cold]
    fn log_change_by(&self, method: LogMethod, span: Span, work: &Work) {
        let is_lost = match work {
            Work::Unmap | Work::Update(Update::Address { .. }) => true,
            // Maybe the write access by which the page is known to be dirty.
            Work::Update(Update::Bits { .. }) => method == LogMethod::WriteProtection,
            Work::Map(_) | Work::Update(Update::Size(_)) | Work::Merge => false,
        };
        if matches!(work, Work::Map(_) | Work::Merge) {
            self.logging.may_straddle.store(true, Ordering::Relaxed);
        }
        if is_lost {
            self.mark_dirty(span.start()..span.end());
        }
        // Pages that were split inherit the flag of the large one, and a merged page those of its parts, none of which is logged.
        self.log_missed();
    }

    /// Moves the generation on if something was changed.
    pub(crate) fn invalidation_if(&self, is_changed: bool) -> Invalidation {
        if is_changed { self.invalidation() } else { Invalidation::new(self.generation()) }
    }
}

/// The entry with the write access that the log has taken away, or `None` if it has not.
fn allow_write<F: Format>(format: &F, entry: u64) -> Option<u64> {
    let mark = format.write_mark();
    (entry & mark != 0).then_some(entry & !mark | format.write_mask())
}

impl<'s, F: Format, A: Frames> Tree<'s, F, A> {
    /// How many tables [`split_present`](Self::split_present) takes.
    pub(crate) fn split_needs(&self, span: Span, size: PageSize) -> Result<Needs, MapError> {
        let mut plan = Plan::new(self.format, self.reach);
        plan.split_present(self.root, span, size.level())?;
        Ok(plan.needs)
    }

    /// Splits the pages in `span` that are larger than `size`, and those that are partly in it, or changes nothing.
    fn split_present(&self, stock: &mut Stock, span: Span, size: PageSize) -> Result<(), MapError> {
        let needs = self.split_needs(span, size)?;
        stock.reserve(&needs, self.reach, self.rules())?;
        let mut edit = Edit { format: self.format, reach: self.reach, stock };
        edit.update(self.root, span, &Update::Size(size));
        Ok(())
    }

    /// Makes the pages in `span` that are dirty clean, and says whether there were any; calls `visit` with each, as far as it is
    /// in the span.
    fn take_dirty(&self, span: Span, method: LogMethod, visit: &mut impl FnMut(Span)) -> bool {
        let (format, mut is_changed) = (self.format, false);
        if method == LogMethod::WriteProtection {
            let write = format.write_mask();
            self.leaves_with(span, write, &mut |part, _, slot| {
                // Processors change no more than the flags of an entry.
                slot.fetch_or(format.write_mark(), Ordering::Relaxed);
                clear(slot, write);
                is_changed = true;
                visit(part);
            });
        } else {
            let dirty = format.dirty_mask();
            self.leaves_with(span, dirty, &mut |part, _, slot| {
                clear(slot, dirty);
                is_changed = true;
                visit(part);
            });
        }
        is_changed
    }

    /// The same for the pages that are in `found`, with their dirty flags, to which the rest of those is added that are larger
    /// than 4 KiB.
    fn take_found(&self, log: &DirtyLog<'_>, found: &mut [u64]) -> bool {
        let (dirty, start) = (self.format.dirty_mask(), log.gpa().start.get());
        let mut is_changed = false;
        for at in 0..found.len() {
            let mut left = found.get(at).copied().unwrap_or(0);
            while left != 0 {
                let page = u64::try_from(at).unwrap_or(0) * 64 + u64::from(left.trailing_zeros());
                left &= left - 1;
                let gpa = Gpa::new(start + page * PageSize::Size4K.bytes());
                let Some((slot, size)) = self.leaf_of(gpa) else { continue };
                if slot.load(Ordering::Relaxed) & dirty != 0 {
                    clear(slot, dirty);
                    is_changed = true;
                    let whole = gpa.align_down(size);
                    log.add(found, Span::new(&(whole..Gpa::new(whole.get() + size.bytes()))));
                }
            }
        }
        is_changed
    }
}

impl<'s, F: Format, A: Frames> Plan<'s, F, A> {
    /// Plans to split the pages of `span`, which is inside what `table` covers, that are of a higher level than `leaf_level`, and
    /// those at the ends that are partly in it.
    fn split_present(&mut self, table: Table<'s>, span: Span, leaf_level: u8) -> Result<(), MapError> {
        let level = table.level();
        if level == 1 {
            return Ok(());
        }
        for piece in span.pieces(level) {
            match table.node(self.format, self.reach, piece.index(level)) {
                Node::Absent => {}
                Node::Leaf(_) if level <= leaf_level && piece.is_whole(level) => {}
                Node::Leaf(_) => self.new_table(level - 1, piece, leaf_level.min(level - 1)),
                Node::Table(next, _) => self.split_present(next, piece, leaf_level)?,
                Node::Invalid(entry) => return Err(invalid(piece, level, entry)),
            }
        }
        Ok(())
    }
}
