//! Single steps.

use super::armed::{Armed, Owner, is_of_data};
use super::special::{self, Special};
use super::{
    Breakpoint, DEBUG_ALONE, Debugger, GuestDebug, MonitorTrap, Shadow, give_back_debug, give_debug, handler, here,
    is_debug, next_event, take_pending_debug,
};
use crate::GuestMemory;
use crate::addr::Gva;
use crate::event::{Event, Exception};
use crate::exit::{Exit, ExitKind};
use crate::register::Rflags;
use crate::state::{Activity, PendingDebugExceptions};

/// All exceptions. NMIs have an intercept of their own.
const ALL_EXCEPTIONS: u32 = !(1 << 2);
/// DR6.BS.
const SINGLE_STEP: u64 = 1 << 14;
/// An event, the exceptions of its delivery, and the #DF that they become.
const MOST_DELIVERIES: usize = 8;

type Ended<V> = Result<Exit<<V as crate::Vcpu>::Reason>, <V as crate::Vcpu>::EntryError>;

impl Debugger {
    /// Runs the guest for one instruction, and returns [`ExitKind::Step`](crate::ExitKind::Step) behind it.
    ///
    /// If an event is to be delivered, or the instruction raises one, the step ends in front of the first instruction of the handler. Of an
    /// instruction with REP, one iteration is a step. An instruction that ends a run by itself ends the step with its own exit: who answers
    /// that one has made the step. So it is with all other exits, after which the guest is as if there had been no step, and with
    /// breakpoints on data that the instruction meets; those on instructions are not looked for.
    ///
    /// The processor's monitor trap makes the step where it has one. Otherwise RFLAGS.TF does, which the guest does not see: where an
    /// instruction would store it, hide it or lose the trap, the library does its part, for which it decodes the instruction in `memory`. While PUSHF
    /// is executed, another processor of the guest may see TF = 1 in its stack. Transactions are aborted, interrupts that virtual-8086 mode
    /// redirects are stepped over as a whole, and a guest whose DEBUGCTL.BTF is 1 steps by branches.
    ///
    /// Intel SDM vol. 3, section 28.5.2, "Monitor Trap Flag", and section 19.3.1.4, "Single-Step Exception Condition"; AMD APM vol. 2,
    /// section 13.1.4, "Single Stepping".
    ///
    /// ```
    /// use x86_virt_core::{Debugger, ExitKind, GuestDebug, GuestMemory};
    ///
    /// /// Prints where the guest goes, to the next exit that is not one of a step.
    /// fn trace<V: GuestDebug>(vcpu: &mut V, memory: &impl GuestMemory) -> Result<ExitKind, V::EntryError> {
    ///     let mut debugger = Debugger::new();
    ///     loop {
    ///         println!("{:#x}", vcpu.rip());
    ///         match debugger.step(vcpu, memory)?.kind {
    ///             ExitKind::Step => {}
    ///             kind => return Ok(kind),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Vcpu::run`](crate::Vcpu::run).
    pub fn step<V: GuestDebug>(&mut self, vcpu: &mut V, memory: &impl GuestMemory) -> Ended<V> {
        self.stopped_at = None;
        let exit = if self.trap == MonitorTrap::IfPresent && vcpu.arm_monitor_trap() {
            let result = self.step_by_trap(vcpu);
            vcpu.disarm_monitor_trap();
            result?
        } else {
            self.step_by_flag(vcpu, memory)?
        };
        if matches!(exit.kind, ExitKind::Step | ExitKind::Breakpoint(_)) {
            self.stopped_at = Some(here(vcpu));
        }
        Ok(exit)
    }

    fn step_by_trap<V: GuestDebug>(&self, vcpu: &mut V) -> Ended<V> {
        if self.data().next().is_none() {
            let Exit { kind, reason } = vcpu.run()?;
            return Ok(if kind == ExitKind::MonitorTrap { stepped(0, reason) } else { Exit { kind, reason } });
        }
        take_pending_debug(vcpu);
        loop {
            let armed = Armed::load(vcpu, self.data(), DEBUG_ALONE);
            let result = vcpu.run();
            let conditions = armed.unload(vcpu);
            let exit = result?;
            if exit.kind == ExitKind::MonitorTrap {
                // The processor has not raised the #DB of the instruction yet.
                let found = armed.sort(vcpu.pending_debug().dr6_bits());
                if found.hits != 0 {
                    vcpu.set_pending_debug(PendingDebugExceptions::of_dr6(found.own));
                }
                return Ok(stepped(found.hits, exit.reason));
            }
            if !is_debug(&exit.kind) || vcpu.is_wanted(Event::Exception(Exception::DEBUG)) {
                return Ok(exit);
            }
            give_back_debug(vcpu, conditions, armed.sort(conditions).own);
        }
    }

    fn step_by_flag<V: GuestDebug>(&mut self, vcpu: &mut V, memory: &impl GuestMemory) -> Ended<V> {
        take_pending_debug(vcpu);
        if next_event(vcpu).is_none() {
            if vcpu.activity() != Activity::Running || sees_window(vcpu) {
                // It ends at once, or executes nothing.
                return vcpu.run();
            }
            match self.execute(vcpu, memory)? {
                Executed::Ended(exit) => return Ok(exit),
                Executed::Raised => {}
            }
        }
        for _ in 0..MOST_DELIVERIES {
            let Some(event) = next_event(vcpu) else { break };
            if let Some(exit) = self.deliver(vcpu, memory, event)? {
                return Ok(exit);
            }
        }
        // A shutdown.
        vcpu.run()
    }

    /// Executes the next instruction. No event comes before it.
    fn execute<V: GuestDebug>(
        &self,
        vcpu: &mut V,
        memory: &impl GuestMemory,
    ) -> Result<Executed<V::Reason>, V::EntryError> {
        let special = Special::of(vcpu, memory);
        match special {
            Special::Software(event) => {
                // Nothing waits.
                let _always = vcpu.events_mut().inject(event);
                return Ok(Executed::Raised);
            }
            Special::Sti { length } => {
                special::enable_interrupts(vcpu, length);
                return Ok(Executed::Ended(vcpu.step_without_entry()));
            }
            Special::LoadSs(load) => {
                load.execute(vcpu);
                return Ok(Executed::Ended(vcpu.step_without_entry()));
            }
            _ => {}
        }
        let before = vcpu.rflags();
        let Hidden { exit, conditions, armed } = self.run_with_trap_flag(vcpu, special)?;
        let Exit { kind, reason } = exit;
        let ExitKind::Exception { exception, address } = kind else { return Ok(Executed::Ended(exit)) };
        if exception.vector == Exception::DEBUG.vector && conditions & SINGLE_STEP != 0 {
            let found = armed.sort(conditions & !SINGLE_STEP);
            let trap_flag = special.trap_flag(vcpu, before.tf());
            vcpu.set_rflags(vcpu.rflags().with_tf(trap_flag));
            special.finish(vcpu, memory, before.tf());
            if found.own != 0 {
                give_debug(vcpu, found.own | if special.traps(before.tf()) { SINGLE_STEP } else { 0 });
            } else if special.traps(before.tf()) {
                vcpu.raise_single_step();
            }
            return Ok(Executed::Ended(stepped(found.hits, reason)));
        }
        // It was not executed.
        if vcpu.is_wanted(Event::Exception(exception)) {
            return Ok(Executed::Ended(exit));
        }
        if exception.vector == Exception::DEBUG.vector {
            give_back_debug(vcpu, conditions, armed.sort(conditions).own);
            return Ok(Executed::Raised);
        }
        let raised = match (address, exception.error_code) {
            (Some(address), Some(code)) => vcpu.raise_page_fault(address, code),
            _ => vcpu.raise(exception),
        };
        Ok(if raised.is_ok() { Executed::Raised } else { Executed::Ended(exit) })
    }

    /// One run with TF, of which nothing is left afterwards if the instruction was not executed.
    fn run_with_trap_flag<V: GuestDebug>(
        &self,
        vcpu: &mut V,
        special: Special,
    ) -> Result<Hidden<V::Reason>, V::EntryError> {
        let (before, shadow, start) = (vcpu.rflags(), vcpu.shadow(), vcpu.rip());
        // What waits for a window does so behind the instruction.
        let aside = vcpu.events_mut().set_aside();
        if shadow != Shadow::None {
            vcpu.set_shadow(Shadow::None);
        }
        vcpu.set_pending_debug(PendingDebugExceptions::new());
        special.prepare(vcpu);
        vcpu.set_rflags(before.with_tf(true));
        let armed = Armed::load(vcpu, self.data(), ALL_EXCEPTIONS);
        let result = vcpu.run();
        let reported = armed.unload(vcpu);
        special.restore(vcpu);
        vcpu.events_mut().put_back(&aside);
        // INT1 is injected, and all other #DB have a condition. A processor that reports none has not written DR6.
        let conditions = if reported == 0 { SINGLE_STEP } else { reported };
        let is_step = result.as_ref().is_ok_and(|exit| is_debug(&exit.kind)) && conditions & SINGLE_STEP != 0;
        if !is_step {
            take_flag_back(vcpu, before);
            if vcpu.rip() == start && shadow != Shadow::None {
                vcpu.set_shadow(shadow);
            }
            // A trap of this step alone, of an instruction that was executed and ended the run behind it.
            vcpu.set_pending_debug(vcpu.pending_debug().with_bs(before.tf() && vcpu.rip() != start));
        }
        Ok(Hidden { exit: result?, conditions, armed })
    }

    /// Delivers `event`, to the first instruction of its handler. `None` if the delivery raised an exception, which waits then.
    fn deliver<V: GuestDebug>(
        &self,
        vcpu: &mut V,
        memory: &impl GuestMemory,
        event: Event,
    ) -> Result<Option<Exit<V::Reason>>, V::EntryError> {
        let handler = handler::address(vcpu, memory, event);
        let stop = handler.map(|address| (Owner::Handler, Breakpoint::execute(address)));
        let armed = Armed::load(vcpu, stop.into_iter().chain(self.data()), ALL_EXCEPTIONS);
        let result = vcpu.run();
        let conditions = armed.unload(vcpu);
        let exit = result?;
        let ExitKind::Exception { exception, address } = exit.kind else { return Ok(Some(exit)) };
        let found = armed.sort(conditions);
        let is_there = found.handler || conditions == 0 && handler == Some(Gva::new(here(vcpu)));
        if exception.vector == Exception::DEBUG.vector && (is_there || found.hits != 0) {
            return Ok(Some(stepped(found.hits, exit.reason)));
        }
        if vcpu.is_wanted(Event::Exception(exception)) {
            return Ok(Some(exit));
        }
        if exception.vector == Exception::DEBUG.vector {
            give_back_debug(vcpu, conditions, found.own);
            return Ok(None);
        }
        let raised = match (address, exception.error_code) {
            (Some(address), Some(code)) => vcpu.raise_page_fault(address, code),
            _ => vcpu.raise(exception),
        };
        Ok(if raised.is_ok() { None } else { Some(exit) })
    }

    /// The breakpoints on data.
    fn data(&self) -> impl Iterator<Item = (Owner, Breakpoint)> + use<> {
        self.numbered().filter(is_of_data)
    }
}

/// What came of an instruction.
enum Executed<R> {
    /// The step has ended so.
    Ended(Exit<R>),
    /// It raised an event, which waits for its delivery.
    Raised,
}

/// How a run with TF ended.
struct Hidden<R> {
    exit: Exit<R>,
    conditions: u64,
    armed: Armed,
}

const fn stepped<R: Copy>(hits: u8, reason: R) -> Exit<R> {
    Exit { kind: if hits == 0 { ExitKind::Step } else { ExitKind::Breakpoint(hits) }, reason }
}

fn take_flag_back<V: GuestDebug>(vcpu: &mut V, before: Rflags) {
    let now = vcpu.rflags();
    if now.tf() != before.tf() {
        vcpu.set_rflags(now.with_tf(before.tf()));
    }
}

/// Whether the next run ends for a window that was asked for, in front of the next instruction.
fn sees_window<V: GuestDebug>(vcpu: &V) -> bool {
    let (asked, state) = (vcpu.events().requested_windows(), vcpu.interruptibility());
    asked.interrupt && Event::Interrupt(0).admit(state).is_ok() || asked.nmi && Event::Nmi.admit(state).is_ok()
}
