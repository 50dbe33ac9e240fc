//! The controls that end a run for what a hypervisor asks for.

use x86_virt_core::{InterceptError, Intercepts};

use crate::capability::Capabilities;
use crate::control::{PrimaryControls, SecondaryControls};

/// An intercept with the control that makes it.
struct Row<C> {
    is_wanted: fn(Intercepts) -> bool,
    control: C,
    name: &'static str,
    control_name: &'static str,
}

/// Makes rows: what reads the wish, the control, and what ends the run.
macro_rules! rows {
    ($word:ident: $($wish:ident, $control:ident, $name:literal;)*) => {
        &[$(Row {
            is_wanted: |intercepts| intercepts.$wish(),
            control: $word::$control,
            name: $name,
            control_name: concat!("the control ", stringify!($control)),
        },)*]
    };
}

const PRIMARY: &[Row<PrimaryControls>] = rows! { PrimaryControls:
    hlt, HLT_EXITING, "HLT";
    pause, PAUSE_EXITING, "PAUSE";
    rdtsc, RDTSC_EXITING, "RDTSC";
    cr3_write, CR3_LOAD_EXITING, "MOV to CR3";
    cr3_read, CR3_STORE_EXITING, "MOV from CR3";
    invlpg, INVLPG_EXITING, "INVLPG";
};

const SECONDARY: &[Row<SecondaryControls>] = rows! { SecondaryControls:
    wbinvd, WBINVD_EXITING, "WBINVD";
    descriptor_tables, DESCRIPTOR_TABLE_EXITING, "accesses to descriptor tables";
    rdrand, RDRAND_EXITING, "RDRAND";
    rdseed, RDSEED_EXITING, "RDSEED";
};

/// The controls of both words that end a run for `intercepts`, and those that must not be.
///
/// Intel SDM vol. 3, section 28.1.3, "Instructions That Cause VM Exits Conditionally".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InterceptControls {
    pub(crate) primary: PrimaryControls,
    pub(crate) secondary: SecondaryControls,
}

impl InterceptControls {
    /// All that are known here.
    pub(crate) fn all() -> Self {
        Self::of(Intercepts::from_bits(u32::MAX))
    }

    pub(crate) fn of(intercepts: Intercepts) -> Self {
        let primary = PRIMARY.iter().filter(|row| (row.is_wanted)(intercepts));
        let secondary = SECONDARY.iter().filter(|row| (row.is_wanted)(intercepts));
        Self {
            primary: primary.fold(PrimaryControls::NONE, |set, row| set | row.control),
            secondary: secondary.fold(SecondaryControls::NONE, |set, row| set | row.control),
        }
    }

    /// The same if a processor can do it, and nothing else.
    pub(crate) fn supported(intercepts: Intercepts, capabilities: &Capabilities) -> Result<Self, InterceptError> {
        check_words(intercepts)?;
        let (primary, secondary) = (capabilities.primary(), capabilities.secondary());
        for row in PRIMARY {
            let can = (primary.must_be_one().contains(row.control), primary.may_be_one().contains(row.control));
            check_row((row.is_wanted)(intercepts), can, row.name, row.control_name)?;
        }
        for row in SECONDARY {
            let can = (secondary.must_be_one().contains(row.control), secondary.may_be_one().contains(row.control));
            check_row((row.is_wanted)(intercepts), can, row.name, row.control_name)?;
        }
        Ok(Self::of(intercepts))
    }
}

fn check_row(
    is_wanted: bool,
    (must, may): (bool, bool),
    intercept: &'static str,
    needs: &'static str,
) -> Result<(), InterceptError> {
    match is_wanted {
        true if !may => Err(InterceptError::Missing { intercept, needs }),
        false if must => Err(InterceptError::Always { intercept }),
        _ => Ok(()),
    }
}

/// What VMX has no control for.
pub(crate) fn check_words(intercepts: Intercepts) -> Result<(), InterceptError> {
    for (is_wanted, intercept) in [
        (intercepts.cr0_read(), "MOV from CR0"),
        (intercepts.cr4_read(), "MOV from CR4"),
        (intercepts.software_interrupt(), "INT n"),
    ] {
        if is_wanted {
            return Err(InterceptError::Missing { intercept, needs: "a control, which VMX does not have" });
        }
    }
    if intercepts.invpcid() && !intercepts.invlpg() {
        return Err(InterceptError::OnlyWith { intercept: "INVPCID", other: "INVLPG" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{InterceptError, Intercepts};

    use super::InterceptControls;
    use crate::capability::{Capabilities, RawCapabilities};
    use crate::control::{PrimaryControls, SecondaryControls};
    use crate::setup::tests::HASWELL;

    #[test]
    fn each_intercept_has_its_control() {
        let of = InterceptControls::of(Intercepts::new().with_rdtsc(true).with_descriptor_tables(true));
        assert_eq!(of.primary, PrimaryControls::RDTSC_EXITING);
        assert_eq!(of.secondary, SecondaryControls::DESCRIPTOR_TABLE_EXITING);
        let all = InterceptControls::all();
        assert_eq!((all.primary.into_bits(), all.secondary.into_bits()), (0x4001_9280, 0x1_0844));
    }

    #[test]
    fn what_a_processor_cannot_do_is_named() {
        let haswell = Capabilities::from_raw(HASWELL);
        let refused = |intercepts| InterceptControls::supported(intercepts, &haswell).unwrap_err().to_string();
        let new = Intercepts::new();
        assert!(
            InterceptControls::supported(new.with_rdrand(true).with_invlpg(true).with_invpcid(true), &haswell).is_ok()
        );
        let seed = "this processor does not end a run at RDSEED: it lacks the control RDSEED_EXITING";
        assert_eq!(refused(new.with_rdseed(true)), seed);
        let read = "this processor does not end a run at MOV from CR0: it lacks a control, which VMX does not have";
        assert_eq!(refused(new.with_cr0_read(true)), read);
        let with = "this processor ends a run at INVPCID only if it does at INVLPG";
        assert_eq!(refused(new.with_invpcid(true)), with);
        // A processor of the first generation always ends a run at MOV to CR3.
        let old = RawCapabilities { true_primary: HASWELL.true_primary | 1 << 15, ..HASWELL };
        let old = InterceptControls::supported(new, &Capabilities::from_raw(old));
        assert_eq!(old, Err(InterceptError::Always { intercept: "MOV to CR3" }));
    }
}
