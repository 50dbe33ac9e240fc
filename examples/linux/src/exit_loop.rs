//! The exit loop: one for both vendors, run by each processor for its virtual processor.

mod answer;
mod devices;
mod virtual_apic;

use spin::Mutex;
use x86_virt::{
    ApicError, CompleteError, CpuState, ExitKind, GuestApic, GuestMemory, InjectError, InterruptRequest, IoError,
    MmioError, SkipError, StateError, Vcpu,
};

use self::virtual_apic::Levels;
pub use self::virtual_apic::VIRTUALIZED;

use crate::account::Account;
use crate::board::{Activity, Board, Ending, Signal, Told};
use crate::cpuid::Cpuid;
use crate::host::Host;

/// What all processors of a guest share.
#[derive(Debug)]
pub struct Guest<M> {
    /// Its memory.
    pub memory: M,
    /// Its devices.
    pub board: Mutex<Board>,
    /// Held by the processor that shows what the guest has sent. Each locks it while it has the board, so that everything is shown in
    /// its order.
    pub console: Mutex<()>,
}

/// A processor of a guest.
#[derive(Debug)]
pub struct Processor<'a, M, H> {
    guest: &'a Guest<M>,
    host: H,
    number: usize,
    cpuid: Cpuid,
    account: Account,
    /// It executed HLT, and nothing has woken it.
    is_halted: bool,
    /// The interrupt that it was asked to take.
    requested: Option<Signal>,
    /// Interrupts of the virtual APIC that are levels.
    levels: Levels,
}

/// What to do next.
enum Next {
    Enter,
    Sleep,
    End(Ending),
}

impl<'a, M: GuestMemory, H: Host> Processor<'a, M, H> {
    /// The processor with this number; the first one runs at once, the others when they are started.
    pub const fn new(guest: &'a Guest<M>, host: H, number: usize, cpuid: Cpuid, account: Account) -> Self {
        Self { guest, host, number, cpuid, account, is_halted: false, requested: None, levels: [0; 4] }
    }

    /// Runs it until the guest ends.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the guest cannot go on. The other processors end, too.
    pub fn run<V: GuestApic>(&mut self, vcpu: &mut V) -> Result<Ending, RunError<V::EntryError>> {
        let result = self.begin(vcpu).and_then(|()| self.run_to_end(vcpu));
        if result.is_err() {
            self.end(Ending::Failed);
        }
        self.host.set_alarm(None);
        result
    }

    /// What was counted.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// The processor has the registers of the local APIC, if it does a part of it.
    fn begin<V: GuestApic>(&mut self, vcpu: &mut V) -> Result<(), RunError<V::EntryError>> {
        if virtual_apic::is_used(vcpu) { self.reset_apic(vcpu, &mut self.guest.board.lock()) } else { Ok(()) }
    }

    fn run_to_end<V: GuestApic>(&mut self, vcpu: &mut V) -> Result<Ending, RunError<V::EntryError>> {
        // The exit that is being answered, and since when.
        let mut last = None;
        loop {
            let next = self.prepare(vcpu)?;
            let now = self.host.now();
            if let Some((name, since)) = last.take() {
                self.account.add_exit(name, since, now);
            }
            match next {
                Next::End(ending) => return Ok(ending),
                Next::Sleep => {
                    self.host.sleep();
                    self.account.add_idle(now, self.host.now());
                }
                Next::Enter => {
                    let exit = vcpu.run().map_err(RunError::Entry)?;
                    let left = self.host.now();
                    self.account.add_guest(now, left);
                    last = Some((exit.kind.name(), left));
                    if vcpu.accepted_interrupt().is_some()
                        && let Some(signal) = self.requested.take()
                    {
                        self.guest.board.lock().accept(self.number, signal);
                    }
                    self.answer(vcpu, exit.kind)?;
                }
            }
        }
    }

    /// Brings the devices up to date, and gives the processor what came for it.
    fn prepare<V: GuestApic>(&mut self, vcpu: &mut V) -> Result<Next, RunError<V::EntryError>> {
        let mut board = self.guest.board.lock();
        if self.number == 0 {
            while board.has_room()
                && let Some(byte) = self.host.receive()
            {
                board.receive(byte);
            }
        }
        board.run_timers(self.number, self.host.now());
        let activity = board.take_activity(self.number);
        let mut next = Next::Enter;
        match activity {
            Activity::WaitsForStart => next = Next::Sleep,
            Activity::Starts(page) => {
                vcpu.cancel_event();
                vcpu.withdraw_interrupt();
                vcpu.set_state(&CpuState::real_mode(u16::from(page) << 8, 0))?;
                if virtual_apic::is_used(vcpu) {
                    self.reset_apic(vcpu, &mut board)?;
                }
                self.is_halted = false;
            }
            Activity::Running => {}
        }
        if matches!(next, Next::Enter) {
            if virtual_apic::is_used(vcpu) {
                self.hand_over(vcpu, &mut board)?;
            }
            self.ask(vcpu, &mut board);
            if self.is_halted {
                next = Next::Sleep;
                let is_stopped = !vcpu.interruptibility().interrupts_enabled;
                if board.set_stopped(self.number, is_stopped) {
                    board.end(Ending::Stopped);
                }
            } else {
                board.set_stopped(self.number, false);
            }
        }
        if let Some(ending) = board.ending() {
            next = Next::End(ending);
        }
        let (alarm, told, sent) = (board.next_event(self.number), board.take_told(), board.take_sent());
        let console = (!sent.is_empty()).then(|| self.guest.console.lock());
        // The devices of the host are slow, and others wait for the board.
        drop(board);
        self.host.set_alarm(alarm);
        self.tell(told);
        if console.is_some() {
            self.host.send(&sent);
        }
        Ok(next)
    }

    /// Asks the processor to take what has come for it, as soon as it does. Either wakes one that halts.
    fn ask<V: GuestApic>(&mut self, vcpu: &mut V, board: &mut Board) {
        if board.signal(self.number) == Some(Signal::Nmi) {
            board.accept(self.number, Signal::Nmi);
            vcpu.request_nmi();
            self.is_halted = false;
        }
        self.requested = board.signal(self.number);
        let request = match self.requested {
            Some(Signal::Interrupt(vector)) => InterruptRequest::fixed(vector),
            Some(Signal::External(vector)) => InterruptRequest::external(vector),
            Some(Signal::Nmi) | None => {
                vcpu.withdraw_interrupt();
                return self.wake(vcpu, vcpu.deliverable_interrupt().is_some());
            }
        };
        vcpu.request_interrupt(request);
        self.wake(vcpu, true);
    }

    /// An interrupt that waits ends HLT, if the guest takes interrupts.
    fn wake<V: Vcpu>(&mut self, vcpu: &V, waits: bool) {
        if waits && self.is_halted && vcpu.interruptibility().interrupts_enabled {
            self.is_halted = false;
        }
    }

    /// Ends the guest, on all processors.
    fn end(&mut self, ending: Ending) {
        let mut board = self.guest.board.lock();
        board.end(ending);
        let told = board.take_told();
        drop(board);
        self.tell(told);
    }

    fn tell(&self, told: Told) {
        for other in told.filter(|other| *other != self.number) {
            self.host.tell(other);
        }
    }
}

/// Why a guest could not be run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError<E: core::error::Error> {
    /// The processor refused it.
    #[error("entry: {0}")]
    Entry(E),
    /// An exit that this hypervisor does not know.
    #[error("{kind:?} at {rip:#x} is not handled")]
    NotHandled {
        /// The exit.
        kind: ExitKind,
        /// Where.
        rip: u64,
    },
    /// The guest executes instructions, or keeps its page tables, where it has no memory.
    #[error("the guest, at {rip:#x}, uses {gpa} for instructions or page tables, where it has no memory")]
    NoMemory {
        /// Where in guest-physical memory.
        gpa: x86_virt::Gpa,
        /// The instruction.
        rip: u64,
    },
    /// An instruction cannot be skipped.
    #[error(transparent)]
    Skip(#[from] SkipError),
    /// An instruction cannot be completed.
    #[error(transparent)]
    Complete(#[from] CompleteError),
    /// Port I/O cannot be completed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// An access to a device cannot be completed.
    #[error(transparent)]
    Mmio(#[from] MmioError),
    /// The virtual APIC lacks something.
    #[error(transparent)]
    Apic(#[from] ApicError),
    /// An event cannot be injected.
    #[error(transparent)]
    Inject(#[from] InjectError),
    /// A processor cannot be started.
    #[error(transparent)]
    State(#[from] StateError),
}

#[cfg(test)]
mod tests;
