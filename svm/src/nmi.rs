//! Blocking of NMIs.

/// Whether the guest handles an NMI.
///
/// The processor does not say when the handler ends. From the entry that delivers an NMI on, IRET is intercepted. At that
/// exit, which is not reported, the intercept goes and the guest continues with the IRET; NMIs stay blocked until an exit
/// finds RIP elsewhere, so that none is delivered on the stack that the IRET is to leave. An IRET that faults, or that an
/// interrupt handler executes while the NMI is handled, ends the blocking too, as it does on a processor.
///
/// AMD APM vol. 2, section 15.20, "Event Injection", and section 8.2.3, "NMI - Non-Maskable-Interrupt Exception (Vector 2)".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NmiBlocking {
    /// NMIs are taken.
    Open,
    /// The handler runs; IRET is intercepted.
    Handling,
    /// The IRET at this RIP may not have been executed yet.
    Returning {
        /// RIP of the IRET.
        rip: u64,
    },
}

impl NmiBlocking {
    pub(crate) const fn is_blocked(self) -> bool {
        !matches!(self, Self::Open)
    }

    /// After an exit at `rip` that was not that of an IRET.
    pub(crate) const fn after_exit(self, rip: u64) -> Self {
        match self {
            Self::Returning { rip: iret } if iret != rip => Self::Open,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NmiBlocking;

    #[test]
    fn blocking_ends_when_the_iret_is_behind() {
        let returning = NmiBlocking::Returning { rip: 0x1000 };
        assert!(NmiBlocking::Handling.after_exit(0x1000).is_blocked());
        assert!(returning.after_exit(0x1000).is_blocked(), "the IRET has not been executed");
        assert_eq!(returning.after_exit(0x2000), NmiBlocking::Open);
        assert!(!NmiBlocking::Open.after_exit(0).is_blocked());
    }
}
