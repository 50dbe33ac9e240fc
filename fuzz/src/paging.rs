//! Changes of an address space against a list of ranges.
#![expect(unsafe_code, reason = "maps physical addresses that nobody accesses")]

use core::ops::Range;

use arbitrary::{Arbitrary, Unstructured};
use x86_virt::{
    Access, AddressSpace, Format, FramePool, Gpa, Hpa, MapError, MapPagesError, Mapping, MemoryType, PageAttributes,
    PageSize, Translation,
};

use crate::machine::{self, FRAMES};

/// The page at which changes are centred: the border of two entries of level 4, and so of all levels below.
const CENTRE: u64 = 1 << 27;
/// No address from here on is in the memory of the machine.
const PHYSICAL: u64 = 0x4000_0000;
/// Pages of 4 KiB in pages of the other sizes.
const LARGE: [u64; 3] = [1, 1 << 9, 1 << 18];

/// A number of pages: a multiple of the pages in a page of one size, and a bit more or less.
#[derive(Clone, Copy, Debug)]
pub struct Border(u64);

impl<'a> Arbitrary<'a> for Border {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let [unit, count, offset, ..] = u32::arbitrary(bytes)?.to_le_bytes();
        let unit = LARGE.get(usize::from(unit % 3)).copied().unwrap_or(1);
        let offset = u64::from(offset >> 4) * u64::from(offset & 1);
        Ok(Self(
            (u64::from(count % 5) * unit + offset).saturating_sub(u64::from(offset != 0 && count & 0x80 != 0) * 16),
        ))
    }
}

/// A change.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Step {
    /// Maps pages to physical ones.
    Map {
        /// First page, from two large pages before the centre on.
        first: Border,
        /// How many pages.
        pages: Border,
        /// First physical page.
        to: Border,
        /// How.
        mapping: Mapping,
    },
    /// Maps pages of 4 KiB, each so far from the one before, in one call.
    MapPages {
        /// First page.
        first: Border,
        /// From one page to the next.
        step: u16,
        /// How many pages, of which the low five bits count.
        pages: u8,
        /// First physical page.
        to: Border,
        /// How.
        mapping: Mapping,
    },
    /// Moves pages to other physical ones.
    Remap {
        /// First page.
        first: Border,
        /// How many pages.
        pages: Border,
        /// First physical page.
        to: Border,
    },
    /// Unmaps pages.
    Unmap {
        /// First page.
        first: Border,
        /// How many pages.
        pages: Border,
    },
    /// Changes permissions.
    Protect {
        /// First page.
        first: Border,
        /// How many pages.
        pages: Border,
        /// What is allowed then.
        access: Access,
    },
    /// Changes attributes.
    SetAttributes {
        /// First page.
        first: Border,
        /// How many pages.
        pages: Border,
        /// What they are then.
        attributes: PageAttributes,
    },
    /// Changes the memory type.
    SetMemoryType {
        /// First page.
        first: Border,
        /// How many pages.
        pages: Border,
        /// What it is then.
        memory_type: MemoryType,
    },
    /// Splits pages.
    Split {
        /// First page.
        first: Border,
        /// How many pages.
        pages: Border,
        /// To what.
        size: PageSize,
    },
    /// Merges pages.
    Merge {
        /// First page.
        first: Border,
        /// How many pages.
        pages: Border,
    },
    /// Gives spare frames back.
    Trim,
}

/// Pages that were mapped by one change, or what others have left of them.
#[derive(Clone, Copy, Debug)]
struct Piece {
    first: u64,
    end: u64,
    hpa: u64,
    mapping: Mapping,
}

/// What is mapped, in no order; and whether pages were merged, so that they may be larger than those that were mapped.
#[derive(Debug, Default)]
struct Model(Vec<Piece>, bool);

impl Model {
    fn at(&self, page: u64) -> Option<Piece> {
        self.0.iter().copied().find(|piece| (piece.first..piece.end).contains(&page))
    }

    /// The first mapped page of the range.
    fn mapped(&self, range: &Range<u64>) -> Option<u64> {
        let inside = self.0.iter().filter(|piece| piece.first < range.end && range.start < piece.end);
        inside.map(|piece| piece.first.max(range.start)).min()
    }

    /// The first page of the range that is not mapped.
    fn gap(&self, range: &Range<u64>) -> Option<u64> {
        let mut page = range.start;
        while page < range.end {
            match self.at(page) {
                Some(piece) => page = piece.end,
                None => return Some(page),
            }
        }
        None
    }

    /// Takes the range out, and returns what was there.
    fn cut(&mut self, range: &Range<u64>) -> Vec<Piece> {
        let mut cut = Vec::new();
        for piece in core::mem::take(&mut self.0) {
            let part = |first: u64, end: u64| {
                let moved = first.wrapping_sub(piece.first).wrapping_mul(4096);
                (first < end).then(|| Piece { first, end, hpa: piece.hpa.wrapping_add(moved), ..piece })
            };
            self.0.extend(part(piece.first, piece.end.min(range.start)));
            self.0.extend(part(piece.first.max(range.end), piece.end));
            cut.extend(part(piece.first.max(range.start), piece.end.min(range.end)));
        }
        cut
    }
}

/// Does the steps with tables in `frames` frames, and compares what is mapped, what is refused, and how many frames are in use.
///
/// # Panics
///
/// Where the space and the model differ.
pub fn check<F: Format>(format: F, frames: usize, steps: &[Step]) {
    let pool = machine::pool(frames);
    let donated = pool.free_frames();
    let Ok(mut space) = AddressSpace::new(format, &pool) else { panic!("no frame for the root") };
    let mut model = Model::default();
    for step in steps {
        let before = (space.tables(), space.spare(), pool.free_frames(), space.generation());
        let (range, result) = perform(&mut space, &mut model, step);
        let after = (space.tables(), space.spare(), pool.free_frames(), space.generation());
        if result.is_err() && !matches!(step, Step::MapPages { .. }) {
            assert_eq!(after, before, "{step:?} changed something and failed: {result:?}");
        }
        assert_eq!(space.frames_in_use() + pool.free_frames(), donated);
        for page in
            [range.start.wrapping_sub(1), range.start, range.start.midpoint(range.end), range.end - 1, range.end]
        {
            compare(&space, &model, page);
        }
    }
    for piece in &model.0 {
        for page in
            [piece.first.wrapping_sub(1), piece.first, piece.first.midpoint(piece.end), piece.end - 1, piece.end]
        {
            compare(&space, &model, page);
        }
    }
    empty(space, &pool);
    assert_eq!(pool.free_frames(), donated);
}

/// Whatever happened, all can be unmapped, run by run, and nothing but the root is left.
fn empty<F: Format>(space: AddressSpace<'_, F, &FramePool<FRAMES>>, pool: &FramePool<FRAMES>) {
    // A page is in one run, also one that was merged from pieces, so no page has to be split for that, and no frame is needed.
    while let Some(run) = space.ranges().next() {
        match run.and_then(|run| space.unmap(run.gpa)) {
            Ok(invalidation) => invalidation.at_next_entry(),
            Err(error) => panic!("{error}, {} frames are free", pool.free_frames()),
        }
    }
    assert_eq!(space.tables(), 1);
}

type Space<'p, F> = AddressSpace<'p, F, &'p FramePool<FRAMES>>;

/// Does the step in the space and in the model; the pages concerned, and the result.
fn perform<F: Format>(space: &mut Space<'_, F>, model: &mut Model, step: &Step) -> (Range<u64>, Result<(), MapError>) {
    let Some(range) = range(step) else {
        let spare = space.spare();
        assert_eq!((space.trim(), space.spare()), (spare, 0));
        return (CENTRE..CENTRE + 1, Ok(()));
    };
    let generation = space.generation();
    let moved_on = |token: x86_virt::Invalidation| assert_eq!(token.generation(), generation + 1);
    let (result, expected) = match *step {
        Step::Map { to, mapping, .. } => {
            let hpa = Hpa::new(PHYSICAL + to.0 * 4096);
            // SAFETY: no guest runs, and the machine has no pointer to the addresses.
            let result = unsafe { space.map_physical(addresses(&range), hpa, mapping) };
            (result, map(space, model, &range, hpa, mapping))
        }
        Step::MapPages { step, pages, to, mapping, .. } => {
            return (range.clone(), map_pages(space, model, range.start, (step, pages & 31, to), mapping));
        }
        Step::Remap { to, .. } => {
            let hpa = Hpa::new(PHYSICAL + to.0 * 4096);
            // SAFETY: no guest runs, and the machine has no pointer to the addresses.
            let result = unsafe { space.remap_physical(addresses(&range), hpa) }.map(moved_on);
            (result, host(space.format(), &range, hpa).and_then(|()| not_mapped(space.format(), model, &range)))
        }
        Step::SetMemoryType { memory_type, .. } => {
            let unsupported = space.format().memory_type_bits(memory_type, PageSize::Size4K);
            let result = space.set_memory_type(addresses(&range), memory_type).map(moved_on);
            (result, unsupported.map_err(MapError::from).and_then(|_| not_mapped(space.format(), model, &range)))
        }
        Step::Split { size, .. } => {
            let Range { start, end } = addresses(&range);
            let is_aligned = start.is_aligned(size) && end.is_aligned(size);
            let refused = MapError::CannotSplit { start, end, size };
            let possible = if size == PageSize::Size1G || !is_aligned { Err(refused) } else { Ok(()) };
            (
                space.split(start..end, size).map(moved_on),
                possible.and_then(|()| not_mapped(space.format(), model, &range)),
            )
        }
        Step::Merge { .. } => (space.merge(addresses(&range)).map(moved_on), Ok(())),
        Step::Unmap { .. } => (space.unmap(addresses(&range)).map(moved_on), not_mapped(space.format(), model, &range)),
        Step::Protect { access, .. } => {
            let unsupported = space.format().access_bits(access).map(drop).map_err(MapError::from);
            let result = space.protect(addresses(&range), access).map(moved_on);
            (result, unsupported.and_then(|()| not_mapped(space.format(), model, &range)))
        }
        Step::SetAttributes { attributes, .. } => {
            let unsupported = space.format().attribute_bits(attributes).map(drop).map_err(MapError::from);
            let result = space.set_attributes(addresses(&range), attributes).map(moved_on);
            (result, unsupported.and_then(|()| not_mapped(space.format(), model, &range)))
        }
        Step::Trim => (Ok(()), Ok(())),
    };
    // Memory may run out at any change. Else it is the model that says what happens.
    if !matches!(result, Err(MapError::OutOfFrames(_))) {
        assert_eq!(result, expected, "{step:?}");
    } else {
        assert_eq!(expected, Ok(()), "{step:?}: frames were asked for in vain");
    }
    if result.is_ok() {
        apply(model, &range, step);
    }
    (range, result)
}

/// Maps pages one by one in the model, and all in one call in the space.
fn map_pages<F: Format>(
    space: &Space<'_, F>,
    model: &mut Model,
    first: u64,
    (step, count, to): (u16, u8, Border),
    mapping: Mapping,
) -> Result<(), MapError> {
    let before = (space.generation(), space.frames_in_use());
    let page = |nth: u8| (first + u64::from(nth) * u64::from(step), PHYSICAL + (to.0 + u64::from(nth)) * 4096);
    let list = (0..count).map(page).map(|(page, hpa)| (Gpa::new(page * 4096), Hpa::new(hpa)));
    // SAFETY: no guest runs, and the machine has no pointer to the addresses.
    let result = unsafe { space.map_physical_pages(list, mapping) };
    assert_eq!(space.generation(), before.0, "nothing is to be invalidated");
    for nth in 0..count {
        let (page, hpa) = page(nth);
        let range = page..page + 1;
        let expected = map(space, model, &range, Hpa::new(hpa), mapping);
        match result {
            Err(MapPagesError { mapped, error }) if mapped == usize::from(nth) => {
                let is_out_of_frames = matches!(error, MapError::OutOfFrames(_)) && expected == Ok(());
                assert!(is_out_of_frames || expected == Err(error), "page {nth}: {error}, and not {expected:?}");
                assert!(nth > 0 || space.frames_in_use() == before.1);
                return Err(error);
            }
            _ => assert_eq!(expected, Ok(()), "page {nth}"),
        }
        model.0.push(Piece { first: page, end: page + 1, hpa, mapping });
        compare(space, model, page);
    }
    assert_eq!(result, Ok(()));
    Ok(())
}

fn range(step: &Step) -> Option<Range<u64>> {
    if let Step::MapPages { first, .. } = *step {
        let first = CENTRE - 2 * LARGE[2] + first.0;
        return Some(first..first + 1);
    }
    let (first, pages) = match *step {
        Step::Map { first, pages, .. }
        | Step::Remap { first, pages, .. }
        | Step::SetMemoryType { first, pages, .. }
        | Step::Split { first, pages, .. }
        | Step::Merge { first, pages }
        | Step::Unmap { first, pages }
        | Step::Protect { first, pages, .. }
        | Step::SetAttributes { first, pages, .. } => (first, pages),
        Step::MapPages { .. } | Step::Trim => return None,
    };
    let first = CENTRE - 2 * LARGE[2] + first.0;
    Some(first..first + pages.0.max(1))
}

fn addresses(range: &Range<u64>) -> Range<Gpa> {
    Gpa::new(range.start * 4096)..Gpa::new(range.end * 4096)
}

/// Why the range cannot be mapped, if the frames suffice.
fn map<F: Format>(
    space: &Space<'_, F>,
    model: &Model,
    range: &Range<u64>,
    hpa: Hpa,
    mapping: Mapping,
) -> Result<(), MapError> {
    let format = space.format();
    host(format, range, hpa)?;
    let bytes = (range.end - range.start) * 4096;
    format.attribute_bits(mapping.attributes)?;
    format.leaf(Hpa::new(0), PageSize::Size4K, mapping.access, mapping.memory_type)?;
    let (largest, smallest) = (largest(mapping), mapping.smallest);
    let is_in_phase = |size: PageSize| (range.start * 4096).wrapping_sub(hpa.get()).is_multiple_of(size.bytes());
    let is_whole =
        |size: PageSize| (range.start * 4096).is_multiple_of(size.bytes()) && bytes.is_multiple_of(size.bytes());
    let has = |size: PageSize| size.level() <= largest.level().min(format.largest_page().level());
    if smallest != PageSize::Size4K && !(is_in_phase(smallest) && is_whole(smallest) && has(smallest)) {
        return Err(MapError::PageSize { gpa: Gpa::new(range.start * 4096), size: smallest });
    }
    let Some(page) = model.mapped(range) else { return Ok(()) };
    let gpa = Gpa::new(page * 4096);
    // The model does not know of what size pages are: that is compared where they are translated.
    let level = space.translate(gpa).map_or(0, |to| to.size.level());
    Err(MapError::AlreadyMapped { gpa, level })
}

/// Whether pages of the range can be at `hpa` and so on.
fn host<F: Format>(format: &F, range: &Range<u64>, hpa: Hpa) -> Result<(), MapError> {
    let (bytes, width) = ((range.end - range.start) * 4096, format.address_width());
    if hpa.get() + bytes > 1 << width {
        return Err(MapError::BeyondHostWidth { hpa, bytes, width });
    }
    Ok(())
}

fn not_mapped<F: Format>(format: &F, model: &Model, range: &Range<u64>) -> Result<(), MapError> {
    let Some(page) = model.gap(range) else { return Ok(()) };
    // The highest entry that covers nothing that is mapped.
    let is_empty = |level: &u8| {
        let pages = 1 << (9 * (u32::from(*level) - 1));
        let first = page / pages * pages;
        model.mapped(&(first..first + pages)).is_none()
    };
    let level = (1..=format.levels()).rev().find(is_empty).unwrap_or(0);
    Err(MapError::NotMapped { gpa: Gpa::new(page * 4096), level })
}

fn apply(model: &mut Model, range: &Range<u64>, step: &Step) {
    if let Step::Merge { .. } = step {
        model.1 = true;
        return;
    }
    let cut = model.cut(range).into_iter();
    let change = |piece: Piece, mapping| Piece { mapping, ..piece };
    match *step {
        Step::Map { to, mapping, .. } => {
            model.0.push(Piece { first: range.start, end: range.end, hpa: PHYSICAL + to.0 * 4096, mapping });
        }
        Step::Remap { to, .. } => model
            .0
            .extend(cut.map(|piece| Piece { hpa: PHYSICAL + (to.0 + piece.first - range.start) * 4096, ..piece })),
        Step::Protect { access, .. } => {
            model.0.extend(cut.map(|piece| change(piece, Mapping { access, ..piece.mapping })));
        }
        Step::SetAttributes { attributes, .. } => {
            model.0.extend(cut.map(|piece| change(piece, Mapping { attributes, ..piece.mapping })));
        }
        Step::SetMemoryType { memory_type, .. } => {
            model.0.extend(cut.map(|piece| change(piece, Mapping { memory_type, ..piece.mapping })));
        }
        Step::Split { size, .. } => {
            let largest = |piece: Piece| piece.mapping.largest.min(size);
            model.0.extend(cut.map(|piece| change(piece, Mapping { largest: largest(piece), ..piece.mapping })));
        }
        Step::Unmap { .. } | Step::MapPages { .. } | Step::Merge { .. } | Step::Trim => {}
    }
}

/// The largest page that the mapping, with its attributes, can have.
fn largest(mapping: Mapping) -> PageSize {
    if mapping.attributes.contains(PageAttributes::SUB_PAGE_WRITE) { PageSize::Size4K } else { mapping.largest }
}

/// What the page is mapped to, and that the page which the tables have there is all one mapping.
fn compare<F: Format>(space: &Space<'_, F>, model: &Model, page: u64) {
    const OFFSET: u64 = 0x123;
    let found = space.translate(Gpa::new(page * 4096 + OFFSET));
    let Some(piece) = model.at(page) else {
        assert_eq!(found, None, "page {page:#x} is not mapped");
        return;
    };
    let Some(Translation { hpa, size, access, memory_type, attributes }) = found else {
        panic!("page {page:#x} is mapped: {piece:?}")
    };
    assert_eq!(hpa.get(), piece.hpa + (page - piece.first) * 4096 + OFFSET);
    assert_eq!((access, memory_type), (piece.mapping.access, piece.mapping.memory_type));
    assert_eq!(attributes, piece.mapping.attributes);
    if model.1 {
        return;
    }
    assert!(size <= largest(piece.mapping) && size <= space.format().largest_page(), "{size} page");
    let pages = size.bytes() / 4096;
    let first = page / pages * pages;
    assert!(piece.first <= first && first + pages <= piece.end, "the {size} page around {page:#x} leaves {piece:?}");
}
