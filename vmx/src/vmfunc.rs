//! VM functions.

use x86_virt_core::codes;

codes! {
    /// A VM function: what VMFUNC does, in EAX. It is also the bit of the VM-function controls that enables it.
    ///
    /// Intel SDM vol. 3, section 33.3, "VMX Instructions" (VMFUNC).
    ///
    /// ```
    /// use x86_virt_vmx::VmFunction;
    ///
    /// assert_eq!(VmFunction::EPTP_SWITCHING.into_bits(), 0);
    /// ```
    pub struct VmFunction(u32) {
        /// Takes the EPTP with the number in ECX from the EPTP list.
        EPTP_SWITCHING = 0;
    }
}
