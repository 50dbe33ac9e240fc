//! Entries that the processor refuses, on SVM: the error says so, and after a repair the same virtual processor runs.
#![expect(unsafe_code, reason = "writes invalid values to fields that the library keeps")]

use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use x86_virt::svm::vmcb::{Field, control, save};
use x86_virt::svm::{EntryError, SvmVcpu};
use x86_virt::{AnyVcpu, ExitKind, Vcpu, VcpuConfig};

use crate::bench::{Bench, Frames};
use crate::guest::{CODE, Mode};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

fn with_vcpu(bench: &Bench, test: impl FnOnce(&mut SvmVcpu<'_, '_, 'static, Frames>) -> Outcome) -> Outcome {
    // CPUID; HLT.
    bench.with_guest(Mode::Long, &[0x0f, 0xa2, 0xf4], &VcpuConfig::new(), |guest| {
        let AnyVcpu::Svm(vcpu) = &mut guest.vcpu else { fail!("no SVM") };
        test(vcpu)
    })
}

/// The guest runs from its start.
fn runs(vcpu: &mut SvmVcpu<'_, '_, 'static, Frames>) -> Outcome {
    vcpu.set_rip(CODE);
    for kind in [ExitKind::Cpuid, ExitKind::Hlt] {
        ensure_eq!(vcpu.run()?.kind, kind, "exit of a valid guest");
        vcpu.skip_instruction()?;
    }
    vcpu.set_rip(CODE);
    Ok(())
}

/// Registers whose values the processor checks, before the first entry and after others.
pub(crate) fn invalid_guest_state(bench: &Bench) -> Outcome {
    with_vcpu(bench, |vcpu| {
        for _ in 0..2 {
            // NW without CD, and bits in upper halves.
            refuses(vcpu, "SVM-VMRUN-CR0-NW", save::CR0, 1 << 29 | 1)?;
            refuses(vcpu, "SVM-VMRUN-CR0-HIGH", save::CR0, 1 << 32 | 0x8001_0031)?;
            refuses(vcpu, "SVM-VMRUN-CR4-RESERVED", save::CR4, 1 << 32 | 0x20)?;
            refuses(vcpu, "SVM-VMRUN-DR7-HIGH", save::DR7, 1 << 32 | 0x400)?;
            runs(vcpu)?;
        }
        Ok(())
    })
}

/// The processor refuses the value, twice, the error says why, and the right one is put back.
fn refuses<T: Copy + From<u64>, X>(
    vcpu: &mut SvmVcpu<'_, '_, 'static, Frames>,
    rule: &str,
    field: Field<T, X>,
    invalid: u64,
) -> Outcome {
    let valid = vcpu.read(field);
    // SAFETY: the processor refuses to enter the guest with the value.
    unsafe { vcpu.write_owned(field, invalid.into()) };
    for _ in 0..2 {
        let before = vcpu.state();
        let result = vcpu.run();
        expect_rule(result.err(), rule)?;
        ensure_eq!(vcpu.state(), before, "state after the refusal, {rule}");
        let report = vcpu.check();
        ensure_eq!(report.violations().map(|violation| violation.rule().id).collect::<Vec<_>>(), [rule], "violations");
    }
    // SAFETY: the value from before.
    unsafe { vcpu.write_owned(field, valid) };
    Ok(())
}

/// The error names the rule, and no other.
fn expect_rule(error: Option<EntryError>, rule: &str) -> Outcome {
    let Some(EntryError::InvalidState { violated, .. }) = error else { fail!("{rule}: {error:?}") };
    ensure!(violated.iter().map(|rule| rule.id).eq([rule]), "{rule}: {violated:?}");
    let text = error.map(|error| error.to_string()).unwrap_or_default();
    ensure!(text.starts_with(&format!("invalid guest state: {rule}: ")), "the message is: {text}");
    Ok(())
}

/// Without the intercept of VMRUN, which must be set.
pub(crate) fn missing_intercept_of_vmrun(bench: &Bench) -> Outcome {
    with_vcpu(bench, |vcpu| {
        let valid = vcpu.read(control::INTERCEPT_MISC2);
        // SAFETY: the processor refuses to enter the guest then.
        unsafe { vcpu.write_owned(control::INTERCEPT_MISC2, valid & !1) };
        expect_rule(vcpu.run().err(), "SVM-VMRUN-INTERCEPT-VMRUN")?;
        // SAFETY: the value from before.
        unsafe { vcpu.write_owned(control::INTERCEPT_MISC2, valid) };
        runs(vcpu)
    })
}
