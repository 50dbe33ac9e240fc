//! The virtual machine control block.
//!
//! [`Vmcb`] has the layout as types. [`control`] and [`save`] hold one typed constant for each field, with which
//! `SvmVcpu::read` and `SvmVcpu::write` access the VMCB of a virtual processor.
//!
//! AMD APM vol. 2, section 15.5, "VMRUN Instruction", and appendix B, "VMCB Layout".

mod area;
mod clean;
pub mod control;
mod event_injection;
mod fetched;
mod field;
mod frame;
mod info;
mod interrupt;
#[expect(clippy::result_unit_err, reason = "bitfield-struct makes such functions, and a macro of the module hides it")]
mod nested;
mod rows;
pub mod save;
mod segment;
mod tlb;
mod value;

use static_assertions::const_assert_eq;

pub(crate) use area::{area, is_contiguous};
pub use clean::CleanBits;
pub use control::ControlArea;
pub use event_injection::{EventInjection, EventType};
pub use fetched::FetchedBytes;
pub use field::{Field, Owned, ReadOnly, ReadWrite};
pub(crate) use frame::VmcbFrame;
pub use info::{VmcbAccess, VmcbFieldInfo};
pub use interrupt::{InterruptState, UpdateIrr, VirtualInterruptControl};
pub use nested::{NestedControl, RapControl, VirtualExtensions};
pub(crate) use rows::layout_rows;
pub use save::SaveArea;
pub use segment::{SegmentAttributes, VmcbSegment};
pub use tlb::TlbControl;
pub use value::VmcbValue;
pub(crate) use value::{intercepts, show_as};

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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Vmcb {
    /// The control area.
    pub control: ControlArea,
    /// The state-save area.
    pub save: SaveArea,
}

/// All bytes of the VMCB.
#[cfg(target_arch = "x86_64")]
pub(crate) const WHOLE: Field<[u8; 4096], ReadOnly> = Field::new("VMCB", 0, CleanBits::NONE);

impl Vmcb {
    /// The VMCB with these bytes in memory.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 4096]) -> Self {
        VmcbValue::decode(bytes)
    }

    /// The bytes in memory.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 4096] {
        let mut bytes = [0; 4096];
        self.encode(&mut bytes);
        bytes
    }
}

impl VmcbValue for Vmcb {
    fn decode(bytes: &[u8]) -> Self {
        let save = bytes.get(save::START..).unwrap_or_default();
        Self { control: VmcbValue::decode(bytes), save: VmcbValue::decode(save) }
    }

    fn encode(&self, bytes: &mut [u8]) {
        self.control.encode(bytes);
        self.save.encode(bytes.get_mut(save::START..).unwrap_or_default());
    }
}

const_assert_eq!(size_of::<Vmcb>(), 4096);
const_assert_eq!(core::mem::offset_of!(Vmcb, save), save::START);
