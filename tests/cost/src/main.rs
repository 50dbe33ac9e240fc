//! What an exit costs: `cargo xtask bench exit`.
//!
//! A guest executes CPUID in a loop. For each way to run it, a line says how many instructions a round trip took, those of the guest
//! included, of `exits=N`. With `trace`, the debugger of Bochs is called before and after a few of them, to see each instruction.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "promises about the machine")]

extern crate alloc;

use machine::{Verdict, println};
use x86_virt::{Access, Gpa, SwitchedMsr, Vcpu, VcpuConfig};
use x86_virt::{AnyVcpu, CpuPin, CpuState, DirectMap, Efer, ExitKind, FramePool, GuestRam, Hpa, Mapping, Root};

const POOL: core::ops::Range<Hpa> = Hpa::new(0x200_0000)..Hpa::new(0x204_0000);
// SAFETY: `machine` maps the first 4 GiB one to one for ever, and address 0 is neither in the pool nor given to a guest.
static FRAMES: FramePool<64> = FramePool::new(POOL.start, unsafe { DirectMap::new(0, Hpa::new(1 << 32)) });

struct ThisProcessor;
// SAFETY: at privilege level 0 in 64-bit mode, and never moved; nothing else here uses virtualization or changes what the
// contract names; CR0.TS and EM are 0; the handler of NMIs has a stack of its own and counts, no more.
unsafe impl CpuPin for ThisProcessor {}

machine::entry!(main);

type Failure = alloc::boxed::Box<dyn core::error::Error>;

/// Where the guest's code and tables are.
const CODE: u64 = 0x8000;
const TABLES: u64 = 0x1000;
const RAM: u64 = 0x20_0000;
/// CPUID; JMP to the start.
const GUEST: [u8; 4] = [0x0f, 0xa2, 0xeb, 0xfc];
/// How many exits are traced.
const TRACED: u64 = 100;

/// What the handler does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handler {
    /// Four registers and the next instruction.
    Complete,
    /// Nothing: the guest executes the instruction again.
    Again,
}

fn main() -> Verdict {
    match measure() {
        Ok(()) => Verdict::Pass,
        Err(error) => {
            println!("{error}");
            Verdict::Fail
        }
    }
}

fn measure() -> Result<(), Failure> {
    machine::memory::take_at(POOL.start.get(), 64 * 4096).ok_or("the pool is not there")?;
    // SAFETY: it is RAM, and taken: nobody else uses it.
    unsafe { FRAMES.donate(POOL) }?;
    let region = machine::memory::take_zeroed(0x20_0000, 0x20_0000).ok_or("the guest's memory is not there")?;
    // SAFETY: as above, and mapped one to one for ever.
    let ram = unsafe { GuestRam::new(region.as_ptr(), Hpa::new(region.address()), RAM) }?;
    load(&ram)?;
    let switched = VcpuConfig::new();
    // SAFETY: the guest uses none of the registers.
    let shared = unsafe { VcpuConfig::new().with_shared_fpu() };
    case(&ram, "switched", switched, Handler::Complete)?;
    case(&ram, "shared", shared, Handler::Complete)?;
    // SAFETY: nothing here uses SWAPGS, SYSCALL, FS, GS or the MSRs, and nothing waits.
    let resident = unsafe { shared.with_resident_segments() };
    case(&ram, "resident", resident, Handler::Complete)?;
    case(&ram, "again", resident, Handler::Again)?;
    Ok(())
}

/// Runs one guest, with `config`.
#[inline(never)]
fn case(ram: &GuestRam<'static>, name: &str, config: VcpuConfig, handler: Handler) -> Result<(), Failure> {
    let mut root = Root::enter(&ThisProcessor, &FRAMES)?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(RAM), ram, 0, Mapping::new(Access::ALL))?;
    let mut vcpu = root.vcpu(&space, &config)?;
    let efer = Efer::new().with_lme(true).with_lma(true).with_sce(true);
    vcpu.set_state(&CpuState { efer, ..CpuState::long_mode(CODE, 0x7000, TABLES) })?;
    // Guest and host agree.
    for msr in
        [SwitchedMsr::Star, SwitchedMsr::Lstar, SwitchedMsr::Cstar, SwitchedMsr::Sfmask, SwitchedMsr::KernelGsBase]
    {
        // SAFETY: every processor with 64-bit mode has the MSR.
        vcpu.set_msr(msr, unsafe { x86::msr::rdmsr(msr.number()) })?;
    }
    match &mut vcpu {
        AnyVcpu::Vmx(vcpu) => count(vcpu, name, handler),
        AnyVcpu::Svm(vcpu) => count(vcpu, name, handler),
        _ => Err("there is no such vendor".into()),
    }
}

fn count<V: Vcpu>(vcpu: &mut V, name: &str, handler: Handler) -> Result<(), Failure>
where
    V::EntryError: 'static + core::error::Error,
{
    let exits = machine::arg("exits").and_then(|text| text.parse().ok()).unwrap_or(200_000);
    // The first rounds write what later ones find unchanged.
    round(vcpu, 10, handler)?;
    let before = machine::tsc();
    round(vcpu, exits, handler)?;
    let ticks = machine::tsc() - before;
    println!("cost {name} {}.{:03}", ticks / exits, ticks % exits * 1000 / exits);
    if machine::arg("trace").is_some() {
        stop_in_debugger();
        let outcome = round(vcpu, TRACED, handler);
        stop_in_debugger();
        outcome?;
        println!("traced {name} {TRACED}");
    }
    Ok(())
}

/// So many exits.
#[inline(never)]
fn round<V: Vcpu>(vcpu: &mut V, exits: u64, handler: Handler) -> Result<(), Failure>
where
    V::EntryError: 'static + core::error::Error,
{
    for _ in 0..exits {
        match vcpu.run()?.kind {
            ExitKind::Cpuid if handler == Handler::Complete => vcpu.complete_cpuid([1, 2, 3, 4])?,
            ExitKind::Cpuid => {}
            kind => return Err(alloc::format!("{kind:?}").into()),
        }
    }
    Ok(())
}

/// Ends a `c` of Bochs's debugger.
fn stop_in_debugger() {
    // SAFETY: Bochs has a port of its own there, and nothing else listens.
    unsafe { x86::io::outb(0x8900, b'D') };
}

/// The guest's code, and tables that map the first GiB one to one.
fn load(ram: &GuestRam<'_>) -> Result<(), Failure> {
    const PRESENT_WRITABLE: u64 = 3;
    const LARGE: u64 = 1 << 7;
    ram.write(CODE, &GUEST)?;
    ram.write(TABLES, &(0x2000 | PRESENT_WRITABLE).to_le_bytes())?;
    ram.write(0x2000, &(0x3000 | PRESENT_WRITABLE).to_le_bytes())?;
    ram.write(0x3000, &(PRESENT_WRITABLE | LARGE).to_le_bytes())?;
    Ok(())
}
