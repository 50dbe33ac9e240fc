extern crate std;

use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use super::{Breakpoint, BreakpointError, BreakpointLength, Debugger, GuestDebug as _, MonitorTrap, Shadow};
use crate::addr::{Gpa, Gva};
use crate::event::{Event, Exception, InterruptRequest};
use crate::exit::ExitKind;
use crate::guest_memory::GuestMemory as _;
use crate::register::Gpr;
use crate::state::{CpuState, VcpuState};
use crate::testing::{FakeMemory, ScriptedVcpu, Step};
use crate::vcpu::Vcpu;

const START: u64 = 0x100;
const STACK: u64 = 0x800;
const DR6: u64 = 0xffff_0ff0;
const BS: u64 = 0x4000;

/// A guest in real mode with `code`, and a handler at 900H for every vector.
fn memory(code: &[u8]) -> Rc<FakeMemory> {
    let memory = FakeMemory::new(0x2000);
    memory.write(Gpa::new(START), code).expect("it is in memory");
    for vector in 0..64 {
        memory.write(Gpa::new(4 * vector), &[0x00, 0x09, 0x00, 0x00]).expect("it is in memory");
    }
    Rc::new(memory)
}

fn both(script: impl Fn() -> Vec<Step>) -> [ScriptedVcpu; 2] {
    let state = CpuState { rsp: STACK, ..CpuState::real_mode(0, 0x100) };
    ScriptedVcpu::of_both_vendors(state).map(|vcpu| vcpu.with_script(script()))
}

fn debug(conditions: u64, change: impl FnOnce(&mut VcpuState) + 'static) -> Step {
    let exception = Exception::DEBUG;
    Step::new(ExitKind::Exception { exception, address: None }).guest(move |state| {
        change(state);
        state.dr6 |= conditions;
    })
}

/// The trap of an instruction of `length` bytes.
fn trap(length: u64) -> Step {
    debug(BS, move |state| {
        assert!(state.cpu.rflags.tf(), "the processor makes no trap without TF");
        assert!(!state.shadow, "the shadow holds the trap back");
        state.cpu.rip += length;
    })
}

/// The breakpoint on the handler at 900H.
fn at_handler() -> Step {
    debug(1, |state| {
        assert!(!state.cpu.rflags.tf(), "the handler's frame has TF");
        assert_eq!((state.breakpoints[0], state.cpu.dr7), (0x900, 0x402));
        state.cpu.rip = 0x900;
    })
    .in_handler()
}

#[test]
fn nothing_of_a_step_is_left() {
    let memory = memory(&[0x90, 0x90]);
    for mut vcpu in both(|| vec![trap(1), trap(1)]) {
        vcpu.set_breakpoints([1, 2, 3, 4]).unwrap();
        for rip in [START + 1, START + 2] {
            assert_eq!(Debugger::new().step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
            assert_eq!((vcpu.rip(), vcpu.rflags().into_bits()), (rip, 2));
            assert_eq!((vcpu.dr6(), vcpu.dr7(), vcpu.breakpoints()), (DR6, 0x400, [1, 2, 3, 4]));
            assert_eq!(vcpu.watched_exceptions(), 0);
        }
        vcpu.finish().unwrap();
    }
}

#[test]
fn an_instruction_that_ends_the_run_keeps_its_shadow() {
    let memory = memory(&[0x0f, 0xa2]);
    for mut vcpu in both(|| vec![Step::cpuid(0, 0).guest(|state| assert!(state.cpu.rflags.tf()))]) {
        vcpu.set_shadow(Shadow::Sti);
        assert_eq!(Debugger::new().step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Cpuid);
        assert!(vcpu.shadow() != Shadow::None && !vcpu.rflags().tf());
        vcpu.complete_cpuid([0; 4]).unwrap();
        assert_eq!((vcpu.shadow(), vcpu.pending_event()), (Shadow::None, None));
    }
}

#[test]
fn pushf_stores_the_flags_of_the_guest() {
    let memory = memory(&[0x9c]);
    let stored = |memory: &FakeMemory| memory.bytes(0x7fe..0x800);
    for mut vcpu in both(|| {
        let memory = Rc::clone(&memory);
        vec![debug(BS, move |state| {
            state.cpu.rip += 1;
            state.cpu.rsp -= 2;
            memory.write(Gpa::new(0x7fe), &[0x02, 0x01]).unwrap();
        })]
    }) {
        Debugger::new().step(&mut vcpu, &*memory).unwrap();
        assert_eq!(stored(&memory), [0x02, 0x00]);
    }
}

#[test]
fn a_flag_that_the_guest_loads_stays() {
    for (opcode, loaded) in [(0x9d, true), (0xcf, true), (0x9d, false)] {
        let memory = memory(&[opcode]);
        for mut vcpu in both(|| {
            vec![debug(BS, move |state| {
                state.cpu.rip = 0x180;
                state.cpu.rflags.set_tf(loaded);
            })]
        }) {
            assert_eq!(Debugger::new().step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
            assert_eq!(vcpu.rflags().tf(), loaded);
            assert_eq!(vcpu.pending_debug().into_bits(), 0, "the guest did not step before");
        }
    }
}

#[test]
fn mov_ss_is_one_step() {
    // MOV SS, AX; POP SS.
    let memory = memory(&[0x8e, 0xd0, 0x17]);
    memory.write(Gpa::new(STACK), &[0x34, 0x12]).unwrap();
    for mut vcpu in both(Vec::new) {
        vcpu.set_gpr(Gpr::Rax, 0x55_0000);
        assert_eq!(Debugger::new().step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
        assert_eq!((vcpu.rip(), vcpu.state().ss.base), (START + 2, 0));
        assert!(vcpu.shadow() != Shadow::None);
        assert_eq!(Debugger::new().step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
        assert_eq!((vcpu.rip(), vcpu.rsp(), vcpu.state().ss.base), (START + 3, STACK + 2, 0x1_2340));
    }
}

#[test]
fn sti_leaves_its_shadow_once() {
    let memory = memory(&[0xfb, 0xfb]);
    for mut vcpu in both(Vec::new) {
        for (rip, shadow) in [(START + 1, Shadow::Sti), (START + 2, Shadow::None)] {
            assert_eq!(Debugger::new().step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
            assert_eq!((vcpu.rip(), vcpu.shadow(), vcpu.rflags().r#if()), (rip, shadow, true));
        }
    }
}

#[test]
fn events_end_a_step_in_front_of_their_handler() {
    let software = Event::SoftwareInterrupt { vector: 0x20, length: 2 };
    let breakpoint = Event::SoftwareException { vector: 3, length: 1 };
    let int1 = Event::PrivilegedSoftwareException { length: 1 };
    for (code, event) in [(&[0xcd_u8, 0x20][..], software), (&[0xcc], breakpoint), (&[0xf1], int1)] {
        let memory = memory(code);
        for mut vcpu in both(|| vec![at_handler()]) {
            assert_eq!(Debugger::new().step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
            assert_eq!(vcpu.rip(), 0x900);
            assert_eq!(vcpu.deliveries().iter().map(|one| one.event).collect::<Vec<_>>(), [event]);
            assert_eq!((vcpu.dr6(), vcpu.dr7(), vcpu.breakpoints()), (DR6, 0x400, [0; 4]));
        }
    }
    // #UD.
    let memory = memory(&[0x0f, 0x0b]);
    let exception = Exception::INVALID_OPCODE;
    for mut vcpu in both(|| vec![Step::new(ExitKind::Exception { exception, address: None }), at_handler()]) {
        assert_eq!(Debugger::new().step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
        assert_eq!(vcpu.deliveries()[0].event, Event::Exception(exception));
    }
}

#[test]
fn a_request_is_delivered_by_a_step_of_its_own() {
    let memory = memory(&[0x90, 0x90]);
    for mut vcpu in both(|| vec![trap(1), at_handler()]) {
        vcpu.set_rflags(vcpu.rflags().with_if(true));
        vcpu.set_shadow(Shadow::Sti);
        vcpu.request_interrupt(InterruptRequest::external(0x30));
        assert_eq!(Debugger::new().step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
        assert_eq!((vcpu.rip(), vcpu.deliveries().len()), (START + 1, 0), "the shadow holds it");
        assert_eq!(Debugger::new().step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
        assert_eq!((vcpu.rip(), vcpu.accepted_interrupt()), (0x900, Some(0x30)));
    }
}

#[test]
fn a_guest_that_steps_gets_its_own_trap() {
    let memory = memory(&[0x90]);
    for mut vcpu in both(|| vec![trap(1), at_handler()]) {
        vcpu.set_rflags(vcpu.rflags().with_tf(true));
        Debugger::new().step(&mut vcpu, &*memory).unwrap();
        assert_eq!((vcpu.rip(), vcpu.pending_debug().bs(), vcpu.rflags().tf()), (START + 1, true, true));
        vcpu.set_rflags(vcpu.rflags().with_tf(false));
        Debugger::new().step(&mut vcpu, &*memory).unwrap();
        assert_eq!((vcpu.rip(), vcpu.dr6()), (0x900, DR6 | BS));
        assert_eq!(vcpu.deliveries()[0].event, Event::Exception(Exception::DEBUG));
    }
}

#[test]
fn the_monitor_trap_needs_no_flag() {
    let memory = memory(&[0x90]);
    let steps = || {
        vec![Step::new(ExitKind::MonitorTrap).guest(|state| {
            assert!(!state.cpu.rflags.tf());
            state.cpu.rip += 1;
        })]
    };
    let [vmx, _] = both(steps);
    let mut vcpu = vmx.with_monitor_trap();
    assert_eq!(Debugger::new().step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
    let [vmx, _] = both(|| vec![trap(1)]);
    let mut vcpu = vmx.with_monitor_trap();
    let mut debugger = Debugger::new().with_monitor_trap(MonitorTrap::Never);
    assert_eq!(debugger.step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
}

#[test]
fn the_monitor_trap_tells_of_data_breakpoints() {
    let memory = memory(&[0x90]);
    let [vmx, _] = both(|| vec![Step::new(ExitKind::MonitorTrap)]);
    let mut vcpu = vmx.with_monitor_trap();
    let mut debugger = Debugger::new();
    debugger.insert(Breakpoint::write(Gva::new(0x700), BreakpointLength::Word)).unwrap();
    // The guest has its own trap behind the instruction, and slot 0.
    vcpu.set_dr7(0x401);
    assert_eq!(debugger.step(&mut vcpu, &*memory).unwrap().kind, ExitKind::Step);
    assert_eq!((vcpu.dr7(), vcpu.watched_exceptions()), (0x401, 0));
}

#[test]
fn breakpoints_go_where_the_guest_has_none() {
    for mut vcpu in both(|| {
        vec![
            debug(0x2, |state| {
                assert_eq!((state.breakpoints, state.cpu.dr7), ([0x10, 0x500, 0x600, 0], 0x0d00_0429));
                state.cpu.rip = 0x500;
            }),
            Step::hlt().guest(|state| {
                assert!(state.cpu.rflags.rf(), "the breakpoint would be met again");
                state.cpu.rip = 0x510;
                state.cpu.rflags.set_rf(false);
            }),
        ]
    }) {
        let mut debugger = Debugger::new();
        debugger.insert(Breakpoint::execute(Gva::new(0x500))).unwrap();
        debugger.insert(Breakpoint::write(Gva::new(0x600), BreakpointLength::Dword)).unwrap();
        vcpu.set_breakpoints([0x10, 0x20, 0, 0]).unwrap();
        vcpu.set_dr7(0x401);
        assert_eq!(debugger.run(&mut vcpu).unwrap().kind, ExitKind::Breakpoint(1));
        assert_eq!((vcpu.dr7(), vcpu.dr6(), vcpu.breakpoints()), (0x401, DR6, [0x10, 0x20, 0, 0]));
        assert_eq!(debugger.run(&mut vcpu).unwrap().kind, ExitKind::Hlt);
        assert!(!vcpu.rflags().rf());
    }
}

#[test]
fn the_guest_gets_its_own_breakpoints() {
    for mut vcpu in both(|| vec![debug(0x1, |_| {}), Step::hlt().in_handler()]) {
        let mut debugger = Debugger::new();
        debugger.insert(Breakpoint::execute(Gva::new(0x500))).unwrap();
        vcpu.set_dr7(0x2401);
        assert_eq!(debugger.run(&mut vcpu).unwrap().kind, ExitKind::Hlt);
        assert_eq!(vcpu.deliveries()[0].event, Event::Exception(Exception::DEBUG));
        assert_eq!((vcpu.dr6(), vcpu.dr7()), (DR6 | 1, 0x401));
    }
}

#[test]
fn there_are_four_breakpoints() {
    let mut debugger = Debugger::new();
    let breakpoint = Breakpoint::execute(Gva::new(0x500));
    for number in 0..4 {
        assert_eq!(debugger.insert(breakpoint), Ok(number));
    }
    assert_eq!(debugger.insert(breakpoint), Err(BreakpointError::Full));
    assert_eq!(debugger.remove(2), Some(breakpoint));
    assert_eq!((debugger.remove(2), debugger.remove(4)), (None, None));
    assert_eq!(debugger.insert(breakpoint), Ok(2));
}
