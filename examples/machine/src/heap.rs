//! The global allocator: 16 MiB, in blocks whose sizes are powers of two.

#![expect(unsafe_code, reason = "implements an allocator")]

use core::{
    alloc::{GlobalAlloc, Layout},
    ops::Range,
    ptr,
};

use spin::Mutex;

/// RAM after the image, which `link.ld` keeps below.
const RAM: Range<usize> = 16 << 20..32 << 20;
/// The smallest block, log2: a free one holds the address of the next.
const SMALLEST: u32 = 4;
/// One list of free blocks for each size.
const SIZES: usize = 24;

#[global_allocator]
static HEAP: Heap = Heap(Mutex::new(Blocks { unused: RAM.start, free: [0; SIZES] }));

struct Heap(Mutex<Blocks>);

/// Every address in a list, or in the memory of a free block, is 0 or that of a free block of the list's size.
struct Blocks {
    /// What follows has never been a block.
    unused: usize,
    free: [usize; SIZES],
}

// SAFETY: `allocate` returns null or a block of RAM of at least the size and alignment, which is in no list and thus
// nobody else's until `deallocate`; the mutex serves all processors, and no interrupt handler allocates.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = size_log2(layout).and_then(|log2| self.0.lock().allocate(log2));
        block.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(log2) = size_log2(layout) {
            // SAFETY: by the contract of `dealloc`, `block` came from `alloc` with this layout and is nobody's now.
            unsafe { self.0.lock().deallocate(block.expose_provenance(), log2) };
        }
    }
}

/// The size of a block for `layout`, which is also its alignment.
fn size_log2(layout: Layout) -> Option<u32> {
    let size = layout.size().max(layout.align()).checked_next_power_of_two()?;
    Some(size.ilog2().max(SMALLEST))
}

impl Blocks {
    fn list(&mut self, log2: u32) -> Option<&mut usize> {
        self.free.get_mut(usize::try_from(log2 - SMALLEST).ok()?)
    }

    fn allocate(&mut self, log2: u32) -> Option<usize> {
        let list = self.list(log2)?;
        if *list != 0 {
            let block = *list;
            let next = ptr::with_exposed_provenance::<usize>(block);
            // SAFETY: a free block is RAM of ours which holds the address of the next, see `Blocks`.
            *list = unsafe { next.read() };
            return Some(block);
        }
        let size = 1 << log2;
        let block = self.unused.next_multiple_of(size);
        let end = block.checked_add(size).filter(|end| *end <= RAM.end)?;
        self.unused = end;
        Some(block)
    }

    /// # Safety
    ///
    /// `block` is the result of [`allocate`](Self::allocate) for the same `log2`, and nobody uses it any more.
    unsafe fn deallocate(&mut self, block: usize, log2: u32) {
        if let Some(list) = self.list(log2) {
            // SAFETY: the block is RAM of ours, at least 16 bytes and as much aligned, and nobody else's.
            unsafe { ptr::with_exposed_provenance_mut::<usize>(block).write(*list) };
            *list = block;
        }
    }
}
