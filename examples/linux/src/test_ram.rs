//! Guest memory for tests.
#![expect(unsafe_code, reason = "makes guest memory of a vector")]

use alloc::vec;
use alloc::vec::Vec;
use core::ptr::NonNull;

use x86_virt::{GuestRam, Hpa};

/// Memory that is freed at the end of a test.
pub(crate) struct TestRam {
    words: Vec<u64>,
}

impl TestRam {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { words: vec![0; usize::try_from(bytes / 8).unwrap()] }
    }

    /// The memory as a guest's. Its physical address is made up.
    pub(crate) fn guest(&self) -> GuestRam<'_> {
        let pointer = NonNull::new(self.words.as_ptr().cast_mut().cast::<u8>()).unwrap();
        let bytes = u64::try_from(self.words.len()).unwrap() * 8;
        // SAFETY: nothing else reads or writes the vector while it is borrowed, and no table maps it.
        unsafe { GuestRam::new(pointer, Hpa::new(0x20_0000), bytes) }.unwrap()
    }
}
