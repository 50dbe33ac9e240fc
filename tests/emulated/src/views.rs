//! Several address spaces for one virtual processor: the host switches, the guest switches, and the guest has its EPT violations
//! delivered.

use alloc::vec::Vec;

use x86_virt::ept::EptFormat;
use x86_virt::vmx::{
    BasicExitReason, EntryIndex, EptpSpaces, EptpSwitchingError, NoSuchSpace, SecondaryControls, VmFunctionControls,
    VmxVcpu,
};
use x86_virt::{
    Access, AddressSpace, AnyVcpu, Exit, ExitKind, Gpa, GuestRam, Mapping, NestedFaultCause, PageSize, Reason, Root,
    Space, Vcpu, VcpuConfig, VirtualizationInstruction,
};

use crate::bench::{Bench, Frames};
use crate::code;
use crate::coverage;
use crate::guest::{CODE, DATA, HANDLERS, IDT, Mode, load, page, space};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

type Ept = AddressSpace<'static, EptFormat, Frames>;
type Vmx<'r, 's> = VmxVcpu<'r, 's, 'static, Frames>;

/// Where the page at [`DATA`] is in each of the spaces, with [`NUMBERS`] in it.
const PLACES: [u64; 3] = [0x9_0000, 0xa_0000, 0xb_0000];
const NUMBERS: [u64; 3] = [1, 20, 300];
/// The virtualization-exception information area.
const AREA: u64 = 0x7_0000;
/// Where the guest copies it.
const RESULTS: u64 = 0x8_0000;
/// VMFUNC; MOV RBX, [DATA]; HLT.
const FUNCTION: [u8; 12] = [0x0f, 0x01, 0xd4, 0x48, 0x8b, 0x1c, 0x25, 0, 0, 1, 0, 0xf4];
/// In [`FUNCTION`] the instruction after VMFUNC.
const READ: u64 = CODE + 3;

const fn index(number: u16) -> EntryIndex {
    match EntryIndex::new(number) {
        Some(index) => index,
        None => panic!("an EPTP list has 512 entries"),
    }
}

/// Makes three spaces that differ in the page at [`DATA`], and calls `test` with a virtual processor in the first.
fn with_views(
    bench: &Bench,
    code: &[u8],
    test: impl for<'s> FnOnce(&mut Vmx<'_, 's>, &Views<'s>) -> Outcome,
) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, code)?;
    let mut spaces = Vec::new();
    for (place, number) in PLACES.into_iter().zip(NUMBERS) {
        ram.write(place, &number.to_le_bytes())?;
        let space = space(&root, &ram)?;
        space.remap(page(DATA), &ram, place)?.at_next_entry();
        spaces.push(space);
    }
    let all: Vec<&Ept> = spaces.iter().filter_map(ept).collect();
    let [first, second, third] = all.as_slice() else { fail!("not three spaces with EPT") };
    let list = [*first, *second, *third];
    let views = Views { spaces: &list, ram, frames: bench.frames };
    let Root::Vmx(root) = &mut root else { fail!("no VMX") };
    let mut vcpu = VmxVcpu::new(root, first, &VcpuConfig::new())?;
    vcpu.set_state(&Mode::Long.state())?;
    run_views(&mut vcpu, &views, test)
}

/// The lifetime of the virtual processor's spaces is that of the list.
fn run_views<'s>(
    vcpu: &mut Vmx<'_, 's>,
    views: &Views<'s>,
    test: impl FnOnce(&mut Vmx<'_, 's>, &Views<'s>) -> Outcome,
) -> Outcome {
    let made = EptpSpaces::new(vcpu.capabilities(), &views.frames, views.spaces);
    if !vcpu.capabilities().vm_functions().may_be_one().contains(VmFunctionControls::EPTP_SWITCHING) {
        return match made {
            Err(EptpSwitchingError::Unsupported(_)) => Ok(()),
            other => fail!("{other:?} on a processor without EPTP switching"),
        };
    }
    vcpu.set_eptp_spaces(made?)?;
    test(vcpu, views)
}

struct Views<'s> {
    spaces: &'s [&'s Ept; 3],
    ram: GuestRam<'static>,
    frames: Frames,
}

/// One of the spaces.
#[derive(Clone, Copy)]
struct View<'s> {
    index: u16,
    space: &'s Ept,
    /// Where the page at [`DATA`] is in it, and the number there.
    place: u64,
    number: u64,
}

impl<'s> Views<'s> {
    fn all(&self) -> Vec<View<'s>> {
        let places = PLACES.into_iter().zip(NUMBERS);
        let views = (0..).zip(self.spaces).zip(places);
        views.map(|((index, space), (place, number))| View { index, space, place, number }).collect()
    }
}

fn ept<'s>(space: &'s Space<'static, Frames>) -> Option<&'s Ept> {
    match space {
        Space::Ept(space) => Some(space),
        _ => None,
    }
}

fn run(vcpu: &mut Vmx<'_, '_>) -> Outcome<Exit<x86_virt::vmx::ExitReason>> {
    let exit = vcpu.run()?;
    coverage::exit(Reason::Vmx(exit.reason));
    Ok(exit)
}

fn expect_hlt(vcpu: &mut Vmx<'_, '_>) -> Outcome {
    let exit = run(vcpu)?;
    ensure_eq!(exit.kind, ExitKind::Hlt, "exit at {:#x} ({})", vcpu.rip(), exit.reason);
    Ok(())
}

/// Runs VMFUNC with these registers.
fn function(vcpu: &mut Vmx<'_, '_>, eax: u64, ecx: u64) -> Outcome<Exit<x86_virt::vmx::ExitReason>> {
    vcpu.set_rip(CODE);
    let gprs = vcpu.gprs_mut();
    (gprs.rax, gprs.rcx, gprs.rbx) = (eax, ecx, 0);
    run(vcpu)
}

/// The guest goes through three spaces a thousand times, and the host sees one exit.
pub(crate) fn the_guest_switches(bench: &Bench) -> Outcome {
    const ROUNDS: u64 = 1000;
    with_views(bench, code::views_sum(), |vcpu, views| {
        let gprs = vcpu.gprs_mut();
        (gprs.r8, gprs.r10) = (DATA, ROUNDS);
        expect_hlt(vcpu)?;
        ensure_eq!(vcpu.gprs().rdi, ROUNDS * NUMBERS.iter().sum::<u64>(), "sum of what the guest read");
        ensure_eq!(vcpu.eptp_index(), Some(index(2)), "where the guest is");
        ensure!(core::ptr::eq(vcpu.space(), views.spaces[2]), "another space than the last one");
        Ok(())
    })
}

/// Indices without a space, and functions that do not exist, end a run and change nothing.
pub(crate) fn invalid_functions_end_a_run(bench: &Bench) -> Outcome {
    with_views(bench, &FUNCTION, |vcpu, views| {
        for (eax, ecx) in [(0, 3), (0, 511), (0, 512), (0, 0xffff_ffff), (1, 0), (63, 1)] {
            let exit = function(vcpu, eax, ecx)?;
            ensure_eq!(exit.reason.basic(), BasicExitReason::VMFUNC, "exit of function {eax:#x} with {ecx:#x}");
            ensure_eq!(exit.kind, ExitKind::Virtualization(VirtualizationInstruction::Vmfunc), "kind");
            ensure_eq!((vcpu.rip(), vcpu.eptp_index()), (CODE, Some(index(0))), "RIP and space");
        }
        ensure_eq!(vcpu.select_space(index(3)), Err(NoSuchSpace { index: 3 }), "choice of the host");
        // Without the list there is no VMFUNC.
        vcpu.set_space(views.spaces[0])?;
        let exit = function(vcpu, 0, 1)?;
        let is_undefined = matches!(exit.kind, ExitKind::Io(io) if io.port == 6);
        ensure!(is_undefined, "{:?} in place of #UD", exit.kind);
        ensure_eq!((vcpu.rip(), vcpu.eptp_index()), (HANDLERS + 16 * 6, None), "RIP and space");
        Ok(())
    })
}

/// Host and guest switch in turn; a change in any of the spaces holds at the next entry, for which its tables alone are invalidated.
pub(crate) fn changes_hold_in_all_spaces(bench: &Bench) -> Outcome {
    with_views(bench, &FUNCTION, |vcpu, views| {
        ensure_eq!(function(vcpu, 0, 0)?.kind, ExitKind::Hlt, "exit");
        let views_in_turn = views.all();
        let next = views_in_turn.iter().cycle().skip(1);
        for (here, there) in views_in_turn.iter().cycle().zip(next).take(9) {
            vcpu.select_space(index(here.index))?;
            let before = vcpu.flush_counts();
            vcpu.set_rip(READ);
            expect_hlt(vcpu)?;
            ensure_eq!(vcpu.gprs().rbx, here.number, "what the guest read after a switch of the host");
            ensure!(core::ptr::eq(vcpu.space(), here.space), "another space");
            ensure_eq!(function(vcpu, 0, there.index.into())?.kind, ExitKind::Hlt, "exit");
            ensure_eq!(vcpu.gprs().rbx, there.number, "what the guest read after its own switch");
            ensure_eq!(vcpu.flush_counts(), before, "invalidations for switches");

            // The guest goes to the space that is changed, from another one.
            here.space.remap(page(DATA), &views.ram, there.place)?.at_next_entry();
            ensure_eq!(function(vcpu, 0, here.index.into())?.kind, ExitKind::Hlt, "exit");
            ensure_eq!(vcpu.gprs().rbx, there.number, "what the guest read after a change");
            here.space.remap(page(DATA), &views.ram, here.place)?.at_next_entry();
            ensure_eq!(function(vcpu, 0, here.index.into())?.kind, ExitKind::Hlt, "exit");
            ensure_eq!(vcpu.gprs().rbx, here.number, "what the guest read after another change");
            let mut expected = before;
            expected.invept_single += 2;
            ensure_eq!(vcpu.flush_counts(), expected, "invalidations for two changes of one space");
        }
        Ok(())
    })
}

/// EPT violations of the guest go to its own handler, which finds the reason in the area, switches to a space in which the page is
/// there, and goes on. The host sees no exit.
pub(crate) fn violations_are_delivered(bench: &Bench) -> Outcome {
    const ROUNDS: u64 = 100;
    const VECTOR: u64 = 20;
    /// Read of a linear address, in its final translation.
    const QUALIFICATION: u64 = 1 | 1 << 7 | 1 << 8;
    with_views(bench, code::views_fault(), |vcpu, views| {
        let area = views.ram.slice(AREA, 0x1000)?;
        let has = vcpu.capabilities().secondary().may_be_one().contains(SecondaryControls::EPT_VIOLATION_VE);
        let enabled = vcpu.enable_virtualization_exceptions(&area);
        ensure_eq!(enabled.is_ok(), has, "whether #VE could be enabled");
        if !has {
            return Ok(());
        }
        let gate = CODE | 8 << 16 | 0x8e00 << 32;
        views.ram.write(IDT + 16 * VECTOR, &gate.to_le_bytes())?;
        views.spaces[0].unmap(page(DATA))?.at_next_entry();
        let start = |vcpu: &mut Vmx<'_, '_>| {
            vcpu.set_rip(CODE + 128);
            let gprs = vcpu.gprs_mut();
            (gprs.r8, gprs.r9, gprs.r10, gprs.r11, gprs.r12) = (DATA, AREA, ROUNDS, RESULTS, 0);
        };
        start(vcpu);
        expect_hlt(vcpu)?;
        ensure_eq!(vcpu.gprs().rdi, ROUNDS * NUMBERS[1], "sum of what the guest read");
        ensure_eq!(vcpu.gprs().r12, ROUNDS, "exceptions in the guest");
        let mut words = [0; 40];
        views.ram.read(RESULTS, &mut words)?;
        let (words, _) = words.as_chunks();
        let words: Vec<_> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let expected = [0xffff_ffff << 32 | 48, QUALIFICATION, DATA, DATA, 0];
        ensure_eq!(words.as_slice(), expected, "what the guest found in the area");

        // While the area is in use, the violation ends the run; and so it does without #VE.
        views.ram.write(AREA + 4, &[1])?;
        for _ in 0..2 {
            start(vcpu);
            match run(vcpu)?.kind {
                ExitKind::NestedFault(fault) => {
                    ensure_eq!((fault.gpa, fault.access), (Gpa::new(DATA), Access::READ), "address and access");
                    ensure_eq!(fault.cause, NestedFaultCause::NotMapped, "cause");
                }
                kind => fail!("{kind:x?} in place of a nested fault"),
            }
            views.ram.write(AREA + 4, &[0])?;
            vcpu.disable_virtualization_exceptions();
        }
        // Mapped again, there is nothing to deliver.
        let small = Mapping::new(Access::ALL).largest(PageSize::Size4K);
        views.spaces[0].map(page(DATA), &views.ram, PLACES[0], small)?;
        vcpu.enable_virtualization_exceptions(&area)?;
        start(vcpu);
        expect_hlt(vcpu)?;
        ensure_eq!((vcpu.gprs().rdi, vcpu.gprs().r12), (ROUNDS * NUMBERS[0], 0), "sum, and exceptions");
        Ok(())
    })
}

/// Of either vendor: the host gives a virtual processor one space and the other.
pub(crate) fn the_host_switches(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    // From READ on: MOV RBX, [DATA]; HLT.
    load(&ram, &FUNCTION)?;
    let spaces = [space(&root, &ram)?, space(&root, &ram)?];
    for ((space, place), number) in spaces.iter().zip(PLACES).zip(NUMBERS) {
        ram.write(place, &number.to_le_bytes())?;
        space.remap(page(DATA), &ram, place)?.at_next_entry();
    }
    let mut vcpu: AnyVcpu<'_, '_, 'static, Frames> = root.vcpu(&spaces[0], &VcpuConfig::new())?;
    vcpu.set_state(&Mode::Long.state())?;
    for (round, (space, number)) in spaces.iter().zip(NUMBERS).cycle().take(20).enumerate() {
        vcpu.set_space(space)?;
        for _ in 0..2 {
            vcpu.set_rip(READ);
            ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit");
            ensure_eq!(vcpu.gprs().rbx, number, "what the guest read in round {round}");
        }
    }
    Ok(())
}
