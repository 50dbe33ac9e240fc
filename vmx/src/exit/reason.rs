//! The exit-reason field.

use core::fmt;

use x86_virt_core::{BitField, Register, TableRow, register_word};

use super::basic_reason::BasicExitReason;

register_word! {
    /// An exit reason: the basic reason in bits 15:0, and flags.
    ///
    /// A reason that this version does not know is kept and printed as its number.
    ///
    /// Intel SDM vol. 3, section 27.9.1, "Basic VM-Exit Information" (table "Format of Exit Reason").
    ///
    /// ```
    /// use x86_virt_vmx::{BasicExitReason, ExitReason};
    ///
    /// let reason = ExitReason::from_bits(0x8000_0021);
    /// assert_eq!(reason.basic(), BasicExitReason::INVALID_GUEST_STATE);
    /// assert!(reason.entry_failure());
    /// assert_eq!(reason.to_string(), "INVALID_GUEST_STATE ENTRY_FAILURE (0x80000021)");
    /// ```
    pub struct ExitReason(u32) {
        /// The basic reason.
        #[bits(16)]
        pub basic: BasicExitReason,
        #[bits(9)]
        _reserved16: u16,
        /// A supervisor shadow stack is marked busy by an operation that the exit interrupted.
        pub shadow_stack_prematurely_busy: bool,
        /// The guest asserted a bus lock, with VMM bus-lock detection, and another exit came first.
        pub bus_lock: bool,
        /// The exit came from an enclave.
        #[doc(alias = "VMX_EXIT_REASONS_SGX_ENCLAVE_MODE")]
        pub enclave_mode: bool,
        /// A monitor-trap-flag exit was pending (SMM exits only).
        pub pending_mtf: bool,
        /// The exit came from VMX root operation (SMM exits only).
        pub from_vmx_root: bool,
        _reserved30: bool,
        /// The VM entry failed.
        #[doc(alias = "VMX_EXIT_REASONS_FAILED_VMENTRY")]
        pub entry_failure: bool,
    }
}

impl ExitReason {
    /// The name of the basic reason, or `None` for one that this version does not know.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        self.basic().name()
    }
}

impl From<BasicExitReason> for ExitReason {
    fn from(basic: BasicExitReason) -> Self {
        Self::new().with_basic(basic)
    }
}

impl fmt::Debug for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "exit reason {}", self.basic())?,
        }
        for flag in flags().filter(|flag| self.into_bits() >> flag.offset & 1 == 1) {
            write!(f, " {}", flag.name)?;
        }
        if self.into_bits() >> 16 != 0 {
            write!(f, " ({:#010x})", self.into_bits())?;
        }
        Ok(())
    }
}

/// The fields beside the basic reason.
fn flags() -> impl Iterator<Item = &'static BitField> {
    ExitReason::FIELDS.iter().filter(|field| field.width == 1)
}

/// Visits the flags.
pub(super) fn rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    for flag in flags() {
        visit(&TableRow {
            table: "vmx_exit_reason_flag",
            name: flag.name,
            aliases: flag.aliases,
            encoding: u64::from(flag.offset),
            width_bits: flag.width,
            access: "",
            group: &"",
            requires: &"",
            provisional: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use x86_virt_core::Register;

    use super::{BasicExitReason, ExitReason};

    #[test]
    fn flags_are_where_the_manual_has_them() {
        let flags = [
            (25, ExitReason::new().with_shadow_stack_prematurely_busy(true)),
            (26, ExitReason::new().with_bus_lock(true)),
            (27, ExitReason::new().with_enclave_mode(true)),
            (28, ExitReason::new().with_pending_mtf(true)),
            (29, ExitReason::new().with_from_vmx_root(true)),
            (31, ExitReason::new().with_entry_failure(true)),
        ];
        for (bit, reason) in flags {
            assert_eq!(reason.into_bits(), 1 << bit);
        }
        assert_eq!(super::flags().count(), flags.len());
    }

    #[test]
    fn the_text_begins_with_the_reason() {
        let text = |bits| ExitReason::from_bits(bits).to_string();
        assert_eq!(text(10), "CPUID");
        assert_eq!(text(0x1fff), "exit reason 8191");
        assert_eq!(text(0x8000_0021), "INVALID_GUEST_STATE ENTRY_FAILURE (0x80000021)");
        assert_eq!(text(0x0c00_000a), "CPUID BUS_LOCK ENCLAVE_MODE (0x0c00000a)");
        assert_eq!(text(0x4001_0023), "exit reason 35 (0x40010023)");
        assert_eq!(ExitReason::from(BasicExitReason::HLT), ExitReason::from_bits(12));
    }

    proptest! {
        #[test]
        fn every_bit_is_kept(bits in any::<u32>()) {
            let reason = ExitReason::from_bits(bits);
            assert_eq!((reason.into_bits(), reason.into_raw()), (bits, u64::from(bits)));
            assert_eq!(u32::from(reason.basic().into_bits()), bits & 0xffff);
        }
    }
}
