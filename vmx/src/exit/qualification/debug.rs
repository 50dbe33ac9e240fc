//! Debug exceptions and accesses to debug registers.

use x86_virt_core::register;

use crate::exit::operand::RegisterNumber;

register! {
    /// Exit qualification of a debug exception: what goes to DR6, had the guest taken it.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Debug Exceptions").
    pub struct DebugExceptionQualification(u64) {
        /// The condition of DR0 was met.
        pub b0: bool,
        /// The condition of DR1 was met.
        pub b1: bool,
        /// The condition of DR2 was met.
        pub b2: bool,
        /// The condition of DR3 was met.
        pub b3: bool,
        #[bits(7)]
        _reserved4: u8,
        /// A bus lock was detected.
        pub bld: bool,
        _reserved12: bool,
        /// An access to a debug register was detected.
        pub bd: bool,
        /// Single step, of an instruction or of a branch.
        pub bs: bool,
        _reserved15: bool,
        /// In a transactional region with advanced debugging. DR6 has the opposite.
        pub rtm: bool,
        #[bits(47)]
        _reserved17: u64,
    }
}

register! {
    /// Exit qualification of MOV DR.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for MOV DR").
    pub struct DebugRegisterQualification(u64) {
        /// Number of the debug register.
        #[doc(alias = "DEBUG_REG_ACCESS_NUM")]
        #[bits(3)]
        pub number: u8,
        _reserved3: bool,
        /// MOV from the debug register.
        #[doc(alias = "DEBUG_REG_ACCESS_TYPE")]
        pub read: bool,
        #[bits(3)]
        _reserved5: u8,
        /// The general-purpose register.
        #[bits(4)]
        pub gpr: RegisterNumber,
        #[bits(52)]
        _reserved12: u64,
    }
}
