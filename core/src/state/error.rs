//! Why a virtual processor cannot have a state.

use crate::event::InjectError;
use crate::state::{Activity, StateComponent};

/// Why a register, or a virtual processor as a whole, cannot have a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// An address is not in canonical form.
    #[error("{register} = {value:#x} is not canonical")]
    NonCanonical {
        /// The register.
        register: &'static str,
        /// The value.
        value: u64,
    },
    /// Bits are set that the processor does not support, or clear that it requires.
    #[error("{register} = {value:#x}: bits {bits:#x} cannot be so")]
    Bits {
        /// The register.
        register: &'static str,
        /// The value.
        value: u64,
        /// The bits that cannot be as they are in the value.
        bits: u64,
    },
    /// A component of the x87, SSE and AVX state is in use that the processor does not have or the host has not enabled.
    #[error("the guest uses {0}, which the host has not enabled")]
    Component(StateComponent),
    /// There is x87, SSE and AVX state, but the virtual processor was made with [`FpuPolicy::Shared`](crate::FpuPolicy::Shared): its
    /// creator switches the registers.
    #[error("the state of x87, SSE and AVX is not switched by the library")]
    NotSwitched,
    /// The event that waits cannot be delivered in this state.
    #[error(transparent)]
    Event(#[from] InjectError),
    /// The processor cannot be doing this.
    #[error("a virtual processor cannot be {0} here")]
    Activity(Activity),
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for StateError {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let (register, value) = (*bytes.choose(&["CR0", "CR4", "RIP", "PAT"])?, bytes.arbitrary()?);
        Ok(match bytes.int_in_range(0..=5)? {
            0 => Self::NonCanonical { register, value },
            1 => Self::Bits { register, value, bits: bytes.arbitrary()? },
            2 => Self::Component(bytes.arbitrary()?),
            3 => Self::NotSwitched,
            4 => Self::Event(bytes.arbitrary()?),
            _ => Self::Activity(bytes.arbitrary()?),
        })
    }
}
