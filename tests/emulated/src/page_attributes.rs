//! Random changes of the attributes of pages, and a guest that finds out what they are by what its accesses come to.

use alloc::vec::Vec;
use core::ops::Range;

use x86_virt::ept::{EptFormat, SppVector, SubPage, SubPageTable};
use x86_virt::vmx::VmxVcpu;
use x86_virt::{
    Access, AddressSpace, ExitKind, Gpa, GuestRam, Mapping, NestedFaultCause, PageAttributes, PageSize, Reason, Root,
    Vcpu, VcpuConfig,
};

use crate::bench::{Bench, Frames};
use crate::coverage;
use crate::differential::Random;
use crate::guest::{CODE, Mode, load};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

type Vmx<'r, 's> = VmxVcpu<'r, 's, 'static, Frames>;

/// MOV EAX, [RBX]; HLT. 16 bytes on: MOV [RBX], EAX; HLT.
const PROBE: [u8; 19] = [0x8b, 0x03, 0xf4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x89, 0x03, 0xf4];
/// The virtualization-exception information area, and the vector of the exception.
const AREA: u64 = 0x7_0000;
const VE: u16 = 20;
/// The pages that are changed.
const WINDOW: u64 = 0x10_0000;
const PAGES: usize = 48;
const STEPS: usize = 120;
const PROBES: usize = 6;

/// What a page is known to be. Where nothing is allowed, it is not mapped.
#[derive(Clone, Copy, Debug)]
struct Page {
    access: Access,
    attributes: PageAttributes,
    vector: SppVector,
}

fn range(pages: &Range<usize>) -> Range<Gpa> {
    let at = |page: usize| Gpa::new(WINDOW + u64::try_from(page).unwrap_or(0) * 4096);
    at(pages.start)..at(pages.end)
}

/// What a guest's access comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Effect {
    Done,
    Fault(NestedFaultCause),
    /// A virtualization exception in the guest.
    Exception,
}

/// The access of the guest, and what it should come to.
fn expected(page: Page, kind: Access, gpa: u64) -> Effect {
    if page.access.contains(kind) {
        return Effect::Done;
    }
    let has_parts = page.attributes.contains(PageAttributes::SUB_PAGE_WRITE) && page.access != Access::NONE;
    if has_parts && kind == Access::WRITE && page.vector.is_writable(SubPage::of(Gpa::new(gpa))) {
        return Effect::Done;
    }
    let cause = if page.access == Access::NONE { NestedFaultCause::NotMapped } else { NestedFaultCause::Permission };
    // What is not mapped is suppressed in this format.
    let is_suppressed = page.access == Access::NONE || page.attributes.contains(PageAttributes::SUPPRESS_VE);
    if is_suppressed { Effect::Fault(cause) } else { Effect::Exception }
}

fn probe(vcpu: &mut Vmx<'_, '_>, ram: &GuestRam<'static>, kind: Access, gpa: u64) -> Outcome<Effect> {
    // The area may be used again, as a handler of the guest would say.
    ram.write(AREA + 4, &[0; 4])?;
    vcpu.set_rip(if kind == Access::READ { CODE } else { CODE + 16 });
    vcpu.gprs_mut().rbx = gpa;
    let exit = vcpu.run()?;
    coverage::exit(Reason::Vmx(exit.reason));
    match exit.kind {
        ExitKind::Hlt => Ok(Effect::Done),
        ExitKind::NestedFault(fault) => {
            ensure_eq!((fault.gpa, fault.access), (Gpa::new(gpa), kind), "the fault");
            Ok(Effect::Fault(fault.cause))
        }
        // The handler of each vector tells it by OUT.
        ExitKind::Io(io) if io.port == VE => {
            vcpu.set_state(&Mode::Long.state())?;
            Ok(Effect::Exception)
        }
        kind => fail!("{kind:x?} at an access to {gpa:#x}"),
    }
}

/// What the processor has of #VE and sub-page write permissions, and what the format makes of it.
fn format(root: &Root<'_, Frames>) -> Outcome<(EptFormat, PageAttributes)> {
    let Root::Vmx(root) = root else { fail!("no VMX") };
    let (mut format, mut attributes) = (root.capabilities().ept_format()?, PageAttributes::NONE);
    let has = root.capabilities().ept_controls();
    if has.violation_ve() {
        format = format.with_absent_suppress_ve()?;
        attributes = attributes.union(PageAttributes::SUPPRESS_VE);
    }
    if has.sub_page_write() {
        format = format.with_sub_page_write()?;
        attributes = attributes.union(PageAttributes::SUB_PAGE_WRITE);
    }
    Ok((format, attributes))
}

pub(crate) fn agree_with_a_plain_map(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &PROBE)?;
    let (format, known) = format(&root)?;
    let Root::Vmx(root) = &mut root else { fail!("no VMX") };
    let space = AddressSpace::new(format, bench.frames)?;
    let small = |access| Mapping::new(access).largest(PageSize::Size4K);
    space.map(Gpa::new(0)..Gpa::new(WINDOW), &ram, 0, small(Access::ALL))?;
    let table = if known.contains(PageAttributes::SUB_PAGE_WRITE) {
        let table = SubPageTable::new(&format, bench.frames)?;
        table.set(range(&(0..PAGES)), SppVector::NONE)?.at_next_entry();
        Some(table)
    } else {
        None
    };
    let mut vcpu = VmxVcpu::new(root, &space, &VcpuConfig::new())?;
    if let Some(table) = &table {
        vcpu.set_sub_pages(table)?;
    }
    vcpu.set_state(&Mode::Long.state())?;
    let has_exceptions = known.contains(PageAttributes::SUPPRESS_VE);
    let area = ram.slice(AREA, 0x1000)?;
    ensure_eq!(vcpu.enable_virtualization_exceptions(&area).is_ok(), has_exceptions, "whether #VE could be enabled");

    let mut random = Random::new(3, u64::try_from(bench.processor)?);
    let none = Page { access: Access::NONE, attributes: PageAttributes::NONE, vector: SppVector::NONE };
    let mut map: Vec<Page> = core::iter::repeat_n(none, PAGES).collect();
    let mut seen: Vec<Effect> = Vec::new();
    for step in 0..STEPS {
        let first = random.index(PAGES);
        let pages = first..(first + 1 + random.index(12)).min(PAGES);
        let attributes = PageAttributes::from_bits_truncate(random.next().to_le_bytes()[0]);
        let access = random.one_of(&[Access::READ, Access::READ, Access::RW, Access::ALL]);
        let at = map.get_mut(pages.clone()).unwrap_or_default();
        let is_mapped = at.iter().all(|page| page.access != Access::NONE);
        let refused = !known.contains(attributes);
        let gpa = range(&pages);
        match random.index(if is_mapped { 5 } else { 2 }) {
            0 | 1 if !is_mapped => {
                for (page, known) in pages.clone().zip(&mut *at).filter(|(_, page)| page.access == Access::NONE) {
                    let one = range(&(page..page + 1));
                    let offset = one.start.get();
                    let mapped = space.map(one, &ram, offset, small(access).attributes(attributes));
                    ensure_eq!(mapped.is_err(), refused, "{attributes} in step {step}: {mapped:?}");
                    if mapped.is_ok() {
                        (known.access, known.attributes) = (access, attributes);
                    }
                }
            }
            0 => {
                space.unmap(gpa)?.at_next_entry();
                at.iter_mut().for_each(|page| (page.access, page.attributes) = (Access::NONE, PageAttributes::NONE));
            }
            1 => {
                space.protect(gpa, access)?.at_next_entry();
                at.iter_mut().for_each(|page| page.access = access);
            }
            2 | 3 => {
                let changed = space.set_attributes(gpa, attributes);
                ensure_eq!(changed.is_err(), refused, "{attributes} in step {step}: {changed:?}");
                if let Ok(token) = changed {
                    token.at_next_entry();
                    at.iter_mut().for_each(|page| page.attributes = attributes);
                }
            }
            _ => {
                if let Some(table) = &table {
                    let vector = SppVector::from_bits(random.next() & SppVector::ALL.into_bits());
                    table.set(gpa, vector)?.at_next_entry();
                    at.iter_mut().for_each(|page| page.vector = vector);
                }
            }
        }
        for _ in 0..PROBES {
            let page = random.index(PAGES);
            let kind = random.one_of(&[Access::READ, Access::WRITE]);
            let gpa = range(&(page..page + 1)).start.get() + u64::try_from(random.index(1024))? * 4;
            let wanted = map.get(page).copied().map_or(Effect::Done, |page| expected(page, kind, gpa));
            // Without #VE there is no exception that could be suppressed.
            let wanted = match wanted {
                Effect::Exception if !has_exceptions => Effect::Fault(NestedFaultCause::Permission),
                wanted => wanted,
            };
            let found = probe(&mut vcpu, &ram, kind, gpa)?;
            ensure_eq!(found, wanted, "{kind} of {gpa:#x}, which is {:?}, in step {step}", map.get(page));
            seen.push(found);
        }
    }
    let count = |wanted: fn(&Effect) -> bool| seen.iter().filter(|found| wanted(found)).count();
    let exceptions = count(|found| *found == Effect::Exception);
    ensure!((exceptions > 20) == has_exceptions, "{exceptions} virtualization exceptions");
    ensure!(count(|found| *found == Effect::Done) > STEPS, "most accesses are refused");
    ensure!(count(|found| matches!(found, Effect::Fault(_))) > 20, "few accesses fault");
    Ok(())
}
