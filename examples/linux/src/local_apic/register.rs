//! The registers by their number, which is the offset in memory / 16 and the distance from the first MSR.
//!
//! Intel SDM vol. 3, section 12.4.1, "The Local APIC Block Diagram" (table "Local APIC Register Address Map"), and section
//! 12.12.1.2, "x2APIC Register Address Space".

/// SELF IPI, which only an x2APIC has.
pub(super) const SELF_IPI: u8 = 0x3f;

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Register {
    Id,
    Version,
    TaskPriority,
    ProcessorPriority,
    End,
    Logical,
    Format,
    Spurious,
    InService(u8),
    Level(u8),
    Requested(u8),
    ErrorStatus,
    CommandLow,
    CommandHigh,
    TimerEntry,
    /// Of the local vector table: thermal, performance counters, LINT0, LINT1, error.
    Entry(usize),
    InitialCount,
    CurrentCount,
    Divide,
}

impl Register {
    pub(super) fn of(number: u8) -> Option<Self> {
        Some(match number {
            0x02 => Self::Id,
            0x03 => Self::Version,
            0x08 => Self::TaskPriority,
            0x0a => Self::ProcessorPriority,
            0x0b => Self::End,
            0x0d => Self::Logical,
            0x0e => Self::Format,
            0x0f => Self::Spurious,
            0x10..=0x17 => Self::InService(number - 0x10),
            0x18..=0x1f => Self::Level(number - 0x18),
            0x20..=0x27 => Self::Requested(number - 0x20),
            0x28 => Self::ErrorStatus,
            0x30 => Self::CommandLow,
            0x31 => Self::CommandHigh,
            0x32 => Self::TimerEntry,
            0x33..=0x37 => Self::Entry(usize::from(number - 0x33)),
            0x38 => Self::InitialCount,
            0x39 => Self::CurrentCount,
            0x3e => Self::Divide,
            _ => return None,
        })
    }

    /// Whether its MSR can be written.
    pub(super) const fn is_written_by_msr(self) -> bool {
        matches!(
            self,
            Self::TaskPriority
                | Self::End
                | Self::Spurious
                | Self::ErrorStatus
                | Self::CommandLow
                | Self::TimerEntry
                | Self::Entry(_)
                | Self::InitialCount
                | Self::Divide
        )
    }
}
