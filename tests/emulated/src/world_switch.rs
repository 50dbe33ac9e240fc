//! The world switch: what the host has in its registers, and what the guest has, is the same after exits.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use x86_virt::{
    ControlRegister, Cr4, ExitKind, MsrAccess, Processor, StatePolicy, SwitchedMsr, Vcpu, VcpuConfig, Vendor,
};

use crate::bench::Bench;
use crate::code;
use crate::feature::{Feature, has};
use crate::guest::{Guest, Mode};
use crate::harness::{Outcome, ensure, ensure_eq, fail};
use crate::probe::{self, Kept};
use crate::registers::{Marked, capture};

const EXITS: u64 = 10_000;

/// How many exits a processor makes: all share them, since the emulators execute one processor after the other.
pub(crate) fn exits() -> u64 {
    EXITS / u64::try_from(machine::processors()).unwrap_or(1)
}

/// RFLAGS that are the caller's own: IF, DF, IOPL, AC, ID.
const FLAGS: u64 = 1 << 9 | 1 << 10 | 3 << 12 | 1 << 18 | 1 << 21;
const IF: u64 = 1 << 9;
const DF: u64 = 1 << 10;

/// The host's registers are the same after 10,000 exits of a guest that changes all of its own, and so are the guest's.
pub(crate) fn registers_survive(bench: &Bench) -> Outcome {
    survive(bench, &VcpuConfig::new())
}

/// The same with MSRs of the guest that stay loaded: the host's are back when the virtual processor is gone.
#[expect(unsafe_code, reason = "promises not to use the MSRs")]
pub(crate) fn registers_survive_with_resident_state(bench: &Bench) -> Outcome {
    // SAFETY: the tests use no SWAPGS and no SYSCALL, and `Guest` is dropped.
    let config = unsafe { VcpuConfig::new().with_resident_state() };
    survive(bench, &config)
}

/// The same with the guest's FS, GS, LDTR and TR: the host's are back when it asks for them, too.
#[expect(unsafe_code, reason = "promises not to use the registers")]
pub(crate) fn registers_survive_with_resident_segments(bench: &Bench) -> Outcome {
    // SAFETY: as above; the tests use neither FS, GS and LDTR nor what SYSENTER needs, take no exception on another stack, and wait for
    // nothing between two runs.
    let config = unsafe { VcpuConfig::new().with_resident_segments() };
    survive(bench, &config)
}

/// What stays loaded with resident state.
const RESIDENT: [&str; 5] = ["STAR", "LSTAR", "CSTAR", "SFMASK", "KERNEL_GS_BASE"];
/// What else does with resident segments, on SVM. Interrupts need TR, which the host has back for them.
const RESIDENT_SEGMENTS: [&str; 10] = [
    "SYSENTER_CS",
    "SYSENTER_ESP",
    "SYSENTER_EIP",
    "FS_BASE",
    "GS_BASE",
    "FS",
    "GS",
    "LDTR",
    "limit of a segment in the LDT",
    "TR",
];

/// What the host has in its registers while a guest of this configuration is loaded: what is the guest's is left out.
pub(crate) fn own_registers(config: &VcpuConfig) -> Vec<(&'static str, u64)> {
    let is_guests = |name: &str| match config.state() {
        StatePolicy::Switched => false,
        StatePolicy::Resident => RESIDENT.contains(&name),
        StatePolicy::ResidentSegments => {
            RESIDENT.contains(&name)
                || Processor::detect().vendor() == Some(Vendor::Amd) && RESIDENT_SEGMENTS.contains(&name)
        }
    };
    capture().into_iter().filter(|(name, _)| !is_guests(name)).collect()
}

fn survive(bench: &Bench, config: &VcpuConfig) -> Outcome {
    let marked = Marked::new();
    let before = capture();
    let outcome = bench.with_guest(Mode::Long, code::world_switch(), config, |guest| {
        prepare(guest)?;
        guest.vcpu.set_breakpoints(GUEST_BREAKPOINTS)?;
        let (all, expected) = (capture(), own_registers(config));
        let exits = exits();
        for round in 0..10 {
            let values = [kept(2 * round), kept(2 * round + 1)];
            for exit in 0..exits / 20 {
                for (number, before) in (2 * exit..).zip(&values) {
                    let _kind = switch(guest, before, number)?;
                }
            }
            let changed = differences(&expected, &own_registers(config));
            ensure!(changed.is_empty(), "after {} exits, the host has {changed}", (round + 1) * exits / 10);
            // Every other time, what the guest's registers are is asked while they are loaded.
            if round % 2 == 1 {
                guest.vcpu.settle();
                let changed = differences(&all, &capture());
                ensure!(
                    changed.is_empty(),
                    "after {} exits, the host that asks has {changed}",
                    (round + 1) * exits / 10
                );
            }
            for (msr, value) in own_msrs() {
                ensure_eq!(guest.vcpu.msr(msr), value, "{msr:?} of the guest");
            }
        }
        ensure_eq!(guest.vcpu.breakpoints(), GUEST_BREAKPOINTS, "DR0 to DR3 of the guest");
        ensure_eq!(guest.vcpu.control(ControlRegister::Cr2), 0x5a5a_5a5a_1234_5678, "CR2 of the guest");
        ensure_eq!(guest.vcpu.gdtr().limit, 0x4321, "GDTR limit of the guest");
        ensure_eq!(guest.vcpu.idtr().base, 0x4567_89ab_cdef, "IDTR base of the guest");
        Ok(())
    });
    let changed = differences(&before, &capture());
    drop(marked);
    outcome?;
    ensure!(changed.is_empty(), "after the guest is gone, the host has {changed}");
    Ok(())
}

/// The registers whose values differ.
pub(crate) fn differences(before: &[(&str, u64)], now: &[(&str, u64)]) -> String {
    let pairs = before.iter().zip(now).filter(|((_, before), (_, now))| before != now);
    let texts: Vec<_> = pairs.map(|((name, before), (_, now))| format!("{name} = {now:#x}, not {before:#x}")).collect();
    texts.join("; ")
}

/// Addresses that the guest does not execute.
const GUEST_BREAKPOINTS: [u64; 4] = [0x7000_0000, 0x7100_0000, 0x7200_0000, 0x7300_0000];

/// What the guest writes to its MSRs, as they are after SWAPGS. The last is left out where the guest has no PAT of its own.
const GUEST_MSRS: [(SwitchedMsr, u64); 11] = [
    (SwitchedMsr::SysenterCs, 0x5678),
    (SwitchedMsr::SysenterEsp, 0x1111_2222_3333),
    (SwitchedMsr::SysenterEip, 0xffff_8888_2222_3333),
    (SwitchedMsr::Star, 0x1122_3344_5566_7788),
    (SwitchedMsr::Lstar, 0xffff_9999_2222_3333),
    (SwitchedMsr::Cstar, 0x3333_4444_5555),
    (SwitchedMsr::Sfmask, 0x4_7700),
    (SwitchedMsr::FsBase, 0x4444_5555_6666),
    (SwitchedMsr::GsBase, 0x6666_7777_8888),
    (SwitchedMsr::KernelGsBase, 0xffff_aaaa_5555_6666),
    (SwitchedMsr::Pat, 0x0001_0406_0001_0406),
];

fn own_msrs() -> impl Iterator<Item = (SwitchedMsr, u64)> {
    GUEST_MSRS.into_iter().filter(|(msr, _)| *msr != SwitchedMsr::Pat || has(Feature::GuestPat))
}

/// Lets the guest change what it can.
pub(crate) fn prepare(guest: &mut Guest<'_, '_>) -> Outcome {
    // OSFXSR and OSXMMEXCPT.
    let mut state = guest.vcpu.state();
    let has_avx = has(Feature::Avx);
    state.cr4 = Cr4::from(state.cr4.into_bits() | 3 << 9).with_osxsave(has(Feature::Xsave));
    state.gprs.r14 = u64::from(has_avx) | u64::try_from(own_msrs().count())? << 8;
    guest.vcpu.set_state(&state)?;
    if has(Feature::Xsave) {
        guest.vcpu.set_xcr0(if has_avx { 7 } else { 3 })?;
    }
    for (msr, _) in own_msrs() {
        guest.vcpu.pass_msr(msr, MsrAccess::ReadWrite);
    }
    Ok(())
}

/// One exit of the guest, with `before` in the registers that the call must leave.
pub(crate) fn switch(guest: &mut Guest<'_, '_>, before: &Kept, number: u64) -> Outcome<ExitKind> {
    // A breakpoint makes the library exchange DR0 to DR3 too.
    guest.vcpu.set_dr7(0x400 | number & 1);
    let mut result = None;
    let after = probe::call(before, || result = Some(guest.vcpu.run()));
    let Some(exit) = result else { fail!("the call did not happen") };
    ensure_eq!(after.gprs, before.gprs, "registers of the caller");
    ensure_eq!(after.rflags & FLAGS, before.rflags & FLAGS, "RFLAGS of the caller");
    ensure!(after.x87.to_bits() == before.x87.to_bits(), "x87 stack of the host: {}", after.x87);
    ensure_eq!(after.x87_control & 0xffff, before.x87_control, "x87 control word of the host");
    ensure_eq!(after.mxcsr & !0x3f, before.mxcsr, "MXCSR of the host");
    // Where there is no YMM, the upper halves of `after` are those of `before`.
    ensure!(after.vectors == before.vectors, "XMM8 to XMM15 or YMM8 to YMM15 of the host: {:x?}", after.vectors);
    let kind = exit?.kind;
    match kind {
        ExitKind::Cpuid => guest.vcpu.skip_instruction()?,
        ExitKind::HostInterrupt | ExitKind::HostNmi => {}
        ExitKind::Io(_) => {
            let gprs = guest.vcpu.gprs();
            fail!("check {} of the guest failed, exit {number}, RCX {:#x}", gprs.rax & 0xff, gprs.rcx)
        }
        kind => fail!("{kind:x?} at {:#x}", guest.vcpu.rip()),
    }
    Ok(kind)
}

/// What the host has in its registers at the exit with this number. Every other time, interrupts are enabled.
pub(crate) fn kept(number: u64) -> Kept {
    let rflags = 2 | FLAGS & !DF & if number.is_multiple_of(2) { !0 } else { !IF };
    Kept {
        gprs: [1, 2, 3, 4, 5, 6].map(|register| number << 32 | register),
        rflags,
        x87: 3.25,
        vectors: [1, 2, 3, 4, 5, 6, 7, 8].map(|register| [number, register, !number, !register]),
        // Round up, all exceptions masked.
        mxcsr: 0x5f80,
        x87_control: 0x0b7f,
    }
}
