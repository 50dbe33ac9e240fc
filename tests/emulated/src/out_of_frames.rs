//! Frames run out, at every allocation in turn: each error is typed, and nothing leaks.

use core::cell::Cell;

use x86_virt::{
    Access, CreateError, EnterError, ExitKind, Gpa, MapError, Mapping, PageSize, Root, SpaceError, Vcpu, VcpuConfig,
    svm, vmx,
};

use crate::bench::{Bench, Limited};
use crate::guest::{Mode, load};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

/// How far it came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    Enter,
    Space,
    Map,
    Create,
    Run,
}

/// With 0, 1, 2 and so on frames, until they are enough.
pub(crate) fn creation_fails_and_nothing_leaks(bench: &Bench) -> Outcome {
    let mut last = Stage::Enter;
    for limit in 0..64 {
        let free = bench.free_frames();
        let left = Cell::new(limit);
        let stage = try_with(bench, Limited { frames: bench.frames, left: &left })?;
        ensure_eq!(left.get(), limit, "frames given back, of {limit}");
        ensure_eq!(bench.free_frames(), free, "free frames");
        ensure!(stage >= last, "with {limit} frames it came to {stage:?}, with less to {last:?}");
        last = stage;
        if stage == Stage::Run {
            return Ok(());
        }
    }
    fail!("64 frames are not enough: it came to {last:?}")
}

fn try_with(bench: &Bench, frames: Limited<'_>) -> Outcome<Stage> {
    let mut root = match Root::enter(&bench.pin, frames) {
        Ok(root) => root,
        Err(EnterError::Vmx(vmx::EnterError::OutOfFrames(_)) | EnterError::Svm(svm::EnterError::OutOfFrames(_))) => {
            return Ok(Stage::Enter);
        }
        Err(error) => fail!("entering: {error}"),
    };
    let space = match root.address_space() {
        Ok(space) => space,
        Err(SpaceError::OutOfFrames(_)) => return Ok(Stage::Space),
        Err(error) => fail!("address space: {error}"),
    };
    let ram = bench.ram();
    load(&ram, &[0xf4])?;
    let small = Mapping::new(Access::ALL).largest(PageSize::Size4K);
    match space.map(Gpa::new(0)..Gpa::new(ram.bytes()), &ram, 0, small) {
        Ok(()) => {}
        Err(MapError::OutOfFrames(_)) => {
            ensure!(space.translate(Gpa::new(0)).is_none(), "part of the range is mapped");
            ensure_eq!(space.frames_in_use(), 1, "frames of the space");
            return Ok(Stage::Map);
        }
        Err(error) => fail!("mapping: {error}"),
    }
    let mut vcpu = match root.vcpu(&space, &VcpuConfig::new()) {
        Ok(vcpu) => vcpu,
        Err(
            CreateError::Vmx(vmx::CreateError::OutOfFrames(_)) | CreateError::Svm(svm::CreateError::OutOfFrames(_)),
        ) => {
            return Ok(Stage::Create);
        }
        Err(error) => fail!("virtual processor: {error}"),
    };
    vcpu.set_state(&Mode::Long.state())?;
    ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit");
    Ok(Stage::Run)
}

/// A mapping for which there are no frames changes nothing, while a guest that runs goes on.
pub(crate) fn mapping_fails_and_nothing_leaks(bench: &Bench) -> Outcome {
    // With 5 levels there is one more table.
    let left = Cell::new(16 + usize::from(machine::arg("la57").is_some()));
    let frames = Limited { frames: bench.frames, left: &left };
    let mut root = Root::enter(&bench.pin, frames)?;
    let ram = bench.ram();
    load(&ram, &[0xf4])?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), &ram, 0, Access::ALL)?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    vcpu.set_state(&Mode::Long.state())?;
    let (before, tables) = (left.replace(0), space.frames_in_use());
    let far = Gpa::new(1 << 39)..Gpa::new((1 << 39) + 0x1000);
    for _ in 0..3 {
        ensure!(matches!(space.map(far.clone(), &ram, 0, Access::ALL), Err(MapError::OutOfFrames(_))), "no error");
        // A split of the page of 2 MiB takes a frame too.
        let split = space.unmap(Gpa::new(0x1_0000)..Gpa::new(0x1_1000));
        ensure!(matches!(split, Err(MapError::OutOfFrames(_))), "no error");
        ensure_eq!((left.get(), space.frames_in_use()), (0, tables), "frames");
        vcpu.set_rip(Mode::Long.start());
        ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit");
    }
    left.set(before);
    space.map(far, &ram, 0, Access::ALL)?;
    Ok(())
}
