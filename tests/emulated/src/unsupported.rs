//! A processor that lacks what a virtual processor needs: EPT without unrestricted guest, or all of virtualization.

use alloc::string::ToString as _;

use x86_virt::{CreateError, EnterError, Processor, VcpuConfig, vmx};

use crate::bench::Bench;
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::registers::{self, capture};

const EXPECTED: CreateError = CreateError::Vmx(vmx::CreateError::Unsupported(vmx::Unsupported::UnrestrictedGuest));

/// On a processor with neither VMX nor SVM the error says that, each time.
fn no_virtualization(bench: &Bench) -> Outcome {
    for _ in 0..3 {
        let Err(error) = bench.try_enter() else { fail!("virtualization was enabled") };
        ensure_eq!(error, EnterError::NoVirtualization, "error");
        ensure!(error.is_unsupported(), "the error does not say that something is unsupported");
    }
    Ok(())
}

/// The error says what is missing, and is the right one.
pub(crate) fn is_named(bench: &Bench) -> Outcome {
    if Processor::detect().vendor().is_none() {
        return no_virtualization(bench);
    }
    let mut root = bench.enter()?;
    let space = root.address_space()?;
    for _ in 0..3 {
        let Err(error) = root.vcpu(&space, &VcpuConfig::new()) else { fail!("a virtual processor was made") };
        ensure_eq!(error, EXPECTED, "error");
        ensure!(error.is_unsupported(), "the error does not say that something is unsupported");
        ensure!(error.to_string().contains("unrestricted guest"), "the message is: {error}");
    }
    Ok(())
}

/// Nothing stays behind, and the root can be entered again.
pub(crate) fn root_works_afterwards(bench: &Bench) -> Outcome {
    let before = capture();
    for _ in 0..3 {
        let free = bench.free_frames();
        is_named(bench)?;
        ensure_eq!(bench.free_frames(), free, "free frames");
        ensure_eq!(capture(), before.clone(), "registers of the host");
    }
    Ok(())
}

/// Firmware has locked VMX off in IA32_FEATURE_CONTROL: the error says so, and nothing else changes.
pub(crate) fn disabled_by_firmware(bench: &Bench) -> Outcome {
    if Processor::detect().vendor().is_none() {
        return no_virtualization(bench);
    }
    let locked_off = vmx::FeatureControl::new().with_locked(true);
    registers::set_feature_control(locked_off.into_bits());
    let before = capture();
    for _ in 0..3 {
        let Err(error) = bench.try_enter() else { fail!("VMX operation was entered") };
        let reason = vmx::Unsupported::DisabledByFirmware { feature_control: locked_off.into_bits() };
        ensure_eq!(error, EnterError::Vmx(vmx::EnterError::Unsupported(reason)), "error");
        ensure!(error.is_unsupported(), "the error does not say that something is unsupported");
        ensure!(error.to_string().contains("firmware disabled VMX"), "the message is: {error}");
        ensure_eq!(capture(), before.clone(), "registers of the host");
    }
    Ok(())
}
