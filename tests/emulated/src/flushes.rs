//! What entries invalidate, counted: once after a change, never at each.

use alloc::vec::Vec;

use x86_virt::{AnyVcpu, ControlRegister, ExitKind, Root, Vcpu, VcpuConfig};

use crate::bench::{Bench, Frames};
use crate::guest::{CODE, DATA, Guest, Mode, TABLES, load, page, space};
use crate::harness::{Outcome, ensure_eq, fail};
use crate::life_cycle::{park, unpark};

/// MOV RAX, [DATA]; HLT.
const READ: [u8; 9] = [0x48, 0x8b, 0x04, 0x25, 0, 0, 1, 0, 0xf4];

/// What has been invalidated, in words of both vendors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    /// Everything: INVEPT and INVVPID of all contexts, the flush of all ASIDs.
    pub(crate) all: u64,
    /// INVEPT of one EPTP.
    pub(crate) tables: u64,
    /// INVVPID of one VPID, or the flush of one ASID.
    pub(crate) tag: u64,
    /// Tags that were handed out.
    pub(crate) tags: u64,
}

/// What has been invalidated on this processor.
pub(crate) fn counts(vcpu: &AnyVcpu<'_, '_, 'static, Frames>) -> Outcome<Counts> {
    Ok(match vcpu {
        AnyVcpu::Vmx(vcpu) => {
            let counts = vcpu.flush_counts();
            ensure_eq!(counts.invvpid_all, counts.invept_all, "INVVPID and INVEPT of all contexts");
            Counts {
                all: counts.invept_all,
                tables: counts.invept_single,
                tag: counts.invvpid_single,
                tags: counts.vpids,
            }
        }
        AnyVcpu::Svm(vcpu) => {
            let counts = vcpu.flush_counts();
            Counts { all: counts.all, tables: 0, tag: counts.guest, tags: counts.asids }
        }
        _ => fail!("a third vendor"),
    })
}

/// What is expected after `vcpus` have come to a processor that has just been entered, `tables` changes of tables and `registers`
/// changes of registers, each followed by an entry.
pub(crate) fn expected(
    vcpu: &AnyVcpu<'_, '_, 'static, Frames>,
    vcpus: u64,
    tables: u64,
    registers: u64,
) -> Outcome<Counts> {
    Ok(match vcpu {
        // Guest-physical translations do not depend on the VPID: a virtual processor that comes invalidates them too.
        AnyVcpu::Vmx(_) => Counts { all: 1, tables: tables + vcpus - 1, tag: registers, tags: vcpus },
        AnyVcpu::Svm(vcpu) if vcpu.capabilities().features().flush_by_asid() => {
            Counts { all: 1, tables: 0, tag: tables + registers, tags: vcpus }
        }
        AnyVcpu::Svm(vcpu) => {
            // Another ASID each time, and everything whenever there are no more.
            let tags = vcpus + tables + registers;
            let all = tags.div_ceil(u64::from(vcpu.capabilities().asids()) - 1);
            Counts { all, tables: 0, tag: 0, tags }
        }
        _ => fail!("a third vendor"),
    })
}

/// Changes of tables and registers, entries without any, and another virtual processor.
pub(crate) fn once_after_a_change(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &READ)?;
    let space = space(&root, &ram)?;
    let (mut tables, mut registers) = (0, 0);
    let mut parked = {
        let vcpu = root.vcpu(&space, &VcpuConfig::new())?;
        let mut guest = Guest { vcpu, space: &space, ram };
        guest.vcpu.set_state(&Mode::Long.state())?;
        for round in 0..40_u64 {
            for _ in 0..3 {
                guest.vcpu.set_rip(CODE);
                guest.expect(ExitKind::Hlt)?;
                let expected = expected(&guest.vcpu, 1, tables, registers)?;
                ensure_eq!(counts(&guest.vcpu)?, expected, "what was invalidated until round {round}");
            }
            if round % 4 == 3 {
                guest.vcpu.set_control(ControlRegister::Cr3, TABLES)?;
                registers += 1;
            } else {
                // Several changes need no more than one.
                for offset in 0..=round % 3 {
                    space.remap(page(DATA), &ram, DATA + 0x1000 * offset)?.at_next_entry();
                }
                tables += 1;
            }
        }
        guest.vcpu.set_rip(CODE);
        guest.expect(ExitKind::Hlt)?;
        park(guest.vcpu)?
    };
    // Loaded again, it needs nothing; another one needs a tag.
    for _ in 0..3 {
        let mut vcpu = unpark(parked, &mut root)?;
        vcpu.set_rip(CODE);
        ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit");
        let expected = expected(&vcpu, 1, tables, registers)?;
        ensure_eq!(counts(&vcpu)?, expected, "what was invalidated for one that came back");
        parked = park(vcpu)?;
    }
    {
        let mut other = root.vcpu(&space, &VcpuConfig::new())?;
        other.set_state(&Mode::Long.state())?;
        ensure_eq!(other.run()?.kind, ExitKind::Hlt, "exit");
        ensure_eq!(counts(&other)?, expected(&other, 2, tables, registers)?, "what was invalidated for another");
    }
    let mut vcpu = unpark(parked, &mut root)?;
    vcpu.set_rip(CODE);
    ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit of the first");
    Ok(())
}

/// More virtual processors than QEMU's processor has ASIDs take turns, each with an address space of its own: none reads what
/// another one has.
pub(crate) fn more_vcpus_than_asids(bench: &Bench) -> Outcome {
    const VCPUS: u64 = 20;
    const ROUNDS: u64 = 3;
    const OWN: u64 = 0x10_0000;
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &READ)?;
    let mut spaces = Vec::new();
    for number in 0..VCPUS {
        let own = OWN + 0x1000 * number;
        ram.write(own, &number.to_le_bytes())?;
        let space = space(&root, &ram)?;
        space.remap(page(DATA), &ram, own)?.at_next_entry();
        spaces.push(space);
    }
    let mut parked = Vec::new();
    for space in &spaces {
        let mut vcpu = root.vcpu(space, &VcpuConfig::new())?;
        vcpu.set_state(&Mode::Long.state())?;
        parked.push(park(vcpu)?);
    }
    for _ in 0..ROUNDS {
        for (number, one) in (0_u64..).zip(core::mem::take(&mut parked)) {
            let mut vcpu = unpark(one, &mut root)?;
            vcpu.set_rip(CODE);
            ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit");
            ensure_eq!(vcpu.gprs().rax, number, "what the guest read");
            parked.push(park(vcpu)?);
        }
    }
    drop(parked);
    let (tags, flushes) = match &root {
        Root::Vmx(root) => (root.flush_counts().vpids, root.flush_counts().invept_all),
        Root::Svm(root) => (root.flush_counts().asids, root.flush_counts().all),
        _ => fail!("a third vendor"),
    };
    let (count, is_new_each_time) = match &root {
        Root::Svm(root) if u64::from(root.capabilities().asids()) <= VCPUS => {
            (u64::from(root.capabilities().asids()) - 1, true)
        }
        _ => (u64::MAX, false),
    };
    // Once when it was made, and if there are too few, each time that it came.
    let expected = if is_new_each_time { VCPUS * (ROUNDS + 1) } else { VCPUS };
    ensure_eq!(tags, expected, "tags that were handed out");
    // Epochs that began before the first entry are flushed for together.
    let epochs = tags.div_ceil(count) - if is_new_each_time { VCPUS / count } else { 0 };
    ensure_eq!(flushes, epochs, "flushes of everything");
    Ok(())
}
