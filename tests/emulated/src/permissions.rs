//! MSRs and ports that are passed through and intercepted again.
#![expect(unsafe_code, reason = "passes a port of the host through")]

use x86_virt::{ExitKind, Io, IoDirection, IoSize, MsrAccess, MsrRangeError, SwitchedMsr, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::guest::{CODE, Guest, Mode};
use crate::harness::{Outcome, ensure_eq};

const KERNEL_GS_BASE: u32 = 0xc000_0102;

/// Each direction of an MSR has a permission of its own, which holds from the next entry on.
pub(crate) fn msr_by_direction(bench: &Bench) -> Outcome {
    // RDMSR; WRMSR; HLT.
    bench.with_guest(Mode::Long, &[0x0f, 0x32, 0x0f, 0x30, 0xf4], &VcpuConfig::new(), |guest| {
        let msr = SwitchedMsr::KernelGsBase;
        let read = ExitKind::ReadMsr(KERNEL_GS_BASE);
        let write = ExitKind::WriteMsr { msr: KERNEL_GS_BASE, value: 0x1234 };
        for round in 0..3 {
            guest.vcpu.set_msr(msr, 0x1234)?;
            guest.expect_msr_exits(&[read, write])?;
            guest.vcpu.pass_msr(msr, MsrAccess::Read);
            guest.expect_msr_exits(&[write])?;
            ensure_eq!(guest.vcpu.gprs().edx_eax(), 0x1234, "what the guest read in round {round}");
            guest.vcpu.pass_msr(msr, MsrAccess::ReadWrite);
            guest.expect_msr_exits(&[])?;
            guest.vcpu.intercept_msr(KERNEL_GS_BASE, MsrAccess::Read);
            guest.expect_msr_exits(&[read])?;
            guest.vcpu.intercept_msr(KERNEL_GS_BASE, MsrAccess::ReadWrite);
            guest.expect_msr_exits(&[read, write])?;
            ensure_eq!(guest.vcpu.msr(msr), 0x1234, "the guest's value");
        }
        Ok(())
    })
}

/// What the guest writes to an MSR that was passed through stays its own when it is intercepted again.
pub(crate) fn passed_msr_keeps_its_value(bench: &Bench) -> Outcome {
    // WRMSR; HLT.
    bench.with_guest(Mode::Long, &[0x0f, 0x30, 0xf4], &VcpuConfig::new(), |guest| {
        let others = [SwitchedMsr::Pat, SwitchedMsr::SpecCtrl, SwitchedMsr::TscAux];
        for msr in SwitchedMsr::ALL.into_iter().filter(|msr| !others.contains(msr)) {
            guest.vcpu.pass_msr(msr, MsrAccess::Write);
            guest.vcpu.set_rip(CODE);
            let gprs = guest.vcpu.gprs_mut();
            gprs.rcx = u64::from(msr.number());
            gprs.set_edx_eax(0x1230);
            guest.expect(ExitKind::Hlt)?;
            ensure_eq!(guest.vcpu.msr(msr), 0x1230, "{msr:?}");
            guest.vcpu.intercept_msr(msr.number(), MsrAccess::ReadWrite);
            guest.vcpu.set_rip(CODE);
            guest.expect(ExitKind::WriteMsr { msr: msr.number(), value: 0x1230 })?;
            ensure_eq!(guest.vcpu.msr(msr), 0x1230, "{msr:?} after it is intercepted again");
        }
        Ok(())
    })
}

/// An MSR that no bitmap covers cannot be passed through.
pub(crate) fn msr_out_of_range(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &[0xf4], &VcpuConfig::new(), |guest| {
        for msr in [0x2000, 0x4000_0000, 0xbfff_ffff, u32::MAX] {
            // SAFETY: the guest does not access the MSR.
            let result = unsafe { guest.vcpu.pass_host_msr(msr, MsrAccess::Read) };
            ensure_eq!(result, Err(MsrRangeError { msr }), "passing through");
        }
        guest.expect(ExitKind::Hlt)
    })
}

/// A port that is passed through ends no run, but an access that reaches its neighbour does.
pub(crate) fn ports(bench: &Bench) -> Outcome {
    const PORT: u16 = 0x80;
    // OUT 0x80, AL; OUT 0x80, AX; HLT.
    bench.with_guest(Mode::Long, &[0xe6, 0x80, 0x66, 0xe7, 0x80, 0xf4], &VcpuConfig::new(), |guest| {
        let out = |size| ExitKind::Io(Io { port: PORT, size, direction: IoDirection::Out, string: None });
        for _ in 0..3 {
            guest.expect_exits(&[out(IoSize::Byte), out(IoSize::Word)])?;
            // SAFETY: nothing listens on the port of POST codes.
            unsafe { guest.vcpu.pass_ports(PORT..=PORT) };
            guest.expect_exits(&[out(IoSize::Word)])?;
            // SAFETY: as above.
            unsafe { guest.vcpu.pass_ports(PORT..=PORT + 1) };
            guest.expect_exits(&[])?;
            guest.vcpu.intercept_ports(PORT + 1..=PORT + 1);
            guest.expect_exits(&[out(IoSize::Word)])?;
            guest.vcpu.intercept_ports(0..=u16::MAX);
        }
        Ok(())
    })
}

impl Guest<'_, '_> {
    fn expect_msr_exits(&mut self, exits: &[ExitKind]) -> Outcome {
        let gprs = self.vcpu.gprs_mut();
        gprs.rcx = u64::from(KERNEL_GS_BASE);
        gprs.set_edx_eax(0x1234);
        self.expect_exits(exits)
    }

    /// Runs the code from its start to HLT, with these exits on the way, which are skipped.
    fn expect_exits(&mut self, exits: &[ExitKind]) -> Outcome {
        self.vcpu.set_rip(CODE);
        for exit in exits {
            self.expect(*exit)?;
            self.vcpu.skip_instruction()?;
        }
        self.expect(ExitKind::Hlt)
    }
}
