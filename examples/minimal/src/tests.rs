//! The loop with scripted guests, on any host.

use x86_virt::testing::{Answer, ScriptedVcpu, Step};
use x86_virt::{Access, CpuState, ExitKind, Gpa, Gpr, IoSize, Vcpu as _, svm, vmx};

use super::exit_loop;

fn each(script: impl Fn() -> Vec<Step>, check: impl Fn(Result<String, String>)) {
    for vcpu in ScriptedVcpu::of_both_vendors(CpuState::real_mode(0, 0x7c00)) {
        let mut vcpu = vcpu.with_script(script());
        check(exit_loop(&mut vcpu).map_err(|error| error.to_string()));
        vcpu.finish().unwrap();
    }
}

#[test]
fn what_the_guest_prints_comes_back() {
    let print = |byte: u8| Step::out(0x10, IoSize::Byte, byte.into()).expect(Answer::Skipped);
    let script = || {
        vec![
            Step::cpuid(0, 0).expect(Answer::Skipped).expect_gpr(Gpr::Rbx, u64::from(b'h')),
            print(b'h'),
            Step::host_interrupt(),
            print(b'i').gpr(Gpr::Rax, 0xffff_ff00 | u64::from(b'i')),
            Step::hlt(),
        ]
    };
    each(script, |printed| assert_eq!(printed.unwrap(), "hi"));
}

#[test]
fn what_is_not_foreseen_ends_the_guest() {
    each(
        || vec![Step::out(0x11, IoSize::Byte, 1).at(0x7c10)],
        |error| assert!(error.unwrap_err().ends_with("at 0x7c10")),
    );
    each(
        || vec![Step::nested_fault(Gpa::new(0x20_0000), Access::READ)],
        |error| assert!(error.unwrap_err().starts_with("NestedFault")),
    );
}

#[test]
fn without_the_length_of_an_instruction_it_ends() {
    let mut vcpu = ScriptedVcpu::svm(CpuState::real_mode(0, 0)).without_next_rip().with_script([Step::cpuid(0, 0)]);
    assert!(exit_loop(&mut vcpu).unwrap_err().to_string().contains("decode"));
    assert_eq!(vcpu.rip(), 0);
}

#[test]
fn every_exit_comes_to_a_value() {
    let comes_to_a_value = |vcpu: ScriptedVcpu, kind: ExitKind| {
        let result = exit_loop(&mut vcpu.with_script([Step::new(kind)]));
        assert_eq!(result.is_ok(), kind == ExitKind::Hlt, "{kind:?}: {result:?}");
    };
    vmx::testing::every_exit(|_, kind| comes_to_a_value(ScriptedVcpu::vmx(CpuState::real_mode(0, 0x7c00)), kind));
    svm::testing::every_exit(|_, kind| comes_to_a_value(ScriptedVcpu::svm(CpuState::real_mode(0, 0x7c00)), kind));
}
