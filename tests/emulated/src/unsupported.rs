//! A processor that lacks what a virtual processor needs: EPT without unrestricted guest.

use alloc::string::ToString as _;

use x86_virt::{CreateError, VcpuConfig, vmx};

use crate::bench::Bench;
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::registers::capture;

const EXPECTED: CreateError = CreateError::Vmx(vmx::CreateError::Unsupported(vmx::Unsupported::UnrestrictedGuest));

/// The error says what is missing, and is the right one.
pub(crate) fn is_named(bench: &Bench) -> Outcome {
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
