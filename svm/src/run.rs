//! Entries and exits.

use core::fmt;

use x86_virt_core::fpu::Osxsave;
use x86_virt_core::{
    Activity, AddressSize, AttachedKick, Cr4, Event, Exit, ExitKind, Frames, GivenBack, HostDebug, Instruction,
    TagFlush,
};

use crate::asid;
use crate::check::{RuleSet, Violation, check};
use crate::deliver::{NO_EXIT, Outcome};
use crate::exit::{self, ExitContext, SvmExit};
use crate::exit_code::ExitCode;
use crate::next_entry::NextEntry;
use crate::residence;
use crate::switch::{self, Load};
use crate::vcpu::SvmVcpu;
use crate::vmcb::{CleanBits, SegmentAttributes, TlbControl, control, save};

/// Groups whose fields can make the processor refuse an entry.
const CHECKED: CleanBits = CleanBits::ALL.without(CleanBits::CR2).without(CleanBits::TPR);

/// What an entry flushes, and which generation of the space holds afterwards.
#[derive(Clone, Copy, Debug)]
struct Flush {
    what: TagFlush,
    generation: u64,
}

impl<A: Frames> SvmVcpu<'_, '_, '_, A> {
    pub(crate) fn run_guest(&mut self) -> Result<Exit<SvmExit>, EntryError> {
        if self.guest.activity != Activity::Running {
            self.bring_host_back();
            if let Some(exit) = self.wake_up()? {
                return Ok(exit);
            }
        }
        let mut given = GivenBack::new();
        loop {
            if let Some(exit) = self.before_entry() {
                return Ok(exit);
            }
            let exit = self.enter_once()?;
            if !self.may_be_own(exit) {
                let mut exit = Exit { kind: exit::plain(exit.code), reason: exit };
                if exit.kind == ExitKind::Vendor {
                    exit.kind = self.kind_with_operands(exit.reason);
                }
                return Ok(exit);
            }
            if let Some(exit) = self.finish(exit, &mut given) {
                return Ok(exit);
            }
        }
    }

    /// What ends a run before the guest is entered.
    #[inline]
    pub(crate) fn before_entry(&mut self) -> Option<Exit<SvmExit>> {
        if !self.guest.events.is_due() {
            return None;
        }
        let exit = self.exit_without_entry()?;
        self.bring_host_back();
        Some(exit)
    }

    /// One entry.
    #[inline]
    pub(crate) fn enter_once(&mut self) -> Result<SvmExit, EntryError> {
        let result = if self.may_be_refused() { self.enter_changed() } else { self.enter() };
        match result {
            Ok(()) => Ok(self.guest.exit.unwrap_or(NO_EXIT)),
            Err(refusal) => {
                self.bring_host_back();
                Err(self.explain(refusal))
            }
        }
    }

    /// Whether [`finish`](Self::finish) may find that an exit is the library's own, or that there was none.
    #[inline]
    fn may_be_own(&self, exit: SvmExit) -> bool {
        matches!(
            exit.code,
            ExitCode::IRET
                | ExitCode::VINTR
                | ExitCode::EXCP_DB
                | ExitCode::EXCP_AC
                | ExitCode::EXCP_PF
                | ExitCode::NPF
        ) || exit.code == NO_EXIT.code
            || self.guest.nmi.is_blocked()
    }

    /// What an exit is. `None` if it was the library's own, so that the guest goes on.
    #[inline(never)]
    pub(crate) fn finish(&mut self, exit: SvmExit, given: &mut GivenBack) -> Option<Exit<SvmExit>> {
        if exit == NO_EXIT {
            return Some(self.made_up(ExitKind::Kicked, exit.code));
        }
        let is_of_nmis = exit.code == ExitCode::IRET || self.guest.nmi.is_blocked();
        if is_of_nmis && self.note_nmi(exit) == Outcome::GoOn || self.is_own_window(exit) {
            return None;
        }
        if let Some(event) = self.endless(exit) {
            let goes_on = given.give_back(self, event);
            return if goes_on { None } else { Some(Exit { kind: ExitKind::HostInterrupt, reason: exit }) };
        }
        if exit.code == ExitCode::EXCP_PF && self.give_back_page_fault(exit) {
            return None;
        }
        let kind = self.kind(exit);
        // A dirty log had taken the access away, and has given it back.
        if let ExitKind::NestedFault(fault) = &kind
            && self.guest.space.log_fault(fault)
        {
            return None;
        }
        Some(Exit { kind, reason: exit })
    }

    /// Whether the caller has changed something since the last exit for which a processor can refuse an entry. What the
    /// processor itself stored at an exit is valid.
    fn may_be_refused(&self) -> bool {
        let may_event = match self.guest.events.pending() {
            None | Some(Event::Interrupt(_) | Event::Nmi) => false,
            // No #BR in 64-bit mode, for example.
            Some(_) => true,
        };
        may_event || self.guest.vmcb.is_any_dirty(CHECKED)
    }

    /// An entry after which the guest's registers are as before if it was refused: a processor may have overwritten them, as
    /// QEMU and Bochs do with those of the host.
    #[inline(never)]
    fn enter_changed(&mut self) -> Result<(), Refusal> {
        self.intercept_endless();
        let before = self.guest.vmcb.snapshot();
        self.enter().inspect_err(|_| self.guest.vmcb.restore(&before))
    }

    /// Enters, and leaves the exit in `guest.exit`.
    fn enter(&mut self) -> Result<(), Refusal> {
        if self.guest.fpu.uses_xsave() && !Cr4::from(self.host.cr4()).osxsave() {
            return Err(Refusal::XsaveDisabled);
        }
        let interrupts = self.host.disable_interrupts();
        let inside = match self.kick.map(AttachedKick::enter) {
            Some(None) => {
                self.bring_host_back();
                self.guest.exit = Some(NO_EXIT);
                return Ok(());
            }
            Some(inside) => inside,
            None => None,
        };
        let prepared = if self.guest.events.is_due() { Some(self.prepare_events()) } else { None };
        let flush = self.prepare_tlb();
        self.switch();
        self.call_machine_check_handler();
        drop(inside);
        drop(interrupts);

        let vmcb = &mut self.guest.vmcb;
        let exit = SvmExit {
            code: vmcb.read(control::EXITCODE),
            info1: vmcb.read(control::EXITINFO1),
            info2: vmcb.read(control::EXITINFO2),
        };
        if exit.code.is_refusal() {
            self.undo_event(prepared);
            return Err(Refusal::Processor(exit));
        }
        vmcb.set_clean(CleanBits::ALL);
        self.guest.gprs.rax = vmcb.read(save::RAX);
        self.guest.exit = Some(exit);
        if let Some(flush) = flush {
            self.finish_tlb(flush);
        }
        self.finish_event(exit, prepared);
        Ok(())
    }

    /// The world switch, and the registers of the host that it leaves to Rust.
    #[expect(unsafe_code, reason = "runs the guest")]
    #[inline]
    fn switch(&mut self) {
        let guest = &mut self.guest;
        let is_resident = guest.chosen.has_resident_segments();
        // FS and GS are those of the guest while the host is away.
        if !is_resident || !self.host_away.is_away() {
            self.processor.update_host_state(self.host);
        }
        self.processor.update_tsc_ratio(self.host, guest.time.ratio);
        guest.vmcb.write(save::RAX, guest.gprs.rax);
        let osxsave = if guest.vmcb.read(save::CR4).osxsave() { Osxsave::Enabled } else { Osxsave::Disabled };
        guest.software_msrs.enter(self.host);
        self.processor.xss.clear(self.host, osxsave);
        let debug = HostDebug::exchange(self.host, guest.vmcb.read(save::DR7), &guest.breakpoints);
        let fpu = guest.fpu.prepare(osxsave);
        if is_resident {
            let load = if guest.vmcb.residence.is_in_vmcb() { Load::Yes } else { Load::No };
            // SAFETY: as below; the flag of global interrupts is 0 if the host is away, and `HostAway` has the host's state brought back.
            // What is not to be loaded is in the registers (`Residence`). The promise of `with_resident_segments`.
            unsafe { switch::enter_resident(&mut guest.gprs, guest.vmcb.hpa(), load, fpu) };
        } else {
            // SAFETY: SVM is on and the host save area is owned while the root is borrowed. The VMCB has the intercepts of
            // `InterceptSet::of`, and its maps and nested tables live as long as `guest`. `update_host_state` has stored the host's
            // state. Interrupts are disabled by the caller's guard. `gprs` and `fpu` are exclusive borrows.
            unsafe { switch::enter(&mut guest.gprs, guest.vmcb.hpa(), self.processor.host_state(), fpu) };
        }
        debug.restore(self.host, self.host.dr6());
        self.processor.xss.restore(self.host, osxsave);
        guest.software_msrs.leave(self.host);
        if is_resident {
            self.stay_or_leave();
        }
    }

    /// After an exit of a guest whose segments are still in the registers.
    fn stay_or_leave(&mut self) {
        self.guest.vmcb.residence.is_in_registers();
        self.host_away.went();
        if !residence::stays(self.guest.vmcb.read(control::EXITCODE)) {
            self.bring_host_back();
        }
    }

    /// Ends the residence of the guest's state in the registers.
    pub(crate) fn bring_host_back(&mut self) {
        if self.host_away.is_away() {
            self.guest.vmcb.residence.leave_registers(self.guest.vmcb.hpa());
            self.host_away.bring_back();
        }
    }

    /// Lets the host's handler run if a machine check ended the run.
    #[expect(unsafe_code, reason = "runs a handler of the host")]
    fn call_machine_check_handler(&mut self) {
        if self.guest.vmcb.read(control::EXITCODE) == ExitCode::EXCP_MC {
            // SAFETY: the exit took the machine check.
            unsafe { self.host.call_machine_check_handler() };
        }
    }

    /// Flushes if the space has changed since the last flush, or the caller asked for it.
    #[inline]
    fn prepare_tlb(&mut self) -> Option<Flush> {
        let generation = self.guest.space.generation();
        let is_current = generation == self.guest.generation && !self.guest.needs_flush;
        if is_current { None } else { Some(self.prepare_flush(generation)) }
    }

    /// Writes the ASID and the command to flush. If the entry is refused, nothing counts as flushed, and all of it comes again.
    #[cold]
    fn prepare_flush(&mut self, generation: u64) -> Flush {
        let (processor, guest) = (&mut *self.processor, &mut self.guest);
        let in_vmcb = guest.vmcb.read(control::GUEST_ASID);
        let (asid, what) = match guest.asid {
            // The caller has written another one, which stays; nothing is known of what is under it.
            Some(asid) if asid.get() != in_vmcb => (asid, TagFlush::All),
            // It has never run under this ASID.
            held if guest.generation == 0 => processor.asids.keep(held),
            held => processor.asids.renew(held, asid::reach(processor.capabilities.features())),
        };
        if guest.asid != Some(asid) {
            processor.flushes.asids += 1;
            guest.asid = Some(asid);
            guest.generation = 0;
            guest.vmcb.write(control::GUEST_ASID, asid.get());
        }
        guest.vmcb.write(control::TLB_CONTROL, asid::command(what));
        Flush { what, generation }
    }

    /// After an entry that flushed.
    #[cold]
    fn finish_tlb(&mut self, flush: Flush) {
        self.processor.asids.flushed(flush.what);
        self.processor.flushes.count(flush.what);
        self.guest.generation = flush.generation;
        self.guest.needs_flush = false;
        self.guest.vmcb.write(control::TLB_CONTROL, TlbControl::NOTHING);
    }

    pub(crate) fn set_intercepted(&mut self, code: ExitCode, wanted: Wanted) {
        let intercepts = match wanted {
            Wanted::Yes => self.guest.intercepts.with(code),
            Wanted::No => self.guest.intercepts.without(code),
        };
        if intercepts != self.guest.intercepts {
            self.guest.intercepts = intercepts;
            self.guest.vmcb.set_intercepts(intercepts);
        }
    }

    #[inline]
    fn kind(&self, exit: SvmExit) -> ExitKind {
        match exit::plain(exit.code) {
            ExitKind::Vendor => self.kind_with_operands(exit),
            plain => plain,
        }
    }

    #[inline(never)]
    fn kind_with_operands(&self, exit: SvmExit) -> ExitKind {
        let context = ExitContext {
            gprs: &self.guest.gprs,
            is_protected: self.read(save::CR0).pe(),
            default_address_size: self.default_address_size(),
            has_decode_assists: self.processor.capabilities.features().decode_assists(),
            is_delivering: self.guest.events.pending().is_some(),
        };
        exit::with_operands(exit, context, || self.decode())
    }

    fn default_address_size(&self) -> AddressSize {
        let cs: SegmentAttributes = self.read(save::CS).attributes;
        if self.is_64_bit() {
            AddressSize::Bits64
        } else if cs.db() {
            AddressSize::Bits32
        } else {
            AddressSize::Bits16
        }
    }

    pub(crate) fn is_64_bit(&self) -> bool {
        self.guest.mode().efer.lma() && self.read(save::CS).attributes.l()
    }

    /// RIP has 32 bits outside of 64-bit mode.
    pub(crate) fn wrap_rip(&self, rip: u64) -> u64 {
        if self.is_64_bit() { rip } else { rip & 0xffff_ffff }
    }

    #[cfg(feature = "decode")]
    fn decode(&self) -> Option<Instruction> {
        x86_virt_core::decode::at_rip(self, self.guest.space).ok()
    }

    #[cfg(not(feature = "decode"))]
    #[expect(clippy::unused_self, reason = "with the feature `decode` it reads the guest")]
    fn decode(&self) -> Option<Instruction> {
        None
    }

    /// What the processor does not say: the rules that the guest's state breaks.
    #[cold]
    fn explain(&self, refusal: Refusal) -> EntryError {
        match refusal {
            Refusal::XsaveDisabled => EntryError::XsaveDisabled,
            Refusal::Processor(exit) if exit.code.is_invalid() => {
                let vmcb = NextEntry::new(&self.guest.vmcb, self.pending());
                let context = self.processor.vmrun_context(self.host, self.guest.vmcb.hpa());
                let report = check(vmcb, self.capabilities().cpuid(), context);
                EntryError::InvalidState { violated: report.violated(), first: report.violations().next() }
            }
            Refusal::Processor(exit) => EntryError::Refused { exit },
        }
    }
}

/// Why an entry did not happen, before it is explained: small, since it is on the way of every exit.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    XsaveDisabled,
    Processor(SvmExit),
}

/// Whether an event shall be intercepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    Yes,
    No,
}

impl Wanted {
    pub(crate) const fn of(is_wanted: bool) -> Self {
        if is_wanted { Self::Yes } else { Self::No }
    }
}

/// Why an entry did not happen. The guest is as before.
///
/// ```
/// use x86_virt_svm::{EntryError, ExitCode, SvmExit};
///
/// let exit = SvmExit { code: ExitCode::BUSY, info1: 0, info2: 0 };
/// assert_eq!(EntryError::Refused { exit }.to_string(), "the processor refused the entry: BUSY (0x0, 0x0)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum EntryError {
    /// VMRUN found a state that is illegal, and does not say which. These are the rules that it breaks;
    /// [`SvmVcpu::check`] gives the whole report, since the guest is as before.
    ///
    /// AMD APM vol. 2, section 15.5.1, "Basic Operation" (canonicalization and consistency checks).
    #[error("invalid guest state: {}", Why { violated: *violated, first: first.as_ref() })]
    InvalidState {
        /// The rules. If there are none, the processor checks more than is known here.
        violated: RuleSet,
        /// The first of them, with the values.
        #[cfg_attr(feature = "arbitrary", arbitrary(default))]
        first: Option<Violation>,
    },
    /// The processor refused for another reason.
    #[error("the processor refused the entry: {exit}")]
    Refused {
        /// What it reported.
        exit: SvmExit,
    },
    /// The host has cleared CR4.OSXSAVE, without which the state of its FPU cannot be kept.
    #[error("CR4.OSXSAVE of the host is 0, and was 1 when the virtual processor was made")]
    XsaveDisabled,
    /// The virtual processor has shut down or waits for a start-up IPI.
    #[error("the virtual processor is {0}")]
    NotRunning(Activity),
}

impl EntryError {
    /// The rules that the guest's state breaks, by which VMRUN refused it. If there are none, the processor checks more than is
    /// known here, or something else was wrong.
    #[must_use]
    pub const fn violated(&self) -> RuleSet {
        match self {
            Self::InvalidState { violated, .. } => *violated,
            _ => RuleSet::NONE,
        }
    }

    /// The first of them, with the values that its fields had.
    #[must_use]
    pub const fn first(&self) -> Option<&Violation> {
        match self {
            Self::InvalidState { first, .. } => first.as_ref(),
            _ => None,
        }
    }
}

/// The first rule that is violated, and how many more.
struct Why<'v> {
    violated: RuleSet,
    first: Option<&'v Violation>,
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.first else { return f.write_str("it violates no rule that is known") };
        write!(f, "{first}")?;
        match self.violated.len().saturating_sub(1) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString as _;

    use x86_virt_core::Cr0;

    use super::EntryError;
    use crate::check::{RuleSet, VmrunContext, check};
    use crate::dump::VmcbDump;
    use crate::profile;
    use crate::vmcb::Vmcb;

    #[test]
    fn an_invalid_state_is_explained() {
        let none = EntryError::InvalidState { violated: RuleSet::NONE, first: None };
        assert_eq!(none.to_string(), "invalid guest state: it violates no rule that is known");
        let mut vmcb = Vmcb::from_bytes(&[0; 4096]);
        vmcb.save.CR0 = Cr0::new().with_nw(true);
        let report = check(VmcbDump::new(&vmcb), profile::MILAN.raw, VmrunContext::UNKNOWN);
        let error = EntryError::InvalidState { violated: report.violated(), first: report.violations().next() };
        assert_eq!(
            error.to_string(),
            "invalid guest state: SVM-VMRUN-EFER-SVME: SAVE.EFER = 0x0000000000000000: EFER.SVME must be 1 (APM vol. 2, \
             section 15.5.1, \"Basic Operation\"), and 3 more"
        );
    }
}
