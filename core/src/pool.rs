//! A ready allocator of frames.

use core::fmt;
use core::ops::Range;
use core::ptr::NonNull;

use spin::Mutex;

use crate::addr::{Hpa, PageSize};
use crate::direct_map::DirectMap;
use crate::frame::{FRAME_BYTES, Frames};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Not donated.
    Absent,
    Free,
    Used,
}

#[derive(Debug)]
struct Window<const FRAMES: usize> {
    states: [State; FRAMES],
    /// Where the next search starts.
    cursor: usize,
    donated: usize,
    free: usize,
}

/// An allocator of frames in a window of `FRAMES` frames of physical memory, which starts empty.
///
/// It takes one byte for each frame and no memory from anyone else, so that it can be a `static`. Its handle is
/// `&FramePool`. A frame is searched from where the last one was found; allocation spins while another processor allocates.
///
/// ```
/// use x86_virt_core::{DirectMap, DonateError, FramePool, Frames, Hpa};
///
/// // SAFETY: no frame is accessed in this example. A hypervisor says here where its direct map is.
/// static POOL: FramePool<1024> = FramePool::new(Hpa::new(0x100_0000), unsafe { DirectMap::new(0, Hpa::new(1 << 32)) });
///
/// // SAFETY: as above. A hypervisor donates memory that the memory map says is free.
/// unsafe { POOL.donate(Hpa::new(0x100_2000)..Hpa::new(0x100_4000))? };
/// // SAFETY: refused: the frame was handed over already.
/// let twice = unsafe { POOL.donate(Hpa::new(0x100_3000)..Hpa::new(0x100_5000)) };
/// assert_eq!(twice, Err(DonateError::AlreadyDonated { hpa: Hpa::new(0x100_3000) }));
///
/// let frames = &POOL;
/// assert_eq!(frames.allocate(2), Some(Hpa::new(0x100_2000)));
/// assert_eq!(frames.allocate(1), None);
/// # Ok::<(), DonateError>(())
/// ```
pub struct FramePool<const FRAMES: usize> {
    base: Hpa,
    map: DirectMap,
    width: u8,
    window: Mutex<Window<FRAMES>>,
}

impl<const FRAMES: usize> FramePool<FRAMES> {
    /// Makes a pool without frames for the window from `base` on, of which the host reaches what `map` says.
    #[must_use]
    pub const fn new(base: Hpa, map: DirectMap) -> Self {
        let window = Window { states: [State::Absent; FRAMES], cursor: 0, donated: 0, free: 0 };
        Self { base, map, width: 52, window: Mutex::new(window) }
    }

    /// The same for a processor whose physical addresses have `width` bits, as CPUID says. Without this it is 52.
    ///
    /// Intel SDM vol. 3, section 4.1.4, "Enumeration of Paging Features by CPUID".
    #[must_use]
    pub const fn with_address_width(self, width: u8) -> Self {
        Self { width, ..self }
    }

    /// Hands the frames of the range over to the pool, for good.
    ///
    /// # Errors
    ///
    /// [`DonateError`]; nothing is changed then.
    ///
    /// # Safety
    ///
    /// The memory is ordinary write-back memory, is part of no Rust object, and nothing but the pool and those who allocate
    /// from it use it from now on.
    #[expect(unsafe_code, reason = "the caller's promise about memory")]
    pub unsafe fn donate(&self, range: Range<Hpa>) -> Result<(), DonateError> {
        for hpa in [self.base, range.start, range.end] {
            if !hpa.is_aligned(PageSize::Size4K) {
                return Err(DonateError::Misaligned { hpa });
            }
        }
        if range.start >= range.end {
            return Err(DonateError::EmptyRange { start: range.start, end: range.end });
        }
        let last = Hpa::new(range.end.get() - 1);
        if last.get().checked_shr(u32::from(self.width)).unwrap_or(0) != 0 {
            return Err(DonateError::BeyondWidth { hpa: last.align_down(PageSize::Size4K), width: self.width });
        }
        for hpa in [range.start, last] {
            if self.map.pointer(hpa).is_none() {
                return Err(DonateError::Unreachable { hpa: hpa.align_down(PageSize::Size4K) });
            }
        }
        let first = self.index(range.start).ok_or(DonateError::Outside { hpa: range.start })?;
        let last = self.index(last).ok_or(DonateError::Outside { hpa: last.align_down(PageSize::Size4K) })?;
        let mut window = self.window.lock();
        let states = window.states.get_mut(first..=last).unwrap_or_default();
        if let Some(taken) = states.iter().position(|state| *state != State::Absent) {
            return Err(DonateError::AlreadyDonated { hpa: self.hpa(first + taken) });
        }
        states.fill(State::Free);
        let count = last - first + 1;
        window.donated += count;
        window.free += count;
        Ok(())
    }

    /// How many frames were donated.
    pub fn donated(&self) -> usize {
        self.window.lock().donated
    }

    /// How many frames are free.
    pub fn free_frames(&self) -> usize {
        self.window.lock().free
    }

    fn index(&self, hpa: Hpa) -> Option<usize> {
        let offset = hpa.get().checked_sub(self.base.get())?;
        usize::try_from(offset >> PageSize::Size4K.shift()).ok().filter(|index| *index < FRAMES)
    }

    /// The address of a frame of the window, which ends below 2^52 where frames were donated.
    fn hpa(&self, index: usize) -> Hpa {
        let offset = u64::try_from(index.saturating_mul(FRAME_BYTES)).unwrap_or(u64::MAX);
        Hpa::new(self.base.get().saturating_add(offset))
    }
}

impl<const FRAMES: usize> Window<FRAMES> {
    /// The first of `count` free frames in a row, from `start` on.
    fn search(&self, start: usize, count: usize) -> Option<usize> {
        let mut run = 0;
        for (index, state) in self.states.iter().enumerate().skip(start) {
            run = if *state == State::Free { run + 1 } else { 0 };
            if run == count {
                return Some(index + 1 - count);
            }
        }
        None
    }
}

// SAFETY: what is `Free` was donated, so the donor's promise holds for it: aligned ordinary memory that is no Rust object.
// `allocate` makes it `Used` under the lock, and so does not return it again until `free` makes it `Free`. `donate` refuses
// frames that the map does not reach; `DirectMap::new` promises that the pointer is valid for reads and writes, that pointers
// to adjacent frames are adjacent, and the same of guest memory. `pointer` is that of the map. A copied reference is the same pool.
#[expect(unsafe_code, reason = "is an allocator")]
unsafe impl<const FRAMES: usize> Frames for &FramePool<FRAMES> {
    fn allocate(&self, count: usize) -> Option<Hpa> {
        if count == 0 {
            return None;
        }
        let mut window = self.window.lock();
        if window.free < count {
            return None;
        }
        let first = window.search(window.cursor, count).or_else(|| window.search(0, count))?;
        window.states.get_mut(first..first + count)?.fill(State::Used);
        window.cursor = first + count;
        window.free -= count;
        Some(self.hpa(first))
    }

    unsafe fn free(&self, hpa: Hpa, count: usize) {
        let Some(first) = self.index(hpa) else {
            debug_assert!(false, "contract of `free`: {hpa} is from this pool");
            return;
        };
        let mut window = self.window.lock();
        let states = window.states.get_mut(first..first + count).unwrap_or_default();
        debug_assert!(
            states.len() == count && states.iter().all(|state| *state == State::Used),
            "contract of `free`: {count} frames at {hpa} are allocated"
        );
        states.fill(State::Free);
        window.free += count;
    }

    #[inline]
    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        self.map.pointer(hpa)
    }

    #[inline]
    fn direct_map(&self) -> Option<DirectMap> {
        Some(self.map)
    }
}

impl<const FRAMES: usize> fmt::Debug for FramePool<FRAMES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramePool")
            .field("base", &self.base)
            .field("frames", &FRAMES)
            .field("donated", &self.donated())
            .field("free", &self.free_frames())
            .finish_non_exhaustive()
    }
}

/// Why a [`FramePool`] does not take frames.
///
/// ```
/// use x86_virt_core::{DonateError, Hpa};
///
/// let error = DonateError::AlreadyDonated { hpa: Hpa::new(0x100_3000) };
/// assert_eq!(error.to_string(), "frame 0x1003000 was handed over already");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum DonateError {
    /// The range, or the window, does not start and end at a multiple of 4096.
    #[error("{hpa} is not aligned to 4 KiB")]
    Misaligned {
        /// The address.
        hpa: Hpa,
    },
    /// The range ends where it starts, or before.
    #[error("the range from {start} to {end} is empty")]
    EmptyRange {
        /// The first address.
        start: Hpa,
        /// The address after the last one.
        end: Hpa,
    },
    /// The frame is not in the window of the pool.
    #[error("frame {hpa} is outside the window of the pool")]
    Outside {
        /// The frame.
        hpa: Hpa,
    },
    /// The processor cannot address the frame.
    #[error("frame {hpa}: physical addresses have {width} bits")]
    BeyondWidth {
        /// The frame.
        hpa: Hpa,
        /// How many bits a physical address has.
        width: u8,
    },
    /// The host has no pointer to the frame.
    #[error("frame {hpa} is outside the direct map")]
    Unreachable {
        /// The frame.
        hpa: Hpa,
    },
    /// The frame was donated before.
    #[error("frame {hpa} was handed over already")]
    AlreadyDonated {
        /// The frame.
        hpa: Hpa,
    },
}
