//! An INIT signal, which one processor sends, and which ends the run of another.
//!
//! A start-up signal does too, but Bochs 2.7 delivers it in the middle of what the sender does, and crashes.

use core::hint;
use core::sync::atomic::{AtomicBool, Ordering};

use machine::apic;
use spin::Mutex;
use x86_virt::vmx::BasicExitReason;
use x86_virt::{GuestRam, Reason, Vcpu as _, VcpuConfig};

use crate::bench::Bench;
use crate::guest::{DATA, Guest, Mode, load, space};
use crate::harness::{Outcome, ensure_eq, fail};

/// MOV BYTE [DATA], 1; JMP to itself.
const CODE: [u8; 10] = [0xc6, 0x04, 0x25, 0, 0, 1, 0, 1, 0xeb, 0xfe];

/// The memory of the guest.
static RAM: Mutex<Option<GuestRam<'static>>> = Mutex::new(None);
/// The processor that ran the guest has left.
static DONE: AtomicBool = AtomicBool::new(false);

/// The second processor runs the guest, and the first one ends it. The second one stays in VMX operation for good: Bochs 2.7
/// resets it for the same signal when it leaves.
pub(crate) fn init_ends_the_run(bench: &Bench) -> Outcome {
    match bench.processor {
        0 => send_when_the_guest_runs(),
        1 => {
            let result = run(bench);
            DONE.store(true, Ordering::Release);
            result
        }
        _ => Ok(()),
    }
}

fn run(bench: &Bench) -> Outcome {
    let free = bench.frames.free_frames();
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &CODE)?;
    let space = space(&root, &ram)?;
    let mut guest = Guest { vcpu: root.vcpu(&space, &VcpuConfig::new())?, space: &space, ram };
    guest.vcpu.set_state(&Mode::Long.state())?;
    *RAM.lock() = Some(ram);
    let exit = guest.run()?;
    drop(guest);
    core::mem::forget(space);
    core::mem::forget(root);
    bench.lose(free - bench.frames.free_frames());
    let Reason::Vmx(reason) = exit.reason else { fail!("no VMX") };
    ensure_eq!(reason.basic(), BasicExitReason::INIT_SIGNAL, "reason");
    Ok(())
}

/// Not earlier, since the signal would reset a processor that is not in VMX operation.
fn send_when_the_guest_runs() -> Outcome {
    let mut flag = [0];
    while flag == [0] && !DONE.load(Ordering::Acquire) {
        if let Some(ram) = *RAM.lock() {
            ram.read(DATA, &mut flag)?;
        }
        hint::spin_loop();
    }
    if flag != [0] {
        apic::send_init(1);
    }
    while !DONE.load(Ordering::Acquire) {
        hint::spin_loop();
    }
    Ok(())
}
