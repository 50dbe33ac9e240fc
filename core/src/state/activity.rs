//! What a virtual processor does, and the debug exceptions that wait.

use core::fmt;

use crate::register;

/// Whether a virtual processor executes instructions, or what it waits for.
///
/// Intel SDM vol. 3, section 27.4.2, "Guest Non-Register State" (activity state). SVM has no such state: the library keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Activity {
    /// It executes instructions.
    #[default]
    Running,
    /// It has executed HLT, and waits for an event.
    Halted,
    /// It has shut down after a triple fault.
    Shutdown,
    /// It waits for a start-up IPI.
    WaitForSipi,
}

impl Activity {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 4] = [Self::Running, Self::Halted, Self::Shutdown, Self::WaitForSipi];
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Halted => "halted",
            Self::Shutdown => "shut down",
            Self::WaitForSipi => "waiting for a SIPI",
        })
    }
}

register! {
    /// Debug exceptions that wait for delivery.
    ///
    /// The format is that of VMX. On SVM, which has no such register, the library injects the #DB at the next entry.
    ///
    /// Intel SDM vol. 3, section 27.4.2, "Guest Non-Register State" (table "Format of Pending-Debug-Exceptions").
    ///
    /// ```
    /// use x86_virt_core::PendingDebugExceptions;
    ///
    /// assert_eq!(PendingDebugExceptions::from_bits(0x4000).to_string(), "0x0000000000004000 BS");
    /// ```
    pub struct PendingDebugExceptions(u64) {
        /// The condition of breakpoint 0 was met, whether it is enabled or not.
        pub b0: bool,
        /// The condition of breakpoint 1 was met, whether it is enabled or not.
        pub b1: bool,
        /// The condition of breakpoint 2 was met, whether it is enabled or not.
        pub b2: bool,
        /// The condition of breakpoint 3 was met, whether it is enabled or not.
        pub b3: bool,
        #[bits(7)]
        _reserved4: u8,
        /// A bus lock was asserted outside of privilege level 0. Unlike in DR6, 1 means that it was.
        pub bld: bool,
        /// An enabled data or I/O breakpoint was met, or one of the other conditions that the manual lists.
        pub enabled_breakpoint: bool,
        _reserved13: bool,
        /// Single-stepping would have made a debug exception.
        pub bs: bool,
        _reserved15: bool,
        /// The exception occurred in a transactional region. Unlike in DR6, 1 means that it did.
        pub rtm: bool,
        #[bits(47)]
        _reserved17: u64,
    }
}

impl PendingDebugExceptions {
    /// Whether a #DB follows. Breakpoints that are met but not enabled make none.
    #[must_use]
    pub const fn raises(self) -> bool {
        self.bs() || self.enabled_breakpoint()
    }

    /// Those of a debug exception that is due, with these bits of DR6: B0 to B3, and BS.
    #[must_use]
    pub const fn of_dr6(bits: u64) -> Self {
        Self::from_bits(bits & 0x400f).with_enabled_breakpoint(bits & 0xf != 0)
    }

    /// The bits that the #DB sets in DR6: B0 to B3, and BS.
    #[must_use]
    pub const fn dr6_bits(self) -> u64 {
        self.into_bits() & 0x400f
    }
}

#[cfg(test)]
mod tests {
    use super::PendingDebugExceptions;

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let pending = PendingDebugExceptions::new().with_b0(true).with_b3(true).with_bld(true);
        assert_eq!(pending.into_bits(), 0x809);
        assert!(!pending.raises(), "the breakpoints are not enabled");
        let pending = PendingDebugExceptions::new().with_enabled_breakpoint(true).with_bs(true).with_rtm(true);
        assert_eq!(pending.into_bits(), 0x1_5000);
        assert!(pending.raises());
        assert_eq!(pending.with_b1(true).dr6_bits(), 0x4002);
        assert_eq!(PendingDebugExceptions::of_dr6(0x4002).into_bits(), 0x5002);
        assert_eq!(PendingDebugExceptions::of_dr6(0xffff_0ff0).into_bits(), 0);
    }
}
