//! Events that the host injects: what is delivered, what is refused and what waits.

use x86_virt::{Event, Exception, ExitKind, InjectError, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, Guest, Mode, OUT_LENGTH, STACK};
use crate::harness::{Outcome, ensure, ensure_eq};

const CLI: u8 = 0xfa;
const STI: u8 = 0xfb;
const NOP: u8 = 0x90;
const HLT: u8 = 0xf4;
const POPF: u8 = 0x9d;
const VECTOR: u8 = 0x40;

fn with_guest(bench: &Bench, code: &[u8], test: impl FnOnce(&mut Guest<'_, '_>) -> Outcome) -> Outcome {
    bench.with_guest(Mode::Long, code, &VcpuConfig::new(), test)
}

impl Guest<'_, '_> {
    /// Goes on behind the OUT in a handler, past the error code if there is one, to a HLT at `address`.
    pub(crate) fn return_to_hlt(&mut self, event: Event, address: u64) -> Outcome {
        self.leave_handler(event)?;
        self.expect(ExitKind::Hlt)?;
        ensure_eq!(self.vcpu.rip(), address, "RIP of HLT");
        ensure_eq!(self.vcpu.rsp(), STACK, "RSP after the handler");
        Ok(())
    }

    /// Goes behind the OUT in a handler, and drops the error code, as a handler must.
    pub(crate) fn leave_handler(&mut self, event: Event) -> Outcome {
        self.vcpu.skip_instruction()?;
        if let Event::Exception(Exception { error_code: Some(_), .. }) = event {
            self.vcpu.set_rsp(self.vcpu.rsp() + 8);
        }
        Ok(())
    }

    /// Sets RFLAGS.IF.
    pub(crate) fn enable_interrupts(&mut self) {
        let rflags = self.vcpu.rflags().with_if(true);
        self.vcpu.set_rflags(rflags);
    }
}

/// #GP comes once, with its error code, in front of the instruction that was next.
pub(crate) fn exception_with_error_code(bench: &Bench) -> Outcome {
    with_guest(bench, &[NOP, HLT], |guest| {
        let event = Event::Exception(Exception::general_protection(0x18));
        guest.vcpu.inject(event)?;
        ensure_eq!(guest.vcpu.pending_event(), Some(event), "event before the entry");
        guest.expect_handler(13)?;
        ensure_eq!(guest.vcpu.pending_event(), None, "event after the entry");
        ensure_eq!(guest.stacked(0)?, 0x18, "error code");
        ensure_eq!(guest.stacked(1)?, CODE, "RIP on the stack");
        ensure_eq!(guest.stacked(4)?, STACK, "RSP on the stack");
        guest.return_to_hlt(event, CODE + 1)
    })
}

/// Every exception that there is.
pub(crate) fn every_exception(bench: &Bench) -> Outcome {
    with_guest(bench, &[HLT], |guest| {
        // Not #DB, which 64-bit code takes with other rules, and those that need a mode: #OF and #BR exist outside of it.
        for vector in [0, 3, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 19] {
            let code =
                Exception::pushes_error_code(vector).then_some(if vector == 8 || vector == 17 { 0 } else { 0x20 });
            let event = Event::Exception(Exception { vector, error_code: code });
            guest.vcpu.set_state(&Mode::Long.state())?;
            guest.vcpu.inject(event)?;
            guest.expect_handler(vector)?;
            let rip = guest.stacked(u64::from(code.is_some()))?;
            // INT3's exception is a trap: RIP is that of the next instruction, which is where the guest is.
            ensure_eq!(rip, CODE, "RIP on the stack of exception {vector}");
            guest.return_to_hlt(event, CODE)?;
        }
        Ok(())
    })
}

/// Events that do not exist are refused, and nothing waits then.
pub(crate) fn invalid_events_are_refused(bench: &Bench) -> Outcome {
    with_guest(bench, &[HLT], |guest| {
        for (vector, error_code) in [(2, None), (32, None), (255, None), (13, None), (6, Some(0)), (14, None)] {
            let event = Event::Exception(Exception { vector, error_code });
            ensure_eq!(guest.vcpu.inject(event), Err(InjectError::Invalid(event)), "injection");
            ensure_eq!(guest.vcpu.pending_event(), None, "event");
        }
        let first = Event::Exception(Exception::INVALID_OPCODE);
        guest.vcpu.inject(first)?;
        ensure_eq!(guest.vcpu.inject(Event::Nmi), Err(InjectError::Pending(first)), "second injection");
        guest.expect_handler(6)?;
        guest.return_to_hlt(first, CODE)
    })
}

/// An interrupt is refused while IF is 0; the window opens behind the instruction after STI, once.
pub(crate) fn interrupt_waits_for_the_window(bench: &Bench) -> Outcome {
    with_guest(bench, &[NOP, STI, NOP, NOP, HLT], |guest| {
        let event = Event::Interrupt(VECTOR);
        let blocked = guest.vcpu.inject(event);
        ensure!(matches!(blocked, Err(InjectError::Blocked { event: other, .. }) if other == event), "{blocked:?}");
        guest.vcpu.request_interrupt_window();
        guest.expect(ExitKind::InterruptWindow)?;
        ensure_eq!(guest.vcpu.rip(), CODE + 3, "RIP at the window");
        let state = guest.vcpu.interruptibility();
        ensure!(state.interrupts_enabled && !state.shadow, "{state:?}");
        guest.vcpu.inject(event)?;
        guest.expect_handler(VECTOR)?;
        ensure_eq!(guest.stacked(0)?, CODE + 3, "RIP on the stack");
        ensure!(!guest.vcpu.rflags().r#if(), "an interrupt gate leaves IF set");
        guest.return_to_hlt(event, CODE + 4)
    })
}

/// POPF opens the window without a shadow; a request while it is open is met before the first instruction.
pub(crate) fn interrupt_waits_for_popf(bench: &Bench) -> Outcome {
    // PUSH 0x202; POPF; NOP; NOP; CLI; HLT.
    with_guest(bench, &[0x68, 0x02, 0x02, 0, 0, POPF, NOP, NOP, CLI, HLT], |guest| {
        guest.vcpu.request_interrupt_window();
        guest.expect(ExitKind::InterruptWindow)?;
        ensure_eq!(guest.vcpu.rip(), CODE + 6, "RIP at the window");
        if has(Feature::PromptVirtualInterrupts) {
            guest.vcpu.request_interrupt_window();
            guest.expect(ExitKind::InterruptWindow)?;
            ensure_eq!(guest.vcpu.rip(), CODE + 6, "RIP at the second window");
        }
        guest.expect(ExitKind::Hlt)?;
        ensure_eq!(guest.vcpu.rip(), CODE + 9, "RIP of HLT");
        Ok(())
    })
}

/// While an NMI is handled, another one is refused, and after IRET it is taken.
pub(crate) fn nmi_blocks_the_next(bench: &Bench) -> Outcome {
    with_guest(bench, &[HLT], |guest| {
        for _ in 0..3 {
            guest.vcpu.set_rip(CODE);
            guest.vcpu.inject(Event::Nmi)?;
            guest.expect_handler(2)?;
            ensure!(guest.vcpu.interruptibility().nmi_blocked, "the handler of an NMI can be interrupted by another");
            let blocked = guest.vcpu.inject(Event::Nmi);
            ensure!(matches!(blocked, Err(InjectError::Blocked { event: Event::Nmi, .. })), "{blocked:?}");
            // The handler's own exits do not end it.
            guest.expect_handler(2)?;
            ensure!(guest.vcpu.interruptibility().nmi_blocked, "an exit ended the handler");
            guest.return_to_hlt(Event::Nmi, CODE)?;
            ensure!(!guest.vcpu.interruptibility().nmi_blocked, "IRET did not end the handler");
        }
        Ok(())
    })
}

/// An event that was taken back is not delivered.
pub(crate) fn cancelled_events_do_not_come(bench: &Bench) -> Outcome {
    with_guest(bench, &[HLT], |guest| {
        for event in [Event::Nmi, Event::Exception(Exception::general_protection(0))] {
            guest.vcpu.inject(event)?;
            ensure_eq!(guest.vcpu.cancel_event(), Some(event), "event taken back");
            ensure_eq!(guest.vcpu.pending_event(), None, "event");
            guest.expect(ExitKind::Hlt)?;
        }
        ensure_eq!(guest.vcpu.cancel_event(), None, "event taken back");
        guest.vcpu.inject(Event::Nmi)?;
        guest.expect_handler(2)?;
        guest.return_to_hlt(Event::Nmi, CODE)
    })
}

/// Real mode: vectors at address 0, frames of three words, no error codes.
pub(crate) fn real_mode_events(bench: &Bench) -> Outcome {
    const HANDLER: u64 = 0x6000;
    bench.with_guest(Mode::Real, &[NOP, HLT], &VcpuConfig::new(), |guest| {
        // OUT 0x77; IRET. Vectors 2, 13 and 0x40 lead to 0600:0000.
        guest.ram.write(HANDLER, &[0xe6, 0x77, 0xcf])?;
        for vector in [2, 13, u64::from(VECTOR)] {
            guest.ram.write(4 * vector, &[0, 0, 0, 6])?;
        }
        let without_code = Event::Exception(Exception { vector: 13, error_code: None });
        let with_code = Event::Exception(Exception::general_protection(0));
        ensure_eq!(guest.vcpu.inject(with_code), Err(InjectError::Invalid(with_code)), "injection");
        for event in [without_code, Event::Nmi, Event::Interrupt(VECTOR)] {
            guest.vcpu.set_state(&Mode::Real.state())?;
            guest.enable_interrupts();
            guest.vcpu.inject(event)?;
            let exit = guest.run()?;
            ensure!(matches!(exit.kind, ExitKind::Io(io) if io.port == 0x77), "{event:?}: {:?}", exit.kind);
            ensure_eq!(guest.vcpu.rsp(), STACK - 6, "SP in the handler of {event:?}");
            ensure_eq!(guest.stacked(0)? & 0xffff_ffff, 0x0800_0000, "CS:IP on the stack of {event:?}");
            ensure_eq!(guest.vcpu.next_rip()?, OUT_LENGTH, "IP behind OUT");
            guest.vcpu.skip_instruction()?;
            guest.expect(ExitKind::Hlt)?;
            ensure_eq!(guest.vcpu.rip(), 1, "IP of HLT");
        }
        Ok(())
    })
}
