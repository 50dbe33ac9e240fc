//! Entering and leaving, parking and loading, and forgetting.

use x86_virt::{AnyParkedVcpu, AnyVcpu, ExitKind, Root, Vcpu, VcpuConfig, vmx};

use crate::bench::{Bench, Frames};
use crate::guest::{CODE, Guest, Mode, load, space};
use crate::harness::{Failure, Outcome, ensure, ensure_eq, fail};
use crate::registers::{Marked, capture, set_kernel_gs_base};
use crate::world_switch::differences;

/// CPUID; HLT.
const TWO_EXITS: [u8; 3] = [0x0f, 0xa2, 0xf4];

/// A hundred times, and the host's registers are as before.
pub(crate) fn enter_and_leave(bench: &Bench) -> Outcome {
    let before = capture();
    for round in 0..100 {
        let root = bench.enter()?;
        if round % 2 == 0 {
            drop(root);
        } else {
            match root {
                Root::Vmx(root) => root.leave(),
                Root::Svm(root) => root.leave(),
                _ => fail!("a third vendor"),
            }
        }
        let changed = differences(&before, &capture());
        ensure!(changed.is_empty(), "after leaving, the host has {changed}");
    }
    Ok(())
}

/// While a root lives, another cannot be made, and the first one goes on working.
pub(crate) fn second_enter_is_refused(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &TWO_EXITS)?;
    let space = space(&root, &ram)?;
    for _ in 0..3 {
        let second = Root::enter(&bench.pin, bench.frames);
        ensure!(second.as_ref().is_err_and(x86_virt::EnterError::is_in_use), "{second:?}");
        let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
        vcpu.set_state(&Mode::Long.state())?;
        ensure_eq!(vcpu.run()?.kind, ExitKind::Cpuid, "exit");
    }
    Ok(())
}

/// A virtual processor that was parked goes on where it was, and so does another in its place meanwhile.
pub(crate) fn park_and_load(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &TWO_EXITS)?;
    let space = space(&root, &ram)?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    vcpu.set_state(&Mode::Long.state())?;
    for round in 0..20_u64 {
        vcpu.set_rip(CODE);
        vcpu.gprs_mut().r15 = round;
        ensure_eq!(vcpu.run()?.kind, ExitKind::Cpuid, "exit");
        vcpu.skip_instruction()?;
        let state = vcpu.state();
        let parked = park(vcpu)?;
        // Another one runs to its end meanwhile.
        {
            let mut other = root.vcpu(&space, &VcpuConfig::new())?;
            other.set_state(&Mode::Long.state())?;
            ensure_eq!(other.run()?.kind, ExitKind::Cpuid, "exit of the other");
        }
        vcpu = unpark(parked, &mut root)?;
        ensure_eq!(vcpu.state(), state, "state");
        ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit after loading");
        ensure_eq!(vcpu.gprs().r15, round, "R15");
    }
    Ok(())
}

/// While no virtual processor is loaded, the host may change its registers; it has them back as they were at the last load.
pub(crate) fn host_changes_between_loads(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &TWO_EXITS)?;
    for round in 1..=3_u64 {
        // All of them once; then one alone, which nothing else that changes gives away.
        let marked = (round == 1).then(Marked::new);
        set_kernel_gs_base(round << 12);
        // The space is made for the PAT that the host has now.
        let space = space(&root, &ram)?;
        let before = capture();
        let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
        vcpu.set_state(&Mode::Long.state())?;
        ensure_eq!(vcpu.run()?.kind, ExitKind::Cpuid, "exit");
        let changed = differences(&before, &capture());
        ensure!(changed.is_empty(), "after an exit, the host has {changed}");
        drop(vcpu);
        drop(marked);
    }
    set_kernel_gs_base(0);
    Ok(())
}

pub(crate) type Parked<'s> = AnyParkedVcpu<'s, 'static, Frames>;

pub(crate) fn park<'s>(vcpu: AnyVcpu<'_, 's, 'static, Frames>) -> Outcome<Parked<'s>> {
    Ok(vcpu.unload()?)
}

pub(crate) fn unpark<'r, 's>(
    parked: Parked<'s>,
    root: &'r mut Root<'_, Frames>,
) -> Outcome<AnyVcpu<'r, 's, 'static, Frames>> {
    parked.load(root).map_err(|refused| Failure::from(refused.error))
}

/// A virtual processor that is forgotten loses its frames, and nothing else.
pub(crate) fn forgotten_vcpu(bench: &Bench) -> Outcome {
    let before = capture();
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &TWO_EXITS)?;
    let space = space(&root, &ram)?;
    for _ in 0..2 {
        let free = bench.frames.free_frames();
        let mut guest = Guest { vcpu: root.vcpu(&space, &VcpuConfig::new())?, space: &space, ram };
        guest.vcpu.set_state(&Mode::Long.state())?;
        guest.expect(ExitKind::Cpuid)?;
        core::mem::forget(guest);
        bench.lose(free - bench.frames.free_frames());
        let mut next = root.vcpu(&space, &VcpuConfig::new())?;
        next.set_state(&Mode::Long.state())?;
        ensure_eq!(next.run()?.kind, ExitKind::Cpuid, "exit of the next one");
    }
    drop(root);
    let changed = differences(&before, &capture());
    ensure!(changed.is_empty(), "after leaving, the host has {changed}");
    drop(bench.enter()?);
    Ok(())
}

/// VMPTRST tells the VMCS that was loaded.
pub(crate) fn current_pointer(bench: &Bench) -> Outcome {
    let Root::Vmx(mut root) = bench.enter()? else { fail!("no VMX") };
    for _ in 0..3 {
        let vmcs = vmx::Vmcs::new(root.capabilities(), root.frames())?;
        let hpa = vmcs.hpa();
        let current = root.load(vmcs).map_err(|(_, why)| Failure::from(why))?;
        ensure_eq!(current.current_pointer(), hpa, "current VMCS");
        let vmcs = current.unload()?;
        ensure_eq!(vmcs.hpa(), hpa, "VMCS after unloading");
    }
    Ok(())
}
