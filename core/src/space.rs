//! The guest-physical address space of a guest.

use core::marker::PhantomData;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::{Mutex, MutexGuard};

use crate::access::Access;
use crate::addr::{Gpa, Hpa, PageSize};
use crate::edit::{Edit, Leaves, count_more, fill_pages};
use crate::format::Format;
use crate::frame::{Frames, OutOfFrames};
use crate::invalidation::Invalidation;
use crate::map_error::MapError;
use crate::mapping::{Mapping, Translation};
use crate::plan::Plan;
use crate::ram::GuestRam;
use crate::span::{ENTRIES, Span, guest_width};
use crate::stock::{Stock, allocate};
use crate::table::Table;
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
    /// Invariant in `'m`.
    _memory: PhantomData<fn(&'m ()) -> &'m ()>,
}

impl<'m, F: Format, A: Frames> AddressSpace<'m, F, A> {
    /// Makes a space in which nothing is mapped.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`] if there is no frame for the root.
    #[expect(unsafe_code, reason = "reaches the new root")]
    pub fn new(format: F, frames: A) -> Result<Self, OutOfFrames> {
        let root = allocate(&frames, format.address_width()).ok_or(OutOfFrames { count: 1 })?;
        // SAFETY: the frame is ours from here on, and all entries are written before anyone else sees it.
        let table = unsafe { Table::new(&frames, root, format.levels()) };
        table.fill(0..ENTRIES, 0, 0);
        let stock = Mutex::new(Stock::with_root());
        Ok(Self { format, frames, root, generation: AtomicU64::new(1), stock, _memory: PhantomData })
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
    pub fn map(
        &self,
        gpa: Range<Gpa>,
        ram: &GuestRam<'m>,
        offset: u64,
        mapping: impl Into<Mapping>,
    ) -> Result<(), MapError> {
        let span = self.span(&gpa)?;
        let part = ram.slice(offset, gpa.end.get() - gpa.start.get())?;
        self.map_to(span, part.hpa(), mapping.into())
    }

    /// Maps the range to the physical addresses from `hpa` on: a device that the guest is given.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    ///
    /// # Safety
    ///
    /// Until the space is dropped, or the range has been unmapped and each vCPU of the space has invalidated or does not run
    /// any more:
    ///
    /// - whatever a guest does with the physical addresses, within the access that is allowed now and that
    ///   [`protect`](Self::protect) may allow later, does no harm to the host: they are no Rust object, no table that a
    ///   processor uses, and no register with which a device can be made to write to such memory;
    /// - where [`Frames::pointer`] of such an address is `Some`, it is valid for volatile reads and writes of single bytes
    ///   up to the next multiple of 4096.
    #[expect(unsafe_code, reason = "any physical address, on the caller's word")]
    pub unsafe fn map_physical(&self, gpa: Range<Gpa>, hpa: Hpa, mapping: impl Into<Mapping>) -> Result<(), MapError> {
        let span = self.span(&gpa)?;
        self.map_to(span, hpa, mapping.into())
    }

    /// Unmaps the range. Large pages that are partly in it are split.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then. A page of the range that is not mapped is [`MapError::NotMapped`].
    pub fn unmap(&self, gpa: Range<Gpa>) -> Result<Invalidation, MapError> {
        let span = self.span(&gpa)?;
        let (mut stock, root) = self.lock();
        let mut plan = Plan::new(&self.format, &self.frames);
        plan.change(root, span)?;
        stock.reserve(&plan.needs, &self.frames, self.format.address_width())?;
        Edit { format: &self.format, frames: &self.frames, stock: &mut stock }.unmap(root, span);
        // A table that was detached at the start of the range may have served for a split at its end.
        stock.free_fresh(&self.frames);
        Ok(self.invalidation())
    }

    /// Allows `access`, and no more, in the range. Large pages that are partly in it are split.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then. A page of the range that is not mapped is [`MapError::NotMapped`].
    pub fn protect(&self, gpa: Range<Gpa>, access: Access) -> Result<Invalidation, MapError> {
        let span = self.span(&gpa)?;
        let bits = self.format.access_bits(access)?;
        let (mut stock, root) = self.lock();
        let (table, _) = walk::descend(&self.format, &self.frames, root, span);
        let mut plan = Plan::new(&self.format, &self.frames);
        plan.change(table, span)?;
        stock.reserve(&plan.needs, &self.frames, self.format.address_width())?;
        Edit { format: &self.format, frames: &self.frames, stock: &mut stock }.protect(table, span, bits);
        Ok(self.invalidation())
    }

    /// What `gpa` is mapped to.
    pub fn translate(&self, gpa: Gpa) -> Option<Translation> {
        let (_lock, root) = self.lock();
        self.translate_locked(root, gpa)
    }

    /// Gives the frames that no table needs back to the allocator, and says how many those were.
    ///
    /// They are not given back earlier since a processor inside the guest may still walk them; `&mut self` proves that no
    /// vCPU borrows the space.
    #[expect(unsafe_code, reason = "frees detached tables")]
    pub fn trim(&mut self) -> usize {
        let freed = {
            let stock = self.stock.get_mut();
            // SAFETY: no vCPU runs on the space, since none borrows it ("Soundness" of the type), so no processor walks tables; and
            // those that do later invalidate first, for the generation moves on below.
            unsafe { stock.free_spare(&self.frames) }
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

    /// How many frames were tables, and wait to be used again or for [`trim`](Self::trim).
    pub fn spare(&self) -> usize {
        self.stock.lock().spare()
    }

    /// The lock, and what it protects: the tree, from the root on.
    #[expect(unsafe_code, reason = "reaches the root")]
    pub(crate) fn lock(&self) -> (MutexGuard<'_, Stock>, Table<'_>) {
        let stock = self.stock.lock();
        // SAFETY: the invariant of `root`; it is freed on drop only, so not while `self` is borrowed.
        let root = unsafe { Table::new(&self.frames, self.root, self.format.levels()) };
        (stock, root)
    }

    fn span(&self, gpa: &Range<Gpa>) -> Result<Span, MapError> {
        for gpa in [gpa.start, gpa.end] {
            if !gpa.is_aligned(PageSize::Size4K) {
                return Err(MapError::MisalignedGuest { gpa });
            }
        }
        if gpa.start >= gpa.end {
            return Err(MapError::EmptyRange { start: gpa.start, end: gpa.end });
        }
        let width = guest_width(self.format.levels());
        if gpa.end.get() > 1 << width {
            return Err(MapError::BeyondGuestWidth { end: gpa.end, width });
        }
        Ok(Span::new(gpa))
    }

    fn map_to(&self, span: Span, hpa: Hpa, mapping: Mapping) -> Result<(), MapError> {
        if !hpa.is_aligned(PageSize::Size4K) {
            return Err(MapError::MisalignedHost { hpa });
        }
        let (bytes, width) = (span.bytes(), self.format.address_width());
        if hpa.checked_add(bytes).is_none_or(|end| end.get() > 1 << width) {
            return Err(MapError::BeyondHostWidth { hpa, bytes, width });
        }
        let leaves = Leaves::new(&self.format, span, hpa, mapping)?;
        let (mut stock, root) = self.lock();
        let (table, parent) = walk::descend(&self.format, &self.frames, root, span);
        let mut plan = Plan::new(&self.format, &self.frames);
        plan.map(table, span, leaves.level())?;
        let added = if table.level() == 1 {
            // The usual nested page fault: the tables are there.
            fill_pages(table, span, &leaves);
            span.entries(1)
        } else {
            stock.reserve(&plan.needs, &self.frames, width)?;
            Edit { format: &self.format, frames: &self.frames, stock: &mut stock }.map(table, span, &leaves)
        };
        if let Some((parent, index)) = parent {
            count_more(parent, index, added);
        }
        Ok(())
    }

    /// Moves the generation on, after the entries were written.
    fn invalidation(&self) -> Invalidation {
        // Release: pairs with `generation`. The lock is held, so nobody else adds.
        Invalidation::new(self.generation.fetch_add(1, Ordering::Release) + 1)
    }

    /// What `gpa` is mapped to, by whoever has [`lock`](Self::lock)ed the space.
    pub(crate) fn translate_locked(&self, root: Table<'_>, gpa: Gpa) -> Option<Translation> {
        if gpa.get() >> guest_width(self.format.levels()) != 0 {
            return None;
        }
        walk::translate(&self.format, &self.frames, root, gpa)
    }
}

impl<F: Format, A: Frames> Drop for AddressSpace<'_, F, A> {
    #[expect(unsafe_code, reason = "frees the tables")]
    fn drop(&mut self) {
        self.trim();
        let (_lock, root) = self.lock();
        // SAFETY: `&mut self`: no vCPU borrows the space ("Soundness" of the type), so no processor walks the tables, and the
        // space ends here.
        unsafe { walk::free(&self.format, &self.frames, root) };
    }
}
