//! What a field holds.

use core::fmt;

use x86_virt_core::{
    Cr0, Cr4, DebugControl, Dr7, Efer, Gpa, Gva, Hpa, PageFaultErrorCode, Register, Rflags, SegmentAccessRights,
    SpecCtrl, SupervisorCet,
};
use x86_virt_ept::{Eptp, Hlatp, Spptp};

use crate::control::{
    EntryControls, ExitControls, PinControls, PrimaryControls, SecondaryControls, SecondaryExitControls,
    TertiaryControls, VmFunctionControls,
};
use crate::event::{EntryInterruption, IdtVectoring, InterruptibilityState, VmExitInterruption};
use crate::exit::ExitReason;
use crate::guest_msr::{Bndcfgs, ExceptionBitmap, FredConfig, LbrCtl, RtitCtl};
use crate::guest_state::{ActivityState, GuestInterruptStatus, PendingDebugExceptions};
use crate::instruction_error::InstructionError;

/// A type that a field can hold.
pub trait FieldValue: Copy + fmt::Debug {
    /// Bits of the type: 16, 32 or 64.
    const BITS: u32;

    /// The value from what VMREAD gives.
    fn from_raw(raw: u64) -> Self;

    /// What VMWRITE takes.
    fn into_raw(self) -> u64;

    /// Writes what the value says beside its number, such as the names of its bits, with a space before each part. Nothing
    /// if it is but a number.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        Ok(())
    }
}

/// Implements [`FieldValue`] for integers.
macro_rules! integer_value {
    ($($integer:ident),*) => {
        $(impl FieldValue for $integer {
            const BITS: u32 = $integer::BITS;

            #[inline]
            fn from_raw(raw: u64) -> Self {
                let bytes = raw.to_le_bytes();
                bytes.first_chunk().copied().map_or(0, $integer::from_le_bytes)
            }

            #[inline]
            fn into_raw(self) -> u64 {
                u64::from(self)
            }
        })*
    };
}

integer_value!(u16, u32, u64);

/// Implements [`FieldValue`] for addresses.
macro_rules! address_value {
    ($($address:ident),*) => {
        $(impl FieldValue for $address {
            const BITS: u32 = u64::BITS;

            #[inline]
            fn from_raw(raw: u64) -> Self {
                Self::new(raw)
            }

            #[inline]
            fn into_raw(self) -> u64 {
                self.get()
            }
        })*
    };
}

address_value!(Gpa, Gva, Hpa);

/// Implements [`FieldValue`] for types with `from_bits` and `into_bits`, which `show` writes.
macro_rules! domain_value {
    ($show:path: $($domain:ident($integer:ident)),* $(,)?) => {
        $(impl FieldValue for $domain {
            const BITS: u32 = $integer::BITS;

            #[inline]
            fn from_raw(raw: u64) -> Self {
                Self::from_bits($integer::from_raw(raw))
            }

            #[inline]
            fn into_raw(self) -> u64 {
                self.into_bits().into_raw()
            }

            fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $show(self, f)
            }
        })*
    };
}

// Words of named bits.
domain_value! {
    Register::show_names:
    Bndcfgs(u64),
    Cr0(u64),
    Cr4(u64),
    DebugControl(u64),
    Dr7(u64),
    Efer(u64),
    EntryInterruption(u32),
    Eptp(u64),
    ExceptionBitmap(u32),
    FredConfig(u64),
    GuestInterruptStatus(u16),
    Hlatp(u64),
    IdtVectoring(u32),
    InterruptibilityState(u32),
    LbrCtl(u64),
    PageFaultErrorCode(u32),
    PendingDebugExceptions(u64),
    Rflags(u64),
    RtitCtl(u64),
    SegmentAccessRights(u32),
    SpecCtrl(u64),
    Spptp(u64),
    SupervisorCet(u64),
    VmExitInterruption(u32),
}

// Control words, whose bits are rows of tables of their own.
macro_rules! control_value {
    ($($word:ident($integer:ident)),* $(,)?) => {
        $(domain_value! { $word::show: $word($integer) })*
    };
}

control_value! {
    EntryControls(u32),
    ExitControls(u32),
    PinControls(u32),
    PrimaryControls(u32),
    SecondaryControls(u32),
    SecondaryExitControls(u64),
    TertiaryControls(u64),
    VmFunctionControls(u64),
}

// Codes, and words whose text is a name.
domain_value! {
    name:
    ActivityState(u32),
    ExitReason(u32),
    InstructionError(u32),
}

fn name(value: impl fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, " {value}")
}

#[cfg(test)]
mod tests {
    use core::fmt;

    use super::{FieldValue, Hpa, PinControls, Rflags};
    use crate::guest_state::ActivityState;

    struct Shown<T>(T);

    impl<T: FieldValue> fmt::Display for Shown<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.show(f)
        }
    }

    #[test]
    fn values_show_what_is_not_in_the_number() {
        assert_eq!(Shown(Rflags::from_raw(0x102)).to_string(), " ONE TF");
        assert_eq!(Shown(PinControls::from_raw(0x8)).to_string(), " NMI_EXITING");
        assert_eq!(Shown(PinControls::from_raw(0)).to_string(), "");
        assert_eq!(Shown(ActivityState::from_raw(1)).to_string(), " HLT");
        assert_eq!(Shown(Hpa::from_raw(0x1000)).to_string(), "");
        assert_eq!(Shown(7_u64).to_string(), "");
    }
}
