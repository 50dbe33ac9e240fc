//! What the walk needs to know of an entry format.

use core::fmt::Debug;

use crate::access::Access;
use crate::addr::{Hpa, PageSize};
use crate::dirty_log::LogMethod;
use crate::mapping::MemoryType;
use crate::page_attributes::PageAttributes;

/// A format of the entries of nested page tables: bits and conversions, no memory.
///
/// Levels count from the bottom: the entries of a table of level 1 map 4 KiB each, and a table of level `levels()` is the
/// root. All functions are total: an argument that the format has no encoding for is an [`Unsupported`], or is masked.
///
/// # Safety
///
/// The walk puts what these functions return into tables that a processor reads, follows what
/// [`classify`](Self::classify) returns, and lets guests reach what is mapped. The implementor promises, of the processor
/// that uses the format:
///
/// - An entry from [`leaf`](Self::leaf), in a table of level `size.level()`, translates to the `size` bytes at `hpa` with
///   no more than `access`. For `hpa` below 2^52 and a multiple of `size`, it is the `leaf` of address 0 with `hpa` in
///   place.
/// - An entry from [`table`](Self::table), in a table of level 2 or more, refers to the table of the next lower level at
///   `hpa`, whatever bits 61 to 52 are. They are clear in what `table` returns; the walk keeps a count there.
/// - An entry that is [`absent`](Self::absent), and one that is so in bits 63 to 52 and whose bits 11 to 0 are clear, refers to
///   nothing at any level.
/// - [`split`](Self::split) returns the entry of the next lower level for the first part of what the leaf maps, with the
///   same permissions; adding the size of the smaller page to it gives the entry of the next part.
/// - A leaf in which the bits of [`access_mask`](Self::access_mask) are replaced by those of
///   [`access_bits`](Self::access_bits) differs from it in that it allows no more than `access`. The same holds of
///   [`memory_type_mask`](Self::memory_type_mask), [`memory_type_bits`](Self::memory_type_bits) and the memory type, and of
///   [`attribute_mask`](Self::attribute_mask), [`attribute_bits`](Self::attribute_bits) and the attributes. The three masks and the
///   address have no bit in common; `leaf` leaves the bits of the last mask clear.
/// - A leaf in which the bit of [`write_mask`](Self::write_mask) is cleared, or that of [`write_mark`](Self::write_mark) changed,
///   differs from it in no more than that it allows no write, or in nothing. Of a leaf with the mark, `classify` says what it would be
///   with the bit of `write_mask` set.
/// - `classify` says of all these entries what they are, also when the processor has set accessed and dirty flags, which in
///   a leaf are the bits of [`flags_mask`](Self::flags_mask). It never says [`Entry::Table`] of an entry of level 1.
/// - Where [`follow`](Self::follow) is `Some`, `classify` is [`Entry::Table`] of the same address; where [`page`](Self::page) is
///   `Some`, `classify` for level 1 is an [`Entry::Leaf`] of the same parts, and [`attributes`](Self::attributes) are none.
/// - [`levels`](Self::levels) is 4 or 5 and [`address_width`](Self::address_width) is at most 52. All answers stay the
///   same.
#[expect(unsafe_code, reason = "the processor dereferences what an implementor encodes")]
pub unsafe trait Format: Copy + Debug {
    /// How many levels of tables there are: 4 or 5.
    fn levels(&self) -> u8;

    /// The largest page that the processor supports.
    fn largest_page(&self) -> PageSize;

    /// How many bits a host-physical address has.
    fn address_width(&self) -> u8;

    /// The entry that maps the page of `size` at `hpa`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] if the format cannot express `access` or `memory_type`. It does not depend on `hpa` and `size`.
    fn leaf(&self, hpa: Hpa, size: PageSize, access: Access, memory_type: MemoryType) -> Result<u64, Unsupported>;

    /// The entry that maps nothing, with which fresh tables are filled. Its bits 51 to 0 are clear.
    #[inline]
    fn absent(&self) -> u64 {
        0
    }

    /// The entry that refers to the table at `hpa`.
    fn table(&self, hpa: Hpa) -> u64;

    /// What `entry` in a table of `level` is.
    fn classify(&self, entry: u64, level: u8) -> Entry;

    /// The first of the 512 entries of level `level - 1` that together are the leaf `entry` of `level`, which is 2 or 3.
    fn split(&self, entry: u64, level: u8) -> u64;

    /// The table of `level - 1` that `entry` in a table of `level`, 2 or more, refers to, where a look at few bits shows it.
    ///
    /// `None` says nothing: [`classify`](Self::classify) knows. The walk asks this first.
    #[inline]
    fn follow(&self, entry: u64, level: u8) -> Option<Hpa> {
        match self.classify(entry, level) {
            Entry::Table(hpa) => Some(hpa),
            _ => None,
        }
    }

    /// The 4 KiB page without attributes that `entry` of level 1 is, where a look at few bits shows it. `None` says nothing, as in
    /// [`follow`](Self::follow).
    #[inline]
    fn page(&self, entry: u64) -> Option<(Hpa, Access, MemoryType)> {
        match self.classify(entry, 1) {
            Entry::Leaf { hpa, access, memory_type } if self.attributes(entry).is_empty() => {
                Some((hpa, access, memory_type))
            }
            _ => None,
        }
    }

    /// The bits of a leaf of `size` that say its memory type.
    fn memory_type_mask(&self, size: PageSize) -> u64;

    /// The value of the bits of [`memory_type_mask`](Self::memory_type_mask) for `memory_type`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] if the format cannot express `memory_type`. It does not depend on `size`.
    fn memory_type_bits(&self, memory_type: MemoryType, size: PageSize) -> Result<u64, Unsupported>;

    /// The bits of a leaf that say its attributes.
    fn attribute_mask(&self) -> u64 {
        0
    }

    /// The value of the bits of [`attribute_mask`](Self::attribute_mask) for `attributes`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] if the format lacks one of them.
    #[inline]
    fn attribute_bits(&self, attributes: PageAttributes) -> Result<u64, Unsupported> {
        if attributes.is_empty() { Ok(0) } else { Err(Unsupported::Attributes { attributes }) }
    }

    /// The attributes of the leaf `entry`.
    #[inline]
    fn attributes(&self, _entry: u64) -> PageAttributes {
        PageAttributes::NONE
    }

    /// The flags of a leaf that the processor sets: accessed, and dirty unless it says what is allowed.
    fn flags_mask(&self) -> u64;

    /// The dirty flag of a leaf, which is one of [`flags_mask`](Self::flags_mask).
    fn dirty_mask(&self) -> u64;

    /// The bit of a leaf without which nothing may be written.
    fn write_mask(&self) -> u64;

    /// A bit of a leaf that processors ignore, and that [`leaf`](Self::leaf) leaves clear: the dirty log has taken write access
    /// away.
    fn write_mark(&self) -> u64;

    /// The best way that the processor offers to find out what was written. Only with
    /// [`LogMethod::WriteProtection`] does it set no flags.
    fn log_method(&self) -> LogMethod;

    /// Whether nothing can be written to a leaf in which the bit of [`write_mask`](Self::write_mask) is clear, and that bit says no
    /// more: not where there are shadow stacks, or writes of the processor itself, that other bits allow.
    fn can_write_protect(&self) -> bool {
        true
    }

    /// The bits of a leaf that say what is allowed.
    fn access_mask(&self) -> u64;

    /// The value of the bits of [`access_mask`](Self::access_mask) that allows `access`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] if the format cannot express `access`.
    fn access_bits(&self, access: Access) -> Result<u64, Unsupported>;
}

/// What an entry of a nested page table is.
///
/// ```
/// use x86_virt_core::{Entry, Format, Hpa};
/// use x86_virt_ept::{EptCapabilities, EptFormat};
///
/// let format = EptFormat::new(EptCapabilities::from_bits(0x4040), 46)?;
/// assert_eq!(format.classify(format.table(Hpa::new(0x5000)), 4), Entry::Table(Hpa::new(0x5000)));
/// assert_eq!(format.classify(0, 1), Entry::Absent);
/// # Ok::<(), x86_virt_ept::EptUnsupported>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Entry {
    /// Nothing is mapped.
    Absent,
    /// The processor refuses it, and no format writes it: reserved bits, or a combination that is misconfigured. It is not followed.
    Invalid,
    /// A table of the next lower level.
    Table(Hpa),
    /// A page.
    Leaf {
        /// Where the page is.
        hpa: Hpa,
        /// What the guest may do.
        access: Access,
        /// The memory type.
        memory_type: MemoryType,
    },
}

/// What an entry format cannot express.
///
/// ```
/// use x86_virt_core::{Access, Unsupported};
///
/// let error = Unsupported::WriteWithoutRead { access: Access::WRITE };
/// assert_eq!(error.to_string(), "access -w-: no page can be written that cannot be read");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum Unsupported {
    /// No access at all: that is a page that is not mapped.
    #[error("no access: unmap the page instead")]
    NoAccess,
    /// Write without read.
    #[error("access {access}: no page can be written that cannot be read")]
    WriteWithoutRead {
        /// What was asked for.
        access: Access,
    },
    /// Execute without read, on a processor that has no execute-only pages.
    #[error("access {access}: this processor has no pages that can be executed but not read")]
    ExecuteOnly {
        /// What was asked for.
        access: Access,
    },
    /// Execute permission is to be withheld, and the host does not enable that.
    #[error("access {access}: execute permission cannot be withheld while EFER.NXE of the host is 0")]
    NoExecute {
        /// What was asked for.
        access: Access,
    },
    /// The processor sets no accessed and dirty flags.
    #[error("this processor, or the format of the tables, has no accessed and dirty flags")]
    Flags,
    /// Execution in one of the modes only, in tables that do not tell them apart.
    #[error("access {access}: these tables have neither mode-based execute control nor guest mode execute trap")]
    ModeBasedExecute {
        /// What was asked for.
        access: Access,
    },
    /// Execution in supervisor mode only, in tables that have guest mode execute trap.
    #[error("access {access}: with guest mode execute trap, what supervisor mode can execute, user mode can too")]
    SupervisorExecute {
        /// What was asked for.
        access: Access,
    },
    /// A supervisor shadow stack, in tables that do not have them.
    #[error("access {access}: these tables do not restrict supervisor shadow stacks to certain pages")]
    SupervisorShadowStack {
        /// What was asked for.
        access: Access,
    },
    /// A supervisor shadow stack that can be written as data is no shadow stack in nested page tables of AMD.
    #[error("access {access}: a supervisor shadow stack must be readable, and not writable as data")]
    WritableShadowStack {
        /// What was asked for.
        access: Access,
    },
    /// A supervisor shadow stack or paging-write access without read.
    #[error("access {access}: there is neither a supervisor shadow stack nor paging-write access without read access")]
    WithoutRead {
        /// What was asked for.
        access: Access,
    },
    /// Paging-write access, in tables that do not have it.
    #[error("access {access}: these tables do not have EPT paging-write control")]
    PagingWrite {
        /// What was asked for.
        access: Access,
    },
    /// Attributes that the tables do not have.
    #[error("these tables do not have pages with {attributes}")]
    Attributes {
        /// Those that they lack.
        attributes: PageAttributes,
    },
    /// The memory type has no encoding.
    #[error("memory type {memory_type} has no encoding")]
    MemoryType {
        /// What was asked for.
        memory_type: MemoryType,
    },
}
