//! An entry that the processor refuses, in the words of both vendors: what is told before, by the error, and after.
#![expect(unsafe_code, reason = "writes an invalid value to a field that the library keeps")]

use alloc::string::ToString as _;
use alloc::vec::Vec;

use x86_virt::check::Report;
use x86_virt::svm::vmcb::{control, save};
use x86_virt::vmx::VmcsWrite as _;
use x86_virt::vmx::field;
use x86_virt::{AnyVcpu, ExitKind, InterruptRequest, SegmentAccessRights, Vcpu, VcpuConfig};

use crate::bench::{Bench, Frames};
use crate::guest::Mode;
use crate::harness::{Outcome, ensure, ensure_eq, fail};

/// Makes the guest's state invalid, or valid again. Returns the rule that it breaks.
fn set(vcpu: &mut AnyVcpu<'_, '_, 'static, Frames>, is_valid: bool) -> Outcome<&'static str> {
    match vcpu {
        AnyVcpu::Vmx(vcpu) => {
            // A busy task-state segment, and what no task-state segment is.
            let rights = SegmentAccessRights::from_bits(if is_valid { 0x8b } else { 0x82 });
            vcpu.vmcs_mut().write(field::GUEST_TR_ACCESS_RIGHTS, rights)?;
            Ok("VMX-GUEST-SEG-TR-TYPE")
        }
        AnyVcpu::Svm(vcpu) => {
            let intercepts = vcpu.read(control::INTERCEPT_MISC2) & !1 | u32::from(is_valid);
            // SAFETY: the processor refuses to enter a guest whose VMRUN is not intercepted.
            unsafe { vcpu.write_owned(control::INTERCEPT_MISC2, intercepts) };
            Ok("SVM-VMRUN-INTERCEPT-VMRUN")
        }
        _ => fail!("neither vendor"),
    }
}

fn ids(report: &Report<'_>) -> Vec<&'static str> {
    report.violations().map(|violation| violation.rule().id()).collect()
}

/// Both vendors name the rule in the report, in the error, and in what `why` adds.
pub(crate) fn is_told_in_common_words(bench: &Bench) -> Outcome {
    // CPUID; HLT.
    bench.with_guest(Mode::Long, &[0x0f, 0xa2, 0xf4], &VcpuConfig::new(), |guest| {
        let vcpu = &mut guest.vcpu;
        for _ in 0..2 {
            ensure_eq!(ids(&vcpu.check()), [""; 0], "violations of a valid state");
            ensure!(vcpu.check().enters() != Some(false), "the report of a valid state is: {}", vcpu.check());
            let id = set(vcpu, false)?;
            ensure_eq!(ids(&vcpu.check()), [id], "violations");
            ensure_eq!(vcpu.check().enters(), Some(false), "whether it enters");
            let Err(error) = vcpu.run() else { fail!("the processor entered") };
            ensure_eq!(error.violated().map(|rule| rule.id()).collect::<Vec<_>>(), [id], "rules of the error");
            let Some(first) = error.first() else { fail!("{error}: no violation") };
            ensure!(error.to_string().contains(&first.to_string()), "{error}: not {first}");
            ensure!(vcpu.why(&error).eq([first]), "{error}: another reason than {first}");
            ensure!(first.values().all(|(_, value)| value.is_some()), "{first}: a value is not known");
            set(vcpu, true)?;
            ensure_eq!(vcpu.run()?.kind, ExitKind::Cpuid, "exit after the repair");
        }
        Ok(())
    })
}

/// Makes the guest's registers invalid, or valid again.
fn set_registers(vcpu: &mut AnyVcpu<'_, '_, 'static, Frames>, is_valid: bool) -> Outcome {
    if let AnyVcpu::Svm(vcpu) = vcpu {
        let dr7: u64 = if is_valid { 0x400 } else { 1 << 32 | 0x400 };
        // SAFETY: the processor refuses to enter a guest with bits in the upper half, or the value is that of before.
        unsafe { vcpu.write_owned(save::DR7, dr7) };
        return Ok(());
    }
    set(vcpu, is_valid)?;
    Ok(())
}

/// An interrupt waits for its window, the entry is refused, and the interrupt is withdrawn: then no window ends a run.
pub(crate) fn leaves_no_window_open(bench: &Bench) -> Outcome {
    // CPUID; HLT.
    bench.with_guest(Mode::Long, &[0x0f, 0xa2, 0xf4], &VcpuConfig::new(), |guest| {
        let vcpu = &mut guest.vcpu;
        for _ in 0..3 {
            let closed = vcpu.rflags().with_if(false);
            vcpu.set_rflags(closed);
            vcpu.request_interrupt(InterruptRequest::external(0x40));
            set_registers(vcpu, false)?;
            ensure!(vcpu.run().is_err(), "the processor entered");
            set_registers(vcpu, true)?;
            ensure!(vcpu.withdraw_interrupt().is_some(), "the interrupt does not wait any more");
            vcpu.set_rflags(closed.with_if(true));
            for _ in 0..2 {
                ensure_eq!(vcpu.run()?.kind, ExitKind::Cpuid, "exit with interrupts enabled");
            }
        }
        Ok(())
    })
}
