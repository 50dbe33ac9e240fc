//! Sub-page write permissions: a guest that writes to parts of a page which it may not write.
#![expect(unsafe_code, reason = "gives the processor a table with a mistake")]

use x86_virt::ept::{EptUnsupported, SppVector, Spptp, SubPage, SubPageError, SubPageTable};
use x86_virt::vmx::{VmcsWrite as _, VmxVcpu, field};
use x86_virt::{
    Access, AddressSpace, ExitKind, Gpa, GuestRam, Mapping, NestedFault, NestedFaultCause, PageAttributes, PageSize,
    Reason, Root, Vcpu, VcpuConfig,
};

use crate::bench::{Bench, Frames};
use crate::coverage;
use crate::differential::Random;
use crate::guest::{CODE, DATA, Mode, load};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

type Vmx<'r, 's> = VmxVcpu<'r, 's, 'static, Frames>;

/// MOV [RBX], EAX; HLT.
const WRITE: [u8; 3] = [0x89, 0x03, 0xf4];
/// Pages with sub-page write permissions, from [`DATA`] on.
const PAGES: u64 = 4;
const ROUNDS: u64 = 160;
/// A page of the guest's memory that is given to the processor as a table with a mistake.
const WRONG: u64 = 0x7_0000;

/// What a write of the guest to `gpa` comes to.
fn write(
    vcpu: &mut Vmx<'_, '_>,
    ram: &GuestRam<'static>,
    gpa: u64,
    value: u32,
) -> Outcome<Result<(), NestedFaultCause>> {
    ram.write(gpa, &[0; 4])?;
    vcpu.set_rip(CODE);
    let gprs = vcpu.gprs_mut();
    (gprs.rbx, gprs.rax) = (gpa, value.into());
    let exit = vcpu.run()?;
    coverage::exit(Reason::Vmx(exit.reason));
    let mut found = [0; 4];
    ram.read(gpa, &mut found)?;
    match exit.kind {
        ExitKind::Hlt => {
            ensure_eq!(u32::from_le_bytes(found), value, "what the guest wrote to {gpa:#x}");
            Ok(Ok(()))
        }
        ExitKind::NestedFault(NestedFault { gpa: at, access, cause, .. }) => {
            ensure_eq!((at, access), (Gpa::new(gpa), Access::WRITE), "the fault");
            ensure_eq!(found, [0; 4], "memory that could not be written, at {gpa:#x}");
            Ok(Err(cause))
        }
        kind => fail!("{kind:x?} at a write to {gpa:#x}"),
    }
}

/// A processor with sub-page write permissions goes by the table; one without has neither format nor table.
pub(crate) fn parts_of_a_page_can_be_written(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &WRITE)?;
    let Root::Vmx(root) = &mut root else { fail!("no VMX") };
    let plain = root.capabilities().ept_format()?;
    let has = root.capabilities().ept_controls().sub_page_write();
    let format = match plain.with_sub_page_write() {
        Ok(format) if has => format,
        Err(EptUnsupported::SubPageWrite) if !has => {
            let refused = SubPageTable::new(&plain, bench.frames);
            ensure!(matches!(refused, Err(SubPageError::Unsupported(_))), "{refused:?} without the control");
            return Ok(());
        }
        other => fail!("{other:?} on a processor whose capability is {has}"),
    };
    let space = AddressSpace::new(format, bench.frames)?;
    let data = Gpa::new(DATA)..Gpa::new(DATA + PAGES * 4096);
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), &ram, 0, Mapping::new(Access::ALL).largest(PageSize::Size4K))?;
    space.protect(data.clone(), Access::READ)?.at_next_entry();
    space.set_attributes(data.clone(), PageAttributes::SUB_PAGE_WRITE)?.at_next_entry();
    let table = SubPageTable::new(&format, bench.frames)?;
    let mut vcpu = VmxVcpu::new(root, &space, &VcpuConfig::new())?;
    vcpu.set_state(&Mode::Long.state())?;

    // Without a table, and with one in which nothing is.
    ensure_eq!(write(&mut vcpu, &ram, DATA, 1)?, Err(NestedFaultCause::SubPageMiss), "a write without a table");
    vcpu.set_sub_pages(&table)?;
    ensure_eq!(write(&mut vcpu, &ram, DATA, 2)?, Err(NestedFaultCause::SubPageMiss), "a write with an empty table");

    // Each part of each page, against what it was given.
    let mut random = Random::new(7, u64::try_from(bench.processor)?);
    let (mut allowed, mut vectors) = (0, [SppVector::NONE; 4]);
    table.set(data, SppVector::NONE)?.at_next_entry();
    for round in 0..ROUNDS {
        let page = random.index(vectors.len());
        let first = DATA + u64::try_from(page)? * 4096;
        if round % 4 == 0 {
            let vector = SppVector::from_bits(random.next() & SppVector::ALL.into_bits());
            table.set(Gpa::new(first)..Gpa::new(first + 4096), vector)?.at_next_entry();
            if let Some(known) = vectors.get_mut(page) {
                *known = vector;
            }
            let before = vcpu.flush_counts().invept_single;
            write(&mut vcpu, &ram, first, 3)?.ok();
            write(&mut vcpu, &ram, first, 3)?.ok();
            ensure_eq!(vcpu.flush_counts().invept_single, before + 1, "invalidations for a change of the table");
        }
        let gpa = first + u64::try_from(random.index(1024))? * 4;
        let can = vectors.get(page).is_some_and(|vector| vector.is_writable(SubPage::of(Gpa::new(gpa))));
        let expected = if can { Ok(()) } else { Err(NestedFaultCause::Permission) };
        ensure_eq!(
            write(&mut vcpu, &ram, gpa, u32::try_from(round)?)?,
            expected,
            "a write to {gpa:#x} in round {round}"
        );
        allowed += u32::from(can);
    }
    ensure!(allowed > 16, "{allowed} writes were allowed");

    // The next page has the permission to write, and no table is asked.
    let next = DATA + PAGES * 4096;
    ensure_eq!(write(&mut vcpu, &ram, next, 5)?, Ok(()), "a write to another page");

    // An entry with bit 1, which is reserved.
    ram.write(WRONG, &3_u64.to_le_bytes())?;
    let pointer = Spptp::new().with_hpa(ram.slice(WRONG, 0x1000)?.hpa());
    // SAFETY: the processor does not follow the entry.
    unsafe { vcpu.vmcs_mut().write_sensitive(field::SUB_PAGE_PERMISSION_TABLE_POINTER, pointer) }?;
    space.set_attributes(Gpa::new(DATA)..Gpa::new(DATA + 4096), PageAttributes::SUB_PAGE_WRITE)?.at_next_entry();
    let wrong = write(&mut vcpu, &ram, DATA, 6)?;
    ensure_eq!(wrong, Err(NestedFaultCause::SubPageMisconfiguration), "a write with a wrong entry");
    Ok(())
}
