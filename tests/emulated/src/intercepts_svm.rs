//! The intercepts of SVM, one by one: the guest executes what is intercepted, and the exit has its code and operands.
#![expect(unsafe_code, reason = "intercepts more than the library does")]

use alloc::format;
use alloc::vec::Vec;

use x86_virt::svm::vmcb::{Field, Owned, control};
use x86_virt::svm::{ExitCode, SvmExit, SvmVcpu};
use x86_virt::{AnyVcpu, CpuState, DescriptorTable, ExitKind, Gpr, Gprs, Gva, Operand, Reason, Vcpu, VcpuConfig};

use crate::bench::{Bench, Frames};
use crate::feature::{Feature, has};
use crate::guest::{CODE, DATA, GDT, Guest, Mode, STACK};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

/// An instruction and the exit that it must make.
struct Case {
    code: ExitCode,
    bytes: &'static [u8],
    mode: Mode,
    info1: u64,
    info2: u64,
    needs: Option<Feature>,
    prepare: fn(&mut CpuState, &mut Guest<'_, '_>) -> Outcome,
}

const fn case(code: ExitCode, bytes: &'static [u8]) -> Case {
    Case { code, bytes, mode: Mode::Long, info1: 0, info2: 0, needs: None, prepare: |_, _| Ok(()) }
}

impl Case {
    const fn info(self, info1: u64, info2: u64) -> Self {
        Self { info1, info2, ..self }
    }

    const fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    const fn needs(self, feature: Feature) -> Self {
        Self { needs: Some(feature), ..self }
    }

    const fn prepare(self, prepare: fn(&mut CpuState, &mut Guest<'_, '_>) -> Outcome) -> Self {
        Self { prepare, ..self }
    }
}

/// An available 32-bit task-state segment.
const TSS_SELECTOR: u64 = 0x20;
const TSS: u64 = 0x1_2000;

#[rustfmt::skip]
const CASES: &[Case] = &[
    case(ExitCode::CR0_READ, &[0x0f, 0x20, 0xc0]),
    case(ExitCode::CR2_READ, &[0x0f, 0x20, 0xd0]),
    case(ExitCode::CR3_READ, &[0x0f, 0x20, 0xd8]),
    case(ExitCode::CR4_READ, &[0x0f, 0x20, 0xe0]),
    case(ExitCode::CR8_READ, &[0x44, 0x0f, 0x20, 0xc0]),
    case(ExitCode::CR0_WRITE, &[0x0f, 0x22, 0xc0]).prepare(current_cr0),
    case(ExitCode::CR2_WRITE, &[0x0f, 0x22, 0xd0]),
    case(ExitCode::CR3_WRITE, &[0x0f, 0x22, 0xda]),
    case(ExitCode::CR4_WRITE, &[0x0f, 0x22, 0xe0]).prepare(current_cr4),
    case(ExitCode::CR8_WRITE, &[0x44, 0x0f, 0x22, 0xc0]),
    case(ExitCode::DR0_READ, &[0x0f, 0x21, 0xc0]),
    case(ExitCode::DR1_READ, &[0x0f, 0x21, 0xc8]),
    case(ExitCode::DR2_READ, &[0x0f, 0x21, 0xd0]),
    case(ExitCode::DR3_READ, &[0x0f, 0x21, 0xd8]),
    case(ExitCode::DR4_READ, &[0x0f, 0x21, 0xe0]),
    case(ExitCode::DR5_READ, &[0x0f, 0x21, 0xe8]),
    case(ExitCode::DR6_READ, &[0x0f, 0x21, 0xf0]),
    case(ExitCode::DR7_READ, &[0x0f, 0x21, 0xf8]),
    case(ExitCode::DR0_WRITE, &[0x0f, 0x23, 0xc0]),
    case(ExitCode::DR1_WRITE, &[0x0f, 0x23, 0xc8]),
    case(ExitCode::DR2_WRITE, &[0x0f, 0x23, 0xd0]),
    case(ExitCode::DR3_WRITE, &[0x0f, 0x23, 0xd8]),
    case(ExitCode::DR4_WRITE, &[0x0f, 0x23, 0xe0]),
    case(ExitCode::DR5_WRITE, &[0x0f, 0x23, 0xe8]),
    case(ExitCode::DR6_WRITE, &[0x0f, 0x23, 0xf0]),
    case(ExitCode::DR7_WRITE, &[0x0f, 0x23, 0xf8]),
    case(ExitCode::CR0_SEL_WRITE, &[0x0f, 0x22, 0xc0]).prepare(without_cr0_write),
    case(ExitCode::IDTR_READ, &[0x0f, 0x01, 0x0e]),
    case(ExitCode::GDTR_READ, &[0x0f, 0x01, 0x06]),
    case(ExitCode::LDTR_READ, &[0x0f, 0x00, 0xc0]),
    case(ExitCode::TR_READ, &[0x0f, 0x00, 0xc8]),
    case(ExitCode::IDTR_WRITE, &[0x0f, 0x01, 0x1e]),
    case(ExitCode::GDTR_WRITE, &[0x0f, 0x01, 0x16]),
    case(ExitCode::LDTR_WRITE, &[0x0f, 0x00, 0xd0]),
    case(ExitCode::TR_WRITE, &[0x0f, 0x00, 0xd8]),
    case(ExitCode::RDTSC, &[0x0f, 0x31]),
    case(ExitCode::RDPMC, &[0x0f, 0x33]),
    case(ExitCode::PUSHF, &[0x9c]),
    case(ExitCode::POPF, &[0x9d]),
    case(ExitCode::CPUID, &[0x0f, 0xa2]),
    case(ExitCode::RSM, &[0x0f, 0xaa]).needs(Feature::RsmIntercept),
    case(ExitCode::IRET, &[0x48, 0xcf]),
    case(ExitCode::SWINT, &[0xcd, 0x21]),
    case(ExitCode::INVD, &[0x0f, 0x08]).needs(Feature::ExactExits),
    case(ExitCode::PAUSE, &[0xf3, 0x90]),
    case(ExitCode::HLT, &[0xf4]),
    case(ExitCode::INVLPG, &[0x0f, 0x01, 0x3e]),
    case(ExitCode::INVLPGA, &[0x0f, 0x01, 0xdf]),
    // IN AL, 60H: IN, 8 bits, port 60H, and the address size, which does not matter here. The next RIP is in EXITINFO2.
    case(ExitCode::IOIO, &[0xe4, 0x60]).info(0x60_0011, CODE + 2),
    case(ExitCode::MSR, &[0x0f, 0x32]).prepare(efer),
    case(ExitCode::MSR, &[0x0f, 0x30]).info(1, 0).prepare(efer),
    case(ExitCode::VMRUN, &[0x0f, 0x01, 0xd8]),
    case(ExitCode::VMMCALL, &[0x0f, 0x01, 0xd9]),
    case(ExitCode::VMLOAD, &[0x0f, 0x01, 0xda]),
    case(ExitCode::VMSAVE, &[0x0f, 0x01, 0xdb]),
    case(ExitCode::STGI, &[0x0f, 0x01, 0xdc]),
    case(ExitCode::CLGI, &[0x0f, 0x01, 0xdd]),
    case(ExitCode::SKINIT, &[0x0f, 0x01, 0xde]),
    case(ExitCode::RDTSCP, &[0x0f, 0x01, 0xf9]).needs(Feature::ExactExits),
    case(ExitCode::ICEBP, &[0xf1]).needs(Feature::ExactExits),
    case(ExitCode::WBINVD, &[0x0f, 0x09]),
    case(ExitCode::MONITOR, &[0x0f, 0x01, 0xc8]).needs(Feature::Monitor),
    case(ExitCode::MWAIT, &[0x0f, 0x01, 0xc9]).needs(Feature::Monitor),
    case(ExitCode::XSETBV, &[0x0f, 0x01, 0xd1]).needs(Feature::ExactExits).prepare(|state, _| {
        state.cr4.set_osxsave(true);
        Ok(())
    }),
    // UD2, with an empty IDT.
    case(ExitCode::SHUTDOWN, &[0x0f, 0x0b]).needs(Feature::GuestShutdown).prepare(|state, _| {
        state.idtr.limit = 0;
        Ok(())
    }),
    // JMP 20H:0, to a task-state segment.
    case(ExitCode::TASK_SWITCH, &[0xea, 0, 0, 0, 0, 0x20, 0]).needs(Feature::ExactExits).mode(Mode::Protected).info(TSS_SELECTOR, 1 << 38)
        .prepare(|state, guest| {
            guest.ram.write(GDT + TSS_SELECTOR, &(0x0000_8900_0000_0067 | TSS << 16).to_le_bytes())?;
            state.gdtr = DescriptorTable { base: GDT, limit: 0x27 };
            Ok(())
        }),
];

fn efer(state: &mut CpuState, _guest: &mut Guest<'_, '_>) -> Outcome {
    state.gprs.rcx = 0xc000_0080;
    Ok(())
}

fn current_cr0(state: &mut CpuState, _guest: &mut Guest<'_, '_>) -> Outcome {
    state.gprs.rax = state.cr0.into_bits();
    Ok(())
}

fn current_cr4(state: &mut CpuState, _guest: &mut Guest<'_, '_>) -> Outcome {
    state.gprs.rax = state.cr4.into_bits();
    Ok(())
}

/// A value that changes CR0.AM, and no intercept of all writes, which would come first.
fn without_cr0_write(state: &mut CpuState, guest: &mut Guest<'_, '_>) -> Outcome {
    state.gprs.rax = state.cr0.with_am(true).into_bits();
    let AnyVcpu::Svm(vcpu) = &mut guest.vcpu else { fail!("no SVM") };
    let writes = vcpu.read(control::INTERCEPT_CR_WRITE) & !1;
    // SAFETY: the guest ends the run before the write, since the selective intercept is set.
    unsafe { vcpu.write_owned(control::INTERCEPT_CR_WRITE, writes) };
    Ok(())
}

/// Every intercept with an instruction behind it.
pub(crate) fn of_instructions(bench: &Bench) -> Outcome {
    let mut failures = Vec::new();
    for case in CASES.iter().filter(|case| case.needs.is_none_or(has)) {
        if let Err(why) = check(bench, case) {
            failures.push(format!("{} {:02x?}: {why}", case.code, case.bytes));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

fn check(bench: &Bench, case: &Case) -> Outcome {
    bench.with_guest(case.mode, case.bytes, &VcpuConfig::new(), |guest| {
        let mut state = case.mode.state();
        state.gprs = Gprs { rsi: DATA, rdx: state.cr3, ..Gprs::default() };
        state.rsp = STACK;
        (case.prepare)(&mut state, guest)?;
        guest.vcpu.set_state(&state)?;
        let AnyVcpu::Svm(vcpu) = &mut guest.vcpu else { fail!("no SVM") };
        intercept(vcpu, case.code)?;
        let exit = guest.run()?;
        kind(exit.kind, case)?;
        let Reason::Svm(exit) = exit.reason else { fail!("no SVM: {}", exit.reason) };
        ensure_eq!(exit.code, case.code, "exit code at {:#x}", guest.vcpu.rip());
        ensure_eq!(guest.vcpu.rip(), case.mode.start(), "RIP");
        operands(exit, case)
    })
}

/// Each has a kind, with the operands that the bytes of the instruction have.
fn kind(kind: ExitKind, case: &Case) -> Outcome {
    let is_right = match kind {
        ExitKind::DescriptorTable(access) => {
            // SGDT, SIDT, LGDT and LIDT are here of memory at RSI, the others of AX.
            let is_memory = case.bytes.get(1) == Some(&1);
            let expected = if is_memory { Operand::Memory(Gva::new(DATA)) } else { Operand::Register(Gpr::Rax) };
            access.operand == expected
        }
        ExitKind::Invlpg(address) => address == Gva::new(DATA),
        ExitKind::SoftwareInterrupt(vector) => vector == 0x21,
        kind => kind != ExitKind::Vendor,
    };
    ensure!(is_right, "{kind:x?}");
    Ok(())
}

/// Compares what the manual defines for the exit.
fn operands(exit: SvmExit, case: &Case) -> Outcome {
    match case.code {
        ExitCode::IOIO => {
            let address_sizes = 7 << 7;
            ensure_eq!(exit.info1 & !address_sizes, case.info1, "EXITINFO1");
            ensure_eq!(exit.info2, case.info2, "EXITINFO2");
        }
        ExitCode::MSR | ExitCode::TASK_SWITCH => {
            ensure_eq!((exit.info1, exit.info2), (case.info1, case.info2), "EXITINFO1 and EXITINFO2");
        }
        // The others have information with decode assists only, or none.
        _ => {}
    }
    Ok(())
}

/// Sets the intercept of `code` besides those that are set.
fn intercept(vcpu: &mut SvmVcpu<'_, '_, 'static, Frames>, code: ExitCode) -> Outcome {
    let (word, bit) = (code.into_bits() / 32, code.into_bits() % 32);
    let half = 1_u16.checked_shl(u32::try_from(bit % 16)?).unwrap_or(0);
    let whole = 1_u32.checked_shl(u32::try_from(bit)?).unwrap_or(0);
    match (word, bit) {
        (0, 0..16) => set(vcpu, control::INTERCEPT_CR_READ, half),
        (0, _) => set(vcpu, control::INTERCEPT_CR_WRITE, half),
        (1, 0..16) => set(vcpu, control::INTERCEPT_DR_READ, half),
        (1, _) => set(vcpu, control::INTERCEPT_DR_WRITE, half),
        (2, _) => set(vcpu, control::INTERCEPT_EXCEPTIONS, whole),
        (3, _) => set(vcpu, control::INTERCEPT_MISC1, whole),
        (4, _) => set(vcpu, control::INTERCEPT_MISC2, whole),
        (5, _) => set(vcpu, control::INTERCEPT_MISC3, whole),
        _ => fail!("{code} is no intercept"),
    }
    Ok(())
}

fn set<T: Copy + core::ops::BitOr<Output = T>>(
    vcpu: &mut SvmVcpu<'_, '_, 'static, Frames>,
    field: Field<T, Owned>,
    bit: T,
) {
    let bits = vcpu.read(field) | bit;
    // SAFETY: more exits, not fewer.
    unsafe { vcpu.write_owned(field, bits) };
}
