//! Per processor: the global descriptor table, the task-state segment in it and the stacks.

#![expect(unsafe_code, reason = "gives tables and stacks to the processor")]

use core::{
    cell::UnsafeCell,
    mem::offset_of,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use x86::{
    dtables::{DescriptorTablePointer, lgdt},
    segmentation::SegmentSelector,
    task::{load_tr, tr},
};

use crate::MAX_PROCESSORS;

/// The selector of 64-bit code; data is next. Both are the same in the tables of `boot.s`.
pub(crate) const CODE: u16 = 0x08;
/// The selector of processor 0's TSS. Every other one is 16 after the one before, so that TR tells the processor.
const TSS: u16 = 0x18;
/// The stack of a processor, where it runs everything but the entries of the IDT. An instruction decoder that builds its
/// tables without optimization needs more than 64 KiB.
pub(crate) const STACK_SIZE: usize = 0x4_0000;
/// One stack of the interrupt stack table.
const IST_STACK_SIZE: usize = 0x4000;

/// A stack that entries of the IDT switch to, by the interrupt stack table.
///
/// Every entry needs one, for the precompiled `core` keeps data below RSP (the red zone).
#[derive(Clone, Copy)]
pub(crate) enum Ist {
    /// Of exceptions.
    Exception,
    /// Of the NMI, which may come while an exception or an interrupt is handled.
    Nmi,
    /// Of external interrupts, which do not nest.
    Interrupt,
}

impl Ist {
    /// The number in a gate.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Exception => 1,
            Self::Nmi => 2,
            Self::Interrupt => 3,
        }
    }
}

/// Memory that only a stack pointer refers to.
#[repr(C, align(16))]
pub(crate) struct Stack<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

// SAFETY: Rust never makes a reference to the contents: only their address is used, by the one processor that has it.
unsafe impl<const SIZE: usize> Sync for Stack<SIZE> {}

impl<const SIZE: usize> Stack<SIZE> {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; SIZE]))
    }

    /// The address after the stack, where an empty one starts.
    fn top(&self) -> usize {
        self.0.get().expose_provenance() + SIZE
    }
}

/// The stack of every processor; `boot.s` loads it.
pub(crate) static STACKS: [Stack<STACK_SIZE>; MAX_PROCESSORS] = [const { Stack::new() }; MAX_PROCESSORS];

/// A 64-bit task-state segment. Its 64-bit fields are misaligned: pairs of words.
#[repr(C)]
struct Tss {
    _reserved0: AtomicU32,
    rsp: [[AtomicU32; 2]; 3],
    _reserved1: [AtomicU32; 2],
    ist: [[AtomicU32; 2]; 7],
    _reserved2: [AtomicU32; 2],
    /// The upper half is the offset of the I/O permission bitmap.
    io_map: AtomicU32,
}

const _: () = assert!(size_of::<Tss>() == 104);
const _: () = assert!(offset_of!(Tss, rsp) == 4);
const _: () = assert!(offset_of!(Tss, ist) == 36);
const _: () = assert!(offset_of!(Tss, io_map) == 100);

/// What one processor's GDTR and TR refer to. It is atomic since the processor writes it too (the busy bit of a TSS).
struct Tables {
    gdt: [AtomicU64; 3 + 2 * MAX_PROCESSORS],
    tss: Tss,
    ist: [Stack<IST_STACK_SIZE>; 3],
}

impl Tables {
    const fn new() -> Self {
        Self {
            gdt: [const { AtomicU64::new(0) }; 3 + 2 * MAX_PROCESSORS],
            tss: Tss {
                _reserved0: AtomicU32::new(0),
                rsp: [const { zero_words() }; 3],
                _reserved1: zero_words(),
                ist: [const { zero_words() }; 7],
                _reserved2: zero_words(),
                io_map: AtomicU32::new(0),
            },
            ist: [const { Stack::new() }; 3],
        }
    }
}

const fn zero_words() -> [AtomicU32; 2] {
    [const { AtomicU32::new(0) }; 2]
}

static TABLES: [Tables; MAX_PROCESSORS] = [const { Tables::new() }; MAX_PROCESSORS];

/// Fills the tables of the calling processor, which has this index, and loads its GDTR and TR.
pub(crate) fn load(index: usize) {
    let tables = TABLES.get(index).expect("boot.s and the trampoline give indices below MAX_PROCESSORS");
    for (stack, [low, high]) in tables.ist.iter().zip(&tables.tss.ist) {
        let (address_low, address_high) = halves(stack.top());
        low.store(address_low, Relaxed);
        high.store(address_high, Relaxed);
    }
    // The bitmap is after the end: there is none.
    tables.tss.io_map.store(104 << 16, Relaxed);

    let selector = TSS + 16 * u16::try_from(index).expect("index is below MAX_PROCESSORS");
    let descriptors = [(1, 0x00AF_9B00_0000_FFFF), (2, 0x00CF_9300_0000_FFFF)];
    let slot = usize::from(selector / 8);
    let [low, high] = tss_descriptor(&tables.tss);
    for (slot, value) in descriptors.into_iter().chain([(slot, low), (slot + 1, high)]) {
        tables.gdt.get(slot).expect("the table has slots for every processor").store(value, Relaxed);
    }

    // SAFETY: CPL 0; the table is static and its code and data segments are those which are loaded already.
    unsafe { lgdt(&DescriptorTablePointer::new(&tables.gdt)) };
    // SAFETY: CPL 0; the selector is of the available TSS just made, which is static.
    unsafe { load_tr(SegmentSelector::from_raw(selector)) };
}

/// The index of the calling processor; 0 on one that has not come to [`load`].
pub(crate) fn index() -> usize {
    // SAFETY: CPL 0.
    let selector = unsafe { tr() }.bits();
    usize::from(selector.saturating_sub(TSS) / 16)
}

/// The descriptor of an available 64-bit TSS.
fn tss_descriptor(tss: &Tss) -> [u64; 2] {
    let (low, high) = halves((&raw const *tss).expose_provenance());
    let low = u64::from(low);
    let limit = 103;
    let present_available_tss = 0x89;
    [limit | (low & 0xFF_FFFF) << 16 | present_available_tss << 40 | low >> 24 << 56, u64::from(high)]
}

/// The halves of an address, low one first.
fn halves(address: usize) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = address.to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}
