//! Words of debugging.

use crate::register;

register! {
    /// DR7.
    ///
    /// Intel SDM vol. 3, section 19.2.4, "Debug Control Register (DR7)"; AMD APM vol. 2, section 13.1.1.4, "Debug-Control Register
    /// (DR7)".
    ///
    /// ```
    /// use x86_virt_core::Dr7;
    ///
    /// assert_eq!(Dr7::from_bits(0x402).to_string(), "0x0000000000000402 G0 ONE");
    /// ```
    pub struct Dr7(u64) {
        /// Breakpoint 0 is enabled for the task.
        pub l0: bool,
        /// Breakpoint 0 is enabled.
        pub g0: bool,
        /// Breakpoint 1 is enabled for the task.
        pub l1: bool,
        /// Breakpoint 1 is enabled.
        pub g1: bool,
        /// Breakpoint 2 is enabled for the task.
        pub l2: bool,
        /// Breakpoint 2 is enabled.
        pub g2: bool,
        /// Breakpoint 3 is enabled for the task.
        pub l3: bool,
        /// Breakpoint 3 is enabled.
        pub g3: bool,
        /// Local exact breakpoints.
        pub le: bool,
        /// Global exact breakpoints.
        pub ge: bool,
        /// Always 1.
        #[bits(default = true)]
        pub one: bool,
        /// Debugging of transactional regions (Intel).
        pub rtm: bool,
        _reserved12: bool,
        /// General detect: accesses to debug registers raise #DB.
        pub gd: bool,
        #[bits(2)]
        _reserved14: u8,
        /// Kind of breakpoint 0: 0 execution, 1 write, 2 I/O, 3 read or write.
        #[bits(2)]
        pub rw0: u8,
        /// Length of breakpoint 0: 0 one byte, 1 two, 2 eight, 3 four.
        #[bits(2)]
        pub len0: u8,
        /// Kind of breakpoint 1.
        #[bits(2)]
        pub rw1: u8,
        /// Length of breakpoint 1.
        #[bits(2)]
        pub len1: u8,
        /// Kind of breakpoint 2.
        #[bits(2)]
        pub rw2: u8,
        /// Length of breakpoint 2.
        #[bits(2)]
        pub len2: u8,
        /// Kind of breakpoint 3.
        #[bits(2)]
        pub rw3: u8,
        /// Length of breakpoint 3.
        #[bits(2)]
        pub len3: u8,
        _reserved32: u32,
    }
}

register! {
    /// IA32_DEBUGCTL of Intel processors.
    ///
    /// Intel SDM vol. 3, section 19.4.1, "IA32_DEBUGCTL MSR".
    ///
    /// ```
    /// use x86_virt_core::DebugControl;
    ///
    /// assert!(DebugControl::from_bits(2).btf());
    /// ```
    pub struct DebugControl(u64) {
        /// Last branches are recorded.
        pub lbr: bool,
        /// RFLAGS.TF steps by branches.
        pub btf: bool,
        /// Bus locks raise #DB.
        pub bld: bool,
        #[bits(3)]
        _reserved3: u8,
        /// Branch-trace messages.
        pub tr: bool,
        /// Branch-trace messages go to memory.
        pub bts: bool,
        /// An interrupt when the memory for branch traces is full.
        pub btint: bool,
        /// No traces at privilege level 0.
        pub bts_off_os: bool,
        /// No traces at other privilege levels.
        pub bts_off_usr: bool,
        /// A performance-monitoring interrupt stops the recording of branches.
        pub freeze_lbrs_on_pmi: bool,
        /// A performance-monitoring interrupt stops the counters.
        pub freeze_perfmon_on_pmi: bool,
        /// Interrupts of uncore counters.
        pub enable_uncore_pmi: bool,
        /// Counters stop in system-management mode.
        pub freeze_while_smm: bool,
        /// Debugging of transactional regions.
        pub rtm_debug: bool,
        #[bits(48)]
        _reserved16: u64,
    }
}

#[cfg(test)]
mod tests {
    use super::{DebugControl, Dr7};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        assert_eq!(Dr7::new().with_g3(true).with_gd(true).with_rtm(true).into_bits(), 0x2c80);
        assert_eq!(Dr7::new().with_rw0(1).with_len0(2).with_rw3(3).with_len3(3).into_bits(), 0xf009_0400);
        assert_eq!(DebugControl::new().with_lbr(true).with_bld(true).with_tr(true).into_bits(), 0x45);
        assert_eq!(DebugControl::new().with_rtm_debug(true).with_freeze_while_smm(true).into_bits(), 0xc000);
    }
}
