//! Typed constants for the fields of the VMCB, and the macro that makes them from a table.

use core::fmt;
use core::marker::PhantomData;

use crate::vmcb::CleanBits;

/// A field of the VMCB that holds a `T` and may be accessed as `A` says.
///
/// The constants are in [`control`](crate::vmcb::control) and [`save`](crate::vmcb::save).
///
/// Invariant: the field is inside the VMCB and aligned for `T`, and any bits are a valid `T`. Only the tables of those two
/// modules make fields; they assert the first, and hold nothing but integers and types that wrap them.
///
/// ```
/// use x86_virt_svm::vmcb::{control, save};
///
/// assert_eq!(control::N_CR3.offset(), 0x0b0);
/// assert_eq!(save::RIP.to_string(), "RIP");
/// ```
pub struct Field<T, A> {
    name: &'static str,
    offset: usize,
    clean: CleanBits,
    _type: PhantomData<fn() -> (T, A)>,
}

/// Access to a field: safe code reads and writes it.
#[derive(Clone, Copy, Debug)]
pub enum ReadWrite {}

/// Access to a field: the processor writes it.
#[derive(Clone, Copy, Debug)]
pub enum ReadOnly {}

/// Access to a field: the library keeps it; another value can break the host, or the library's own record of the guest.
#[derive(Clone, Copy, Debug)]
pub enum Owned {}

impl<T, A> Field<T, A> {
    /// For the tables only: see the invariant of the type.
    pub(super) const fn new(name: &'static str, offset: usize, clean: CleanBits) -> Self {
        Self { name, offset, clean, _type: PhantomData }
    }

    /// Offset in the VMCB, in bytes.
    #[must_use]
    pub const fn offset(self) -> usize {
        self.offset
    }

    /// The clean bit of the group that the field belongs to.
    #[must_use]
    pub const fn clean(self) -> CleanBits {
        self.clean
    }
}

impl<T, A> Clone for Field<T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, A> Copy for Field<T, A> {}

impl<T, A> fmt::Display for Field<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<T, A> fmt::Debug for Field<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{:#05x}", self.name, self.offset)
    }
}

/// Defines an area of the VMCB from a table: the structure, one [`Field`] for each row that has an access, and the asserts
/// that each row is where the table says.
///
/// A row is one line of documentation, and `first byte .. byte after the last => NAME: type, access, clean bit;`.
macro_rules! area {
    (
        $(#[$area_doc:meta])*
        struct $area:ident at $base:literal..$end:literal {
            $(
                #[doc = $doc:literal]
                $first:literal..$after:literal => $name:ident: $type:ty $(, $access:ident, $clean:ident)?;
            )*
        }
    ) => {
        $(#[$area_doc])*
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[expect(non_snake_case, reason = "the names are the manual's")]
        pub struct $area {
            $(
                #[doc = $doc]
                pub $name: $type,
            )*
        }

        /// Offset of the area in the VMCB.
        pub const START: usize = $base;

        $($(
            #[doc = $doc]
            pub const $name: $crate::vmcb::Field<$type, $crate::vmcb::$access> =
                $crate::vmcb::Field::new(stringify!($name), $first, $crate::vmcb::CleanBits::$clean);
        )?)*

        $(
            static_assertions::const_assert_eq!(core::mem::offset_of!($area, $name) + $base, $first);
            static_assertions::const_assert_eq!($first + size_of::<$type>(), $after);
        )*
        static_assertions::const_assert_eq!(size_of::<$area>(), $end - $base);

        #[cfg(test)]
        mod span_tests {
            #[test]
            fn fields_span_what_the_table_says() {
                $({
                    let span = memoffset::span_of!(super::$area, $name);
                    assert_eq!(span.start + $base..span.end + $base, $first..$after, stringify!($name));
                })*
            }
        }
    };
}
pub(super) use area;
