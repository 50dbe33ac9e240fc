//! Testing hypervisors without a processor: a virtual processor whose guest is a script, and memory and frames on the heap.
//!
//! The guide has a chapter, "Testing without a processor".

mod debug;
mod error;
mod frames;
mod memory;
mod run;
mod scripted;
mod step;
mod vcpu;

pub use error::{ScriptError, ScriptedExit};
pub use frames::FakeFrames;
pub use memory::FakeMemory;
pub use scripted::{ScriptedReason, ScriptedVcpu, Semantics};
pub use step::{Answer, Delivery, Step};

#[cfg(test)]
mod tests;
