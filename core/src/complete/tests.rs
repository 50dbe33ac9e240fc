use super::CompleteError;
use crate::addr::Gva;
use crate::event::{Event, Exception, InjectError};
use crate::exit::{ControlRegisterAccess, RegisterAccess};
use crate::guest_paging::GuestFault;
use crate::io::IoSize;
use crate::operand::{Operand, OperandSize};
use crate::protection::PageFaultErrorCode;
use crate::register::{ControlRegister, Cr0, Gpr, Rflags};
use crate::segment::SegmentAccessRights;
use crate::state::CpuState;
use crate::testing::ScriptedVcpu;
use crate::vcpu::{SkipError, Vcpu};

const RIP: u64 = 0x1000;

fn long() -> ScriptedVcpu {
    let mut vcpu = ScriptedVcpu::vmx(CpuState::long_mode(RIP, 0x8000, 0x2000)).at_instruction(2);
    vcpu.state.shadow = true;
    vcpu
}

fn real() -> ScriptedVcpu {
    let mut vcpu = long();
    vcpu.state.cpu = CpuState::real_mode(0, 0x1000);
    vcpu
}

#[test]
fn values_go_where_the_instruction_puts_them() {
    let mut vcpu = long();
    vcpu.state.cpu.gprs.rax = u64::MAX;
    vcpu.complete_cpuid([1, 2, 3, 4]).unwrap();
    let gprs = vcpu.state.cpu.gprs;
    assert_eq!((gprs.rax, gprs.rbx, gprs.rcx, gprs.rdx), (1, 2, 3, 4));
    assert_eq!((vcpu.state.cpu.rip, vcpu.state.shadow, vcpu.events.pending()), (RIP + 2, false, None));
    vcpu.complete_rdtscp(0x1122_3344_5566_7788, 9).unwrap();
    let gprs = vcpu.state.cpu.gprs;
    assert_eq!((gprs.rax, gprs.rdx, gprs.rcx), (0x5566_7788, 0x1122_3344, 9));
    vcpu.state.cpu.gprs.rax = u64::MAX;
    vcpu.complete_in(IoSize::Byte, 0x1234).unwrap();
    assert_eq!(vcpu.state.cpu.gprs.rax, 0xffff_ffff_ffff_ff34);
    vcpu.complete_in(IoSize::Dword, 0x1234).unwrap();
    assert_eq!(vcpu.state.cpu.gprs.rax, 0x1234);
    vcpu.complete_register(Gpr::Rsp, u64::MAX).unwrap();
    assert_eq!(vcpu.state.cpu.rsp, u64::MAX);
    vcpu.complete_random(Gpr::R9, OperandSize::Bits32, Some(u64::MAX)).unwrap();
    assert_eq!((vcpu.state.cpu.gprs.r9, vcpu.state.cpu.rflags.cf()), (0xffff_ffff, true));
    vcpu.complete_random(Gpr::R9, OperandSize::Bits64, None).unwrap();
    assert_eq!((vcpu.state.cpu.gprs.r9, vcpu.state.cpu.rflags.cf()), (0, false));
    let mut vcpu = real();
    vcpu.complete_register(Gpr::Rbx, u64::MAX).unwrap();
    assert_eq!(vcpu.state.cpu.gprs.rbx, 0xffff_ffff);
}

#[test]
fn what_cannot_be_skipped_is_not_done() {
    let mut vcpu = long().without_next_rip();
    let before = vcpu.state.cpu;
    assert_eq!(vcpu.complete_cpuid([1; 4]), Err(SkipError::NotReported));
    assert_eq!(vcpu.complete_edx_eax(1), Err(SkipError::NotReported));
    let clts = vcpu.complete_control_register(ControlRegisterAccess::Clts);
    assert_eq!(clts, Err(CompleteError::Skip(SkipError::NotReported)));
    assert_eq!(vcpu.complete_xsetbv(0, 3), Err(CompleteError::Skip(SkipError::NotReported)));
    assert_eq!((vcpu.state.cpu, vcpu.state.xcr0, vcpu.state.shadow), (before, 1, true));
}

#[test]
fn a_single_step_traps_behind_the_instruction() {
    let mut vcpu = long();
    vcpu.state.cpu.rflags = Rflags::new().with_tf(true);
    vcpu.skip_instruction().unwrap();
    assert_eq!((vcpu.events.pending(), vcpu.events.pending_debug()), (None, 1 << 14));
    // An NMI that was injected comes first, and the step is not lost.
    let mut vcpu = long();
    vcpu.state.cpu.rflags = Rflags::new().with_tf(true);
    vcpu.events.inject(Event::Nmi).unwrap();
    vcpu.skip_instruction().unwrap();
    assert_eq!((vcpu.events.pending(), vcpu.events.pending_debug()), (Some(Event::Nmi), 1 << 14));
}

#[test]
fn rip_wraps_by_mode() {
    let mut vcpu = long();
    vcpu.state.cpu.rip = 0xffff_fffe;
    vcpu.skip_bytes(3);
    assert_eq!(vcpu.state.cpu.rip, 0x1_0000_0001);
    vcpu.state.cpu.cs.rights = SegmentAccessRights::CODE32;
    vcpu.state.cpu.rip = 0xffff_fffe;
    vcpu.skip_bytes(3);
    assert_eq!(vcpu.state.cpu.rip, 1);
}

#[test]
fn exceptions_have_the_code_of_the_mode_and_set_rf_and_cr2() {
    let mut vcpu = long();
    vcpu.raise(Exception::general_protection(0x18)).unwrap();
    assert_eq!(vcpu.events.pending(), Some(Event::Exception(Exception::general_protection(0x18))));
    assert!(vcpu.state.cpu.rflags.rf());
    assert_eq!((vcpu.state.cpu.rip, vcpu.state.shadow), (RIP, true));
    assert!(matches!(vcpu.raise(Exception::INVALID_OPCODE), Err(InjectError::Pending(_))));
    let mut vcpu = real();
    vcpu.raise(Exception::general_protection(0x18)).unwrap();
    assert_eq!(vcpu.events.pending(), Some(Event::Exception(Exception { vector: 13, error_code: None })));
    let mut vcpu = long();
    vcpu.raise(Exception::DEBUG).unwrap();
    assert!(!vcpu.state.cpu.rflags.rf());
    let mut vcpu = long();
    let fault = GuestFault::Page { gva: Gva::new(0x5678), error_code: PageFaultErrorCode::new().with_wr(true) };
    assert_eq!(vcpu.raise_fault(&fault), Ok(true));
    assert_eq!((vcpu.state.cpu.cr2, vcpu.events.pending()), (0x5678, Some(Event::Exception(Exception::page_fault(2)))));
    assert_eq!(long().raise_fault(&GuestFault::Contended { gva: Gva::new(0) }), Ok(false));
}

#[test]
fn control_registers_change_or_raise_gp() {
    let move_to = |register| ControlRegisterAccess::Move { register, access: RegisterAccess::Write(Gpr::Rbx) };
    let mut vcpu = long();
    vcpu.state.cpu.cr0 = Cr0::from(0x8000_003b);
    vcpu.complete_control_register(ControlRegisterAccess::Clts).unwrap();
    assert_eq!((vcpu.state.cpu.cr0.into_bits(), vcpu.state.cpu.rip), (0x8000_0033, RIP + 2));
    vcpu.complete_control_register(ControlRegisterAccess::Lmsw { source: 0xfff8 }).unwrap();
    assert_eq!(vcpu.state.cpu.cr0.into_bits(), 0x8000_0039);
    let read = ControlRegisterAccess::Move { register: ControlRegister::Cr0, access: RegisterAccess::Read(Gpr::Rcx) };
    vcpu.complete_control_register(read).unwrap();
    assert_eq!(vcpu.state.cpu.gprs.rcx, 0x8000_0039);
    let destination = Operand::Register(Gpr::Rdx);
    vcpu.state.cpu.gprs.rdx = u64::MAX;
    vcpu.complete_control_register(ControlRegisterAccess::Smsw { destination, size: OperandSize::Bits16 }).unwrap();
    assert_eq!(vcpu.state.cpu.gprs.rdx, 0xffff_ffff_ffff_0039);
    // CR3.63 with PCIDs is not stored.
    vcpu.state.cpu.cr4.set_pcide(true);
    vcpu.state.cpu.gprs.rbx = 1 << 63 | 0x5000;
    vcpu.complete_control_register(move_to(ControlRegister::Cr3)).unwrap();
    assert_eq!(vcpu.state.cpu.cr3, 0x5000);
    let rip = vcpu.state.cpu.rip;
    vcpu.complete_control_register(move_to(ControlRegister::Cr4)).unwrap();
    let gp = Some(Event::Exception(Exception::general_protection(0)));
    assert_eq!((vcpu.events.pending(), vcpu.state.cpu.rip), (gp, rip));
    let mut vcpu = long();
    vcpu.complete_xsetbv(0, 3).unwrap();
    assert_eq!((vcpu.state.xcr0, vcpu.events.pending()), (3, None));
    vcpu.complete_xsetbv(1, 3).unwrap();
    assert_eq!((vcpu.state.xcr0, vcpu.events.pending(), vcpu.state.cpu.rip), (3, gp, RIP + 2));
}
