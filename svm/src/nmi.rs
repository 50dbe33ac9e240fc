//! Blocking of NMIs where the processor does not virtualize them.

use x86_virt_core::Rflags;

use crate::cpuid::SvmFeatures;
use crate::vmcb::VirtualInterruptControl;

/// Whether the guest handles an NMI.
///
/// Without virtual NMIs the processor does not say when the handler ends. From the entry that delivers an NMI on, IRET is
/// intercepted. At that exit, which is not reported, the intercept goes and the guest continues with the IRET; NMIs stay
/// blocked until an exit finds RIP elsewhere, so that none is delivered on the stack that the IRET is to leave. If one
/// waits, the guest makes a single step, and gets it behind the IRET. An IRET that faults, or that an interrupt handler
/// executes while the NMI is handled, ends the blocking too, as it does on a processor.
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
    /// The same, and the guest makes a single step, with every exception intercepted.
    Stepping {
        /// RIP of the IRET.
        rip: u64,
        /// The guest's RFLAGS, without the step.
        rflags: Rflags,
        /// The guest's DR6, without the step.
        dr6: u64,
    },
}

impl NmiBlocking {
    pub(crate) const fn is_blocked(self) -> bool {
        !matches!(self, Self::Open)
    }

    /// After an exit at `rip` that was not that of an IRET.
    pub(crate) const fn after_exit(self, rip: u64) -> Self {
        match self {
            Self::Returning { rip: iret } | Self::Stepping { rip: iret, .. } if iret != rip => Self::Open,
            Self::Stepping { rip, .. } => Self::Returning { rip },
            other => other,
        }
    }
}

/// Moves the blocking to where it is kept on a processor with `features`: to the VMCB with virtual NMIs, or to the library.
///
/// AMD APM vol. 2, section 15.21.10, "NMI Virtualization".
pub(crate) fn keep_blocking(
    features: SvmFeatures,
    nmi: NmiBlocking,
    interrupts: VirtualInterruptControl,
) -> (NmiBlocking, VirtualInterruptControl) {
    if features.vnmi() == interrupts.v_nmi_enable() {
        return (nmi, interrupts);
    }
    let without = interrupts.with_v_nmi(false).with_v_nmi_mask(false).with_v_nmi_enable(false);
    if features.vnmi() {
        (NmiBlocking::Open, without.with_v_nmi_enable(true).with_v_nmi_mask(nmi.is_blocked()))
    } else {
        (if interrupts.v_nmi_mask() { NmiBlocking::Handling } else { NmiBlocking::Open }, without)
    }
}

/// What ended the single step over an IRET.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StepEnd {
    /// The IRET was executed, and nothing else.
    Done,
    /// The IRET raised this exception, which is intercepted for the step alone.
    Fault(u8),
    /// Something else.
    Other,
}

/// DR6.BS.
pub(crate) const SINGLE_STEP: u64 = 1 << 14;
/// DR6.B0 to B3.
pub(crate) const BREAKPOINTS: u64 = 0xf;
/// Vector of #DB.
pub(crate) const DEBUG: u8 = 1;

impl StepEnd {
    /// What an exit means, with the vector of an exception that was intercepted for the step alone.
    pub(crate) const fn of(exception: Option<u8>, dr6: u64) -> Self {
        match exception {
            Some(DEBUG) if dr6 & SINGLE_STEP != 0 => Self::Done,
            Some(vector) => Self::Fault(vector),
            None => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::Rflags;

    use super::{NmiBlocking, StepEnd, keep_blocking};
    use crate::cpuid::SvmFeatures;
    use crate::vmcb::VirtualInterruptControl;

    #[test]
    fn blocking_moves_with_the_virtual_processor() {
        let (with, without) = (SvmFeatures::new().with_vnmi(true), SvmFeatures::new());
        let none = VirtualInterruptControl::new().with_v_intr_masking(true);
        let open = none.with_v_nmi_enable(true);
        let masked = open.with_v_nmi_mask(true);
        for (library, processor) in [(NmiBlocking::Open, open), (NmiBlocking::Handling, masked)] {
            assert_eq!(keep_blocking(without, library, none), (library, none));
            assert_eq!(keep_blocking(with, library, none), (NmiBlocking::Open, processor));
            assert_eq!(keep_blocking(with, NmiBlocking::Open, processor), (NmiBlocking::Open, processor));
            assert_eq!(keep_blocking(without, NmiBlocking::Open, processor), (library, none));
        }
        // One that waits is asked for again at the next entry.
        assert_eq!(keep_blocking(without, NmiBlocking::Open, masked.with_v_nmi(true)), (NmiBlocking::Handling, none));
    }

    #[test]
    fn blocking_ends_when_the_iret_is_behind() {
        let returning = NmiBlocking::Returning { rip: 0x1000 };
        assert!(NmiBlocking::Handling.after_exit(0x1000).is_blocked());
        assert!(returning.after_exit(0x1000).is_blocked(), "the IRET has not been executed");
        assert_eq!(returning.after_exit(0x2000), NmiBlocking::Open);
        let stepping = NmiBlocking::Stepping { rip: 0x1000, rflags: Rflags::new(), dr6: 0 };
        assert_eq!(stepping.after_exit(0x1000), returning, "the step is begun anew");
        assert_eq!(stepping.after_exit(0x2000), NmiBlocking::Open);
        assert!(!NmiBlocking::Open.after_exit(0).is_blocked());
    }

    #[test]
    fn a_step_ends_with_bs_alone() {
        assert_eq!(StepEnd::of(Some(1), 0xffff_4ff0), StepEnd::Done);
        assert_eq!(StepEnd::of(Some(1), 0xffff_0ff1), StepEnd::Fault(1), "a breakpoint on the IRET");
        assert_eq!(StepEnd::of(Some(13), 0xffff_4ff0), StepEnd::Fault(13));
        assert_eq!(StepEnd::of(None, 0xffff_4ff0), StepEnd::Other);
    }
}
