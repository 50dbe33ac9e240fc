//! Why a scripted run did not come to its next exit.

use core::fmt;

use alloc::string::String;

use crate::state::Activity;

/// Why a scripted run did not come to its next exit: the hypervisor did something else than the test expects, or the script is at its end.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The hypervisor runs the guest, but the script has no more exits.
    #[error("the script is at its end after {exits} exits, and the guest was run again")]
    End {
        /// How many there were.
        exits: usize,
    },
    /// An exit of an instruction was never answered.
    #[error("{exit} was not answered: the guest has executed the instruction {times} times")]
    NotAnswered {
        /// The exit.
        exit: ScriptedExit,
        /// How often.
        times: usize,
    },
    /// An exit was answered otherwise than the script expects.
    #[error("{exit}: {why}")]
    Unexpected {
        /// The exit.
        exit: ScriptedExit,
        /// What is wrong.
        why: String,
    },
    /// An exit cannot happen, since the hypervisor has done something that rules it out.
    #[error("{exit} cannot happen: {why}")]
    Impossible {
        /// The exit.
        exit: ScriptedExit,
        /// Why.
        why: String,
    },
    /// The script has exits that were not reached.
    #[error("{left} of {total} exits were not reached, from {exit} on")]
    NotReached {
        /// The first of them.
        exit: ScriptedExit,
        /// How many.
        left: usize,
        /// Of how many.
        total: usize,
    },
    /// The virtual processor has shut down or waits for a start-up IPI.
    #[error("the virtual processor is {0}")]
    NotRunning(Activity),
}

/// As the text, so that `unwrap` shows it.
impl fmt::Debug for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An exit of a script, in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScriptedExit {
    /// Its number, from 1 on.
    pub number: usize,
    /// The name of its kind.
    pub name: &'static str,
    /// RIP, if it was reached.
    pub rip: Option<u64>,
}

impl fmt::Display for ScriptedExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {} ({}", self.number, self.name)?;
        match self.rip {
            Some(rip) => write!(f, " at {rip:#x})"),
            None => f.write_str(")"),
        }
    }
}
