//! RAM for whoever asks: page tables, control structures, guests. It is never given back.

#![expect(unsafe_code, reason = "clears memory")]

use core::{ops::Range, ptr, ptr::NonNull};

use spin::Mutex;

use crate::arg;

/// What there is to take begins after the global allocator.
const START: usize = 32 << 20;
/// Where it ends, in MiB, unless the command line says so.
const END_MIB: usize = 512;
/// RAM that is at addresses as high as devices is none.
const LAST_MIB: usize = 3584;
/// How many ranges can be taken at an address of the caller's choice.
const MAX_EXACT: usize = 64;

static MEMORY: Mutex<Memory> = Mutex::new(Memory { next: START, exact: [const { 0..0 }; MAX_EXACT], exact_count: 0 });

/// A range of RAM which belongs to its owner alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Region {
    /// Not 0; RAM and mapped for `len` bytes, which no other `Region` has.
    address: usize,
    len: usize,
}

impl Region {
    /// The physical address, which is also the virtual one.
    pub fn address(&self) -> u64 {
        u64::from_le_bytes(self.address.to_le_bytes())
    }

    /// The size in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first byte. It may be read and written as long as the region's owner does not do so by another pointer.
    pub fn as_ptr(&self) -> NonNull<u8> {
        NonNull::new(ptr::with_exposed_provenance_mut(self.address)).expect("RAM starts after 0")
    }
}

/// Takes `bytes` bytes at a multiple of `align`. Their contents are arbitrary.
///
/// `None` if there is not that much left, or `bytes` or `align` is 0.
pub fn take(bytes: usize, align: usize) -> Option<Region> {
    MEMORY.lock().take(bytes, align)
}

/// Takes memory like [`take`], and clears it.
pub fn take_zeroed(bytes: usize, align: usize) -> Option<Region> {
    let region = take(bytes, align)?;
    // SAFETY: the region is RAM, mapped, and nobody else's.
    unsafe { region.as_ptr().write_bytes(0, region.len) };
    Some(region)
}

/// Takes the `bytes` bytes at `address`. Their contents are arbitrary.
///
/// `None` if part of them is not in the RAM from 32 MiB to the [`end`], may have been taken before (everything below the
/// last region of [`take`] counts as taken), if `bytes` is 0, or after 64 such regions.
pub fn take_at(address: u64, bytes: usize) -> Option<Region> {
    MEMORY.lock().take_at(usize::try_from(address).ok()?, bytes)
}

/// Where RAM ends: what the word `ram=` of the command line says, in MiB, else 512 MiB.
///
/// # Panics
///
/// If the word is not a number from 33 to 3584.
pub fn end() -> usize {
    let mib = match arg("ram") {
        None => END_MIB,
        Some(value) => match value.parse() {
            Ok(mib @ 33..=LAST_MIB) => mib,
            _ => panic!("ram={value} is not a number from 33 to {LAST_MIB}"),
        },
    };
    mib << 20
}

struct Memory {
    /// Everything before is taken.
    next: usize,
    /// The first `exact_count` are taken too, the rest are empty.
    exact: [Range<usize>; MAX_EXACT],
    exact_count: usize,
}

impl Memory {
    fn take(&mut self, bytes: usize, align: usize) -> Option<Region> {
        let mut start = self.next.checked_next_multiple_of(align)?;
        loop {
            let range = range(start, bytes)?;
            match self.exact_at(&range) {
                Some(taken) => start = taken.end.checked_next_multiple_of(align)?,
                None => {
                    self.next = range.end;
                    return Some(Region { address: start, len: bytes });
                }
            }
        }
    }

    fn take_at(&mut self, address: usize, bytes: usize) -> Option<Region> {
        let range = range(address, bytes)?;
        if range.start < self.next || self.exact_at(&range).is_some() {
            return None;
        }
        *self.exact.get_mut(self.exact_count)? = range;
        self.exact_count += 1;
        Some(Region { address, len: bytes })
    }

    /// The range taken by address that overlaps `range`.
    fn exact_at(&self, range: &Range<usize>) -> Option<&Range<usize>> {
        self.exact.iter().find(|taken| taken.start < range.end && range.start < taken.end)
    }
}

/// The range of `bytes` bytes at `start`, if it is RAM and not empty.
fn range(start: usize, bytes: usize) -> Option<Range<usize>> {
    let end = start.checked_add(bytes)?;
    (bytes != 0 && START <= start && end <= self::end()).then_some(start..end)
}
