//! The exit loop: one for all processors, and for none.

use core::fmt;

use x86_virt::{
    Access, CompleteError, Event, Exception, Exit, ExitKind, GuestMappings, GuestRam, InjectError, IoError, IoSize,
    Mapping, NestedFault, PageSize, Ports, SkipError, Vcpu,
};

/// What the loop needs of the machine under the hypervisor, and tells it.
pub trait Monitor {
    /// There was an exit.
    fn exit<R: fmt::Debug + fmt::Display>(&mut self, exit: &Exit<R>);

    /// A guest has printed a byte.
    fn guest_output(&mut self, byte: u8);

    /// So many exits took so many ticks of [`time`](Self::time).
    fn measured(&mut self, ticks: u64, exits: u64);

    /// A counter that goes up.
    fn time(&self) -> u64;

    /// Whether a triple fault of the guest ends a run: there is one emulator that it stops instead.
    fn may_shut_down(&self) -> bool;
}

/// A guest: its memory, its devices and what was seen of it.
#[derive(Debug)]
pub struct Guest<'a, M, P> {
    memory: &'a M,
    ram: GuestRam<'static>,
    devices: Devices<'a, P>,
    /// The value of the one MSR that the hypervisor gives the guest.
    msr: u64,
}

/// The guest's devices.
#[derive(Debug)]
struct Devices<'a, P> {
    monitor: &'a mut P,
    echo: u32,
    letter: u8,
    failed_step: Option<u32>,
}

/// How a guest ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It halted with nothing to wait for.
    Halted,
    /// A triple fault.
    Shutdown,
}

/// CPUID leaf and MSR of the hypervisor.
const SIGNATURE: u32 = 0x4000_0000;
/// "x86-virtdemo" in EBX, ECX and EDX.
const NAME: [u32; 3] = [0x2d36_3878, 0x7472_6976, 0x6f6d_6564];
const CONSOLE: u16 = 0x3f8;
const ECHO: u16 = 0x510;
const LETTERS: u16 = 0x512;
const FAILURE: u16 = 0x5f0;
/// The vector that wakes the guest from HLT.
const WAKE_UP: u8 = 0x40;

impl<'a, M, P: Monitor> Guest<'a, M, P> {
    /// A guest with `memory`, of which what is not mapped is given to it from `ram` when it touches it.
    pub const fn new(memory: &'a M, ram: GuestRam<'static>, monitor: &'a mut P) -> Self {
        let devices = Devices { monitor, echo: 0, letter: b'a', failed_step: None };
        Self { memory, ram, devices, msr: 0 }
    }
}

/// Runs the guest to its end.
///
/// # Errors
///
/// [`RunError`] if an entry is refused, the guest says that it failed, or does something that is not foreseen.
pub fn run<V: Vcpu, M: GuestMappings<'static>, P: Monitor>(
    vcpu: &mut V,
    guest: &mut Guest<'_, M, P>,
) -> Result<Ending, RunError<V::EntryError>> {
    loop {
        let exit = vcpu.run().map_err(RunError::Entry)?;
        guest.devices.monitor.exit(&exit);
        if let Some(ending) = handle(vcpu, guest, &exit)? {
            return Ok(ending);
        }
        if let Some(step) = guest.devices.failed_step {
            return Err(RunError::GuestFailed(step));
        }
    }
}

fn handle<V: Vcpu, M: GuestMappings<'static>, P: Monitor>(
    vcpu: &mut V,
    guest: &mut Guest<'_, M, P>,
    exit: &Exit<V::Reason>,
) -> Result<Option<Ending>, RunError<V::EntryError>> {
    match exit.kind {
        ExitKind::Cpuid => vcpu.complete_cpuid(cpuid(vcpu.gprs().rax))?,
        ExitKind::Io(io) => io.complete(vcpu, guest.memory, &mut guest.devices)?,
        ExitKind::ReadMsr(SIGNATURE) => vcpu.complete_edx_eax(guest.msr)?,
        ExitKind::WriteMsr { msr: SIGNATURE, value } => {
            guest.msr = value;
            vcpu.skip_instruction()?;
        }
        ExitKind::ReadMsr(_) | ExitKind::WriteMsr { .. } => {
            vcpu.raise(Exception::general_protection(0))?;
        }
        ExitKind::Hypercall => {
            vcpu.skip_instruction()?;
            hypercall(vcpu, guest)?;
        }
        ExitKind::ControlRegister(access) => vcpu.complete_control_register(access)?,
        ExitKind::NestedFault(fault) => map_page(guest, &fault)?,
        ExitKind::Hlt => {
            vcpu.skip_instruction()?;
            if !vcpu.interruptibility().interrupts_enabled {
                return Ok(Some(Ending::Halted));
            }
            vcpu.inject(Event::Interrupt(WAKE_UP))?;
        }
        ExitKind::Shutdown => return Ok(Some(Ending::Shutdown)),
        ExitKind::HostInterrupt | ExitKind::HostNmi => {}
        kind => return Err(RunError::NotHandled { kind, rip: vcpu.rip() }),
    }
    Ok(None)
}

/// The guest sees the vendor of the processor and the name of the hypervisor, and nothing else.
fn cpuid(rax: u64) -> [u32; 4] {
    match u32::try_from(rax & 0xffff_ffff).unwrap_or(0) {
        0 => {
            let vendor = core::arch::x86_64::__cpuid(0);
            [SIGNATURE, vendor.ebx, vendor.ecx, vendor.edx]
        }
        SIGNATURE => [SIGNATURE, NAME[0], NAME[1], NAME[2]],
        _ => [0; 4],
    }
}

fn hypercall<V: Vcpu, M, P: Monitor>(vcpu: &mut V, guest: &mut Guest<'_, M, P>) -> Result<(), RunError<V::EntryError>> {
    let argument = vcpu.gprs().rbx;
    match vcpu.gprs().rax {
        1 => vcpu.gprs_mut().rax = argument.wrapping_add(1),
        2 => vcpu.inject(Event::Exception(Exception::general_protection(0x18)))?,
        3 => vcpu.inject(Event::Nmi)?,
        4 => measure(vcpu, &mut *guest.devices.monitor, argument)?,
        5 => vcpu.gprs_mut().rax = u64::from(guest.devices.monitor.may_shut_down()),
        number => return Err(RunError::UnknownHypercall(number)),
    }
    Ok(())
}

/// Measures so many exits because of CPUID, handled as shortly as can be.
fn measure<V: Vcpu>(vcpu: &mut V, monitor: &mut impl Monitor, exits: u64) -> Result<(), RunError<V::EntryError>> {
    let start = monitor.time();
    for _ in 0..exits {
        match vcpu.run().map_err(RunError::Entry)?.kind {
            ExitKind::Cpuid => {
                vcpu.gprs_mut().rax = 0;
                vcpu.skip_instruction()?;
            }
            kind => return Err(RunError::NotHandled { kind, rip: vcpu.rip() }),
        }
    }
    let ticks = monitor.time().wrapping_sub(start);
    monitor.measured(ticks, exits);
    Ok(())
}

/// Maps the page that the guest touched to the page of its memory at the same offset.
fn map_page<M: GuestMappings<'static>, P, E: core::error::Error>(
    guest: &Guest<'_, M, P>,
    fault: &NestedFault,
) -> Result<(), RunError<E>> {
    let page = fault.gpa.align_down(PageSize::Size4K);
    // Behind the last page there is no address: then the range is refused.
    let end = page.checked_add(PageSize::Size4K.bytes()).unwrap_or(page);
    guest.memory.map(page..end, &guest.ram, page.get(), Mapping::new(Access::ALL))?;
    Ok(())
}

impl<P: Monitor> Ports for Devices<'_, P> {
    fn read(&mut self, port: u16, size: IoSize) -> u32 {
        match port {
            ECHO => !self.echo & size.mask(),
            LETTERS => {
                let letter = self.letter;
                self.letter = letter.wrapping_add(1);
                letter.into()
            }
            _ => size.mask(),
        }
    }

    fn write(&mut self, port: u16, _size: IoSize, value: u32) {
        match port {
            CONSOLE => self.monitor.guest_output(value.to_le_bytes()[0]),
            ECHO => self.echo = value,
            FAILURE => self.failed_step = Some(value),
            _ => {}
        }
    }
}

/// Why a guest could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError<E: core::error::Error> {
    /// The processor refused an entry.
    #[error("entry: {0}")]
    Entry(E),
    /// The guest says so.
    #[error("step {0} of the guest failed")]
    GuestFailed(u32),
    /// The guest does something that is not foreseen.
    #[error("{kind:?} at {rip:#x} is not handled")]
    NotHandled {
        /// What it is.
        kind: ExitKind,
        /// Where.
        rip: u64,
    },
    /// There is no hypercall of that number.
    #[error("there is no hypercall {0}")]
    UnknownHypercall(u64),
    /// An instruction cannot be skipped.
    #[error(transparent)]
    Skip(#[from] SkipError),
    /// An instruction cannot be completed.
    #[error(transparent)]
    Complete(#[from] CompleteError),
    /// Port I/O cannot be completed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// An event cannot be injected.
    #[error(transparent)]
    Inject(#[from] InjectError),
    /// Memory cannot be mapped.
    #[error(transparent)]
    Map(#[from] x86_virt::MapError),
}

#[cfg(test)]
mod tests;
