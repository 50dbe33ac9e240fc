//! What interrupt controllers send each other.

/// Which local APICs a message is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// The one with this identifier, or all of them.
    Physical(u32),
    /// Those whose logical destination register says so.
    Logical(u32),
    /// The sender.
    Oneself,
    /// All, the sender too.
    All,
    /// All but the sender.
    Others,
}

/// What a message does.
///
/// Intel SDM vol. 3, section 12.6.1, "Interrupt Command Register (ICR)".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// The interrupt of its vector.
    Fixed,
    /// The same, on one of the processors.
    LowestPriority,
    /// A system-management interrupt, which nobody here takes.
    Smi,
    /// A non-maskable interrupt.
    Nmi,
    /// INIT.
    Init,
    /// A start-up signal; the vector is a page of the first MiB.
    StartUp,
    /// The interrupt that the PC's interrupt controller has.
    External,
    /// Reserved.
    Reserved,
}

impl Delivery {
    /// The delivery mode with this encoding, of which 3 bits count.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::Fixed,
            1 => Self::LowestPriority,
            2 => Self::Smi,
            4 => Self::Nmi,
            5 => Self::Init,
            6 => Self::StartUp,
            7 => Self::External,
            _ => Self::Reserved,
        }
    }
}

/// Whether an interrupt is over with its edge, or lasts until its level is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// Once.
    Edge,
    /// While the line is up; the end of it is told to the I/O APIC.
    Level,
}

/// A message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// For whom.
    pub destination: Destination,
    /// What it does.
    pub delivery: Delivery,
    /// The vector.
    pub vector: u8,
    /// How long it lasts.
    pub trigger: Trigger,
}
