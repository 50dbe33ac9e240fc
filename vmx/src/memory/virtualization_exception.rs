//! The virtualization-exception information area.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use static_assertions::const_assert_eq;
use x86_virt_core::{Gpa, Gva};

use super::Part;
use super::frame::FrameLayout;

/// A virtualization-exception information area: what the processor says of an EPT violation that became an exception (#VE).
///
/// The processor writes it only while [BUSY](Self::BUSY) is 0, and makes that all ones; the handler makes it 0 again.
///
/// Intel SDM vol. 3, section 28.5.7.2, "Virtualization-Exception Information".
///
/// ```
/// use x86_virt_vmx::VeInformationArea;
///
/// assert_eq!(VeInformationArea::new().take(), None);
/// ```
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct VeInformationArea {
    exit_reason: AtomicU32,
    busy: AtomicU32,
    exit_qualification: AtomicU64,
    guest_linear_address: AtomicU64,
    guest_physical_address: AtomicU64,
    eptp_index: AtomicU16,
}

const_assert_eq!(size_of::<VeInformationArea>(), 4096);
const_assert_eq!(offset_of!(VeInformationArea, exit_reason), 0);
const_assert_eq!(offset_of!(VeInformationArea, busy), 4);
const_assert_eq!(offset_of!(VeInformationArea, exit_qualification), 8);
const_assert_eq!(offset_of!(VeInformationArea, guest_linear_address), 16);
const_assert_eq!(offset_of!(VeInformationArea, guest_physical_address), 24);
const_assert_eq!(offset_of!(VeInformationArea, eptp_index), 32);

/// The layout.
pub(super) const PARTS: [Part; 6] = [
    ("EXIT_REASON", offset_of!(VeInformationArea, exit_reason), 32),
    ("BUSY", offset_of!(VeInformationArea, busy), 32),
    ("EXIT_QUALIFICATION", offset_of!(VeInformationArea, exit_qualification), 64),
    ("GUEST_LINEAR_ADDRESS", offset_of!(VeInformationArea, guest_linear_address), 64),
    ("GUEST_PHYSICAL_ADDRESS", offset_of!(VeInformationArea, guest_physical_address), 64),
    ("EPTP_INDEX", offset_of!(VeInformationArea, eptp_index), 16),
];

/// What an area says of an exception.
///
/// ```
/// use x86_virt_core::{Gpa, Gva};
/// use x86_virt_vmx::{VeInformationArea, VirtualizationException};
///
/// let exception = VirtualizationException {
///     exit_reason: 48,
///     qualification: 0x181,
///     guest_linear_address: Gva::new(0x7fff_0123),
///     guest_physical_address: Gpa::new(0x5123),
///     eptp_index: 1,
/// };
/// let area = VeInformationArea::new();
/// assert!(area.deliver(exception));
/// assert!(!area.deliver(exception), "the first was not taken");
/// assert_eq!(area.take(), Some(exception));
/// assert_eq!(area.take(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct VirtualizationException {
    /// The exit reason that the EPT violation would have had: 48.
    pub exit_reason: u32,
    /// The exit qualification that it would have had.
    pub qualification: u64,
    /// The guest-linear address.
    pub guest_linear_address: Gva,
    /// The guest-physical address.
    pub guest_physical_address: Gpa,
    /// The EPTP index of the VMCS.
    pub eptp_index: u16,
}

impl VeInformationArea {
    /// The value of the word at offset 4 from when the processor writes the area until the handler is done.
    pub const BUSY: u32 = 0xffff_ffff;

    /// An area of zeros, to which the processor may write.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "zeroed is no default")]
    pub const fn new() -> Self {
        Self {
            exit_reason: AtomicU32::new(0),
            busy: AtomicU32::new(0),
            exit_qualification: AtomicU64::new(0),
            guest_linear_address: AtomicU64::new(0),
            guest_physical_address: AtomicU64::new(0),
            eptp_index: AtomicU16::new(0),
        }
    }

    /// What the area says, if it is [busy](Self::BUSY). Then it is free for the next exception.
    #[must_use]
    pub fn take(&self) -> Option<VirtualizationException> {
        if self.busy.load(Ordering::Acquire) != Self::BUSY {
            return None;
        }
        let exception = VirtualizationException {
            exit_reason: self.exit_reason.load(Ordering::Relaxed),
            qualification: self.exit_qualification.load(Ordering::Relaxed),
            guest_linear_address: Gva::new(self.guest_linear_address.load(Ordering::Relaxed)),
            guest_physical_address: Gpa::new(self.guest_physical_address.load(Ordering::Relaxed)),
            eptp_index: self.eptp_index.load(Ordering::Relaxed),
        };
        self.busy.store(0, Ordering::Release);
        Some(exception)
    }

    /// Writes `exception` as a processor does, if the area is free: for who emulates one. Returns whether it was free.
    #[must_use = "an exception that is not delivered is an EPT violation"]
    pub fn deliver(&self, exception: VirtualizationException) -> bool {
        if self.busy.load(Ordering::Acquire) != 0 {
            return false;
        }
        self.exit_reason.store(exception.exit_reason, Ordering::Relaxed);
        self.exit_qualification.store(exception.qualification, Ordering::Relaxed);
        self.guest_linear_address.store(exception.guest_linear_address.get(), Ordering::Relaxed);
        self.guest_physical_address.store(exception.guest_physical_address.get(), Ordering::Relaxed);
        self.eptp_index.store(exception.eptp_index, Ordering::Relaxed);
        self.busy.store(Self::BUSY, Ordering::Release);
        true
    }
}

#[expect(unsafe_code, reason = "states what the layout is")]
// SAFETY: atomics, in which every value is one, and padding, which nothing reads.
unsafe impl FrameLayout for VeInformationArea {}
