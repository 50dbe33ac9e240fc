//! A debugger of a guest: breakpoints and single steps that the guest does not see.

mod armed;
mod breakpoint;
#[cfg(feature = "decode")]
mod handler;
#[cfg(feature = "decode")]
mod special;
#[cfg(feature = "decode")]
mod step;

#[cfg(all(test, feature = "decode"))]
mod tests;

use crate::event::{Event, Exception};
use crate::exit::{Exit, ExitKind};
use crate::linear;
use crate::segment::SegmentRegister;
use crate::state::PendingDebugExceptions;
use crate::vcpu::Vcpu;

use armed::{Armed, Owner};
pub use breakpoint::{Breakpoint, BreakpointError, BreakpointKind, BreakpointLength};

/// What a [`Debugger`] needs of a virtual processor. Hypervisors call none of it.
pub trait GuestDebug: Vcpu {
    /// Lets the exceptions whose vectors are the bits of `vectors` end a run besides those that were chosen, and page faults whatever their
    /// error code. 0 takes it back.
    fn watch_exceptions(&mut self, vectors: u32);

    /// Whether it was chosen that `event` ends a run when the guest raises it.
    fn is_wanted(&self, event: Event) -> bool;

    /// The conditions of the #DB that ended the last run, as in DR6: B0 to B3, BD and BS.
    fn debug_conditions(&self) -> u64;

    /// The shadow that the guest is in.
    fn shadow(&self) -> Shadow;

    /// Puts the guest in a shadow, or takes it out of it.
    fn set_shadow(&mut self, shadow: Shadow);

    /// Lets a run end after one instruction, with [`ExitKind::MonitorTrap`](crate::ExitKind::MonitorTrap), until it is taken back. False if
    /// the processor has nothing like that.
    fn arm_monitor_trap(&mut self) -> bool;

    /// Takes that back.
    fn disarm_monitor_trap(&mut self);

    /// The exit of a step that needed no entry.
    fn step_without_entry(&mut self) -> Exit<Self::Reason>;
}

/// What keeps events from a guest until it has executed an instruction.
///
/// Intel SDM vol. 3, section 27.4.2, "Guest Non-Register State" (table "Format of Interruptibility State"); AMD APM vol. 2, section
/// 15.21.5, "Interrupt Shadows", where both are one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Shadow {
    /// Nothing does.
    None,
    /// The instruction before was STI, and interrupts were disabled.
    Sti,
    /// The instruction before was MOV SS or POP SS. It keeps debug exceptions away, too.
    MovSs,
}

/// A debugger of one virtual processor: up to four breakpoints on addresses, and single steps.
///
/// [`run`](Self::run) and, with the feature `decode`, `step` take the place of [`Vcpu::run`], and return its exits, and two of their own:
/// [`ExitKind::Breakpoint`](crate::ExitKind::Breakpoint) and [`ExitKind::Step`](crate::ExitKind::Step).
///
/// Nothing of it is in the state of the guest between two runs: RFLAGS.TF, the debug registers and what ends a run are the guest's and the
/// caller's own. The guest may have breakpoints in DR0 to DR3 and step through its code itself; it gets the #DB of these. Where both want
/// more than four breakpoints, the guest's are not looked for, though it reads them back as it wrote them. Who uses a debugger does
/// not choose
/// #DB as an exception that ends a run: its exits are the debugger's.
///
/// ```
/// use x86_virt_core::{Breakpoint, BreakpointError, Debugger, ExitKind, GuestDebug, Gva};
///
/// /// Runs to the entry of a function of the guest.
/// fn run_to<V: GuestDebug>(vcpu: &mut V, function: Gva) -> Result<ExitKind, Box<dyn core::error::Error>>
/// where
///     V::EntryError: 'static,
/// {
///     let mut debugger = Debugger::new();
///     debugger.insert(Breakpoint::execute(function))?;
///     Ok(debugger.run(vcpu)?.kind)
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Debugger {
    breakpoints: [Option<Breakpoint>; SLOTS],
    /// The linear address where the last run stopped, for a breakpoint or a step. The next one goes past it.
    stopped_at: Option<u64>,
    trap: MonitorTrap,
}

/// How many breakpoints a processor has.
///
/// Intel SDM vol. 3, section 19.2.1, "Debug Address Registers (DR0-DR3)".
const SLOTS: usize = 4;

/// Whether steps use the processor's monitor trap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum MonitorTrap {
    /// Where the processor has it.
    #[default]
    IfPresent,
    /// Never: RFLAGS.TF makes the steps, as on processors without it. Some emulators offer the trap, and never raise it.
    Never,
}

/// The exceptions that are watched for a breakpoint: #DB.
const DEBUG_ALONE: u32 = 1 << 1;

impl Debugger {
    /// Without breakpoints.
    #[must_use]
    pub const fn new() -> Self {
        Self { breakpoints: [None; SLOTS], stopped_at: None, trap: MonitorTrap::IfPresent }
    }

    /// With steps made so.
    #[must_use]
    pub const fn with_monitor_trap(self, trap: MonitorTrap) -> Self {
        Self { trap, ..self }
    }

    /// Adds a breakpoint, and returns its number, 0 to 3.
    ///
    /// # Errors
    ///
    /// [`BreakpointError`] if there are four, or the address is not a multiple of the length; then nothing is changed.
    pub fn insert(&mut self, breakpoint: Breakpoint) -> Result<usize, BreakpointError> {
        breakpoint.check()?;
        let (number, slot) =
            self.breakpoints.iter_mut().enumerate().find(|(_, slot)| slot.is_none()).ok_or(BreakpointError::Full)?;
        *slot = Some(breakpoint);
        Ok(number)
    }

    /// Takes the breakpoint with this number away.
    pub fn remove(&mut self, number: usize) -> Option<Breakpoint> {
        self.breakpoints.get_mut(number).and_then(Option::take)
    }

    /// The breakpoints, by their numbers.
    #[must_use]
    pub const fn breakpoints(&self) -> &[Option<Breakpoint>; SLOTS] {
        &self.breakpoints
    }

    /// Runs the guest as [`Vcpu::run`] does, to a breakpoint at the latest. It does not stop again for one on the instruction at which the
    /// last run of this debugger stopped.
    ///
    /// # Errors
    ///
    /// As [`Vcpu::run`].
    pub fn run<V: GuestDebug>(&mut self, vcpu: &mut V) -> Result<Exit<V::Reason>, V::EntryError> {
        if self.breakpoints.iter().all(Option::is_none) {
            self.stopped_at = None;
            return vcpu.run();
        }
        loop {
            let Stop { exit, conditions, armed } = self.run_armed(vcpu)?;
            if !is_debug(&exit.kind) {
                return Ok(exit);
            }
            let found = armed.sort(conditions);
            if found.hits != 0 {
                if found.own != 0 {
                    give_debug(vcpu, found.own);
                }
                self.stopped_at = Some(here(vcpu));
                return Ok(Exit { kind: ExitKind::Breakpoint(found.hits), reason: exit.reason });
            }
            if vcpu.is_wanted(Event::Exception(Exception::DEBUG)) {
                return Ok(exit);
            }
            give_back_debug(vcpu, conditions, found.own);
        }
    }

    /// One run with all breakpoints, past that at which the last one stopped.
    fn run_armed<V: GuestDebug>(&mut self, vcpu: &mut V) -> Result<Stop<V::Reason>, V::EntryError> {
        take_pending_debug(vcpu);
        let (start, before) = (here(vcpu), vcpu.rflags());
        let is_past = self.stopped_at.take() == Some(start) && next_event(vcpu).is_none() && !before.rf();
        if is_past {
            vcpu.set_rflags(before.with_rf(true));
        }
        let armed = Armed::load(vcpu, self.numbered(), DEBUG_ALONE);
        let result = vcpu.run();
        let conditions = armed.unload(vcpu);
        let now = vcpu.rflags();
        if is_past && now.rf() && here(vcpu) == start {
            vcpu.set_rflags(now.with_rf(false));
        }
        Ok(Stop { exit: result?, conditions, armed })
    }

    /// The breakpoints with their numbers.
    fn numbered(&self) -> impl Iterator<Item = (Owner, Breakpoint)> + use<> {
        let numbered = (0_u8..).zip(self.breakpoints);
        numbered.filter_map(|(number, slot)| slot.map(|breakpoint| (Owner::Debugger(number), breakpoint)))
    }
}

/// How a run with breakpoints ended.
struct Stop<R> {
    exit: Exit<R>,
    /// Those of the exit, if it is that of a #DB.
    conditions: u64,
    armed: Armed,
}

/// DR6.BD, and DR7.GD.
const DETECT: u64 = 1 << 13;

const fn is_debug(kind: &ExitKind) -> bool {
    matches!(kind, ExitKind::Exception { exception: Exception { vector: 1, .. }, .. })
}

/// The linear address of the next instruction.
pub(crate) fn here<V: Vcpu>(vcpu: &V) -> u64 {
    linear::address(vcpu, SegmentRegister::Cs, vcpu.rip())
}

/// What the next entry delivers.
fn next_event<V: Vcpu>(vcpu: &V) -> Option<Event> {
    if vcpu.events().is_due() { vcpu.events().plan(vcpu.interruptibility()).deliver } else { None }
}

/// Lets the #DB that waits, of the instruction before, be an event as others are.
fn take_pending_debug<V: GuestDebug>(vcpu: &mut V) {
    let (pending, shadow) = (vcpu.pending_debug(), vcpu.shadow());
    if !pending.raises() || shadow == Shadow::MovSs || vcpu.pending_event().is_some() {
        return;
    }
    // Its delivery ends the shadow of STI.
    vcpu.set_shadow(Shadow::None);
    vcpu.set_pending_debug(PendingDebugExceptions::new());
    give_debug(vcpu, pending.dr6_bits());
}

/// Gives the guest a #DB with these conditions, as the processor would.
pub(crate) fn give_debug<V: Vcpu>(vcpu: &mut V, conditions: u64) {
    vcpu.set_dr6(vcpu.dr6() | conditions);
    vcpu.set_dr7(vcpu.dr7() & !DETECT);
    // There is one if the exit came in a delivery: then the two are merged. #DB always can be raised.
    let _always = vcpu.raise(Exception::DEBUG);
}

/// The same for the #DB of an exit. One without conditions is that of INT1.
fn give_back_debug<V: Vcpu>(vcpu: &mut V, conditions: u64, own: u64) {
    if conditions == 0 {
        let _always = vcpu.events_mut().inject(Event::PrivilegedSoftwareException { length: 1 });
    } else if own != 0 {
        give_debug(vcpu, own);
    }
}
