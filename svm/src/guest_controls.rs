//! What ends a run, changed while the guest lives.

use x86_virt_core::{
    Cr0, Cr4, Event, Exception, Frames, GuestApic, GuestControls, Gva, InterceptError, Intercepts, MsrAccess,
    MsrBitmap as _, OwnedBits, PageFaultErrorCode, PageFaultFilter, PauseLoop, PortBitmap as _, StatePolicy, Vcpu as _,
    VcpuConfig, endless_exceptions, is_endless,
};

use crate::exit::SvmExit;
use crate::exit_code::ExitCode;
use crate::intercept::{InterceptSet, check_words};
use crate::run::Wanted;
use crate::vcpu::SvmVcpu;
use crate::vmcb::{control, save};

/// What a hypervisor has chosen of the intercepts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    intercepts: Intercepts,
    exceptions: u32,
    /// Exceptions of a debugger.
    watched: u32,
    page_faults: PageFaultFilter,
    pause_loop: Option<PauseLoop>,
    owned: OwnedBits,
    state: StatePolicy,
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
            owned: OwnedBits::NONE,
            state: config.state(),
        }
    }

    /// Whether the guest's segments stay in the registers between runs.
    pub(crate) const fn has_resident_segments(&self) -> bool {
        matches!(self.state, StatePolicy::ResidentSegments)
    }
}

/// The bits of CR0 whose writes CR0_SEL_WRITE does not intercept.
///
/// AMD APM vol. 2, section 15.9, "Instruction Intercepts" (selective CR0 write).
const SELECTIVE: Cr0 = Cr0::new().with_ts(true).with_mp(true);

impl<A: Frames> SvmVcpu<'_, '_, '_, A> {
    /// Intercepts the codes that are in `now` and were not in `before`, and the other way round. What the library has added of its
    /// own stays.
    fn change_intercepts(&mut self, before: InterceptSet, now: InterceptSet) {
        for code in now.iter().filter(|code| !before.contains(*code)) {
            self.set_intercepted(code, Wanted::Yes);
        }
        for code in before.iter().filter(|code| !now.contains(*code)) {
            self.set_intercepted(code, Wanted::No);
        }
    }

    /// The intercepts that the choices make, besides those that there always are.
    fn chosen_intercepts(&self) -> InterceptSet {
        let Chosen { intercepts, exceptions, watched, pause_loop, owned, .. } = self.guest.chosen;
        let mut set = InterceptSet::wanted(intercepts).with_exceptions(exceptions | watched);
        if pause_loop.is_some() {
            set = set.with(ExitCode::PAUSE);
        }
        if owned.cr0 == SELECTIVE { set.with(ExitCode::CR0_SEL_WRITE) } else { set.with(ExitCode::CR0_WRITE) }
    }

    /// Changes what was chosen, and the intercepts with it.
    fn choose(&mut self, change: impl FnOnce(&mut Chosen)) {
        let before = self.chosen_intercepts();
        change(&mut self.guest.chosen);
        self.change_intercepts(before, self.chosen_intercepts());
        let Chosen { intercepts, pause_loop, .. } = self.guest.chosen;
        // With a count of 0 every PAUSE ends a run.
        let counted = pause_loop.filter(|_| !intercepts.pause());
        let count = counted.map_or(0, |counted| counted.count);
        let gap = counted.map_or(0, |counted| u16::try_from(counted.gap).unwrap_or(u16::MAX));
        let threshold = if self.capabilities().features().pause_filter_threshold() { gap } else { 0 };
        if self.read(control::PAUSE_FILTER_COUNT) != count || self.read(control::PAUSE_FILTER_THRESHOLD) != threshold {
            self.write(control::PAUSE_FILTER_COUNT, count);
            self.write(control::PAUSE_FILTER_THRESHOLD, threshold);
        }
    }

    /// Intercepts the exceptions that leave the guest for the host's sake, after a change of the VMCB.
    pub(crate) fn intercept_endless(&mut self) {
        let Chosen { exceptions, watched, .. } = self.guest.chosen;
        let vectors = exceptions | watched | endless_exceptions(self.read(save::DR7));
        let mut intercepts = self.guest.intercepts;
        for code in [ExitCode::EXCP_DB, ExitCode::EXCP_AC] {
            let is_wanted = code.exception().is_some_and(|vector| vectors >> vector & 1 == 1);
            intercepts = if is_wanted { intercepts.with(code) } else { intercepts.without(code) };
        }
        if intercepts != self.guest.intercepts {
            self.guest.intercepts = intercepts;
            // The other words are as the caller may have written them.
            let [_, _, exceptions, ..] = intercepts.words();
            self.guest.vmcb.write(control::INTERCEPT_EXCEPTIONS, exceptions);
        }
    }

    /// The exception that ended the run for the host's sake alone, and was not chosen.
    pub(crate) fn endless(&self, exit: SvmExit) -> Option<Event> {
        let Chosen { exceptions, watched, .. } = self.guest.chosen;
        let vector = exit.code.exception().filter(|vector| is_endless(*vector))?;
        if (exceptions | watched) >> vector & 1 == 1 {
            return None;
        }
        let is_protected = self.read(save::CR0).pe();
        let error_code = (is_protected && Exception::pushes_error_code(vector)).then_some(0);
        Some(Event::Exception(Exception { vector, error_code }))
    }

    /// Lets the exceptions of a debugger end a run besides those that are chosen.
    pub(crate) fn set_watched(&mut self, vectors: u32) {
        self.choose(|chosen| chosen.watched = vectors);
    }

    /// Whether the exception was chosen to end a run.
    pub(crate) fn wants(&self, exception: Exception) -> bool {
        let Chosen { exceptions, page_faults, .. } = self.guest.chosen;
        let Exception { vector, error_code } = exception;
        let is_chosen = vector < 32 && exceptions >> vector & 1 == 1;
        match error_code {
            Some(code) if vector == PAGE_FAULT => is_chosen && page_faults.matches(PageFaultErrorCode::from_bits(code)),
            _ => is_chosen,
        }
    }

    /// Gives the guest a page fault that the hypervisor does not want to see, merged with the event in whose delivery it came. False if it
    /// is one that it wants.
    #[cold]
    pub(crate) fn give_back_page_fault(&mut self, exit: SvmExit) -> bool {
        let [a, b, c, d, ..] = exit.info1.to_le_bytes();
        let code = u32::from_le_bytes([a, b, c, d]);
        let Chosen { watched, page_faults, .. } = self.guest.chosen;
        watched >> PAGE_FAULT & 1 == 0
            && !page_faults.matches(PageFaultErrorCode::from_bits(code))
            && self.raise_page_fault(Gva::new(exit.info2), code).is_ok()
    }
}

/// AVIC is not used: there is no virtual APIC.
impl<A: Frames> GuestApic for SvmVcpu<'_, '_, '_, A> {}

impl<A: Frames> GuestControls for SvmVcpu<'_, '_, '_, A> {
    fn intercepts(&self) -> Intercepts {
        self.guest.chosen.intercepts
    }

    fn set_intercepts(&mut self, intercepts: Intercepts) -> Result<(), InterceptError> {
        check_words(intercepts)?;
        self.choose(|chosen| chosen.intercepts = intercepts);
        Ok(())
    }

    fn exceptions(&self) -> u32 {
        self.guest.chosen.exceptions
    }

    fn set_exceptions(&mut self, vectors: u32) {
        self.choose(|chosen| chosen.exceptions = vectors);
    }

    fn page_fault_filter(&self) -> PageFaultFilter {
        self.guest.chosen.page_faults
    }

    fn set_page_fault_filter(&mut self, filter: PageFaultFilter) {
        self.guest.chosen.page_faults = filter;
    }

    fn pause_loop(&self) -> Option<PauseLoop> {
        self.guest.chosen.pause_loop
    }

    fn set_pause_loop(&mut self, pause_loop: Option<PauseLoop>) -> Result<(), InterceptError> {
        if pause_loop.is_some() && !self.capabilities().features().pause_filter() {
            let needs = "PauseFilter (CPUID Fn8000_000A EDX bit 10)";
            return Err(InterceptError::Missing { intercept: "loops of PAUSE", needs });
        }
        self.choose(|chosen| chosen.pause_loop = pause_loop);
        Ok(())
    }

    fn owned_bits(&self) -> OwnedBits {
        self.guest.chosen.owned
    }

    fn set_owned_bits(&mut self, wanted: OwnedBits) -> OwnedBits {
        let has_both = wanted.cr0.into_bits() & SELECTIVE.into_bits() == SELECTIVE.into_bits();
        let cr0 = if has_both { SELECTIVE } else { Cr0::new() };
        let granted = OwnedBits { cr0, cr4: Cr4::new() };
        self.choose(|chosen| chosen.owned = granted);
        granted
    }

    fn covers_msr(&self, msr: u32) -> bool {
        self.guest.msrpm.covers(msr)
    }

    fn is_msr_intercepted(&self, msr: u32, access: MsrAccess) -> bool {
        self.guest.msrpm.is_intercepted(msr, access)
    }

    fn is_port_intercepted(&self, port: u16) -> bool {
        self.guest.iopm.is_intercepted(port)
    }
}
