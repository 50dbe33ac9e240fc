//! The guest-physical address space of a guest.

use core::marker::PhantomData;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Mutex;

use crate::access::Access;
use crate::addr::{Gpa, Hpa, PageSize};
use crate::format::Format;
use crate::frame::{Frames, OutOfFrames, Reach};
use crate::invalidation::Invalidation;
use crate::leaves::Update;
use crate::map_error::MapError;
use crate::mapped_range::{Dump, Ranges};
use crate::mapping::{Mapping, MemoryType, Translation};
use crate::mtrr::Mtrrs;
use crate::operation::Operation;
use crate::page_attributes::PageAttributes;
use crate::ram::GuestRam;
use crate::space_edit::SpaceEdit;
use crate::space_log::Logging;
use crate::span::{ENTRIES, Span};
use crate::stock::{FrameRules, Stock};
use crate::table::{Blank, Table};
use crate::tree::{Tree, Work};
use crate::walk;

/// The guest-physical address space of a guest: nested page tables, and the frames that they are in.
///
/// All methods but [`trim`](Self::trim) take `&self` and lock the space, by spinning, for as long as they run. Do not call
/// them in an interrupt or NMI handler that may have interrupted one of them.
///
/// Each change is planned first and made only if it can be made in full: after an error, tables and frames are as before.
///
/// # Soundness
///
/// A guest that runs on the tables reaches what they map, so safe code must not map what Rust uses:
///
/// - [`map`](Self::map) takes [`GuestRam`], whose maker promised that it is no Rust memory for all of `'m`. The space cannot
///   outlive `'m`, and it is invariant in `'m`, so that memory which lives shorter cannot be put into a space that lives
///   longer. [`map_physical`](Self::map_physical) is `unsafe`.
/// - The tables are in frames that the space owns, and no entry maps such a frame: `Frames` promises that they are not guest
///   memory.
/// - A processor walks the tables only while a vCPU runs, which borrows the space meanwhile; whoever gives
///   [`root`](Self::root) to a processor otherwise does so by its own `unsafe` code. So nothing walks them when the space is
///   dropped, or [trimmed](Self::trim), and their frames are freed. A leaked borrow (`mem::forget` of a vCPU) does not run,
///   and a leaked space leaks its frames.
/// - Processors keep translations, and pointers to tables, after a vCPU has stopped. A vCPU therefore invalidates when it
///   first enters a space, when it enters on another processor, and when [`generation`](Self::generation) has moved on. What a
///   processor inside the guest can reach until then is memory of this space: see [`Invalidation`], and `Stock` in the
///   source for why detached tables keep their level.
///
/// ```
/// use core::ptr::NonNull;
/// use x86_virt_core::{Access, AddressSpace, DirectMap, FramePool, Gpa, GuestRam, Hpa};
/// use x86_virt_ept::{EptCapabilities, EptFormat};
///
/// // Stands for 16 frames for tables and one page for the guest, at physical address 0x100_0000.
/// #[repr(align(4096))]
/// struct Memory([u8; 17 * 4096]);
/// let mut memory = Box::new(Memory([0; 17 * 4096]));
/// let start = NonNull::from(&mut memory.0).cast::<u8>();
/// let offset = (start.as_ptr().expose_provenance() as u64).wrapping_sub(0x100_0000);
///
/// // SAFETY: the memory is used through the pool and the guest memory only.
/// let map = unsafe { DirectMap::new(offset, Hpa::new(0x101_1000)) };
/// let pool = FramePool::<16>::new(Hpa::new(0x100_0000), map);
/// // SAFETY: as above.
/// unsafe { pool.donate(Hpa::new(0x100_0000)..Hpa::new(0x101_0000))? };
/// // SAFETY: as above.
/// let ram = unsafe { GuestRam::new(start.add(16 * 4096), Hpa::new(0x101_0000), 4096)? };
///
/// let format = EptFormat::new(EptCapabilities::from_bits(0x4040), 46)?;
/// let space = AddressSpace::new(format, &pool)?;
/// space.map(Gpa::new(0xa000)..Gpa::new(0xb000), &ram, 0, Access::RW)?;
/// space.write(Gpa::new(0xa123), b"hello")?;
/// assert_eq!(space.translate(Gpa::new(0xa123)).map(|to| to.hpa), Some(Hpa::new(0x101_0123)));
/// space.unmap(Gpa::new(0xa000)..Gpa::new(0xb000))?.at_next_entry();
/// assert_eq!(space.translate(Gpa::new(0xa123)), None);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// Memory that lives shorter than the space cannot be mapped:
///
/// ```compile_fail,E0597
/// use x86_virt_core::{Access, AddressSpace, Format, Frames, Gpa, GuestRam};
///
/// fn map<F: Format, A: Frames>(space: &AddressSpace<'static, F, A>, ram: GuestRam<'static>) {
///     let lives_shorter = ();
///     let ram = shorten(ram, &lives_shorter);
///     space.map(Gpa::new(0)..Gpa::new(0x1000), &ram, 0, Access::ALL);
/// }
///
/// fn shorten<'a>(ram: GuestRam<'static>, _: &'a ()) -> GuestRam<'a> {
///     ram
/// }
/// ```
#[derive(Debug)]
pub struct AddressSpace<'m, F: Format, A: Frames> {
    format: F,
    pub(crate) frames: A,
    /// A table of level `format.levels()` that fulfils the invariants of [`Table`], and is freed on drop only.
    root: Hpa,
    generation: AtomicU64,
    stock: Mutex<Stock>,
    pub(crate) logging: Logging<'m>,
    /// Invariant in `'m`.
    _memory: PhantomData<fn(&'m ()) -> &'m ()>,
}

impl<'m, F: Format, A: Frames> AddressSpace<'m, F, A> {
    /// Makes a space in which nothing is mapped.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`] if there is no frame for the root, or the allocator gave out one that cannot be a table.
    #[expect(unsafe_code, reason = "reaches the new root")]
    pub fn new(format: F, frames: A) -> Result<Self, OutOfFrames> {
        let rules = FrameRules::new(format.address_width(), None);
        let root = rules.allocate(&frames).map_err(|_| OutOfFrames { count: 1 })?;
        // SAFETY: the frame is ours from here on, and all entries are written before anyone else sees it.
        let table = unsafe { Table::new(Reach::new(&frames), root, format.levels()) };
        // SAFETY: it was just allocated.
        unsafe { Blank::fresh(table) }.clear(0..ENTRIES, format.absent());
        let stock = Mutex::new(Stock::with_root(format.absent()));
        Ok(Self {
            format,
            frames,
            root,
            generation: AtomicU64::new(1),
            stock,
            logging: Logging::none(),
            _memory: PhantomData,
        })
    }

    /// Locks the space until what this returns is dropped, to change it, or look at it, more than once.
    #[inline]
    pub fn edit(&self) -> SpaceEdit<'_, 'm, F, A> {
        SpaceEdit::new(self, self.stock.lock())
    }

    /// Maps the range to `ram` from `offset` on, with the largest pages that alignment, `mapping` and the processor allow.
    ///
    /// No processor needs to be told: what was not mapped is in no cache.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then. A page of the range that is mapped is [`MapError::AlreadyMapped`].
    ///
    /// Intel SDM vol. 3, section 31.4.2, "Creating and Using Cached Translation Information"; AMD APM vol. 2, section 5.5.2,
    /// "TLB Management".
    #[inline]
    pub fn map(
        &self,
        gpa: Range<Gpa>,
        ram: &GuestRam<'m>,
        offset: u64,
        mapping: impl Into<Mapping>,
    ) -> Result<(), MapError> {
        self.edit().map(gpa, ram, offset, mapping)
    }

    /// Maps the range to the physical addresses from `hpa` on: a device that the guest is given.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    ///
    /// # Safety
    ///
    /// Until the space is dropped, or the range has been unmapped or remapped and each vCPU of the space has invalidated or does
    /// not run any more:
    ///
    /// - whatever a guest does with the physical addresses, within the access and the memory type that are given now and that
    ///   [`protect`](Self::protect) and [`set_memory_type`](Self::set_memory_type) may give later, does no harm to the host: they
    ///   are no Rust object, no table that a processor uses, and no register with which a device can be made to write to such
    ///   memory;
    /// - where [`Frames::pointer`] of such an address is `Some`, it is valid for volatile reads and writes of single bytes
    ///   up to the next multiple of 4096.
    #[inline]
    #[expect(unsafe_code, reason = "any physical address, on the caller's word")]
    pub unsafe fn map_physical(&self, gpa: Range<Gpa>, hpa: Hpa, mapping: impl Into<Mapping>) -> Result<(), MapError> {
        // SAFETY: the caller's promise is the same.
        unsafe { self.edit().map_physical(gpa, hpa, mapping) }
    }

    /// Maps the range as [`map`](Self::map) does, each part with the memory type that `mtrrs` give the physical memory there, in place
    /// of that of `mapping`. No large page has two types.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then. A type that the entry format does not have is [`MapError::Unsupported`].
    ///
    /// Intel SDM vol. 3, section 13.11.4.1, "MTRR Precedences"; AMD APM vol. 2, section 7.7.2, "MTRRs".
    pub fn map_with_types(
        &self,
        gpa: Range<Gpa>,
        ram: &GuestRam<'m>,
        offset: u64,
        mapping: impl Into<Mapping>,
        mtrrs: &Mtrrs,
    ) -> Result<(), MapError> {
        self.edit_once().map_with_types(gpa, ram, offset, mapping, mtrrs)
    }

    /// Maps the range as [`map_physical`](Self::map_physical) does, with memory types as [`map_with_types`](Self::map_with_types).
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    ///
    /// # Safety
    ///
    /// As [`map_physical`](Self::map_physical), with the types that `mtrrs` say.
    #[expect(unsafe_code, reason = "any physical address, on the caller's word")]
    pub unsafe fn map_physical_with_types(
        &self,
        gpa: Range<Gpa>,
        hpa: Hpa,
        mapping: impl Into<Mapping>,
        mtrrs: &Mtrrs,
    ) -> Result<(), MapError> {
        // SAFETY: the caller's promise is the same.
        unsafe { self.edit_once().map_physical_with_types(gpa, hpa, mapping, mtrrs) }
    }

    /// Makes the range, which is mapped, point to `ram` from `offset` on, with the same access, memory type and
    /// attributes.
    ///
    /// Each page changes by one store, so that the guest finds it at the old place or at the new one. Accessed and dirty flags
    /// stay. Large pages are split that are partly in the range, or that the new addresses are out of phase for.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then. A page of the range that is not mapped is [`MapError::NotMapped`].
    pub fn remap(&self, gpa: Range<Gpa>, ram: &GuestRam<'m>, offset: u64) -> Result<Invalidation, MapError> {
        self.edit_once().remap(gpa, ram, offset)
    }

    /// Makes the range, which is mapped, point to the physical addresses from `hpa` on, as [`remap`](Self::remap).
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    ///
    /// # Safety
    ///
    /// As [`map_physical`](Self::map_physical), with the access and memory type that the range has.
    #[expect(unsafe_code, reason = "any physical address, on the caller's word")]
    pub unsafe fn remap_physical(&self, gpa: Range<Gpa>, hpa: Hpa) -> Result<Invalidation, MapError> {
        // SAFETY: the caller's promise is the same.
        unsafe { self.edit_once().remap_physical(gpa, hpa) }
    }

    /// Unmaps the range. Large pages that are partly in it are split.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then. A page of the range that is not mapped is [`MapError::NotMapped`].
    pub fn unmap(&self, gpa: Range<Gpa>) -> Result<Invalidation, MapError> {
        self.edit_once().unmap(gpa)
    }

    /// Allows `access`, and no more, in the range. Large pages that are partly in it are split.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then. A page of the range that is not mapped is [`MapError::NotMapped`].
    pub fn protect(&self, gpa: Range<Gpa>, access: Access) -> Result<Invalidation, MapError> {
        // As an edit does it, without what an edit has besides: this is the change that there is most often.
        let mut stock = self.stock.lock();
        let span = self.tree(&stock).span(&gpa)?;
        let update = Update::access(&self.format, access)?;
        self.change(&mut stock, span, &Work::Update(update))
    }

    /// Gives the range `memory_type`. Large pages that are partly in it are split.
    ///
    /// The caches may hold lines that were filled with the old type: to write them back is the caller's part.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then. A page of the range that is not mapped is [`MapError::NotMapped`].
    ///
    /// Intel SDM vol. 3, section 31.3.7, "EPT and Memory Typing"; AMD APM vol. 2, section 15.25.8, "Combining Memory Types,
    /// MTRRs".
    pub fn set_memory_type(&self, gpa: Range<Gpa>, memory_type: MemoryType) -> Result<Invalidation, MapError> {
        self.edit_once().set_memory_type(gpa, memory_type)
    }

    /// Gives each page of the range the memory type that `mtrrs` give the physical memory there. Large pages are split where the type
    /// changes.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then. A page of the range that is not mapped is [`MapError::NotMapped`], and a type that the
    /// entry format does not have is [`MapError::Unsupported`].
    pub fn set_memory_types(&self, gpa: Range<Gpa>, mtrrs: &Mtrrs) -> Result<Invalidation, MapError> {
        self.edit_once().set_memory_types(gpa, mtrrs)
    }

    /// Gives the range `attributes`, and no others. Large pages are split that are partly in the range, or that cannot have them.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then. A page of the range that is not mapped is [`MapError::NotMapped`].
    pub fn set_attributes(&self, gpa: Range<Gpa>, attributes: PageAttributes) -> Result<Invalidation, MapError> {
        self.edit_once().set_attributes(gpa, attributes)
    }

    /// Splits the pages of the range that are larger than `size` to pages of `size`; others stay. What is mapped stays the same.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then. [`MapError::CannotSplit`] if no page is larger than `size`, or the range does not
    /// start and end at a multiple of it; [`MapError::NotMapped`] if a page of the range is not mapped.
    pub fn split(&self, gpa: Range<Gpa>, size: PageSize) -> Result<Invalidation, MapError> {
        self.edit_once().split(gpa, size)
    }

    /// Makes large pages of the tables inside the range whose 512 entries map adjacent memory, aligned to the larger size, with
    /// the same access, memory type and attributes. What is mapped stays the same; what is not mapped is left out.
    ///
    /// A merged page counts as accessed, or as dirty, if one of its parts was. The table goes where that of an
    /// [`unmap`](Self::unmap) goes: until a processor that is inside the guest has invalidated, it may use any other mapping of
    /// the space in place of one that was merged, and flags that it sets may be lost. So make vCPUs leave the guest *before*,
    /// if the guest is to go on as if nothing had happened.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn merge(&self, gpa: Range<Gpa>) -> Result<Invalidation, MapError> {
        self.edit_once().merge(gpa)
    }

    /// What `gpa` is mapped to.
    #[inline]
    pub fn translate(&self, gpa: Gpa) -> Option<Translation> {
        self.edit().translate(gpa)
    }

    /// What `gpa` is mapped to, or why it is not.
    ///
    /// # Errors
    ///
    /// [`MapError::NotMapped`], [`MapError::InvalidEntry`] or [`MapError::BeyondGuestWidth`].
    pub fn lookup(&self, gpa: Gpa) -> Result<Translation, MapError> {
        self.edit_once().lookup(gpa)
    }

    /// What is mapped, in ascending order, each item as long as size, access, memory type, attributes and adjacency allow. An invalid entry
    /// is an item too, [`MapError::InvalidEntry`].
    ///
    /// The space is locked for each item anew, so that it may be changed meanwhile.
    #[must_use]
    pub const fn ranges(&self) -> Ranges<'_, 'm, F, A> {
        Ranges::new(self)
    }

    /// What is mapped, as text: one line for each of [`ranges`](Self::ranges). The space is locked while it is written.
    #[must_use]
    pub const fn dump(&self) -> Dump<'_, 'm, F, A> {
        Dump(self)
    }

    /// How many frames the operation would take from the allocator, or from those [put aside](Self::prepare).
    ///
    /// # Errors
    ///
    /// [`MapError`], if the operation would be refused for another reason than a lack of frames.
    pub fn frames_needed(&self, gpa: Range<Gpa>, operation: Operation) -> Result<usize, MapError> {
        self.edit_once().frames_needed(gpa, operation)
    }

    /// Puts frames aside until there are `count`, for operations that must not run out of them, on the path of an exit say.
    ///
    /// Operations use these up, before they take others from the allocator; [`trim`](Self::trim) gives them back.
    ///
    /// # Errors
    ///
    /// [`MapError::OutOfFrames`] or [`MapError::BadFrame`]; nothing is changed then.
    pub fn prepare(&self, count: usize) -> Result<(), MapError> {
        self.edit_once().prepare(count)
    }

    /// Gives the frames that no table needs, those [put aside](Self::prepare) too, back to the allocator, and says how many those were.
    ///
    /// They are not given back earlier since a processor inside the guest may still walk them; `&mut self` proves that no
    /// vCPU borrows the space.
    #[expect(unsafe_code, reason = "frees detached tables")]
    pub fn trim(&mut self) -> usize {
        let freed = {
            let stock = self.stock.get_mut();
            // SAFETY: no vCPU runs on the space, since none borrows it ("Soundness" of the type), so no processor walks tables; and
            // those that do later invalidate first, for the generation moves on below.
            unsafe { stock.free_spare(Reach::new(&self.frames)) }
        };
        self.generation.fetch_add(1, Ordering::Release);
        freed
    }

    /// The physical address of the root table.
    ///
    /// Whoever gives it to a processor makes sure that the processor walks [`Format::levels`] levels: with another number of
    /// levels it would take tables for pages, and pages for tables.
    #[must_use]
    pub const fn root(&self) -> Hpa {
        self.root
    }

    /// The entry format.
    #[must_use]
    pub const fn format(&self) -> &F {
        &self.format
    }

    /// A number that grows with each change that processors have to be told of. It starts at 1, so that a vCPU which starts
    /// at 0 invalidates at its first entry.
    #[must_use]
    pub fn generation(&self) -> u64 {
        // Acquire: a vCPU that sees the number, and then invalidates, sees the entries that were written before.
        self.generation.load(Ordering::Acquire)
    }

    /// How many frames the space holds: [tables](Self::tables) and [spare](Self::spare) ones.
    pub fn frames_in_use(&self) -> usize {
        let stock = self.stock.lock();
        stock.tables() + stock.spare()
    }

    /// How many frames are tables, the root included.
    pub fn tables(&self) -> usize {
        self.stock.lock().tables()
    }

    /// How many frames were tables, or are [put aside](Self::prepare), and wait to be used or for [`trim`](Self::trim).
    pub fn spare(&self) -> usize {
        self.stock.lock().spare()
    }

    pub(crate) fn edit_once(&self) -> SpaceEdit<'_, 'm, F, A> {
        SpaceEdit::once(self, self.stock.lock())
    }

    /// The tables, for whoever has locked `stock` of this space.
    #[inline]
    #[expect(unsafe_code, reason = "reaches the root")]
    pub(crate) fn tree(&self, _stock: &Stock) -> Tree<'_, F, A> {
        let reach = Reach::new(&self.frames);
        // SAFETY: the invariant of `root`; it is freed on drop only, so not while `self` is borrowed.
        let root = unsafe { Table::new(reach, self.root, self.format.levels()) };
        Tree { format: &self.format, reach, root }
    }

    /// Does `work`, and moves the generation on, for whoever has locked `stock` of this space.
    #[inline]
    pub(crate) fn change(&self, stock: &mut Stock, span: Span, work: &Work) -> Result<Invalidation, MapError> {
        let tree = self.tree(stock);
        let is_made = match work {
            Work::Update(update) => tree.update_part(stock, span, update)?,
            _ => false,
        };
        if !is_made {
            tree.change(stock, span, work)?;
        }
        self.log_change(span, work);
        Ok(self.invalidation())
    }

    /// Moves the generation on, after the entries were written, by whoever has locked the space.
    pub(crate) fn invalidation(&self) -> Invalidation {
        // The lock is held, so nobody else adds.
        let generation = self.generation.load(Ordering::Relaxed) + 1;
        // Release: pairs with `generation`.
        self.generation.store(generation, Ordering::Release);
        Invalidation::new(generation)
    }
}

impl<F: Format, A: Frames> Drop for AddressSpace<'_, F, A> {
    #[expect(unsafe_code, reason = "frees the tables")]
    fn drop(&mut self) {
        self.trim();
        let reach = Reach::new(&self.frames);
        // SAFETY: the invariant of `root`. The lock, which a leaked `SpaceEdit` may hold for ever, is not needed: `&mut self`.
        let root = unsafe { Table::new(reach, self.root, self.format.levels()) };
        // SAFETY: `&mut self`: no vCPU borrows the space ("Soundness" of the type), so no processor walks the tables, and the
        // space ends here.
        unsafe { walk::free(&self.format, reach, root) };
    }
}
