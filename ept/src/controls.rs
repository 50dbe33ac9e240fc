//! VM-execution controls that give entries more meaning.

use x86_virt_core::register;

register! {
    /// The VM-execution controls that decide what bits of entries mean, as a set: what a processor can set, or what tables need.
    ///
    /// The bits are those of no register: the controls are in two words, of which `x86-virt-vmx` makes this.
    ///
    /// Intel SDM vol. 3, section 27.6.2, "Processor-Based VM-Execution Controls".
    ///
    /// ```
    /// use x86_virt_core::{Access, Format};
    /// use x86_virt_ept::{EptCapabilities, EptControls, EptFormat, EptUnsupported};
    ///
    /// let format = EptFormat::new(EptCapabilities::from_bits(0x4040), 46)?;
    /// assert_eq!(format.with_mode_based_execute(), Err(EptUnsupported::ModeBasedExecute));
    /// let format = format.with_controls(EptControls::new().with_mode_based_execute(true)).with_mode_based_execute()?;
    /// assert_eq!(format.access_bits(Access::RW | Access::EXECUTE_USER), Ok(0x403));
    /// # Ok::<(), EptUnsupported>(())
    /// ```
    pub struct EptControls(u8) {
        /// Mode-based execute control for EPT.
        pub mode_based_execute: bool,
        /// EPT-violation #VE.
        pub violation_ve: bool,
        /// Sub-page write permissions for EPT.
        pub sub_page_write: bool,
        /// EPT paging-write control.
        pub paging_write: bool,
        /// Guest-paging verification.
        pub guest_paging_verification: bool,
        #[bits(3)]
        _reserved5: u8,
    }
}
