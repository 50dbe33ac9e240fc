//! Entries that the processor refuses, on VMX: the error says why, and after a repair the same virtual processor runs.
#![expect(unsafe_code, reason = "writes invalid values to sensitive fields")]

use alloc::string::ToString as _;
use alloc::vec::Vec;

use x86_virt::vmx::check::Prediction;
use x86_virt::vmx::field::{self, Encoding, Field, FieldValue, Sensitive};
use x86_virt::vmx::{
    BasicExitReason, EntryError, InstructionError, PinControls, VmFail, VmcsRead as _, VmcsWrite as _, VmxVcpu,
};
use x86_virt::{AnyVcpu, ExitKind, Hpa, Reason, SegmentAccessRights, Vcpu, VcpuConfig};

use crate::bench::{Bench, Frames};
use crate::coverage;
use crate::guest::{CODE, Mode};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

/// CPUID; HLT: the first makes the VMCS launched.
fn with_vcpu(bench: &Bench, test: impl Fn(&mut VmxVcpu<'_, '_, 'static, Frames>) -> Outcome) -> Outcome {
    for launched in [false, true] {
        bench.with_guest(Mode::Long, &[0x0f, 0xa2, 0xf4], &VcpuConfig::new(), |guest| {
            let AnyVcpu::Vmx(vcpu) = &mut guest.vcpu else { fail!("no VMX") };
            if launched {
                runs(vcpu)?;
            }
            test(vcpu)?;
            runs(vcpu)
        })?;
    }
    Ok(())
}

/// The guest runs from its start.
fn runs(vcpu: &mut VmxVcpu<'_, '_, 'static, Frames>) -> Outcome {
    vcpu.set_rip(CODE);
    {
        let report = vcpu.check();
        ensure_eq!(report.prediction(), Prediction::Enters, "what the checker says of a valid guest: {report}");
    }
    for kind in [ExitKind::Cpuid, ExitKind::Hlt] {
        ensure_eq!(vcpu.run()?.kind, kind, "exit of a valid guest");
        vcpu.skip_instruction()?;
    }
    vcpu.set_rip(CODE);
    Ok(())
}

/// Calls `test` with an invalid value in the field, and puts the right one back.
fn with_invalid<T: FieldValue>(
    vcpu: &mut VmxVcpu<'_, '_, 'static, Frames>,
    field: Field<T, Sensitive>,
    invalid: T,
    test: impl Fn(EntryError) -> Outcome,
) -> Outcome {
    let valid = vcpu.vmcs().read(field)?;
    // SAFETY: the processor refuses the value before it leaves the host.
    unsafe { vcpu.vmcs_mut().write_sensitive(field, invalid) }?;
    for _ in 0..2 {
        let before = vcpu.state();
        ensure!(vcpu.check().violations().next().is_some(), "the checker finds nothing wrong");
        let Err(error) = vcpu.run() else { fail!("the processor took an invalid value") };
        let first = vcpu.why(&error).next();
        ensure!(first.is_some(), "the checker does not know why: {error}");
        ensure_eq!(error.first().copied(), first, "the first violation in the error");
        ensure!(
            error.violated().iter().eq(vcpu.why(&error).map(|violation| violation.rule())),
            "the rules in the error are {:?}",
            error.violated()
        );
        test(error)?;
        ensure_eq!(vcpu.state(), before, "state after the refusal");
    }
    // SAFETY: the value from before.
    unsafe { vcpu.vmcs_mut().write_sensitive(field, valid) }?;
    Ok(())
}

fn expect_number(error: EntryError, expected: InstructionError, name: &str) -> Outcome {
    let EntryError::Instruction { fail, .. } = error else { fail!("{error}") };
    ensure_eq!(fail, VmFail::Valid(expected), "error");
    ensure!(error.to_string().contains(name), "the message is: {error}");
    Ok(())
}

/// VM-instruction error 7.
pub(crate) fn invalid_control(bench: &Bench) -> Outcome {
    with_vcpu(bench, |vcpu| {
        with_invalid(vcpu, field::PIN_CONTROLS, PinControls::NONE, |error| {
            expect_number(error, InstructionError::INVALID_CONTROL_FIELDS, "7: VM entry with invalid control field(s)")
        })
    })
}

/// VM-instruction error 8.
pub(crate) fn invalid_host_state(bench: &Bench) -> Outcome {
    with_vcpu(bench, |vcpu| {
        with_invalid(vcpu, field::HOST_TR_SELECTOR, 0, |error| {
            expect_number(error, InstructionError::INVALID_HOST_STATE, "8: VM entry with invalid host-state field(s)")
        })
    })
}

/// Exit reason 33, qualification 0; the field is one that safe code writes.
pub(crate) fn invalid_guest_state(bench: &Bench) -> Outcome {
    with_vcpu(bench, |vcpu| {
        let valid = vcpu.vmcs().read(field::GUEST_TR_ACCESS_RIGHTS)?;
        // No type that a task-state segment has.
        vcpu.vmcs_mut().write(field::GUEST_TR_ACCESS_RIGHTS, SegmentAccessRights::from_bits(0x82))?;
        for _ in 0..2 {
            let before = vcpu.state();
            let error = vcpu.run().err();
            let rules = error.as_ref().map(EntryError::violated).unwrap_or_default();
            let ids: Vec<_> = rules.iter().map(|rule| rule.id).collect();
            ensure_eq!(ids, ["VMX-GUEST-SEG-TR-TYPE"], "rules in the error");
            expect_failure(error, BasicExitReason::INVALID_GUEST_STATE, 0)?;
            ensure_eq!(vcpu.state(), before, "state after the refusal");
        }
        vcpu.vmcs_mut().write(field::GUEST_TR_ACCESS_RIGHTS, valid)?;
        Ok(())
    })
}

/// Exit reason 33, qualification 4.
pub(crate) fn invalid_link_pointer(bench: &Bench) -> Outcome {
    with_vcpu(bench, |vcpu| {
        with_invalid(vcpu, field::VMCS_LINK_POINTER, Hpa::new(0x123), |error| {
            expect_failure(Some(error), BasicExitReason::INVALID_GUEST_STATE, 4)
        })
    })
}

/// Exit reason 34; the qualification is the number of the entry that cannot be loaded, which count from 1.
pub(crate) fn msr_that_cannot_be_loaded(bench: &Bench) -> Outcome {
    /// IA32_FS_BASE, which no entry may load.
    const FS_BASE: u64 = 0xc000_0100;
    /// IA32_KERNEL_GS_BASE, which the next entry or the host writes before it is used.
    const KERNEL_GS_BASE: u64 = 0xc000_0102;
    const AREA: u64 = 0x1_6000;
    let ram = bench.ram();
    with_vcpu(bench, |vcpu| {
        for (at, word) in (AREA..).step_by(8).zip([KERNEL_GS_BASE, 0, FS_BASE, 0]) {
            ram.write(at, &word.to_le_bytes())?;
        }
        let area = Hpa::new(ram.hpa().get() + AREA);
        // SAFETY: memory of the guest, which the processor reads.
        unsafe { vcpu.vmcs_mut().write_sensitive(field::ENTRY_MSR_LOAD_ADDRESS, area) }?;
        // SAFETY: as above.
        unsafe { vcpu.vmcs_mut().write_sensitive(field::ENTRY_MSR_LOAD_COUNT, 2) }?;
        let before = vcpu.state();
        expect_failure(vcpu.run().err(), BasicExitReason::MSR_LOADING, 2)?;
        ensure_eq!(vcpu.state(), before, "state after the refusal");
        // SAFETY: the value from before.
        Ok(unsafe { vcpu.vmcs_mut().write_sensitive(field::ENTRY_MSR_LOAD_COUNT, 0) }?)
    })
}

fn expect_failure(error: Option<EntryError>, why: BasicExitReason, expected: u64) -> Outcome {
    match error {
        Some(EntryError::Failed { reason, qualification, .. }) => {
            ensure_eq!(reason.basic(), why, "reason");
            ensure!(reason.entry_failure(), "{reason} is no failure of an entry");
            coverage::exit(Reason::Vmx(reason));
            ensure_eq!(qualification, expected, "qualification");
            Ok(())
        }
        other => fail!("{other:?}"),
    }
}

/// A field that the processor does not have: the access says so, and so does the next run if nobody asked.
pub(crate) fn unsupported_field(bench: &Bench) -> Outcome {
    with_vcpu(bench, |vcpu| {
        // The highest index of a 64-bit host-state field.
        let absent = Encoding::new(0x2ffe);
        let fail = VmFail::Valid(InstructionError::UNSUPPORTED_FIELD);
        ensure_eq!(vcpu.vmcs().read_raw(absent), Err(fail), "reading {absent}");
        // SAFETY: the processor does not have the field.
        ensure_eq!(unsafe { vcpu.vmcs_mut().write_raw(absent, 0) }, Err(fail), "writing {absent}");
        runs(vcpu)?;
        let error = x86_virt::vmx::FieldError { field: absent, fail };
        vcpu.vmcs().note(error);
        ensure_eq!(vcpu.run().err(), Some(EntryError::Field(error)), "error of the next run");
        Ok(())
    })
}
