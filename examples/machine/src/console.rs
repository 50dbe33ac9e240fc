//! The console: port `0xE9` of the emulators, line by line.

#![expect(unsafe_code, reason = "writes a port, and takes the lock from a processor that does not return it")]

use core::{
    fmt::{self, Write as _},
    hint,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use spin::{Mutex, MutexGuard};
use x86::io::outb;

use crate::processor;

const PORT: u16 = 0xE9;
/// The launcher drops every line without this.
const PREFIX: &str = "@ ";
/// How often a processor that ends the run tries to get the console before it takes it: for seconds.
const PATIENCE: u32 = 10_000_000;

static CONSOLE: Mutex<Console> = Mutex::new(Console { open: None });
/// The processor that prints, for one that ends the run in the midst of that.
static HOLDER: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;
/// Owns the line that processors print together.
const EVERYBODY: usize = usize::MAX - 1;

/// Prints to the console.
///
/// A line that one processor has left open ends where another one prints.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::console::print(format_args!($($argument)*)) };
}

/// Prints to the console, and ends the line.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($argument:tt)*) => { $crate::print!("{}\n", format_args!($($argument)*)) };
}

/// Prints `text` in one piece; [`println!`](crate::println) is the way to call it.
pub fn print(text: fmt::Arguments<'_>) {
    print_for(processor(), text);
}

/// Prints `text` for all processors: a line that another one has left open by this function goes on.
pub fn print_together(text: fmt::Arguments<'_>) {
    print_for(EVERYBODY, text);
}

fn print_for(owner: usize, text: fmt::Arguments<'_>) {
    let mut console = CONSOLE.lock();
    HOLDER.store(processor(), Relaxed);
    console.print(owner, text);
    HOLDER.store(NOBODY, Relaxed);
}

/// Prints `text` as the last thing on the console, whoever holds it.
pub(crate) fn finish(text: fmt::Arguments<'_>) {
    let mut patience = PATIENCE;
    let console = loop {
        if let Some(console) = CONSOLE.try_lock() {
            break console;
        }
        if patience == 0 || HOLDER.load(Relaxed) == processor() {
            // SAFETY: this is a release of a lock whose holder has not done with it. The holder is this very processor,
            // which does not go back to what it printed, or one that stands still. The worst that a live one could do
            // is to mix its characters with ours: it only writes a port and `open`, which has no invariant.
            unsafe { CONSOLE.force_unlock() };
        }
        patience = patience.saturating_sub(1);
        hint::spin_loop();
    };
    // Nobody prints after this.
    let console = MutexGuard::leak(console);
    if console.open.is_some() {
        console.end_line();
    }
    console.print(processor(), text);
}

struct Console {
    /// The processor whose line has no end yet.
    open: Option<usize>,
}

impl Console {
    fn print(&mut self, owner: usize, text: fmt::Arguments<'_>) {
        if self.open.is_some_and(|other| other != owner) {
            self.end_line();
        }
        // A console never fails; a `Display` that does has printed what it could.
        let _ = Line { console: self, owner }.write_fmt(text);
    }

    fn end_line(&mut self) {
        put(b'\n');
        self.open = None;
    }
}

/// The console while one processor prints.
struct Line<'a> {
    console: &'a mut Console,
    owner: usize,
}

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.console.open.is_none() {
                PREFIX.bytes().for_each(put);
                self.console.open = Some(self.owner);
            }
            if byte == b'\n' {
                self.console.end_line();
            } else {
                put(byte);
            }
        }
        Ok(())
    }
}

fn put(byte: u8) {
    // SAFETY: CPL 0; only the emulator's console listens on this port.
    unsafe { outb(PORT, byte) };
}
