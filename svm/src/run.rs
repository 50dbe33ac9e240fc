//! Entries and exits.

use core::fmt;

use x86_virt_core::fpu::Osxsave;
use x86_virt_core::{AddressSize, Cr4, Event, Exit, ExitKind, Frames, HostDebug, Instruction, TagFlush};

use crate::asid;
use crate::check::{RuleSet, Violation};
use crate::exit::{self, ExitContext, SvmExit};
use crate::exit_code::ExitCode;
use crate::nmi::NmiBlocking;
use crate::switch;
use crate::vcpu::SvmVcpu;
use crate::vmcb::{CleanBits, EventInjection, SegmentAttributes, TlbControl, VirtualInterruptControl, control, save};

/// Groups whose fields can make the processor refuse an entry.
const CHECKED: CleanBits = CleanBits::ALL.without(CleanBits::CR2).without(CleanBits::TPR);

/// A software event that an entry delivers: RIP is moved behind its instruction for that.
#[derive(Clone, Copy, Debug)]
struct Software {
    event: Event,
    rip: u64,
    next: u64,
}

/// What an entry flushes, and which generation of the space holds afterwards.
#[derive(Clone, Copy, Debug)]
struct Flush {
    what: TagFlush,
    generation: u64,
}

impl<A: Frames> SvmVcpu<'_, '_, '_, A> {
    pub(crate) fn run_guest(&mut self) -> Result<Exit<SvmExit>, EntryError> {
        loop {
            let result = if self.may_be_refused() { self.enter_changed() } else { self.enter() };
            let exit = match result {
                Ok(exit) => exit,
                Err(error) => return Err(self.explain(error)),
            };
            if exit.code != ExitCode::IRET || self.guest.nmi != NmiBlocking::Handling {
                self.guest.nmi = self.guest.nmi.after_exit(self.guest.vmcb.read(save::RIP));
                let kind = self.kind(exit);
                // A dirty log had taken the access away, and has given it back.
                if let ExitKind::NestedFault(fault) = &kind
                    && self.guest.space.log_fault(fault)
                {
                    continue;
                }
                return Ok(Exit { kind, reason: exit });
            }
            self.guest.nmi = NmiBlocking::Returning { rip: self.guest.vmcb.read(save::RIP) };
            self.set_intercepted(ExitCode::IRET, Wanted::No);
        }
    }

    /// Whether the caller has changed something since the last exit for which a processor can refuse an entry. What the
    /// processor itself stored at an exit is valid.
    fn may_be_refused(&self) -> bool {
        let may_event = match self.guest.pending {
            None | Some(Event::Interrupt(_) | Event::Nmi) => false,
            // No #BR in 64-bit mode, for example.
            Some(_) => true,
        };
        may_event || self.guest.vmcb.is_any_dirty(CHECKED)
    }

    /// An entry after which the guest's registers are as before if it was refused: a processor may have overwritten them, as
    /// QEMU and Bochs do with those of the host.
    #[inline(never)]
    fn enter_changed(&mut self) -> Result<SvmExit, EntryError> {
        let before = self.guest.vmcb.snapshot();
        self.enter().inspect_err(|_| self.guest.vmcb.restore(&before))
    }

    fn enter(&mut self) -> Result<SvmExit, EntryError> {
        let host_cr4 = Cr4::from(self.host.cr4());
        if self.guest.fpu.uses_xsave() && !host_cr4.osxsave() {
            return Err(EntryError::XsaveDisabled);
        }
        let nmi = self.guest.nmi;
        let software = self.prepare_event();
        let interrupts = self.host.disable_interrupts();
        let flush = self.prepare_tlb();
        self.switch();
        self.call_machine_check_handler();
        drop(interrupts);

        let vmcb = &mut self.guest.vmcb;
        let exit = SvmExit {
            code: vmcb.read(control::EXITCODE),
            info1: vmcb.read(control::EXITINFO1),
            info2: vmcb.read(control::EXITINFO2),
        };
        if exit.code.is_refusal() {
            self.undo_event(nmi, software);
            return Err(EntryError::Refused { exit });
        }
        vmcb.set_clean(CleanBits::ALL);
        self.guest.gprs.rax = vmcb.read(save::RAX);
        self.guest.exit = Some(exit);
        if let Some(flush) = flush {
            self.finish_tlb(flush);
        }
        self.finish_event(exit, software);
        Ok(exit)
    }

    /// The world switch, and the registers of the host that it leaves to Rust.
    #[expect(unsafe_code, reason = "runs the guest")]
    #[inline]
    fn switch(&mut self) {
        let guest = &mut self.guest;
        self.processor.update_host_state(self.host);
        guest.vmcb.write(save::RAX, guest.gprs.rax);
        let osxsave = if guest.vmcb.read(save::CR4).osxsave() { Osxsave::Enabled } else { Osxsave::Disabled };
        self.processor.before_xsaves(self.host, osxsave);
        let debug = HostDebug::exchange(self.host, guest.vmcb.read(save::DR7), &guest.breakpoints);
        let fpu = guest.fpu.prepare(osxsave);
        // SAFETY: SVM is on and the host save area is owned while the root is borrowed. The VMCB has the intercepts of
        // `InterceptSet::of`, and its maps and nested tables live as long as `guest`. `update_host_state` has stored the host's
        // state. Interrupts are disabled by the caller's guard. `gprs` and `fpu` are exclusive borrows.
        unsafe {
            switch::enter(&raw mut guest.gprs, guest.vmcb.hpa().get(), self.processor.host_state().get(), fpu);
        }
        debug.restore(self.host);
        self.processor.after_xsaves(self.host, osxsave);
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

    fn prepare_event(&mut self) -> Option<Software> {
        let event = self.guest.pending?;
        // `inject` takes only events that have an encoding.
        let injection = EventInjection::try_from(event).ok()?;
        self.guest.vmcb.write(control::EVENTINJ, injection);
        match event {
            Event::Nmi => {
                self.guest.nmi = NmiBlocking::Handling;
                self.set_intercepted(ExitCode::IRET, Wanted::Yes);
                None
            }
            // What is pushed is NRIP where the processor has it, else RIP.
            Event::SoftwareInterrupt { length, .. } | Event::SoftwareException { length, .. } => {
                let rip = self.guest.vmcb.read(save::RIP);
                let next = self.wrap_rip(rip.wrapping_add(u64::from(length)));
                self.guest.vmcb.write(save::RIP, next);
                self.guest.vmcb.write(control::NRIP, next);
                Some(Software { event, rip, next })
            }
            _ => None,
        }
    }

    /// After an entry that was refused: the event still waits.
    fn undo_event(&mut self, nmi: NmiBlocking, software: Option<Software>) {
        self.guest.vmcb.write(control::EVENTINJ, EventInjection::new());
        if self.guest.nmi != nmi {
            self.guest.nmi = nmi;
            self.set_intercepted(ExitCode::IRET, Wanted::No);
        }
        if let Some(software) = software {
            self.guest.vmcb.write(save::RIP, software.rip);
        }
    }

    /// After an exit: what was being delivered waits for the next entry.
    fn finish_event(&mut self, exit: SvmExit, software: Option<Software>) {
        let vmcb = &mut self.guest.vmcb;
        if self.guest.pending.take().is_some() {
            vmcb.write(control::EVENTINJ, EventInjection::new());
        }
        let interrupted = vmcb.read(control::EXITINTINFO);
        let event = if interrupted.v() && exit.code != ExitCode::SHUTDOWN { interrupted.event() } else { None };
        self.guest.pending = event.map(|event| match software {
            Some(software) if is_same(event, software.event) && vmcb.read(save::RIP) == software.next => {
                vmcb.write(save::RIP, software.rip);
                software.event
            }
            _ => event,
        });
        if exit.code == ExitCode::VINTR {
            let interrupts = vmcb.read(control::VIRTUAL_INTERRUPT_CONTROL);
            vmcb.write(control::VIRTUAL_INTERRUPT_CONTROL, interrupts.with_v_irq(false));
            self.set_intercepted(ExitCode::VINTR, Wanted::No);
        }
    }

    pub(crate) fn request_window(&mut self) {
        let interrupts: VirtualInterruptControl = self.read(control::VIRTUAL_INTERRUPT_CONTROL);
        let window = interrupts.with_v_irq(true).with_v_ign_tpr(true).with_v_intr_prio(0xf).with_v_intr_vector(0);
        self.guest.vmcb.write(control::VIRTUAL_INTERRUPT_CONTROL, window);
        self.set_intercepted(ExitCode::VINTR, Wanted::Yes);
    }

    pub(crate) fn set_intercepted(&mut self, code: ExitCode, wanted: Wanted) {
        let intercepts = match wanted {
            Wanted::Yes => self.guest.intercepts.with(code),
            Wanted::No => self.guest.intercepts.without(code),
        };
        self.guest.intercepts = intercepts;
        self.guest.vmcb.set_intercepts(intercepts);
    }

    fn kind(&self, exit: SvmExit) -> ExitKind {
        if let Some(kind) = exit::plain(exit.code) {
            return kind;
        }
        let context = ExitContext {
            gprs: &self.guest.gprs,
            is_protected: self.read(save::CR0).pe(),
            default_address_size: self.default_address_size(),
            has_decode_assists: self.processor.capabilities.features().decode_assists(),
            is_delivering: self.guest.pending.is_some(),
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
    fn explain(&self, error: EntryError) -> EntryError {
        match error {
            EntryError::Refused { exit } if exit.code.is_invalid() => {
                let report = self.check();
                EntryError::InvalidState { violated: report.violated(), first: report.violations().next() }
            }
            other => other,
        }
    }
}

/// Whether an event shall be intercepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    Yes,
    No,
}

/// Whether both are software events of one kind and vector. The processor does not report their length.
fn is_same(one: Event, other: Event) -> bool {
    match (one, other) {
        (Event::SoftwareInterrupt { vector, .. }, Event::SoftwareInterrupt { vector: other, .. })
        | (Event::SoftwareException { vector, .. }, Event::SoftwareException { vector: other, .. }) => vector == other,
        _ => false,
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
