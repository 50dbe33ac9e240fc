//! Words of named bits: what their types have in common.

use core::fmt;

/// Bits of a word that have a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BitField {
    /// The name.
    pub name: &'static str,
    /// The lowest bit.
    pub offset: u32,
    /// How many bits.
    pub width: u32,
    /// Names that other projects give the field.
    pub aliases: &'static [&'static str],
}

/// A word of named bits. Every value is one, and none of its bits is lost.
pub trait Register: Copy + fmt::Debug + fmt::Display {
    /// The fields, from bit 0 on. Reserved and ignored bits have none.
    const FIELDS: &'static [BitField];

    /// Bits in the word.
    const WIDTH: u32;

    /// The word with the value `raw`, of which the lowest [`WIDTH`](Self::WIDTH) bits count.
    fn from_raw(raw: u64) -> Self;

    /// The value.
    fn into_raw(self) -> u64;

    /// Writes the fields that are not zero, each with a space before: the text of the word without its number.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn show_names(self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// The value of a field of a [`Register`].
pub trait BitValue: Copy + fmt::Debug {
    /// Whether the field is left out where a word is printed.
    fn is_zero(self) -> bool;

    /// Writes the field with the name `name` and this value.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn show(self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {name}={self:?}")
    }
}

impl BitValue for bool {
    fn is_zero(self) -> bool {
        !self
    }

    fn show(self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {name}")
    }
}

/// Implements [`BitValue`] for integers.
macro_rules! integer_bit_value {
    ($($integer:ident)*) => {
        $(impl BitValue for $integer {
            fn is_zero(self) -> bool {
                self == 0
            }

            fn show(self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, " {name}={self:#x}")
            }
        })*
    };
}

integer_bit_value! { u8 u16 u32 u64 }

/// Writes the field `value` unless it is zero.
///
/// # Errors
///
/// Those of the formatter.
#[doc(hidden)]
pub fn show_field<V: BitValue>(value: V, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value.is_zero() { Ok(()) } else { value.show(name, f) }
}

/// `name` without the prefix of a raw identifier.
#[doc(hidden)]
#[must_use]
pub const fn plain(name: &str) -> &str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// The name of a field, which is the manual's, from that of its function.
#[doc(hidden)]
#[must_use]
pub const fn upper_case<const N: usize>(name: &str) -> [u8; N] {
    let mut upper = [0; N];
    upper.copy_from_slice(name.as_bytes());
    upper.make_ascii_uppercase();
    upper
}

/// Defines a word of named bits: a `bitfield-struct` whose text names the bits, and which is a [`Register`].
///
/// A field is `pub name: type`, with the manual's name in lower case, and before it `#[bits(n)]` if the type does not tell the
/// width. Names that others give it stand between its text and that, each as `#[doc(alias = "OTHER")]`. Bits without a name are
/// private fields.
#[doc(hidden)]
#[macro_export]
macro_rules! register {
    (
        $(#[$doc:meta])*
        pub struct $register:ident($bits:ident $(, $option:ident = $value:tt)*) { $($body:tt)* }
    ) => {
        $crate::register_word! {
            $(#[$doc])*
            pub struct $register($bits $(, $option = $value)*) { $($body)* }
        }

        impl core::fmt::Display for $register {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let digits = usize::try_from($bits::BITS / 4 + 2).unwrap_or_default();
                write!(f, "{:#0digits$x}", self.into_bits())?;
                $crate::Register::show_names(*self, f)
            }
        }

        impl core::fmt::Debug for $register {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($register), "({})"), self)
            }
        }
    };
}

/// Defines the same without its text, for a word that has one of its own.
#[doc(hidden)]
#[macro_export]
macro_rules! register_word {
    (
        $(#[$doc:meta])*
        pub struct $register:ident($bits:ident $(, $option:ident = $value:tt)*) { $($body:tt)* }
    ) => {
        $(#[$doc])*
        #[bitfield_struct::bitfield($bits, debug = false $(, $option = $value)*)]
        #[derive(PartialEq, Eq, Hash)]
        pub struct $register { $($body)* }

        impl $crate::Register for $register {
            const FIELDS: &'static [$crate::BitField] = $crate::register_fields! { table (0) [] [$($body)*] };
            const WIDTH: u32 = $bits::BITS;

            fn from_raw(raw: u64) -> Self {
                let bytes = raw.to_le_bytes();
                Self::from_bits(bytes.first_chunk().copied().map_or(0, $bits::from_le_bytes))
            }

            fn into_raw(self) -> u64 {
                u64::from(self.into_bits())
            }

            fn show_names(self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $crate::register_fields! { show self f [$($body)*] }
                Ok(())
            }
        }

        $crate::arbitrary_bits!($register);
    };
}

/// Walks over the fields of a [`register!`](crate::register): to show their values, or to list them.
#[doc(hidden)]
#[macro_export]
macro_rules! register_fields {
    (show $self:ident $f:ident []) => {};
    (show $self:ident $f:ident [
        $(#[doc = $doc:tt])* $(#[doc(alias = $alias:tt)])* $(#[bits($($bits:tt)*)])? pub $field:ident: $type:ident,
        $($rest:tt)*
    ]) => {
        $crate::show_field($self.$field(), $crate::field_name!($field), $f)?;
        $crate::register_fields! { show $self $f [$($rest)*] }
    };
    (show $self:ident $f:ident [$(#[bits($width:tt)])? $field:ident: $type:ident, $($rest:tt)*]) => {
        $crate::register_fields! { show $self $f [$($rest)*] }
    };
    (table ($offset:expr) [$($done:tt)*] []) => { &[$($done)*] };
    (table ($offset:expr) [$($done:tt)*] [
        $(#[doc = $doc:tt])* $(#[doc(alias = $alias:tt)])* #[bits($width:tt)] pub $field:ident: $type:ident, $($rest:tt)*
    ]) => {
        $crate::register_fields! {
            table ($offset + $width)
            [
                $($done)*
                $crate::BitField {
                    name: $crate::field_name!($field),
                    offset: $offset,
                    width: $width,
                    aliases: &[$($alias),*],
                },
            ]
            [$($rest)*]
        }
    };
    (table ($offset:expr) [$($done:tt)*] [
        $(#[doc = $doc:tt])* $(#[doc(alias = $alias:tt)])* $(#[bits(default = $default:tt)])? pub $field:ident: $type:ident,
        $($rest:tt)*
    ]) => {
        $crate::register_fields! {
            table ($offset + $crate::type_width!($type))
            [
                $($done)*
                $crate::BitField {
                    name: $crate::field_name!($field),
                    offset: $offset,
                    width: $crate::type_width!($type),
                    aliases: &[$($alias),*],
                },
            ]
            [$($rest)*]
        }
    };
    (table ($offset:expr) [$($done:tt)*] [#[bits($width:tt)] $field:ident: $type:ident, $($rest:tt)*]) => {
        $crate::register_fields! { table ($offset + $width) [$($done)*] [$($rest)*] }
    };
    (table ($offset:expr) [$($done:tt)*] [$field:ident: $type:ident, $($rest:tt)*]) => {
        $crate::register_fields! { table ($offset + $crate::type_width!($type)) [$($done)*] [$($rest)*] }
    };
}

/// Bits of a type of a field.
#[doc(hidden)]
#[macro_export]
macro_rules! type_width {
    (bool) => {
        1
    };
    ($type:ident) => {
        $type::BITS
    };
}

/// The manual's name of the field with this function.
#[doc(hidden)]
#[macro_export]
macro_rules! field_name {
    ($field:ident) => {
        const {
            const LOWER: &str = $crate::plain(stringify!($field));
            const UPPER: [u8; LOWER.len()] = $crate::upper_case(LOWER);
            match core::str::from_utf8(&UPPER) {
                Ok(name) => name,
                Err(_) => LOWER,
            }
        }
    };
}

/// Implements `Arbitrary` for a type with `from_bits`, with the feature `arbitrary`.
#[doc(hidden)]
#[macro_export]
macro_rules! arbitrary_bits {
    ($type:ident) => {
        #[cfg(feature = "arbitrary")]
        impl<'a> $crate::arbitrary::Arbitrary<'a> for $type {
            fn arbitrary(bytes: &mut $crate::arbitrary::Unstructured<'a>) -> Result<Self, $crate::arbitrary::Error> {
                $crate::arbitrary::Arbitrary::arbitrary(bytes).map(Self::from_bits)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use super::Register;

    crate::codes! {
        /// A mode.
        pub struct Mode(u8 & 0xf) {
            /// The first.
            FIRST = 0;
            /// The second.
            SECOND = 2 aka "OTHER";
        }
    }

    register! {
        /// A word.
        pub struct Word(u32) {
            /// The first bit.
            #[doc(alias = "WORD_ENABLE")]
            #[doc(alias = "WORD_EN_MASK")]
            pub en: bool,
            #[bits(3)]
            _reserved1: u8,
            /// The mode.
            #[doc(alias = "WORD_MODE_SHIFT")]
            #[bits(4)]
            pub mode: Mode,
            /// A byte.
            pub vector: u8,
            _reserved16: bool,
            #[bits(14)]
            _reserved17: u16,
            /// The last bit.
            pub valid: bool,
        }
    }

    #[test]
    fn text_has_the_value_and_the_names() {
        let word = Word::from_bits(0x8001_4021);
        assert_eq!(word.to_string(), "0x80014021 EN MODE=SECOND VECTOR=0x40 VALID");
        assert_eq!(format!("{word:?}"), "Word(0x80014021 EN MODE=SECOND VECTOR=0x40 VALID)");
        assert_eq!(Word::from_bits(0x1000_00f0).to_string(), "0x100000f0 MODE=15");
    }

    #[test]
    fn fields_are_listed_with_their_bits() {
        let fields: Vec<_> = Word::FIELDS.iter().map(|field| (field.name, field.offset, field.width)).collect();
        assert_eq!(fields, [("EN", 0, 1), ("MODE", 4, 4), ("VECTOR", 8, 8), ("VALID", 31, 1)]);
        assert_eq!(Word::from_raw(u64::MAX).into_raw(), 0xffff_ffff);
    }

    #[test]
    fn fields_have_the_names_that_others_give_them() {
        let aliases = Word::FIELDS.iter().flat_map(|field| field.aliases.iter().map(|&alias| (field.name, alias)));
        assert_eq!(
            aliases.collect::<Vec<_>>(),
            [("EN", "WORD_ENABLE"), ("EN", "WORD_EN_MASK"), ("MODE", "WORD_MODE_SHIFT")]
        );
    }
}
