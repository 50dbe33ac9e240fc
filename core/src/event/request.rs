//! Requests for events, which wait until the guest takes them.

/// An external interrupt that waits for the guest.
///
/// ```
/// use x86_virt_core::InterruptRequest;
///
/// // An 8259A asks whatever the task priority is; a local APIC only above it.
/// assert!(InterruptRequest::external(0x30).is_above(0xf));
/// assert!(InterruptRequest::fixed(0x30).is_above(2) && !InterruptRequest::fixed(0x30).is_above(3));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct InterruptRequest {
    vector: u8,
    priority: Priority,
}

/// What an interrupt's priority is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
enum Priority {
    /// Nothing.
    Any,
    /// The task priority.
    Class,
}

impl InterruptRequest {
    /// An interrupt of an 8259A, or another that the task priority does not hold.
    ///
    /// Intel SDM vol. 3, section 12.8.3.1, "Task and Processor Priorities" (what is delivered as ExtINT).
    #[must_use]
    pub const fn external(vector: u8) -> Self {
        Self { vector, priority: Priority::Any }
    }

    /// An interrupt of a local APIC: it waits while CR8 is not below its class, which is bits 7:4 of the vector.
    ///
    /// Intel SDM vol. 3, section 12.8.3.1, "Task and Processor Priorities".
    #[must_use]
    pub const fn fixed(vector: u8) -> Self {
        Self { vector, priority: Priority::Class }
    }

    /// The vector.
    #[must_use]
    pub const fn vector(self) -> u8 {
        self.vector
    }

    /// The class that the task priority must be below, if it matters.
    #[must_use]
    pub const fn class(self) -> Option<u8> {
        match self.priority {
            Priority::Any => None,
            Priority::Class => Some(self.vector >> 4),
        }
    }

    /// Whether a task priority of `task_priority`, as in CR8, lets it through.
    #[must_use]
    pub const fn is_above(self, task_priority: u8) -> bool {
        match self.class() {
            None => true,
            Some(class) => class > task_priority,
        }
    }
}

/// The global interrupt flag (GIF) of a guest that is a hypervisor.
///
/// AMD APM vol. 2, section 15.17, "Global Interrupt Flag, STGI and CLGI Instructions".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum GlobalInterrupts {
    /// GIF is 1, as after reset.
    #[default]
    Enabled,
    /// GIF is 0: the guest takes neither interrupts nor NMIs.
    Disabled,
}
