//! What the format can have besides, each by the name of the capability or control that it needs.

use x86_virt_core::LogMethod;

use super::{
    EXECUTE_USER, EptFormat, PAGING_WRITE, READ, SUB_PAGE_WRITE, SUPERVISOR_SHADOW_STACK, SUPPRESS_VE,
    VERIFY_GUEST_PAGING,
};
use crate::controls::EptControls;
use crate::unsupported::EptUnsupported;

impl EptFormat {
    /// The same on a processor that can set these VM-execution controls. It changes no entry: the other functions do, which need
    /// them.
    #[must_use]
    pub const fn with_controls(self, available: EptControls) -> Self {
        Self { available, ..self }
    }

    /// The same with 5 levels.
    ///
    /// # Errors
    ///
    /// [`EptUnsupported`] if the processor has no page walks of length 5.
    pub const fn with_five_levels(self) -> Result<Self, EptUnsupported> {
        if !self.capabilities.page_walk_length_5() {
            return Err(EptUnsupported::PageWalkLength { length: 5 });
        }
        Ok(Self { levels: 5, ..self })
    }

    /// The same with accessed and dirty flags, which the processor sets in the entries that it uses.
    ///
    /// # Errors
    ///
    /// [`EptUnsupported`] if the processor has no such flags.
    ///
    /// Intel SDM vol. 3, section 31.3.5, "Accessed and Dirty Flags for EPT".
    pub const fn with_accessed_dirty(self) -> Result<Self, EptUnsupported> {
        if !self.capabilities.accessed_dirty() {
            return Err(EptUnsupported::AccessedDirty);
        }
        Ok(Self { log_method: LogMethod::DirtyFlags, ..self })
    }

    /// The same for a processor with page-modification logging, a secondary VM-execution control, with which the dirty log is kept.
    /// Accessed and dirty flags are enabled for it.
    ///
    /// # Errors
    ///
    /// [`EptUnsupported`] if the processor has no accessed and dirty flags.
    ///
    /// Intel SDM vol. 3, section 31.3.6, "Page-Modification Logging".
    pub const fn with_page_modification_log(self) -> Result<Self, EptUnsupported> {
        match self.with_accessed_dirty() {
            Ok(format) => Ok(Self { log_method: LogMethod::PageModificationLog, ..format }),
            Err(error) => Err(error),
        }
    }

    /// The same with mode-based execute control: [`Access::EXECUTE_SUPERVISOR`](x86_virt_core::Access::EXECUTE_SUPERVISOR) and [`Access::EXECUTE_USER`](x86_virt_core::Access::EXECUTE_USER) are granted one by
    /// one.
    ///
    /// # Errors
    ///
    /// [`EptUnsupported::ModeBasedExecute`] if the processor has no such control.
    ///
    /// Intel SDM vol. 3, section 31.3.2, "EPT Translation Mechanism".
    pub const fn with_mode_based_execute(self) -> Result<Self, EptUnsupported> {
        if !self.available.mode_based_execute() {
            return Err(EptUnsupported::ModeBasedExecute);
        }
        let enabled = self.enabled.with_mode_based_execute(true);
        Ok(Self { enabled, user_execute: 4, ..self }.with_access_bits(EXECUTE_USER))
    }

    /// The same with supervisor shadow stacks in certain pages only, those with [`Access::SUPERVISOR_SHADOW_STACK`](x86_virt_core::Access::SUPERVISOR_SHADOW_STACK).
    ///
    /// # Errors
    ///
    /// [`EptUnsupported::SupervisorShadowStack`] if the processor has no control of supervisor shadow stacks.
    ///
    /// Intel SDM vol. 3, section 27.6.11, "Extended-Page-Table Pointer (EPTP)".
    pub const fn with_supervisor_shadow_stack(self) -> Result<Self, EptUnsupported> {
        if !self.capabilities.supervisor_shadow_stack() {
            return Err(EptUnsupported::SupervisorShadowStack);
        }
        Ok(self.with_access_bits(SUPERVISOR_SHADOW_STACK))
    }

    /// The same with [`Access::PAGING_WRITE`](x86_virt_core::Access::PAGING_WRITE).
    ///
    /// # Errors
    ///
    /// [`EptUnsupported::PagingWrite`] if the processor has no EPT paging-write control.
    ///
    /// Intel SDM vol. 3, section 27.6.2, "Processor-Based VM-Execution Controls".
    pub const fn with_paging_write(self) -> Result<Self, EptUnsupported> {
        if !self.available.paging_write() {
            return Err(EptUnsupported::PagingWrite);
        }
        Ok(Self { enabled: self.enabled.with_paging_write(true), ..self }.with_access_bits(PAGING_WRITE))
    }

    /// The same with [`PageAttributes::VERIFY_GUEST_PAGING`](x86_virt_core::PageAttributes::VERIFY_GUEST_PAGING).
    ///
    /// # Errors
    ///
    /// [`EptUnsupported::GuestPagingVerification`] if the processor has none.
    ///
    /// Intel SDM vol. 3, section 27.6.2, "Processor-Based VM-Execution Controls".
    pub const fn with_guest_paging_verification(self) -> Result<Self, EptUnsupported> {
        if !self.available.guest_paging_verification() {
            return Err(EptUnsupported::GuestPagingVerification);
        }
        let enabled = self.enabled.with_guest_paging_verification(true);
        Ok(Self { enabled, ..self }.with_attribute_bits(VERIFY_GUEST_PAGING))
    }

    /// The same with [`PageAttributes::SUB_PAGE_WRITE`](x86_virt_core::PageAttributes::SUB_PAGE_WRITE).
    ///
    /// # Errors
    ///
    /// [`EptUnsupported::SubPageWrite`] if the processor has no sub-page write permissions.
    ///
    /// Intel SDM vol. 3, section 31.3.4, "Sub-Page Write Permissions".
    pub const fn with_sub_page_write(self) -> Result<Self, EptUnsupported> {
        if !self.available.sub_page_write() {
            return Err(EptUnsupported::SubPageWrite);
        }
        Ok(Self { enabled: self.enabled.with_sub_page_write(true), ..self }.with_attribute_bits(SUB_PAGE_WRITE))
    }

    /// The same with [`PageAttributes::SUPPRESS_VE`](x86_virt_core::PageAttributes::SUPPRESS_VE). What is not mapped is not affected.
    ///
    /// # Errors
    ///
    /// [`EptUnsupported::ViolationVe`] if the processor has no EPT-violation #VE.
    ///
    /// Intel SDM vol. 3, section 28.5.7, "Virtualization Exceptions".
    pub const fn with_suppress_ve(self) -> Result<Self, EptUnsupported> {
        if !self.available.violation_ve() {
            return Err(EptUnsupported::ViolationVe);
        }
        Ok(self.with_attribute_bits(SUPPRESS_VE))
    }

    /// The same with entries that suppress virtualization exceptions where nothing is mapped too, so that an access there ends the
    /// run. Without this it is a #VE of the guest, if the control is 1.
    ///
    /// # Errors
    ///
    /// [`EptUnsupported::ViolationVe`] if the processor has no EPT-violation #VE.
    ///
    /// Intel SDM vol. 3, section 28.5.7, "Virtualization Exceptions".
    pub const fn with_absent_suppress_ve(self) -> Result<Self, EptUnsupported> {
        match self.with_suppress_ve() {
            Ok(format) => Ok(Self { absent: SUPPRESS_VE, ..format }),
            refused => refused,
        }
    }

    const fn with_access_bits(self, bits: u64) -> Self {
        Self { access_mask: self.access_mask | bits, kept: self.kept & !READ, ..self }
    }

    const fn with_attribute_bits(self, bits: u64) -> Self {
        Self { attribute_mask: self.attribute_mask | bits, kept: self.kept & !READ, ..self }
    }
}
