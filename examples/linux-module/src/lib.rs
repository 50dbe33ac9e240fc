//! Rust's part of a kernel module for Linux: guests in threads of the kernel, on Intel and AMD processors.
//!
//! `kernel/shim.c` is the other part. `cargo xtask module` builds both, boots Debian's kernel and loads the module; the guide's
//! chapter "In a kernel module" goes through it.
#![no_std]

extern crate alloc;

mod entry;
mod exit_loop;
mod frames;
mod heap;
mod kernel;
mod memory;
mod panic;
mod processor;
mod task;
