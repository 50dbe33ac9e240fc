//! Exits of instructions: the kind, the operands and the address of the next instruction, in three modes.

use alloc::format;
use alloc::vec::Vec;

use x86_virt::{Cr4, ExitKind, Gprs, Intercepts, Processor, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::exit_table::{Case, LONG, NUMBERS, PROTECTED, REAL};
use crate::feature::{Feature, has};
use crate::guest::{CODE, Guest, Mode};
use crate::harness::{Outcome, ensure, ensure_eq};

/// Everything that can be intercepted on request.
const ALL: Intercepts = Intercepts::new()
    .with_hlt(true)
    .with_pause(true)
    .with_rdtsc(true)
    .with_cr3_write(true)
    .with_cr3_read(true)
    .with_invlpg(true)
    .with_wbinvd(true);

/// In 64-bit mode.
pub(crate) fn long_mode(bench: &Bench) -> Outcome {
    run(bench, Mode::Long, LONG)
}

/// In 32-bit protected mode.
pub(crate) fn protected_mode(bench: &Bench) -> Outcome {
    run(bench, Mode::Protected, PROTECTED)
}

/// In real mode.
pub(crate) fn real_mode(bench: &Bench) -> Outcome {
    run(bench, Mode::Real, REAL)
}

fn run(bench: &Bench, mode: Mode, cases: &[Case]) -> Outcome {
    let vendor = Processor::detect().vendor();
    let config = VcpuConfig::new().with_intercepts(ALL);
    bench.with_guest(mode, &[], &config, |guest| {
        let is_for_here = |case: &&Case| {
            case.vendor.is_none_or(|wanted| vendor == Some(wanted)) && case.needs.iter().all(|feature| has(*feature))
        };
        let mut failures = Vec::new();
        for case in cases.iter().filter(is_for_here) {
            if let Err(why) = check(guest, mode, case) {
                failures.push(format!("{}: {why}", case.name));
            }
        }
        ensure!(failures.is_empty(), "{}", failures.join("; "));
        Ok(())
    })
}

fn check(guest: &mut Guest<'_, '_>, mode: Mode, case: &Case) -> Outcome {
    let mut state = mode.state();
    state.gprs = Gprs { rax: case.rax, rcx: case.rcx, ..NUMBERS };
    if case.needs.contains(&Feature::Xsave) {
        state.cr4 = Cr4::from(state.cr4.into_bits()).with_osxsave(true);
    }
    guest.vcpu.set_state(&state)?;
    guest.ram.write(CODE, &[0x90; 16])?;
    guest.ram.write(CODE, case.code)?;

    guest.expect(case.kind)?;
    ensure_eq!(guest.vcpu.rip(), mode.start(), "RIP");
    ensure_eq!(*guest.vcpu.gprs(), state.gprs, "registers");
    let length = u64::try_from(case.code.len())?;
    ensure_eq!(guest.vcpu.next_rip()?, mode.start() + length, "RIP of the next instruction");
    guest.vcpu.skip_instruction()?;
    ensure_eq!(guest.vcpu.rip(), mode.start() + length, "RIP after skipping");
    Ok(())
}

/// A guest whose instruction ends right at the end of the first 64 KiB of a 16-bit segment, and of the first 4 GiB of a
/// 32-bit one.
pub(crate) fn next_rip_at_the_end_of_a_segment(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Real, &[], &VcpuConfig::new(), |guest| {
        // CPUID in the last two bytes.
        guest.ram.write(CODE_END, &[0x0f, 0xa2])?;
        let mut state = Mode::Real.state();
        state.rip = 0xfffe;
        guest.vcpu.set_state(&state)?;
        guest.expect(ExitKind::Cpuid)?;
        // The segment ends there, and a processor does not wrap EIP to 16 bits.
        ensure_eq!(guest.vcpu.next_rip()?, 0x1_0000, "RIP behind the end of the segment");
        Ok(())
    })?;
    bench.with_guest(Mode::Protected, &[], &VcpuConfig::new(), |guest| {
        // With this base, the last two bytes of the segment are at CODE.
        let mut state = Mode::Protected.state();
        state.rip = 0xffff_fffe;
        state.cs.base = CODE + 2;
        guest.ram.write(CODE, &[0x0f, 0xa2])?;
        guest.vcpu.set_state(&state)?;
        guest.expect(ExitKind::Cpuid)?;
        ensure_eq!(guest.vcpu.next_rip()?, 0, "RIP behind 4 GiB");
        Ok(())
    })
}

/// Guest-physical address of the last two bytes of the segment of [`Mode::Real`].
const CODE_END: u64 = CODE + 0xfffe;
