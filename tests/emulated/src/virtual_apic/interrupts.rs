//! Interrupts that the processor delivers from a virtual APIC.

use alloc::vec::Vec;

use x86_virt::vmx::{ApicOffset, VirtualApic};
use x86_virt::{
    Access, ApicState, ControlRegister, Event, ExitKind, GuestApic as _, InterruptRequest, Mapping, PageSize, Vcpu as _,
};

use super::{ALL, BASE, HLT, MEMORY, NOP, SET, SET_AGAIN, STORE, WRMSR, vmx, with_apic};
use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, IDT, page};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

/// Interrupts come by their priority, and the guest ends them, without an exit but those of the handlers.
pub(crate) fn interrupts_by_priority(bench: &Bench) -> Outcome {
    // Three EOI.
    with_apic(bench, &[&[NOP], &WRMSR, &[NOP], &WRMSR, &[NOP], &WRMSR, &[NOP, HLT]], ALL, |guest| {
        guest.restart(|state| state.gprs.rcx = 0x80b)?;
        guest.vcpu.raise_interrupt(0x40)?;
        guest.vcpu.raise_interrupt(0x35)?;
        ensure_eq!(guest.vcpu.deliverable_interrupt(), Some(0x40), "what can be delivered");
        guest.enable_interrupts();
        guest.expect_handler(0x40)?;
        ensure_eq!(guest.stacked(0)?, CODE, "RIP on the stack");
        ensure_eq!(guest.vectors()?, [alloc::vec![0x35], alloc::vec![0x40]], "requested, in service");
        let status = vmx(guest)?.guest_interrupt_status();
        ensure_eq!(status.map(|status| (status.rvi(), status.svi())), Some((0x35, 0x40)), "RVI and SVI");
        ensure_eq!(guest.apic(ApicOffset::PPR)?, 0x40, "PPR");
        ensure_eq!(guest.vcpu.deliverable_interrupt(), None, "what can be delivered in the handler");
        ensure_eq!(guest.vcpu.pending_event(), None, "nothing is injected");

        // A higher one comes behind the IRET, and the lower one behind the second EOI.
        guest.vcpu.raise_interrupt(0x51)?;
        guest.end_handler(0x40)?;
        guest.expect_handler(0x51)?;
        ensure_eq!(guest.stacked(0)?, CODE, "RIP on the stack of the second");
        ensure_eq!(guest.vectors()?, [alloc::vec![0x35], alloc::vec![0x51, 0x40]], "requested, in service");
        guest.end_handler(0x51)?;
        guest.expect_handler(0x35)?;
        ensure_eq!(guest.stacked(0)?, CODE + 6, "RIP on the stack, behind the second EOI");
        ensure_eq!(guest.vectors()?, [alloc::vec![], alloc::vec![0x35]], "requested, in service");
        guest.end_handler(0x35)?;
        guest.expect(ExitKind::Hlt)?;
        ensure_eq!(guest.vectors()?, [alloc::vec![], alloc::vec![]], "requested, in service at the end");
        ensure_eq!(vmx(guest)?.guest_interrupt_status().map(|status| status.into_bits()), Some(0), "RVI and SVI");
        Ok(())
    })
}

/// The task priority holds a virtual interrupt until the guest lowers it, and RFLAGS.IF until it is set.
pub(crate) fn interrupts_wait(bench: &Bench) -> Outcome {
    const STI: u8 = 0xfb;
    with_apic(bench, &[&SET, &[STI, NOP, NOP], &SET_AGAIN, &[NOP, HLT]], ALL, |guest| {
        (guest.vcpu.gprs_mut().rax, guest.vcpu.gprs_mut().rbx) = (3, 0);
        guest.vcpu.set_control(ControlRegister::Cr8, 15)?;
        guest.vcpu.raise_interrupt(0x30)?;
        guest.vcpu.raise_interrupt(0x40)?;
        ensure_eq!(guest.vcpu.deliverable_interrupt(), None, "what can be delivered at first");
        guest.expect_handler(0x40)?;
        ensure_eq!(guest.stacked(0)?, CODE + 6, "RIP on the stack, behind the shadow of STI");
        // It is over, as if the guest had said so.
        guest.set_apic(ApicOffset::ISR_2, 0)?;
        guest.end_handler(0x40)?;
        guest.expect_handler(0x30)?;
        ensure_eq!(guest.stacked(0)?, CODE + 11, "RIP on the stack, behind MOV to CR8");
        guest.end_handler(0x30)?;
        guest.expect(ExitKind::Hlt)
    })
}

/// SELF IPI of the guest is taken without an exit; the end of an interrupt ends a run if it was asked for.
pub(crate) fn self_ipi_and_eoi(bench: &Bench) -> Outcome {
    with_apic(bench, &[&WRMSR, &[NOP], &WRMSR, &[NOP, HLT]], ALL, |guest| {
        for (vector, has_exit) in [(0x61_u8, false), (0x62, true), (0xe0, false)] {
            guest.vcpu.set_eoi_exits([0, 1 << (0x62 - 0x40), 0, 0])?;
            guest.restart(|state| (state.gprs.rcx, state.gprs.rax) = (0x83f, vector.into()))?;
            guest.enable_interrupts();
            guest.expect_handler(vector)?;
            ensure_eq!(guest.stacked(0)?, CODE + 2, "RIP on the stack of {vector:#x}");
            (guest.vcpu.gprs_mut().rcx, guest.vcpu.gprs_mut().rax) = (0x80b, 0);
            guest.end_handler(vector)?;
            if has_exit {
                guest.expect(ExitKind::ApicEoi(vector))?;
                ensure_eq!(guest.vcpu.rip(), CODE + 5, "RIP behind EOI");
                ensure_eq!(guest.vectors()?, [alloc::vec![], alloc::vec![]], "requested, in service at EOI");
            }
            guest.expect(ExitKind::Hlt)?;
            ensure_eq!(guest.vectors()?, [alloc::vec![], alloc::vec![]], "requested, in service at the end");
        }
        Ok(())
    })
}

/// In memory: an IPI to oneself and EOI need no exit, an IPI to others does.
pub(crate) fn interrupts_in_memory(bench: &Bench) -> Outcome {
    // MOV [RSI], EBX; NOP; MOV [RDI], EAX; NOP; HLT.
    let code: [&[u8]; 4] = [&STORE, &[NOP], &[0x89, 0x07], &[NOP, HLT]];
    with_apic(bench, &code, MEMORY.with_registers().with_interrupts(), |guest| {
        guest.restart(|state| {
            (state.gprs.rsi, state.gprs.rbx) = (BASE + 0x300, 0x4_0071);
            state.gprs.rdi = BASE + 0xb0;
        })?;
        guest.enable_interrupts();
        guest.expect_handler(0x71)?;
        ensure_eq!(guest.stacked(0)?, CODE + 2, "RIP on the stack");
        ensure_eq!(guest.vectors()?, [alloc::vec![], alloc::vec![0x71]], "requested, in service");
        guest.end_handler(0x71)?;
        guest.expect(ExitKind::Hlt)?;
        ensure_eq!(guest.vectors()?, [alloc::vec![], alloc::vec![]], "requested, in service at the end");
        guest.restart(|state| (state.gprs.rsi, state.gprs.rbx) = (BASE + 0x300, 0xc_0071))?;
        guest.expect(ExitKind::ApicWrite(0x300))?;
        ensure_eq!(guest.apic(ApicOffset::ICR_LOW)?, 0xc_0071, "the command");
        Ok(())
    })
}

/// A request of a local APIC becomes one of the virtual APIC; that of an 8259A is injected beside it.
pub(crate) fn requests_are_handed_over(bench: &Bench) -> Outcome {
    with_apic(bench, &[&[NOP, HLT]], ALL, |guest| {
        guest.enable_interrupts();
        guest.vcpu.request_interrupt(InterruptRequest::fixed(0x40));
        guest.expect_handler(0x40)?;
        ensure_eq!(guest.vcpu.accepted_interrupt(), Some(0x40), "accepted interrupt");
        ensure_eq!(guest.vectors()?, [alloc::vec![], alloc::vec![0x40]], "requested, in service");
        guest.end_handler(0x40)?;
        guest.vcpu.request_interrupt(InterruptRequest::external(0x30));
        guest.expect_handler(0x30)?;
        ensure_eq!(guest.vcpu.accepted_interrupt(), Some(0x30), "accepted external interrupt");
        ensure_eq!(guest.vectors()?, [alloc::vec![], alloc::vec![0x40]], "requested, in service: nothing has changed");
        guest.end_handler(0x30)?;
        guest.expect(ExitKind::Hlt)
    })
}

/// What is requested and in service goes along, to another virtual APIC and with a virtual processor that is unloaded.
pub(crate) fn state_is_restored(bench: &Bench) -> Outcome {
    with_apic(bench, &[&WRMSR, &[NOP, HLT]], ALL, |guest| {
        guest.enable_interrupts();
        guest.vcpu.raise_interrupt(0x40)?;
        guest.vcpu.raise_interrupt(0x35)?;
        guest.expect_handler(0x40)?;
        guest.vcpu.set_control(ControlRegister::Cr8, 2)?;
        let Some(state) = guest.vcpu.apic_state() else { fail!("no state") };
        let status = vmx(guest)?.guest_interrupt_status();
        guest.vcpu.set_apic_state(&ApicState::new())?;
        ensure_eq!(vmx(guest)?.guest_interrupt_status().map(|status| status.into_bits()), Some(0), "after all is 0");
        let (apic, frames) = (VirtualApic::new(&bench.frames)?, bench.free_frames());
        vmx(guest)?.set_virtual_apic(apic, ALL)?;
        ensure_eq!(bench.free_frames(), frames + 1, "free frames: that of the virtual APIC before is back");
        guest.vcpu.set_apic_state(&state)?;
        ensure_eq!(vmx(guest)?.guest_interrupt_status(), status, "RVI and SVI");
        ensure_eq!(guest.vcpu.control(ControlRegister::Cr8), 2, "CR8");
        ensure_eq!(guest.vcpu.apic_state(), Some(state), "the state that was restored");
        (guest.vcpu.gprs_mut().rcx, guest.vcpu.gprs_mut().rax) = (0x80b, 0);
        guest.end_handler(0x40)?;
        guest.expect_handler(0x35)?;
        ensure_eq!(guest.stacked(0)?, CODE + 2, "RIP on the stack, behind EOI");
        Ok(())
    })
}

/// A nested fault in the delivery: the interrupt is in service already, and is delivered anew, once.
pub(crate) fn a_delivery_is_interrupted(bench: &Bench) -> Outcome {
    const VECTOR: u8 = 0x40;
    with_apic(bench, &[&[NOP, HLT]], ALL, |guest| {
        guest.enable_interrupts();
        guest.space.unmap(page(IDT))?.at_next_entry();
        guest.vcpu.raise_interrupt(VECTOR)?;
        let exit = guest.run()?;
        ensure!(matches!(exit.kind, ExitKind::NestedFault(_)), "{:x?} ({})", exit.kind, exit.reason);
        ensure_eq!(guest.vectors()?, [Vec::new(), Vec::from([VECTOR])], "requested, in service at the fault");
        if !has(Feature::VirtualInterruptInformation) {
            guest.vcpu.cancel_event();
            guest.vcpu.inject(Event::Interrupt(VECTOR))?;
        }
        ensure_eq!(guest.vcpu.pending_event(), Some(Event::Interrupt(VECTOR)), "the event that waits");
        let mapping = Mapping::new(Access::ALL).largest(PageSize::Size4K);
        guest.space.map(page(IDT), &guest.ram, IDT, mapping)?;
        guest.expect_handler(VECTOR)?;
        ensure_eq!(guest.stacked(0)?, CODE, "RIP on the stack");
        ensure_eq!(guest.vectors()?, [Vec::new(), Vec::from([VECTOR])], "requested, in service in the handler");
        guest.return_to_hlt(Event::Interrupt(VECTOR), CODE + 1)
    })
}
