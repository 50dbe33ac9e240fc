//! Guests that do their worst: code, memory and registers made by chance, under a hypervisor that answers by chance. The host stays as it
//! is, and the library returns a value for each run.
//!
//! `runs=N` on the command line says how many there are, `seed=S` which, and `first=F` where they start. What a run does follows from the
//! seed and its number; `show` prints each number before it is tried and each exit, and `state` the state, for an emulator that
//! does not survive it.

mod answer;
mod code;
mod departure;
mod memory;
mod state;

use alloc::collections::BTreeMap;
use alloc::string::ToString as _;
use alloc::vec;
use alloc::vec::Vec;

use machine::{apic, println};
use x86_virt::{
    Access, CpuState, Exit, ExitKind, Gpa, GuestControls, GuestTime, Intercepts, Mapping, OwnedBits, PageSize, Reason,
    Vcpu, VcpuConfig, VcpuState,
};

use self::answer::Answered;
use self::departure::Departures;
use self::memory::{BYTES, PAGES, Template};
use crate::bench::Bench;
use crate::coverage;
use crate::differential::Random;
use crate::guest::{Guest, page};
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::interrupts::take_pending;
use crate::probe;
use crate::registers::{Marked, capture};
use crate::time::ApicTimer;
use crate::world_switch::{differences, kept};

/// Runs, if the command line does not say.
const RUNS: u64 = 300;
const SEED: u64 = 1;
/// Entries of a guest at most.
const ENTRIES: u64 = 12;
/// After how many runs an ordinary guest runs, and after how many of these all of the memory around the guest's is compared.
const ROUND: u64 = 32;
const FULL_ROUNDS: u64 = 16;
/// Where the guest's memory is in that of the processor: in the middle.
const OFFSET: usize = 0x10_0000;
/// Bytes before and behind it that are compared after each run.
const NEAR: usize = 0x1000;
/// Exits of an ordinary guest for what is not its own, at most.
const MOST_OTHERS: u32 = 100;
/// Ticks of the timer of 1.193 MHz between two NMIs.
const NMI_DIVISOR: u16 = 400;

/// What has happened.
#[derive(Debug, Default)]
struct Tally {
    runs: u64,
    /// States that the library refused, and entries that the processor refused.
    states_refused: u64,
    entries_refused: u64,
    exits: u64,
    answers_refused: u64,
    kinds: BTreeMap<&'static str, u64>,
}

/// Everything that stays from run to run.
struct Trial<'r, 's> {
    guest: Guest<'r, 's>,
    departures: Departures,
    template: Template,
    image: Vec<u8>,
    /// What is around the guest's memory.
    around: Vec<u8>,
    tally: Tally,
}

/// Random guests, one after the other in one virtual processor.
pub(crate) fn survived(bench: &Bench) -> Outcome {
    let number = |name, otherwise| machine::arg(name).map_or(Ok(otherwise), str::parse);
    let (seed, first, runs) = (number("seed", SEED)?, number("first", 0)?, number("runs", RUNS)?);
    let marked = Marked::new();
    let before = capture();
    let outcome = run_all(bench, seed, first, runs);
    machine::nmi::stop();
    apic::stop_timer();
    let changed = differences(&before, &capture());
    drop(marked);
    take_pending();
    outcome?;
    ensure!(changed.is_empty(), "after the guests are gone, the host has {changed}");
    Ok(())
}

fn run_all(bench: &Bench, seed: u64, first: u64, runs: u64) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    let around: Vec<u8> = (0_u8..251).cycle().take(OFFSET).collect();
    bench.refill(0, &around);
    bench.refill(OFFSET + BYTES, around.get(..OFFSET - BYTES).unwrap_or_default());
    let own = ram.slice(u64::try_from(OFFSET)?, u64::try_from(BYTES)?)?;
    let space = root.address_space()?;
    let mapping = Mapping::new(Access::ALL).largest(PageSize::Size4K);
    space.map(Gpa::new(0)..Gpa::new(own.bytes()), &own, 0, mapping)?;
    let vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    let departures = Departures::here();
    if departures.needs_nmi {
        machine::nmi::start(bench.processor, NMI_DIVISOR);
    }
    let mut trial = Trial {
        guest: Guest { vcpu, space: &space, ram: own },
        departures,
        template: Template::new(),
        image: vec![0; BYTES],
        around,
        tally: Tally::default(),
    };
    let free = bench.free_frames();
    for number in first..first.saturating_add(runs) {
        let before = capture();
        let run = trial.run(bench, number, &mut Random::new(seed, number));
        let after = trial.check(bench, number, &before);
        if let Err(why) = run.and(after) {
            fail!("seed={seed} first={number} runs=1: {why}");
        }
        ensure_eq!(bench.free_frames(), free, "free frames after run {number}");
        if trial.tally.runs.is_multiple_of(5000) {
            println!("{} guests of {runs}, {} exits", trial.tally.runs, trial.tally.exits);
        }
    }
    trial.tally.print(runs)
}

impl Trial<'_, '_> {
    /// One guest, until it has ended.
    fn run(&mut self, bench: &Bench, number: u64, random: &mut Random) -> Outcome {
        if machine::arg("show").is_some() {
            println!("run {number}");
        }
        self.tally.runs += 1;
        self.template.fill(&mut self.image, random);
        bench.refill(OFFSET, &self.image);
        let changed = self.change_pages(random);
        let _refused_where_missing = answer::controls(&mut self.guest.vcpu, random);
        let mut state = state::base(random);
        self.departures.tame(&mut state);
        self.guest.vcpu.restore(&state)?;
        if random.below(3) > 0 {
            for _ in 0..1 + random.below(3) {
                state::change(&mut state, random);
            }
            self.departures.tame(&mut state);
            // Then the guest runs with the state before the changes.
            self.tally.states_refused += u64::from(self.guest.vcpu.restore(&state).is_err());
        }
        if machine::arg("state").is_some() {
            self.guest.vcpu.save(&mut state);
            println!("{state}");
        }
        let outcome = self.enter_and_answer(number, random);
        for at in changed {
            if self.guest.space.translate(Gpa::new(at)).is_some() {
                self.guest.space.unmap(page(at))?.at_next_entry();
            }
            let mapping = Mapping::new(Access::ALL).largest(PageSize::Size4K);
            self.guest.space.map(page(at), &self.guest.ram, at, mapping)?;
        }
        outcome
    }

    /// Takes rights or all of it away from some pages; returns which.
    fn change_pages(&self, random: &mut Random) -> Vec<u64> {
        let mut changed = Vec::new();
        if random.below(3) == 0 {
            for _ in 0..1 + random.below(3) {
                let at = random.below(PAGES) << 12;
                // What this format cannot say is refused, and stays.
                let is_changed = if random.below(3) == 0 {
                    self.guest.space.unmap(page(at)).map(x86_virt::Invalidation::at_next_entry)
                } else {
                    self.guest
                        .space
                        .protect(page(at), answer::access(random))
                        .map(x86_virt::Invalidation::at_next_entry)
                };
                if is_changed.is_ok() && !changed.contains(&at) {
                    changed.push(at);
                }
            }
        }
        changed
    }

    fn enter_and_answer(&mut self, number: u64, random: &mut Random) -> Outcome {
        let ticks = 1 << (8 + random.below(7));
        let mut waits = 0;
        for entry in 0..ENTRIES {
            self.departures.before_entry(&mut self.guest.vcpu);
            let exceptions = self.guest.vcpu.exceptions();
            if self.departures.exceptions(exceptions) != exceptions {
                self.guest.vcpu.set_exceptions(self.departures.exceptions(exceptions));
                self.departures.before_entry(&mut self.guest.vcpu);
            }
            let before = number.is_multiple_of(4).then(|| self.guest.vcpu.state());
            let exit = match self.enter(number + entry, ticks)? {
                Ok(exit) => exit,
                Err(error) => {
                    if machine::arg("show").is_some() {
                        println!("  {error}");
                    }
                    self.tally.entries_refused += 1;
                    ensure!(!error.to_string().is_empty(), "an error without a text");
                    let first = self.guest.vcpu.why(&error).next();
                    ensure!(
                        first.is_none_or(|first: x86_virt::check::Violation| !first.to_string().is_empty()),
                        "a rule without a text"
                    );
                    if let Some(before) = before {
                        ensure_eq!(self.guest.vcpu.state(), before, "state after {error}");
                    }
                    return Ok(());
                }
            };
            if machine::arg("show").is_some() {
                println!("  {:?} ({}) at {:#x}", exit.kind, exit.reason, self.guest.vcpu.rip());
            }
            self.tally.exits += 1;
            *self.tally.kinds.entry(exit.kind.name()).or_default() += 1;
            match exit.kind {
                ExitKind::Shutdown => return Ok(()),
                ExitKind::HostInterrupt | ExitKind::HostNmi | ExitKind::Deadline => {
                    take_pending();
                    waits += 1;
                    if waits == 3 {
                        return Ok(());
                    }
                }
                _ => {}
            }
            let answered = answer::answer(&mut self.guest.vcpu, self.guest.space, exit.kind, random);
            self.tally.answers_refused += u64::from(answered == Answered::Refused);
        }
        Ok(())
    }

    /// One entry, which the timer or an NMI ends at the latest, with values in all registers of the host that a call must leave.
    fn enter(&mut self, number: u64, ticks: u64) -> Outcome<Result<Exit<Reason>, x86_virt::EntryError>> {
        // Interrupts are disabled.
        let before = kept(2 * number + 1);
        let (vcpu, needs_nmi) = (&mut self.guest.vcpu, self.departures.needs_nmi);
        let mut result = None;
        let after = probe::call(&before, || {
            result = Some(if needs_nmi {
                vcpu.run()
            } else {
                let deadline = vcpu.guest_tsc().wrapping_add(ticks);
                vcpu.run_until(deadline, &ApicTimer)
            });
        });
        ensure_eq!(after.gprs, before.gprs, "registers of the caller");
        ensure!(after.x87.to_bits() == before.x87.to_bits(), "x87 stack of the host: {}", after.x87);
        ensure_eq!(after.x87_control & 0xffff, before.x87_control, "x87 control word of the host");
        ensure_eq!(after.mxcsr & !0x3f, before.mxcsr, "MXCSR of the host");
        ensure!(after.vectors == before.vectors, "vector registers of the host: {:x?}", after.vectors);
        let Some(result) = result else { fail!("the call did not happen") };
        if let Ok(exit) = &result {
            coverage::exit(exit.reason);
        }
        Ok(result)
    }

    /// What must be as before, whatever the guest did.
    fn check(&mut self, bench: &Bench, number: u64, before: &[(&'static str, u64)]) -> Outcome {
        take_pending();
        let changed = differences(before, &capture());
        ensure!(changed.is_empty(), "the host has {changed}");
        let is_round = number.is_multiple_of(ROUND);
        let near = if number.is_multiple_of(ROUND * FULL_ROUNDS) { OFFSET } else { NEAR };
        let below = self.around.get(OFFSET - near..).unwrap_or_default();
        ensure!(bench.holds(OFFSET - near, below), "memory before the guest's has changed");
        let above = self.around.get(..near.min(OFFSET - BYTES)).unwrap_or_default();
        ensure!(bench.holds(OFFSET + BYTES, above), "memory behind the guest's has changed");
        if is_round { self.run_ordinary_guest() } else { Ok(()) }
    }

    /// A guest that does nothing wrong, in the same virtual processor.
    fn run_ordinary_guest(&mut self) -> Outcome {
        // MOV AX, 1234H; CPUID; ADD AX, BX; HLT.
        let code = [0xb8, 0x34, 0x12, 0x0f, 0xa2, 0x01, 0xd8, 0xf4];
        self.guest.ram.write(memory::CODE, &code)?;
        let vcpu = &mut self.guest.vcpu;
        vcpu.set_intercepts(Intercepts::new().with_hlt(true))?;
        vcpu.set_exceptions(self.departures.exceptions(0));
        vcpu.set_owned_bits(OwnedBits::NONE);
        vcpu.restore(&VcpuState::new(CpuState::real_mode(0x800, 0)))?;
        let mut others = 0;
        for (kind, ip) in [(ExitKind::Cpuid, 3), (ExitKind::Hlt, 7)] {
            loop {
                let exit = vcpu.run()?;
                others += 1;
                ensure!(others < MOST_OTHERS, "an ordinary guest ends with {:?} again and again", exit.kind);
                match exit.kind {
                    ExitKind::HostInterrupt | ExitKind::HostNmi => take_pending(),
                    // The hypervisor of a run before has asked for them.
                    ExitKind::InterruptWindow | ExitKind::NmiWindow => {}
                    other => {
                        ensure_eq!((other, vcpu.rip()), (kind, ip), "exit of an ordinary guest, {}", exit.reason);
                        break;
                    }
                }
            }
            if kind == ExitKind::Cpuid {
                ensure_eq!(vcpu.gprs().rax, 0x1234, "RAX of an ordinary guest");
                vcpu.complete_cpuid([0x1000, 0x0234, 0, 0])?;
            }
        }
        ensure_eq!(vcpu.gprs().rax, 0x1234, "RAX of an ordinary guest at its end");
        Ok(())
    }
}

impl Tally {
    /// Prints what has happened, and fails if that was not much.
    fn print(&self, runs: u64) -> Outcome {
        let Self { states_refused, entries_refused, exits, answers_refused, kinds, .. } = self;
        println!(
            "{} guests made by chance: {exits} exits of {} kinds, refused: {states_refused} states, {entries_refused} entries, \
             {answers_refused} answers",
            self.runs,
            kinds.len()
        );
        for (kind, count) in kinds {
            println!("  {count} {kind}");
        }
        ensure_eq!(self.runs, runs, "runs");
        if runs >= RUNS {
            ensure!(*exits >= runs, "{exits} exits of {runs} guests");
            ensure!(kinds.len() >= 12, "only {} kinds of exits", kinds.len());
            ensure!(*states_refused > 0 && *answers_refused > 0, "nothing was refused");
        }
        Ok(())
    }
}
