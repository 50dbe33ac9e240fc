//! Soak: virtual processors move from processor to processor, with interrupts, NMIs and kicks at any time. Nothing is lost, and
//! no state drifts.
//!
//! `exits=N` on the command line makes each processor see so many exits; without it, few.
#![expect(unsafe_code, reason = "takes back what all processors shared; promises about registers")]

use core::hint;
use core::sync::atomic::{AtomicUsize, Ordering};

use machine::{MAX_PROCESSORS, apic};
use spin::Mutex;
use x86_virt::{ExitKind, GuestRam, InterruptRequest, Kick, Root, Space, Vcpu, VcpuConfig};

use crate::bench::{Bench, Frames, share, take_back};
use crate::feature::{Feature, has};
use crate::guest::{CODE, DATA, Guest, HANDLERS, Mode, load, space};
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::interrupts::take_pending;
use crate::life_cycle::{Parked, park, unpark};
use crate::registers::capture;
use crate::world_switch::differences;

/// INC R12; CPUID; JMP to the start.
const MAIN: [u8; 7] = [0x49, 0xff, 0xc4, 0x0f, 0xa2, 0xeb, 0xf9];
const MAIN_CPUID: u64 = CODE + 3;
/// LOCK INC QWORD [DATA]; IRETQ.
const INTERRUPT_HANDLER: [u8; 11] = [0xf0, 0x48, 0xff, 0x04, 0x25, 0, 0, 1, 0, 0x48, 0xcf];
/// LOCK INC QWORD [DATA + 8]; CPUID; IRETQ.
const NMI_HANDLER: [u8; 13] = [0xf0, 0x48, 0xff, 0x04, 0x25, 8, 0, 1, 0, 0x0f, 0xa2, 0x48, 0xcf];
const VECTOR: u8 = 0x40;
/// Of the host: the timer, and kicks.
const TIMER: u8 = 0x61;
const KICK: u8 = 0x62;
/// What the guest never changes.
const CANARY: u64 = 0x5a5a_0123_89ab_cdef;

/// Exits of a virtual processor before it moves on.
const SLICE: usize = 250;
/// Exits of each processor, if the command line does not say.
const EXITS: usize = 1000;

/// What goes with a virtual processor on its way.
#[derive(Clone, Copy)]
struct Luggage {
    space: &'static Space<'static, Frames>,
    ram: GuestRam<'static>,
    account: Account,
}

/// What was asked for, and seen.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    random: u64,
    rounds: u64,
    accepted: u64,
    nmis: u64,
    kicked: u64,
    exits: u64,
}

impl Account {
    /// The next number of a sequence that looks random.
    const fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

static SEATS: [Mutex<Option<(Parked<'static>, Luggage)>>; MAX_PROCESSORS] =
    [const { Mutex::new(None) }; MAX_PROCESSORS];
/// How many slices each virtual processor has behind it, plus one when it is there.
static TURNS: [AtomicUsize; MAX_PROCESSORS] = [const { AtomicUsize::new(0) }; MAX_PROCESSORS];
static KICKS: [Kick; MAX_PROCESSORS] = [const { Kick::new() }; MAX_PROCESSORS];
/// A processor has given up: nobody waits for anybody any more.
static FAILED: AtomicUsize = AtomicUsize::new(0);

/// Every processor runs each virtual processor in turn.
pub(crate) fn nothing_is_lost(bench: &Bench) -> Outcome {
    let before = capture();
    let result = travel(bench);
    apic::stop_timer();
    take_pending();
    if result.is_err() {
        FAILED.fetch_add(1, Ordering::AcqRel);
    }
    result?;
    let changed = differences(&before, &capture());
    ensure!(changed.is_empty(), "the host has {changed}");
    Ok(())
}

fn travel(bench: &Bench) -> Outcome {
    let processors = machine::processors();
    let exits = machine::arg("exits").and_then(|text| text.parse().ok()).unwrap_or(EXITS);
    let slices = exits.div_ceil(SLICE).next_multiple_of(processors);
    let mut root = bench.enter()?;
    let own = bench.processor;
    let (parked, luggage) = set_out(bench, &mut root)?;
    seat(own)?.lock().replace((parked, luggage));
    turn(own)?.store(1, Ordering::Release);
    for slice in 0..slices {
        let index = (own + slice) % processors;
        if !has_come(index, slice + 1)? {
            break;
        }
        let Some((parked, mut luggage)) = seat(index)?.lock().take() else { fail!("{index} is not in its seat") };
        apic::start_timer(TIMER, 20_011 + 2 * u32::try_from(slice % 1000)?);
        let mut guest = arrive(parked, &luggage, &mut root)?;
        attach(&mut guest, index, own)?;
        for _ in 0..SLICE {
            step(&mut guest, &mut luggage.account, (index + 1) % processors)?;
        }
        check(&guest)?;
        seat(index)?.lock().replace((park(guest.vcpu)?, luggage));
        turn(index)?.fetch_add(1, Ordering::AcqRel);
    }
    if !has_come(own, slices + 1)? {
        fail!("another processor has failed");
    }
    let Some((parked, mut luggage)) = seat(own)?.lock().take() else { fail!("{own} has not come home") };
    let result = arrive(parked, &luggage, &mut root).and_then(|guest| settle(guest, &mut luggage.account, own));
    // SAFETY: from `share`; the virtual processor that referred to it is gone, and no other does.
    unsafe { take_back(core::ptr::from_ref(luggage.space).cast_mut()) };
    result
}

fn seat(index: usize) -> Outcome<&'static Mutex<Option<(Parked<'static>, Luggage)>>> {
    Ok(SEATS.get(index).ok_or(core::fmt::Error)?)
}

fn turn(index: usize) -> Outcome<&'static AtomicUsize> {
    Ok(TURNS.get(index).ok_or(core::fmt::Error)?)
}

fn kick(index: usize) -> Outcome<&'static Kick> {
    Ok(KICKS.get(index).ok_or(core::fmt::Error)?)
}

/// Waits for a virtual processor; false if another processor has failed.
fn has_come(index: usize, turns: usize) -> Outcome<bool> {
    let turn = turn(index)?;
    while turn.load(Ordering::Acquire) < turns {
        if FAILED.load(Ordering::Acquire) != 0 {
            return Ok(false);
        }
        hint::spin_loop();
    }
    Ok(true)
}

fn set_out(bench: &Bench, root: &mut Root<'_, Frames>) -> Outcome<(Parked<'static>, Luggage)> {
    let ram = bench.ram();
    load(&ram, &MAIN)?;
    ram.write(HANDLERS + 16 * u64::from(VECTOR), &INTERRUPT_HANDLER)?;
    ram.write(HANDLERS + 16 * 2, &NMI_HANDLER)?;
    let space: &'static Space<'static, Frames> = share(space(root, &ram)?);
    let mut vcpu = root.vcpu(space, &config(bench))?;
    vcpu.set_state(&Mode::Long.state())?;
    let rflags = vcpu.rflags().with_if(true);
    vcpu.set_rflags(rflags);
    let gprs = vcpu.gprs_mut();
    (gprs.r12, gprs.r13, gprs.rsi, gprs.rbp) = (0, CANARY, !CANARY, CANARY);
    let random = 0x9e37_79b9_7f4a_7c15 ^ u64::try_from(bench.processor)?;
    Ok((park(vcpu)?, Luggage { space, ram, account: Account { random, ..Account::default() } }))
}

/// Every other virtual processor leaves its segments in the registers.
fn config(bench: &Bench) -> VcpuConfig {
    if bench.processor.is_multiple_of(2) {
        return VcpuConfig::new();
    }
    // SAFETY: the tests use neither these registers nor SWAPGS or SYSCALL, take no exception on another stack, and wait for others only
    // when the virtual processor is not loaded.
    unsafe { VcpuConfig::new().with_resident_segments() }
}

fn arrive<'r>(
    parked: Parked<'static>,
    luggage: &Luggage,
    root: &'r mut Root<'_, Frames>,
) -> Outcome<Guest<'r, 'static>> {
    Ok(Guest { vcpu: unpark(parked, root)?, space: luggage.space, ram: luggage.ram })
}

fn attach(guest: &mut Guest<'_, 'static>, index: usize, processor: usize) -> Outcome {
    guest.vcpu.set_kick(kick(index)?, u32::try_from(processor)?);
    Ok(())
}

/// One exit, with what comes to the guest meanwhile. `neighbour` is the one that may be kicked.
fn step(guest: &mut Guest<'_, 'static>, account: &mut Account, neighbour: usize) -> Outcome {
    let random = account.random();
    if random.is_multiple_of(5) && has(Feature::InterruptsOnce) && guest.vcpu.events().requested_interrupt().is_none() {
        guest.vcpu.request_interrupt(InterruptRequest::fixed(VECTOR));
    }
    let may_wait = has(Feature::GuestSingleStep) || !guest.vcpu.interruptibility().nmi_blocked;
    if random.is_multiple_of(7) && may_wait && !guest.vcpu.events().is_nmi_requested() {
        guest.vcpu.request_nmi();
        account.nmis += 1;
    }
    if random.is_multiple_of(11)
        && let Some(processor) = kick(neighbour)?.kick()
    {
        apic::send_interrupt(usize::try_from(processor)?, KICK);
    }
    run(guest, account)
}

/// One exit.
fn run(guest: &mut Guest<'_, 'static>, account: &mut Account) -> Outcome {
    let before = guest.vcpu.rip();
    let exit = guest.vcpu.run()?;
    let kind = exit.kind;
    account.exits += 1;
    account.accepted += u64::from(guest.vcpu.accepted_interrupt().is_some());
    let handled = guest.word(DATA)?;
    ensure!(
        handled <= account.accepted,
        "{handled} interrupts handled, {} accepted: from {before:#x} to {:#x}, {kind:?} ({}), {:?}, {:?}",
        account.accepted,
        guest.vcpu.rip(),
        exit.reason,
        guest.vcpu.interruptibility(),
        guest.vcpu.events()
    );
    match kind {
        ExitKind::Cpuid => {
            if guest.vcpu.rip() == MAIN_CPUID {
                account.rounds += 1;
                ensure_eq!(guest.vcpu.gprs().r12, account.rounds, "rounds of the guest");
            }
            guest.vcpu.complete_cpuid([0; 4])?;
        }
        ExitKind::HostInterrupt => take_pending(),
        ExitKind::Kicked => account.kicked += 1,
        kind => fail!("{kind:x?} at {:#x}", guest.vcpu.rip()),
    }
    Ok(())
}

/// What the guest does not change is as it was.
fn check(guest: &Guest<'_, 'static>) -> Outcome {
    let (state, gprs) = (guest.vcpu.state(), guest.vcpu.gprs());
    ensure_eq!((gprs.r13, gprs.rsi, gprs.rbp), (CANARY, !CANARY, CANARY), "registers of the guest");
    let expected = Mode::Long.state();
    ensure_eq!((state.cr3, state.cs, state.ss), (expected.cr3, expected.cs, expected.ss), "CR3, CS and SS");
    Ok(())
}

/// Lets come what still waits, and compares what the guest has counted.
fn settle(mut guest: Guest<'_, 'static>, account: &mut Account, index: usize) -> Outcome {
    attach(&mut guest, index, index)?;
    let enough = account.rounds + 3;
    let mut left = 1000;
    while guest.vcpu.events().is_due() || account.rounds < enough {
        run(&mut guest, account)?;
        left -= 1;
        ensure!(left > 0, "what waits does not come: {:?}", guest.vcpu.events());
    }
    check(&guest)?;
    ensure_eq!(guest.word(DATA)?, account.accepted, "interrupts that the guest has handled");
    ensure_eq!(guest.word(DATA + 8)?, account.nmis, "NMIs that the guest has handled");
    ensure!(account.accepted > 0 || !has(Feature::InterruptsOnce), "{account:?}");
    ensure!(account.nmis > 0, "{account:?}");
    ensure!(account.kicked > 0 || machine::processors() == 1, "{account:?}");
    Ok(())
}
