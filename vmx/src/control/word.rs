//! The definition of a control word.

/// Defines a control word with its named bits.
///
/// A row is `NAME = bit;`. Controls that must be 1 where this one is follow as `needs [..]`, those that must be 0 as
/// `excludes [..]`, names that others give it as `aka "OTHER"`. A row that rests on one source ends with
/// `if feature = "provisional"`.
macro_rules! control_word {
    (
        $(#[$doc:meta])*
        pub struct $word:ident($bits:ident), $which:ident {
            $(
                $(#[$bit_doc:meta])*
                $name:ident = $bit:literal
                    $(needs [$($need:expr),+])?
                    $(excludes [$($excluded:expr),+])?
                    $(aka $($alias:literal)+)?
                    $(if $condition:meta)?;
            )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[repr(transparent)]
        pub struct $word($bits);

        impl $word {
            $(
                $(#[cfg($condition)])?
                $(#[$bit_doc])*
                #[doc = concat!("\n\nBit ", stringify!($bit), ".")]
                $(
                    #[doc = "\n\nNeeds:\n"]
                    $(#[doc = concat!("- [`", stringify!($need), "`](crate::", stringify!($need), ")")])+
                )?
                $(
                    #[doc = "\n\nExcludes:\n"]
                    $(#[doc = concat!("- [`", stringify!($excluded), "`](crate::", stringify!($excluded), ")")])+
                )?
                $($(#[doc(alias = $alias)])+)?
                pub const $name: Self = Self(1 << $bit);
            )*

            /// No bit.
            pub const NONE: Self = Self(0);

            /// The named bits, in their order.
            pub const ALL: &'static [$crate::control::ControlInfo] = &[
                $(
                    $(#[cfg($condition)])?
                    $crate::control::ControlInfo {
                        control: $crate::control::Control { word: $crate::control::ControlWord::$which, bit: $bit },
                        name: stringify!($name),
                        aliases: &[$($($alias),+)?],
                        needs: &[$($($need.single()),+)?],
                        excludes: &[$($($excluded.single()),+)?],
                        provisional: !concat!("", $(stringify!($condition))?).is_empty(),
                    },
                )*
            ];

            /// The word with this value.
            #[must_use]
            pub const fn from_bits(bits: $bits) -> Self {
                Self(bits)
            }

            /// The value.
            #[must_use]
            pub const fn into_bits(self) -> $bits {
                self.0
            }

            /// The bits of either.
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// The bits of `self` that `other` has not.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// Whether all bits of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// The control, if exactly one bit is set.
            #[must_use]
            pub const fn control(self) -> Option<$crate::control::Control> {
                if !self.0.is_power_of_two() {
                    return None;
                }
                let [bit, ..] = self.0.trailing_zeros().to_le_bytes();
                Some($crate::control::Control { word: $crate::control::ControlWord::$which, bit })
            }

            /// The control of a row in a table, of which exactly one bit is set: other words do not compile.
            pub(crate) const fn single(self) -> $crate::control::Control {
                match self.control() {
                    Some(control) => control,
                    None => panic!("not one control"),
                }
            }

            /// Chooses the value for a processor with this capability.
            ///
            /// Every bit of `required` is set, no bit of `refused` is, those of `optional` are where the processor can, and
            /// all others are as the processor has them by default.
            ///
            /// # Errors
            ///
            /// [`UnsupportedControl`](crate::UnsupportedControl) with the first bit that the processor cannot set or clear
            /// as asked.
            pub const fn negotiate(
                capability: $crate::control::ControlCapability<Self>,
                required: Self,
                optional: Self,
                refused: Self,
            ) -> Result<Self, $crate::control::UnsupportedControl> {
                use $crate::control::{Control, ControlWord, Setting, UnsupportedControl};
                let (must_be_one, may_be_one) = (capability.must_be_one.0, capability.may_be_one.0);
                let missing = required.0 & !may_be_one;
                let forced = refused.0 & must_be_one;
                let (wrong, setting) = if missing != 0 { (missing, Setting::One) } else { (forced, Setting::Zero) };
                if wrong != 0 {
                    let [bit, ..] = wrong.trailing_zeros().to_le_bytes();
                    return Err(UnsupportedControl { control: Control { word: ControlWord::$which, bit }, setting });
                }
                Ok(Self(required.0 | optional.0 & may_be_one & !refused.0 | must_be_one))
            }

            /// Writes the names of the bits that are set, each with a space before, and other bits as a number.
            pub(crate) fn show(self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut rest = self.0;
                for info in Self::ALL {
                    let bit = 1 << info.control.bit;
                    if rest & bit != 0 {
                        rest &= !bit;
                        write!(f, " {}", info.name)?;
                    }
                }
                if rest == 0 { Ok(()) } else { write!(f, " {rest:#x}") }
            }
        }

        // Rows are sorted, so that none overlaps another.
        const _: () = {
            let mut rest = $word::ALL;
            while let [first, tail @ ..] = rest {
                if let [second, ..] = tail {
                    assert!(first.control.bit < second.control.bit, "rows are not sorted by bit");
                }
                rest = tail;
            }
        };

        impl core::ops::BitOr for $word {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                self.union(other)
            }
        }

        impl core::fmt::Display for $word {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let digits = usize::try_from($bits::BITS / 4 + 2).unwrap_or_default();
                write!(f, "{:#0digits$x}", self.0)?;
                self.show(f)
            }
        }

        impl core::fmt::Debug for $word {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($word), "({})"), self)
            }
        }

        x86_virt_core::arbitrary_bits!($word);
    };
}
