//! Large pages, and changes of mappings while a virtual processor exists.

use x86_virt::{Access, ExitKind, Gpa, Hpa, Mapping, NestedFault, NestedFaultCause, PageSize, Vcpu, VcpuConfig};

use crate::bench::{Bench, map_first_gigabyte};
use crate::guest::{CODE, DATA, Guest, Mode, load, page};
use crate::harness::{Outcome, ensure_eq, fail};

const OTHER: u64 = DATA + 0x1000;
const HLT: u8 = 0xf4;
/// MOV RAX, [DATA]; HLT.
const READ: [u8; 9] = [0x48, 0x8b, 0x04, 0x25, 0, 0, 1, 0, HLT];
/// MOV [DATA], RAX; HLT.
const WRITE: [u8; 9] = [0x48, 0x89, 0x04, 0x25, 0, 0, 1, 0, HLT];

/// 2 MiB in one page; unmapping a part of it splits it.
pub(crate) fn page_of_2_mib(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &READ)?;
    ram.write(DATA, &7_u64.to_le_bytes())?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), &ram, 0, Access::ALL)?;
    let to = space.translate(Gpa::new(0x1_2345));
    let expected = Some((Hpa::new(ram.hpa().get() + 0x1_2345), PageSize::Size2M));
    ensure_eq!(to.map(|to| (to.hpa, to.size)), expected, "translation");
    let vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    let mut guest = Guest { vcpu, space: &space, ram };
    guest.vcpu.set_state(&Mode::Long.state())?;
    guest.expect_read(7)?;

    space.unmap(page(OTHER))?.at_next_entry();
    ensure_eq!(space.translate(Gpa::new(DATA)).map(|to| to.size), Some(PageSize::Size4K), "size beside the hole");
    guest.expect_read(7)?;
    space.unmap(page(DATA))?.at_next_entry();
    guest.expect_fault(Access::READ, NestedFaultCause::NotMapped)
}

/// 1 GiB in one page where the processor can, in pages of 2 MiB where not.
pub(crate) fn page_of_1_gib(bench: &Bench) -> Outcome {
    const GIB: u64 = 1 << 30;
    let mut root = bench.enter()?;
    let ram = bench.ram();
    // MOV EAX, [1 GiB + the host's address of DATA]; HLT.
    let address = u32::try_from(GIB + ram.hpa().get() + DATA)?;
    let mut code = [0xa1, 0, 0, 0, 0, HLT];
    for (to, from) in code.iter_mut().skip(1).zip(address.to_le_bytes()) {
        *to = from;
    }
    load(&ram, &code)?;
    ram.write(DATA, &0x5577_u64.to_le_bytes())?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), &ram, 0, Access::ALL)?;
    map_first_gigabyte(&space, Gpa::new(GIB)..Gpa::new(2 * GIB))?;
    let to = space.translate(Gpa::new(u64::from(address)));
    let size = if has_1g_pages(&root) { PageSize::Size1G } else { PageSize::Size2M };
    let expected = Some((Hpa::new(ram.hpa().get() + DATA), size));
    ensure_eq!(to.map(|to| (to.hpa, to.size)), expected, "translation");
    let vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    let mut guest = Guest { vcpu, space: &space, ram };
    guest.vcpu.set_state(&Mode::Protected.state())?;
    guest.expect(ExitKind::Hlt)?;
    ensure_eq!(guest.vcpu.gprs().rax, 0x5577, "what the guest read");
    Ok(())
}

fn has_1g_pages<A: x86_virt::Frames>(root: &x86_virt::Root<'_, A>) -> bool {
    match root {
        x86_virt::Root::Vmx(root) => root.capabilities().ept().pages_1g(),
        x86_virt::Root::Svm(root) => root.capabilities().has_1g_pages(),
        _ => false,
    }
}

/// At the entry after a change, the guest does not use what was before.
pub(crate) fn changes_hold_at_the_next_entry(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &READ, &VcpuConfig::new(), |guest| {
        let (space, ram) = (guest.space, guest.ram);
        let small = |access| Mapping::new(access).largest(PageSize::Size4K);
        ram.write(DATA, &1_u64.to_le_bytes())?;
        ram.write(OTHER, &2_u64.to_le_bytes())?;
        for _ in 0..10 {
            guest.expect_read(1)?;
            space.unmap(page(DATA))?.at_next_entry();
            guest.expect_fault(Access::READ, NestedFaultCause::NotMapped)?;
            guest.expect_fault(Access::READ, NestedFaultCause::NotMapped)?;
            space.map(page(DATA), &ram, OTHER, small(Access::ALL))?;
            guest.expect_read(2)?;
            // To another page without a fault between.
            space.unmap(page(DATA))?.at_next_entry();
            space.map(page(DATA), &ram, DATA, small(Access::ALL))?;
            guest.expect_read(1)?;
        }
        Ok(())
    })
}

/// Access that was taken away is not allowed any more, and comes back.
pub(crate) fn protection_holds_at_the_next_entry(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &WRITE, &VcpuConfig::new(), |guest| {
        let space = guest.space;
        for number in 1..=10 {
            guest.vcpu.gprs_mut().rax = number;
            guest.vcpu.set_rip(CODE);
            guest.expect(ExitKind::Hlt)?;
            ensure_eq!(guest.word(DATA)?, number, "what the guest wrote");
            space.protect(page(DATA), Access::READ)?.at_next_entry();
            guest.vcpu.gprs_mut().rax = 0xbad;
            guest.expect_fault(Access::WRITE, NestedFaultCause::Permission)?;
            ensure_eq!(guest.word(DATA)?, number, "the page after the fault");
            space.protect(page(DATA), Access::RW)?.at_next_entry();
            // The same instruction, which now works.
            guest.expect(ExitKind::Hlt)?;
            ensure_eq!(guest.word(DATA)?, 0xbad, "what the guest wrote");
        }
        Ok(())
    })
}

/// A page without execute permission can be read and not executed.
pub(crate) fn execution_can_be_denied(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &READ, &VcpuConfig::new(), |guest| {
        guest.ram.write(DATA, &[HLT, 0, 0, 0, 0, 0, 0, 0])?;
        for _ in 0..3 {
            guest.space.protect(page(DATA), Access::RW)?.at_next_entry();
            guest.expect_read(u64::from(HLT))?;
            guest.vcpu.set_rip(DATA);
            let fault = guest.fault()?;
            ensure_eq!(fault.access, Access::EXECUTE, "access");
            ensure_eq!(fault.cause, NestedFaultCause::Permission, "cause");
            ensure_eq!(guest.vcpu.rip(), DATA, "RIP");
            guest.space.protect(page(DATA), Access::ALL)?.at_next_entry();
            guest.expect(ExitKind::Hlt)?;
        }
        Ok(())
    })
}

impl Guest<'_, '_> {
    /// Runs [`READ`] to its end.
    fn expect_read(&mut self, value: u64) -> Outcome {
        self.vcpu.set_rip(CODE);
        self.expect(ExitKind::Hlt)?;
        ensure_eq!(self.vcpu.gprs().rax, value, "what the guest read");
        Ok(())
    }

    /// Runs to the fault of the first instruction.
    fn expect_fault(&mut self, access: Access, cause: NestedFaultCause) -> Outcome {
        self.vcpu.set_rip(CODE);
        let fault = self.fault()?;
        ensure_eq!(fault.gpa, Gpa::new(DATA), "address");
        ensure_eq!(fault.access, access, "access");
        ensure_eq!(fault.cause, cause, "cause");
        ensure_eq!(fault.table_walk, false, "walk of the guest's tables");
        ensure_eq!(self.vcpu.rip(), CODE, "RIP");
        Ok(())
    }

    fn fault(&mut self) -> Outcome<NestedFault> {
        match self.run()?.kind {
            ExitKind::NestedFault(fault) => Ok(fault),
            kind => fail!("{kind:x?} in place of a nested fault"),
        }
    }
}
