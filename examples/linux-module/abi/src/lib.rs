//! What programs hand to `/dev/x86-virt-demo`. The same in C is `kernel/abi.h`; both assert the layout.
#![no_std]

use core::mem::offset_of;

/// The device.
pub const DEVICE: &str = "/dev/x86-virt-demo";

/// Memory that a guest may have at most, in bytes.
pub const MOST_MEMORY: u64 = 64 << 20;
/// Exits that are stored at most.
pub const MOST_STORED: u32 = 4096;

/// Any processor will do.
pub const ANY_PROCESSOR: i32 = -1;

/// One exit of the guest.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Exit {
    /// Where the guest was.
    pub rip: u64,
    /// The processor's own code.
    pub reason: u64,
    /// What the library calls it, filled up with zeros.
    pub name: [u8; 32],
}

/// A guest, how long it may run, and what came of it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Run {
    /// Address of the guest's image.
    pub image: u64,
    /// Its length.
    pub image_bytes: u64,
    /// Where in the guest's memory it goes. The guest starts there, in real mode.
    pub load_address: u64,
    /// The guest's memory, a multiple of 4096.
    pub memory_bytes: u64,
    /// The guest ends after so many exits.
    pub most_exits: u64,
    /// The guest ends after so long.
    pub milliseconds: u64,
    /// Address of room for exits.
    pub exits: u64,
    /// For how many of them there is room: the first ones are stored.
    pub exits_room: u32,
    /// The processor to run on, or [`ANY_PROCESSOR`].
    pub processor: i32,
    /// RBX of the guest at its start.
    pub argument: u64,
    /// Exits, but for those of the next two.
    pub exit_count: u64,
    /// Exits for interrupts of the host.
    pub host_interrupts: u64,
    /// Exits for NMIs of the host.
    pub host_nmis: u64,
    /// RAX of the guest at its end.
    pub result: u64,
    /// How it ended.
    pub ending: u32,
    /// The processor that it ran on last.
    pub last_processor: u32,
    /// How many exits were stored.
    pub exits_stored: u32,
    /// How much of its stack the kernel's thread has used.
    pub stack_bytes: u32,
    /// What the guest printed, or why it ended, filled up with zeros.
    pub text: [u8; 256],
}

/// How a guest ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ending;

impl Ending {
    /// It halted with interrupts disabled.
    pub const HALTED: u32 = 1;
    /// It had as many exits as it may.
    pub const EXITS: u32 = 2;
    /// Its time was over.
    pub const TIME: u32 = 3;
    /// It did something that the module does not answer, or the library refused; the text says what.
    pub const ERROR: u32 = 4;
    /// The module panicked; the kernel's log says why.
    pub const PANIC: u32 = 5;
}

/// What the module has of the kernel now, and whether it has had to give something up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Status {
    /// Frames for structures and tables.
    pub frames: u64,
    /// Blocks of the kernel's heap.
    pub heap_blocks: u64,
    /// Pages of guests' memory.
    pub guest_pages: u64,
    /// Guests that run.
    pub jobs: u64,
    /// Processors in VMX root operation, or with SVM on.
    pub processors: u64,
    /// Guests that were given up for a panic, with all that they had.
    pub panics: u64,
}

const _: () = {
    assert!(size_of::<Exit>() == 48);
    assert!(offset_of!(Run, exit_count) == 72);
    assert!(offset_of!(Run, ending) == 104);
    assert!(size_of::<Run>() == 376);
    assert!(size_of::<Status>() == 48);
};

/// The number of [`Run`] for ioctl.
pub const IOCTL_RUN: u64 = request(READ | WRITE, 1, size_of::<Run>());
/// The number of [`Status`] for ioctl.
pub const IOCTL_STATUS: u64 = request(READ, 2, size_of::<Status>());

const WRITE: u64 = 1;
const READ: u64 = 2;

/// The number of a request, as `_IOC` of Linux makes it.
#[expect(clippy::as_conversions, reason = "in a constant, of a size below 16 KiB")]
const fn request(direction: u64, number: u64, bytes: usize) -> u64 {
    direction << 30 | (bytes as u64) << 16 | 0x56 << 8 | number
}

/// Ports and hypercalls of the guests.
pub mod guest {
    /// Bytes written to this port become the text.
    pub const CONSOLE: u16 = 0x10;
    /// What is written to this port comes back inverted.
    pub const ECHO: u16 = 0x12;
    /// Hypercall in RAX: answers with RBX + 1 in RAX.
    pub const HYPERCALL_ADD: u64 = 1;
    /// Hypercall in RAX: the module panics, to show what comes of it.
    pub const HYPERCALL_PANIC: u64 = 2;
}
