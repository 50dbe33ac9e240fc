//! Breakpoints of a guest.

use x86_virt::{ExitKind, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, Mode};
use crate::harness::{Outcome, ensure, ensure_eq};
use crate::registers::capture;
use crate::world_switch::differences;

/// A breakpoint on an instruction gives the guest #DB and its DR6, and the host notices nothing.
pub(crate) fn breakpoint_is_the_guests_own(bench: &Bench) -> Outcome {
    // NOP; NOP; HLT.
    bench.with_guest(Mode::Long, &[0x90, 0x90, 0xf4], &VcpuConfig::new(), |guest| {
        let expected = capture();
        let addresses = [0x7000_0000, 0x7100_0000, CODE + 1, 0x7300_0000];
        guest.vcpu.set_breakpoints(addresses)?;
        // L2.
        guest.vcpu.set_dr7(0x410);
        if !has(Feature::GuestBreakpoints) {
            return guest.expect(ExitKind::Hlt);
        }
        guest.expect_handler(1)?;
        ensure_eq!(guest.stacked(0)?, CODE + 1, "RIP on the stack");
        ensure_eq!(guest.vcpu.dr6() & 0xf, 4, "DR6 of the guest");
        ensure_eq!(guest.vcpu.breakpoints(), addresses, "DR0 to DR3 of the guest");
        let changed = differences(&expected, &capture());
        ensure!(changed.is_empty(), "the host has {changed}");
        // Without it, the guest goes on.
        guest.vcpu.set_dr7(0x400);
        guest.vcpu.skip_instruction()?;
        guest.expect(ExitKind::Hlt)
    })
}
