//! The checker of VMRUN against the processor.

mod departure;
mod field;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use x86_virt::svm::check::{Prediction, RULES, RuleClass};
use x86_virt::svm::{EntryError, SvmVcpu};
use x86_virt::{Access, AnyVcpu, CpuState, Gpa, Segment, SegmentAccessRights, Vcpu, VcpuConfig};

use crate::bench::{Bench, Frames};
use crate::check_svm::departure::State;
use crate::check_svm::field::FIELDS;
use crate::coverage;
use crate::differential::{Answer, Departures, Edit, Happening, Happenings, Plan, Random, Tally, Trial, compare};
use crate::guest::{self, GDT, Guest};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

type Processor<'r, 's> = SvmVcpu<'r, 's, 'static, Frames>;

/// Where the page-directory-pointer table of legacy PAE paging is.
const PDPT: u64 = 0xb000;

/// What a state is made of.
#[derive(Clone, Copy, Debug)]
enum Base {
    Real,
    Protected,
    Pae,
    Long,
}

impl Base {
    const ALL: [Self; 4] = [Self::Real, Self::Protected, Self::Pae, Self::Long];

    const fn mode(self) -> guest::Mode {
        match self {
            Self::Real => guest::Mode::Real,
            Self::Protected | Self::Pae => guest::Mode::Protected,
            Self::Long => guest::Mode::Long,
        }
    }

    /// A guest that executes HLT.
    fn state(self) -> CpuState {
        let mut state = self.mode().state();
        if matches!(self, Self::Pae) {
            state.cr0.set_pg(true);
            state.cr4.set_pae(true);
            state.cr3 = PDPT;
            state.gdtr.base = GDT;
            state.cs = Segment::flat(24, SegmentAccessRights::CODE32);
        }
        state
    }
}

/// States, unless the command line says how many.
const CASES: u64 = 2000;

/// The processor does what the checker predicts.
pub(crate) fn agrees_with_the_processor(bench: &Bench) -> Outcome {
    let plan = Plan::of_command_line(bench.processor, CASES)?;
    let mut tally = Tally::new::<Try<'_, '_, '_>>();
    let mut departures = departure::here();
    let bases = u64::try_from(Base::ALL.len())?;
    for (base, number) in Base::ALL.into_iter().zip(0..) {
        let config = VcpuConfig::new().with_exceptions(!0);
        bench.with_guest(base.mode(), &[0xf4; 64], &config, |guest| {
            prepare(guest)?;
            let AnyVcpu::Svm(vcpu) = &mut guest.vcpu else { fail!("no SVM") };
            let mut trial = Try::new(vcpu, base, &mut departures)?;
            compare(&mut trial, &plan, (number, bases), &mut tally, &mut departures)
        })?;
    }
    tally.print::<Try<'_, '_, '_>>(bench.processor, &plan, &departures);
    ensure_eq!(tally.unexplained.len(), 0, "disagreements with the processor (seed {})", plan.seed);
    Ok(())
}

/// Nothing that a guest executes gets far: HLT ends its run, and so does each store, also that of a flag in its tables.
fn prepare(guest: &Guest<'_, '_>) -> Outcome {
    const PRESENT: u64 = 1;
    guest.ram.write(PDPT, &(0x3000 | PRESENT).to_le_bytes())?;
    let all = Gpa::new(0)..Gpa::new(guest.ram.bytes());
    guest.space.protect(all, Access::READ.union(Access::EXECUTE))?.at_next_entry();
    Ok(())
}

/// A virtual processor to try states with.
struct Try<'v, 'r, 's> {
    vcpu: &'v mut Processor<'r, 's>,
    base: Base,
    /// The values of the fields in the valid state.
    valid: Vec<u64>,
    /// Whether the checker is asked for its prediction where it follows from the rules that are broken.
    asks_again: bool,
}

impl<'v, 'r, 's> Try<'v, 'r, 's> {
    fn new(vcpu: &'v mut Processor<'r, 's>, base: Base, departures: &mut Departures<State>) -> Outcome<Self> {
        vcpu.set_state(&base.state())?;
        let mut trial =
            Self { valid: FIELDS.iter().map(|field| (field.get)(vcpu)).collect(), vcpu, base, asks_again: true };
        let answer = trial.answer(&[], departures)?;
        let enters =
            |answer: &Answer| answer.did == Happening::ENTERS && answer.predicted == Happenings::one(Happening::ENTERS);
        ensure!(answer.as_ref().is_some_and(enters), "{base:?}: {answer:?}");
        Ok(trial)
    }
}

impl Trial for Try<'_, '_, '_> {
    type State = State;
    const MANUAL: &'static str = "APM vol. 2";

    fn rules() -> usize {
        RULES.len()
    }

    fn id(rule: usize) -> &'static str {
        RULES.get(rule).map_or("", |rule| rule.id)
    }

    fn section(rule: usize) -> String {
        RULES.get(rule).map_or_else(String::new, |rule| rule.section.to_string())
    }

    fn base(&self) -> String {
        alloc::format!("{:?}", self.base)
    }

    fn fields(&self) -> usize {
        FIELDS.len()
    }

    fn name(&self, field: usize) -> &'static str {
        FIELDS.get(field).map_or("", |field| field.name)
    }

    fn change(&self, field: usize, random: &mut Random) -> u64 {
        let (Some(field), Some(valid)) = (FIELDS.get(field), self.valid.get(field)) else { return 0 };
        field.change(*valid, random)
    }

    fn begin(&mut self, number: u64) {
        self.asks_again = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58 == 0;
    }

    fn answer(&mut self, edits: &[Edit], departures: &mut Departures<State>) -> Outcome<Option<Answer>> {
        let state = State::new(&self.valid, edits);
        if departures.stops(&state) {
            return Ok(None);
        }
        self.vcpu.cancel_event();
        self.vcpu.set_state(&self.base.state())?;
        for (index, field) in FIELDS.iter().enumerate() {
            (field.set)(self.vcpu, state.at(index));
        }
        let report = self.vcpu.check();
        let violated = report.violated();
        let class = violated.iter().next().map(|rule| rule.class);
        let predicted = match class {
            Some(RuleClass::InvalidState) => Happenings::one(Happening::INVALID),
            Some(_) => Happenings::NONE,
            None if report.prediction() == Prediction::Enters => Happenings::one(Happening::ENTERS),
            None => Happenings::NONE,
        };
        if let Some(class) = class.filter(|_| self.asks_again) {
            ensure_eq!(report.prediction(), Prediction::Refused(class), "prediction for {violated:?}");
        }
        let rules: Vec<_> = violated.indices().collect();
        let here = departures.expect(rules.iter().map(|rule| (*rule, Happening::INVALID)), &state);
        let before = machine::tsc();
        let entered = self.vcpu.run();
        let after = machine::tsc();
        let did = match entered {
            Ok(exit) => {
                coverage::exit(x86_virt::Reason::Svm(exit.reason));
                Happening::ENTERS
            }
            Err(EntryError::InvalidState { violated: told, .. }) => {
                ensure_eq!(told, violated, "rules of the error");
                Happening::INVALID
            }
            Err(other) => fail!("{other} for {edits:x?}"),
        };
        Ok(Some(Answer {
            violated: rules,
            predicted,
            here,
            did,
            has_passed: did == Happening::ENTERS,
            time: (after, after.wrapping_sub(before)),
        }))
    }
}
