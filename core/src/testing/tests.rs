extern crate std;

use std::boxed::Box;
use std::string::{String, ToString as _};
use std::vec;
use std::vec::Vec;

use super::{Answer, ScriptError, ScriptedVcpu, Semantics, Step};
use crate::access::Access;
use crate::addr::Gpa;
use crate::event::{Event, Exception, InjectError, InterruptRequest};
use crate::exit::ExitKind;
use crate::io::IoSize;
use crate::permission::{MsrAccess, SwitchedMsr};
use crate::register::Gpr;
use crate::state::{Activity, CpuState, VcpuState};
use crate::vcpu::{SkipError, Vcpu};

fn both(script: impl Fn() -> Vec<Step>) -> [ScriptedVcpu; 2] {
    ScriptedVcpu::of_both_vendors(CpuState::long_mode(0x1000, 0x8000, 0x2000)).map(|vcpu| vcpu.with_script(script()))
}

/// Enables interrupts before.
fn enabled(step: Step) -> Step {
    step.guest(|state| state.cpu.rflags.set_if(true))
}

#[test]
fn an_instruction_that_is_not_answered_is_executed_again() {
    for mut vcpu in both(|| vec![Step::cpuid(1, 0), Step::hlt()]) {
        for _ in 0..3 {
            assert_eq!(vcpu.run().unwrap().kind, ExitKind::Cpuid);
            assert_eq!(vcpu.rip(), 0x1000);
        }
        vcpu.complete_cpuid([1, 2, 3, 4]).unwrap();
        assert_eq!(vcpu.run().unwrap().kind, ExitKind::Hlt);
        assert_eq!(vcpu.rip(), 0x1002);
        let error = loop {
            if let Err(error) = vcpu.run() {
                break error;
            }
        };
        assert_eq!(
            error.to_string(),
            "exit 2 (HLT at 0x1002) was not answered: the guest has executed the instruction 100 times"
        );
    }
}

#[test]
fn answers_are_compared_with_what_is_expected() {
    type Answers = Box<dyn Fn(&mut ScriptedVcpu)>;
    let skip: fn() -> Answers = || Box::new(|vcpu| vcpu.skip_instruction().unwrap());
    let raise: fn() -> Answers = || Box::new(|vcpu| vcpu.raise(Exception::general_protection(0)).unwrap());
    let cpuid: fn() -> Answers = || Box::new(|vcpu| vcpu.complete_cpuid([9, 0, 0, 0]).unwrap());
    let away: fn() -> Answers = || Box::new(|vcpu| vcpu.set_rip(0x5000));
    let fault = Answer::Raised(Exception::general_protection(0));
    for (expected, answer, why) in [
        (Answer::Skipped, skip(), None),
        (fault, raise(), None),
        (Answer::SentTo(0x5000), away(), None),
        (
            Answer::Skipped,
            raise(),
            Some("expected to be skipped, but it was answered with exception 13 and error code 0x0"),
        ),
        (fault, skip(), Some("expected to be answered with exception 13 and error code 0x0, but it was skipped")),
        (
            Answer::Raised(Exception::INVALID_OPCODE),
            raise(),
            Some("expected to be answered with exception 6, but it was answered with exception 13 and error code 0x0"),
        ),
        (Answer::Skipped, away(), Some("expected to be skipped, but it was left for 0x5000")),
        (Answer::Skipped, cpuid(), None),
    ] {
        for mut vcpu in both(|| vec![Step::cpuid(1, 0).expect(expected), Step::shutdown()]) {
            vcpu.run().unwrap();
            answer(&mut vcpu);
            let result = vcpu.run();
            match why {
                None => assert_eq!(result.unwrap().kind, ExitKind::Shutdown),
                Some(why) => {
                    let expected = String::from("exit 1 (CPUID at 0x1000): ") + why;
                    assert_eq!(result.unwrap_err().to_string(), expected);
                }
            }
        }
    }
    for mut vcpu in both(|| vec![Step::cpuid(1, 0).expect_gpr(Gpr::Rax, 7)]) {
        vcpu.run().unwrap();
        vcpu.complete_cpuid([9, 0, 0, 0]).unwrap();
        assert_eq!(
            vcpu.finish().unwrap_err().to_string(),
            "exit 1 (CPUID at 0x1000): Rax is 0x9 after it, expected 0x7"
        );
    }
}

#[test]
fn a_script_ends_once_and_whole() {
    for mut vcpu in both(|| vec![Step::hlt()]) {
        vcpu.run().unwrap();
        vcpu.skip_instruction().unwrap();
        assert_eq!(vcpu.run().unwrap_err(), ScriptError::End { exits: 1 });
        vcpu.finish().unwrap();
    }
    for mut vcpu in both(|| vec![Step::hlt(), Step::cpuid(0, 0), Step::hlt()]) {
        vcpu.run().unwrap();
        let error = vcpu.finish().unwrap_err();
        assert_eq!(error.to_string(), "2 of 3 exits were not reached, from exit 2 (CPUID) on");
    }
}

#[test]
fn blocked_events_are_refused_and_requested_ones_wait() {
    for mut vcpu in both(|| vec![Step::hlt(), enabled(Step::cpuid(0, 0)), Step::hlt()]) {
        vcpu.run().unwrap();
        assert!(matches!(vcpu.inject(Event::Interrupt(0x20)), Err(InjectError::Blocked { .. })), "IF is 0");
        vcpu.request_interrupt(InterruptRequest::fixed(0x20));
        vcpu.inject(Event::Nmi).unwrap();
        assert_eq!(vcpu.inject(Event::Nmi), Err(InjectError::Pending(Event::Nmi)));
        vcpu.skip_instruction().unwrap();
        assert_eq!(vcpu.run().unwrap().kind, ExitKind::Cpuid);
        let events: Vec<_> = vcpu.deliveries().iter().map(|delivery| delivery.event).collect();
        assert_eq!(events, [Event::Nmi, Event::Interrupt(0x20)], "the second when the guest enables interrupts");
        assert_eq!(vcpu.accepted_interrupt(), Some(0x20));
    }
}

#[test]
fn nmis_are_blocked_in_the_handler_of_one() {
    for mut vcpu in both(|| vec![Step::hlt(), Step::cpuid(0, 0).in_handler(), Step::hlt()]) {
        vcpu.run().unwrap();
        vcpu.inject(Event::Nmi).unwrap();
        vcpu.skip_instruction().unwrap();
        assert_eq!(vcpu.run().unwrap().kind, ExitKind::Cpuid);
        assert!(vcpu.interruptibility().nmi_blocked && !vcpu.interruptibility().interrupts_enabled);
        assert!(matches!(vcpu.inject(Event::Nmi), Err(InjectError::Blocked { .. })));
        vcpu.skip_instruction().unwrap();
        assert_eq!(vcpu.run().unwrap().kind, ExitKind::Hlt);
        assert!(!vcpu.interruptibility().nmi_blocked, "its handler has returned");
        assert_eq!(vcpu.rip(), 0x1001, "to behind the first HLT");
    }
}

#[test]
fn a_window_opens_when_the_guest_takes_interrupts() {
    for mut vcpu in both(|| vec![Step::hlt(), enabled(Step::cpuid(0, 0))]) {
        vcpu.run().unwrap();
        vcpu.request_interrupt_window();
        vcpu.skip_instruction().unwrap();
        assert_eq!(vcpu.run().unwrap().kind, ExitKind::InterruptWindow);
        vcpu.inject(Event::Interrupt(0x30)).unwrap();
        assert_eq!(vcpu.run().unwrap().kind, ExitKind::Cpuid, "once");
        assert_eq!(vcpu.deliveries().len(), 1);
    }
}

#[test]
fn an_event_whose_delivery_is_interrupted_is_delivered_anew() {
    let fault = || Step::nested_fault(Gpa::new(0x9000), Access::WRITE).in_delivery();
    for mut vcpu in both(|| vec![enabled(Step::hlt()), fault(), Step::hlt()]) {
        vcpu.run().unwrap();
        vcpu.inject(Event::Interrupt(0x40)).unwrap();
        vcpu.skip_instruction().unwrap();
        assert!(matches!(vcpu.run().unwrap().kind, ExitKind::NestedFault(_)));
        assert_eq!((vcpu.pending_event(), vcpu.deliveries().len()), (Some(Event::Interrupt(0x40)), 0));
        assert_eq!(vcpu.run().unwrap().kind, ExitKind::Hlt);
        assert_eq!((vcpu.pending_event(), vcpu.deliveries().len()), (None, 1));
    }
    // A page fault in the delivery of another makes a double fault of the two.
    for mut vcpu in both(|| vec![Step::hlt(), fault(), Step::hlt()]) {
        vcpu.run().unwrap();
        vcpu.inject(Event::Exception(Exception::page_fault(0))).unwrap();
        vcpu.skip_instruction().unwrap();
        vcpu.run().unwrap();
        vcpu.raise(Exception::page_fault(2)).unwrap();
        assert_eq!(vcpu.pending_event(), Some(Event::Exception(Exception::DOUBLE_FAULT)));
    }
    for mut vcpu in both(|| vec![fault()]) {
        let error = vcpu.run().unwrap_err();
        assert_eq!(error.to_string(), "exit 1 (nested fault at 0x1000) cannot happen: no event is delivered");
    }
}

#[test]
fn the_next_instruction_is_where_each_vendor_says() {
    for mut vcpu in both(|| vec![Step::cpuid(0, 0).length(3), Step::nested_fault(Gpa::new(0), Access::READ).length(4)])
    {
        assert_eq!(vcpu.next_rip(), Err(SkipError::NotAnInstruction), "there was no exit");
        vcpu.run().unwrap();
        assert_eq!(vcpu.next_rip(), Ok(0x1003));
        vcpu.skip_instruction().unwrap();
        // VMX has a length; SVM has an address.
        let is_vmx = vcpu.semantics() == Semantics::Vmx;
        assert_eq!(vcpu.next_rip(), Ok(if is_vmx { 0x1006 } else { 0x1003 }));
        vcpu.run().unwrap();
        assert_eq!(vcpu.next_rip(), if is_vmx { Err(SkipError::NotAnInstruction) } else { Ok(0x1007) });
    }
    let mut old = ScriptedVcpu::svm(CpuState::real_mode(0, 0)).without_next_rip().with_script([Step::hlt()]);
    old.run().unwrap();
    assert_eq!(old.skip_instruction(), Err(SkipError::NotReported));
    // Outside of 64-bit mode, addresses wrap.
    let step = || Step::cpuid(0, 0).at(0xffff_fffe).expect(Answer::Skipped);
    for vcpu in ScriptedVcpu::of_both_vendors(CpuState::protected_mode(0, 0)) {
        let mut vcpu = vcpu.with_script([step()]);
        vcpu.run().unwrap();
        vcpu.skip_instruction().unwrap();
        assert_eq!(vcpu.rip(), 0);
        vcpu.finish().unwrap();
    }
}

#[test]
fn a_guest_that_steps_gets_its_debug_exception() {
    for mut vcpu in both(|| vec![Step::cpuid(0, 0).guest(|state| state.cpu.rflags.set_tf(true)), Step::hlt()]) {
        vcpu.run().unwrap();
        vcpu.complete_cpuid([0; 4]).unwrap();
        vcpu.run().unwrap();
        let [delivery] = vcpu.deliveries() else { panic!("{:?}", vcpu.deliveries()) };
        assert_eq!((delivery.event, delivery.rip), (Event::Exception(Exception::DEBUG), 0x1002));
        assert_eq!(vcpu.dr6() & 0x4000, 0x4000);
    }
}

#[test]
fn what_is_passed_through_ends_no_run() {
    for mut vcpu in both(|| vec![Step::rdmsr(0xc000_0102)]) {
        vcpu.pass_msr(SwitchedMsr::KernelGsBase, MsrAccess::Read);
        let error = vcpu.run().unwrap_err();
        assert_eq!(error.to_string(), "exit 1 (RDMSR at 0x1000) cannot happen: MSR 0xc0000102 is passed through");
    }
    for mut vcpu in both(|| vec![Step::rdmsr(0xc000_0102), Step::out(0x80, IoSize::Byte, 1)]) {
        vcpu.pass_msr(SwitchedMsr::KernelGsBase, MsrAccess::ReadWrite);
        vcpu.intercept_msr(0xc000_0102, MsrAccess::Read);
        vcpu.run().unwrap();
        vcpu.skip_instruction().unwrap();
        vcpu.intercept_ports(0..=u16::MAX);
        assert!(matches!(vcpu.run().unwrap().kind, ExitKind::Io(_)));
    }
}

#[test]
fn states_are_saved_and_restored_as_a_whole() {
    for mut vcpu in both(|| vec![enabled(Step::hlt())]) {
        vcpu.run().unwrap();
        vcpu.request_nmi();
        vcpu.set_msr(SwitchedMsr::Lstar, 0x1234).unwrap();
        let mut state = VcpuState::default();
        vcpu.save(&mut state);
        assert!(state.nmi_requested && state.cpu.rflags.r#if());
        // The other vendor's goes on with it: the NMI comes.
        for mut other in ScriptedVcpu::of_both_vendors(CpuState::real_mode(0, 0)) {
            other.restore(&state).unwrap();
            let mut again = VcpuState::default();
            other.save(&mut again);
            assert_eq!(again, state, "{}", again.differences(&state));
            let mut other = other.with_script([Step::hlt()]);
            other.run().unwrap();
            assert_eq!(other.deliveries().len(), 1);
        }
        let before = state.clone();
        state.cpu.cr4 = 0x8000_0000.into();
        state.cpu.rip = 5;
        assert!(vcpu.restore(&state).is_err());
        let mut after = VcpuState::default();
        vcpu.save(&mut after);
        assert_eq!(after, before, "{}", after.differences(&before));
    }
}

#[test]
fn a_processor_that_does_not_run_says_so() {
    let mut state = VcpuState::reset(0);
    state.activity = Activity::WaitForSipi;
    let mut vcpu = ScriptedVcpu::vmx(state).with_script([Step::hlt()]);
    assert_eq!(vcpu.run().unwrap_err(), ScriptError::NotRunning(Activity::WaitForSipi));
    vcpu.set_activity(Activity::Halted).unwrap();
    assert_eq!(vcpu.run().unwrap().kind, ExitKind::HostInterrupt, "halted");
    vcpu.inject(Event::Nmi).unwrap();
    assert_eq!(vcpu.run().unwrap().kind, ExitKind::Hlt);
    assert_eq!(vcpu.activity(), Activity::Running);
}

#[test]
fn a_triple_fault_goes_with_the_state_that_had_it() {
    for mut vcpu in ScriptedVcpu::of_both_vendors(CpuState::real_mode(0, 0x7c00)) {
        let before = VcpuState::new(CpuState::real_mode(0, 0x7c00));
        let fault = Exception { vector: 8, error_code: None };
        vcpu.events_mut().interrupted(Event::Exception(fault));
        vcpu.raise(Exception { vector: 13, error_code: None }).unwrap();
        let mut faulted = VcpuState::default();
        vcpu.save(&mut faulted);
        vcpu.restore(&before).unwrap();
        let mut vcpu = vcpu.with_script([Step::hlt()]);
        assert_eq!(vcpu.run().unwrap().kind, ExitKind::Hlt);
        for mut other in ScriptedVcpu::of_both_vendors(CpuState::real_mode(0, 0)) {
            other.restore(&faulted).unwrap();
            assert_eq!(other.run().unwrap().kind, ExitKind::Shutdown);
        }
    }
}
