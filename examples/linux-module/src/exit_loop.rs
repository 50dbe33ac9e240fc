//! What the guest gets for its exits: the same on both vendors' processors.
#![forbid(unsafe_code)]

use core::fmt::Write as _;

use linux_module_abi::{Exit, guest};
use x86_virt::{ExitKind, GuestMemory, IoSize, Ports, Vcpu};

use crate::kernel::Line;
use crate::task::TaskError;

/// What was seen of a guest.
pub(crate) struct Guest<'a> {
    exits: &'a mut [Exit],
    stored: usize,
    most: u64,
    pub(crate) count: u64,
    pub(crate) host_interrupts: u64,
    pub(crate) host_nmis: u64,
    pub(crate) console: Line,
    pub(crate) result: u64,
    echo: u32,
}

/// Why a guest needs no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// HLT with interrupts disabled.
    Halted,
    /// It had as many exits as it may.
    Exits,
}

/// Why a guest cannot go on.
#[derive(Debug)]
pub(crate) enum LoopError<E> {
    Entry(E),
    NotHandled { name: &'static str, rip: u64 },
}

impl<E> LoopError<E> {
    pub(crate) fn map_entry(self, entry: impl FnOnce(E) -> TaskError) -> TaskError {
        match self {
            Self::Entry(error) => entry(error),
            Self::NotHandled { name, rip } => TaskError::NotHandled { name, rip },
        }
    }
}

impl<'a> Guest<'a> {
    pub(crate) fn new(exits: &'a mut [Exit], most: u64) -> Self {
        Self {
            exits,
            stored: 0,
            most,
            count: 0,
            host_interrupts: 0,
            host_nmis: 0,
            console: Line::default(),
            result: 0,
            echo: 0,
        }
    }

    pub(crate) const fn stored(&self) -> usize {
        self.stored
    }

    fn record(&mut self, kind: &ExitKind, rip: u64, reason: u64) {
        self.count += 1;
        if let Some(exit) = self.exits.get_mut(self.stored) {
            *exit = Exit { rip, reason, name: [0; 32] };
            for (to, from) in exit.name.iter_mut().zip(kind.name().bytes()) {
                *to = from;
            }
            self.stored += 1;
        }
    }
}

impl Ports for Guest<'_> {
    fn read(&mut self, port: u16, size: IoSize) -> u32 {
        if port == guest::ECHO { !self.echo & size.mask() } else { size.mask() }
    }

    fn write(&mut self, port: u16, _size: IoSize, value: u32) {
        match port {
            guest::CONSOLE => {
                // What does not fit is left out.
                let _ = self.console.write_char(char::from(value.to_le_bytes()[0]));
            }
            guest::ECHO => self.echo = value,
            _ => {}
        }
    }
}

/// Runs the guest until an interrupt of the host comes, or it needs no more.
pub(crate) fn run<V: Vcpu>(
    vcpu: &mut V,
    guest: &mut Guest<'_>,
    memory: &impl GuestMemory,
    code: impl Fn(&V::Reason) -> u64,
) -> Result<Option<Ended>, LoopError<V::EntryError>> {
    loop {
        let exit = vcpu.run().map_err(LoopError::Entry)?;
        match exit.kind {
            ExitKind::HostInterrupt => {
                guest.host_interrupts += 1;
                return Ok(None);
            }
            ExitKind::HostNmi => {
                guest.host_nmis += 1;
                return Ok(None);
            }
            _ => {}
        }
        guest.record(&exit.kind, vcpu.rip(), code(&exit.reason));
        guest.result = vcpu.gprs().rax;
        let is_answered = match exit.kind {
            ExitKind::Hlt if !vcpu.interruptibility().interrupts_enabled => return Ok(Some(Ended::Halted)),
            ExitKind::Cpuid => vcpu.complete_cpuid(cpuid(vcpu.gprs().rax)).is_ok(),
            ExitKind::Io(io) => io.complete(vcpu, memory, guest).is_ok(),
            ExitKind::ControlRegister(access) => vcpu.complete_control_register(access).is_ok(),
            ExitKind::Hypercall => vcpu.skip_instruction().is_ok() && hypercall(vcpu),
            _ => false,
        };
        if !is_answered {
            return Err(LoopError::NotHandled { name: exit.kind.name(), rip: vcpu.rip() });
        }
        if guest.count >= guest.most {
            return Ok(Some(Ended::Exits));
        }
    }
}

/// The guest sees the name of the hypervisor, and nothing else.
fn cpuid(rax: u64) -> [u32; 4] {
    const SIGNATURE: u32 = 0x4000_0000;
    /// "x86-virt mod" in EBX, ECX and EDX.
    const NAME: [u32; 3] = [0x2d36_3878, 0x7472_6976, 0x646f_6d20];
    let [a, b, c, d, ..] = rax.to_le_bytes();
    match u32::from_le_bytes([a, b, c, d]) {
        0 | SIGNATURE => [SIGNATURE, NAME[0], NAME[1], NAME[2]],
        _ => [0; 4],
    }
}

/// Whether there is such a hypercall.
fn hypercall<V: Vcpu>(vcpu: &mut V) -> bool {
    let argument = vcpu.gprs().rbx;
    match vcpu.gprs().rax {
        guest::HYPERCALL_ADD => {
            vcpu.gprs_mut().rax = argument.wrapping_add(1);
            true
        }
        guest::HYPERCALL_PANIC => panic!("the guest asked for a panic"),
        _ => false,
    }
}
