//! TLB control.

/// What a VMRUN flushes.
///
/// AMD APM vol. 2, section 15.16.1, "TLB Flush".
///
/// ```
/// use x86_virt_svm::vmcb::TlbControl;
///
/// assert_eq!(TlbControl::FLUSH_GUEST.get(), 3);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct TlbControl(u8);

impl TlbControl {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// The entire TLB: all ASIDs, the host's too.
    pub const FLUSH_ALL: Self = Self(1);
    /// What belongs to the guest's ASID. Needs the feature FlushByAsid.
    pub const FLUSH_GUEST: Self = Self(3);
    /// What belongs to the guest's ASID and is not global. Needs the feature FlushByAsid.
    pub const FLUSH_GUEST_NON_GLOBAL: Self = Self(7);

    /// The control with this value.
    #[must_use]
    pub const fn new(value: u8) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}
