//! What nested page tables cost, in this library and in others: `cargo xtask bench paging`.
//!
//! Every implementation does the same seven workloads on the same frames, which come with any content: who needs zeroed frames
//! pays for that. Beside them runs `limit`, the stores and loads that no implementation can do without. `docs/performance.md`
//! says what the numbers mean.
//!
//! One line of JSON for each workload and implementation goes to standard output.

mod arena;
mod callgrind;
mod limit;
mod meter;
mod tables;
mod workload;

use clap::{Parser, ValueEnum};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use x86_virt::ept::EptFormat;
use x86_virt::npt::NptFormat;

use crate::meter::Meter;
use crate::tables::aarch64_paging::Stage2;
use crate::tables::page_table_multiarch::Multiarch;
use crate::tables::x86_64::Mapped;
use crate::tables::x86_virt::{Listed, Nested};
use crate::workload::{Orders, WORKLOADS, Workload};

/// Something that does the workloads.
struct Implementation {
    name: &'static str,
    run: fn(&Workload, &Orders, &mut Meter),
    /// The only workload in which it differs from the one before, if there is one.
    only: Option<&'static str>,
}

impl Implementation {
    const fn new(name: &'static str, run: fn(&Workload, &Orders, &mut Meter)) -> Self {
        Self { name, run, only: None }
    }

    const fn only(self, workload: &'static str) -> Self {
        Self { only: Some(workload), ..self }
    }
}

/// The first is what the others are compared with.
const IMPLEMENTATIONS: [Implementation; 8] = [
    Implementation::new("limit", limit::run),
    Implementation::new("x86-virt-ept", workload::run::<Nested<EptFormat>>),
    Implementation::new("x86-virt-npt", workload::run::<Nested<NptFormat>>),
    Implementation::new("x86-virt-ept-list", workload::run::<Listed<EptFormat>>).only("w4"),
    Implementation::new("x86-virt-npt-list", workload::run::<Listed<NptFormat>>).only("w4"),
    Implementation::new(X86_64, workload::run::<Mapped>),
    Implementation::new("page_table_multiarch", workload::run::<Multiarch>),
    Implementation::new("aarch64-paging", workload::run::<Stage2>),
];
const X86_64: &str = "x86_64";

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum What {
    /// Time, as the median of the ratios to the limit in the same round
    Time,
    /// Instructions, if callgrind runs the program
    Count,
}

#[derive(Debug, Parser)]
struct Arguments {
    what: What,
    /// Only this workload: w1 to w7
    #[arg(long)]
    workload: Option<String>,
    /// Only this implementation, beside the limit
    #[arg(long)]
    implementation: Option<String>,
    /// How often each is timed
    #[arg(long, default_value_t = 9)]
    rounds: u32,
}

fn main() {
    let arguments = Arguments::parse();
    if let Ok(cpu) = sched_getcpu() {
        let mut cpus = CpuSet::new();
        // Where it is refused, times are noisier.
        let _ = cpus.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &cpus));
    }
    let orders = Orders::new();
    let is_chosen = |chosen: &Option<String>, name: &str| chosen.as_deref().is_none_or(|chosen| chosen == name);
    for workload in WORKLOADS.iter().filter(|workload| is_chosen(&arguments.workload, workload.name)) {
        let implementations: Vec<_> = IMPLEMENTATIONS
            .iter()
            .enumerate()
            .filter(|(index, one)| *index == 0 || is_chosen(&arguments.implementation, one.name))
            .filter(|(_, one)| one.only.is_none_or(|only| only == workload.name))
            .map(|(_, one)| one)
            .collect();
        match arguments.what {
            What::Time => time(workload, &implementations, &orders, arguments.rounds),
            What::Count => count(workload, &implementations, &orders),
        }
    }
}

/// Times all in turns, after a round to warm up.
fn time(workload: &Workload, implementations: &[&Implementation], orders: &Orders, rounds: u32) {
    let round = |_| -> Vec<f64> {
        let seconds = |one: &&Implementation| {
            let mut meter = Meter::clock();
            (one.run)(workload, orders, &mut meter);
            meter.seconds()
        };
        implementations.iter().map(seconds).collect()
    };
    round(0);
    let rounds: Vec<_> = (0..rounds).map(round).collect();
    let median_ratio = |over: usize, under: usize| {
        let ratio = |round: &Vec<f64>| Some(round.get(over)? / round.get(under)?);
        let mut ratios: Vec<_> = rounds.iter().filter_map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let x86_64 = implementations.iter().position(|one| one.name == X86_64);
    for (index, one) in implementations.iter().enumerate() {
        let faster = x86_64.map_or("null".to_owned(), |x86_64| format!("{:.3}", median_ratio(x86_64, index)));
        println!(
            r#"{{"workload":"{}","implementation":"{}","time_vs_limit":{:.3},"times_faster_than_x86_64":{faster}}}"#,
            workload.name,
            one.name,
            median_ratio(index, 0),
        );
    }
}

/// Runs each once; callgrind writes what it counted, with the name that the line says.
fn count(workload: &Workload, implementations: &[&Implementation], orders: &Orders) {
    for one in implementations {
        let dump = format!("{}:{}", workload.name, one.name);
        (one.run)(workload, orders, &mut Meter::counter(&dump));
        println!(
            r#"{{"workload":"{}","implementation":"{}","entries":{},"dump":"{dump}"}}"#,
            workload.name, one.name, workload.entries,
        );
    }
}
