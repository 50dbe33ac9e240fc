//! What ends a run, of the vendor that the processor has.

use x86_virt_core::{
    Frames, GuestControls, InterceptError, Intercepts, MsrAccess, OwnedBits, PageFaultFilter, PauseLoop,
};

use crate::vcpu::{AnyVcpu, either};

impl<A: Frames> GuestControls for AnyVcpu<'_, '_, '_, A> {
    fn intercepts(&self) -> Intercepts {
        either!(self, vcpu => vcpu.intercepts())
    }

    fn set_intercepts(&mut self, intercepts: Intercepts) -> Result<(), InterceptError> {
        either!(self, vcpu => vcpu.set_intercepts(intercepts))
    }

    fn exceptions(&self) -> u32 {
        either!(self, vcpu => vcpu.exceptions())
    }

    fn set_exceptions(&mut self, vectors: u32) {
        either!(self, vcpu => vcpu.set_exceptions(vectors));
    }

    fn page_fault_filter(&self) -> PageFaultFilter {
        either!(self, vcpu => vcpu.page_fault_filter())
    }

    fn set_page_fault_filter(&mut self, filter: PageFaultFilter) {
        either!(self, vcpu => vcpu.set_page_fault_filter(filter));
    }

    fn pause_loop(&self) -> Option<PauseLoop> {
        either!(self, vcpu => vcpu.pause_loop())
    }

    fn set_pause_loop(&mut self, pause_loop: Option<PauseLoop>) -> Result<(), InterceptError> {
        either!(self, vcpu => vcpu.set_pause_loop(pause_loop))
    }

    fn owned_bits(&self) -> OwnedBits {
        either!(self, vcpu => vcpu.owned_bits())
    }

    fn set_owned_bits(&mut self, wanted: OwnedBits) -> OwnedBits {
        either!(self, vcpu => vcpu.set_owned_bits(wanted))
    }

    fn covers_msr(&self, msr: u32) -> bool {
        either!(self, vcpu => vcpu.covers_msr(msr))
    }

    fn is_msr_intercepted(&self, msr: u32, access: MsrAccess) -> bool {
        either!(self, vcpu => vcpu.is_msr_intercepted(msr, access))
    }

    fn is_port_intercepted(&self, port: u16) -> bool {
        either!(self, vcpu => vcpu.is_port_intercepted(port))
    }
}
