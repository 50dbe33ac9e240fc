//! What a hypervisor made by chance does after an exit: mostly what the exit asks for, and sometimes anything.

use x86_virt::{
    Access, AnyVcpu, ControlRegister, ExitKind, Gpr, GuestControls, GuestTime, Gva, Intercepts, Interruptibility,
    IoSize, Mmio, MmioDevice, MsrAccess, OperandSize, OwnedBits, PauseLoop, PendingDebugExceptions, Ports,
    RegisterAccess, Rflags, SegmentRegister, Space, SwitchedMsr, Vcpu, VcpuState,
};

use super::state;
use crate::bench::Frames;
use crate::differential::Random;

/// What became of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    /// The library did it.
    Done,
    /// The library refused it.
    Refused,
}

impl<T, E> From<Result<T, E>> for Answered {
    fn from(result: Result<T, E>) -> Self {
        if result.is_ok() { Self::Done } else { Self::Refused }
    }
}

/// Devices that read as anything.
struct Devices<'r>(&'r mut Random);

impl Ports for Devices<'_> {
    fn read(&mut self, _: u16, size: IoSize) -> u32 {
        low(self.0) & size.mask()
    }

    fn write(&mut self, _: u16, _: IoSize, _: u32) {}
}

impl MmioDevice for Devices<'_> {
    fn read(&mut self, _: x86_virt::Gpa, _: OperandSize) -> u64 {
        self.0.next()
    }

    fn write(&mut self, _: x86_virt::Gpa, _: OperandSize, _: u64) {}
}

fn low(random: &mut Random) -> u32 {
    let [a, b, c, d, ..] = random.next().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn byte(random: &mut Random) -> u8 {
    let [byte, ..] = random.next().to_le_bytes();
    byte
}

fn gpr(random: &mut Random) -> Gpr {
    Gpr::from_number(random.next())
}

fn operand_size(random: &mut Random) -> OperandSize {
    match random.below(4) {
        0 => OperandSize::Bits8,
        1 => OperandSize::Bits16,
        2 => OperandSize::Bits32,
        _ => OperandSize::Bits64,
    }
}

type Any<'r, 's> = AnyVcpu<'r, 's, 'static, Frames>;

/// Answers an exit.
pub(super) fn answer(
    vcpu: &mut Any<'_, '_>,
    space: &Space<'static, Frames>,
    kind: ExitKind,
    random: &mut Random,
) -> Answered {
    if random.below(8) == 0 {
        return anything(vcpu, random);
    }
    match kind {
        ExitKind::Cpuid => vcpu.complete_cpuid([low(random), 1, 2, 3]).into(),
        ExitKind::Io(io) => io.complete(vcpu, space, &mut Devices(random)).into(),
        ExitKind::ReadMsr(_) | ExitKind::WriteMsr { .. } => msr(vcpu, kind, random),
        ExitKind::ControlRegister(access) => vcpu.complete_control_register(access).into(),
        ExitKind::Xsetbv { register, value } => vcpu.complete_xsetbv(register, value).into(),
        ExitKind::Exception { exception, address: Some(address) } => {
            vcpu.raise_page_fault(address, exception.error_code.unwrap_or(0)).into()
        }
        ExitKind::Exception { exception, address: None } => vcpu.raise(exception).into(),
        ExitKind::NestedFault(fault) => match random.below(4) {
            0 => vcpu.raise_page_fault(fault.gva.unwrap_or(Gva::new(0)), low(random)).into(),
            1 => vcpu.skip_instruction().into(),
            _ => match Mmio::of(vcpu, space, &fault) {
                Ok(mmio) => mmio.complete(vcpu, space, &mut Devices(random)).into(),
                Err(_) => Answered::Refused,
            },
        },
        ExitKind::DebugRegister { access: RegisterAccess::Read(destination), .. } => {
            vcpu.complete_register(destination, random.next()).into()
        }
        ExitKind::DebugRegister { number, access: RegisterAccess::Write(source) } => {
            let value = vcpu.gpr(source);
            match number {
                0..=3 => {
                    let mut breakpoints = vcpu.breakpoints();
                    for slot in breakpoints.iter_mut().skip(number.into()).take(1) {
                        *slot = value;
                    }
                    if vcpu.set_breakpoints(breakpoints).is_err() {
                        return Answered::Refused;
                    }
                }
                4 | 6 => vcpu.set_dr6(value),
                _ => vcpu.set_dr7(value),
            }
            vcpu.skip_instruction().into()
        }
        ExitKind::SoftwareInterrupt(vector) => {
            vcpu.inject(x86_virt::Event::SoftwareInterrupt { vector, length: 2 }).into()
        }
        ExitKind::Rdrand { destination, size } | ExitKind::Rdseed { destination, size } => {
            vcpu.complete_random(destination, size, Some(random.next())).into()
        }
        ExitKind::Rdtscp => vcpu.complete_rdtscp(random.next(), 1).into(),
        ExitKind::Rdtsc => vcpu.complete_time(&kind).into(),
        ExitKind::Rdpmc(_) => vcpu.complete_edx_eax(random.next()).into(),
        ExitKind::Virtualization(_) => vcpu.raise(x86_virt::Exception::INVALID_OPCODE).into(),
        ExitKind::HostInterrupt | ExitKind::HostNmi | ExitKind::Deadline | ExitKind::Kicked => Answered::Done,
        _ => vcpu.skip_instruction().into(),
    }
}

fn msr(vcpu: &mut Any<'_, '_>, kind: ExitKind, random: &mut Random) -> Answered {
    match vcpu.complete_time(&kind) {
        Ok(true) => return Answered::Done,
        Ok(false) => {}
        Err(_) => return Answered::Refused,
    }
    if random.below(4) == 0 {
        return vcpu.raise(x86_virt::Exception::general_protection(0)).into();
    }
    match kind {
        ExitKind::WriteMsr { msr, value } => {
            if msr == 0xc000_0080 {
                vcpu.set_efer(value.into());
            }
            let switched = SwitchedMsr::ALL.into_iter().find(|switched| switched.number() == msr);
            match switched.map(|switched| vcpu.set_msr(switched, value)) {
                Some(Err(_)) => vcpu.raise(x86_virt::Exception::general_protection(0)).into(),
                _ => vcpu.skip_instruction().into(),
            }
        }
        _ => vcpu.complete_edx_eax(random.next()).into(),
    }
}

/// Does one of all things that can be done to a virtual processor.
fn anything(vcpu: &mut Any<'_, '_>, random: &mut Random) -> Answered {
    match random.below(42) {
        0 => vcpu.complete_cpuid([0; 4]).into(),
        1 => vcpu.complete_edx_eax(random.next()).into(),
        2 => vcpu.complete_rdtscp(random.next(), low(random)).into(),
        3 => vcpu.complete_register(gpr(random), random.next()).into(),
        4 => vcpu.complete_random(gpr(random), operand_size(random), None).into(),
        5 => vcpu.complete_in(IoSize::Word, low(random)).into(),
        6 => vcpu.complete_xsetbv(low(random) & 1, random.word(1)).into(),
        7 => vcpu.skip_instruction().into(),
        8 => done(|| vcpu.skip_bytes(byte(random))),
        9 => vcpu.raise(state::exception(random)).into(),
        10 => vcpu.raise_page_fault(Gva::new(state::number(random)), low(random)).into(),
        11..=13 => vcpu.inject(state::event(random)).into(),
        14 => done(|| _ = vcpu.cancel_event()),
        15 => done(|| vcpu.request_nmi()),
        16 => done(|| vcpu.request_interrupt(state::request(random))),
        17 => done(|| vcpu.request_interrupt_window()),
        18 => done(|| vcpu.request_nmi_window()),
        19 => done(|| vcpu.raise_single_step()),
        20 => done(|| vcpu.clear_shadow()),
        21 => done(|| vcpu.set_rip(state::number(random))),
        22 => done(|| vcpu.set_rsp(state::number(random))),
        23 => done(|| vcpu.set_rflags(Rflags::from(random.word(2)))),
        24 | 25 => {
            let register = match random.below(5) {
                0 => ControlRegister::Cr0,
                1 => ControlRegister::Cr2,
                2 => ControlRegister::Cr3,
                3 => ControlRegister::Cr4,
                _ => ControlRegister::Cr8,
            };
            let value = random.word(vcpu.control(register));
            vcpu.set_control(register, value).into()
        }
        26 => {
            let efer = random.word(vcpu.efer().into_bits());
            done(|| vcpu.set_efer(efer.into()))
        }
        27 | 28 => {
            let register = SegmentRegister::from_number(random.next());
            let segment = state::any_segment(vcpu.segment(register), random);
            done(|| vcpu.set_segment(register, segment))
        }
        29 => done(|| vcpu.set_gdtr(x86_virt::DescriptorTable { base: state::number(random), limit: 0xff })),
        30 => done(|| vcpu.set_idtr(x86_virt::DescriptorTable { base: state::number(random), limit: 0xfff })),
        31 => vcpu.set_breakpoints([state::number(random); 4]).into(),
        32 => done(|| vcpu.set_dr6(random.next())),
        33 => done(|| vcpu.set_dr7(random.next())),
        34 => vcpu.set_xcr0(random.word(1)).into(),
        35 => {
            let msr = SwitchedMsr::ALL.into_iter().nth(random.index(SwitchedMsr::ALL.len()));
            let value = state::number(random);
            msr.map_or(Answered::Refused, |msr| vcpu.set_msr(msr, value).into())
        }
        36 => vcpu.set_activity(state::activity(random)).into(),
        37 => {
            let [a, b, c, ..] = random.next().to_le_bytes();
            let blocking = Interruptibility {
                shadow: a & 1 == 0,
                nmi_blocked: b & 1 == 0,
                gif_clear: c < 32,
                ..vcpu.interruptibility()
            };
            done(|| vcpu.set_blocking(blocking))
        }
        38 => done(|| vcpu.set_pending_debug(PendingDebugExceptions::from_bits(random.next() & 0x5_ffff))),
        39 => controls(vcpu, random),
        40 => done(|| vcpu.set_tsc_offset(random.next())),
        _ => {
            let mut state = VcpuState::default();
            vcpu.save(&mut state);
            state::change(&mut state, random);
            vcpu.restore(&state).into()
        }
    }
}

fn done(what: impl FnOnce()) -> Answered {
    what();
    Answered::Done
}

/// Changes what ends a run.
pub(super) fn controls(vcpu: &mut Any<'_, '_>, random: &mut Random) -> Answered {
    let chosen = low(random) & 0x7fff;
    let taken = vcpu.set_intercepts(Intercepts::from_bits(chosen));
    let exceptions = low(random) & low(random);
    vcpu.set_exceptions(if random.below(2) == 0 { 0 } else { exceptions });
    let owned = OwnedBits { cr0: random.next().into(), cr4: random.next().into() };
    vcpu.set_owned_bits(if random.below(2) == 0 { OwnedBits::NONE } else { owned });
    let pause_loop = (random.below(4) == 0).then_some(PauseLoop { gap: 10, window: 50, count: 3 });
    let loops = vcpu.set_pause_loop(pause_loop);
    for msr in SwitchedMsr::ALL {
        if random.below(4) == 0 {
            vcpu.pass_msr(msr, MsrAccess::ReadWrite);
        } else {
            vcpu.intercept_msr(msr.number(), MsrAccess::ReadWrite);
        }
    }
    taken.and(loops).into()
}

/// What a page of the guest can be.
pub(super) fn access(random: &mut Random) -> Access {
    random.one_of(&[Access::NONE, Access::READ, Access::RW, Access::RX, Access::ALL, Access::EXECUTE, Access::WRITE])
}
