//! The scripted processor: what it does between two exits.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::event::{Event, Plan};
use crate::exit::ExitKind;
use crate::register::Rflags;
use crate::state::{Activity, VcpuState};
use crate::testing::error::{ScriptError, ScriptedExit};
use crate::testing::scripted::ScriptedVcpu;
use crate::testing::step::{Answer, Delivery, Expected, Place, Step};
use crate::vcpu::Vcpu as _;

/// After so many runs that ended with the same exit, nobody will answer it.
const PATIENCE: usize = 100;
/// More events than a guest takes in a row.
const MOST_EVENTS: usize = 16;

/// The exit that the hypervisor is to answer.
pub(super) struct Current {
    number: usize,
    pub(super) kind: ExitKind,
    pub(super) rip: u64,
    pub(super) length: Option<u8>,
    pub(super) is_instruction: bool,
    expected: Vec<Expected>,
    /// The event that waited at the exit.
    event: Option<Event>,
    repeats: usize,
}

impl Current {
    /// The exit of some instruction of `length` bytes at `rip`.
    pub(super) const fn of_instruction(rip: u64, length: u8) -> Self {
        Self {
            number: 0,
            kind: ExitKind::Vendor,
            rip,
            length: Some(length),
            is_instruction: true,
            expected: Vec::new(),
            event: None,
            repeats: 0,
        }
    }
}

/// A handler of the guest that has not returned.
pub(super) struct Handler {
    event: Event,
    rflags: Rflags,
    rip: u64,
}

impl ScriptedVcpu {
    /// The next exit.
    pub(super) fn next_exit(&mut self) -> Result<ExitKind, ScriptError> {
        if matches!(self.state.activity, Activity::Shutdown | Activity::WaitForSipi) {
            return Err(ScriptError::NotRunning(self.state.activity));
        }
        let is_answered = self.close(Again::Repeats)?;
        if self.events.take_shutdown() {
            self.current = None;
            return Ok(ExitKind::Shutdown);
        }
        if is_answered {
            self.current = None;
        }
        if let Some(exit) = self.interrupted_delivery()? {
            return Ok(exit);
        }
        if let Some(window) = self.take_events() {
            return Ok(window);
        }
        if self.state.activity == Activity::Halted {
            return Ok(ExitKind::HostInterrupt);
        }
        if let Some(current) = &self.current {
            return Ok(current.kind);
        }
        let Some(mut step) = self.script.pop_front() else { return Err(ScriptError::End { exits: self.begun }) };
        if step.place == Place::Delivery {
            return Err(self.impossible(&step, String::from("no event is delivered")));
        }
        self.prepare(&mut step)?;
        // The guest may have opened a window on its way.
        if let Some(window) = self.take_events() {
            self.script.push_front(step);
            return Ok(window);
        }
        Ok(self.begin(step))
    }

    /// If the next exit is one in the delivery of an event, it happens in that of the event that comes first.
    fn interrupted_delivery(&mut self) -> Result<Option<ExitKind>, ScriptError> {
        if self.script.front().is_none_or(|step| step.place != Place::Delivery) || self.current.is_some() {
            return Ok(None);
        }
        let plan = self.events.plan(self.interruptibility());
        let Some(event) = plan.deliver else { return Ok(None) };
        let Some(step) = self.script.pop_front() else { return Ok(None) };
        self.events.entered(&plan);
        self.state.activity = Activity::Running;
        self.events.interrupted(event);
        self.check_possible(&step)?;
        Ok(Some(self.begin(step)))
    }

    /// Delivers what the guest takes now. Returns the exit of a window that the hypervisor has asked for.
    fn take_events(&mut self) -> Option<ExitKind> {
        for _ in 0..MOST_EVENTS {
            if !self.events.is_due() {
                return None;
            }
            let plan = self.events.plan(self.interruptibility());
            self.events.entered(&plan);
            match plan.deliver {
                Some(event) => self.deliver(event, &plan),
                None => return self.window(&plan),
            }
        }
        None
    }

    fn window(&mut self, plan: &Plan) -> Option<ExitKind> {
        let state = self.interruptibility();
        if plan.windows.nmi && Event::Nmi.admit(state).is_ok() && self.events.nmi_window() {
            return Some(ExitKind::NmiWindow);
        }
        if plan.windows.interrupt && Event::Interrupt(0).admit(state).is_ok() && self.events.interrupt_window() {
            self.state.activity = Activity::Running;
            return Some(ExitKind::InterruptWindow);
        }
        None
    }

    fn deliver(&mut self, event: Event, plan: &Plan) {
        self.return_from_handler();
        let cpu = &mut self.state.cpu;
        let length = match event {
            Event::SoftwareInterrupt { length, .. }
            | Event::SoftwareException { length, .. }
            | Event::PrivilegedSoftwareException { length } => length,
            Event::Exception(_) | Event::Interrupt(_) | Event::Nmi => 0,
        };
        let rip = cpu.rip.wrapping_add(length.into());
        self.deliveries.push(Delivery { event, rip });
        self.handler = Some(Handler { event, rflags: cpu.rflags, rip });
        self.state.shadow = false;
        self.state.activity = Activity::Running;
        let dr6 = self.state.dr6 | plan.debug_conditions;
        self.set_dr6(dr6);
        // Whether its handler has an exit is for the script to say. Otherwise it returns at once.
        let stays = self.script.front().is_some_and(|step| step.place == Place::Handler) && self.current.is_none();
        if stays {
            self.state.cpu.rflags.set_if(false);
            self.state.nmi_blocked |= event == Event::Nmi;
        } else {
            self.return_from_handler();
        }
    }

    /// IRET of the handler that runs, if one does.
    fn return_from_handler(&mut self) {
        let Some(handler) = self.handler.take() else { return };
        self.state.cpu.rflags = handler.rflags;
        self.state.cpu.rip = handler.rip;
        if handler.event == Event::Nmi {
            self.state.nmi_blocked = false;
        }
    }

    /// What the guest does before the exit of `step`, once.
    fn prepare(&mut self, step: &mut Step) -> Result<(), ScriptError> {
        if step.place == Place::Code {
            self.return_from_handler();
        }
        if let Some(rip) = step.rip.take() {
            self.state.cpu.rip = rip;
            self.state.shadow = false;
        }
        for change in step.guest.drain(..) {
            change(&mut self.state);
        }
        self.check_possible(step)
    }

    fn begin(&mut self, step: Step) -> ExitKind {
        self.begun += 1;
        let current = Current {
            number: self.begun,
            kind: step.kind,
            rip: self.state.cpu.rip,
            length: step.length,
            is_instruction: step.is_instruction(),
            expected: step.expected,
            event: self.events.pending(),
            repeats: 0,
        };
        self.current.insert(current).kind
    }

    /// An access that the hypervisor lets the guest do itself ends no run.
    fn check_possible(&self, step: &Step) -> Result<(), ScriptError> {
        let (reads, number) = match step.kind {
            ExitKind::ReadMsr(msr) => (true, msr),
            ExitKind::WriteMsr { msr, .. } => (false, msr),
            ExitKind::Io(io) => {
                let is_passed = self.passed_ports.iter().any(|ports| ports.contains(&io.port));
                return if is_passed {
                    Err(self.impossible(step, format!("port {:#x} is passed through", io.port)))
                } else {
                    Ok(())
                };
            }
            _ => return Ok(()),
        };
        let is_passed = |(msr, access): &(u32, crate::permission::MsrAccess)| {
            *msr == number && if reads { access.reads() } else { access.writes() }
        };
        if self.passed_msrs.iter().any(is_passed) {
            return Err(self.impossible(step, format!("MSR {number:#x} is passed through")));
        }
        Ok(())
    }

    fn impossible(&self, step: &Step, why: String) -> ScriptError {
        let exit = ScriptedExit { number: self.begun + 1, name: step.kind.name(), rip: Some(self.state.cpu.rip) };
        ScriptError::Impossible { exit, why }
    }

    /// How the exit was answered, if there is one.
    fn answer(&self, current: &Current) -> Answer {
        let rip = self.state.cpu.rip;
        match self.events.pending() {
            Some(Event::Exception(exception)) if rip == current.rip && self.events.pending() != current.event => {
                Answer::Raised(exception)
            }
            _ if rip == current.rip => Answer::Again,
            _ if current.length.is_some_and(|length| rip == current.rip.wrapping_add(length.into())) => Answer::Skipped,
            // Outside of 64-bit mode, addresses wrap.
            _ if current.length.is_some_and(|length| {
                rip == current.rip.wrapping_add(length.into()) & 0xffff_ffff && !crate::linear::is_64_bit(self)
            }) =>
            {
                Answer::Skipped
            }
            _ => Answer::SentTo(rip),
        }
    }

    /// Compares the answer with what is expected. False if an instruction is executed again.
    fn close(&mut self, again: Again) -> Result<bool, ScriptError> {
        let Some(mut current) = self.current.take() else { return Ok(true) };
        let answer = self.answer(&current);
        let exit = ScriptedExit { number: current.number, name: current.kind.name(), rip: Some(current.rip) };
        let wants_again = current.expected.iter().any(|one| matches!(one, Expected::Answer(Answer::Again)));
        if answer == Answer::Again && current.is_instruction && again == Again::Repeats && !wants_again {
            current.repeats += 1;
            if current.repeats >= PATIENCE {
                return Err(ScriptError::NotAnswered { exit, times: current.repeats });
            }
            self.current = Some(current);
            return Ok(false);
        }
        if !current.expected.is_empty() {
            let mut after = VcpuState::default();
            self.save(&mut after);
            for expected in current.expected.drain(..) {
                if let Err(why) = compare(expected, answer, &after) {
                    return Err(ScriptError::Unexpected { exit, why });
                }
            }
        }
        self.current = Some(current);
        Ok(true)
    }

    /// Checks that the script was done to its end, and that the last exit was answered as expected.
    ///
    /// # Errors
    ///
    /// [`ScriptError`]: what is left, or what is wrong with the last answer.
    pub fn finish(mut self) -> Result<(), ScriptError> {
        self.close(Again::Ends)?;
        match self.script.front() {
            None => Ok(()),
            Some(step) => {
                let exit = ScriptedExit { number: self.begun + 1, name: step.kind.name(), rip: None };
                Err(ScriptError::NotReached { exit, left: self.script.len(), total: self.total })
            }
        }
    }
}

/// What an exit that was not answered means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// The guest is run: it executes the instruction again.
    Repeats,
    /// The guest is not run any more.
    Ends,
}

fn compare(expected: Expected, answer: Answer, after: &VcpuState) -> Result<(), String> {
    match expected {
        Expected::Answer(expected) if expected == answer => Ok(()),
        Expected::Answer(expected) => Err(format!("expected to be {expected}, but it was {answer}")),
        Expected::Gpr(register, expected) => {
            let value = after.cpu.gprs.get(register).unwrap_or(after.cpu.rsp);
            if value == expected {
                Ok(())
            } else {
                Err(format!("{register:?} is {value:#x} after it, expected {expected:#x}"))
            }
        }
        Expected::Check(check) => check(after),
    }
}
