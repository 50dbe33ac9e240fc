//! EPT violations as exceptions in the guest (#VE).
#![expect(unsafe_code, reason = "tells the processor where to write")]

use x86_virt_core::{Frames, GuestRam};

use crate::access::VmcsWrite as _;
use crate::control::{SecondaryControls, UnsupportedControl};
use crate::field;
use crate::vcpu::VmxVcpu;

impl<'m, A: Frames> VmxVcpu<'_, '_, 'm, A> {
    /// Makes EPT violations exceptions in the guest, vector 20, from the next entry on. The processor says in the first page of `area`
    /// what happened, as [`VeInformationArea`](crate::VeInformationArea) has it; the page is filled with zeros now. Map it for the
    /// guest where its handler looks.
    ///
    /// All EPT violations are delivered but those of entries that suppress #VE, those in real mode or during the
    /// delivery of another event, and those while the second word of the area is not 0, which the handler clears when it is done.
    /// These end a run, and so does #VE if it is among the exceptions that are intercepted.
    ///
    /// # Errors
    ///
    /// [`UnsupportedControl`] if the processor has no #VE; then nothing is changed.
    ///
    /// Intel SDM vol. 3, section 28.5.7, "Virtualization Exceptions".
    ///
    /// ```no_run
    /// # use x86_virt_core::{Frames, GuestRam};
    /// # use x86_virt_vmx::{UnsupportedControl, VmxVcpu};
    /// fn enable<'m, A: Frames>(
    ///     vcpu: &mut VmxVcpu<'_, '_, 'm, A>,
    ///     area: &GuestRam<'m>,
    /// ) -> Result<(), UnsupportedControl> {
    ///     vcpu.enable_virtualization_exceptions(area)
    /// }
    /// ```
    pub fn enable_virtualization_exceptions(&mut self, area: &GuestRam<'m>) -> Result<(), UnsupportedControl> {
        let none = SecondaryControls::NONE;
        let wanted = self.parts.secondary | SecondaryControls::EPT_VIOLATION_VE;
        let secondary = SecondaryControls::negotiate(self.parts.capabilities.secondary(), wanted, none, none)?;
        if let Ok(page) = area.slice(0, 4096) {
            page.fill(0);
        }
        // SAFETY: memory of guests for all of `'m`, which outlives the virtual processor: whatever is written there harms nothing.
        unsafe { self.vmcs.put_sensitive(field::VIRTUALIZATION_EXCEPTION_ADDRESS, area.hpa()) };
        self.write_secondary(secondary);
        Ok(())
    }

    /// Makes EPT violations end runs again.
    pub fn disable_virtualization_exceptions(&mut self) {
        let secondary = self.parts.secondary.without(SecondaryControls::EPT_VIOLATION_VE);
        self.write_secondary(secondary);
    }
}
