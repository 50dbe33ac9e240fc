//! A virtual processor moves from processor to processor.
#![expect(unsafe_code, reason = "takes back what all processors shared")]

use core::hint;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use spin::Mutex;
use x86_virt::{ExitKind, Space, Vcpu, VcpuConfig};

use crate::bench::{Bench, Frames, share, take_back};
use crate::guest::{Mode, load, space};
use crate::harness::{Outcome, ensure_eq};
use crate::life_cycle::{Parked, park, unpark};

/// How often each processor has the guest.
const ROUNDS: usize = 10;

/// INC RBX; CPUID; JMP to the start.
const CODE: [u8; 7] = [0x48, 0xff, 0xc3, 0x0f, 0xa2, 0xeb, 0xf9];

static PARCEL: Mutex<Option<Parked<'static>>> = Mutex::new(None);
/// How many times the guest has been handed on; modulo the number of processors, whose turn it is.
static TURN: AtomicUsize = AtomicUsize::new(usize::MAX);
static SPACE: AtomicPtr<Space<'static, Frames>> = AtomicPtr::new(core::ptr::null_mut());
/// How many processors have left.
static DONE: AtomicUsize = AtomicUsize::new(0);

/// Each processor runs the guest one step further and hands it on.
pub(crate) fn guest_goes_on_elsewhere(bench: &Bench) -> Outcome {
    let result = take_turns(bench);
    DONE.fetch_add(1, Ordering::AcqRel);
    if bench.processor == 0 {
        while DONE.load(Ordering::Acquire) != machine::processors() {
            hint::spin_loop();
        }
        drop(PARCEL.lock().take());
        let shared = SPACE.swap(core::ptr::null_mut(), Ordering::AcqRel);
        if !shared.is_null() {
            // SAFETY: from `share`; the parcel, which referred to it, is dropped, and all processors have left.
            unsafe { take_back(shared) };
        }
    }
    result
}

fn take_turns(bench: &Bench) -> Outcome {
    let processors = machine::processors();
    let mut root = bench.enter()?;
    if bench.processor == 0 {
        let ram = bench.ram();
        load(&ram, &CODE)?;
        let shared = share(space(&root, &ram)?);
        SPACE.store(core::ptr::from_ref(shared).cast_mut(), Ordering::Release);
        let mut vcpu = root.vcpu(shared, &VcpuConfig::new())?;
        vcpu.set_state(&Mode::Long.state())?;
        *PARCEL.lock() = Some(park(vcpu)?);
        TURN.store(0, Ordering::Release);
    }
    for round in 0..ROUNDS {
        let turn = round * processors + bench.processor;
        while TURN.load(Ordering::Acquire) != turn {
            hint::spin_loop();
        }
        let parcel = PARCEL.lock().take();
        let result = parcel.map(|parked| step(parked, &mut root, turn)).transpose();
        // Whatever came of it, the others go on.
        let (parked, result) = match result {
            Ok(parked) => (parked, Ok(())),
            Err(why) => (None, Err(why)),
        };
        *PARCEL.lock() = parked;
        TURN.store(turn + 1, Ordering::Release);
        result?;
    }
    Ok(())
}

fn step(parked: Parked<'static>, root: &mut x86_virt::Root<'_, Frames>, turn: usize) -> Outcome<Parked<'static>> {
    let mut vcpu = unpark(parked, root)?;
    ensure_eq!(vcpu.run()?.kind, ExitKind::Cpuid, "exit");
    ensure_eq!(vcpu.gprs().rbx, u64::try_from(turn)? + 1, "steps that the guest has made");
    vcpu.skip_instruction()?;
    park(vcpu)
}
