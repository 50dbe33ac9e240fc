//! VMX instructions that fail: with the number that the manual gives them, or without one where there is no current VMCS; what the library
//! says then; and a guest that runs afterwards.
//!
//! Intel SDM vol. 3, section 33.4, "VM Instruction Error Numbers".
#![expect(unsafe_code, reason = "executes instructions that fail")]

use alloc::string::ToString as _;

use x86_virt::ept::{EptFormat, Eptp};
use x86_virt::vmx::field;
use x86_virt::vmx::{
    Capabilities, CreateError, EnterError, EntryError, EptpSpaces, InstructionError, InveptDescriptor, InveptType,
    InvvpidDescriptor, InvvpidType, LoadError, RawCapabilities, VmFail, VmFunctionControls, Vmcs, VmcsRead as _,
    VmxRoot, VmxVcpu,
};
use x86_virt::{
    Access, AddressSpace, CpuState, ExitKind, Frames as _, Gpa, Gva, Hpa, Mapping, MemoryType, PageSize, Vcpu as _,
    VcpuConfig,
};

use crate::bench::Bench;
use crate::guest::{CODE, Mode, load};
use crate::harness::{Failure, Outcome, ensure, ensure_eq, fail};
use crate::odd_frames::{HIGH, OddFrames, Oddities, Oddity};
use crate::raw_vmx::{self as raw, Flags};
use crate::registers::capture;
use crate::world_switch::differences;

type Ept<'f> = AddressSpace<'static, EptFormat, OddFrames<'f>>;
type Vmx<'r, 's, 'f> = VmxVcpu<'r, 's, 'static, OddFrames<'f>>;

/// CPUID; HLT.
const TWO_EXITS: [u8; 3] = [0x0f, 0xa2, 0xf4];

/// Addresses that no VMCS is at.
#[derive(Clone, Copy, Debug)]
struct Wrong {
    /// Of the VMXON region.
    vmxon: Hpa,
    /// Of a frame with another revision identifier.
    other: Hpa,
}

/// An instruction that fails, and the number with which it does if there is a current VMCS.
struct Attempt {
    name: &'static str,
    error: InstructionError,
    execute: fn(Wrong) -> Flags,
}

/// Defines the list of attempts.
macro_rules! attempts {
    ($($name:literal, $error:ident: $wrong:pat => $function:ident($($argument:expr),*);)*) => {
        &[$(Attempt {
            name: $name,
            error: InstructionError::$error,
            // SAFETY: tests call it in VMX root operation, on processors with INVEPT and INVVPID, and it fails, which they check.
            execute: |$wrong| unsafe { raw::$function($($argument),*) },
        },)*]
    };
}

const TOO_HIGH: Hpa = Hpa::new(HIGH);
const MISALIGNED: Hpa = Hpa::new(0x1_0010);
/// An encoding between those of fields.
const NO_FIELD: u64 = 0x2046;

const ATTEMPTS: &[Attempt] = attempts! {
    "VMCLEAR of a misaligned address", VMCLEAR_INVALID_ADDRESS: _ => vmclear(MISALIGNED);
    "VMCLEAR of an address that is too high", VMCLEAR_INVALID_ADDRESS: _ => vmclear(TOO_HIGH);
    "VMCLEAR of the VMXON region", VMCLEAR_VMXON_POINTER: wrong => vmclear(wrong.vmxon);
    "VMPTRLD of a misaligned address", VMPTRLD_INVALID_ADDRESS: _ => vmptrld(MISALIGNED);
    "VMPTRLD of an address that is too high", VMPTRLD_INVALID_ADDRESS: _ => vmptrld(TOO_HIGH);
    "VMPTRLD of the VMXON region", VMPTRLD_VMXON_POINTER: wrong => vmptrld(wrong.vmxon);
    "VMPTRLD with another revision identifier", VMPTRLD_WRONG_REVISION: wrong => vmptrld(wrong.other);
    "VMREAD of no field", UNSUPPORTED_FIELD: _ => vmread(NO_FIELD);
    "VMWRITE of no field", UNSUPPORTED_FIELD: _ => vmwrite(NO_FIELD);
    "VMXON of its region", VMXON_IN_VMX_ROOT: wrong => vmxon(wrong.vmxon);
    "VMXON of a misaligned address", VMXON_IN_VMX_ROOT: _ => vmxon(MISALIGNED);
    "INVEPT of type 0", INVALID_INVEPT_OPERAND: _ => invept(InveptType::from_bits(0), whole());
    "INVEPT of type 3", INVALID_INVEPT_OPERAND: _ => invept(InveptType::from_bits(3), whole());
    "INVEPT of EPTP 0", INVALID_INVEPT_OPERAND: _ =>
        invept(InveptType::SINGLE_CONTEXT, InveptDescriptor::new(Eptp::from_bits(0)));
    "INVEPT of an EPTP that is too high", INVALID_INVEPT_OPERAND: _ =>
        invept(InveptType::SINGLE_CONTEXT, InveptDescriptor::new(Eptp::new(TOO_HIGH, 4, MemoryType::WriteBack)));
    "INVVPID of type 4", INVALID_INVEPT_OPERAND: _ => invvpid(InvvpidType::from_bits(4), vpid(1));
    "INVVPID of VPID 0", INVALID_INVEPT_OPERAND: _ => invvpid(InvvpidType::SINGLE_CONTEXT, vpid(0));
    "INVVPID of an address with VPID 0", INVALID_INVEPT_OPERAND: _ => invvpid(InvvpidType::INDIVIDUAL_ADDRESS, vpid(0));
    "INVVPID with a reserved bit", INVALID_INVEPT_OPERAND: _ =>
        invvpid(InvvpidType::SINGLE_CONTEXT, InvvpidDescriptor::from_bytes((1_u128 | 1 << 16).to_le_bytes()));
    "INVVPID of an address that is not canonical", INVALID_INVEPT_OPERAND: _ =>
        invvpid(InvvpidType::INDIVIDUAL_ADDRESS, InvvpidDescriptor::new(1, Gva::new(1 << 63)));
};

const fn whole() -> InveptDescriptor {
    InveptDescriptor::new(Eptp::from_bits(0))
}

const fn vpid(vpid: u16) -> InvvpidDescriptor {
    InvvpidDescriptor::new(vpid, Gva::new(0))
}

/// Enters the root with frames that can be odd.
fn with_root(
    bench: &Bench,
    test: impl for<'f> FnOnce(&mut VmxRoot<'_, OddFrames<'f>>, &'f Oddities, Wrong) -> Outcome,
) -> Outcome {
    let oddities = Oddities::default();
    let frames = OddFrames { frames: bench.frames, oddities: &oddities };
    let mut root = VmxRoot::enter(&bench.pin, frames)?;
    let Some(vmxon) = oddities.first.get() else { fail!("the root has taken no frame") };
    // A frame of zeros: no processor has the revision identifier 0.
    let other = x86_virt::Frame::zeroed(&frames, 1)?;
    let wrong = Wrong { vmxon, other: other.hpa() };
    test(&mut root, &oddities, wrong)?;
    runs_a_guest(bench, &mut root)
}

/// An address space of the wide format with the guest's memory.
fn space<'f>(bench: &Bench, root: &VmxRoot<'_, OddFrames<'f>>) -> Outcome<Ept<'f>> {
    let ram = bench.ram();
    load(&ram, &TWO_EXITS)?;
    let space = empty_space(root)?;
    let mapping = Mapping::new(Access::ALL).largest(PageSize::Size4K);
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), &ram, 0, mapping)?;
    Ok(space)
}

/// The same without memory. Its root may be where no memory of the processor can be.
fn empty_space<'f>(root: &VmxRoot<'_, OddFrames<'f>>) -> Outcome<Ept<'f>> {
    let raw = RawCapabilities { physical_address_width: 52, ..*root.capabilities().raw() };
    Ok(AddressSpace::new(Capabilities::from_raw(raw).ept_format()?, *root.frames())?)
}

/// Makes a virtual processor, and runs it to its end.
fn runs_a_guest(bench: &Bench, root: &mut VmxRoot<'_, OddFrames<'_>>) -> Outcome {
    let space = space(bench, root)?;
    let mut vcpu = VmxVcpu::new(root, &space, &VcpuConfig::new())?;
    vcpu.set_state(&start())?;
    runs(&mut vcpu)
}

/// Where a guest starts.
fn start() -> CpuState {
    Mode::Long.state()
}

/// The guest runs from its start to its end, and goes back.
fn runs(vcpu: &mut Vmx<'_, '_, '_>) -> Outcome {
    vcpu.set_rip(CODE);
    for kind in [ExitKind::Cpuid, ExitKind::Hlt] {
        ensure_eq!(vcpu.run()?.kind, kind, "exit");
        vcpu.skip_instruction()?;
    }
    vcpu.set_rip(CODE);
    Ok(())
}

/// Calls `test` with a virtual processor whose VMCS is clear, and with one whose VMCS is launched. Afterwards its guest runs.
fn with_vcpu(bench: &Bench, test: impl Fn(&mut Vmx<'_, '_, '_>, Wrong) -> Outcome) -> Outcome {
    with_root(bench, |root, _, wrong| {
        let space = space(bench, root)?;
        for is_launched in [false, true] {
            let mut vcpu = VmxVcpu::new(root, &space, &VcpuConfig::new())?;
            vcpu.set_state(&start())?;
            if is_launched {
                runs(&mut vcpu)?;
            }
            ensure_eq!(vcpu.vmcs().is_launched(), is_launched, "whether the VMCS is launched");
            test(&mut vcpu, wrong)?;
            runs(&mut vcpu)?;
        }
        Ok(())
    })
}

/// Without a current VMCS each attempt fails without a number, VMLAUNCH and VMRESUME too.
pub(crate) fn without_a_vmcs(bench: &Bench) -> Outcome {
    with_root(bench, |_, _, wrong| {
        for attempt in ATTEMPTS {
            ensure_eq!((attempt.execute)(wrong), Flags::FailInvalid, "{}", attempt.name);
        }
        // SAFETY: in VMX root operation, where it fails. With a current VMCS Bochs 2.7 stops.
        ensure_eq!(unsafe { raw::vmcall() }, Flags::FailInvalid, "VMCALL");
        // SAFETY: in VMX root operation, where they fail.
        ensure_eq!(unsafe { raw::vmlaunch() }, Flags::FailInvalid, "VMLAUNCH");
        // SAFETY: as above.
        ensure_eq!(unsafe { raw::vmresume() }, Flags::FailInvalid, "VMRESUME");
        // SAFETY: in VMX root operation.
        ensure_eq!(unsafe { raw::vmptrst() }, Hpa::new(u64::MAX), "current VMCS");
        Ok(())
    })
}

/// With a current VMCS each has its number there, and the VMCS stays current.
pub(crate) fn with_a_vmcs(bench: &Bench) -> Outcome {
    with_vcpu(bench, |vcpu, wrong| {
        let current = vcpu.vmcs().current_pointer();
        for attempt in ATTEMPTS {
            // Leaves another number.
            let (before, first) = if attempt.error == InstructionError::UNSUPPORTED_FIELD {
                // SAFETY: in VMX root operation, where it fails.
                (unsafe { raw::vmxon(wrong.vmxon) }, InstructionError::VMXON_IN_VMX_ROOT)
            } else {
                // SAFETY: in VMX root operation.
                (unsafe { raw::vmread(NO_FIELD) }, InstructionError::UNSUPPORTED_FIELD)
            };
            ensure_eq!(before, Flags::FailValid, "the instruction before {}", attempt.name);
            expect_number(vcpu, first, "the instruction before")?;
            ensure_eq!((attempt.execute)(wrong), Flags::FailValid, "{}", attempt.name);
            expect_number(vcpu, attempt.error, attempt.name)?;
            ensure_eq!(vcpu.vmcs().current_pointer(), current, "current VMCS after {}", attempt.name);
        }
        Ok(())
    })
}

fn expect_number(vcpu: &Vmx<'_, '_, '_>, expected: InstructionError, name: &str) -> Outcome {
    ensure_eq!(vcpu.vmcs().read(field::VM_INSTRUCTION_ERROR)?, expected, "number of {name}");
    Ok(())
}

/// VMLAUNCH of a launched VMCS, VMRESUME of a clear one, and both while events are blocked by MOV SS.
pub(crate) fn entries_out_of_order(bench: &Bench) -> Outcome {
    with_vcpu(bench, |vcpu, _| {
        let (name, error, alone, behind_mov_ss);
        if vcpu.vmcs().is_launched() {
            (name, error) = ("VMLAUNCH", InstructionError::VMLAUNCH_NOT_CLEAR);
            // SAFETY: in VMX root operation, where it fails: the VMCS is launched.
            alone = unsafe { raw::vmlaunch() };
            expect_number(vcpu, error, name)?;
            // SAFETY: as above, whichever rule the processor looks at first.
            behind_mov_ss = unsafe { raw::vmlaunch_behind_mov_ss() };
        } else {
            (name, error) = ("VMRESUME", InstructionError::VMRESUME_NOT_LAUNCHED);
            // SAFETY: in VMX root operation, where it fails: the VMCS is clear.
            alone = unsafe { raw::vmresume() };
            expect_number(vcpu, error, name)?;
            // SAFETY: as above, whichever rule the processor looks at first.
            behind_mov_ss = unsafe { raw::vmresume_behind_mov_ss() };
        }
        ensure_eq!((alone, behind_mov_ss), (Flags::FailValid, Flags::FailValid), "{name}, alone and behind MOV SS");
        expect_number(vcpu, InstructionError::EVENTS_BLOCKED_BY_MOV_SS, name)
    })
}

/// Somebody makes the VMCS clear behind the library's back: runs say what is wrong, and after it was unloaded and loaded the guest goes on.
pub(crate) fn vmcs_taken_away(bench: &Bench) -> Outcome {
    with_root(bench, |root, _, _| {
        let space = space(bench, root)?;
        let mut vcpu = VmxVcpu::new(root, &space, &VcpuConfig::new())?;
        vcpu.set_state(&start())?;
        ensure_eq!(vcpu.run()?.kind, ExitKind::Cpuid, "exit");
        vcpu.skip_instruction()?;
        vcpu.gprs_mut().r15 = 0x1234;
        let state = vcpu.state();
        let hpa = vcpu.vmcs().current_pointer();

        // SAFETY: the VMCS that is loaded here.
        ensure_eq!(unsafe { raw::vmclear(hpa) }, Flags::Succeed, "VMCLEAR");
        ensure_eq!(vcpu.vmcs().read(field::GUEST_RSP).err().map(|error| error.fail), Some(VmFail::Invalid), "VMREAD");
        for _ in 0..3 {
            let fail = match vcpu.run().err() {
                Some(EntryError::Instruction { fail, .. }) => fail,
                Some(EntryError::Field(error)) => error.fail,
                other => fail!("{other:?}"),
            };
            ensure_eq!(fail, VmFail::Invalid, "how the entry failed without a current VMCS");
        }

        // SAFETY: as above.
        ensure_eq!(unsafe { raw::vmptrld(hpa) }, Flags::Succeed, "VMPTRLD");
        let error = loop {
            match vcpu.run().err() {
                // The field that could not be written, which was noted before.
                Some(EntryError::Field(_)) => {}
                Some(error) => break error,
                None => fail!("the processor resumed a VMCS that is clear"),
            }
        };
        let number = VmFail::Valid(InstructionError::VMRESUME_NOT_LAUNCHED);
        ensure!(matches!(error, EntryError::Instruction { fail, .. } if fail == number), "{error:?}");
        ensure!(error.to_string().contains("5: VMRESUME with non-launched VMCS"), "{error}");

        let parked = vcpu.unload()?;
        let mut vcpu = parked.load(root).map_err(|refused| Failure::from(refused.error))?;
        ensure_eq!(vcpu.state(), state, "state");
        ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit after it was loaded again");
        Ok(())
    })
}

/// A VMXON region that the processor refuses: VMX operation was not entered, and the host is as before.
pub(crate) fn vmxon_is_refused(bench: &Bench) -> Outcome {
    for oddity in [Oddity::Elsewhere, Oddity::TooHigh] {
        let oddities = Oddities::default();
        oddities.set_next(0, oddity);
        let (before, free) = (capture(), bench.free_frames());
        let frames = OddFrames { frames: bench.frames, oddities: &oddities };
        match VmxRoot::enter(&bench.pin, frames) {
            Err(EnterError::Vmxon { hpa }) => ensure_eq!(Some(hpa), oddities.first.get(), "address in the error"),
            other => fail!("{oddity:?}: {other:?}"),
        }
        let changed = differences(&before, &capture());
        ensure!(changed.is_empty(), "after VMXON has failed, the host has {changed}");
        ensure_eq!(bench.free_frames(), free, "free frames");
    }
    with_root(bench, |_, _, _| Ok(()))
}

/// A VMCS that the processor refuses comes back with the error, alone or in a virtual processor that is being made.
pub(crate) fn vmcs_is_refused(bench: &Bench) -> Outcome {
    with_root(bench, |root, oddities, _| {
        let (capabilities, frames) = (*root.capabilities(), *root.frames());
        let space = space(bench, root)?;
        let free = bench.free_frames();
        let vcpu = VmxVcpu::new(root, &space, &VcpuConfig::new())?;
        drop(vcpu);
        let before = oddities.allocations.get();
        drop(VmxVcpu::new(root, &space, &VcpuConfig::new())?);
        // The last frame is the VMCS.
        let others = oddities.allocations.get() - before - 1;
        for (oddity, valid) in [
            (Oddity::Elsewhere, InstructionError::VMPTRLD_WRONG_REVISION),
            (Oddity::TooHigh, InstructionError::VMCLEAR_INVALID_ADDRESS),
        ] {
            oddities.set_next(others, oddity);
            let error = VmxVcpu::new(root, &space, &VcpuConfig::new()).err();
            let expected = CreateError::Load(LoadError::Instruction(VmFail::Invalid));
            ensure_eq!(error, Some(expected), "error of a virtual processor, {oddity:?}");
            ensure_eq!(bench.free_frames(), free, "free frames");

            oddities.set_next(0, oddity);
            let vmcs = Vmcs::new(&capabilities, &frames)?;
            let hpa = vmcs.hpa();
            let Err((vmcs, fail)) = root.load(vmcs) else { fail!("{oddity:?}: the processor took it") };
            ensure_eq!((vmcs.hpa(), fail), (hpa, VmFail::Invalid), "what comes back, {oddity:?}");

            // Another VMCS is current, for it was forgotten.
            let lost = bench.free_frames();
            core::mem::forget(root.load(Vmcs::new(&capabilities, &frames)?).map_err(|(_, why)| Failure::from(why))?);
            bench.lose(lost - bench.free_frames());
            let Err((vmcs, fail)) = root.load(vmcs) else { fail!("{oddity:?}: the processor took it") };
            ensure_eq!((vmcs.hpa(), fail), (hpa, VmFail::Valid(valid)), "what comes back, {oddity:?}");
            drop(vmcs);
            runs_a_guest(bench, root)?;
            ensure_eq!(bench.free_frames(), free, "free frames");
        }
        Ok(())
    })
}

/// A virtual processor whose VMCS the processor refuses comes back, and goes on where it was once it is loaded.
pub(crate) fn load_gives_back(bench: &Bench) -> Outcome {
    with_root(bench, |root, _, _| {
        let space = space(bench, root)?;
        let mut vcpu = VmxVcpu::new(root, &space, &VcpuConfig::new())?;
        vcpu.set_state(&start())?;
        ensure_eq!(vcpu.run()?.kind, ExitKind::Cpuid, "exit");
        vcpu.skip_instruction()?;
        let (state, hpa) = (vcpu.state(), vcpu.vmcs().current_pointer());
        let mut parked = vcpu.unload()?;
        let Some(region) = bench.frames.pointer(hpa) else { fail!("no VMCS at {hpa}") };
        // SAFETY: the frame of the VMCS, which no processor uses while it is parked.
        let revision = unsafe { region.cast::<u32>().read_volatile() };
        // SAFETY: as above.
        unsafe { region.cast::<u32>().write_volatile(!revision) };
        for _ in 0..2 {
            match parked.load(root) {
                Err(refused) => {
                    ensure_eq!(refused.error, LoadError::Instruction(VmFail::Invalid), "error");
                    parked = refused.vcpu;
                }
                Ok(_) => fail!("the processor took a VMCS with another revision identifier"),
            }
        }
        // SAFETY: as above.
        unsafe { region.cast::<u32>().write_volatile(revision) };
        let mut vcpu = parked.load(root).map_err(|refused| Failure::from(refused.error))?;
        ensure_eq!(vcpu.state(), state, "state");
        ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit");
        Ok(())
    })
}

/// INVEPT before an entry fails: there is no entry, each run tries it again, and what was not invalidated is once the processor can.
pub(crate) fn invept_is_refused(bench: &Bench) -> Outcome {
    with_root(bench, |root, oddities, _| {
        ensure!(root.capabilities().ept().invept_single_context(), "INVEPT of one EPTP, which every machine here has");
        let good = space(bench, root)?;
        oddities.set_next(0, Oddity::TooHigh);
        let bad = empty_space(root)?;
        let both = [&good, &bad];
        let mut vcpu = VmxVcpu::new(root, &good, &VcpuConfig::new())?;
        vcpu.set_state(&start())?;
        runs(&mut vcpu)?;
        for _ in 0..3 {
            let (state, counts) = (vcpu.state(), vcpu.flush_counts());
            vcpu.set_space(&bad)?;
            for _ in 0..2 {
                let fail = VmFail::Valid(InstructionError::INVALID_INVEPT_OPERAND);
                ensure_eq!(vcpu.run().err(), Some(EntryError::Invalidation(fail)), "error of a run");
                ensure_eq!(vcpu.state(), state, "state after it");
                ensure_eq!(vcpu.flush_counts(), counts, "invalidations");
            }
            vcpu.set_space(&good)?;
            runs(&mut vcpu)?;
            ensure_eq!(vcpu.flush_counts().invept_single, counts.invept_single + 1, "invalidations of one EPTP");
        }
        // Of two that the guest may switch between, the first is invalidated again each time.
        let capabilities = *vcpu.capabilities();
        if capabilities.vm_functions().may_be_one().contains(VmFunctionControls::EPTP_SWITCHING) {
            let before = vcpu.flush_counts().invept_single;
            let frames = OddFrames { frames: bench.frames, oddities };
            vcpu.set_eptp_spaces(EptpSpaces::new(&capabilities, &frames, &both)?)?;
            for round in 1..=2 {
                let fail = VmFail::Valid(InstructionError::INVALID_INVEPT_OPERAND);
                ensure_eq!(vcpu.run().err(), Some(EntryError::Invalidation(fail)), "error of a run with two spaces");
                ensure_eq!(vcpu.flush_counts().invept_single, before + round, "invalidations of the first space");
            }
            vcpu.set_space(&good)?;
            runs(&mut vcpu)?;
        }
        Ok(())
    })
}
