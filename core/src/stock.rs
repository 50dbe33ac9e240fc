//! The frames of an address space that are in no tree, and the count of those that are.

use core::sync::atomic::Ordering;

use crate::addr::{Hpa, PageSize};
use crate::format::Format;
use crate::frame::{Frames, OutOfFrames, Reach};
use crate::map_error::MapError;
use crate::table::{Blank, Table};

/// Levels of tables that can be spare: all but the root's, which is 5 at most.
const SPARE_LEVELS: usize = 4;

/// Bits 51:12, where frames have their address.
const LINK: u64 = 0x000f_ffff_ffff_f000;

/// How many tables of each level an operation will take; index 0 is level 1.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Needs([usize; SPARE_LEVELS]);

impl Needs {
    pub(crate) fn add(&mut self, level: u8, count: usize) {
        if let Some(need) = self.0.get_mut(usize::from(level) - 1) {
            *need += count;
        }
    }

    /// Takes back what was added.
    pub(crate) fn remove(&mut self, level: u8, count: usize) {
        if let Some(need) = self.0.get_mut(usize::from(level) - 1) {
            *need = need.saturating_sub(count);
        }
    }

    fn is_none(&self) -> bool {
        self.0 == [0; SPARE_LEVELS]
    }
}

/// Frames that are linked through their own first entries.
///
/// A link is a multiple of 4096 with the upper bits of an absent entry, so a processor that still walks the frame takes it for an
/// entry that maps nothing (contract of [`Format`](crate::Format)).
#[derive(Clone, Copy, Default, Debug)]
struct List {
    /// Meaningless while `count` is 0.
    head: Hpa,
    count: usize,
}

impl List {
    /// The frame that would be taken first.
    fn first(&self) -> Option<Hpa> {
        (self.count > 0).then_some(self.head)
    }

    #[inline]
    fn push(&mut self, table: Table<'_>, absent: u64) {
        table.slot(0).store(self.head.get() | absent, Ordering::Relaxed);
        self.head = table.hpa();
        self.count += 1;
    }

    /// This list, and the tables that these entries of a table refer to, of which some may refer to none.
    #[cold]
    #[inline(never)]
    fn with<'s, F: Format, A: Frames>(
        mut self,
        format: &F,
        reach: Reach<'s, A>,
        (table, entries): (Table<'s>, [u64; 4]),
        absent: u64,
    ) -> Self {
        for entry in entries {
            let below = table.follow(format, reach, entry);
            if let Some(below) = below.or_else(|| table.below_entry(format, reach, entry)) {
                self.push(below, absent);
            }
        }
        self
    }

    /// Takes a frame, to be a table of `level`.
    ///
    /// # Safety
    ///
    /// The list is of frames from `frames` that the caller, an address space, owns for `'s`.
    #[expect(unsafe_code, reason = "reaches frames through the allocator's pointer")]
    unsafe fn pop<'s, A: Frames>(&mut self, reach: Reach<'s, A>, level: u8) -> Option<Table<'s>> {
        self.count = self.count.checked_sub(1)?;
        // SAFETY: the caller promises that the frame is owned. `Stock` hands it out to be written before it is linked, or frees it.
        let table = unsafe { Table::new(reach, self.head, level) };
        // Bits 11 to 0 are no part of the link: a processor may have been about to set accessed and dirty flags there.
        self.head = Hpa::new(table.slot(0).load(Ordering::Relaxed) & LINK);
        Some(table)
    }

    /// Gives all but `keep` of the frames back to their allocator, and says how many those were.
    ///
    /// # Safety
    ///
    /// As for [`pop`](Self::pop); besides, no processor walks the frames, which were allocated one by one.
    #[expect(unsafe_code, reason = "frees frames")]
    unsafe fn free<A: Frames>(&mut self, keep: usize, reach: Reach<'_, A>) -> usize {
        let mut freed = 0;
        while self.count > keep {
            // SAFETY: the caller's promise.
            let Some(table) = (unsafe { self.pop(reach, 1) }) else { break };
            // SAFETY: the caller's promise; it is in the list no more.
            unsafe { reach.frames().free(table.hpa(), 1) };
            freed += 1;
        }
        freed
    }
}

/// Frames in the order in which they came: tables are then filled in the order of an allocator that goes up through memory, which
/// is what processors expect when they fetch lines ahead.
#[derive(Default, Debug)]
struct Queue<'s> {
    /// The link of the last one is not written yet.
    frames: List,
    last: Option<Table<'s>>,
}

impl<'s> Queue<'s> {
    /// The frame that came last.
    fn last(&self) -> Option<Hpa> {
        self.last.map(Table::hpa)
    }

    /// Appends a frame, which no processor has seen.
    #[inline]
    fn append(&mut self, table: Table<'s>) {
        match self.last.replace(table) {
            Some(last) => last.slot(0).store(table.hpa().get(), Ordering::Relaxed),
            None => self.frames.head = table.hpa(),
        }
        self.frames.count += 1;
    }

    /// These frames, and then the others.
    fn and(self, others: List) -> List {
        let Some(last) = self.last else { return others };
        last.slot(0).store(others.head.get(), Ordering::Relaxed);
        List { count: self.frames.count + others.count, ..self.frames }
    }
}

/// The spare frames of an address space.
///
/// A processor in the guest may hold, in its paging-structure caches, a pointer to a table that was detached, and go on
/// walking it as a table of its level. So a detached frame is used again only as a table of the *same level* of the same
/// space: whatever such a processor finds there is then an entry of that level that the space wrote, and leads to memory
/// that the space maps. At another level it would not be so: an entry that refers to a table has the form of a page one level
/// down, and would lay the tables open to the guest.
///
/// Invariants: the frames of all lists are owned by the space, from its allocator, and in no tree. Those of `spare` were
/// tables of their level; those of `fresh` were never seen by a processor, and there are none between two changes.
///
/// Intel SDM vol. 3, section 31.4.1, "Information That May Be Cached"; AMD APM vol. 2, section 5.5, "Translation-Lookaside
/// Buffer (TLB)".
#[derive(Default, Debug)]
pub(crate) struct Stock {
    spare: [List; SPARE_LEVELS],
    fresh: List,
    tables: usize,
    /// What [`Format::absent`](crate::Format::absent) says.
    absent: u64,
}

impl Stock {
    /// A stock for a space that has a root, and nothing else.
    pub(crate) fn with_root(absent: u64) -> Self {
        Self { tables: 1, absent, ..Self::default() }
    }

    /// How many tables are in the tree, the root included.
    pub(crate) const fn tables(&self) -> usize {
        self.tables
    }

    /// How many frames are in no tree.
    pub(crate) fn spare(&self) -> usize {
        self.spare.iter().map(|list| list.count).sum::<usize>() + self.fresh.count
    }

    /// How many frames of an allocator `needs` would take.
    pub(crate) fn missing(&self, needs: &Needs) -> usize {
        needs.0.iter().zip(&self.spare).map(|(need, list)| need.saturating_sub(list.count)).sum()
    }

    /// Makes sure that `needs` can be taken, or changes nothing.
    pub(crate) fn reserve<A: Frames>(
        &mut self,
        needs: &Needs,
        reach: Reach<'_, A>,
        rules: FrameRules,
    ) -> Result<(), MapError> {
        if needs.is_none() {
            return Ok(());
        }
        self.prepare(self.missing(needs), reach, rules)
    }

    /// A frame for a table of level 1, if there is one.
    #[inline]
    #[expect(unsafe_code, reason = "reaches a new frame")]
    pub(crate) fn take_one<'s, A: Frames>(
        &mut self,
        reach: Reach<'s, A>,
        rules: FrameRules,
    ) -> Result<Blank<'s>, MapError> {
        let [lowest, ..] = &self.spare;
        if lowest.count > 0 || self.fresh.count > 0 {
            return Ok(self.take(reach, 1));
        }
        let hpa = rules.allocate(reach.frames())?;
        // SAFETY: the frame is ours from here on, and in no tree.
        let table = unsafe { Table::new(reach, hpa, 1) };
        self.tables += 1;
        // SAFETY: it was just allocated.
        Ok(unsafe { Blank::fresh(table) })
    }

    /// Makes sure that there are `count` frames which were never tables, or changes nothing.
    #[expect(unsafe_code, reason = "reaches frames")]
    pub(crate) fn prepare<A: Frames>(
        &mut self,
        count: usize,
        reach: Reach<'_, A>,
        rules: FrameRules,
    ) -> Result<(), MapError> {
        let mut new = Queue::default();
        while self.fresh.count + new.frames.count < count {
            match rules.allocate(reach.frames()) {
                Ok(hpa) if new.last().or(self.fresh.first()) != Some(hpa) => {
                    // SAFETY: the frame is ours from here on, and in no tree.
                    new.append(unsafe { Table::new(reach, hpa, 1) });
                }
                refused => {
                    // SAFETY: the frames were allocated above, and are in no other list.
                    unsafe { new.frames.free(0, reach) };
                    // One handed out twice stays where it is, and is not given back twice.
                    return Err(refused.map_or_else(|error| error, |hpa| MapError::BadFrame { hpa }));
                }
            }
        }
        self.fresh = new.and(self.fresh);
        Ok(())
    }

    /// A frame for a table of `level`, with any content, that was [reserved](Self::reserve). The caller links it.
    #[expect(unsafe_code, reason = "reaches frames")]
    pub(crate) fn take<'s, A: Frames>(&mut self, reach: Reach<'s, A>, level: u8) -> Blank<'s> {
        let spare = self.spare.get_mut(usize::from(level) - 1).and_then(|list| {
            // SAFETY: the invariants of `Stock`; `'s` is a borrow of the allocator in the space, which frees frames only in
            // `free_spare` and when it is dropped.
            unsafe { list.pop(reach, level) }
        });
        self.tables += 1;
        if let Some(table) = spare {
            return Blank::used(table);
        }
        // SAFETY: as above.
        let fresh = unsafe { self.fresh.pop(reach, level) };
        let fresh = fresh.expect("as many frames were reserved as the plan counted");
        // SAFETY: the invariant of `fresh`: no processor has seen the frame; it is reached under the lock of the space only.
        unsafe { Blank::fresh(fresh) }
    }

    /// Puts by a table that was in the tree and that no entry refers to any more.
    #[inline]
    pub(crate) fn put_by(&mut self, table: Table<'_>) {
        self.tables -= 1;
        if let Some(list) = self.spare.get_mut(usize::from(table.level()) - 1) {
            list.push(table, self.absent);
        }
    }

    /// Puts by the tables of level 1 that entries of `table`, which is of level 2, refer to, and to which no entry of a tree refers any
    /// more.
    #[inline]
    pub(crate) fn put_by_below<'s, F: Format, A: Frames>(&mut self, format: &F, reach: Reach<'s, A>, table: Table<'s>) {
        let (format, absent) = (*format, self.absent);
        let [lowest, ..] = &mut self.spare;
        // Copies stay in registers.
        let mut list = *lowest;
        let (groups, _) = table.entries().as_chunks::<4>();
        for group in groups {
            let entries @ [first, second, third, fourth] = group.each_ref().map(|slot| slot.load(Ordering::Relaxed));
            if let Some(first) = table.follow(&format, reach, first)
                && let Some(second) = table.follow(&format, reach, second)
                && let Some(third) = table.follow(&format, reach, third)
                && let Some(fourth) = table.follow(&format, reach, fourth)
            {
                list.push(first, absent);
                list.push(second, absent);
                list.push(third, absent);
                list.push(fourth, absent);
            } else {
                list = list.with(&format, reach, (table, entries), absent);
            }
        }
        self.tables -= list.count - lowest.count;
        *lowest = list;
    }

    /// Frees all frames that are in no tree, and says how many those were.
    ///
    /// # Safety
    ///
    /// No processor walks tables that were detached.
    #[expect(unsafe_code, reason = "frees frames")]
    pub(crate) unsafe fn free_spare<A: Frames>(&mut self, reach: Reach<'_, A>) -> usize {
        let mut freed = self.free_fresh(0, reach);
        for list in &mut self.spare {
            // SAFETY: the invariants of `Stock`; nobody walks the frames (contract).
            freed += unsafe { list.free(0, reach) };
        }
        freed
    }

    /// How many frames there are that were never tables.
    pub(crate) const fn fresh(&self) -> usize {
        self.fresh.count
    }

    /// Frees all but `keep` of the frames that were reserved and not taken, and says how many those were.
    #[expect(unsafe_code, reason = "frees frames")]
    pub(crate) fn free_fresh<A: Frames>(&mut self, keep: usize, reach: Reach<'_, A>) -> usize {
        // SAFETY: the invariants of `Stock`: no processor has seen the frames.
        unsafe { self.fresh.free(keep, reach) }
    }
}

/// What frames must be like to be tables of a space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameRules {
    /// The first address that has more bits than an address in an entry.
    pub(crate) end: Hpa,
    /// The root, which no other frame can be.
    pub(crate) root: Option<Hpa>,
}

impl FrameRules {
    /// The rules where addresses in entries have `width` bits, at most 52.
    pub(crate) const fn new(width: u8, root: Option<Hpa>) -> Self {
        Self { end: Hpa::new(1 << width), root }
    }

    /// A frame that fits in an entry, and that is not the root.
    #[expect(unsafe_code, reason = "gives back a frame that cannot be used")]
    pub(crate) fn allocate<A: Frames>(self, frames: &A) -> Result<Hpa, MapError> {
        let hpa = frames.allocate(1).ok_or(OutOfFrames { count: 1 })?;
        if self.root == Some(hpa) {
            // The allocator does not keep its contract. The frame is in use: it is not given back.
            return Err(MapError::BadFrame { hpa });
        }
        if hpa.is_aligned(PageSize::Size4K) && hpa < self.end {
            return Ok(hpa);
        }
        // SAFETY: just allocated, and used by nobody.
        unsafe { frames.free(hpa, 1) };
        Err(MapError::BadFrame { hpa })
    }
}
