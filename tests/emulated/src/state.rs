//! Guests that are saved at every exit, and go on in another virtual processor: here, and on another machine.

pub(crate) mod carry;

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use x86_virt::{
    Activity, AnyVcpu, CpuState, DescriptorTable, Event, Exception, ExitKind, ExtendedState, Gpa, GuestRam, IoSize,
    Mapping, MsrAccess, PageSize, Ports, RegisterAccess, Root, Space, StateComponent, StateError, SwitchedMsr, Vcpu,
    VcpuConfig, VcpuState,
};

use crate::bench::{Bench, Frames};
use crate::code;
use crate::feature::{Feature, has};
use crate::guest::{CODE, GDT, HANDLERS, IDT, STACK, TABLES, load, page, space};
use crate::harness::{Failure, Outcome, ensure, ensure_eq, fail};

/// The guest's data, the word that says what to leave out, and its two bits.
const DATA: u64 = 0xb000;
const FLAGS: u64 = 0xb100;
const USES_AVX: u32 = 1;
const INTERRUPTS_SOFTWARE_INTERRUPT: u32 = 2;
/// The page that is not there at first.
const LATE: u64 = 0xc000;
/// The page-directory-pointer table of PAE paging. The page directory is the one of [`load`].
const PDPT: u64 = 0x1800;
/// Selector of 32-bit code.
const CODE32: u64 = 24;

/// In what mode the guest runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Real,
    Protected,
    Pae,
    Long,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Real, Self::Protected, Self::Pae, Self::Long];

    /// Those that this machine can run. QEMU's TCG sets an accessed flag in the entries of a page-directory-pointer table, where it is a
    /// reserved bit: the library finds no instruction behind such an entry to decode.
    fn here() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| *kind != Self::Pae || has(Feature::ExactPageWalks))
    }

    fn code(self) -> &'static [u8] {
        match self {
            Self::Real => code::state_real(),
            Self::Protected | Self::Pae => code::state_protected(),
            Self::Long => code::state_long(),
        }
    }

    /// The page that the delivery of an event reads first.
    const fn idt(self) -> u64 {
        if matches!(self, Self::Real) { 0 } else { IDT }
    }

    /// Before the first instruction.
    fn state(self, has_avx: bool) -> VcpuState {
        let (esp, cr3) = (0xaf00, 0x1800);
        let mut cpu = match self {
            Self::Real => CpuState { rsp: STACK, ..CpuState::real_mode(0x800, 0) },
            Self::Protected => CpuState::protected_mode(0x8000, esp),
            Self::Pae => CpuState::pae_mode(0x8000, esp, cr3),
            Self::Long => CpuState::long_mode(CODE, STACK, TABLES),
        };
        if self != Self::Real {
            cpu.gdtr = DescriptorTable { base: GDT, limit: 0x1f };
            cpu.idtr = DescriptorTable { base: IDT, limit: 0xfff };
        }
        if matches!(self, Self::Protected | Self::Pae) {
            cpu.cs.selector = 24;
        }
        cpu.fs.base = DATA;
        if self == Self::Real {
            cpu.fs.selector = 0xb00;
        }
        cpu.cr4 = cpu.cr4.with_osfxsr(true).with_osxmmexcpt(true).with_osxsave(has_avx);
        let mut state = VcpuState::new(cpu);
        state.breakpoints = [0x1000, 0x2000, 0x3000, 0x1234_5678];
        state.msrs.set(SwitchedMsr::KernelGsBase, 0x1_2345_6789);
        state.msrs.set(SwitchedMsr::Lstar, 0xffff_8000_1234_5678);
        state.cr8 = 3;
        if has_avx {
            state.xcr0 = 7;
        }
        state
    }

    /// Fills `ram` with the code, its data, and handlers that tell the host their vector.
    fn load(self, ram: &GuestRam<'_>, flags: u32) -> Outcome {
        load(ram, self.code())?;
        ram.write(PDPT, &0x3001_u64.to_le_bytes())?;
        if self != Self::Long {
            for vector in 0..=u8::MAX {
                let index = u64::from(vector);
                let handler = HANDLERS + 16 * index;
                // OUT to the port with the number of the vector, then IRET.
                ram.write(handler, &[0xe6, vector, 0xcf])?;
                if self == Self::Real {
                    let far = (16 * index) | ((HANDLERS >> 4) << 16);
                    ram.write(4 * index, far.to_le_bytes().get(..4).unwrap_or_default())?;
                } else {
                    let gate = (handler & 0xffff) | (CODE32 << 16) | (0x8e00 << 32);
                    ram.write(IDT + 8 * index, &gate.to_le_bytes())?;
                }
            }
        }
        for (number, at) in (1_u16..).zip((DATA..FLAGS).step_by(4)) {
            ram.write(at, &f32::from(number).to_le_bytes())?;
        }
        ram.write(FLAGS, &flags.to_le_bytes())?;
        // MXCSR and the x87 control word that the guest loads.
        ram.write(FLAGS + 4, &0x1fa0_u32.to_le_bytes())?;
        ram.write(FLAGS + 8, &0x027f_u16.to_le_bytes())?;
        Ok(())
    }
}

/// What the guest has printed: ports and values.
#[derive(Default)]
struct Output {
    printed: Vec<u8>,
    /// What the guest has just asked for.
    action: Option<u32>,
}

impl Ports for Output {
    fn read(&mut self, _: u16, size: IoSize) -> u32 {
        0x0403_0201 & size.mask()
    }

    fn write(&mut self, port: u16, size: IoSize, value: u32) {
        if port == 0x30 {
            self.action = Some(value);
        }
        self.printed.extend(port.to_le_bytes());
        self.printed.extend(value.to_le_bytes().get(..usize::from(size.bytes())).unwrap_or_default());
    }
}

/// A guest that is driven from exit to exit.
struct Run<'r, 's> {
    kind: Kind,
    vcpu: AnyVcpu<'r, 's, 'static, Frames>,
    space: &'s Space<'static, Frames>,
    ram: GuestRam<'static>,
    output: Output,
}

impl<'r, 's> Run<'r, 's> {
    fn new(
        kind: Kind,
        root: &'r mut Root<'_, Frames>,
        space: &'s Space<'static, Frames>,
        ram: GuestRam<'static>,
        state: &VcpuState,
        output: Output,
    ) -> Outcome<Self> {
        let vcpu = make(root, space, state)?;
        Ok(Self { kind, vcpu, space, ram, output })
    }

    /// Runs to the next exit that is the guest's.
    fn run(&mut self) -> Outcome<ExitKind> {
        loop {
            match self.vcpu.run()?.kind {
                ExitKind::HostInterrupt | ExitKind::HostNmi => {}
                kind => return Ok(kind),
            }
        }
    }

    /// Answers an exit. False at the end of the guest.
    fn answer(&mut self, kind: ExitKind) -> Outcome<bool> {
        let vcpu = &mut self.vcpu;
        match kind {
            ExitKind::Cpuid => vcpu.complete_cpuid([0x1111_1111, 0x2222_2222, 0x3333_3333, 0x4444_4444])?,
            ExitKind::Io(io) => {
                io.complete(vcpu, self.space, &mut self.output)?;
                self.act()?;
            }
            ExitKind::WriteMsr { msr: 0x176, value } => {
                vcpu.set_msr(SwitchedMsr::SysenterEip, value)?;
                vcpu.skip_instruction()?;
            }
            ExitKind::ReadMsr(0x176) => {
                let value = vcpu.msr(SwitchedMsr::SysenterEip);
                vcpu.complete_edx_eax(value)?;
            }
            ExitKind::ControlRegister(access) => vcpu.complete_control_register(access)?,
            ExitKind::DebugRegister { number: 3, access: RegisterAccess::Read(destination) } => {
                let [.., value] = vcpu.breakpoints();
                vcpu.complete_register(destination, value)?;
            }
            ExitKind::NestedFault(fault) => {
                let page = page(fault.gpa.align_down(PageSize::Size4K).get());
                let mapping = Mapping::new(x86_virt::Access::ALL).largest(PageSize::Size4K);
                self.space.map(page.clone(), &self.ram, page.start.get(), mapping)?;
            }
            ExitKind::Hlt => {
                vcpu.skip_instruction()?;
                if !vcpu.interruptibility().interrupts_enabled {
                    return Ok(false);
                }
                vcpu.inject(Event::Interrupt(0x42))?;
            }
            kind => fail!("{kind:x?} at {:#x}", self.vcpu.rip()),
        }
        Ok(true)
    }

    /// Does what the guest has asked for. Events find the IDT missing, so that exits interrupt their delivery.
    fn act(&mut self) -> Outcome {
        let Some(action) = self.output.action.take() else { return Ok(()) };
        self.space.unmap(page(self.kind.idt()))?.at_next_entry();
        match action {
            1 => self.vcpu.inject(Event::Interrupt(0x40))?,
            2 => self.vcpu.inject(Event::Exception(Exception::INVALID_OPCODE))?,
            3 => self.vcpu.inject(Event::Nmi)?,
            _ => {}
        }
        Ok(())
    }
}

fn make<'r, 's>(
    root: &'r mut Root<'_, Frames>,
    space: &'s Space<'static, Frames>,
    state: &VcpuState,
) -> Outcome<AnyVcpu<'r, 's, 'static, Frames>> {
    let mut vcpu = root.vcpu(space, &VcpuConfig::new())?;
    vcpu.restore(state)?;
    vcpu.pass_msr(SwitchedMsr::KernelGsBase, MsrAccess::ReadWrite);
    Ok(vcpu)
}

/// Memory for a guest of that kind, of which a page is missing.
fn memory(kind: Kind, root: &Root<'_, Frames>, ram: &GuestRam<'static>, flags: u32) -> Outcome<Space<'static, Frames>> {
    kind.load(ram, flags)?;
    let space = space(root, ram)?;
    space.unmap(page(LATE))?.at_next_entry();
    Ok(space)
}

/// What this machine has of what the guest uses.
fn flags(kind: Kind) -> u32 {
    let avx = if kind != Kind::Real && has(Feature::Avx) { USES_AVX } else { 0 };
    let software = if has(Feature::SoftwareInterruptInformation) { INTERRUPTS_SOFTWARE_INTERRUPT } else { 0 };
    avx | software
}

/// The state after it went through bytes.
fn through_bytes(state: &VcpuState) -> Outcome<VcpuState> {
    let mut buffer = vec![0; VcpuState::MAX_BYTES];
    Ok(VcpuState::from_bytes(state.to_bytes(&mut buffer)?)?)
}

/// Runs to the end. Before each exit is answered, another virtual processor takes the place of the one that ran, with its state, and comes
/// to the same exit.
pub(crate) fn goes_on_after_every_exit(bench: &Bench) -> Outcome {
    for kind in Kind::here() {
        compare(bench, kind).map_err(|why| Failure::new(format!("{kind:?}: {why}")))?;
    }
    Ok(())
}

/// What a guest does that is not disturbed: the names of its exits, what it prints, and its state at the end.
struct Plain {
    exits: Vec<&'static str>,
    printed: Vec<u8>,
    end: VcpuState,
}

fn run_plainly(bench: &Bench, kind: Kind, flags: u32, root: &mut Root<'_, Frames>) -> Outcome<Plain> {
    let ram = bench.ram();
    let space = memory(kind, root, &ram, flags)?;
    let mut run = Run::new(kind, root, &space, ram, &kind.state(flags & USES_AVX != 0), Output::default())?;
    let mut exits = Vec::new();
    loop {
        let exit = run.run()?;
        exits.push(exit.name());
        if !run.answer(exit)? {
            break;
        }
    }
    let mut end = VcpuState::default();
    run.vcpu.save(&mut end);
    Ok(Plain { exits, printed: run.output.printed, end })
}

fn compare(bench: &Bench, kind: Kind) -> Outcome {
    let flags = flags(kind);
    let mut root = bench.enter()?;
    let plain = run_plainly(bench, kind, flags, &mut root)?;
    ensure!(plain.exits.len() > 30, "only {} exits: {:?}", plain.exits.len(), plain.exits);

    let ram = bench.ram();
    let space = memory(kind, &root, &ram, flags)?;
    let mut output = Output::default();
    let mut state = kind.state(flags & USES_AVX != 0);
    for name in plain.exits {
        // Here it is stopped. The next one is to come to the same exit.
        let stopped = through_bytes(&stop(kind, &mut root, &space, ram, &state, name)?)?;
        let mut run = Run::new(kind, &mut root, &space, ram, &stopped, output)?;
        let mut restored = VcpuState::default();
        run.vcpu.save(&mut restored);
        ensure!(restored == stopped, "restored at {name}: {}", stopped.differences(&restored));
        let again = run.run()?;
        ensure_eq!(again.name(), name, "exit at {:#x} of one that was restored", run.vcpu.rip());
        run.answer(again)?;
        run.vcpu.save(&mut state);
        output = run.output;
    }
    ensure!(output.printed == plain.printed, "printed {:x?}, expected {:x?}", output.printed, plain.printed);
    ensure!(state == plain.end, "at the end: {}", plain.end.differences(&state));
    Ok(())
}

/// Runs a virtual processor in `state` to its next exit, which is of the kind `name`, and returns its state there.
fn stop(
    kind: Kind,
    root: &mut Root<'_, Frames>,
    space: &Space<'static, Frames>,
    ram: GuestRam<'static>,
    state: &VcpuState,
    name: &str,
) -> Outcome<VcpuState> {
    let mut run = Run::new(kind, root, space, ram, state, Output::default())?;
    let exit = run.run()?;
    ensure_eq!(exit.name(), name, "exit at {:#x} of one that goes on", run.vcpu.rip());
    let mut stopped = VcpuState::default();
    run.vcpu.save(&mut stopped);
    Ok(stopped)
}

/// What this processor cannot have is refused, and nothing is changed.
pub(crate) fn what_cannot_be_is_refused(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    let space = memory(Kind::Long, &root, &ram, 0)?;
    let good = Kind::Long.state(false);
    let mut vcpu = make(&mut root, &space, &good)?;
    let mut before = VcpuState::default();
    vcpu.save(&mut before);
    ensure!(before == good, "after the first: {}", good.differences(&before));
    let mut other = good.clone();
    other.cpu.rip = 0x1234;
    other.cpu.gprs.rax = 5;
    other.activity = Activity::WaitForSipi;
    let change = |change: fn(&mut VcpuState)| {
        let mut state = other.clone();
        change(&mut state);
        state
    };
    let opmask = |state: &mut VcpuState| {
        let mut extended = ExtendedState::new();
        // It is as long as the component.
        let _done = extended.set_component(StateComponent::Opmask, &[1; 64]);
        state.extended = Some(extended);
    };
    let mxcsr = |state: &mut VcpuState| {
        let mut extended = ExtendedState::new();
        extended.set_mxcsr(0x1_0000);
        state.extended = Some(extended);
    };
    let bits = |register, value, bits| StateError::Bits { register, value, bits };
    for (state, expected) in [
        (change(opmask), Some(StateError::Component(StateComponent::Opmask))),
        (change(mxcsr), Some(bits("MXCSR", 0x1_0000, 0x1_0000))),
        (change(|state| state.xcr0 = 0xe7), None),
        (change(|state| state.cpu.cr4 = 0x1_0000_0020.into()), Some(bits("CR4", 0x1_0000_0020, 0x1_0000_0000))),
        (change(|state| state.cpu.cr3 = 1 << 60), Some(bits("CR3", 1 << 60, 1 << 60))),
        (change(|state| state.cpu.cr0 = 0x1_8000_0031.into()), Some(bits("CR0", 0x1_8000_0031, 1 << 32))),
        (change(|state| state.cpu.dr7 = 0x1400), Some(bits("DR7", 0x1400, 0x1000))),
        (change(|state| state.cpu.rip = 1 << 50), Some(StateError::NonCanonical { register: "RIP", value: 1 << 50 })),
        (change(|state| state.event = Some(Event::Exception(Exception { vector: 13, error_code: None }))), None),
    ] {
        let Err(error) = vcpu.restore(&state) else { fail!("taken: {}", good.differences(&state)) };
        ensure!(expected.is_none_or(|expected| expected == error), "{error}, expected {expected:?}");
        let mut after = VcpuState::default();
        vcpu.save(&mut after);
        ensure!(after == before, "after {error}: {}", before.differences(&after));
    }
    Ok(())
}

/// A virtual processor that does not run: one that waits for a start-up IPI gets it, one that is halted an event.
pub(crate) fn activities(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    // At 8000H: HLT.
    let space = memory(Kind::Real, &root, &ram, 0)?;
    ram.write(CODE, &[0xf4])?;
    let mut state = VcpuState::reset(0x1234);
    state.init(0x1234, x86_virt::ProcessorRole::Application);
    let mut vcpu = make(&mut root, &space, &state)?;
    ensure!(vcpu.run().is_err(), "a processor that waits for a start-up IPI has run");
    vcpu.save(&mut state);
    ensure_eq!(state.activity, Activity::WaitForSipi, "activity");
    ensure!(state.start_up(8), "the start-up IPI was ignored");
    vcpu.restore(&state)?;
    ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit after the start-up IPI");
    ensure_eq!(vcpu.rip(), 0, "RIP");
    // Halted behind the HLT, with the vector that ends it.
    vcpu.skip_instruction()?;
    vcpu.save(&mut state);
    state.cpu.idtr = DescriptorTable { base: 0, limit: 0x3ff };
    state.cpu.rsp = STACK;
    state.cpu.rflags.set_if(true);
    state.activity = Activity::Halted;
    vcpu.restore(&state)?;
    ensure_eq!(vcpu.activity(), Activity::Halted, "activity");
    vcpu.inject(Event::Interrupt(0x42))?;
    let ExitKind::Io(io) = vcpu.run()?.kind else { fail!("no handler at {:#x}", vcpu.rip()) };
    ensure_eq!(io.port, 0x42, "handler");
    ensure_eq!(vcpu.activity(), Activity::Running, "activity in the handler");
    let mut frame = [0; 2];
    ram.read(vcpu.rsp(), &mut frame)?;
    ensure_eq!(u16::from_le_bytes(frame), 1, "IP on the stack");
    ensure_eq!(vcpu.control(x86_virt::ControlRegister::Cr8), 0, "CR8 after INIT");
    ensure_eq!(space.translate(Gpa::new(LATE)), None, "the page that is missing");
    Ok(())
}
