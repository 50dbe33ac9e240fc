//! Guest state that is in no register.

use x86_virt_core::{codes, register};

codes! {
    /// Whether the guest's processor executes instructions, or what it waits for.
    ///
    /// Intel SDM vol. 3, section 27.4.2, "Guest Non-Register State".
    pub struct ActivityState(u32) {
        /// It executes instructions.
        ACTIVE = 0 aka "GUEST_ACTIVITY_ACTIVE";
        /// It executed HLT.
        HLT = 1 aka "GUEST_ACTIVITY_HLT";
        /// It had a triple fault or another severe error.
        SHUTDOWN = 2 aka "GUEST_ACTIVITY_SHUTDOWN";
        /// It waits for a startup IPI.
        WAIT_FOR_SIPI = 3 aka "GUEST_ACTIVITY_WAIT_SIPI";
    }
}

register! {
    /// Debug exceptions that wait for delivery.
    ///
    /// Intel SDM vol. 3, section 27.4.2, "Guest Non-Register State" (table "Format of Pending-Debug-Exceptions").
    ///
    /// ```
    /// use x86_virt_vmx::PendingDebugExceptions;
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

register! {
    /// Guest interrupt status: the virtual interrupts that are requested and in service.
    ///
    /// Intel SDM vol. 3, section 27.4.2, "Guest Non-Register State".
    pub struct GuestInterruptStatus(u16) {
        /// Requesting virtual interrupt: the highest vector that requests service, or 0.
        pub rvi: u8,
        /// Servicing virtual interrupt: the highest vector in service, or 0.
        pub svi: u8,
    }
}

#[cfg(test)]
mod tests {
    use super::{ActivityState, GuestInterruptStatus, PendingDebugExceptions};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let pending = PendingDebugExceptions::new().with_b0(true).with_b3(true).with_bld(true);
        assert_eq!(pending.into_bits(), 0x809);
        let pending = PendingDebugExceptions::new().with_enabled_breakpoint(true).with_bs(true).with_rtm(true);
        assert_eq!(pending.into_bits(), 0x1_5000);
        let status = GuestInterruptStatus::from_bits(0x4031);
        assert_eq!((status.rvi(), status.svi()), (0x31, 0x40));
        assert_eq!(ActivityState::from_bits(3), ActivityState::WAIT_FOR_SIPI);
        assert_eq!(ActivityState::from_bits(9).to_string(), "0x9");
    }
}
