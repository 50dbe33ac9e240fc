//! Testing hypervisors without a processor: a virtual processor whose guest is a script, and memory and frames on the heap.
//!
//! The guide has a chapter, "Testing without a processor".

mod frames;
mod memory;
mod run;
mod step;
mod vcpu;

pub use frames::FakeFrames;
pub use memory::FakeMemory;
pub use run::{ScriptError, ScriptedExit};
pub use step::{Answer, Delivery, Step};
pub use vcpu::{ScriptedReason, ScriptedVcpu, Semantics};

#[cfg(test)]
mod tests;
