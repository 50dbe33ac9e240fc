//! The bare machine under the example hypervisors: boot, console, interrupts, processors, memory.
//!
//! # An image
//!
//! A package with one binary becomes an image when it names the build script beside this crate in its `Cargo.toml`,
//! `build = "../machine/link.rs"` under `[package]`, and starts like this:
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//!
//! machine::entry!(main);
//!
//! fn main() -> machine::Verdict {
//!     machine::println!("{} processors", machine::processors());
//!     machine::Verdict::Pass
//! }
//! ```
//!
//! A plain `cargo build` makes an ELF file. The launcher writes its one loadable segment flat to 1 MiB and the 256 bytes
//! of its section `.romstub` to the top of a 64 KiB ROM below 4 GiB: the state of the processor is then that of a reset,
//! without any firmware. Bochs 2.7 loads a file of more than 128 KiB in one piece only if it is the last of its
//! `optramimage`s, so the command line comes before the image.
//!
//! # The machine
//!
//! QEMU (q35, or i440fx with more than 2 GiB) or Bochs (i440fx) with 512 MiB of RAM, or what the word `ram=` says, and up to [`MAX_PROCESSORS`], whose local APICs have the
//! identifiers 0, 1, 2 and so on. `main` runs on processor 0 in 64-bit mode with interrupts off.
//!
//! | physical = virtual address | what is there |
//! |---|---|
//! | `0x7000` | the command line, see [`args()`] |
//! | `0x8000` | the trampoline of the application processors |
//! | 1 MiB | the image, with the stacks and the page tables |
//! | 16 MiB to 32 MiB | the global allocator |
//! | 32 MiB to the end of RAM | [`memory`]; below 128 MiB the launcher may have put files |
//! | up to 4 GiB | mapped too: the I/O APIC and the local APICs |
//!
//! The console is port `0xE9`; every line on it starts with `@ `, so that a launcher can tell it from what the emulator
//! prints. The last one is `@ VERDICT PASS` or `@ VERDICT FAIL`.

#![no_std]

pub mod apic;
mod args;
mod boot;
pub mod console;
mod control;
mod exit;
mod gdt;
mod heap;
mod idt;
pub mod interrupts;
mod intrinsics;
mod ioapic;
pub mod memory;
pub mod nmi;
mod panic;
mod pic;
mod pit;
mod smp;
pub mod time;
mod tsc;

pub use args::{arg, args, carried};
pub use exit::{Verdict, exit};
pub use smp::{MAX_PROCESSORS, on_every_processor, processor, processors};
pub use tsc::tsc;

/// Names the function of type `fn() -> Verdict` which the bootstrap processor runs; its verdict ends the run.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(export_name = "machine_main")]
        extern "Rust" fn machine_main() -> $crate::Verdict {
            let main: fn() -> $crate::Verdict = $main;
            main()
        }
    };
}
