//! The virtual APIC of a virtual processor.
#![expect(unsafe_code, reason = "tells the processor where its pages are")]

use x86_virt_core::{ApicError, ApicInterface, ApicVirtualization, Frames, GuestApic};

use crate::access::{VmcsRead as _, VmcsWrite as _};
use crate::control::SecondaryControls;
use crate::field;
use crate::guest_state::GuestInterruptStatus;
use crate::memory::{ApicOffset, ApicVectors};
use crate::vcpu::VmxVcpu;
use crate::virtual_apic::{self, ApicControls, Attached, CR8_EXITING, VirtualApic};

impl<'m, A: Frames> VmxVcpu<'_, '_, 'm, A> {
    /// Makes `apic` the local APIC of the guest, as far as the processor shall virtualize one, in place of another one. Its task priority
    /// becomes what CR8 is now; each other register is what the page has. MSRs of the x2APIC that were passed to the guest end runs again,
    /// but those that are virtualized.
    ///
    /// Unless `virtualization` delivers interrupts, [`request_interrupt`](x86_virt_core::Vcpu::request_interrupt) waits for the task
    /// priority as without it, and no exit tells of that. If it does, a request of the kind
    /// [`fixed`](x86_virt_core::InterruptRequest::fixed) becomes one of the virtual APIC at the next entry: it counts as accepted then,
    /// and the processor delivers it by its priority.
    ///
    /// # Errors
    ///
    /// [`ApicError`] with what is missing; then nothing is changed, and `apic` is dropped.
    ///
    /// Intel SDM vol. 3, section 32.1, "Virtual APIC State".
    ///
    /// ```no_run
    /// use x86_virt_core::{ApicInterface, ApicVirtualization, Frames, GuestApic as _};
    /// use x86_virt_vmx::{VirtualApic, VmxVcpu};
    ///
    /// /// An x2APIC of which the processor does what it can.
    /// fn give<A: Frames>(vcpu: &mut VmxVcpu<'_, '_, '_, A>, frames: &A) -> Result<(), Box<dyn core::error::Error>> {
    ///     let all = ApicVirtualization::new(ApicInterface::Msrs).with_registers().with_interrupts();
    ///     let apic = VirtualApic::new(frames)?;
    ///     if vcpu.check_apic_virtualization(all).is_ok() {
    ///         vcpu.set_virtual_apic(apic, all)?;
    ///         vcpu.raise_interrupt(0x40)?;
    ///     } else {
    ///         vcpu.set_virtual_apic(apic, ApicVirtualization::new(ApicInterface::Cr8))?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn set_virtual_apic(
        &mut self,
        apic: VirtualApic<'m, A>,
        virtualization: ApicVirtualization,
    ) -> Result<(), ApicError> {
        let controls = ApicControls::new(virtualization, self.capabilities())?;
        if virtualization.interface == ApicInterface::Memory && apic.access_address().is_none() {
            return Err(ApicError::NoAccessPage);
        }
        let task_priority = self.task_priority();
        // SAFETY: the frame is owned by `self` from now on, and so by whatever holds the VMCS, and nothing of the host is in it.
        unsafe { self.vmcs.put_sensitive(field::VIRTUAL_APIC_ADDRESS, apic.page_address()) };
        if let Some(address) = apic.access_address().filter(|_| self.has(SecondaryControls::VIRTUALIZE_APIC_ACCESSES)) {
            // SAFETY: memory of guests for all of `'m`, which outlives the virtual processor. The processor does not access it.
            unsafe { self.vmcs.put_sensitive(field::APIC_ACCESS_ADDRESS, address) };
        }
        // One that was there before goes now, and the VMCS has its address no more.
        self.parts.virtual_apic = Some(Attached { apic, virtualization, asked: 0, waits: None, written: 0 });
        self.vmcs.put(field::TPR_THRESHOLD, 0);
        self.set_task_priority(task_priority);
        self.synchronize_apic();
        self.write_apic_controls(Some((controls, virtualization)));
        Ok(())
    }

    /// Takes the virtual APIC away, and returns it. CR8 stays as it is, and ends runs again, and so do the MSRs of the x2APIC.
    pub fn take_virtual_apic(&mut self) -> Option<VirtualApic<'m, A>> {
        let task_priority = self.task_priority();
        self.parts.virtual_apic.as_ref()?;
        // The VMCS keeps the address, and no control by which it would count.
        self.write_apic_controls(None);
        let attached = self.parts.virtual_apic.take()?;
        self.parts.cr8 = task_priority;
        Some(attached.apic)
    }

    /// The virtual APIC.
    #[must_use]
    pub const fn virtual_apic(&self) -> Option<&VirtualApic<'m, A>> {
        match &self.parts.virtual_apic {
            Some(attached) => Some(&attached.apic),
            None => None,
        }
    }

    /// Ends a run with [`ExitKind::TprBelowThreshold`](x86_virt_core::ExitKind::TprBelowThreshold) when the guest makes its task priority,
    /// as in CR8, lower than `threshold`, from 1 to 15. If it is lower already, it must become lower still. 0, as at first, is never.
    ///
    /// The library waits for the priorities of interrupts that were asked for besides, and does not tell of that. Where the processor
    /// delivers interrupts, it has no threshold.
    ///
    /// # Errors
    ///
    /// [`ApicError::NotAttached`] if there is no virtual APIC.
    ///
    /// Intel SDM vol. 3, section 32.1.2, "TPR Virtualization".
    pub fn set_tpr_threshold(&mut self, threshold: u8) -> Result<(), ApicError> {
        let attached = self.parts.virtual_apic.as_mut().ok_or(ApicError::NotAttached)?;
        attached.asked = threshold.min(0xf);
        self.write_threshold();
        Ok(())
    }

    /// What the processor keeps beside the page: the highest vectors that are requested and in service. `None` where it does not deliver
    /// interrupts.
    #[must_use]
    pub fn guest_interrupt_status(&self) -> Option<GuestInterruptStatus> {
        self.delivers_interrupts().then(|| self.vmcs.get(field::GUEST_INTERRUPT_STATUS))
    }

    /// Whether the processor has the control.
    fn has(&self, control: SecondaryControls) -> bool {
        self.parts.capabilities.secondary().may_be_one().contains(control)
    }

    fn delivers_interrupts(&self) -> bool {
        self.parts.virtual_apic.as_ref().is_some_and(|attached| attached.virtualization.delivers_interrupts)
    }

    /// CR8.
    pub(crate) fn task_priority(&self) -> u8 {
        self.parts.virtual_apic.as_ref().map_or(self.parts.cr8, Attached::task_priority)
    }

    /// Sets CR8, of which bits 3:0 count.
    pub(crate) fn set_task_priority(&mut self, task_priority: u8) {
        match &self.parts.virtual_apic {
            Some(attached) => {
                attached.apic.page().write(ApicOffset::TPR, u32::from(task_priority) << 4);
                self.write_threshold();
            }
            None => self.parts.cr8 = task_priority,
        }
    }

    /// Writes the controls of a virtual APIC, or takes all of them away; and what depends on them.
    fn write_apic_controls(&mut self, wanted: Option<(ApicControls, ApicVirtualization)>) {
        let all = ApicControls::all();
        let (mut primary, mut secondary) =
            (self.parts.primary.without(all.primary), self.parts.secondary.without(all.secondary));
        match wanted {
            Some((controls, _)) => {
                primary = primary.without(CR8_EXITING) | controls.primary;
                secondary = secondary | controls.secondary;
            }
            None => primary = primary | CR8_EXITING,
        }
        virtual_apic::set_msrs(&mut self.parts.msr_bitmaps, wanted.map(|(_, virtualization)| virtualization));
        self.write_primary(primary);
        self.write_secondary(secondary);
        self.parts.mode = None;
        // What is cached may say of a page that it is not the APIC-access page: Intel SDM vol. 3, section 31.4.3.3, "Guidelines for
        // Use of the INVVPID Instruction".
        self.parts.forget_generations();
        self.flush_tlb();
    }

    /// Hands an interrupt of a local APIC that was asked for over to the virtual APIC, if that delivers interrupts.
    #[inline]
    pub(crate) fn hand_over(&mut self) {
        if self.delivers_interrupts()
            && let Some(vector) = self.parts.events.hand_over()
        {
            self.raise(vector);
        }
    }

    fn raise(&mut self, vector: u8) {
        if let Some(attached) = &self.parts.virtual_apic {
            virtual_apic::raise(attached.apic.page(), &mut self.vmcs, vector);
        }
    }

    fn synchronize_apic(&mut self) {
        if let Some(attached) = &self.parts.virtual_apic
            && self.has(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY)
        {
            virtual_apic::synchronize(attached.apic.page(), &mut self.vmcs);
        }
    }

    /// An interrupt waits until the task priority is below `class`.
    pub(crate) fn wait_for_priority(&mut self, class: Option<u8>) {
        if let Some(attached) = &mut self.parts.virtual_apic {
            attached.waits = class;
            self.write_threshold();
        }
    }

    /// Whether the run ended for an interrupt that waits, and not for what the caller has asked for.
    #[cold]
    pub(crate) fn is_own_threshold(&mut self) -> bool {
        let Some(attached) = &mut self.parts.virtual_apic else { return false };
        let waited = attached.waits.take().is_some();
        let is_asked_for = attached.task_priority() < attached.asked;
        self.write_threshold();
        waited && !is_asked_for
    }

    /// Writes the TPR threshold if it is another than before.
    fn write_threshold(&mut self) {
        let Some(attached) = &mut self.parts.virtual_apic else { return };
        let threshold = attached.threshold();
        if threshold != attached.written {
            attached.written = threshold;
            self.vmcs.put(field::TPR_THRESHOLD, threshold.into());
        }
    }
}

impl<A: Frames> GuestApic for VmxVcpu<'_, '_, '_, A> {
    fn apic_virtualization(&self) -> Option<ApicVirtualization> {
        self.parts.virtual_apic.as_ref().map(|attached| attached.virtualization)
    }

    fn check_apic_virtualization(&self, wanted: ApicVirtualization) -> Result<(), ApicError> {
        self.capabilities().check_apic_virtualization(wanted)
    }

    fn set_apic_virtualization(&mut self, wanted: ApicVirtualization) -> Result<(), ApicError> {
        let controls = ApicControls::new(wanted, &self.parts.capabilities)?;
        let attached = self.parts.virtual_apic.as_mut().ok_or(ApicError::NotAttached)?;
        if wanted.interface == ApicInterface::Memory && attached.apic.access_address().is_none() {
            return Err(ApicError::NoAccessPage);
        }
        attached.virtualization = wanted;
        self.synchronize_apic();
        self.write_apic_controls(Some((controls, wanted)));
        Ok(())
    }

    fn apic_register(&self, offset: u16) -> Option<u64> {
        self.virtual_apic()?.page().read_wide(ApicOffset::from_bits(offset))
    }

    fn set_apic_register(&mut self, offset: u16, value: u64) -> Result<(), ApicError> {
        let page = self.virtual_apic().ok_or(ApicError::NotAttached)?.page();
        if page.read_wide(ApicOffset::from_bits(offset)).is_none() {
            return Err(ApicError::NoSuchRegister { offset });
        }
        page.write_wide(ApicOffset::from_bits(offset), value);
        if offset == ApicOffset::TPR.into_bits() {
            self.write_threshold();
        }
        let is_in = |vectors: ApicVectors| offset & !0x7f == vectors.offset().into_bits();
        if is_in(ApicVectors::Requested) || is_in(ApicVectors::InService) {
            self.synchronize_apic();
        }
        Ok(())
    }

    fn raise_interrupt(&mut self, vector: u8) -> Result<(), ApicError> {
        if !self.delivers_interrupts() {
            self.virtual_apic().ok_or(ApicError::NotAttached)?;
            return Err(ApicError::NoDelivery);
        }
        self.raise(vector);
        Ok(())
    }

    fn deliverable_interrupt(&self) -> Option<u8> {
        let attached = self.parts.virtual_apic.as_ref().filter(|_| self.delivers_interrupts())?;
        virtual_apic::deliverable(attached.apic.page(), &self.vmcs)
    }

    fn set_eoi_exits(&mut self, vectors: [u64; 4]) -> Result<(), ApicError> {
        if !self.delivers_interrupts() {
            self.virtual_apic().ok_or(ApicError::NotAttached)?;
            return Err(ApicError::NoDelivery);
        }
        let fields =
            [field::EOI_EXIT_BITMAP_0, field::EOI_EXIT_BITMAP_1, field::EOI_EXIT_BITMAP_2, field::EOI_EXIT_BITMAP_3];
        for (field, word) in fields.into_iter().zip(vectors) {
            self.vmcs.put(field, word);
        }
        Ok(())
    }
}
