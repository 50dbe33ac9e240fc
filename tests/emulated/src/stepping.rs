//! Single steps of a debugger: where they end, and that the guest does not see them.

use x86_virt::{
    CpuState, Debugger, DescriptorTable, Event, Exception, ExitKind, GuestDebug as _, InterruptRequest, MonitorTrap,
    Rflags, Segment, SegmentAccessRights, Shadow, SwitchedMsr, Vcpu, VcpuConfig,
};

use crate::bench::Bench;
use crate::code;
use crate::feature::{Feature, has};
use crate::guest::{CODE, DATA, GDT, Guest, HANDLERS, Mode, STACK};
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::world_switch::prepare;

const TF: u64 = 1 << 8;

/// A debugger that uses the monitor trap if it works.
pub(crate) fn debugger() -> Debugger {
    let trap = if has(Feature::MonitorTrapFlag) { MonitorTrap::IfPresent } else { MonitorTrap::Never };
    Debugger::new().with_monitor_trap(trap)
}

fn handler(vector: u8) -> u64 {
    HANDLERS + 16 * u64::from(vector)
}

impl Guest<'_, '_> {
    /// Makes a step, to RIP `address`.
    fn step_to(&mut self, address: u64) -> Outcome {
        let before = self.vcpu.rip();
        let exit = debugger().step(&mut self.vcpu, self.space)?;
        ensure_eq!(exit.kind, ExitKind::Step, "step from {before:#x} ({}), RIP {:#x}", exit.reason, self.vcpu.rip());
        ensure_eq!(self.vcpu.rip(), address, "RIP after a step from {before:#x}");
        Ok(())
    }

    /// Makes one step to each of these offsets in the code.
    fn steps(&mut self, offsets: &[u64]) -> Outcome {
        offsets.iter().try_for_each(|offset| self.step_to(CODE + offset))
    }
}

/// Instructions that do nothing to flags, those that store and load them, and those with a shadow.
pub(crate) fn flags_and_shadows(bench: &Bench) -> Outcome {
    #[rustfmt::skip]
    const PROGRAM: &[u8] = &[
        0x90,                         // 0: NOP
        0x9c,                         // 1: PUSHFQ
        0x58,                         // 2: POP RAX
        0x50,                         // 3: PUSH RAX
        0x9d,                         // 4: POPFQ
        0xfb,                         // 5: STI
        0x90,                         // 6: NOP
        0xfb,                         // 7: STI
        0xfa,                         // 8: CLI
        0xb8, 0x10, 0, 0, 0,          // 9: MOV EAX, 10H
        0x8e, 0xd0,                   // 14: MOV SS, EAX
        0x90,                         // 16: NOP
        0x66, 0x9c,                   // 17: PUSHF
        0x66, 0x58,                   // 19: POP AX
        0xeb, 0x00,                   // 21: JMP
        0xf4,                         // 23: HLT
    ];
    bench.with_guest(Mode::Long, PROGRAM, &VcpuConfig::new(), |guest| {
        guest.steps(&[1, 2])?;
        ensure_eq!(guest.stacked(0)?, 2, "what PUSHFQ has stored");
        guest.steps(&[3])?;
        ensure_eq!(guest.vcpu.gprs().rax, 2, "RFLAGS that the guest has read");
        guest.steps(&[4, 5])?;
        ensure_eq!(guest.vcpu.rflags().into_bits(), 2, "RFLAGS after POPFQ");
        guest.steps(&[6])?;
        ensure_eq!(guest.vcpu.shadow(), Shadow::Sti, "shadow behind STI");
        guest.steps(&[7])?;
        ensure_eq!(guest.vcpu.shadow(), Shadow::None, "shadow behind NOP");
        guest.steps(&[8])?;
        ensure_eq!(guest.vcpu.shadow(), Shadow::None, "shadow behind STI with IF = 1");
        guest.steps(&[9, 14, 16])?;
        ensure!(guest.vcpu.shadow() != Shadow::None, "no shadow behind MOV SS");
        let ss = guest.vcpu.segment(x86_virt::SegmentRegister::Ss);
        ensure_eq!(ss.selector, 0x10, "SS");
        guest.steps(&[17])?;
        ensure_eq!(guest.vcpu.shadow(), Shadow::None, "shadow behind the NOP after MOV SS");
        guest.steps(&[19, 21])?;
        ensure_eq!(guest.vcpu.gprs().rax & 0xffff, 2, "FLAGS that the guest has read");
        guest.steps(&[23])?;
        ends_itself(guest, ExitKind::Hlt)
    })
}

/// The exit of an instruction that ends a step itself.
fn exit_of_a_step(guest: &mut Guest<'_, '_>) -> Outcome<ExitKind> {
    // Otherwise the trap is left for the host.
    let may_step = has(Feature::GuestSingleStep);
    Ok(if may_step { debugger().step(&mut guest.vcpu, guest.space)?.kind } else { guest.run()?.kind })
}

/// A step that its own exit ends leaves nothing behind.
fn ends_itself(guest: &mut Guest<'_, '_>, kind: ExitKind) -> Outcome {
    if !has(Feature::GuestSingleStep) {
        return guest.expect(kind);
    }
    let (rip, rflags, dr6, dr7) = (guest.vcpu.rip(), guest.vcpu.rflags(), guest.vcpu.dr6(), guest.vcpu.dr7());
    let exit = debugger().step(&mut guest.vcpu, guest.space)?;
    ensure_eq!(exit.kind, kind, "exit in place of a step");
    ensure_eq!(guest.vcpu.rip(), rip, "RIP");
    ensure_eq!(guest.vcpu.rflags().into_bits(), rflags.into_bits(), "RFLAGS");
    ensure_eq!((guest.vcpu.dr6(), guest.vcpu.dr7()), (dr6, dr7), "DR6 and DR7");
    Ok(())
}

/// REP by iterations, and exits of instructions, which are answered.
pub(crate) fn repetitions_and_exits(bench: &Bench) -> Outcome {
    // REP STOSB; CPUID; IN AL, 60H; NOP; HLT.
    let program = [0xf3, 0xaa, 0x0f, 0xa2, 0xe4, 0x60, 0x90, 0xf4];
    bench.with_guest(Mode::Long, &program, &VcpuConfig::new(), |guest| {
        guest.vcpu.gprs_mut().rdi = DATA;
        guest.vcpu.gprs_mut().rcx = 3;
        guest.steps(if has(Feature::ExactRepetitions) { &[0, 0, 2] } else { &[0, 0, 0, 2] })?;
        ensure_eq!(guest.vcpu.gprs().rcx, 0, "RCX after REP STOSB");
        ends_itself(guest, ExitKind::Cpuid)?;
        guest.vcpu.complete_cpuid([1, 2, 3, 4])?;
        ensure_eq!(guest.vcpu.pending_event(), None, "event after CPUID");
        let exit = exit_of_a_step(guest)?;
        let ExitKind::Io(io) = exit else { fail!("{exit:?} in place of IN") };
        guest.vcpu.complete_in(io.size, 0x42)?;
        guest.steps(&[7])?;
        ensure_eq!(guest.vcpu.gprs().rax & 0xff, 0x42, "AL");
        ends_itself(guest, ExitKind::Hlt)
    })
}

/// SYSCALL, with a mask that clears TF.
pub(crate) fn system_calls(bench: &Bench) -> Outcome {
    // SYSCALL; NOP. At 16: NOP; NOP.
    let mut program = [0x90_u8; 24];
    program[..2].copy_from_slice(&[0x0f, 0x05]);
    bench.with_guest(Mode::Long, &program, &VcpuConfig::new(), |guest| {
        let mut state = Mode::Long.state();
        state.rflags = Rflags::new().with_zf(true);
        guest.vcpu.set_state(&state)?;
        guest.vcpu.set_msr(SwitchedMsr::Star, 0x0008_0008 << 32)?;
        guest.vcpu.set_msr(SwitchedMsr::Lstar, CODE + 16)?;
        guest.vcpu.set_msr(SwitchedMsr::Sfmask, TF | 1 << 6)?;
        guest.steps(&[16])?;
        ensure_eq!(guest.vcpu.gprs().r11, 0x42, "R11");
        ensure_eq!(guest.vcpu.gprs().rcx, CODE + 2, "RCX");
        ensure_eq!(guest.vcpu.rflags().into_bits(), 2, "RFLAGS");
        ensure_eq!(guest.vcpu.msr(SwitchedMsr::Sfmask), TF | 1 << 6, "SFMASK");
        guest.steps(&[17])
    })
}

/// Events of instructions, and those that the host asks for: a step ends in front of the handler.
pub(crate) fn handlers(bench: &Bench) -> Outcome {
    if !has(Feature::GuestBreakpoints) {
        return Ok(());
    }
    // INT 30H; INT3; INT1; UD2; NOP; HLT.
    let program = [0xcd, 0x30, 0xcc, 0xf1, 0x0f, 0x0b, 0x90, 0xf4];
    bench.with_guest(Mode::Long, &program, &VcpuConfig::new(), |guest| {
        guest.step_to(handler(0x30))?;
        check_frame(guest, CODE + 2, 2)?;
        leave_by_steps(guest, 0x30, CODE + 2)?;
        guest.step_to(handler(3))?;
        check_frame(guest, CODE + 3, 2)?;
        leave_by_steps(guest, 3, CODE + 3)?;
        guest.step_to(handler(1))?;
        check_frame(guest, CODE + 4, 2)?;
        ensure_eq!(guest.vcpu.dr6() & 0x600f, 0, "DR6 after INT1");
        leave_by_steps(guest, 1, CODE + 4)?;
        guest.step_to(handler(6))?;
        ensure_eq!(guest.stacked(0)?, CODE + 4, "RIP on the stack of #UD");
        ensure_eq!(guest.stacked(2)? & TF, 0, "TF on the stack of #UD");
        guest.vcpu.set_rip(CODE + 6);
        guest.vcpu.set_rsp(STACK);
        // What the host asks for.
        guest.vcpu.set_rflags(Rflags::new().with_if(true));
        guest.vcpu.request_interrupt(InterruptRequest::external(0x40));
        guest.step_to(handler(0x40))?;
        ensure_eq!(guest.vcpu.accepted_interrupt(), Some(0x40), "interrupt that was accepted");
        check_frame(guest, CODE + 6, 0x202)?;
        leave_by_steps(guest, 0x40, CODE + 6)?;
        guest.vcpu.inject(Event::Exception(Exception::general_protection(0x18)))?;
        guest.step_to(handler(13))?;
        ensure_eq!(guest.stacked(0)?, 0x18, "error code");
        guest.vcpu.set_rip(CODE + 6);
        guest.vcpu.set_rsp(STACK);
        guest.vcpu.set_rflags(Rflags::new().with_if(true));
        guest.vcpu.request_nmi();
        guest.step_to(handler(2))?;
        check_frame(guest, CODE + 6, 0x202)?;
        ensure!(guest.vcpu.interruptibility().nmi_blocked, "NMIs are not blocked");
        if has(Feature::GuestSingleStep) {
            // IRET ends a run of its own where the processor has no virtual NMIs.
            leave_by_steps(guest, 2, CODE + 6)?;
        }
        Ok(())
    })
}

fn check_frame(guest: &Guest<'_, '_>, rip: u64, rflags: u64) -> Outcome {
    ensure_eq!(guest.stacked(0)?, rip, "RIP on the stack");
    ensure_eq!(guest.stacked(2)?, rflags, "RFLAGS on the stack");
    ensure_eq!(guest.vcpu.rflags().into_bits() & (TF | 0x200), 0, "TF and IF in the handler");
    Ok(())
}

/// Answers the OUT of a handler, and steps over its IRETQ.
fn leave_by_steps(guest: &mut Guest<'_, '_>, vector: u8, address: u64) -> Outcome {
    let exit = exit_of_a_step(guest)?;
    ensure!(matches!(exit, ExitKind::Io(io) if io.port == u16::from(vector)), "{exit:?} in a handler");
    guest.vcpu.skip_instruction()?;
    guest.step_to(address)?;
    ensure_eq!(guest.vcpu.rsp(), STACK, "RSP");
    ensure!(!guest.vcpu.rflags().tf(), "TF after IRETQ");
    Ok(())
}

/// An interrupt that waits for the end of a shadow comes behind it, in a step of its own.
pub(crate) fn interrupts_wait_for_shadows(bench: &Bench) -> Outcome {
    // STI; NOP; NOP; HLT.
    bench.with_guest(Mode::Long, &[0xfb, 0x90, 0x90, 0xf4], &VcpuConfig::new(), |guest| {
        guest.vcpu.request_interrupt(InterruptRequest::external(0x40));
        guest.steps(&[1, 2])?;
        if has(Feature::GuestBreakpoints) {
            guest.step_to(handler(0x40))?;
            ensure_eq!(guest.stacked(0)?, CODE + 2, "RIP on the stack");
        } else {
            guest.expect_handler(0x40)?;
        }
        ensure_eq!(guest.vcpu.accepted_interrupt(), Some(0x40), "interrupt that was accepted");
        Ok(())
    })
}

/// A guest that steps through its code itself gets its own #DB.
pub(crate) fn of_a_guest_that_steps(bench: &Bench) -> Outcome {
    if !has(Feature::GuestSingleStep) || !has(Feature::GuestBreakpoints) {
        return Ok(());
    }
    // NOP; PUSHFQ; NOP; HLT.
    bench.with_guest(Mode::Long, &[0x90, 0x9c, 0x90, 0xf4], &VcpuConfig::new(), |guest| {
        guest.vcpu.set_rflags(Rflags::new().with_tf(true));
        guest.steps(&[1])?;
        guest.step_to(handler(1))?;
        ensure_eq!(guest.vcpu.dr6() & 0x600f, 0x4000, "DR6");
        ensure_eq!(guest.stacked(0)?, CODE + 1, "RIP on the stack");
        ensure_eq!(guest.stacked(2)?, 2 | TF, "RFLAGS on the stack");
        let exit = debugger().step(&mut guest.vcpu, guest.space)?;
        ensure!(matches!(exit.kind, ExitKind::Io(_)), "{:?} in the handler", exit.kind);
        guest.vcpu.skip_instruction()?;
        // IRETQ sets TF, which makes no trap behind it.
        guest.steps(&[1, 2])?;
        ensure_eq!(guest.stacked(0)?, 2 | TF, "what PUSHFQ has stored");
        guest.step_to(handler(1))?;
        ensure_eq!(guest.stacked(0)?, CODE + 2, "RIP on the stack");
        Ok(())
    })
}

/// INT n in real mode and in 32-bit protected mode.
pub(crate) fn other_modes(bench: &Bench) -> Outcome {
    if !has(Feature::GuestBreakpoints) {
        return Ok(());
    }
    const IDT32: u64 = 0x1_2000;
    bench.with_guest(Mode::Real, &[0x9c, 0xcd, 0x20, 0xf4], &VcpuConfig::new(), |guest| {
        guest.ram.write(4 * 0x20, &[0x34, 0x00, 0x00, 0x09])?;
        guest.ram.write(0x9034, &[0x90, 0xcf])?;
        guest.step_to(1)?;
        guest.step_to(0x34)?;
        guest.step_to(0x35)?;
        guest.step_to(3)?;
        ends_itself(guest, ExitKind::Hlt)
    })?;
    bench.with_guest(Mode::Protected, &[0x17, 0xcd, 0x20, 0xf4], &VcpuConfig::new(), |guest| {
        let handler = CODE + 0x100;
        guest.ram.write(IDT32 + 8 * 0x20, &(0x0000_8e00_0018_0000 | handler).to_le_bytes())?;
        guest.ram.write(handler, &[0x90, 0xcf])?;
        guest.ram.write(STACK, &0x10_u32.to_le_bytes())?;
        let state = CpuState {
            gdtr: DescriptorTable { base: GDT, limit: 0x1f },
            idtr: DescriptorTable { base: IDT32, limit: 0x107 },
            tr: Segment { selector: 0x20, base: DATA, limit: 0x67, rights: SegmentAccessRights::BUSY_TSS },
            ..Mode::Protected.state()
        };
        guest.vcpu.set_state(&state)?;
        // POP SS.
        guest.steps(&[1])?;
        ensure_eq!(guest.vcpu.rsp(), STACK + 4, "ESP behind POP SS");
        guest.step_to(handler)?;
        guest.step_to(handler + 1)?;
        guest.steps(&[3])?;
        ends_itself(guest, ExitKind::Hlt)
    })
}

/// A guest that checks all of its registers around its exits, step by step: it notices nothing.
pub(crate) fn unseen_by_a_guest_that_checks(bench: &Bench) -> Outcome {
    if !has(Feature::GuestSingleStep) {
        return Ok(());
    }
    bench.with_guest(Mode::Long, code::world_switch(), &VcpuConfig::new(), |guest| {
        prepare(guest)?;
        let (mut steps, mut cpuids) = (0, 0);
        while steps < 3000 {
            match debugger().step(&mut guest.vcpu, guest.space)?.kind {
                ExitKind::Step => steps += 1,
                ExitKind::Cpuid => {
                    cpuids += 1;
                    guest.vcpu.skip_instruction()?;
                }
                ExitKind::HostInterrupt => {}
                ExitKind::Io(_) => fail!("check {} of the guest failed", guest.vcpu.gprs().rax & 0xff),
                kind => fail!("{kind:x?} at {:#x}", guest.vcpu.rip()),
            }
        }
        ensure!(cpuids > 2, "{cpuids} exits in {steps} steps");
        Ok(())
    })
}
