//! What ends a run, changed while the guest lives.
#![expect(unsafe_code, reason = "writes controls")]

use x86_virt_core::{
    ControlRegister, Cr0, Cr4, Event, Exception, Exit, ExitKind, Frames, GivenBack, GuestControls, InterceptError,
    Intercepts, InterruptPolicy, MsrAccess, MsrBitmap as _, OwnedBits, PageFaultErrorCode, PageFaultFilter, PauseLoop,
    PortBitmap as _, StatePolicy, Vcpu as _, VcpuConfig, endless_exceptions, is_endless,
};

use crate::access::{VmcsRead as _, VmcsWrite};
use crate::control::SecondaryControls;
use crate::cr_mask;
use crate::event::EventType;
use crate::exit::{BasicExitReason, ExitReason};
use crate::field;
use crate::guest_msr::ExceptionBitmap;
use crate::intercept::InterceptControls;
use crate::vcpu::VmxVcpu;

/// What a hypervisor has chosen of the controls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    intercepts: Intercepts,
    exceptions: u32,
    /// Exceptions of a debugger.
    pub(crate) watched: u32,
    page_faults: PageFaultFilter,
    pause_loop: Option<PauseLoop>,
    /// The bits of the guest/host masks that are 0.
    pub(crate) owned: OwnedBits,
    pub(crate) state: StatePolicy,
    pub(crate) interrupts: InterruptPolicy,
}

const PAGE_FAULT: u8 = 14;

impl Chosen {
    pub(crate) const fn new(config: &VcpuConfig) -> Self {
        Self {
            intercepts: config.intercepts(),
            exceptions: config.exceptions(),
            watched: 0,
            page_faults: PageFaultFilter::ALL,
            pause_loop: None,
            owned: OwnedBits { cr0: Cr0::new().with_ts(true), cr4: Cr4::new() },
            state: config.state(),
            interrupts: config.interrupts(),
        }
    }

    /// Whether an exception with this vector ends a run in any case.
    const fn ends_run(&self, vector: u8) -> bool {
        (self.exceptions | self.watched) >> vector & 1 == 1
    }

    /// Whether the exception was chosen to end a run.
    pub(crate) const fn wants(&self, exception: Exception) -> bool {
        let Exception { vector, error_code } = exception;
        let is_chosen = vector < 32 && self.exceptions >> vector & 1 == 1;
        match error_code {
            Some(code) if vector == PAGE_FAULT => {
                is_chosen && self.page_faults.matches(PageFaultErrorCode::from_bits(code))
            }
            _ => is_chosen,
        }
    }
}

impl<A: Frames> VmxVcpu<'_, '_, '_, A> {
    /// Lets MOV to CR3 with one of these values not end a run, where [`Intercepts::cr3_write`] is set.
    ///
    /// Intel SDM vol. 3, section 27.6.7, "CR3-Target Controls".
    ///
    /// # Errors
    ///
    /// [`InterceptError`] if the processor does not take so many: nothing is changed then. All processors so far take 4.
    pub fn set_cr3_targets(&mut self, values: &[u64]) -> Result<(), InterceptError> {
        let fields = [field::CR3_TARGET_0, field::CR3_TARGET_1, field::CR3_TARGET_2, field::CR3_TARGET_3];
        let most = fields.len().min(usize::from(self.parts.capabilities.misc().cr3_target_count()));
        let count = u32::try_from(values.len()).ok().filter(|_| values.len() <= most);
        let Some(count) = count else {
            return Err(InterceptError::Missing {
                intercept: "all but so many values of CR3",
                needs: "CR3-target values",
            });
        };
        for (field, value) in fields.into_iter().zip(values) {
            self.vmcs.put(field, *value);
        }
        self.vmcs.put(field::CR3_TARGET_COUNT, count);
        Ok(())
    }

    /// Writes the guest/host masks: the bits that the guest does not own.
    pub(crate) fn write_masks(&mut self) {
        let OwnedBits { cr0, cr4 } = self.parts.chosen.owned;
        // SAFETY: `cr_mask::grant` gives the guest no bit on which the host depends, or the library.
        unsafe { self.vmcs.put_sensitive(field::CR0_GUEST_HOST_MASK, Cr0::from(!cr0.into_bits())) };
        // SAFETY: as above.
        unsafe { self.vmcs.put_sensitive(field::CR4_GUEST_HOST_MASK, Cr4::from(!cr4.into_bits())) };
    }

    /// Writes the exception bitmap and which page faults count.
    pub(crate) fn write_exceptions(&mut self) {
        let Chosen { exceptions, watched, page_faults, .. } = self.parts.chosen;
        let page_faults = if watched >> PAGE_FAULT & 1 == 1 { PageFaultFilter::ALL } else { page_faults };
        let endless = endless_exceptions(self.vmcs.get(field::GUEST_DR7).into_bits());
        self.parts.endless = endless;
        let bitmap = ExceptionBitmap::from_bits(exceptions | watched | endless).with_mc(true);
        // SAFETY: machine checks, which are the host's, are in it.
        unsafe { self.vmcs.put_sensitive(field::EXCEPTION_BITMAP, bitmap) };
        self.vmcs.put(field::PAGE_FAULT_ERROR_CODE_MASK, page_faults.mask);
        self.vmcs.put(field::PAGE_FAULT_ERROR_CODE_MATCH, page_faults.value);
    }

    /// Gives an exception back that ended the run for the host's sake alone. True if the guest goes on.
    pub(crate) fn give_back(&mut self, exit: &mut Exit<ExitReason>, given: &mut GivenBack) -> bool {
        if exit.reason.basic() != BasicExitReason::EXCEPTION_OR_NMI || exit.kind == ExitKind::HostNmi {
            return false;
        }
        let information = self.vmcs.get(field::EXIT_INTERRUPTION_INFORMATION);
        let vector = information.vector();
        if !is_endless(vector) || self.parts.chosen.ends_run(vector) {
            return false;
        }
        let event = if information.event_type() == EventType::PRIVILEGED_SOFTWARE_EXCEPTION {
            let [length, ..] = self.vmcs.get(field::EXIT_INSTRUCTION_LENGTH).to_le_bytes();
            Event::PrivilegedSoftwareException { length }
        } else {
            let is_protected = Cr0::from(self.control(ControlRegister::Cr0)).pe();
            let error_code = (is_protected && Exception::pushes_error_code(vector)).then_some(0);
            Event::Exception(Exception { vector, error_code })
        };
        if given.give_back(self, event) {
            return true;
        }
        exit.kind = ExitKind::HostInterrupt;
        false
    }
}

impl<A: Frames> GuestControls for VmxVcpu<'_, '_, '_, A> {
    fn intercepts(&self) -> Intercepts {
        self.parts.chosen.intercepts
    }

    fn set_intercepts(&mut self, intercepts: Intercepts) -> Result<(), InterceptError> {
        let wanted = InterceptControls::supported(intercepts, &self.parts.capabilities)?;
        let all = InterceptControls::all();
        self.write_primary(self.parts.primary.without(all.primary) | wanted.primary);
        let secondary = self.parts.secondary.without(all.secondary) | wanted.secondary;
        if secondary != self.parts.secondary {
            self.write_secondary(secondary);
        }
        self.parts.chosen.intercepts = intercepts;
        Ok(())
    }

    fn exceptions(&self) -> u32 {
        self.parts.chosen.exceptions
    }

    fn set_exceptions(&mut self, vectors: u32) {
        self.parts.chosen.exceptions = vectors;
        self.write_exceptions();
    }

    fn page_fault_filter(&self) -> PageFaultFilter {
        self.parts.chosen.page_faults
    }

    fn set_page_fault_filter(&mut self, filter: PageFaultFilter) {
        self.parts.chosen.page_faults = filter;
        self.write_exceptions();
    }

    fn pause_loop(&self) -> Option<PauseLoop> {
        self.parts.chosen.pause_loop
    }

    fn set_pause_loop(&mut self, pause_loop: Option<PauseLoop>) -> Result<(), InterceptError> {
        let control = SecondaryControls::PAUSE_LOOP_EXITING;
        let mut secondary = self.parts.secondary.without(control);
        if let Some(PauseLoop { gap, window, .. }) = pause_loop {
            if !self.parts.capabilities.secondary().may_be_one().contains(control) {
                let (intercept, needs) = ("loops of PAUSE", "the control PAUSE_LOOP_EXITING");
                return Err(InterceptError::Missing { intercept, needs });
            }
            self.vmcs.put(field::PLE_GAP, gap);
            self.vmcs.put(field::PLE_WINDOW, window);
            secondary = secondary | control;
        }
        if secondary != self.parts.secondary {
            self.write_secondary(secondary);
        }
        self.parts.chosen.pause_loop = pause_loop;
        Ok(())
    }

    fn owned_bits(&self) -> OwnedBits {
        self.parts.chosen.owned
    }

    fn set_owned_bits(&mut self, wanted: OwnedBits) -> OwnedBits {
        let granted = cr_mask::grant(wanted, &self.parts.capabilities);
        // A bit that is the guest's no more is in the shadow from now on.
        let (cr0, cr4) = (self.guest_cr0(), self.guest_cr4());
        self.vmcs.put(field::CR0_READ_SHADOW, cr0);
        self.vmcs.put(field::CR4_READ_SHADOW, cr4);
        self.parts.chosen.owned = granted;
        self.write_masks();
        granted
    }

    fn covers_msr(&self, msr: u32) -> bool {
        self.parts.msr_bitmaps.covers(msr)
    }

    fn is_msr_intercepted(&self, msr: u32, access: MsrAccess) -> bool {
        self.parts.msr_bitmaps.is_intercepted(msr, access)
    }

    fn is_port_intercepted(&self, port: u16) -> bool {
        self.parts.io_bitmaps.is_intercepted(port)
    }
}
