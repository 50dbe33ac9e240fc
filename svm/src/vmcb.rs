//! The virtual machine control block.
//!
//! [`Vmcb`] has the layout as types. [`control`] and [`save`] hold one typed constant for each field, with which
//! `SvmVcpu::read` and `SvmVcpu::write` access the VMCB of a virtual processor.
//!
//! AMD APM vol. 2, section 15.5, "VMRUN Instruction", and appendix B, "VMCB Layout".

mod clean;
pub mod control;
mod event_injection;
mod field;
mod frame;
mod interrupt;
mod nested;
pub mod save;
mod segment;
mod tlb;

use static_assertions::const_assert_eq;

pub use clean::CleanBits;
pub use control::ControlArea;
pub use event_injection::{EventInjection, EventType};
pub use field::{Field, Owned, ReadOnly, ReadWrite};
pub(crate) use frame::VmcbFrame;
pub use interrupt::{InterruptState, VirtualInterruptControl};
pub use nested::{NestedControl, RapControl, VirtualExtensions};
pub use save::SaveArea;
pub use segment::{SegmentAttributes, VmcbSegment};
pub use tlb::TlbControl;

/// A VMCB of a guest without SEV-ES: the control area and the legacy state-save area.
///
/// AMD APM vol. 2, appendix B, "VMCB Layout".
///
/// ```
/// use core::mem::offset_of;
/// use x86_virt_svm::vmcb::Vmcb;
///
/// assert_eq!(size_of::<Vmcb>(), 4096);
/// assert_eq!(offset_of!(Vmcb, save), 0x400);
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Vmcb {
    /// The control area.
    pub control: ControlArea,
    /// The state-save area.
    pub save: SaveArea,
}

const_assert_eq!(size_of::<Vmcb>(), 4096);
const_assert_eq!(core::mem::offset_of!(Vmcb, save), save::START);
