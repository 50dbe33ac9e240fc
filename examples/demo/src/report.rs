//! What the demonstration prints.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{Debug, Display};

use demo::exit_loop::Monitor;
use machine::println;
use x86_virt::{Exit, ExitKind, Frames, Gpa, Processor, Root, Space, Translation};

/// What was seen of the guests on one processor.
#[derive(Debug)]
pub(crate) struct Report {
    processor: usize,
    trace: bool,
    exits: BTreeMap<&'static str, u64>,
    line: String,
    last_line: String,
    /// Instructions and exits of the measured loop.
    measured: Option<(u64, u64)>,
}

/// Prints what processor this is and what of virtualization it has.
pub(crate) fn processor() {
    let processor = Processor::detect();
    let vendor = processor.vendor();
    println!("processor: {}", processor.brand());
    match vendor {
        Some(vendor) => println!("virtualization: {vendor}"),
        None => println!("virtualization: none"),
    }
    println!("processors: {}", machine::processors());
}

/// Prints what of virtualization the processor has.
pub(crate) fn features<A: Frames>(root: &Root<'_, A>) {
    println!("features: {}", root.features().collect::<Vec<_>>().join(", "));
}

impl Report {
    pub(crate) fn new(processor: usize) -> Self {
        Self {
            processor,
            trace: machine::arg("trace").is_some(),
            exits: BTreeMap::new(),
            line: String::new(),
            last_line: String::new(),
            measured: None,
        }
    }

    /// The last line that a guest printed.
    pub(crate) fn last_line(&self) -> &str {
        &self.last_line
    }

    pub(crate) fn memory<A: Frames>(&self, space: &Space<'_, A>, gpa: Gpa, translation: Translation) {
        println!(
            "cpu{}: memory: 4 GiB in pages of {}, {} frames of tables; guest {gpa} is host {}",
            self.processor,
            translation.size,
            space.frames_in_use(),
            translation.hpa,
        );
    }

    /// Prints the table of exits and the cost of one.
    pub(crate) fn print(&self) {
        println!("cpu{}: exits:", self.processor);
        for (name, count) in &self.exits {
            println!("cpu{}: {count:>8} {name}", self.processor);
        }
        if let Some((instructions, exits)) = self.measured {
            let thousandths = instructions * 1000 / exits;
            let prefix = if self.processor == 0 { "" } else { "other processor: " };
            println!("{prefix}instructions per exit: {}.{:03}", thousandths / 1000, thousandths % 1000);
        }
    }
}

impl Monitor for Report {
    /// Counts an exit, and prints it if that is wanted.
    fn exit<R: Debug + Display>(&mut self, exit: &Exit<R>) {
        *self.exits.entry(exit.kind.name()).or_default() += 1;
        if self.trace {
            match exit.kind {
                ExitKind::Io(io) => println!("cpu{}: exit: {} ({io})", self.processor, exit.reason),
                kind => println!("cpu{}: exit: {} ({kind:?})", self.processor, exit.reason),
            }
        }
    }

    /// A byte that a guest printed.
    fn guest_output(&mut self, byte: u8) {
        if byte == b'\n' {
            println!("cpu{}: guest: {}", self.processor, self.line);
            self.last_line = core::mem::take(&mut self.line);
        } else {
            self.line.push(char::from(byte));
        }
    }

    /// Takes note of what so many exits cost, in ticks of the time-stamp counter: executed instructions on these machines.
    fn measured(&mut self, instructions: u64, exits: u64) {
        self.measured = Some((instructions, exits));
        *self.exits.entry(ExitKind::Cpuid.name()).or_default() += exits;
    }

    fn time(&self) -> u64 {
        machine::tsc()
    }

    fn may_shut_down(&self) -> bool {
        machine::arg("no-shutdown-exit").is_none()
    }
}
