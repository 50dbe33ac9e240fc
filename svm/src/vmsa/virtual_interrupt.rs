//! Virtual interrupts in the VMSA.

use x86_virt_core::register;

register! {
    /// Virtual interrupts of a guest with encrypted state, offset 3b8h of the VMSA.
    ///
    /// It differs from [`VirtualInterruptControl`](crate::vmcb::VirtualInterruptControl): the interrupt shadow is here, what
    /// the hypervisor decides is not, and bit 63 says that the VMSA is in use.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout".
    ///
    /// ```
    /// use x86_virt_svm::vmsa::VmsaVirtualInterrupt;
    ///
    /// let control = VmsaVirtualInterrupt::from_bits(1 << 63 | 1 << 10);
    /// assert!(control.busy() && control.int_shadow());
    /// ```
    pub struct VmsaVirtualInterrupt(u64) {
        /// V_TPR: the guest's task priority; CR8 in bits 3:0.
        pub v_tpr: u8,
        /// V_IRQ: a virtual interrupt is pending.
        pub v_irq: bool,
        /// VGIF: the guest's global interrupt flag.
        pub vgif: bool,
        /// INT_SHADOW: the guest is in the shadow of STI, MOV SS or POP SS.
        pub int_shadow: bool,
        /// V_NMI: a virtual NMI is pending.
        pub v_nmi: bool,
        /// V_NMI_MASK: virtual NMIs are blocked.
        pub v_nmi_mask: bool,
        #[bits(3)]
        _reserved13: u8,
        /// V_INTR_PRIO: priority of the virtual interrupt.
        #[bits(4)]
        pub v_intr_prio: u8,
        /// V_IGN_TPR: the virtual interrupt is taken whatever V_TPR is.
        pub v_ign_tpr: bool,
        #[bits(5)]
        _reserved21: u8,
        /// V_NMI_ENABLE: V_NMI and V_NMI_MASK are used.
        pub v_nmi_enable: bool,
        #[bits(5)]
        _reserved27: u8,
        /// V_INTR_VECTOR: vector of the virtual interrupt.
        pub v_intr_vector: u8,
        #[bits(23)]
        _reserved40: u32,
        /// BUSY: a processor runs the VMSA, or has left it at an event that the guest has yet to handle.
        pub busy: bool,
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{BitField, Register as _};

    use super::VmsaVirtualInterrupt;
    use crate::vmcb::VirtualInterruptControl;

    #[test]
    fn two_bits_are_of_the_vmsa_alone_and_the_others_where_the_vmcb_has_them() {
        let place = |field: &BitField| (field.name, field.offset, field.width);
        let is_shared =
            |field: &BitField| VirtualInterruptControl::FIELDS.iter().any(|other| place(other) == place(field));
        let mut own = VmsaVirtualInterrupt::FIELDS.iter().filter(|field| !is_shared(field));
        let mut next = || own.next().map(|field| (field.name, field.offset));
        assert_eq!([next(), next(), next()], [Some(("INT_SHADOW", 10)), Some(("BUSY", 63)), None]);
    }
}
