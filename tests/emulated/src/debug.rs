//! Breakpoints of a guest.

use x86_virt::{Breakpoint, BreakpointLength, ExitKind, GuestTime, Gva, RegisterAccess, Rflags, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, DATA, Guest, HANDLERS, Mode, STACK};
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::interrupts::take_pending;
use crate::registers::capture;
use crate::stepping::debugger;
use crate::time::ApicTimer;
use crate::world_switch::differences;

/// A breakpoint on an instruction gives the guest #DB and its DR6, and the host notices nothing.
pub(crate) fn breakpoint_is_the_guests_own(bench: &Bench) -> Outcome {
    // NOP; NOP; HLT.
    bench.with_guest(Mode::Long, &[0x90, 0x90, 0xf4], &VcpuConfig::new(), |guest| {
        let expected = capture();
        let addresses = [0x7000_0000, 0x7100_0000, CODE + 1, 0x7300_0000];
        guest.vcpu.set_breakpoints(addresses)?;
        // L2.
        guest.vcpu.set_dr7(0x410);
        if !has(Feature::GuestBreakpoints) {
            return guest.expect(ExitKind::Hlt);
        }
        guest.expect_handler(1)?;
        ensure_eq!(guest.stacked(0)?, CODE + 1, "RIP on the stack");
        // The library has given back the #DB that ended the run.
        if has(Feature::InterceptedDebugExceptions) {
            ensure_eq!(guest.vcpu.dr6() & 0xf, 4, "DR6 of the guest");
        }
        ensure_eq!(guest.vcpu.breakpoints(), addresses, "DR0 to DR3 of the guest");
        let changed = differences(&expected, &capture());
        ensure!(changed.is_empty(), "the host has {changed}");
        // Without it, the guest goes on.
        guest.vcpu.set_dr7(0x400);
        guest.vcpu.skip_instruction()?;
        guest.expect(ExitKind::Hlt)
    })
}

/// Breakpoints of a debugger on instructions, writes and accesses, while the guest has its own in the same registers.
pub(crate) fn breakpoints_of_a_debugger(bench: &Bench) -> Outcome {
    #[rustfmt::skip]
    const PROGRAM: &[u8] = &[
        0x90,                         // 0: NOP
        0x90,                         // 1: NOP
        0xc6, 0x07, 0x01,             // 2: MOV BYTE [RDI], 1
        0x48, 0x8b, 0x06,             // 5: MOV RAX, [RSI]
        0x48, 0x89, 0x06,             // 8: MOV [RSI], RAX
        0x0f, 0x21, 0xc3,             // 11: MOV RBX, DR0
        0x0f, 0x21, 0xf9,             // 14: MOV RCX, DR7
        0x90,                         // 17: NOP
        0xeb, 0xfd,                   // 18: JMP to 17
    ];
    if !has(Feature::InterceptedDebugExceptions) || !has(Feature::GuestBreakpoints) {
        return Ok(());
    }
    bench.with_guest(Mode::Long, PROGRAM, &VcpuConfig::new(), |guest| {
        let expected = capture();
        let own = [CODE + 17, 0x7100_0000, 0x7200_0000, 0x7300_0000];
        guest.vcpu.set_breakpoints(own)?;
        // L0.
        guest.vcpu.set_dr7(0x401);
        guest.vcpu.gprs_mut().rdi = DATA + 3;
        guest.vcpu.gprs_mut().rsi = DATA + 0x10;
        let mut debugger = debugger();
        let code = debugger.insert(Breakpoint::execute(Gva::new(CODE + 1)))?;
        let write = debugger.insert(Breakpoint::write(Gva::new(DATA), BreakpointLength::Dword))?;
        let access = debugger.insert(Breakpoint::access(Gva::new(DATA + 0x10), BreakpointLength::Qword))?;
        let mut stops = |guest: &mut Guest<'_, '_>, number: usize, offset: u64| {
            let exit = debugger.run(&mut guest.vcpu)?;
            ensure_eq!(exit.kind, ExitKind::Breakpoint(1 << number), "exit at {:#x}", guest.vcpu.rip());
            ensure_eq!(guest.vcpu.rip(), CODE + offset, "RIP at breakpoint {number}");
            ensure_eq!(guest.vcpu.breakpoints(), own, "DR0 to DR3 of the guest");
            ensure_eq!((guest.vcpu.dr6(), guest.vcpu.dr7()), (0xffff_0ff0, 0x401), "DR6 and DR7 of the guest");
            ensure_eq!(guest.vcpu.rflags().into_bits(), 2, "RFLAGS of the guest");
            Ok(())
        };
        stops(guest, code, 1)?;
        stops(guest, write, 5)?;
        stops(guest, access, 8)?;
        stops(guest, access, 11)?;
        for value in [own[0], 0x401] {
            let exit = debugger.run(&mut guest.vcpu)?;
            let ExitKind::DebugRegister { number, access: RegisterAccess::Read(to) } = exit.kind else {
                fail!("{:?} at {:#x}", exit.kind, guest.vcpu.rip());
            };
            let addresses = guest.vcpu.breakpoints();
            let seen = addresses.get(usize::from(number)).copied().unwrap_or(guest.vcpu.dr7());
            ensure_eq!(seen, value, "DR{number}");
            guest.vcpu.complete_register(to, seen)?;
        }
        // The guest's own.
        let exit = debugger.run(&mut guest.vcpu)?;
        ensure!(matches!(exit.kind, ExitKind::Io(io) if io.port == 1), "{:?} at {:#x}", exit.kind, guest.vcpu.rip());
        ensure_eq!(guest.vcpu.rip(), HANDLERS + 16, "RIP");
        ensure_eq!(guest.stacked(0)?, CODE + 17, "RIP on the stack");
        ensure_eq!(guest.vcpu.dr6() & 0x600f, 1, "DR6 of the guest");
        let changed = differences(&expected, &capture());
        ensure!(changed.is_empty(), "the host has {changed}");
        Ok(())
    })
}

/// A loop comes by a breakpoint again and again; a step stops behind the instruction, and a run goes past it.
pub(crate) fn a_breakpoint_in_a_loop(bench: &Bench) -> Outcome {
    if !has(Feature::InterceptedDebugExceptions) || !has(Feature::GuestBreakpoints) {
        return Ok(());
    }
    // INC RAX; JMP back.
    bench.with_guest(Mode::Long, &[0x48, 0xff, 0xc0, 0xeb, 0xfb], &VcpuConfig::new(), |guest| {
        let mut debugger = debugger();
        debugger.insert(Breakpoint::execute(Gva::new(CODE)))?;
        guest.vcpu.set_rflags(Rflags::new());
        guest.vcpu.gprs_mut().rax = 0;
        for turn in 0..20 {
            let kind = debugger.run(&mut guest.vcpu)?.kind;
            ensure_eq!(kind, ExitKind::Breakpoint(1), "exit of turn {turn}");
            ensure_eq!((guest.vcpu.rip(), guest.vcpu.gprs().rax), (CODE, turn), "RIP and RAX of turn {turn}");
            ensure!(!guest.vcpu.rflags().rf() && !guest.vcpu.rflags().tf(), "RF or TF in turn {turn}");
            if turn % 2 == 0 {
                let kind = debugger.step(&mut guest.vcpu, guest.space)?.kind;
                ensure_eq!((kind, guest.vcpu.rip()), (ExitKind::Step, CODE + 3), "step of turn {turn}");
            }
        }
        Ok(())
    })
}

/// A breakpoint on the stack to which #DB is delivered raises #DB in the delivery, for ever. The host gets its turn. CVE-2015-8104.
pub(crate) fn endless_exceptions_end(bench: &Bench) -> Outcome {
    if !has(Feature::InterceptedDebugExceptions) || !has(Feature::GuestBreakpoints) {
        return Ok(());
    }
    // MOV [RDI], RAX; JMP to it.
    bench.with_guest(Mode::Long, &[0x48, 0x89, 0x07, 0xeb, 0xfb], &VcpuConfig::new(), |guest| {
        let expected = capture();
        // The word of RIP in the frame, which each delivery on the same stack of its own writes again.
        guest.vcpu.set_breakpoints([STACK - 0x28, 0, 0, 0])?;
        // L0, on writes of 8 bytes.
        guest.vcpu.set_dr7(0x9_0401);
        guest.vcpu.gprs_mut().rdi = STACK - 0x28;
        // The handler does the same, so that it comes again and again: with the frame where it was.
        let frame_again = [0x48, 0x83, 0xc4, 0x28, 0x48, 0x89, 0x07, 0xeb, 0xf7];
        guest.ram.write(HANDLERS + 16, &frame_again)?;
        for turn in 0..20 {
            let deadline = guest.vcpu.guest_tsc() + 5000;
            let exit = guest.vcpu.run_until(deadline, &ApicTimer)?;
            take_pending();
            let is_end = matches!(exit.kind, ExitKind::Deadline | ExitKind::HostInterrupt);
            ensure!(is_end, "{:?} in turn {turn}, at {:#x}", exit.kind, guest.vcpu.rip());
            ensure!(guest.vcpu.dr6() & 1 == 1, "no breakpoint was met in turn {turn}");
        }
        let changed = differences(&expected, &capture());
        ensure!(changed.is_empty(), "the host has {changed}");
        // Without the breakpoint, the guest gets the last #DB at most, and goes on.
        guest.vcpu.set_dr7(0x400);
        guest.ram.write(HANDLERS + 16, &[0xf4])?;
        guest.ram.write(CODE, &[0xf4])?;
        guest.vcpu.set_rip(CODE);
        guest.expect(ExitKind::Hlt)
    })
}
