//! The macro that makes a structure from its table.

/// Whether each of `rows` begins where the one before it ends, the first at `start`, and the last ends at `end`.
pub(crate) const fn is_contiguous(rows: &[(usize, usize)], start: usize, end: usize) -> bool {
    let mut rest = rows;
    let mut place = start;
    while let [(first, after), tail @ ..] = rest {
        if *first != place || *after <= *first {
            return false;
        }
        place = *after;
        rest = tail;
    }
    place == end
}

/// Defines an area of a structure from a table: its type, one [`Field`](crate::vmcb::Field) for each row that has an access,
/// the table at run time, the form in memory, and the asserts that each row is where the table says.
///
/// A row is a line of documentation, and `first byte .. byte after the last => pub NAME: type, access, clean bit;`, where
/// names that other projects give it follow as `aka "other"`. A row that rests on one source or on a proposal goes on with
/// `if feature = "provisional"`: without the feature its bytes are reserved. `via function` at the end is what shows the
/// value, if it is not the type. Reserved bytes are a private row without access.
macro_rules! area {
    (@field [$($doc:tt)*] [$structure:ty] $first:literal $name:ident [$type:ty] [] [] []) => {};
    (
        @field [$($doc:tt)*] [$structure:ty] $first:literal $name:ident [$type:ty]
        [$access:ident $clean:ident] [$($alias:literal)*] [$($condition:meta)?]
    ) => {
        $(#[cfg($condition)])?
        $($doc)*
        #[doc = concat!("\n\nOffset ", stringify!($first), ".")]
        $(#[doc(alias = $alias)])*
        pub const $name: $crate::vmcb::Field<$type, $crate::vmcb::$access, $structure> =
            $crate::vmcb::Field::new(stringify!($name), $first, $crate::vmcb::CleanBits::$clean);
    };
    (@show [$type:ty]) => { $crate::vmcb::show_as::<$type> };
    (@show [$type:ty] $show:expr) => { $show };
    (
        $(#[$area_doc:meta])*
        struct $area:ident of $structure:ty, at $base:literal..$end:literal {
            $(
                $(#[doc = $doc:literal])+
                $first:literal..$after:literal => $vis:vis $name:ident: $type:ty
                    $(
                        , $access:ident, $clean:ident
                        $(aka $($alias:literal)+)?
                        $(if $condition:meta)?
                        $(via $show:expr)?
                    )?;
            )*
        }
    ) => {
        $(#[$area_doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(C)]
        #[expect(non_snake_case, reason = "the names are the manual's")]
        pub struct $area {
            $(
                $(#[doc = $doc])+
                $($(#[cfg($condition)])?)?
                $vis $name: $type,
                $($(
                    #[cfg(not($condition))]
                    $name: [u8; $after - $first],
                )?)?
            )*
        }

        /// Offset of the first byte of the table.
        pub const START: usize = $base;

        $($crate::vmcb::area! {
            @field [$(#[doc = $doc])+] [$structure] $first $name [$type]
            [$($access $clean)?] [$($($($alias)+)?)?] [$($($condition)?)?]
        })*

        /// The rows of the table, in the order of their offsets.
        pub const ALL: &[$crate::vmcb::VmcbFieldInfo] = &[$($(
            $(#[cfg($condition)])?
            $crate::vmcb::VmcbFieldInfo {
                name: stringify!($name),
                offset: $first,
                bytes: $after - $first,
                access: $crate::vmcb::VmcbAccess::$access,
                clean: $crate::vmcb::CleanBits::$clean,
                aliases: &[$($($alias),+)?],
                provisional: !concat!("", $(stringify!($condition))?).is_empty(),
                show: $crate::vmcb::area!(@show [$type] $($show)?),
            },
        )?)*];

        impl $area {
            /// The area with these bytes in memory.
            #[must_use]
            pub fn from_bytes(bytes: &[u8; $end - $base]) -> Self {
                $crate::vmcb::VmcbValue::decode(bytes)
            }

            /// The bytes in memory.
            #[must_use]
            pub fn to_bytes(&self) -> [u8; $end - $base] {
                let mut bytes = [0; $end - $base];
                $crate::vmcb::VmcbValue::encode(self, &mut bytes);
                bytes
            }
        }

        impl $crate::vmcb::VmcbValue for $area {
            fn decode(bytes: &[u8]) -> Self {
                Self {
                    $($name: $crate::vmcb::VmcbValue::decode(bytes.get($first - $base..).unwrap_or_default()),)*
                }
            }

            fn encode(&self, bytes: &mut [u8]) {
                $($crate::vmcb::VmcbValue::encode(
                    &self.$name,
                    bytes.get_mut($first - $base..).unwrap_or_default(),
                );)*
            }
        }

        static_assertions::const_assert!($crate::vmcb::is_contiguous(&[$(($first, $after)),*], $base, $end));
        $(
            static_assertions::const_assert_eq!(core::mem::offset_of!($area, $name) + $base, $first);
            static_assertions::const_assert_eq!($first + size_of::<$type>(), $after);
            static_assertions::const_assert_eq!($first % align_of::<$type>(), 0);
        )*
        static_assertions::const_assert_eq!(size_of::<$area>(), $end - $base);

        #[cfg(test)]
        mod span_tests {
            use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

            #[test]
            fn fields_span_what_the_table_says() {
                $({
                    let span = memoffset::span_of!(super::$area, $name);
                    assert_eq!(span.start + $base..span.end + $base, $first..$after, stringify!($name));
                })*
            }

            #[test]
            fn rows_are_sorted_and_each_has_a_name_of_its_own() {
                assert!(super::ALL.is_sorted_by(|one, next| one.offset + one.bytes <= next.offset));
                for (index, field) in super::ALL.iter().enumerate() {
                    assert!(super::ALL[..index].iter().all(|other| other.name != field.name), "{}", field.name);
                    assert!(cfg!(feature = "provisional") || !field.provisional);
                }
            }

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(32))]

                #[test]
                fn every_byte_survives(edits in proptest::collection::vec((0_usize..$end - $base, any::<u8>()), 0..256)) {
                    let mut bytes = [0_u8; $end - $base];
                    for (offset, byte) in edits {
                        bytes[offset] = byte;
                    }
                    prop_assert_eq!(super::$area::from_bytes(&bytes).to_bytes(), bytes);
                }
            }
        }
    };
}
pub(crate) use area;
