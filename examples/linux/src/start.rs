//! From the command line to a guest that runs on every processor.
#![forbid(unsafe_code)]

use alloc::boxed::Box;
use core::num::ParseIntError;
use core::sync::atomic::{AtomicBool, Ordering};

use linux::account::Account;
use linux::board::{Board, Ending, Setup};
use linux::clock::Clock;
use linux::cpuid::{Cpuid, Registers};
use linux::exit_loop::{Guest, Processor, VIRTUALIZED};
use linux::loader::{self, Files};
use linux::local_apic::Interface;
use linux::{acpi, local_apic, msr};
use machine::time::Speeds;
use machine::{arg, println};
use spin::{Mutex, Once};
use x86_virt::{Access, CpuState, Gpa, GuestRam, Mapping, MsrAccess, PageSize, Root, Space, Vcpu, VcpuConfig};

use crate::memory::{self, Frames, ThisProcessor};
use crate::processor::ThisMachine;
use crate::report;

/// What the first processor has prepared for all.
struct Plan {
    frames: Frames,
    speeds: Speeds,
    interface: Interface,
    /// The APIC-access page, if the processor does a part of the local APICs.
    access_page: Option<GuestRam<'static>>,
    guest: Guest<Space<'static, Frames>>,
    state: CpuState,
    slices: usize,
}

static PLAN: Once<Plan> = Once::new();
static FAILED: AtomicBool = AtomicBool::new(false);

/// Whether the guest has not ended by switching its power off.
pub(crate) fn has_failed() -> bool {
    FAILED.load(Ordering::Acquire)
}

/// Loads the guest.
pub(crate) fn prepare() -> Result<(), Box<dyn core::error::Error>> {
    report::processor();
    let bytes = number("memory")?.unwrap_or(128).saturating_mul(1 << 20);
    loader::check_memory(bytes)?;
    // Files first: memory that is taken at an address must be free.
    let frames = memory::frames().ok_or(StartError::Memory { what: "frames" })?;
    let kernel = file("kernel")?;
    let initrd = file("initrd")?;
    let command_line = machine::args().split_once(" -- ").map_or("", |(_, text)| text.trim());
    let ram = memory::guest_ram(bytes).ok_or(StartError::Memory { what: "the guest" })??;

    let processors = u8::try_from(machine::processors())?;
    let speeds = Speeds::measure();
    let clock = Clock::new(speeds.tsc_hertz());
    let kilohertz = speeds.tsc_hertz() / 1000;
    let command_line = alloc::format!("{command_line} tsc_early_khz={kilohertz}");
    let files = Files { kernel, initrd, command_line: command_line.trim() };
    let state = loader::load(&ram, &files, &acpi::tables(loader::ACPI, processors))?;

    let root = Root::enter(&ThisProcessor, frames)?;
    report::features(&root);
    let space = root.address_space()?;
    let large = Mapping { smallest: PageSize::Size2M, ..Mapping::new(Access::ALL) };
    space.map(Gpa::new(0)..Gpa::new(bytes), &ram, 0, large)?;
    let access_page = access_page(&root, &space)?;
    let interface = if arg("apic") == Some("memory") { Interface::Memory } else { Interface::MemoryOrMsrs };
    let now = machine::tsc();
    let setup = Setup { processors, interface, clock, seconds: number("seconds")?.unwrap_or(0), now };
    let guest = Guest { memory: space, board: Mutex::new(Board::new(&setup)), console: Mutex::new(()) };
    let slices = usize::try_from(number("timeline")?.unwrap_or(0))?;
    println!("guest: {} MiB, {processors} processors; time-stamp counter: {kilohertz} kHz", bytes >> 20);
    PLAN.call_once(|| Plan { frames, speeds, interface, access_page, guest, state, slices });
    Ok(())
}

/// The page that the guest accesses in place of the registers of its local APICs, if the processor does a part of them: as the word
/// `apics=` of the command line says, or if it can.
fn access_page(
    root: &Root<'_, Frames>,
    space: &Space<'static, Frames>,
) -> Result<Option<GuestRam<'static>>, Box<dyn core::error::Error>> {
    let wanted = arg("apics");
    let found =
        if wanted == Some("software") { Ok(false) } else { root.check_apic_virtualization(VIRTUALIZED).map(|()| true) };
    match found {
        Ok(true) => println!("local APICs: with the processor's virtualization"),
        Ok(false) => println!("local APICs: in software"),
        Err(error) if wanted == Some("virtual") => return Err(error.into()),
        Err(error) => println!("local APICs: in software: {error}"),
    }
    if found != Ok(true) {
        return Ok(None);
    }
    let page = memory::guest_ram(0x1000).ok_or(StartError::Memory { what: "the APIC-access page" })??;
    let at = Gpa::new(local_apic::BASE)..Gpa::new(local_apic::BASE + 0x1000);
    space.map(at, &page, 0, Mapping::new(Access::READ.union(Access::WRITE)).largest(PageSize::Size4K))?;
    Ok(Some(page))
}

/// Runs one processor of the guest.
pub(crate) fn run(processor: usize) {
    match try_run(processor) {
        Ok(Ending::PowerOff) => {}
        Ok(ending) => {
            println!("cpu{processor}: the guest ended with {ending:?}");
            FAILED.store(true, Ordering::Release);
        }
        Err(error) => {
            println!("cpu{processor}: FAILED: {error}");
            FAILED.store(true, Ordering::Release);
        }
    }
}

fn try_run(number: usize) -> Result<Ending, Box<dyn core::error::Error>> {
    let plan = PLAN.get().ok_or(StartError::Memory { what: "the plan" })?;
    machine::interrupts::disable();
    let clock = Clock::new(plan.speeds.tsc_hertz());
    let cpuid = Cpuid { processor: ask, apic_id: u8::try_from(number)?, interface: plan.interface };
    let mut root = Root::enter(&ThisProcessor, plan.frames)?;
    let mut vcpu = root.vcpu(&plan.guest.memory, &VcpuConfig::new())?;
    if let Some(page) = &plan.access_page {
        vcpu.enable_virtual_apic(&plan.frames, Some(page), VIRTUALIZED)?;
    }
    for msr in msr::switched() {
        vcpu.pass_msr(msr, MsrAccess::ReadWrite);
    }
    if number == 0 {
        vcpu.set_state(&plan.state)?;
    }
    let has_input = number == 0 && arg("input").is_some();
    let host = ThisMachine::new(clock, plan.speeds.apic_hertz(), has_input);
    let account = Account::new(plan.slices, machine::tsc());
    let mut processor = Processor::new(&plan.guest, host, number, cpuid, account);
    let result = processor.run(&mut vcpu);
    report::account(number, processor.account(), clock);
    let ending = result.map_err(|error| alloc::format!("{error}"))?;
    if ending == Ending::Shutdown {
        report::state(number, &vcpu.state());
    }
    Ok(ending)
}

fn ask(leaf: u32, subleaf: u32) -> Registers {
    let answer = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    [answer.eax, answer.ebx, answer.ecx, answer.edx]
}

/// The file that the word `name=ADDRESS:BYTES` of the command line says is in memory; empty if there is no such word.
fn file(name: &'static str) -> Result<&'static [u8], StartError> {
    let Some(value) = arg(name) else { return Ok(&[]) };
    let parse = |(address, bytes): (&str, &str)| {
        let address = u64::from_str_radix(address.strip_prefix("0x")?, 16).ok()?;
        memory::file(address, bytes.parse().ok()?)
    };
    value.split_once(':').and_then(parse).ok_or(StartError::File { name, value })
}

/// The number in the word `name=` of the command line.
fn number(name: &'static str) -> Result<Option<u64>, StartError> {
    arg(name).map(|value| value.parse().map_err(|error| StartError::Number { name, value, error })).transpose()
}

/// Why there is no guest, besides what the library and the loader say.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("there is not enough memory for {what}")]
    Memory { what: &'static str },
    #[error("{name}={value}: no such memory, or it is taken")]
    File { name: &'static str, value: &'static str },
    #[error("{name}={value}: {error}")]
    Number { name: &'static str, value: &'static str, error: ParseIntError },
}
