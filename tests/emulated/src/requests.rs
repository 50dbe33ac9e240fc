//! Requests for events: in any order, at any time, and each comes as soon as the guest takes it.

use alloc::vec::Vec;

use x86_virt::{
    Access, AnyVcpu, ControlRegister, Event, Exception, ExitKind, GlobalInterrupts, Gva, InterruptRequest,
    Interruptibility, Mapping, PageSize, Processor, Rflags, Vcpu, VcpuConfig, Vendor,
};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, Guest, IDT, Mode, STACK, STACK_PAGE, page};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

const NOP: u8 = 0x90;
const STI: u8 = 0xfb;
const HLT: u8 = 0xf4;
const VECTOR: u8 = 0x40;
const UNDEFINED: Event = Event::Exception(Exception::INVALID_OPCODE);

fn with_guest(bench: &Bench, code: &[u8], test: impl FnOnce(&mut Guest<'_, '_>) -> Outcome) -> Outcome {
    bench.with_guest(Mode::Long, code, &VcpuConfig::new(), test)
}

impl Guest<'_, '_> {
    /// Runs to a HLT, and says which handlers the guest was in, in the order in which they began.
    fn handlers(&mut self) -> Outcome<Vec<u16>> {
        let mut vectors = Vec::new();
        loop {
            match self.run()?.kind {
                ExitKind::Hlt => return Ok(vectors),
                ExitKind::Io(io) => {
                    vectors.push(io.port);
                    self.vcpu.skip_instruction()?;
                }
                kind => fail!("{kind:x?} at {:#x}", self.vcpu.rip()),
            }
            ensure!(vectors.len() < 10, "handlers without end: {vectors:x?}");
        }
    }

    fn map_again(&self, address: u64) -> Outcome {
        let mapping = Mapping::new(Access::ALL).largest(PageSize::Size4K);
        Ok(self.space.map(page(address), &self.ram, address, mapping)?)
    }

    /// Runs to a nested fault.
    fn expect_nested_fault(&mut self) -> Outcome {
        let exit = self.run()?;
        ensure!(matches!(exit.kind, ExitKind::NestedFault(_)), "{:x?} ({})", exit.kind, exit.reason);
        Ok(())
    }
}

/// An exception, an NMI and an interrupt, asked for at once: each comes once, the first two before the first instruction.
pub(crate) fn come_once_each(bench: &Bench) -> Outcome {
    with_guest(bench, &[NOP, HLT], |guest| {
        guest.enable_interrupts();
        guest.vcpu.request_interrupt(InterruptRequest::fixed(VECTOR));
        guest.vcpu.request_nmi();
        guest.vcpu.inject(UNDEFINED)?;
        let order = guest.handlers()?;
        // Without an NMI window, the handler of #UD gets to its first exit.
        let expected: [u16; 3] = match Processor::detect().vendor() {
            Some(Vendor::Intel) => [2, 6, VECTOR.into()],
            _ => [6, 2, VECTOR.into()],
        };
        ensure_eq!(order, expected, "handlers in their order");
        ensure_eq!(guest.vcpu.accepted_interrupt(), Some(VECTOR), "accepted interrupt");
        ensure_eq!(guest.vcpu.accepted_interrupt(), None, "accepted interrupt, asked again");
        ensure_eq!((guest.vcpu.rip(), guest.vcpu.rsp()), (CODE + 1, STACK), "RIP and RSP at the end");
        Ok(())
    })
}

/// An interrupt comes behind the instruction after STI, without an exit that tells of the window.
pub(crate) fn interrupt_waits_for_sti(bench: &Bench) -> Outcome {
    with_guest(bench, &[NOP, STI, NOP, NOP, HLT], |guest| {
        guest.vcpu.request_interrupt(InterruptRequest::external(VECTOR));
        ensure!(!guest.vcpu.is_ready_for_interrupt(), "ready for an interrupt with IF = 0");
        guest.expect_handler(VECTOR)?;
        ensure_eq!(guest.stacked(0)?, CODE + 3, "RIP on the stack");
        ensure_eq!(guest.vcpu.accepted_interrupt(), Some(VECTOR), "accepted interrupt");
        guest.return_to_hlt(Event::Interrupt(VECTOR), CODE + 4)
    })
}

/// The task priority holds an interrupt of the APIC, and not one of an 8259A, until the guest lowers it.
pub(crate) fn interrupt_waits_for_the_task_priority(bench: &Bench) -> Outcome {
    // MOV CR8, RAX; NOP; HLT.
    with_guest(bench, &[0x44, 0x0f, 0x22, 0xc0, NOP, HLT], |guest| {
        guest.enable_interrupts();
        guest.vcpu.set_control(ControlRegister::Cr8, 4)?;
        guest.vcpu.gprs_mut().rax = 3;
        guest.vcpu.request_interrupt(InterruptRequest::fixed(VECTOR));
        let exit = guest.run()?;
        let ExitKind::ControlRegister(access) = exit.kind else { fail!("{:?} ({})", exit.kind, exit.reason) };
        ensure_eq!(guest.vcpu.accepted_interrupt(), None, "accepted interrupt");
        guest.vcpu.complete_control_register(access)?;
        guest.expect_handler(VECTOR)?;
        ensure_eq!(guest.stacked(0)?, CODE + 4, "RIP on the stack");
        guest.return_to_hlt(Event::Interrupt(VECTOR), CODE + 5)?;

        guest.vcpu.set_state(&Mode::Long.state())?;
        guest.vcpu.set_rip(CODE + 4);
        guest.enable_interrupts();
        guest.vcpu.set_control(ControlRegister::Cr8, 15)?;
        guest.vcpu.request_interrupt(InterruptRequest::external(VECTOR));
        guest.expect_handler(VECTOR)?;
        guest.return_to_hlt(Event::Interrupt(VECTOR), CODE + 5)
    })
}

/// What was taken back does not come, and no window is left behind.
pub(crate) fn withdrawn_do_not_come(bench: &Bench) -> Outcome {
    with_guest(bench, &[STI, NOP, NOP, HLT], |guest| {
        guest.vcpu.request_interrupt(InterruptRequest::external(VECTOR));
        guest.vcpu.request_interrupt_window();
        guest.expect(ExitKind::InterruptWindow)?;
        ensure!(guest.vcpu.withdraw_interrupt().is_some(), "the request is gone");
        ensure!(guest.handlers()?.is_empty(), "an interrupt that was taken back came");
        ensure_eq!(guest.vcpu.accepted_interrupt(), None, "accepted interrupt");
        Ok(())
    })
}

/// An NMI that is asked for while one is handled comes behind the IRET, before the next instruction, and leaves no trace of the
/// step that it took.
pub(crate) fn nmi_waits_for_iret(bench: &Bench) -> Outcome {
    with_guest(bench, &[NOP, HLT], |guest| {
        let dr6 = guest.vcpu.dr6();
        guest.vcpu.request_nmi();
        guest.expect_handler(2)?;
        if !has(Feature::GuestSingleStep) {
            return guest.return_to_hlt(Event::Nmi, CODE + 1);
        }
        // Two are one.
        guest.vcpu.request_nmi();
        guest.vcpu.request_nmi();
        guest.vcpu.skip_instruction()?;
        guest.expect_handler(2)?;
        ensure_eq!(guest.stacked(0)?, CODE, "RIP on the stack of the second NMI");
        ensure_eq!(guest.stacked(3)?, STACK, "RSP on the stack: the first frame is gone");
        ensure!(!Rflags::from(guest.stacked(2)?).tf(), "TF on the stack of the second NMI");
        ensure_eq!(guest.vcpu.dr6(), dr6, "DR6");
        guest.return_to_hlt(Event::Nmi, CODE + 1)?;
        ensure!(!guest.vcpu.interruptibility().nmi_blocked, "NMIs are blocked at the end");
        Ok(())
    })
}

/// An NMI that waits in the shadow before an IRET does not keep the guest from it, and comes when an exit is behind it.
pub(crate) fn nmi_waits_for_iret_in_a_shadow(bench: &Bench) -> Outcome {
    const IRETQ: [u8; 2] = [0x48, 0xcf];
    with_guest(bench, &[IRETQ[0], IRETQ[1], HLT], |guest| {
        let frame = [CODE + 2, 8, 0x202, STACK, 16];
        for (at, word) in (STACK - 40..).step_by(8).zip(frame) {
            guest.ram.write(at, &word.to_le_bytes())?;
        }
        guest.vcpu.set_rsp(STACK - 40);
        let open = guest.vcpu.rflags().with_if(true);
        guest.vcpu.set_rflags(open);
        let blocking = guest.vcpu.interruptibility();
        guest.vcpu.set_blocking(Interruptibility { shadow: true, ..blocking });
        guest.vcpu.request_nmi();
        for _ in 0..3 {
            match guest.run()?.kind {
                ExitKind::Hlt => ensure_eq!(guest.vcpu.rip(), CODE + 2, "RIP at HLT"),
                ExitKind::Io(io) => {
                    ensure_eq!(io.port, 2, "vector");
                    return guest.return_to_hlt(Event::Nmi, CODE + 2);
                }
                kind => fail!("{kind:?} at {:#x}", guest.vcpu.rip()),
            }
        }
        fail!("the NMI has not come")
    })
}

/// An NMI that waits in a shadow with interrupts enabled comes behind it, and no window that nobody has asked for ends a run.
pub(crate) fn nmi_waits_for_the_shadow(bench: &Bench) -> Outcome {
    with_guest(bench, &[NOP, NOP, HLT], |guest| {
        guest.enable_interrupts();
        let blocking = guest.vcpu.interruptibility();
        guest.vcpu.set_blocking(Interruptibility { shadow: true, ..blocking });
        guest.vcpu.request_nmi();
        if !has(Feature::PromptVirtualInterrupts) {
            // It comes at the next exit.
            guest.expect(ExitKind::Hlt)?;
            return guest.expect_handler(2);
        }
        guest.expect_handler(2)?;
        let next = if has(Feature::ShadowAtEntry) { CODE + 1 } else { CODE };
        ensure_eq!(guest.stacked(0)?, next, "RIP on the stack");
        guest.return_to_hlt(Event::Nmi, CODE + 2)
    })
}

/// The caller sees the window for NMIs, once: at once if it is open, or behind the IRET.
pub(crate) fn nmi_window(bench: &Bench) -> Outcome {
    with_guest(bench, &[NOP, HLT], |guest| {
        guest.vcpu.request_nmi_window();
        guest.expect(ExitKind::NmiWindow)?;
        ensure_eq!(guest.vcpu.rip(), CODE, "RIP at the open window");
        guest.vcpu.inject(Event::Nmi)?;
        guest.expect_handler(2)?;
        if !has(Feature::GuestSingleStep) {
            return guest.return_to_hlt(Event::Nmi, CODE + 1);
        }
        guest.vcpu.request_nmi_window();
        guest.vcpu.skip_instruction()?;
        guest.expect(ExitKind::NmiWindow)?;
        ensure_eq!((guest.vcpu.rip(), guest.vcpu.rsp()), (CODE, STACK), "RIP and RSP at the window");
        guest.expect(ExitKind::Hlt)
    })
}

/// An IRET that a nested fault interrupts has not ended the blocking.
pub(crate) fn nmis_stay_blocked_over_a_fault_in_iret(bench: &Bench) -> Outcome {
    with_guest(bench, &[NOP, HLT], |guest| {
        guest.vcpu.request_nmi();
        guest.expect_handler(2)?;
        guest.vcpu.skip_instruction()?;
        guest.space.unmap(page(STACK_PAGE))?.at_next_entry();
        guest.expect_nested_fault()?;
        ensure!(guest.vcpu.interruptibility().nmi_blocked, "a nested fault in IRET ended the blocking");
        guest.map_again(STACK_PAGE)?;
        if has(Feature::GuestSingleStep) {
            guest.vcpu.request_nmi();
            guest.expect_handler(2)?;
            ensure_eq!(guest.stacked(0)?, CODE, "RIP on the stack of the second NMI");
            guest.vcpu.skip_instruction()?;
        }
        guest.expect(ExitKind::Hlt)?;
        ensure_eq!(guest.vcpu.rsp(), STACK, "RSP at the end");
        Ok(())
    })
}

/// An exception that the host raises in the delivery of another: one after the other, #DF, or shutdown, as the manual says.
pub(crate) fn exceptions_in_a_delivery_are_merged(bench: &Bench) -> Outcome {
    with_guest(bench, &[HLT], |guest| {
        let general_protection = Exception::general_protection(0);
        let page_fault = Exception::page_fault(2);
        let table = [
            (Event::Interrupt(VECTOR), general_protection, general_protection),
            (UNDEFINED, page_fault, page_fault),
            (Event::Exception(general_protection), page_fault, page_fault),
            (Event::Exception(general_protection), general_protection, Exception::DOUBLE_FAULT),
            (Event::Exception(page_fault), general_protection, Exception::DOUBLE_FAULT),
            (Event::Exception(page_fault), page_fault, Exception::DOUBLE_FAULT),
        ];
        for (first, second, delivered) in table {
            guest.vcpu.set_state(&Mode::Long.state())?;
            guest.enable_interrupts();
            interrupt_delivery(guest, first)?;
            raise(guest, second)?;
            guest.expect_handler(delivered.vector)?;
            let code = delivered.error_code.map(u64::from);
            ensure_eq!(Some(guest.stacked(0)?), code, "error code of {first:?}, then {second:?}");
            ensure_eq!(guest.stacked(1)?, CODE, "RIP on the stack of {first:?}, then {second:?}");
            ensure_eq!(guest.vcpu.rsp(), STACK - 48, "RSP of {first:?}, then {second:?}");
        }
        for second in [general_protection, page_fault] {
            guest.vcpu.set_state(&Mode::Long.state())?;
            interrupt_delivery(guest, Event::Exception(Exception::DOUBLE_FAULT))?;
            raise(guest, second)?;
            guest.expect(ExitKind::Shutdown)?;
            ensure_eq!(guest.vcpu.rip(), CODE, "RIP at the shutdown");
        }
        Ok(())
    })
}

/// Injects `event`, whose delivery a missing IDT interrupts.
fn interrupt_delivery(guest: &mut Guest<'_, '_>, event: Event) -> Outcome {
    guest.space.unmap(page(IDT))?.at_next_entry();
    guest.vcpu.inject(event)?;
    guest.expect_nested_fault()?;
    ensure_eq!(guest.vcpu.pending_event(), Some(event), "event that waits");
    guest.map_again(IDT)
}

fn raise(guest: &mut Guest<'_, '_>, exception: Exception) -> Outcome {
    match exception.error_code {
        Some(code) if exception.vector == 14 => guest.vcpu.raise_page_fault(Gva::new(0x5678), code)?,
        _ => guest.vcpu.raise(exception)?,
    }
    Ok(())
}

/// A guest that steps sees the #DB of an instruction that the host did before an interrupt and an NMI that wait.
pub(crate) fn a_step_comes_first(bench: &Bench) -> Outcome {
    if !has(Feature::GuestSingleStep) {
        return Ok(());
    }
    // CPUID; NOP; HLT.
    with_guest(bench, &[0x0f, 0xa2, NOP, HLT], |guest| {
        guest.vcpu.set_rflags(Rflags::new().with_tf(true).with_if(true));
        guest.expect(ExitKind::Cpuid)?;
        guest.vcpu.complete_cpuid([0; 4])?;
        guest.vcpu.request_interrupt(InterruptRequest::fixed(VECTOR));
        // The handlers return to a guest that steps no more.
        let mut vectors = Vec::new();
        while vectors.len() < 2 {
            match guest.run()?.kind {
                ExitKind::Io(io) => {
                    vectors.push(io.port);
                    ensure_eq!(guest.stacked(0)?, CODE + 2, "RIP on the stack of {:#x}", io.port);
                    let flags = guest.vcpu.rsp() + 16;
                    let stacked = Rflags::from(guest.word(flags)?).with_tf(false);
                    guest.ram.write(flags, &stacked.into_bits().to_le_bytes())?;
                    guest.vcpu.skip_instruction()?;
                }
                kind => fail!("{kind:x?} at {:#x} after {vectors:x?}", guest.vcpu.rip()),
            }
        }
        ensure_eq!(vectors, [1, u16::from(VECTOR)], "handlers in their order");
        guest.expect(ExitKind::Hlt)?;
        ensure_eq!(guest.vcpu.rsp(), STACK, "RSP at the end");
        Ok(())
    })
}

/// While the global interrupt flag is 0, nothing comes, whatever RFLAGS.IF is.
pub(crate) fn global_interrupt_flag(bench: &Bench) -> Outcome {
    with_guest(bench, &[NOP, HLT], |guest| {
        guest.enable_interrupts();
        guest.vcpu.events_mut().set_global_interrupts(GlobalInterrupts::Disabled);
        guest.vcpu.request_interrupt(InterruptRequest::external(VECTOR));
        guest.vcpu.request_nmi();
        guest.expect(ExitKind::Hlt)?;
        guest.vcpu.events_mut().set_global_interrupts(GlobalInterrupts::Enabled);
        guest.vcpu.set_rip(CODE);
        ensure_eq!(guest.handlers()?, [2, u16::from(VECTOR)], "handlers in their order");
        Ok(())
    })
}

/// A guest with a flag of its own: CLGI and STGI end no run, and the interrupt comes behind STGI.
pub(crate) fn virtual_gif(bench: &Bench) -> Outcome {
    if !has(Feature::VirtualGif) {
        return Ok(());
    }
    // CLGI; CPUID; STGI; NOP; HLT.
    with_guest(bench, &[0x0f, 0x01, 0xdd, 0x0f, 0xa2, 0x0f, 0x01, 0xdc, NOP, HLT], |guest| {
        guest.enable_interrupts();
        let AnyVcpu::Svm(vcpu) = &mut guest.vcpu else { fail!("no SVM") };
        ensure!(vcpu.enable_virtual_gif(), "the processor has no virtual GIF");
        guest.expect(ExitKind::Cpuid)?;
        ensure!(guest.vcpu.interruptibility().gif_clear, "CLGI did not clear the flag");
        guest.vcpu.request_interrupt(InterruptRequest::external(VECTOR));
        guest.vcpu.complete_cpuid([0; 4])?;
        guest.expect_handler(VECTOR)?;
        ensure_eq!(guest.stacked(0)?, CODE + 8, "RIP on the stack");
        ensure!(!guest.vcpu.interruptibility().gif_clear, "STGI did not set the flag");
        guest.return_to_hlt(Event::Interrupt(VECTOR), CODE + 9)
    })
}
