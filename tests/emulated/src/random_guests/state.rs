//! States of virtual processors made by chance.

use x86_virt::{
    Activity, CpuState, Cr0, Cr4, DescriptorTable, Efer, Event, Exception, GlobalInterrupts, Gpr, InterruptRequest,
    PendingDebugExceptions, Rflags, Segment, SegmentAccessRights, SegmentRegister, SwitchedMsr, VcpuState,
};

use super::memory::{
    CODE, DATA, DIRECTORY, GDT, IDT, IDT_OF_32_BIT_CODE, PAE_TABLES, STACK, TABLES, TASK, USER_CODE, USER_CODE_64,
    USER_DATA,
};
use crate::differential::Random;

/// A state that every processor takes, in one of ten modes, with general registers made by chance.
pub(super) fn base(random: &mut Random) -> VcpuState {
    let user = SegmentAccessRights::DATA32.with_dpl(3);
    let mut cpu = match random.below(10) {
        0 => CpuState { rsp: STACK, ..CpuState::real_mode(0x800, 0) },
        1 => protected(),
        2 => CpuState { cs: Segment::flat(0x20, SegmentAccessRights::CODE16), ..protected() },
        3 => with_user_segments(protected(), Segment::flat(USER_CODE, SegmentAccessRights::CODE32.with_dpl(3)), user),
        4 => {
            let state = protected();
            CpuState { cr0: state.cr0.with_pg(true), cr3: DIRECTORY, cr4: Cr4::new().with_pse(true), ..state }
        }
        5 => {
            let state = CpuState::pae_mode(0x8000, 0xaf00, PAE_TABLES);
            CpuState { cs: Segment::flat(0x18, SegmentAccessRights::CODE32), ..with_tables(state, IDT_OF_32_BIT_CODE) }
        }
        6 => virtual_8086(),
        7 => CpuState { cs: Segment::flat(0x18, SegmentAccessRights::CODE32), ..long() },
        8 => with_user_segments(long(), Segment::flat(USER_CODE_64, SegmentAccessRights::CODE64.with_dpl(3)), user),
        _ => long(),
    };
    for register in Gpr::ALL {
        let value = number(random);
        if let Some(slot) = cpu.gprs.get_mut(register) {
            *slot = value;
        }
    }
    if random.below(3) == 0 {
        cpu.rflags = cpu.rflags.with_if(true);
    }
    cpu.cr4 = cpu.cr4.with_osfxsr(random.below(2) == 0).with_osxmmexcpt(random.below(2) == 0);
    let mut state = VcpuState::new(cpu);
    state.msrs.set(SwitchedMsr::Star, 0x0028_0008_0000_0000);
    state.msrs.set(SwitchedMsr::Lstar, CODE);
    state
}

fn with_tables(state: CpuState, idt: u64) -> CpuState {
    CpuState {
        gdtr: DescriptorTable { base: GDT, limit: 0x6f },
        idtr: DescriptorTable { base: idt, limit: 0xfff },
        tr: Segment { selector: TASK, rights: SegmentAccessRights::BUSY_TSS, limit: 0x67, base: DATA },
        ..state
    }
}

fn protected() -> CpuState {
    let state = CpuState::protected_mode(0x8000, 0xaf00);
    CpuState { cs: Segment::flat(0x18, SegmentAccessRights::CODE32), ..with_tables(state, IDT_OF_32_BIT_CODE) }
}

fn long() -> CpuState {
    let state = CpuState::long_mode(CODE, STACK, TABLES);
    CpuState { efer: Efer::new().with_lme(true).with_lma(true).with_sce(true), ..with_tables(state, IDT) }
}

fn with_user_segments(state: CpuState, cs: Segment, rights: SegmentAccessRights) -> CpuState {
    let data = Segment::flat(USER_DATA, rights);
    CpuState { cs, ss: data, ds: data, es: data, fs: data, gs: data, ..state }
}

fn virtual_8086() -> CpuState {
    let segment = |selector| Segment::real_mode(selector, SegmentAccessRights::DATA16.with_dpl(3));
    let state = protected();
    CpuState {
        rip: 0,
        rflags: state.rflags.with_vm(true),
        cs: segment(0x800),
        ss: segment(0),
        ds: segment(0),
        es: segment(0xb00),
        fs: segment(0),
        gs: segment(0xffff),
        ..state
    }
}

/// An address in memory, a boundary, a small number, or any.
pub(super) fn number(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.below(0x1_1000),
        1 => random.below(300),
        2 => random.word(0),
        _ => random.word(CODE),
    }
}

/// Changes something of `state`, so that not every processor takes it.
pub(super) fn change(state: &mut VcpuState, random: &mut Random) {
    let cpu = &mut state.cpu;
    match random.below(26) {
        0 | 1 => cpu.cr0 = Cr0::from(bit(cpu.cr0.into_bits(), 32, random)),
        2 | 3 => cpu.cr4 = Cr4::from(bit(cpu.cr4.into_bits(), 25, random)),
        4 => cpu.efer = Efer::from(bit(cpu.efer.into_bits(), 16, random)),
        5 => cpu.cr3 = random.word(cpu.cr3),
        6..=8 => cpu.rflags = Rflags::from(bit(cpu.rflags.into_bits(), 22, random)),
        9..=11 => segment(cpu, random),
        12 => cpu.gdtr = table(cpu.gdtr, random),
        13 => cpu.idtr = table(cpu.idtr, random),
        14 => cpu.rip = random.word(CODE),
        15 => cpu.rsp = random.word(STACK),
        16 => cpu.dr7 = 0x400 | random.next() & 0xffff_23ff,
        17 => {
            state.breakpoints = [CODE + random.below(16), random.below(0x1_0000), STACK - 8, number(random)];
            cpu.dr7 = 0x400 | random.below(256) | random.next() & 0xffff_0000;
        }
        18 => {
            state.cr8 = random.below(17);
            state.xcr0 = random.word(1);
        }
        19 => {
            let msr = random.index(SwitchedMsr::ALL.len());
            for msr in SwitchedMsr::ALL.iter().skip(msr).take(1) {
                let _is_held = state.msrs.set(*msr, number(random));
            }
        }
        20 => state.event = Some(event(random)),
        21 => {
            state.nmi_requested = random.below(2) == 0;
            state.interrupt_requested = Some(request(random));
        }
        22 => {
            state.shadow = random.below(2) == 0;
            state.nmi_blocked = random.below(2) == 0;
            if random.below(8) == 0 {
                state.global_interrupts = GlobalInterrupts::Disabled;
            }
        }
        23 => state.pending_debug = PendingDebugExceptions::from_bits(random.next() & 0x5_ffff),
        24 => state.activity = activity(random),
        _ => state.dr6 = random.word(0xffff_0ff0),
    }
}

fn bit(value: u64, bits: u64, random: &mut Random) -> u64 {
    if random.below(8) == 0 { random.word(value) } else { value ^ 1 << random.below(bits) }
}

fn segment(cpu: &mut CpuState, random: &mut Random) {
    let register = SegmentRegister::ALL.into_iter().nth(random.index(8)).unwrap_or(SegmentRegister::Es);
    let segment = cpu.segment_mut(register);
    *segment = any_segment(*segment, random);
}

pub(super) fn any_segment(segment: Segment, random: &mut Random) -> Segment {
    let [a, b, c, d, ..] = random.next().to_le_bytes();
    match random.below(5) {
        0 => Segment { selector: u16::from_le_bytes([a, b]), ..segment },
        1 => Segment { base: random.word(segment.base), ..segment },
        2 => Segment { limit: u32::from_le_bytes([a, b, c, d]), ..segment },
        3 => {
            let rights = segment.rights.into_bits() ^ 1 << (a % 17);
            Segment { rights: SegmentAccessRights::from_bits(rights), ..segment }
        }
        _ => Segment { rights: SegmentAccessRights::from_bits(u32::from_le_bytes([a, b, c & 1, 0])), ..segment },
    }
}

fn table(table: DescriptorTable, random: &mut Random) -> DescriptorTable {
    let [a, b, ..] = random.next().to_le_bytes();
    if random.below(2) == 0 {
        DescriptorTable { limit: u16::from_le_bytes([a, b]), ..table }
    } else {
        DescriptorTable { base: random.word(table.base), ..table }
    }
}

pub(super) fn activity(random: &mut Random) -> Activity {
    random.one_of(&[Activity::Running, Activity::Halted, Activity::Halted, Activity::Shutdown, Activity::WaitForSipi])
}

pub(super) fn request(random: &mut Random) -> InterruptRequest {
    let [vector, is_fixed, ..] = random.next().to_le_bytes();
    if is_fixed & 1 == 0 { InterruptRequest::external(vector) } else { InterruptRequest::fixed(vector) }
}

/// Any exception, also such as there are not.
pub(super) fn exception(random: &mut Random) -> Exception {
    let [vector, code, has_code, ..] = random.next().to_le_bytes();
    let vector = vector % 33;
    let expected = Exception::pushes_error_code(vector);
    let has_code = if has_code < 32 { !expected } else { expected };
    Exception { vector, error_code: has_code.then(|| code.into()) }
}

pub(super) fn event(random: &mut Random) -> Event {
    let [vector, length, ..] = random.next().to_le_bytes();
    let length = length % 17;
    match random.below(8) {
        0 => Event::Interrupt(vector),
        1 => Event::Nmi,
        2 => Event::SoftwareInterrupt { vector, length },
        3 => Event::SoftwareException { vector: 3 + vector % 2, length },
        4 => Event::PrivilegedSoftwareException { length },
        _ => Event::Exception(exception(random)),
    }
}
