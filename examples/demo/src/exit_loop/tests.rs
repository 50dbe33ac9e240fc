//! The loop with scripted guests on this host: no processor, no machine.

use core::fmt;

use x86_virt::ept::{EptCapabilities, EptFormat};
use x86_virt::testing::{Answer, FakeFrames, ScriptError, ScriptedVcpu, Semantics, Step};
use x86_virt::{
    Access, AddressSpace, ControlRegister, CpuState, Event, Exception, Exit, ExitKind, Gpa, Gpr, IoSize, Vcpu as _,
    svm, vmx,
};

use super::{Ending, Guest, Monitor, NAME, RunError, SIGNATURE, WAKE_UP, run};

/// Keeps what it is told.
#[derive(Default)]
struct Seen {
    exits: Vec<&'static str>,
    output: String,
    measured: Option<(u64, u64)>,
}

impl Monitor for Seen {
    fn exit<R: fmt::Debug + fmt::Display>(&mut self, exit: &Exit<R>) {
        self.exits.push(exit.kind.name());
    }

    fn guest_output(&mut self, byte: u8) {
        self.output.push(char::from(byte));
    }

    fn measured(&mut self, ticks: u64, exits: u64) {
        self.measured = Some((ticks, exits));
    }

    fn time(&self) -> u64 {
        0
    }

    fn may_shut_down(&self) -> bool {
        true
    }
}

type Space = AddressSpace<'static, EptFormat, FakeFrames>;

/// Guest memory in which the first 4 KiB are mapped.
fn memory() -> (Space, x86_virt::GuestRam<'static>) {
    let frames = FakeFrames::new();
    let ram = frames.guest_ram(16).expect("the heap has it");
    let capabilities = EptCapabilities::new().with_page_walk_length_4(true).with_tables_write_back(true);
    let space =
        Space::new(EptFormat::new(capabilities, 52).expect("it can have 4 levels"), frames).expect("the heap has it");
    space.map(Gpa::new(0)..Gpa::new(0x1000), &ram, 0, Access::ALL).expect("it is free");
    (space, ram)
}

type Outcome = Result<Ending, RunError<ScriptError>>;

/// Runs the script on a processor like each vendor's. `check` sees what came of it.
fn each(script: impl Fn() -> Vec<Step>, check: impl Fn(Outcome, &mut ScriptedVcpu, &Seen, &Space)) {
    for vcpu in ScriptedVcpu::of_both_vendors(CpuState::long_mode(0x1_0000, 0xf000, 0x1000)) {
        let mut vcpu = vcpu.with_script(script());
        let (space, ram) = memory();
        let mut seen = Seen::default();
        let outcome = run(&mut vcpu, &mut Guest::new(&space, ram, &mut seen));
        check(outcome, &mut vcpu, &seen, &space);
        vcpu.finish().unwrap();
    }
}

fn ends(ending: Ending) -> impl Fn(Outcome, &mut ScriptedVcpu, &Seen, &Space) {
    move |outcome, _, _, _| assert_eq!(outcome.unwrap(), ending)
}

#[test]
fn cpuid_shows_the_hypervisor_and_nothing_else() {
    let [ebx, ecx, edx] = NAME.map(u64::from);
    let script = || {
        vec![
            Step::cpuid(SIGNATURE, 0)
                .expect(Answer::Skipped)
                .expect_gpr(Gpr::Rbx, ebx)
                .expect_gpr(Gpr::Rcx, ecx)
                .expect_gpr(Gpr::Rdx, edx),
            Step::cpuid(0, 0).expect_gpr(Gpr::Rax, SIGNATURE.into()),
            Step::cpuid(7, 0).expect_gpr(Gpr::Rax, 0).expect_gpr(Gpr::Rbx, 0),
            Step::hlt(),
        ]
    };
    each(script, ends(Ending::Halted));
}

#[test]
fn ports_reach_the_devices() {
    let script = || {
        let print = |byte: u8| Step::out(0x3f8, IoSize::Byte, byte.into()).expect(Answer::Skipped);
        vec![
            print(b'h'),
            print(b'i'),
            Step::out(0x510, IoSize::Dword, 0x1234_5678),
            Step::input(0x510, IoSize::Dword).expect_gpr(Gpr::Rax, 0xedcb_a987),
            // An 8-bit read leaves the rest of RAX.
            Step::input(0x512, IoSize::Byte)
                .gpr(Gpr::Rax, 0xffff_0000)
                .expect_gpr(Gpr::Rax, 0xffff_0000 | u64::from(b'a')),
            Step::input(0x77, IoSize::Word).gpr(Gpr::Rax, 0).expect_gpr(Gpr::Rax, 0xffff),
            Step::hlt(),
        ]
    };
    each(script, |outcome, vcpu, seen, _| {
        assert_eq!(outcome.unwrap(), Ending::Halted);
        assert_eq!((seen.output.as_str(), seen.exits.len()), ("hi", 7));
        // OUT and IN by DX have 1 byte, IN of a word from an immediate port 3.
        assert_eq!(vcpu.rip(), 0x1_0000 + 5 + 3 + 1, "each by its length, and HLT");
    });
}

#[test]
fn one_msr_is_the_guests_and_others_are_not_there() {
    let fault = Answer::Raised(Exception::general_protection(0));
    let script = move || {
        vec![
            Step::rdmsr(0x1234).expect(fault),
            Step::wrmsr(0x1b, 0).expect(fault),
            Step::wrmsr(SIGNATURE, 0x1_0000_0007).expect(Answer::Skipped),
            Step::rdmsr(SIGNATURE).expect_gpr(Gpr::Rax, 7).expect_gpr(Gpr::Rdx, 1),
            Step::hlt(),
        ]
    };
    each(script, |outcome, vcpu, _, _| {
        assert_eq!(outcome.unwrap(), Ending::Halted);
        assert_eq!(vcpu.deliveries().len(), 2);
    });
}

#[test]
fn memory_comes_when_it_is_touched() {
    let script = || vec![Step::nested_fault(Gpa::new(0x5123), Access::WRITE), Step::hlt()];
    each(script, |outcome, _, _, space| {
        assert_eq!(outcome.unwrap(), Ending::Halted);
        assert!(space.translate(Gpa::new(0x5000)).is_some() && space.translate(Gpa::new(0x6000)).is_none());
    });
}

#[test]
fn hypercalls_answer_and_inject() {
    let call = |number: u64, argument: u64| Step::hypercall().gpr(Gpr::Rax, number).gpr(Gpr::Rbx, argument);
    let script = || {
        vec![
            call(1, 41).expect(Answer::Skipped).expect_gpr(Gpr::Rax, 42),
            call(2, 0),
            call(3, 0),
            call(5, 0).expect_gpr(Gpr::Rax, 1),
            call(4, 2),
            Step::cpuid(0, 0),
            Step::cpuid(0, 0),
            Step::hlt(),
        ]
    };
    each(script, |outcome, vcpu, seen, _| {
        assert_eq!(outcome.unwrap(), Ending::Halted);
        let events: Vec<_> = vcpu.deliveries().iter().map(|delivery| delivery.event).collect();
        assert_eq!(events, [Event::Exception(Exception::general_protection(0x18)), Event::Nmi]);
        assert_eq!(seen.measured, Some((0, 2)));
    });
}

#[test]
fn hlt_waits_for_the_timer_or_ends() {
    let script = || {
        vec![
            Step::hlt().guest(|state| state.cpu.rflags.set_if(true)),
            Step::hlt().guest(|state| state.cpu.rflags.set_if(false)),
        ]
    };
    each(script, |outcome, vcpu, _, _| {
        assert_eq!(outcome.unwrap(), Ending::Halted);
        let [delivery] = vcpu.deliveries() else { panic!("{:?}", vcpu.deliveries()) };
        assert_eq!((delivery.event, delivery.rip), (Event::Interrupt(WAKE_UP), 0x1_0001), "behind the HLT");
    });
}

#[test]
fn an_nmi_in_the_handler_of_another_is_an_error() {
    let call = || Step::hypercall().gpr(Gpr::Rax, 3);
    each(
        || vec![call(), call().in_handler()],
        |outcome, _, _, _| assert!(matches!(outcome, Err(RunError::Inject(_))), "{outcome:?}"),
    );
}

#[test]
fn control_registers_are_the_guests() {
    let script = || {
        vec![
            Step::mov_to(ControlRegister::Cr4, 0x220).expect(Answer::Skipped),
            Step::mov_to(ControlRegister::Cr4, 1 << 40).expect(Answer::Raised(Exception::general_protection(0))),
            Step::hlt(),
        ]
    };
    each(script, |outcome, vcpu, _, _| {
        assert_eq!(outcome.unwrap(), Ending::Halted);
        assert_eq!(vcpu.control(ControlRegister::Cr4), 0x220);
    });
}

#[test]
fn other_ends_are_told() {
    each(|| vec![Step::host_interrupt(), Step::shutdown()], ends(Ending::Shutdown));
    each(
        || vec![Step::out(0x5f0, IoSize::Dword, 3)],
        |outcome, _, _, _| assert!(matches!(outcome, Err(RunError::GuestFailed(3))), "{outcome:?}"),
    );
    each(
        || vec![Step::new(ExitKind::Monitor).at(0x1_2345)],
        |outcome, _, _, _| {
            assert!(
                matches!(outcome, Err(RunError::NotHandled { kind: ExitKind::Monitor, rip: 0x1_2345 })),
                "{outcome:?}"
            );
        },
    );
    each(
        || vec![Step::hypercall().gpr(Gpr::Rax, 9)],
        |outcome, _, _, _| assert!(matches!(outcome, Err(RunError::UnknownHypercall(9))), "{outcome:?}"),
    );
}

#[test]
fn a_guest_may_ask_for_more_letters_than_there_are() {
    let script = || {
        let letters = (0..300).map(|_| Step::input(0x512, IoSize::Byte).expect(Answer::Skipped));
        letters
            .chain([Step::hypercall().gpr(Gpr::Rax, 1).gpr(Gpr::Rbx, u64::MAX).expect_gpr(Gpr::Rax, 0), Step::hlt()])
            .collect()
    };
    each(script, ends(Ending::Halted));
}

/// Runs the loop with one exit, and with registers of one value. It comes to a value, and where it does not know the exit says so.
fn comes_to_a_value(semantics: Semantics, kind: ExitKind, memory: &(Space, x86_virt::GuestRam<'static>)) {
    for value in [0, 1, u64::MAX] {
        let mut state = CpuState::long_mode(0x1_0000, 0xf000, 0x1000);
        for register in Gpr::ALL {
            if let Some(slot) = state.gprs.get_mut(register) {
                *slot = value;
            }
        }
        let vcpu = if semantics == Semantics::Vmx { ScriptedVcpu::vmx(state) } else { ScriptedVcpu::svm(state) };
        let mut vcpu = vcpu.with_script([Step::new(kind)]);
        let mut seen = Seen::default();
        let outcome = run(&mut vcpu, &mut Guest::new(&memory.0, memory.1, &mut seen));
        let is_known = !matches!(outcome, Err(RunError::NotHandled { .. }));
        assert!(!(is_known && kind == ExitKind::Vendor), "{outcome:?}");
        assert_eq!(seen.exits.first(), Some(&kind.name()));
        // What it answered, the guest goes on behind: there the script is at its end.
        if let Err(error) = outcome {
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn every_exit_comes_to_a_value() {
    let memory = memory();
    let mut last = None;
    vmx::testing::every_exit(|_, kind| {
        if last.replace(kind) != Some(kind) {
            comes_to_a_value(Semantics::Vmx, kind, &memory);
        }
    });
    let mut last = None;
    svm::testing::every_exit(|_, kind| {
        if last.replace(kind) != Some(kind) {
            comes_to_a_value(Semantics::Svm, kind, &memory);
        }
    });
}
