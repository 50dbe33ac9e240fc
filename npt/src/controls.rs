//! Controls of the VMCB that give entries more meaning.

use x86_virt_core::register;

register! {
    /// The controls of a VMCB that decide what bits of entries mean, as a set: what a processor can set, or what tables need.
    ///
    /// The bits are those of no register: `x86-virt-svm` makes this of CPUID, and NESTED_CTL of this.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout", offset 090h.
    ///
    /// ```
    /// use x86_virt_core::{Access, Format};
    /// use x86_virt_npt::{NptControls, NptFormat, NptUnsupported, Pat};
    ///
    /// let format = NptFormat::new(Pat::RESET, 48)?.with_no_execute();
    /// assert_eq!(format.with_guest_mode_execute_trap(), Err(NptUnsupported::GuestModeExecuteTrap));
    /// let controls = NptControls::new().with_guest_mode_execute_trap(true);
    /// let format = format.with_controls(controls).with_guest_mode_execute_trap()?;
    /// assert_eq!(format.access_bits(Access::RW | Access::EXECUTE_USER), Ok(6));
    /// assert_eq!(format.access_bits(Access::ALL), Ok(2));
    /// # Ok::<(), NptUnsupported>(())
    /// ```
    pub struct NptControls(u8) {
        /// GMET, guest mode execute trap: CPUID Fn8000_000A_EDX bit 17.
        pub guest_mode_execute_trap: bool,
        /// SSSCheckEn, supervisor shadow stack restrictions: CPUID Fn8000_000A_EDX bit 19.
        pub supervisor_shadow_stack_check: bool,
        #[bits(6)]
        _reserved2: u8,
    }
}
