//! Guest state that is in no register.

use x86_virt_core::{codes, register};

pub use x86_virt_core::PendingDebugExceptions;

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
    use super::{ActivityState, GuestInterruptStatus};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let status = GuestInterruptStatus::from_bits(0x4031);
        assert_eq!((status.rvi(), status.svi()), (0x31, 0x40));
        assert_eq!(ActivityState::from_bits(3), ActivityState::WAIT_FOR_SIPI);
        assert_eq!(ActivityState::from_bits(9).to_string(), "0x9");
    }
}
