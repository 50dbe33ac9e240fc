//! Breakpoints on addresses.

use crate::addr::Gva;

/// A breakpoint on a linear address of the guest.
///
/// ```
/// use x86_virt_core::{Breakpoint, BreakpointKind, BreakpointLength, Gva};
///
/// let breakpoint = Breakpoint::write(Gva::new(0x1000), BreakpointLength::Qword);
/// assert_eq!(breakpoint.kind, BreakpointKind::Write);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Breakpoint {
    /// The address.
    pub address: Gva,
    /// What the guest does there.
    pub kind: BreakpointKind,
    /// How many bytes count. Of an instruction, its first byte does.
    pub length: BreakpointLength,
}

/// What a guest does at a breakpoint.
///
/// Intel SDM vol. 3, section 19.2.4, "Debug Control Register (DR7)".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum BreakpointKind {
    /// It is about to execute the instruction there.
    Execute,
    /// It has written there.
    Write,
    /// It has read or written there.
    Access,
}

/// How many bytes a breakpoint watches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum BreakpointLength {
    /// 1 byte.
    Byte,
    /// 2 bytes.
    Word,
    /// 4 bytes.
    Dword,
    /// 8 bytes.
    Qword,
}

impl Breakpoint {
    /// On the instruction at `address`.
    #[must_use]
    pub const fn execute(address: Gva) -> Self {
        Self { address, kind: BreakpointKind::Execute, length: BreakpointLength::Byte }
    }

    /// On writes to any of `length` bytes at `address`.
    #[must_use]
    pub const fn write(address: Gva, length: BreakpointLength) -> Self {
        Self { address, kind: BreakpointKind::Write, length }
    }

    /// On reads and writes of any of `length` bytes at `address`.
    #[must_use]
    pub const fn access(address: Gva, length: BreakpointLength) -> Self {
        Self { address, kind: BreakpointKind::Access, length }
    }

    pub(super) const fn check(self) -> Result<(), BreakpointError> {
        let bytes: u64 = match self.length {
            BreakpointLength::Byte => 1,
            BreakpointLength::Word => 2,
            BreakpointLength::Dword => 4,
            BreakpointLength::Qword => 8,
        };
        match self.kind {
            BreakpointKind::Execute if bytes != 1 => Err(BreakpointError::ExecuteLength(self.length)),
            _ if self.address.get() & (bytes - 1) != 0 => {
                Err(BreakpointError::Unaligned { address: self.address, length: self.length })
            }
            _ => Ok(()),
        }
    }

    /// The four bits of DR7 that say kind and length.
    pub(super) const fn control(self) -> u64 {
        let kind = match self.kind {
            BreakpointKind::Execute => 0,
            BreakpointKind::Write => 1,
            BreakpointKind::Access => 3,
        };
        let length = match self.length {
            BreakpointLength::Byte => 0,
            BreakpointLength::Word => 1,
            BreakpointLength::Qword => 2,
            BreakpointLength::Dword => 3,
        };
        kind | length << 2
    }
}

/// Why a breakpoint cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum BreakpointError {
    /// There are four already.
    #[error("there are four breakpoints, which is all that a processor has")]
    Full,
    /// The address is not a multiple of the length.
    #[error("the address {address} of a breakpoint is not a multiple of its length, a {length:?}")]
    Unaligned {
        /// The address.
        address: Gva,
        /// The length.
        length: BreakpointLength,
    },
    /// One on an instruction watches its first byte.
    #[error("a breakpoint on an instruction watches one byte, not a {0:?}")]
    ExecuteLength(BreakpointLength),
}

#[cfg(test)]
mod tests {
    use super::{Breakpoint, BreakpointError, BreakpointKind, BreakpointLength};
    use crate::addr::Gva;

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let address = Gva::new(0x1000);
        assert_eq!(Breakpoint::execute(address).control(), 0);
        assert_eq!(Breakpoint::write(address, BreakpointLength::Word).control(), 0b0101);
        assert_eq!(Breakpoint::access(address, BreakpointLength::Dword).control(), 0b1111);
        assert_eq!(Breakpoint::access(address, BreakpointLength::Qword).control(), 0b1011);
    }

    #[test]
    fn addresses_are_multiples_of_the_length() {
        let unaligned = Breakpoint::write(Gva::new(0x1004), BreakpointLength::Qword);
        let error = BreakpointError::Unaligned { address: Gva::new(0x1004), length: BreakpointLength::Qword };
        assert_eq!(unaligned.check(), Err(error));
        assert_eq!(Breakpoint::write(Gva::new(0x1004), BreakpointLength::Dword).check(), Ok(()));
        let long =
            Breakpoint { address: Gva::new(0x1000), kind: BreakpointKind::Execute, length: BreakpointLength::Word };
        assert_eq!(long.check(), Err(BreakpointError::ExecuteLength(BreakpointLength::Word)));
    }
}
