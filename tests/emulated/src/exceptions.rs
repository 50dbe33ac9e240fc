//! Exceptions that a guest raises: each ends the run if it is intercepted, with its error code and address.

use alloc::format;
use alloc::vec::Vec;

use x86_virt::{
    CpuState, DescriptorTable, Exception, ExitKind, Gprs, GuestRam, Gva, Segment, SegmentAccessRights, Vcpu, VcpuConfig,
};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, DATA, GDT, Mode, STACK};
use crate::harness::{Outcome, ensure, ensure_eq};

/// An exception and what raises it.
struct Case {
    name: &'static str,
    vector: u8,
    error_code: Option<u32>,
    address: Option<u64>,
    mode: Mode,
    code: &'static [u8],
    /// Offset of RIP in the code when the exception comes.
    offset: u64,
    /// What the processor needs.
    needs: Option<Feature>,
    /// What the code needs.
    prepare: fn(&mut CpuState, &GuestRam<'_>) -> Outcome,
}

const fn case(name: &'static str, vector: u8, mode: Mode, code: &'static [u8]) -> Case {
    Case { name, vector, error_code: None, address: None, mode, code, offset: 0, needs: None, prepare: |_, _| Ok(()) }
}

impl Case {
    const fn error_code(self, error_code: u32) -> Self {
        Self { error_code: Some(error_code), ..self }
    }

    const fn address(self, address: u64) -> Self {
        Self { address: Some(address), ..self }
    }

    const fn at(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// For those that not every emulator raises as the manual says.
    const fn exact(self) -> Self {
        Self { needs: Some(Feature::ExactExceptions), ..self }
    }

    const fn prepare(self, prepare: fn(&mut CpuState, &GuestRam<'_>) -> Outcome) -> Self {
        Self { prepare, ..self }
    }
}

/// Where nothing is mapped in the guest's own tables.
const UNMAPPED: u64 = 0x4000_0000;
const NOT_CANONICAL: u64 = 0x0000_8000_0000_0000;
/// MXCSR after reset, with division by zero unmasked.
const MXCSR: u32 = 0x1d80;
/// The x87 control word after FNINIT, with division by zero unmasked.
const X87_CONTROL: u16 = 0x037b;
/// An IDT and a task-state segment for 32-bit mode.
const IDT32: u64 = 0x1_2000;
const TSS32: u64 = 0x1_3000;

#[rustfmt::skip]
const CASES: &[Case] = &[
    // XOR ECX, ECX; DIV ECX.
    case("#DE", 0, Mode::Long, &[0x31, 0xc9, 0xf7, 0xf1]).at(2),
    // NOP; NOP, in single step.
    case("#DB", 1, Mode::Long, &[0x90, 0x90]).at(1).prepare(|state, _| {
        state.rflags.set_tf(true);
        Ok(())
    }),
    case("#BP", 3, Mode::Long, &[0xcc]).exact(),
    // MOV AL, 7FH; ADD AL, 1; INTO.
    case("#OF", 4, Mode::Protected, &[0xb0, 0x7f, 0x04, 0x01, 0xce]).exact().at(4),
    // BOUND EAX, [DATA].
    case("#BR", 5, Mode::Protected, &[0x62, 0x05, 0x00, 0x00, 0x01, 0x00]).prepare(|state, ram| {
        state.gprs.rax = 5;
        Ok(ram.write(DATA, &[1, 0, 0, 0, 2, 0, 0, 0])?)
    }),
    case("#UD", 6, Mode::Long, &[0x0f, 0x0b]),
    // FNOP.
    case("#NM", 7, Mode::Long, &[0xd9, 0xd0]).prepare(|state, _| {
        state.cr0.set_ts(true);
        Ok(())
    }),
    // UD2, with no descriptor in the IDT for it or for the #GP that follows.
    case("#DF", 8, Mode::Long, &[0x0f, 0x0b]).exact().error_code(0).prepare(|state, _| {
        state.idtr.limit = 0;
        Ok(())
    }),
    // INT 20H from privilege level 3, with a null selector for the stack of level 0.
    case("#TS", 10, Mode::Protected, &[0xcd, 0x20]).exact().error_code(0).prepare(user_with_null_stack),
    // MOV DS, AX with a descriptor that is not present.
    case("#NP", 11, Mode::Protected, &[0x8e, 0xd8]).error_code(0x20).prepare(|state, ram| {
        state.gprs.rax = 0x20;
        state.gdtr = DescriptorTable { base: GDT, limit: 0x27 };
        Ok(ram.write(GDT + 0x20, &0x00cf_1300_0000_ffff_u64.to_le_bytes())?)
    }),
    // MOV RAX, [RBP].
    case("#SS", 12, Mode::Long, &[0x48, 0x8b, 0x45, 0x00]).exact().error_code(0).prepare(|state, _| {
        state.gprs.rbp = NOT_CANONICAL;
        Ok(())
    }),
    // MOV DS, AX with a selector beyond the GDT.
    case("#GP", 13, Mode::Long, &[0x8e, 0xd8]).error_code(0x28).prepare(|state, _| {
        state.gprs.rax = 0x28;
        Ok(())
    }),
    // MOV RAX, [RSI].
    case("#PF", 14, Mode::Long, &[0x48, 0x8b, 0x06]).error_code(0).address(UNMAPPED).prepare(|state, _| {
        state.gprs.rsi = UNMAPPED;
        Ok(())
    }),
    // FNINIT; FLDCW [RSI]; FLD1; FLDZ; FDIVP; FWAIT.
    case("#MF", 16, Mode::Long, &[0xdb, 0xe3, 0xd9, 0x2e, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x9b]).at(10).prepare(|state, ram| {
        state.gprs.rsi = DATA;
        Ok(ram.write(DATA, &X87_CONTROL.to_le_bytes())?)
    }),
    // MOV EAX, [DATA + 1] at privilege level 3.
    case("#AC", 17, Mode::Protected, &[0xa1, 0x01, 0x00, 0x01, 0x00]).exact().error_code(0).prepare(|state, _| {
        make_user(state);
        state.cr0.set_am(true);
        state.rflags.set_ac(true);
        Ok(())
    }),
    // LDMXCSR [RSI]; MOVUPS XMM1, [RSI + 16]; XORPS XMM0, XMM0; DIVPS XMM1, XMM0.
    case("#XM", 19, Mode::Long, &[0x0f, 0xae, 0x16, 0x0f, 0x10, 0x4e, 0x10, 0x0f, 0x57, 0xc0, 0x0f, 0x5e, 0xc8]).exact().at(10).prepare(|state, ram| {
        state.gprs.rsi = DATA;
        state.cr4.set_osfxsr(true);
        state.cr4.set_osxmmexcpt(true);
        for offset in [16, 20, 24, 28] {
            ram.write(DATA + offset, &1_f32.to_le_bytes())?;
        }
        Ok(ram.write(DATA, &MXCSR.to_le_bytes())?)
    }),
];

/// Privilege level 3 with flat segments.
fn make_user(state: &mut CpuState) {
    let data = Segment::flat(16 | 3, SegmentAccessRights::DATA32.with_dpl(3));
    state.cs = Segment::flat(24 | 3, SegmentAccessRights::CODE32.with_dpl(3));
    (state.ds, state.es, state.ss, state.fs, state.gs) = (data, data, data, data, data);
}

/// Privilege level 3, an IDT with a gate for vector 20H to level 0, and a task-state segment whose SS0 is null.
fn user_with_null_stack(state: &mut CpuState, ram: &GuestRam<'_>) -> Outcome {
    make_user(state);
    let gate = 0x0000_ee00_0018_0000 | CODE;
    ram.write(IDT32 + 8 * 0x20, &gate.to_le_bytes())?;
    ram.write(TSS32, &[0; 0x68])?;
    ram.write(TSS32 + 4, &u32::try_from(STACK)?.to_le_bytes())?;
    state.gdtr = DescriptorTable { base: GDT, limit: 0x1f };
    state.idtr = DescriptorTable { base: IDT32, limit: 0x107 };
    state.tr = Segment { selector: 0x20, base: TSS32, limit: 0x67, rights: SegmentAccessRights::BUSY_TSS };
    Ok(())
}

/// Every one that the processor can be made to raise.
pub(crate) fn of_the_guest(bench: &Bench) -> Outcome {
    let mut failures = Vec::new();
    for case in CASES.iter().filter(|case| case.needs.is_none_or(has)) {
        if let Err(why) = check(bench, case) {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

fn check(bench: &Bench, case: &Case) -> Outcome {
    let config = VcpuConfig::new().with_exceptions(1 << case.vector);
    bench.with_guest(case.mode, case.code, &config, |guest| {
        let mut state = case.mode.state();
        state.gprs = Gprs::default();
        (case.prepare)(&mut state, &guest.ram)?;
        guest.vcpu.set_state(&state)?;
        let exception = Exception { vector: case.vector, error_code: case.error_code };
        guest.expect(ExitKind::Exception { exception, address: case.address.map(Gva::new) })?;
        ensure_eq!(guest.vcpu.rip(), CODE + case.offset, "RIP");
        Ok(())
    })
}
