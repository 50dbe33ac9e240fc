//! Codes that processors may extend.

/// Defines a code: a transparent integer with named constants, which keeps and prints any value.
///
/// A row is `NAME = value;`. Names that others give it follow as `aka "OTHER"`. A row that rests on one source or on a proposal
/// ends with `if feature = "provisional"`. A code that is narrower than its integer has a mask after the type.
#[doc(hidden)]
#[macro_export]
macro_rules! codes {
    (
        $(#[$doc:meta])*
        pub struct $code:ident($bits:ident $(& $mask:literal)?) {
            $($(#[$row_doc:meta])* $name:ident = $value:literal $(aka $($alias:literal)+)? $(if $condition:meta)?;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $code($bits);

        impl $code {
            $(
                $(#[cfg($condition)])?
                $(#[$row_doc])*
                #[doc = concat!("\n\nValue ", stringify!($value), ".")]
                $($(#[doc(alias = $alias)])+)?
                pub const $name: Self = Self($value);
            )*

            /// The rows of the table.
            pub const ALL: &'static [$crate::Code<$bits>] = &[
                $(
                    $(#[cfg($condition)])?
                    $crate::Code {
                        name: stringify!($name),
                        value: $value,
                        aliases: &[$($($alias),+)?],
                        provisional: !concat!("", $(stringify!($condition))?).is_empty(),
                    },
                )*
            ];

            /// The code with this value, of which the bits that the code has count.
            #[must_use]
            pub const fn from_bits(value: $bits) -> Self {
                Self(value $(& $mask)?)
            }

            /// The value.
            #[must_use]
            pub const fn into_bits(self) -> $bits {
                self.0
            }

            /// The manual's name, if the code has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                Some(match self.0 {
                    $($(#[cfg($condition)])? $value => stringify!($name),)*
                    _ => return None,
                })
            }
        }

        impl core::fmt::Display for $code {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    // Short codes are listed in decimal by the manuals, long ones in hexadecimal.
                    None if $bits::BITS <= 16 => core::fmt::Display::fmt(&self.0, f),
                    None => write!(f, "{:#x}", self.0),
                }
            }
        }

        impl core::fmt::Debug for $code {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(self, f)
            }
        }

        impl $crate::BitValue for $code {
            fn is_zero(self) -> bool {
                false
            }
        }

        $crate::arbitrary_bits!($code);
    };
}

/// A row of a table of codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code<T> {
    /// The name.
    pub name: &'static str,
    /// The value.
    pub value: T,
    /// Names that other projects give it.
    pub aliases: &'static [&'static str],
    /// Whether the row is not in a manual, and may change.
    pub provisional: bool,
}
