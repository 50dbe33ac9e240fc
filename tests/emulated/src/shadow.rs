//! The shadow of STI and MOV SS, and the instruction in it that the host completes.

use x86_virt::{Activity, Event, ExitKind, InterruptRequest, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, Guest, Mode};
use crate::harness::{Outcome, ensure, ensure_eq};

const STI: [u8; 1] = [0xfb];
/// MOV SS, EAX: the null selector.
const MOV_SS: [u8; 2] = [0x8e, 0xd0];
const VECTOR: u8 = 0x40;

/// Runs `first`, which begins a shadow, and completes the CPUID in it. NOP, NOP, CPUID and HLT follow.
fn behind(bench: &Bench, first: &[u8], test: impl FnOnce(&mut Guest<'_, '_>, u64) -> Outcome) -> Outcome {
    let code = [first, &[0x0f, 0xa2, 0x90, 0x90, 0x0f, 0xa2, 0xf4]].concat();
    bench.with_guest(Mode::Long, &code, &VcpuConfig::new(), |guest| {
        let cpuid = CODE + u64::try_from(first.len())?;
        guest.expect_cpuid(cpuid)?;
        ensure!(guest.vcpu.interruptibility().shadow, "no shadow behind {first:x?}");
        guest.vcpu.complete_cpuid([0; 4])?;
        ensure!(!guest.vcpu.interruptibility().shadow, "a shadow behind CPUID");
        test(guest, cpuid + 2)
    })
}

impl Guest<'_, '_> {
    /// Runs to the CPUID at `address`.
    fn expect_cpuid(&mut self, address: u64) -> Outcome {
        let exit = self.run()?;
        ensure!(exit.kind == ExitKind::Cpuid, "{:x?}", exit.kind);
        ensure_eq!(self.vcpu.rip(), address, "RIP of CPUID");
        Ok(())
    }

    /// Completes the CPUID at `next + 2`, and runs to the HLT behind it.
    fn expect_rest(&mut self, next: u64) -> Outcome {
        self.expect_cpuid(next + 2)?;
        self.vcpu.complete_cpuid([0; 4])?;
        self.expect(ExitKind::Hlt)?;
        ensure_eq!(self.vcpu.rip(), next + 4, "RIP of HLT");
        Ok(())
    }
}

/// An interrupt that waits comes before the next instruction.
pub(crate) fn an_interrupt_comes_at_once(bench: &Bench) -> Outcome {
    behind(bench, &STI, |guest, next| {
        guest.vcpu.request_interrupt(InterruptRequest::fixed(VECTOR));
        guest.expect_handler(VECTOR)?;
        ensure_eq!(guest.stacked(0)?, next, "RIP on the stack");
        guest.leave_handler(Event::Interrupt(VECTOR))?;
        guest.expect_rest(next)
    })
}

/// So does one that is injected, an NMI, and the window.
pub(crate) fn events_come_at_once(bench: &Bench) -> Outcome {
    for event in [Event::Interrupt(VECTOR), Event::Nmi] {
        behind(bench, &STI, |guest, next| {
            guest.vcpu.inject(event)?;
            let vector = if event == Event::Nmi { 2 } else { VECTOR };
            guest.expect_handler(vector)?;
            ensure_eq!(guest.stacked(0)?, next, "RIP on the stack of {event:?}");
            guest.leave_handler(event)?;
            guest.expect_rest(next)
        })?;
    }
    behind(bench, &MOV_SS, |guest, next| {
        guest.vcpu.inject(Event::Nmi)?;
        guest.expect_handler(2)?;
        ensure_eq!(guest.stacked(0)?, next, "RIP on the stack behind MOV SS");
        guest.leave_handler(Event::Nmi)?;
        guest.expect_rest(next)
    })
}

/// The window opens in front of the next instruction.
pub(crate) fn the_window_is_open(bench: &Bench) -> Outcome {
    if !has(Feature::PromptVirtualInterrupts) {
        return Ok(());
    }
    behind(bench, &STI, |guest, next| {
        guest.vcpu.request_interrupt_window();
        guest.expect(ExitKind::InterruptWindow)?;
        ensure_eq!(guest.vcpu.rip(), next, "RIP at the window");
        guest.expect_rest(next)
    })
}

/// MOV SS holds back a breakpoint at the next instruction, but not at the one behind that.
pub(crate) fn a_breakpoint_is_met(bench: &Bench) -> Outcome {
    if !has(Feature::GuestBreakpoints) {
        return Ok(());
    }
    behind(bench, &MOV_SS, |guest, next| {
        guest.vcpu.set_breakpoints([next, 0, 0, 0])?;
        guest.vcpu.set_dr7(0x401);
        guest.expect_handler(1)?;
        ensure_eq!(guest.stacked(0)?, next, "RIP on the stack");
        guest.vcpu.set_dr7(0x400);
        guest.leave_handler(Event::Exception(x86_virt::Exception::DEBUG))?;
        guest.expect_rest(next)
    })
}

/// A single step behind the completed instruction, and not behind the one after it.
pub(crate) fn a_step_is_made(bench: &Bench) -> Outcome {
    if !has(Feature::GuestSingleStep) {
        return Ok(());
    }
    for first in [&STI[..], &MOV_SS] {
        let code = [first, &[0x0f, 0xa2, 0x90, 0xf4]].concat();
        bench.with_guest(Mode::Long, &code, &VcpuConfig::new(), |guest| {
            guest.expect_cpuid(CODE + u64::try_from(first.len())?)?;
            guest.vcpu.set_rflags(guest.vcpu.rflags().with_tf(true));
            guest.vcpu.complete_cpuid([0; 4])?;
            guest.expect_handler(1)?;
            ensure_eq!(guest.stacked(0)?, CODE + u64::try_from(first.len())? + 2, "RIP on the stack behind {first:x?}");
            Ok(())
        })?;
    }
    Ok(())
}

/// What the processor refuses together with a shadow: interrupts disabled by the host, and HLT.
pub(crate) fn nothing_is_left_of_it(bench: &Bench) -> Outcome {
    behind(bench, &STI, |guest, next| {
        guest.vcpu.set_rflags(guest.vcpu.rflags().with_if(false));
        guest.expect_rest(next)
    })?;
    for (first, event, vector) in [(&STI[..], Event::Interrupt(VECTOR), VECTOR), (&MOV_SS, Event::Nmi, 2)] {
        behind(bench, first, |guest, next| {
            guest.vcpu.set_activity(Activity::Halted)?;
            guest.vcpu.inject(event)?;
            guest.expect_handler(vector)?;
            ensure_eq!(guest.stacked(0)?, next, "RIP on the stack of a processor that was halted");
            guest.leave_handler(event)?;
            guest.expect_rest(next)
        })?;
    }
    Ok(())
}

/// With nothing that waits, the guest goes on as it would without the host, and one instruction later nothing is left.
pub(crate) fn nobody_sees_it(bench: &Bench) -> Outcome {
    for first in [&STI[..], &MOV_SS] {
        behind(bench, first, |guest, next| {
            guest.expect_cpuid(next + 2)?;
            ensure!(!guest.vcpu.interruptibility().shadow, "a shadow two instructions behind {first:x?}");
            guest.vcpu.complete_cpuid([0; 4])?;
            guest.expect(ExitKind::Hlt)
        })?;
    }
    Ok(())
}
