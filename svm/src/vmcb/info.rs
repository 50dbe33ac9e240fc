//! The rows of the tables at run time.

use core::fmt;

use crate::vmcb::CleanBits;

/// A row of the table of a structure.
///
/// ```
/// use x86_virt_svm::vmcb::{CleanBits, VmcbAccess, control};
///
/// let field = control::ALL.iter().find(|field| field.name == "N_CR3").unwrap();
/// assert_eq!((field.offset, field.bytes), (0x0b0, 8));
/// assert_eq!((field.access, field.clean), (VmcbAccess::Owned, CleanBits::NP));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct VmcbFieldInfo {
    /// The manual's name.
    pub name: &'static str,
    /// Offset in the structure, in bytes.
    pub offset: usize,
    /// How many bytes.
    pub bytes: usize,
    /// Who may write.
    pub access: VmcbAccess,
    /// The clean bit of the group that the field belongs to.
    pub clean: CleanBits,
    /// Names that other projects give it.
    pub aliases: &'static [&'static str],
    /// Whether the row rests on one source or a proposal, and may change.
    pub provisional: bool,
    /// Writes what the bytes of the field mean, if that is more than a number.
    pub show: fn(&[u8], &mut fmt::Formatter<'_>) -> fmt::Result,
}

/// Who may write a field.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum VmcbAccess {
    /// Safe code: [`ReadWrite`](crate::vmcb::ReadWrite).
    ReadWrite,
    /// The processor: [`ReadOnly`](crate::vmcb::ReadOnly).
    ReadOnly,
    /// The library: [`Owned`](crate::vmcb::Owned).
    Owned,
}

impl VmcbAccess {
    /// As tables of encodings have it: `rw`, `ro`, or `sensitive`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "rw",
            Self::ReadOnly => "ro",
            Self::Owned => "sensitive",
        }
    }
}
