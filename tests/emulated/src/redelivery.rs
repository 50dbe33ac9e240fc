//! Events whose delivery an exit interrupts, because the IDT or the stack is not mapped: they are delivered afterwards, once.

use x86_virt::{Access, Event, Exception, ExitKind, Gpa, Mapping, NestedFaultCause, PageSize, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, GDT, Guest, HANDLERS, IDT, Mode, STACK, STACK_PAGE, page};
use crate::harness::{Failure, Outcome, ensure, ensure_eq, fail};

const HLT: u8 = 0xf4;

/// Who raises an event.
enum Source {
    Host,
    /// The instruction at [`CODE`].
    Guest,
}

pub(crate) fn interrupt(bench: &Bench) -> Outcome {
    redeliver(bench, &[HLT], &Source::Host, Event::Interrupt(0x40), 0x40, 0)
}

pub(crate) fn nmi(bench: &Bench) -> Outcome {
    redeliver(bench, &[HLT], &Source::Host, Event::Nmi, 2, 0)
}

pub(crate) fn exception_with_error_code(bench: &Bench) -> Outcome {
    let event = Event::Exception(Exception::general_protection(0x18));
    redeliver(bench, &[HLT], &Source::Host, event, 13, 0)
}

pub(crate) fn exception_of_the_guest(bench: &Bench) -> Outcome {
    // UD2.
    redeliver(bench, &[0x0f, 0x0b], &Source::Guest, Event::Exception(Exception::INVALID_OPCODE), 6, 0)
}

pub(crate) fn software_interrupt(bench: &Bench) -> Outcome {
    if !has(Feature::SoftwareInterruptInformation) {
        return Ok(());
    }
    let event = Event::SoftwareInterrupt { vector: 0x41, length: 2 };
    redeliver(bench, &[0xcd, 0x41, HLT], &Source::Guest, event, 0x41, 2)
}

pub(crate) fn breakpoint(bench: &Bench) -> Outcome {
    if !has(Feature::BreakpointInformation) {
        return Ok(());
    }
    redeliver(bench, &[0xcc, HLT], &Source::Guest, Event::SoftwareException { vector: 3, length: 1 }, 3, 1)
}

/// With each page that delivery needs: it faults, the event waits, and is delivered when the page is there. `frame` is the
/// distance from [`CODE`] to where the handler returns.
fn redeliver(bench: &Bench, code: &[u8], source: &Source, event: Event, vector: u8, frame: u64) -> Outcome {
    bench.with_guest(Mode::Long, code, &VcpuConfig::new(), |guest| {
        for (missing, access) in
            [(IDT, Access::READ), (STACK_PAGE, Access::WRITE), (GDT, Access::READ), (HANDLERS, Access::EXECUTE)]
        {
            with_missing(guest, missing, access, source, event, vector, frame)
                .map_err(|why| Failure::new(alloc::format!("without page {missing:#x}: {why}")))?;
        }
        Ok(())
    })
}

fn with_missing(
    guest: &mut Guest<'_, '_>,
    missing: u64,
    access: Access,
    source: &Source,
    event: Event,
    vector: u8,
    frame: u64,
) -> Outcome {
    guest.vcpu.set_state(&Mode::Long.state())?;
    guest.enable_interrupts();
    let there = guest.ram;
    guest.space.unmap(page(missing))?.at_next_entry();
    if matches!(source, Source::Host) {
        guest.vcpu.inject(event)?;
    }
    let exit = guest.run()?;
    let ExitKind::NestedFault(fault) = exit.kind else {
        fail!("{:?} ({})", exit.kind, exit.reason);
    };
    ensure_eq!(fault.gpa.align_down(PageSize::Size4K), Gpa::new(missing), "page that faults");
    ensure_eq!(fault.cause, NestedFaultCause::NotMapped, "cause");
    ensure!(fault.access.contains(access), "access {}, expected {access}", fault.access);
    // The first instruction of the handler is fetched after the delivery.
    let waits = (missing != HANDLERS).then_some(event);
    ensure_eq!(guest.vcpu.pending_event(), waits, "event that waits");
    guest.space.map(page(missing), &there, missing, Mapping::new(Access::ALL).largest(PageSize::Size4K))?;

    guest.expect_handler(vector)?;
    ensure_eq!(guest.vcpu.pending_event(), None, "event after the delivery");
    let error_code = matches!(event, Event::Exception(Exception { error_code: Some(_), .. }));
    let words = 5 + u64::from(error_code);
    ensure_eq!(guest.vcpu.rsp(), STACK - 8 * words, "RSP in the handler: delivered once");
    ensure_eq!(guest.stacked(u64::from(error_code))?, CODE + frame, "RIP on the stack");
    // Back to a HLT, wherever the event was raised.
    guest.ram.write(CODE + frame, &[HLT])?;
    let result = guest.return_to_hlt(event, CODE + frame);
    restore_code(guest, event)?;
    result
}

/// UD2 again, where HLT took its place.
fn restore_code(guest: &Guest<'_, '_>, event: Event) -> Outcome {
    if event == Event::Exception(Exception::INVALID_OPCODE) {
        guest.ram.write(CODE, &[0x0f, 0x0b])?;
    }
    Ok(())
}
