//! The checker of VM entries against the processor.
//!
//! No state runs a guest for long. Most end at once because the last entry of their MSR-load area is one that no processor takes,
//! which it finds only after everything else was right: in any mode and any activity state, with or without EPT, nothing of the
//! guest is executed. Those whose guest can do no harm are run a second time without it.

mod base;
mod departure;
mod directed;
mod enter;
mod memory;
mod slot;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use x86_virt::vmx::check::{
    Entry, InstructionFailure, Numbers, Prediction, RULES, Report, RuleClass, RuleSet, check_entry,
};
use x86_virt::vmx::field;
use x86_virt::vmx::{BasicExitReason, Capabilities, VmFail, VmcsRead as _, VmxVcpu};
use x86_virt::{AnyVcpu, VcpuConfig};

use crate::bench::{Bench, Frames};
use crate::check_vmx::base::Base;
use crate::check_vmx::departure::State;
use crate::check_vmx::enter::{Entered, Host};
use crate::check_vmx::memory::{GUARD, Layout};
use crate::check_vmx::slot::{Slot, slots};
use crate::differential::{Answer, Departures, Edit, Happening, Happenings, Plan, Random, Tally, Trial, compare};
use crate::guest;
use crate::harness::{Outcome, ensure_eq, fail};

type Vcpu<'r, 's> = VmxVcpu<'r, 's, 'static, Frames>;

/// States, unless the command line says how many.
const CASES: u64 = 500;

/// The processor does what the checker predicts.
pub(crate) fn agrees_with_the_processor(bench: &Bench) -> Outcome {
    let plan = Plan::of_command_line(bench.processor, CASES)?;
    let mut tally = Tally::new::<Try<'_, '_, '_>>();
    let mut departures = departure::here();
    let config = VcpuConfig::new().with_exceptions(!0);
    bench.with_guest(guest::Mode::Real, &[0xf4; 64], &config, |guest| {
        memory::deny_execution(guest)?;
        let AnyVcpu::Vmx(vcpu) = &mut guest.vcpu else { fail!("no VMX") };
        let layout = Layout::new(&guest.ram);
        let mut trial = Try::new(vcpu, layout)?;
        let bases = Base::all(&trial.capabilities);
        let count = u64::try_from(bases.len())?;
        for (base, number) in bases.into_iter().zip(0..) {
            trial.start(base)?;
            if plan.directed {
                directed::run(&mut trial, &plan, &mut tally, &mut departures)?;
            }
            compare(&mut trial, &plan, (number, count), &mut tally, &mut departures)?;
        }
        directed::instructions(&mut trial, &plan, &mut tally.log)
    })?;
    tally.print::<Try<'_, '_, '_>>(bench.processor, &plan, &departures);
    ensure_eq!(tally.unexplained.len(), 0, "disagreements with the processor (seed {})", plan.seed);
    Ok(())
}

/// A virtual processor to try states with.
struct Try<'v, 'r, 's> {
    vcpu: &'v mut Vcpu<'r, 's>,
    capabilities: Capabilities,
    layout: Layout,
    host: Host,
    slots: Vec<Slot>,
    /// The rules of which each slot decides.
    dependents: Vec<RuleSet>,
    base: Base,
    /// What the fields hold in the first state.
    initial: Vec<u64>,
    /// What they hold in the valid state.
    valid: Vec<u64>,
    /// What rows of departures see.
    state: State,
    /// The tables of the guest's memory.
    eptp: u64,
    /// Whether states are run without the guard, too.
    may_run: bool,
    /// Whether all rules are checked, and not only those that depend on what was changed.
    checks_all: bool,
    has_rtm: bool,
    has_sgx: bool,
}

impl<'v, 'r, 's> Try<'v, 'r, 's> {
    fn new(vcpu: &'v mut Vcpu<'r, 's>, layout: Layout) -> Outcome<Self> {
        let capabilities = *vcpu.capabilities();
        let slots = slots(vcpu, &capabilities, &layout);
        let features = x86::cpuid::CpuId::new().get_extended_feature_info();
        layout.fill(&capabilities);
        let host = Host::prepare(vcpu)?;
        let eptp = vcpu.vmcs().read(field::EPT_POINTER)?.into_bits();
        let dependents = slots.iter().map(Slot::dependents).collect();
        let initial = slots.iter().map(|slot| slot.get(vcpu)).collect::<Outcome<Vec<_>>>()?;
        let state = State::new(&slots, &capabilities);
        Ok(Self {
            vcpu,
            capabilities,
            layout,
            host,
            slots,
            dependents,
            base: Base::FIRST,
            valid: initial.clone(),
            initial,
            state,
            eptp,
            may_run: false,
            checks_all: true,
            has_rtm: features.as_ref().is_some_and(|features| features.has_rtm()),
            has_sgx: features.as_ref().is_some_and(|features| features.has_sgx()),
        })
    }

    /// Goes over to another valid state, and makes sure that it is one.
    fn start(&mut self, base: Base) -> Outcome {
        for (slot, value) in self.slots.iter().zip(&self.initial) {
            slot.set(self.vcpu, *value)?;
        }
        base.make(self.vcpu, &self.capabilities, &self.layout)?;
        self.base = base;
        self.valid = self.slots.iter().map(|slot| slot.get(self.vcpu)).collect::<Outcome<Vec<_>>>()?;
        self.state.take(&self.valid);
        let violated = self.ask_all()?;
        let guard = Happening::msr_loading(GUARD);
        ensure_eq!(violated, [(guard_rule(), guard)], "what the checker says of {base:?}: {}", self.report());
        let did = self.host.enter(self.vcpu)?;
        ensure_eq!(happening(self.vcpu, did)?, guard, "what the processor does with {base:?}");
        if self.can_run() {
            ensure_eq!(self.run()?, Happening::ENTERS, "what the processor does with {base:?} without the guard");
        }
        Ok(())
    }

    /// What the next entry is checked with.
    fn entry(&self) -> Entry<'_> {
        let mut entry = Entry::new();
        entry.current_vmcs = Some(self.vcpu.vmcs().current_pointer());
        entry.has_rtm = Some(self.has_rtm);
        entry.has_sgx = Some(self.has_sgx);
        entry.is_tracing = Some(false);
        entry.machine = Some(&self.layout);
        entry
    }

    fn report(&self) -> Report<'_> {
        check_entry(self.vcpu.vmcs(), &self.capabilities, self.entry())
    }

    /// Those of `rules` that are broken, with what then happens.
    fn ask(&self, rules: RuleSet) -> Vec<(usize, Happening)> {
        let report = self.report().only(rules);
        let happening = |place: usize| match RULES.get(place).map(|rule| (rule, rule.class)) {
            Some((rule, RuleClass::MsrLoading)) => {
                let item = report.only([rule].into_iter().collect()).violations().next().and_then(|one| one.item());
                Happening::msr_loading(item.unwrap_or_default().into())
            }
            Some((_, class)) => of_class(class),
            None => Happening::OTHER,
        };
        report.violated().indices().map(|place| (place, happening(place))).collect()
    }

    /// The same for all rules, and the prediction with it.
    fn ask_all(&self) -> Outcome<Vec<(usize, Happening)>> {
        let violated = self.ask(RuleSet::ALL);
        ensure_eq!(happenings(self.report().prediction()), first(&violated), "prediction for {violated:?}");
        Ok(violated)
    }

    /// The rules that are broken after `edits` to the valid state, and what happens to each: of those on which the edits have an
    /// influence all that are broken, of the others what is broken in the valid state, which is the guard alone.
    fn violated(&self, edits: &[Edit]) -> Outcome<Vec<(usize, Happening)>> {
        let mut rules = RuleSet::NONE;
        let dependents = edits.iter().filter_map(|edit| self.dependents.get(edit.field));
        dependents.for_each(|more| rules = rules.union(*more));
        let mut violated = self.ask(rules);
        if !rules.has(guard_rule()) {
            violated.push((guard_rule(), Happening::msr_loading(GUARD)));
        }
        if self.checks_all {
            ensure_eq!(&self.ask_all()?, &violated, "all rules, and those on which {edits:x?} have an influence");
        }
        Ok(violated)
    }

    /// Whether the state ends by itself once it is entered: nothing can be executed, and what waits has a timer.
    fn can_run(&self) -> bool {
        const EPT: u64 = 1 << 1;
        const SECONDARY: u64 = 1 << 31;
        const TIMER: u64 = 1 << 6;
        let state = &self.state;
        let has_timer = state.get(field::PIN_CONTROLS) & TIMER != 0;
        let has_ept = state.get(field::PRIMARY_CONTROLS) & SECONDARY != 0
            && state.get(field::SECONDARY_CONTROLS) & EPT != 0
            && state.get(field::EPT_POINTER) == self.eptp;
        match state.get(field::GUEST_ACTIVITY_STATE) {
            0 => has_ept,
            1 | 2 => has_ept && has_timer,
            _ => false,
        }
    }

    /// Enters the state that the VMCS has without the guard, and brings the guest's state back.
    fn run(&mut self) -> Outcome<Happening> {
        let count = field::ENTRY_MSR_LOAD_COUNT.encoding();
        enter::write(self.vcpu, count, 0)?;
        let violated = if self.checks_all { self.ask_all()? } else { self.ask(RuleSet::about(count)) };
        ensure_eq!(violated, [], "what the checker says without the guard");
        let did = self.host.enter(self.vcpu)?;
        let did = happening(self.vcpu, did)?;
        for (slot, value) in self.slots.iter().zip(&self.valid) {
            if slot.is_saved() {
                slot.set(self.vcpu, *value)?;
            }
        }
        Ok(did)
    }
}

/// What an exit or a failure was.
fn happening(vcpu: &Vcpu<'_, '_>, entered: Entered) -> Outcome<Happening> {
    Ok(match entered {
        Entered::FailInvalid => Happening::OTHER,
        Entered::FailValid => {
            Happening::error(vcpu.vmcs().read_raw(field::VM_INSTRUCTION_ERROR.encoding()).map_err(enter::failed)?)
        }
        Entered::Exit => {
            let reason = vcpu.vmcs().read(field::EXIT_REASON)?;
            let qualification = vcpu.vmcs().read(field::EXIT_QUALIFICATION)?;
            match (reason.entry_failure(), reason.basic()) {
                (false, _) => Happening::ENTERS,
                (true, BasicExitReason::INVALID_GUEST_STATE) => Happening::guest_state(qualification),
                (true, BasicExitReason::MSR_LOADING) => Happening::msr_loading(qualification),
                _ => Happening::OTHER,
            }
        }
    })
}

/// What happens to an entry that breaks these rules.
fn first(violated: &[(usize, Happening)]) -> Happenings {
    violated.iter().fold(Happenings::NONE, |all, (_, happening)| all.with(*happening)).first()
}

/// The rule that the guard breaks: no processor loads IA32_FS_BASE.
fn guard_rule() -> usize {
    const RULE: usize = {
        let (mut rules, mut place) = (RULES, 0);
        while let [rule, rest @ ..] = rules {
            if let b"VMX-MSR-LOAD-BASE" = rule.id.as_bytes() {
                break;
            }
            (rules, place) = (rest, place + 1);
        }
        place
    };
    RULE
}

/// Every so many states all rules are checked.
const ALL_RULES: u64 = 64;

fn of_class(class: RuleClass) -> Happening {
    match class {
        RuleClass::GuestState(cause) => Happening::guest_state(cause.into_bits()),
        RuleClass::MsrLoading => Happening::msr_loading(GUARD),
        class => class.instruction_error().map_or(Happening::OTHER, |error| Happening::error(error.into_bits().into())),
    }
}

fn happenings(prediction: Prediction) -> Happenings {
    let all = |numbers: Numbers, happening: fn(u64) -> Happening| {
        numbers.iter().fold(Happenings::NONE, |all, number| all.with(happening(number.into())))
    };
    match prediction {
        Prediction::Enters => Happenings::one(Happening::ENTERS),
        Prediction::Instruction(InstructionFailure::Fail(VmFail::Valid(error))) => {
            Happenings::one(Happening::error(error.into_bits().into()))
        }
        Prediction::VmFailValid(numbers) => all(numbers, Happening::error),
        Prediction::GuestState(numbers) => all(numbers, Happening::guest_state),
        Prediction::MsrLoading { entry } => Happenings::one(Happening::msr_loading(entry.into())),
        _ => Happenings::one(Happening::OTHER),
    }
}

/// The timestamp counter.
fn now() -> u64 {
    machine::tsc()
}

impl Trial for Try<'_, '_, '_> {
    type State = State;
    const MANUAL: &'static str = "SDM vol. 3";

    fn rules() -> usize {
        RULES.len()
    }

    fn id(rule: usize) -> &'static str {
        RULES.get(rule).map_or("", |rule| rule.id)
    }

    fn section(rule: usize) -> String {
        RULES.get(rule).map_or_else(String::new, |rule| rule.section.number.to_string())
    }

    fn base(&self) -> String {
        format!("{:?}", self.base)
    }

    fn fields(&self) -> usize {
        self.slots.len()
    }

    fn name(&self, field: usize) -> &'static str {
        self.slots.get(field).map_or("", |slot| slot.name)
    }

    fn change(&self, field: usize, random: &mut Random) -> u64 {
        let (Some(slot), Some(valid)) = (self.slots.get(field), self.valid.get(field)) else { return 0 };
        slot.change(*valid, random)
    }

    fn begin(&mut self, number: u64) {
        // By the number alone, and not by what chose the valid state.
        let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.checks_all = (number >> 32).is_multiple_of(ALL_RULES);
        self.may_run = number >> 63 == 1;
    }

    fn answer(&mut self, edits: &[Edit], departures: &mut Departures<State>) -> Outcome<Option<Answer>> {
        let mut touches_host = false;
        for edit in edits {
            let Some(slot) = self.slots.get(edit.field) else { continue };
            slot.set(self.vcpu, edit.value)?;
            touches_host |= slot.is_host();
            // What the processor has of it.
            self.state.set(edit.field, slot.get(self.vcpu)?);
        }
        let answer = if departures.stops(&self.state) {
            None
        } else {
            let mut violated = self.violated(edits)?;
            let mut predicted = first(&violated);
            let mut here = departures.expect(violated.iter().copied(), &self.state);
            let guard = self.layout.guard(self.state.get(field::ENTRY_MSR_LOAD_ADDRESS));
            let is_guarded = violated.last().is_some_and(|(_, happening)| *happening == guard)
                && violated.iter().filter(|(_, happening)| *happening == guard).count() == 1;
            let runs = is_guarded && violated.len() == 1 && self.may_run && !departures.any_apply() && self.can_run();
            let before = now();
            let entered = self.host.enter(self.vcpu)?;
            let after = now();
            let mut did = happening(self.vcpu, entered)?;
            if touches_host {
                // The next exit brings the host back.
                for edit in edits {
                    if let (Some(slot), Some(valid)) = (self.slots.get(edit.field), self.valid.get(edit.field)) {
                        slot.set(self.vcpu, *valid)?;
                    }
                }
                self.host.enter(self.vcpu)?;
            }
            if runs && !touches_host && did == guard {
                did = self.run()?;
                predicted = Happenings::one(Happening::ENTERS);
                here = predicted;
            }
            if is_guarded {
                violated.pop();
            }
            let violated: Vec<_> = violated.into_iter().map(|(rule, _)| rule).collect();
            let has_passed = did == guard || did == Happening::ENTERS;
            Some(Answer { violated, predicted, here, did, has_passed, time: (after, after.wrapping_sub(before)) })
        };
        for edit in edits {
            if let (Some(slot), Some(valid)) = (self.slots.get(edit.field), self.valid.get(edit.field)) {
                slot.set(self.vcpu, *valid)?;
                self.state.set(edit.field, *valid);
            }
        }
        Ok(answer)
    }

    fn is_certain(&mut self, edits: &[Edit]) -> Outcome<bool> {
        for edit in edits {
            if let Some(slot) = self.slots.get(edit.field) {
                slot.set(self.vcpu, edit.value)?;
            }
        }
        let is_certain = self.report().is_certain();
        for edit in edits {
            if let (Some(slot), Some(valid)) = (self.slots.get(edit.field), self.valid.get(edit.field)) {
                slot.set(self.vcpu, *valid)?;
            }
        }
        Ok(is_certain)
    }
}
