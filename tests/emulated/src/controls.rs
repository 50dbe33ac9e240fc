//! What ends a run, changed while the guest lives.
#![expect(unsafe_code, reason = "passes MSRs through")]

use x86_virt::{
    AnyVcpu, Cr0, Cr4, ExitKind, GuestControls, InterceptError, Intercepts, MsrAccess, OwnedBits, PageFaultErrorCode,
    PageFaultFilter, PauseLoop, Vcpu, VcpuConfig,
};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, DATA, Guest, Mode, TABLES};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

/// An intercept, an instruction before HLT, and the name of the exit.
struct Case {
    name: &'static str,
    with: fn(Intercepts) -> Intercepts,
    code: &'static [u8],
    kind: &'static str,
    needs: &'static [Feature],
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { name: "RDTSC", with: |set| set.with_rdtsc(true), code: &[0x0f, 0x31, 0xf4], kind: "RDTSC", needs: &[] },
    Case { name: "PAUSE", with: |set| set.with_pause(true), code: &[0xf3, 0x90, 0xf4], kind: "PAUSE", needs: &[] },
    Case { name: "MOV CR3, RBX", with: |set| set.with_cr3_write(true), code: &[0x0f, 0x22, 0xdb, 0xf4], kind: "control register", needs: &[] },
    Case { name: "MOV RAX, CR3", with: |set| set.with_cr3_read(true), code: &[0x0f, 0x20, 0xd8, 0xf4], kind: "control register", needs: &[] },
    Case { name: "MOV RAX, CR0", with: |set| set.with_cr0_read(true), code: &[0x0f, 0x20, 0xc0, 0xf4], kind: "control register", needs: &[] },
    Case { name: "MOV RAX, CR4", with: |set| set.with_cr4_read(true), code: &[0x0f, 0x20, 0xe0, 0xf4], kind: "control register", needs: &[] },
    Case { name: "INVLPG [RSI]", with: |set| set.with_invlpg(true), code: &[0x0f, 0x01, 0x3e, 0xf4], kind: "INVLPG", needs: &[] },
    Case { name: "WBINVD", with: |set| set.with_wbinvd(true), code: &[0x0f, 0x09, 0xf4], kind: "WBINVD", needs: &[] },
    Case { name: "SGDT [RSI]", with: |set| set.with_descriptor_tables(true), code: &[0x0f, 0x01, 0x06, 0xf4], kind: "descriptor table", needs: &[] },
    Case { name: "SLDT RAX", with: |set| set.with_descriptor_tables(true), code: &[0x0f, 0x00, 0xc0, 0xf4], kind: "descriptor table", needs: &[] },
    Case { name: "RDRAND EAX", with: |set| set.with_rdrand(true), code: &[0x0f, 0xc7, 0xf0, 0xf4], kind: "RDRAND", needs: &[] },
    Case { name: "RDSEED EAX", with: |set| set.with_rdseed(true), code: &[0x0f, 0xc7, 0xf8, 0xf4], kind: "RDSEED", needs: &[] },
];

/// Each intercept is turned on and off again, or refused with what the processor lacks; the others stay.
pub(crate) fn intercepts_change(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &[], &VcpuConfig::new(), |guest| {
        for case in CASES.iter().filter(|case| case.needs.iter().all(|feature| has(*feature))) {
            guest.ram.write(CODE, case.code)?;
            let before = guest.vcpu.intercepts();
            match guest.vcpu.set_intercepts((case.with)(before)) {
                Ok(()) => {
                    let kind = run(guest)?;
                    ensure_eq!(kind.name(), case.kind, "{} intercepted", case.name);
                    guest.vcpu.set_intercepts(before)?;
                    ensure_eq!(run(guest)?, ExitKind::Hlt, "{} not intercepted", case.name);
                }
                Err(InterceptError::Missing { needs, .. }) => {
                    ensure!(!needs.is_empty(), "{}: what is missing has a name", case.name);
                    ensure_eq!(guest.vcpu.intercepts(), before, "{}: intercepts after a refusal", case.name);
                }
                Err(error) => return Err(error.into()),
            }
        }
        // HLT itself: the guest goes on behind it.
        guest.ram.write(CODE, &[0xf4, 0x0f, 0xa2])?;
        ensure_eq!(run(guest)?, ExitKind::Hlt, "HLT");
        Ok(())
    })
}

/// Runs from the start, with RSI at data and RBX the root of the tables.
fn run(guest: &mut Guest<'_, '_>) -> Outcome<ExitKind> {
    let mut state = Mode::Long.state();
    state.gprs.rsi = DATA;
    state.gprs.rbx = TABLES;
    guest.vcpu.set_state(&state)?;
    Ok(guest.run()?.kind)
}

/// Page faults end a run by their error code; the guest handles the others.
pub(crate) fn page_faults_are_filtered(bench: &Bench) -> Outcome {
    /// Behind the guest's tables.
    const ABSENT: u64 = 0x4000_0000;
    bench.with_guest(Mode::Long, &[], &VcpuConfig::new(), |guest| {
        guest.vcpu.set_exceptions(1 << 14);
        let write = PageFaultErrorCode::new().with_wr(true);
        for (filter, is_read_seen, is_write_seen) in [
            (PageFaultFilter::ALL, true, true),
            (PageFaultFilter { mask: write, value: write }, false, true),
            (PageFaultFilter { mask: write, value: PageFaultErrorCode::new() }, true, false),
            (PageFaultFilter { mask: PageFaultErrorCode::new(), value: write }, false, false),
        ] {
            guest.vcpu.set_page_fault_filter(filter);
            // MOV AL, [RSI], and MOV [RSI], AL.
            for (code, error_code, is_seen) in [([0x8a, 0x06], 0, is_read_seen), ([0x88, 0x06], 2, is_write_seen)] {
                guest.ram.write(CODE, &code)?;
                let mut state = Mode::Long.state();
                state.gprs.rsi = ABSENT + 0x123;
                guest.vcpu.set_state(&state)?;
                if is_seen {
                    match guest.run()?.kind {
                        ExitKind::Exception { exception, address } => {
                            ensure_eq!(exception.error_code, Some(error_code), "{filter:?}: error code");
                            ensure_eq!(address.map(|gva| gva.get()), Some(ABSENT + 0x123), "{filter:?}: address");
                        }
                        kind => fail!("{kind:x?} in place of a page fault with {filter:?}"),
                    }
                } else {
                    guest.expect_handler(14)?;
                    ensure_eq!(guest.stacked(0)?, u64::from(error_code), "{filter:?}: error code on the stack");
                    ensure_eq!(guest.stacked(1)?, CODE, "{filter:?}: RIP on the stack");
                    let cr2 = guest.vcpu.control(x86_virt::ControlRegister::Cr2);
                    ensure!(cr2 == ABSENT + 0x123 || !has(Feature::LoadedCr2), "{filter:?}: CR2 {cr2:#x}");
                }
            }
        }
        guest.vcpu.set_exceptions(0);
        guest.vcpu.set_page_fault_filter(PageFaultFilter::ALL);
        guest.vcpu.set_rip(CODE);
        guest.expect_handler(14)
    })
}

/// The guest changes the bits that it owns without an exit, and reads what it wrote.
pub(crate) fn owned_bits_change_without_an_exit(bench: &Bench) -> Outcome {
    // MOV CR0, RAX; MOV CR4, RDX; MOV R8, CR0; MOV R9, CR4; HLT.
    let code = [0x0f, 0x22, 0xc0, 0x0f, 0x22, 0xe2, 0x41, 0x0f, 0x20, 0xc0, 0x41, 0x0f, 0x20, 0xe1, 0xf4];
    bench.with_guest(Mode::Long, &code, &VcpuConfig::new(), |guest| {
        let state = Mode::Long.state();
        for wanted in [OwnedBits::NONE, OwnedBits::all(), OwnedBits { cr0: Cr0::new().with_ts(true), cr4: Cr4::new() }]
        {
            let granted = guest.vcpu.set_owned_bits(wanted);
            ensure_eq!(guest.vcpu.owned_bits(), granted, "what is owned");
            ensure!(wanted != OwnedBits::all() || granted.cr0.ts(), "TS is not granted");
            guest.vcpu.set_state(&state)?;
            let cr0 = state.cr0.with_ts(true).with_mp(!state.cr0.mp()).into_bits();
            let cr4 = state.cr4.with_pge(!state.cr4.pge()).with_de(!state.cr4.de()).into_bits();
            guest.vcpu.gprs_mut().rax = cr0;
            guest.vcpu.gprs_mut().rdx = cr4;
            let mut exits = 0;
            loop {
                match guest.run()?.kind {
                    ExitKind::ControlRegister(access) => guest.vcpu.complete_control_register(access)?,
                    kind => {
                        ensure_eq!(kind, ExitKind::Hlt, "exit at {:#x}", guest.vcpu.rip());
                        break;
                    }
                }
                exits += 1;
            }
            let is_owned = |changed: u64, owned: u64| changed & !owned == 0;
            let cr0_owned = is_owned(cr0 ^ state.cr0.into_bits(), granted.cr0.into_bits());
            let cr4_owned = is_owned(cr4 ^ state.cr4.into_bits(), granted.cr4.into_bits());
            ensure_eq!(exits, u32::from(!cr0_owned) + u32::from(!cr4_owned), "exits with {granted:?}");
            let gprs = guest.vcpu.gprs();
            ensure_eq!((gprs.r8, gprs.r9), (cr0, cr4), "what the guest reads");
            let seen =
                [x86_virt::ControlRegister::Cr0, x86_virt::ControlRegister::Cr4].map(|cr| guest.vcpu.control(cr));
            ensure_eq!(seen, [cr0, cr4], "what the host reads");
        }
        Ok(())
    })
}

/// A loop of PAUSE ends a run, and a few of them do not.
pub(crate) fn loops_of_pause_end_a_run(bench: &Bench) -> Outcome {
    // MOV ECX, n; PAUSE; LOOP; HLT.
    let code = |count: u8| [0xb9, 0, count, 0, 0, 0xf3, 0x90, 0xe2, 0xfc, 0xf4];
    bench.with_guest(Mode::Long, &code(0x80), &VcpuConfig::new(), |guest| {
        ensure_eq!(run(guest)?, ExitKind::Hlt, "without a filter");
        let pause_loop = PauseLoop { gap: 200, window: 1000, count: 500 };
        match guest.vcpu.set_pause_loop(Some(pause_loop)) {
            Ok(()) => {}
            Err(InterceptError::Missing { needs, .. }) => {
                ensure!(!needs.is_empty() && guest.vcpu.pause_loop().is_none(), "what is missing has a name");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let kind = run(guest)?;
        let left = guest.vcpu.gprs().rcx;
        ensure_eq!(kind, ExitKind::Pause, "a loop with a filter");
        ensure!(left < 0x8000 - 200, "the loop ended the run with {left} of 32768 left");
        guest.ram.write(CODE, &[0xb9, 4, 0, 0, 0, 0xf3, 0x90, 0xe2, 0xfc, 0xf4])?;
        ensure_eq!(run(guest)?, ExitKind::Hlt, "four PAUSE with a filter");
        guest.ram.write(CODE, &code(0x80))?;
        guest.vcpu.set_pause_loop(None)?;
        ensure_eq!(run(guest)?, ExitKind::Hlt, "after the filter was taken away");
        Ok(())
    })
}

/// Ranges of MSRs, all or none of which change.
pub(crate) fn ranges_of_msrs(bench: &Bench) -> Outcome {
    // RDMSR; HLT.
    bench.with_guest(Mode::Long, &[0x0f, 0x32, 0xf4], &VcpuConfig::new(), |guest| {
        let read = |guest: &mut Guest<'_, '_>, msr: u32| -> Outcome<ExitKind> {
            guest.vcpu.set_state(&Mode::Long.state())?;
            guest.vcpu.gprs_mut().rcx = u64::from(msr);
            Ok(guest.run()?.kind)
        };
        ensure_eq!(read(guest, 0x175)?, ExitKind::ReadMsr(0x175), "before");
        // SAFETY: SYSENTER_CS, ESP and EIP are the guest's while it runs.
        unsafe { guest.vcpu.pass_host_msrs(0x174..=0x176, MsrAccess::Read) }?;
        for msr in 0x174..=0x176 {
            ensure_eq!(read(guest, msr)?, ExitKind::Hlt, "{msr:#x} passed through");
            ensure!(!guest.vcpu.is_msr_intercepted(msr, MsrAccess::Read), "{msr:#x} is intercepted");
            ensure!(guest.vcpu.is_msr_intercepted(msr, MsrAccess::Write), "writes to {msr:#x} are not intercepted");
        }
        // SAFETY: it is refused.
        let refused = unsafe { guest.vcpu.pass_host_msrs(0x1fff..=0x2000, MsrAccess::Read) };
        ensure_eq!(refused, Err(x86_virt::MsrRangeError { msr: 0x2000 }), "a range that no bitmap covers");
        ensure!(guest.vcpu.is_msr_intercepted(0x1fff, MsrAccess::Read), "a part of a refused range is changed");
        guest.vcpu.intercept_msrs(0..=u32::MAX, MsrAccess::ReadWrite);
        ensure_eq!(read(guest, 0x176)?, ExitKind::ReadMsr(0x176), "after");
        ensure!(guest.vcpu.is_port_intercepted(0x80), "a port");
        Ok(())
    })
}

/// MOV to CR3 with a target value does not end a run that others end.
pub(crate) fn cr3_targets(bench: &Bench) -> Outcome {
    // MOV CR3, RBX; HLT.
    let config = VcpuConfig::new().with_intercepts(Intercepts::new().with_hlt(true).with_cr3_write(true));
    bench.with_guest(Mode::Long, &[0x0f, 0x22, 0xdb, 0xf4], &config, |guest| {
        let set = |guest: &mut Guest<'_, '_>, values: &[u64]| match &mut guest.vcpu {
            AnyVcpu::Vmx(vcpu) => vcpu.set_cr3_targets(values),
            _ => Ok(()),
        };
        for (values, is_seen) in [(&[][..], true), (&[7, TABLES], false), (&[TABLES | 8, 3, 2, 1], true)] {
            set(guest, values)?;
            let name = run(guest)?.name();
            ensure_eq!(name, if is_seen { "control register" } else { "HLT" }, "with the targets {values:x?}");
        }
        ensure!(set(guest, &[0; 5]).is_err(), "five targets");
        Ok(())
    })
}
