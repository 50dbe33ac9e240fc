//! Which bits of a control word a processor can set or clear.

use super::{
    Control, EntryControls, ExitControls, PinControls, PrimaryControls, SecondaryControls, SecondaryExitControls,
    TertiaryControls, VmFunctionControls,
};

/// What a processor can do with the bits of the control word `W`: the value of a capability MSR.
///
/// Intel SDM vol. 3, appendix A.3, "VM-Execution Controls".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ControlCapability<W> {
    pub(super) must_be_one: W,
    pub(super) may_be_one: W,
}

impl<W: Copy> ControlCapability<W> {
    /// Bits that must be 1.
    #[must_use]
    pub const fn must_be_one(self) -> W {
        self.must_be_one
    }

    /// Bits that may be 1.
    #[must_use]
    pub const fn may_be_one(self) -> W {
        self.may_be_one
    }
}

/// Reads the MSRs of words of 32 bits: in bits 31:0 those that must be 1, in bits 63:32 those that may be.
macro_rules! two_halves {
    ($($word:ident)*) => {
        $(impl ControlCapability<$word> {
            /// The capability with the value of its MSR: bits 31:0 must be 1, bits 63:32 may be 1.
            #[must_use]
            pub const fn new(msr: u64) -> Self {
                let [a, b, c, d, e, f, g, h] = msr.to_le_bytes();
                Self {
                    must_be_one: $word::from_bits(u32::from_le_bytes([a, b, c, d])),
                    may_be_one: $word::from_bits(u32::from_le_bytes([e, f, g, h])),
                }
            }

            /// Whether a VM entry takes `value`: every bit that must be 1 is, and no other than those that may be.
            #[must_use]
            pub const fn allows(self, value: $word) -> bool {
                self.may_be_one.contains(value) && value.contains(self.must_be_one)
            }
        })*
    };
}

two_halves! { PinControls PrimaryControls SecondaryControls ExitControls EntryControls }

/// Reads the MSRs of words of 64 bits: those that may be 1.
macro_rules! allowed_one {
    ($($word:ident)*) => {
        $(impl ControlCapability<$word> {
            /// The capability with the value of its MSR: the bits that may be 1. None must be.
            #[must_use]
            pub const fn new(msr: u64) -> Self {
                Self { must_be_one: $word::NONE, may_be_one: $word::from_bits(msr) }
            }

            /// Whether a VM entry takes `value`: every bit that must be 1 is, and no other than those that may be.
            #[must_use]
            pub const fn allows(self, value: $word) -> bool {
                self.may_be_one.contains(value) && value.contains(self.must_be_one)
            }
        })*
    };
}

allowed_one! { TertiaryControls SecondaryExitControls VmFunctionControls }

/// A setting of a control bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Setting {
    /// 1.
    One,
    /// 0.
    Zero,
}

/// The processor cannot set or clear a control bit as asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[error(
    "the {} control bit {} ({}) cannot be {}",
    .control.word.title(),
    .control.bit,
    .control.name(),
    match .setting { Setting::One => "1", Setting::Zero => "0" }
)]
pub struct UnsupportedControl {
    /// The control.
    pub control: Control,
    /// What was asked for.
    pub setting: Setting,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{ControlCapability, Setting};
    use crate::control::{PrimaryControls, TertiaryControls};

    /// IA32_VMX_TRUE_PROCBASED_CTLS of a Haswell: default1 bits without CR3 exiting.
    const PRIMARY: ControlCapability<PrimaryControls> =
        ControlCapability::<PrimaryControls>::new(0xfff9_fffe_0400_6172);

    #[test]
    fn required_and_optional_bits_are_set_and_default_ones_kept() {
        let optional = PrimaryControls::ACTIVATE_TERTIARY_CONTROLS | PrimaryControls::PAUSE_EXITING;
        let controls =
            PrimaryControls::negotiate(PRIMARY, PrimaryControls::HLT_EXITING, optional, PrimaryControls::NONE).unwrap();
        assert_eq!(controls.into_bits(), 0x0400_6172 | 1 << 7 | 1 << 30);
    }

    #[test]
    fn a_refusal_names_the_word_and_the_bit() {
        let required = PrimaryControls::HLT_EXITING | PrimaryControls::ACTIVATE_TERTIARY_CONTROLS;
        let error =
            PrimaryControls::negotiate(PRIMARY, required, PrimaryControls::NONE, PrimaryControls::NONE).unwrap_err();
        assert_eq!((error.control.bit, error.setting), (17, Setting::One));
        assert_eq!(
            error.to_string(),
            "the primary processor-based control bit 17 (ACTIVATE_TERTIARY_CONTROLS) cannot be 1"
        );
    }

    #[test]
    fn a_bit_that_must_be_one_cannot_be_refused() {
        let basic = ControlCapability::<PrimaryControls>::new(0xfff9_fffe_0401_e172);
        let refused = PrimaryControls::CR3_LOAD_EXITING;
        let error =
            PrimaryControls::negotiate(basic, PrimaryControls::NONE, PrimaryControls::NONE, refused).unwrap_err();
        assert_eq!((error.control.name(), error.setting), ("CR3_LOAD_EXITING", Setting::Zero));
        assert!(PrimaryControls::negotiate(PRIMARY, PrimaryControls::NONE, PrimaryControls::NONE, refused).is_ok());
    }

    #[test]
    fn a_word_of_64_bits_has_no_bit_that_must_be_one() {
        let capability = ControlCapability::<TertiaryControls>::new(1 << 4 | 1 << 40);
        assert_eq!(capability.must_be_one(), TertiaryControls::NONE);
        let wanted = TertiaryControls::from_bits(1 << 40);
        let none = TertiaryControls::NONE;
        assert_eq!(TertiaryControls::negotiate(capability, wanted, none, none), Ok(wanted));
        let error = TertiaryControls::negotiate(capability, TertiaryControls::ENABLE_HLAT, none, none).unwrap_err();
        assert_eq!(error.to_string(), "the tertiary processor-based control bit 1 (ENABLE_HLAT) cannot be 1");
    }

    proptest! {
        #[test]
        fn what_is_chosen_is_what_the_processor_can(
            msr in any::<u64>(), required in any::<u32>(), optional in any::<u32>(), refused in any::<u32>(),
        ) {
            let capability = ControlCapability::<PrimaryControls>::new(msr);
            let [required, optional, refused] = [required, optional, refused].map(PrimaryControls::from_bits);
            if let Ok(chosen) = PrimaryControls::negotiate(capability, required, optional, refused) {
                assert!(chosen.contains(required) && chosen.contains(capability.must_be_one()));
                assert_eq!(chosen.into_bits() & refused.into_bits() & !required.into_bits(), 0);
                let allowed = capability.may_be_one() | capability.must_be_one();
                assert!(allowed.contains(chosen));
            }
        }
    }
}
