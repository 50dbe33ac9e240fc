//! Entering and leaving, parking and loading, and forgetting.

use x86_virt::{AnyVcpu, EnterError, ExitKind, Root, Vcpu, VcpuConfig, svm, vmx};

use crate::bench::{Bench, Frames};
use crate::guest::{CODE, Guest, Mode, load, space};
use crate::harness::{Failure, Outcome, ensure, ensure_eq, fail};
use crate::registers::capture;
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
        let is_refused = matches!(
            second,
            Err(EnterError::Vmx(vmx::EnterError::InUse) | EnterError::Svm(svm::EnterError::AlreadyInUse))
        );
        ensure!(is_refused, "{second:?}");
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

/// A virtual processor that is not loaded, of either vendor.
#[expect(clippy::large_enum_variant, reason = "one at a time is moved, seldom")]
pub(crate) enum Parked<'s> {
    Vmx(vmx::ParkedVcpu<'s, 'static, Frames>),
    Svm(svm::ParkedVcpu<'s, 'static, Frames>),
}

pub(crate) fn park<'s>(vcpu: AnyVcpu<'_, 's, 'static, Frames>) -> Outcome<Parked<'s>> {
    Ok(match vcpu {
        AnyVcpu::Vmx(vcpu) => Parked::Vmx(vcpu.unload()?),
        AnyVcpu::Svm(vcpu) => Parked::Svm(vcpu.unload()),
        _ => fail!("a third vendor"),
    })
}

pub(crate) fn unpark<'r, 's>(
    parked: Parked<'s>,
    root: &'r mut Root<'_, Frames>,
) -> Outcome<AnyVcpu<'r, 's, 'static, Frames>> {
    match (parked, root) {
        (Parked::Vmx(parked), Root::Vmx(root)) => {
            parked.load(root).map(AnyVcpu::Vmx).map_err(|refused| Failure::from(refused.error))
        }
        (Parked::Svm(parked), Root::Svm(root)) => {
            parked.load(root).map(AnyVcpu::Svm).map_err(|refused| Failure::from(refused.error))
        }
        _ => fail!("of another vendor"),
    }
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
