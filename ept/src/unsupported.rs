//! What processors lack for extended page tables.

/// What the processor lacks for extended page tables as they are asked for.
///
/// ```
/// use x86_virt_ept::{EptCapabilities, EptFormat, EptUnsupported};
///
/// let without_write_back = EptCapabilities::new().with_page_walk_length_4(true);
/// assert_eq!(EptFormat::new(without_write_back, 39), Err(EptUnsupported::WriteBackTables));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EptUnsupported {
    /// No page walks of this length.
    #[error("the processor has no EPT page walks of length {length}")]
    PageWalkLength {
        /// The length.
        length: u8,
    },
    /// Tables cannot be in write-back memory.
    #[error("the processor cannot read EPT tables as write-back memory")]
    WriteBackTables,
    /// No accessed and dirty flags.
    #[error("the processor has no accessed and dirty flags for EPT")]
    AccessedDirty,
    /// No control of supervisor shadow stacks.
    #[error("the processor has no control of supervisor shadow stacks in EPT (EPT_VPID_CAP bit 23)")]
    SupervisorShadowStack,
    /// No mode-based execute control.
    #[error("the processor has no mode-based execute control for EPT")]
    ModeBasedExecute,
    /// No EPT-violation #VE.
    #[error("the processor has no EPT-violation #VE, and so no way to suppress it")]
    ViolationVe,
    /// No sub-page write permissions.
    #[error("the processor has no sub-page write permissions for EPT")]
    SubPageWrite,
    /// No EPT paging-write control.
    #[error("the processor has no EPT paging-write control")]
    PagingWrite,
    /// No guest-paging verification.
    #[error("the processor has no guest-paging verification")]
    GuestPagingVerification,
    /// Physical addresses have 32 to 52 bits.
    #[error("physical addresses do not have {width} bits")]
    AddressWidth {
        /// The width.
        width: u8,
    },
}
