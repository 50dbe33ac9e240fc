//! Typed constants for the fields of a structure.

use core::fmt;
use core::marker::PhantomData;

use crate::vmcb::{CleanBits, Vmcb};

/// A field of the structure `S` that holds a `T` and may be accessed as `A` says.
///
/// The constants are in [`control`](crate::vmcb::control) and [`save`](crate::vmcb::save), for the VMCB, in
/// [`vmsa`](crate::vmsa) and in [`ghcb`](crate::ghcb).
///
/// Invariant: the field is inside the structure and aligned for `T`, and any bits are a valid `T`. Only the tables of those
/// modules make fields; they assert the first, and hold nothing but integers and types that wrap them.
///
/// ```
/// use x86_virt_svm::vmcb::{control, save};
///
/// assert_eq!(control::N_CR3.offset(), 0x0b0);
/// assert_eq!(save::RIP.to_string(), "RIP");
/// ```
pub struct Field<T, A, S = Vmcb> {
    name: &'static str,
    offset: usize,
    clean: CleanBits,
    _type: PhantomData<fn() -> (T, A)>,
    _structure: PhantomData<fn() -> S>,
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

impl<T, A, S> Field<T, A, S> {
    /// For the tables only: see the invariant of the type.
    pub(crate) const fn new(name: &'static str, offset: usize, clean: CleanBits) -> Self {
        Self { name, offset, clean, _type: PhantomData, _structure: PhantomData }
    }

    /// The manual's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Offset in the structure, in bytes.
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

impl<T, A, S> Clone for Field<T, A, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, A, S> Copy for Field<T, A, S> {}

impl<T, A, S> fmt::Display for Field<T, A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<T, A, S> fmt::Debug for Field<T, A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{:#05x}", self.name, self.offset)
    }
}
