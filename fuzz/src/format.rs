//! The contract of [`Format`], which the walk trusts.

use arbitrary::Arbitrary;
use x86_virt::{Access, Entry, Format, Hpa, MemoryType, PageAttributes, PageSize};

const SIZES: [PageSize; 3] = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// What a format is asked.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Question {
    hpa: u64,
    access: Access,
    other_access: Access,
    memory_type: MemoryType,
    attributes: PageAttributes,
    /// Any number, as a processor or a bug may leave it in a table.
    entry: u64,
    /// What the walk keeps in bits 61:52 of an entry for a table.
    count: u16,
    part: u16,
}

impl Question {
    /// An address of a frame.
    #[must_use]
    pub const fn hpa(&self) -> Hpa {
        Hpa::new(self.hpa & ADDRESS)
    }
}

/// Checks what [`Format`] promises.
///
/// # Panics
///
/// Where a promise does not hold.
pub fn check<F: Format>(format: &F, question: &Question) {
    let flags = format.flags_mask();
    absent(format, question);
    assert!(matches!(format.levels(), 4 | 5) && (32..=52).contains(&format.address_width()), "{format:?}");
    any_entry(format, question.entry);
    table(format, question);
    // A larger page than the processor has is no entry of its tables.
    for size in SIZES.into_iter().filter(|size| size.level() <= format.largest_page().level()) {
        leaf(format, flags, size, question);
    }
}

/// Any number is an entry, and what it refers to is a frame below 2^52.
fn any_entry<F: Format>(format: &F, entry: u64) {
    for level in 1..=format.levels() {
        match format.classify(entry, level) {
            Entry::Absent => {}
            Entry::Invalid => assert_ne!(entry & !ADDRESS, 0, "an address alone is no entry"),
            Entry::Table(hpa) => {
                assert!(level > 1, "a table below level 1");
                assert_eq!(hpa.get(), entry & ADDRESS, "{entry:#x} at {level}");
            }
            Entry::Leaf { hpa, .. } => {
                assert!(PageSize::of_level(level).is_some(), "a page at level {level}");
                assert_eq!(hpa.get() & !(entry & ADDRESS), 0, "{entry:#x} at {level}");
            }
        }
        assert_eq!(format.classify(entry & ADDRESS, level), Entry::Absent, "bits 11:0 and 63:52 are clear");
    }
}

/// The address without the bits that physical addresses do not have.
fn inside<F: Format>(format: &F, hpa: Hpa) -> Hpa {
    Hpa::new(hpa.get() & ((1 << format.address_width()) - 1))
}

/// What maps nothing does so at each level, also as a link between spare frames.
fn absent<F: Format>(format: &F, question: &Question) {
    let absent = format.absent();
    assert_eq!(absent & 0x000f_ffff_ffff_ffff, 0, "{absent:#x}");
    for level in 1..=format.levels() {
        for entry in [absent, absent | question.hpa().get()] {
            assert_eq!(format.classify(entry, level), Entry::Absent, "{entry:#x} at {level}");
        }
    }
}

/// An entry for a table is one, whatever count is in it.
fn table<F: Format>(format: &F, question: &Question) {
    let hpa = inside(format, question.hpa());
    let entry = format.table(hpa);
    assert_eq!(entry >> 52, 0, "{entry:#x}: the walk keeps a count there");
    assert_eq!(format.table(Hpa::new(question.hpa & !ADDRESS | hpa.get())), entry, "what is no address is masked");
    let counted = entry | u64::from(question.count & 0x3ff) << 52;
    for level in 2..=format.levels() {
        assert_eq!(format.classify(counted, level), Entry::Table(hpa), "{counted:#x} at {level}");
    }
}

fn leaf<F: Format>(format: &F, flags: u64, size: PageSize, question: &Question) {
    let Question { access, memory_type, .. } = *question;
    let hpa = inside(format, question.hpa()).align_down(size);
    let made = format.leaf(hpa, size, access, memory_type);
    // Whether it can be expressed depends on neither address nor size.
    let base = format.leaf(Hpa::new(0), size, access, memory_type);
    assert_eq!(format.leaf(Hpa::new(0), PageSize::Size4K, access, memory_type).err(), made.err());
    assert_eq!(base.map(|base| base | hpa.get()), made, "an address in place");
    let Ok(entry) = made else { return };
    let entry = with_attributes(format, entry, size, question);
    let read = Entry::Leaf { hpa, access, memory_type };
    assert_eq!(format.classify(entry, size.level()), read, "{entry:#x}");
    assert_eq!(format.classify(entry | flags, size.level()), read, "{entry:#x} after use");
    split(format, flags, size, question, (entry | flags, read));
    protect(format, entry | flags, size, question, hpa);
    log(format, entry, size, read);
}

/// The leaf with the attributes, if the format has them and the page can.
fn with_attributes<F: Format>(format: &F, entry: u64, size: PageSize, question: &Question) -> u64 {
    let attributes = question.attributes;
    let masks = [format.access_mask(), format.memory_type_mask(size), format.attribute_mask(), format.flags_mask()];
    let together = masks.iter().fold(0, |all, mask| {
        assert_eq!(all & mask, 0, "{masks:x?} overlap");
        all | mask
    });
    assert_eq!((entry & format.attribute_mask(), together & ADDRESS & !0x1000), (0, 0), "{entry:#x}");
    assert_eq!(format.attributes(entry), PageAttributes::NONE, "{entry:#x}");
    let is_small = attributes.contains(PageAttributes::SUB_PAGE_WRITE);
    match format.attribute_bits(attributes) {
        Ok(bits) if size == PageSize::Size4K || !is_small => {
            assert_eq!((bits & !format.attribute_mask(), format.attributes(entry | bits)), (0, attributes));
            entry | bits
        }
        _ => entry,
    }
}

/// The parts of a large page together are the page.
fn split<F: Format>(format: &F, flags: u64, size: PageSize, question: &Question, (entry, page): (u64, Entry)) {
    let Entry::Leaf { hpa, access, memory_type } = page else { return };
    let Some(smaller) = PageSize::of_level(size.level() - 1) else { return };
    let first = format.split(entry, size.level());
    let kept = flags | entry & format.attribute_mask();
    assert_eq!(Ok(first), format.leaf(hpa, smaller, access, memory_type).map(|made| made | kept), "of {entry:#x}");
    let part = u64::from(question.part % 512);
    let at = part * smaller.bytes();
    let expected = Entry::Leaf { hpa: Hpa::new(hpa.get() + at), access, memory_type };
    assert_eq!(format.classify(first + at, smaller.level()), expected, "part {part} of {entry:#x}");
}

/// A dirty log takes write access away and gives it back, and changes nothing else.
fn log<F: Format>(format: &F, entry: u64, size: PageSize, read: Entry) {
    let (write, mark, flags) = (format.write_mask(), format.write_mark(), format.flags_mask());
    assert_eq!((write.count_ones(), mark.count_ones()), (1, 1));
    assert!(format.dirty_mask().count_ones() == 1 || !format.can_write_protect() && format.dirty_mask() == 0);
    assert_eq!(format.dirty_mask() & !flags, 0, "a flag");
    assert_eq!((write | flags) & mark | entry & mark | write & flags, 0, "{entry:#x}: bits of their own");
    let Entry::Leaf { hpa, access, memory_type } = read else { return };
    assert_eq!(entry & write != 0, access.contains(Access::WRITE), "{entry:#x}");
    if !format.can_write_protect() {
        return;
    }
    if entry & write != 0 {
        assert_eq!(format.classify(entry & !write | mark, size.level()), read, "as the caller has it");
        let Entry::Leaf { access: less, .. } = format.classify(entry & !write, size.level()) else {
            panic!("{entry:#x} is no page without write access")
        };
        let without = Entry::Leaf { hpa, access: less, memory_type };
        assert_eq!(format.classify(entry & !write, size.level()), without);
        assert!(!less.contains(Access::WRITE) && less.union(Access::WRITE) == access, "{entry:#x}");
    }
    assert_eq!(format.classify(entry | mark | write, size.level()), format.classify(entry | write, size.level()));
}

/// Other permissions change nothing else, and allow no more.
fn protect<F: Format>(format: &F, entry: u64, size: PageSize, question: &Question, hpa: Hpa) {
    let access = question.other_access;
    let Ok(bits) = format.access_bits(access) else { return };
    assert_eq!(bits & !format.access_mask(), 0, "{bits:#x}");
    let changed = entry & !format.access_mask() | bits;
    let expected = Entry::Leaf { hpa, access, memory_type: question.memory_type };
    assert_eq!(format.classify(changed, size.level()), expected, "{changed:#x}, which was {entry:#x}");
    assert_eq!(format.attributes(changed), format.attributes(entry), "{changed:#x}, which was {entry:#x}");
}
