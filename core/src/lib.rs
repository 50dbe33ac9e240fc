//! What VMX and SVM share.
#![no_std]

mod addr;
mod frame;
mod ram;

pub use addr::{Gpa, Gva, Hpa, PageSize};
pub use frame::{FRAME_BYTES, Frame, Frames, OutOfFrames};
pub use ram::{GuestRam, GuestRamError};
