//! Task switches.

use x86_virt_core::register;

register! {
    /// EXITINFO1 of a task switch.
    ///
    /// AMD APM vol. 2, section 15.14.1, "Task Switch Intercept".
    ///
    /// ```
    /// use x86_virt_svm::TaskSwitchTarget;
    ///
    /// assert_eq!(TaskSwitchTarget::from_bits(0x28).selector(), 0x28);
    /// ```
    pub struct TaskSwitchTarget(u64) {
        /// The selector of the incoming task-state segment.
        pub selector: u16,
        #[bits(48)]
        _reserved16: u64,
    }
}

register! {
    /// EXITINFO2 of a task switch.
    ///
    /// AMD APM vol. 2, section 15.14.1, "Task Switch Intercept".
    ///
    /// ```
    /// use x86_virt_svm::TaskSwitchInfo;
    ///
    /// let info = TaskSwitchInfo::from_bits(1 << 44 | 1 << 38 | 0x10);
    /// assert!(info.jmp() && info.ev() && info.error_code() == 0x10);
    /// ```
    pub struct TaskSwitchInfo(u64) {
        /// The error code that the new task gets. Undefined unless `ev` is set.
        pub error_code: u32,
        #[bits(4)]
        _reserved32: u8,
        /// IRET caused the switch.
        #[doc(alias = "SVM_EXITINFOSHIFT_TS_REASON_IRET")]
        pub iret: bool,
        _reserved37: bool,
        /// A far jump caused the switch.
        #[doc(alias = "SVM_EXITINFOSHIFT_TS_REASON_JMP")]
        pub jmp: bool,
        #[bits(5)]
        _reserved39: u8,
        /// There is an error code.
        #[doc(alias = "SVM_EXITINFOSHIFT_TS_HAS_ERROR_CODE")]
        pub ev: bool,
        #[bits(3)]
        _reserved45: u8,
        /// RFLAGS.RF as the outgoing task-state segment would hold it.
        pub rf: bool,
        #[bits(15)]
        _reserved49: u16,
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::TaskSwitchInfo;

    extern crate std;

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let info = TaskSwitchInfo::from_bits(1 << 36 | 1 << 38 | 1 << 44 | 1 << 48);
        assert_eq!(info.to_string(), "0x0001105000000000 IRET JMP EV RF");
    }
}
