//! The local APIC that the processor virtualizes: CR8, registers in memory and in MSRs, and interrupts.
#![expect(unsafe_code, reason = "reads CR8 of the host")]

mod interrupts;

use alloc::vec::Vec;

use x86_virt::vmx::{ApicOffset, ApicVectors, SecondaryControls, VirtualApic, VmxVcpu};
use x86_virt::{
    Access, AnyVcpu, ApicAccess, ApicAccessKind, ApicError, ApicInterface, ApicVirtualization, ControlRegister,
    ControlRegisterAccess, CpuState, Event, ExitKind, Gpa, GuestApic as _, InterruptRequest, Mapping, Mmio, MmioDevice,
    OperandSize, PageSize, Vcpu, VcpuConfig,
};

use crate::bench::{Bench, Frames};
use crate::guest::{CODE, Guest, HANDLERS, Mode, load, page, space};
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::life_cycle::{park, unpark};

pub(crate) use self::interrupts::{
    a_delivery_is_interrupted, interrupts_by_priority, interrupts_in_memory, interrupts_wait, requests_are_handed_over,
    self_ipi_and_eoi, state_is_restored,
};

type Vmx<'r, 's> = VmxVcpu<'r, 's, 'static, Frames>;

/// Where the guest has the registers in memory, and the page of its memory that is there.
const BASE: u64 = 0x1000_0000;
const ACCESS_PAGE: u64 = 0x7_0000;

const NOP: u8 = 0x90;
const HLT: u8 = 0xf4;
/// MOV CR8, RAX; MOV CR8, RBX; MOV RCX, CR8.
const SET: [u8; 4] = [0x44, 0x0f, 0x22, 0xc0];
const SET_AGAIN: [u8; 4] = [0x44, 0x0f, 0x22, 0xc3];
const GET: [u8; 4] = [0x44, 0x0f, 0x20, 0xc1];
/// MOV EAX, [RSI]; MOV [RSI], EBX.
const LOAD: [u8; 2] = [0x8b, 0x06];
const STORE: [u8; 2] = [0x89, 0x1e];
const RDMSR: [u8; 2] = [0x0f, 0x32];
const WRMSR: [u8; 2] = [0x0f, 0x30];

const CR8: ApicVirtualization = ApicVirtualization::new(ApicInterface::Cr8);
const MEMORY: ApicVirtualization = ApicVirtualization::new(ApicInterface::Memory);
const MSRS: ApicVirtualization = ApicVirtualization::new(ApicInterface::Msrs);
/// All that a processor may do of an x2APIC.
const ALL: ApicVirtualization = MSRS.with_registers().with_interrupts();

/// The host's CR8.
fn host_cr8() -> u64 {
    let value: u64;
    // SAFETY: privilege level 0.
    unsafe { core::arch::asm!("mov {}, cr8", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

fn vmx<'g, 'r, 's>(guest: &'g mut Guest<'r, 's>) -> Outcome<&'g mut Vmx<'r, 's>> {
    match &mut guest.vcpu {
        AnyVcpu::Vmx(vcpu) => Ok(vcpu),
        _ => fail!("no VMX"),
    }
}

/// Calls `test` with a guest that has such an APIC. A processor that cannot do it says what it lacks.
fn with_apic(
    bench: &Bench,
    code: &[&[u8]],
    wanted: ApicVirtualization,
    test: impl FnOnce(&mut Guest<'_, '_>) -> Outcome,
) -> Outcome {
    bench.with_guest(Mode::Long, &code.concat(), &VcpuConfig::new(), |guest| {
        let access_page = guest.ram.slice(ACCESS_PAGE, 0x1000)?;
        guest.space.map(page(BASE), &access_page, 0, Mapping::new(Access::ALL).largest(PageSize::Size4K))?;
        let enabled = guest.vcpu.enable_virtual_apic(&bench.frames, Some(&access_page), wanted);
        let secondary = vmx(guest)?.capabilities().secondary().may_be_one();
        let needs = [
            (wanted.interface == ApicInterface::Memory, SecondaryControls::VIRTUALIZE_APIC_ACCESSES),
            (wanted.interface == ApicInterface::Msrs, SecondaryControls::VIRTUALIZE_X2APIC_MODE),
            (wanted.virtualizes_registers, SecondaryControls::APIC_REGISTER_VIRTUALIZATION),
            (wanted.delivers_interrupts, SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY),
        ];
        if needs.into_iter().any(|(is_needed, control)| is_needed && !secondary.contains(control)) {
            ensure!(enabled.is_err(), "{wanted:?} on a processor that cannot do it");
            ensure_eq!(guest.vcpu.apic_virtualization(), None, "the virtual APIC after an error");
            return Ok(());
        }
        enabled?;
        ensure_eq!(guest.vcpu.apic_virtualization(), Some(wanted), "what is virtualized");
        let host = host_cr8();
        test(guest)?;
        ensure_eq!(host_cr8(), host, "CR8 of the host");
        Ok(())
    })
}

impl Guest<'_, '_> {
    fn restart(&mut self, change: impl FnOnce(&mut CpuState)) -> Outcome {
        let mut state = Mode::Long.state();
        change(&mut state);
        Ok(self.vcpu.set_state(&state)?)
    }

    fn apic(&self, offset: ApicOffset) -> Outcome<u64> {
        self.vcpu.apic_register(offset.into_bits()).ok_or_else(|| unreachable_register(offset))
    }

    fn set_apic(&mut self, offset: ApicOffset, value: u64) -> Outcome {
        Ok(self.vcpu.set_apic_register(offset.into_bits(), value)?)
    }

    /// The vectors that are requested and in service, from the highest down.
    fn vectors(&mut self) -> Outcome<[Vec<u8>; 2]> {
        let Some(apic) = vmx(self)?.virtual_apic() else { fail!("no virtual APIC") };
        let vectors = [ApicVectors::Requested, ApicVectors::InService];
        Ok(vectors.map(|register| apic.page().vectors(register).iter().collect()))
    }

    /// From the handler of the vector back to what it interrupted, to the next exit.
    fn end_handler(&mut self, vector: u8) -> Outcome {
        ensure_eq!(self.vcpu.rip(), HANDLERS + 16 * u64::from(vector), "RIP in the handler of {vector:#x}");
        Ok(self.vcpu.skip_instruction()?)
    }
}

fn unreachable_register(offset: ApicOffset) -> crate::harness::Failure {
    crate::harness::Failure::new(alloc::format!("no register {offset}"))
}

/// The guest reads and writes CR8 without an exit, and the host's is as before. Without the virtual APIC it ends runs again.
pub(crate) fn cr8_needs_no_exit(bench: &Bench) -> Outcome {
    with_apic(bench, &[&SET, &GET, &[HLT]], CR8, |guest| {
        guest.vcpu.gprs_mut().rax = 5;
        guest.expect(ExitKind::Hlt)?;
        ensure_eq!(guest.vcpu.gprs().rcx, 5, "CR8 as the guest reads it");
        ensure_eq!(guest.vcpu.control(ControlRegister::Cr8), 5, "CR8 as the host reads it");
        ensure_eq!(guest.apic(ApicOffset::TPR)?, 0x50, "TPR");
        guest.vcpu.set_control(ControlRegister::Cr8, 9)?;
        guest.restart(|state| state.rip = CODE + 4)?;
        guest.expect(ExitKind::Hlt)?;
        ensure_eq!(guest.vcpu.gprs().rcx, 9, "CR8 that the host has set");

        let apic = vmx(guest)?.take_virtual_apic();
        ensure!(apic.is_some(), "the virtual APIC is gone");
        ensure_eq!(guest.vcpu.control(ControlRegister::Cr8), 9, "CR8 without the virtual APIC");
        guest.restart(|state| state.gprs.rax = 3)?;
        let exit = guest.run()?;
        let ExitKind::ControlRegister(access @ ControlRegisterAccess::Move { register: ControlRegister::Cr8, .. }) =
            exit.kind
        else {
            fail!("{:x?} in place of an exit of CR8", exit.kind)
        };
        guest.vcpu.complete_control_register(access)?;
        ensure_eq!(guest.vcpu.control(ControlRegister::Cr8), 3, "CR8 that the guest has set");
        Ok(())
    })
}

/// An interrupt that was asked for comes behind the instruction that lowers the task priority, and nothing tells of it.
pub(crate) fn an_interrupt_waits_for_cr8(bench: &Bench) -> Outcome {
    const VECTOR: u8 = 0x40;
    with_apic(bench, &[&SET, &SET_AGAIN, &[NOP, HLT]], CR8, |guest| {
        guest.enable_interrupts();
        guest.vcpu.set_control(ControlRegister::Cr8, 9)?;
        (guest.vcpu.gprs_mut().rax, guest.vcpu.gprs_mut().rbx) = (4, 3);
        guest.vcpu.request_interrupt(InterruptRequest::fixed(VECTOR));
        guest.expect_handler(VECTOR)?;
        ensure_eq!(guest.stacked(0)?, CODE + 8, "RIP on the stack");
        ensure_eq!(guest.vcpu.accepted_interrupt(), Some(VECTOR), "accepted interrupt");
        guest.return_to_hlt(Event::Interrupt(VECTOR), CODE + 9)?;

        // One that was taken back does not come, and the threshold that is left behind is no exit.
        guest.restart(|state| (state.gprs.rax, state.gprs.rbx) = (2, 8))?;
        guest.enable_interrupts();
        guest.vcpu.set_control(ControlRegister::Cr8, 9)?;
        guest.vcpu.request_interrupt(InterruptRequest::fixed(VECTOR));
        guest.vcpu.request_interrupt_window();
        guest.expect(ExitKind::InterruptWindow)?;
        guest.vcpu.withdraw_interrupt();
        guest.expect(ExitKind::Hlt)?;
        ensure_eq!(guest.vcpu.control(ControlRegister::Cr8), 8, "CR8 at the end");
        Ok(())
    })
}

/// The threshold that the host sets ends a run behind the instruction, also of a guest that has no interrupt waiting.
pub(crate) fn a_threshold_ends_a_run(bench: &Bench) -> Outcome {
    with_apic(bench, &[&SET, &SET_AGAIN, &[NOP, HLT]], CR8, |guest| {
        guest.vcpu.set_control(ControlRegister::Cr8, 12)?;
        vmx(guest)?.set_tpr_threshold(8)?;
        (guest.vcpu.gprs_mut().rax, guest.vcpu.gprs_mut().rbx) = (8, 7);
        guest.expect(ExitKind::TprBelowThreshold)?;
        ensure_eq!(guest.vcpu.rip(), CODE + 8, "RIP behind the second instruction");
        ensure_eq!(guest.vcpu.control(ControlRegister::Cr8), 7, "CR8");
        guest.expect(ExitKind::Hlt)?;
        // It is below: it must be lower still.
        guest.restart(|state| (state.gprs.rax, state.gprs.rbx) = (7, 6))?;
        guest.expect(ExitKind::TprBelowThreshold)?;
        ensure_eq!(guest.vcpu.rip(), CODE + 8, "RIP at the second exit");
        vmx(guest)?.set_tpr_threshold(0)?;
        guest.restart(|state| (state.gprs.rax, state.gprs.rbx) = (5, 0))?;
        guest.expect(ExitKind::Hlt)
    })
}

/// A register that is read and written.
struct Register {
    value: u64,
    written: Option<(u64, u64)>,
}

impl MmioDevice for Register {
    fn read(&mut self, _gpa: Gpa, _size: OperandSize) -> u64 {
        self.value
    }

    fn write(&mut self, gpa: Gpa, _size: OperandSize, value: u64) {
        self.written = Some((gpa.get(), value));
    }
}

/// Runs to an access to the APIC, and answers it with `device`.
fn answer_access(guest: &mut Guest<'_, '_>, expected: ApicAccess, device: &mut Register) -> Outcome {
    guest.expect(ExitKind::ApicAccess(expected))?;
    let mmio = Mmio::of_apic_access(&guest.vcpu, guest.space, expected, Gpa::new(BASE))?;
    Ok(mmio.complete(&mut guest.vcpu, guest.space, device)?)
}

/// In memory: the task priority needs no exit, the other registers are the host's part.
pub(crate) fn accesses_in_memory(bench: &Bench) -> Outcome {
    with_apic(bench, &[&LOAD, &STORE, &[HLT]], MEMORY, |guest| {
        guest.set_apic(ApicOffset::ID, 0x0700_0000)?;
        guest.restart(|state| (state.gprs.rsi, state.gprs.rbx) = (BASE + 0x20, 0x300_1234))?;
        let mut device = Register { value: 0x0300_0000, written: None };
        answer_access(guest, ApicAccess { offset: 0x20, kind: ApicAccessKind::Read }, &mut device)?;
        ensure_eq!(guest.vcpu.gprs().rax, 0x0300_0000, "the register that was read");
        answer_access(guest, ApicAccess { offset: 0x20, kind: ApicAccessKind::Write }, &mut device)?;
        ensure_eq!(device.written, Some((BASE + 0x20, 0x300_1234)), "the register that was written");
        guest.expect(ExitKind::Hlt)?;

        guest.set_apic(ApicOffset::TPR, 0x45)?;
        guest.restart(|state| (state.gprs.rsi, state.gprs.rbx) = (BASE + 0x80, 0x67))?;
        guest.expect(ExitKind::Hlt)?;
        ensure_eq!((guest.vcpu.gprs().rax, guest.apic(ApicOffset::TPR)?), (0x45, 0x67), "TPR before and after");
        ensure_eq!(guest.vcpu.control(ControlRegister::Cr8), 6, "CR8");

        // A stack, and code.
        guest.restart(|state| state.rsp = BASE + 0x800)?;
        guest.enable_interrupts();
        guest.vcpu.inject(Event::Interrupt(0x40))?;
        let exit = guest.run()?;
        ensure!(
            matches!(exit.kind, ExitKind::ApicAccess(ApicAccess { kind: ApicAccessKind::EventDelivery, .. })),
            "{:x?} for a stack at the APIC",
            exit.kind
        );
        ensure_eq!(guest.vcpu.pending_event(), Some(Event::Interrupt(0x40)), "the event that waits");
        guest.vcpu.cancel_event();
        let mut left = [0; 4];
        guest.ram.read(ACCESS_PAGE + 0x20, &mut left)?;
        ensure_eq!(left, [0; 4], "the page behind the registers");

        // By MSRs the page is memory.
        if guest.vcpu.set_apic_virtualization(MSRS).is_ok() {
            guest.restart(|state| (state.gprs.rsi, state.gprs.rbx) = (BASE + 0x20, 0x99))?;
            guest.expect(ExitKind::Hlt)?;
            guest.ram.read(ACCESS_PAGE + 0x20, &mut left)?;
            ensure_eq!(left, [0x99, 0, 0, 0], "the page that is memory");
        }
        Ok(())
    })
}

/// In memory with registers: reads come from the page, and a write ends the run when it was made.
pub(crate) fn registers_in_memory(bench: &Bench) -> Outcome {
    with_apic(bench, &[&LOAD, &STORE, &[HLT]], MEMORY.with_registers(), |guest| {
        for (offset, before, after) in [
            (ApicOffset::ID, 0x0100_0000, 0x0200_0000),
            (ApicOffset::LDR, 0, 0x0800_0000),
            (ApicOffset::SVR, 0xff, 0x1ff),
            (ApicOffset::LVT_TIMER, 0x1_0000, 0x2_00ec),
            (ApicOffset::ICT, 0, 100_000),
            (ApicOffset::ICR_LOW, 0, 0xc_00fd),
        ] {
            guest.set_apic(offset, before)?;
            let address = BASE + u64::from(offset.into_bits());
            guest.restart(|state| (state.gprs.rsi, state.gprs.rbx) = (address, after))?;
            guest.expect(ExitKind::ApicWrite(offset.into_bits()))?;
            ensure_eq!(guest.vcpu.gprs().rax, before, "{offset} as it was read");
            ensure_eq!(guest.apic(offset)?, after, "{offset} as it was written");
            ensure_eq!(guest.vcpu.rip(), CODE + 4, "RIP behind the write of {offset}");
            guest.expect(ExitKind::Hlt)?;
        }
        // What the page does not have, and what cannot be written.
        let access = |offset, kind| ExitKind::ApicAccess(ApicAccess { offset, kind });
        guest.restart(|state| state.gprs.rsi = BASE + 0x390)?;
        guest.expect(access(0x390, ApicAccessKind::Read))?;
        guest.restart(|state| state.gprs.rsi = BASE + 0x30)?;
        guest.expect(access(0x30, ApicAccessKind::Write))
    })
}

/// By MSRs: the task priority needs no exit, and with registers no read does but that of the time.
pub(crate) fn registers_in_msrs(bench: &Bench) -> Outcome {
    for wanted in [MSRS, MSRS.with_registers()] {
        with_apic(bench, &[&RDMSR, &WRMSR, &[HLT]], wanted, |guest| {
            guest.set_apic(ApicOffset::TPR, 0x34)?;
            guest.restart(|state| state.gprs.rcx = 0x808)?;
            guest.expect(ExitKind::Hlt)?;
            ensure_eq!((guest.vcpu.gprs().rax, guest.vcpu.gprs().rdx), (0x34, 0), "TPR as it was read");
            guest.restart(|state| {
                (state.gprs.rcx, state.gprs.rax) = (0x808, 0x56);
                state.rip = CODE + 2;
            })?;
            guest.expect(ExitKind::Hlt)?;
            ensure_eq!(guest.apic(ApicOffset::TPR)?, 0x56, "TPR as it was written");
            ensure_eq!(guest.vcpu.control(ControlRegister::Cr8), 5, "CR8");
            for (msr, offset, value) in [
                (0x802, ApicOffset::ID, 7),
                (0x830, ApicOffset::ICR_LOW, 0x3_0000_40fd),
                (0x832, ApicOffset::LVT_TIMER, 0x1_0000),
            ] {
                guest.set_apic(offset, value)?;
                guest.restart(|state| state.gprs.rcx = msr.into())?;
                if wanted.virtualizes_registers {
                    guest.expect(ExitKind::WriteMsr { msr, value })?;
                    ensure_eq!(guest.vcpu.rip(), CODE + 2, "RIP at WRMSR");
                } else {
                    guest.expect(ExitKind::ReadMsr(msr))?;
                }
            }
            for msr in [0x80b, 0x839, 0x80e, 0x83f, 0x850] {
                guest.restart(|state| state.gprs.rcx = u64::from(msr))?;
                guest.expect(ExitKind::ReadMsr(msr))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Without an APIC, and without a page, the errors say so.
pub(crate) fn what_is_missing_is_named(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &[HLT], &VcpuConfig::new(), |guest| {
        ensure_eq!(guest.vcpu.raise_interrupt(0x40), Err(ApicError::NotAttached), "an interrupt without an APIC");
        let vcpu = vmx(guest)?;
        let free = bench.free_frames();
        if vcpu.check_apic_virtualization(MEMORY).is_ok() {
            let result = vcpu.set_virtual_apic(VirtualApic::new(&bench.frames)?, MEMORY);
            ensure_eq!(result, Err(ApicError::NoAccessPage), "registers in memory without a page");
        }
        ensure_eq!(bench.free_frames(), free, "free frames");
        vcpu.set_virtual_apic(VirtualApic::new(&bench.frames)?, CR8)?;
        ensure_eq!(vcpu.raise_interrupt(0x40), Err(ApicError::NoDelivery), "an interrupt that is not delivered");
        ensure_eq!(vcpu.set_eoi_exits([0; 4]), Err(ApicError::NoDelivery), "EOI exits without delivery");
        let refused = Err(ApicError::NoSuchRegister { offset: 0x84 });
        ensure_eq!(vcpu.set_apic_register(0x84, 0), refused, "a register that is none");
        ensure_eq!(vcpu.set_apic_virtualization(MEMORY).is_err(), true, "memory without a page, later");
        guest.expect(ExitKind::Hlt)
    })
}

/// What is requested goes along with a virtual processor that is unloaded and loaded again, and so does what is virtualized.
pub(crate) fn goes_along_when_it_is_unloaded(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &[SET.as_slice(), &[NOP, HLT]].concat())?;
    let space = space(&root, &ram)?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    if vcpu.enable_virtual_apic(&bench.frames, None, ALL).is_err() {
        return Ok(());
    }
    vcpu.set_state(&Mode::Long.state())?;
    vcpu.set_control(ControlRegister::Cr8, 15)?;
    vcpu.raise_interrupt(0x40)?;
    let parked = park(vcpu)?;
    // Another one, without a virtual APIC, runs meanwhile.
    {
        let mut other = root.vcpu(&space, &VcpuConfig::new())?;
        other.set_state(&Mode::Long.state())?;
        let exit = other.run()?;
        ensure!(matches!(exit.kind, ExitKind::ControlRegister(_)), "{:x?} of the other", exit.kind);
    }
    let mut vcpu = unpark(parked, &mut root)?;
    vcpu.set_rflags(vcpu.rflags().with_if(true));
    vcpu.gprs_mut().rax = 0;
    let exit = vcpu.run()?;
    ensure!(matches!(exit.kind, ExitKind::Io(io) if io.port == 0x40), "{:x?} in place of the handler", exit.kind);
    Ok(())
}
