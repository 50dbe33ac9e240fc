//! Virtual interrupt control, interrupt state and requested interrupts.

use x86_virt_core::register;

register! {
    /// Virtual interrupts of a guest, offset 060h.
    ///
    /// AMD APM vol. 2, section 15.21, "Interrupt and Local APIC Support", and appendix B, "VMCB Layout".
    ///
    /// ```
    /// use x86_virt_svm::vmcb::VirtualInterruptControl;
    ///
    /// let control = VirtualInterruptControl::new().with_v_irq(true).with_v_intr_masking(true);
    /// assert_eq!(control.into_bits(), 0x100_0100);
    /// ```
    pub struct VirtualInterruptControl(u64) {
        /// V_TPR: the guest's task priority; CR8 in bits 3:0.
        pub v_tpr: u8,
        /// V_IRQ: a virtual interrupt is pending.
        #[doc(alias = "V_IRQ_MASK")]
        #[doc(alias = "V_IRQ_SHIFT")]
        pub v_irq: bool,
        /// VGIF: the guest's global interrupt flag.
        #[doc(alias = "V_GIF_MASK")]
        #[doc(alias = "V_GIF_SHIFT")]
        pub vgif: bool,
        _reserved10: bool,
        /// V_NMI: a virtual NMI is pending.
        #[doc(alias = "V_NMI_PENDING_MASK")]
        #[doc(alias = "V_NMI_PENDING_SHIFT")]
        pub v_nmi: bool,
        /// V_NMI_MASK: virtual NMIs are blocked.
        #[doc(alias = "V_NMI_BLOCKING_MASK")]
        #[doc(alias = "V_NMI_BLOCKING_SHIFT")]
        pub v_nmi_mask: bool,
        #[bits(3)]
        _reserved13: u8,
        /// V_INTR_PRIO: priority of the virtual interrupt.
        #[doc(alias = "V_INTR_PRIO_MASK")]
        #[doc(alias = "V_INTR_PRIO_SHIFT")]
        #[bits(4)]
        pub v_intr_prio: u8,
        /// V_IGN_TPR: the virtual interrupt is taken whatever V_TPR is.
        #[doc(alias = "V_IGN_TPR_MASK")]
        #[doc(alias = "V_IGN_TPR_SHIFT")]
        pub v_ign_tpr: bool,
        #[bits(3)]
        _reserved21: u8,
        /// V_INTR_MASKING: RFLAGS.IF and CR8 of the guest are for virtual interrupts only.
        #[doc(alias = "V_INTR_MASKING_MASK")]
        #[doc(alias = "V_INTR_MASKING_SHIFT")]
        pub v_intr_masking: bool,
        /// The guest has a GIF of its own: STGI and CLGI change VGIF.
        #[doc(alias = "V_GIF_ENABLE_MASK")]
        #[doc(alias = "V_GIF_ENABLE_SHIFT")]
        pub vgif_enable: bool,
        /// V_NMI_ENABLE: V_NMI and V_NMI_MASK are used.
        #[doc(alias = "V_NMI_ENABLE_MASK")]
        #[doc(alias = "V_NMI_ENABLE_SHIFT")]
        pub v_nmi_enable: bool,
        #[bits(3)]
        _reserved27: u8,
        /// x2AVIC enable.
        #[doc(alias = "X2APIC_MODE_MASK")]
        #[doc(alias = "X2APIC_MODE_SHIFT")]
        pub x2avic_enable: bool,
        /// AVIC enable.
        #[doc(alias = "AVIC_ENABLE_MASK")]
        #[doc(alias = "AVIC_ENABLE_SHIFT")]
        pub avic_enable: bool,
        /// V_INTR_VECTOR: vector of the virtual interrupt.
        pub v_intr_vector: u8,
        #[bits(24)]
        _reserved40: u32,
    }
}

register! {
    /// Interrupt state of a guest, offset 068h.
    ///
    /// AMD APM vol. 2, section 15.21.5, "Interrupt Shadows", and appendix B, "VMCB Layout".
    ///
    /// ```
    /// use x86_virt_svm::vmcb::InterruptState;
    ///
    /// assert!(InterruptState::from_bits(1).interrupt_shadow());
    /// ```
    pub struct InterruptState(u64) {
        /// INTERRUPT_SHADOW: the guest is in the shadow of STI, MOV SS or POP SS.
        #[doc(alias = "SVM_INTERRUPT_SHADOW_MASK")]
        pub interrupt_shadow: bool,
        /// GUEST_INTERRUPT_MASK: RFLAGS.IF of an SEV-ES guest.
        #[doc(alias = "SVM_GUEST_INTERRUPT_MASK")]
        pub guest_interrupt_mask: bool,
        #[bits(62)]
        _reserved2: u64,
    }
}

register! {
    /// Interrupts that the hypervisor requests of a guest with Secure AVIC, offset 134h.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout".
    ///
    /// ```
    /// use x86_virt_svm::vmcb::UpdateIrr;
    ///
    /// assert!(UpdateIrr::from_bits(1).update_irr());
    /// ```
    pub struct UpdateIrr(u32) {
        /// UPDATE_IRR: the processor adds REQUESTED_IRR to the guest's IRR.
        pub update_irr: bool,
        #[bits(31)]
        _reserved1: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::{InterruptState, UpdateIrr, VirtualInterruptControl};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let control = VirtualInterruptControl::from_bits;
        for (bits, name) in [
            (0xff, "V_TPR=0xff"),
            (1 << 8, "V_IRQ"),
            (1 << 9, "VGIF"),
            (1 << 11, "V_NMI"),
            (1 << 12, "V_NMI_MASK"),
            (0xf << 16, "V_INTR_PRIO=0xf"),
            (1 << 20, "V_IGN_TPR"),
            (1 << 24, "V_INTR_MASKING"),
            (1 << 25, "VGIF_ENABLE"),
            (1 << 26, "V_NMI_ENABLE"),
            (1 << 30, "X2AVIC_ENABLE"),
            (1 << 31, "AVIC_ENABLE"),
            (0xff << 32, "V_INTR_VECTOR=0xff"),
        ] {
            assert_eq!(control(bits).to_string(), format!("{bits:#018x} {name}"));
        }
        let reserved = 1 << 10 | 7 << 13 | 7 << 21 | 7 << 27 | 0xff_ffff << 40;
        assert_eq!(control(reserved).to_string(), format!("{reserved:#018x}"));
        assert_eq!(
            InterruptState::from_bits(3).to_string(),
            "0x0000000000000003 INTERRUPT_SHADOW GUEST_INTERRUPT_MASK"
        );
        assert_eq!(UpdateIrr::from_bits(3).to_string(), "0x00000003 UPDATE_IRR");
    }
}
