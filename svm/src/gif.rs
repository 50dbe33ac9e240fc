//! The guest's global interrupt flag.

use x86_virt_core::{Frames, GlobalInterrupts};

use crate::exit_code::ExitCode;
use crate::run::Wanted;
use crate::vcpu::SvmVcpu;
use crate::vmcb::control;

impl<A: Frames> SvmVcpu<'_, '_, '_, A> {
    /// Gives the guest a global interrupt flag in the processor, so that STGI and CLGI do not end a run; false if the processor
    /// has no virtual GIF. The flag is what [`set_global_interrupts`](Self::set_global_interrupts) made it, or 1.
    ///
    /// An interrupt that was asked for while the flag is 0 comes as soon as STGI has set it. An NMI comes with the next exit, or when the
    /// guest takes interrupts.
    ///
    /// AMD APM vol. 2, section 15.33.2, "Virtual GIF".
    pub fn enable_virtual_gif(&mut self) -> bool {
        if !self.processor.capabilities.features().vgif() {
            return false;
        }
        let interrupts = self.read(control::VIRTUAL_INTERRUPT_CONTROL);
        let is_set = self.guest.events.global_interrupts() == GlobalInterrupts::Enabled;
        self.guest.vmcb.write(control::VIRTUAL_INTERRUPT_CONTROL, interrupts.with_vgif_enable(true).with_vgif(is_set));
        self.set_intercepted(ExitCode::STGI, Wanted::No);
        self.set_intercepted(ExitCode::CLGI, Wanted::No);
        true
    }

    /// The guest's global interrupt flag.
    #[must_use]
    pub fn global_interrupts(&self) -> GlobalInterrupts {
        if self.is_gif_clear() { GlobalInterrupts::Disabled } else { GlobalInterrupts::Enabled }
    }

    /// Sets the guest's global interrupt flag, as STGI and CLGI do, which end a run unless the guest has a
    /// [virtual one](Self::enable_virtual_gif).
    pub fn set_global_interrupts(&mut self, global: GlobalInterrupts) {
        let interrupts = self.read(control::VIRTUAL_INTERRUPT_CONTROL);
        if interrupts.vgif_enable() {
            let is_set = global == GlobalInterrupts::Enabled;
            self.guest.vmcb.write(control::VIRTUAL_INTERRUPT_CONTROL, interrupts.with_vgif(is_set));
        } else {
            self.guest.events.set_global_interrupts(global);
        }
    }

    pub(crate) fn is_gif_clear(&self) -> bool {
        let interrupts = self.read(control::VIRTUAL_INTERRUPT_CONTROL);
        if interrupts.vgif_enable() {
            !interrupts.vgif()
        } else {
            self.guest.events.global_interrupts() == GlobalInterrupts::Disabled
        }
    }
}
