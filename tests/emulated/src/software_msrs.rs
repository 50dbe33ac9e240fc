//! MSRs that the processor does not switch: SPEC_CTRL, TSC_AUX and IA32_XSS are each one's own.
#![expect(unsafe_code, reason = "writes MSRs of the host")]

use core::arch::x86_64::__cpuid_count;

use x86::msr::{rdmsr, wrmsr};
use x86_virt::{ExitKind, MsrAccess, StateError, SwitchedMsr, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, DATA, Guest, Mode};
use crate::harness::{Outcome, ensure_eq, fail};

const IA32_XSS: u32 = 0xda0;

/// Sets an MSR of the host until it is dropped.
struct Set {
    msr: u32,
    before: u64,
}

impl Set {
    /// # Safety
    ///
    /// The processor has the MSR and takes the value, which nothing on this machine depends on. No root is entered.
    unsafe fn new(msr: u32, value: u64) -> Self {
        // SAFETY: the processor has the MSR.
        let before = unsafe { rdmsr(msr) };
        // SAFETY: the caller's promise.
        unsafe { wrmsr(msr, value) };
        Self { msr, before }
    }

    /// What the host has now.
    fn now(&self) -> u64 {
        // SAFETY: the processor has the MSR.
        unsafe { rdmsr(self.msr) }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        // SAFETY: the value was there before.
        unsafe { wrmsr(self.msr, self.before) };
    }
}

/// RDTSCP gives the guest its own TSC_AUX, however it was written.
pub(crate) fn tsc_aux(bench: &Bench) -> Outcome {
    // RDTSCP; MOV EBX, ECX; MOV ECX, TSC_AUX; RDMSR; HLT.
    const READ: [u8; 13] = [0x0f, 0x01, 0xf9, 0x89, 0xcb, 0xb9, 0x03, 0x01, 0x00, 0xc0, 0x0f, 0x32, 0xf4];
    if !has(Feature::Rdtscp) {
        return is_refused(bench, SwitchedMsr::TscAux);
    }
    // SAFETY: the processor has the MSR, and only RDTSCP reads it.
    let own = unsafe { Set::new(SwitchedMsr::TscAux.number(), 0x1111) };
    bench.with_guest(Mode::Long, &READ, &VcpuConfig::new(), |guest| {
        for value in [0x2222, 0x1111, 0, 0xffff_ffff] {
            guest.vcpu.set_msr(SwitchedMsr::TscAux, value)?;
            guest.vcpu.intercept_msr(SwitchedMsr::TscAux.number(), MsrAccess::ReadWrite);
            guest.vcpu.set_rip(CODE);
            guest.expect(ExitKind::ReadMsr(SwitchedMsr::TscAux.number()))?;
            ensure_eq!(guest.vcpu.gprs().rbx, value, "what RDTSCP gave");
            guest.vcpu.pass_msr(SwitchedMsr::TscAux, MsrAccess::ReadWrite);
            guest.vcpu.set_rip(CODE);
            guest.expect(ExitKind::Hlt)?;
            ensure_eq!(guest.vcpu.gprs().edx_eax(), value, "what RDMSR gave");
            ensure_eq!(own.now(), 0x1111, "TSC_AUX of the host");
        }
        let refused = StateError::Bits { register: "TSC_AUX", value: 1 << 32, bits: 1 << 32 };
        ensure_eq!(guest.vcpu.set_msr(SwitchedMsr::TscAux, 1 << 32), Err(refused), "a value of 33 bits");
        Ok(())
    })?;
    writes(bench, SwitchedMsr::TscAux, &own, &[0x3333, 0x1111, 0x4444])
}

/// The guest has its own SPEC_CTRL.
pub(crate) fn spec_ctrl(bench: &Bench) -> Outcome {
    if !has(Feature::SpecCtrl) {
        return is_refused(bench, SwitchedMsr::SpecCtrl);
    }
    // SAFETY: the processor has the MSR, whose IBRS changes no result.
    let own = unsafe { Set::new(SwitchedMsr::SpecCtrl.number(), 1) };
    writes(bench, SwitchedMsr::SpecCtrl, &own, &[0, 1, 0])
}

/// What the guest writes stays with it.
fn writes(bench: &Bench, msr: SwitchedMsr, own: &Set, values: &[u64]) -> Outcome {
    let before = own.now();
    // WRMSR; HLT.
    bench.with_guest(Mode::Long, &[0x0f, 0x30, 0xf4], &VcpuConfig::new(), |guest| {
        for value in values {
            let write = |guest: &mut Guest<'_, '_>, kind| {
                guest.vcpu.set_rip(CODE);
                let gprs = guest.vcpu.gprs_mut();
                gprs.rcx = u64::from(msr.number());
                gprs.set_edx_eax(*value);
                guest.expect(kind)
            };
            guest.vcpu.intercept_msr(msr.number(), MsrAccess::ReadWrite);
            write(guest, ExitKind::WriteMsr { msr: msr.number(), value: *value })?;
            guest.vcpu.pass_msr(msr, MsrAccess::ReadWrite);
            write(guest, ExitKind::Hlt)?;
            ensure_eq!(guest.vcpu.msr(msr), *value, "{} of the guest", msr.name());
            ensure_eq!(own.now(), before, "{} of the host", msr.name());
        }
        Ok(())
    })
}

/// A processor without the MSR takes no value but 0.
fn is_refused(bench: &Bench, msr: SwitchedMsr) -> Outcome {
    bench.with_guest(Mode::Long, &[0xf4], &VcpuConfig::new(), |guest| {
        let refused = StateError::Bits { register: msr.name(), value: 1, bits: 1 };
        ensure_eq!(guest.vcpu.set_msr(msr, 1), Err(refused), "a value without the MSR");
        guest.vcpu.set_msr(msr, 0)?;
        ensure_eq!(guest.vcpu.msr(msr), 0, "an MSR that is not there");
        guest.expect(ExitKind::Hlt)
    })
}

/// XSAVES of the guest does not see the supervisor's state of the host.
pub(crate) fn xsaves(bench: &Bench) -> Outcome {
    // Where XCOMP_BV is, whose bit 63 says that the area is compact.
    const XCOMP_BV: u64 = DATA + 520;
    if !has(Feature::SupervisorStates) {
        return Ok(());
    }
    let states = __cpuid_count(0xd, 1);
    let states = u64::from(states.edx) << 32 | u64::from(states.ecx);
    // SAFETY: the processor has these states, and nothing on this machine uses XSAVES.
    let own = unsafe { Set::new(IA32_XSS, states) };
    // XSAVES64 [RSI]; HLT.
    bench.with_guest(Mode::Long, &[0x48, 0x0f, 0xc7, 0x2e, 0xf4], &VcpuConfig::new(), |guest| {
        let mut state = Mode::Long.state();
        state.cr4.set_osxsave(true);
        state.gprs.rsi = DATA;
        state.gprs.set_edx_eax(u64::MAX);
        guest.vcpu.set_state(&state)?;
        guest.vcpu.set_xcr0(3)?;
        match guest.run()?.kind {
            ExitKind::Hlt => {
                let mut saved = [0; 8];
                guest.ram.read(XCOMP_BV, &mut saved)?;
                ensure_eq!(u64::from_le_bytes(saved), 1 << 63 | 3, "XCOMP_BV");
            }
            kind => fail!("XSAVES ended with {kind:?}"),
        }
        ensure_eq!(own.now(), states, "IA32_XSS of the host");
        Ok(())
    })
}
