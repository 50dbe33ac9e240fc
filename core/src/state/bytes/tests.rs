extern crate std;

use std::vec::Vec;

use super::{BytesError, HEADER, LENGTH};
use crate::event::{Event, Exception, GlobalInterrupts, InterruptRequest};
use crate::permission::SwitchedMsr;
use crate::state::rows::ROWS;
use crate::state::{Activity, CpuState, ExtendedState, Msrs, StateComponent, VcpuState};

/// A state in which everything is something.
fn full() -> VcpuState {
    let mut state = VcpuState::new(CpuState::long_mode(0xffff_8000_0000_1000, 0x8000, 0x1000));
    state.cpu.gprs.rax = 0x0123_4567_89ab_cdef;
    state.cpu.gprs.r15 = 15;
    state.cr8 = 5;
    state.xcr0 = 0x2e7;
    state.breakpoints = [1, 2, 3, 4];
    state.dr6 = 0xffff_4ff2;
    for (value, msr) in (100..).zip(Msrs::held()) {
        state.msrs.set(msr, value);
    }
    let mut extended = ExtendedState::new();
    for (byte, component) in (1_u8..).zip(StateComponent::ALL) {
        let bytes: Vec<_> = (0..component.size()).map(|_| byte).collect();
        extended.set_component(component, &bytes).unwrap();
    }
    state.extended = Some(extended);
    state.event = Some(Event::SoftwareInterrupt { vector: 0x80, length: 2 });
    state.triple_fault = true;
    state.nmi_requested = true;
    state.interrupt_requested = Some(InterruptRequest::fixed(0x31));
    state.shadow = true;
    state.nmi_blocked = true;
    state.pending_debug.set_bs(true);
    state.global_interrupts = GlobalInterrupts::Disabled;
    state.activity = Activity::Halted;
    state
}

fn bytes(state: &VcpuState) -> Vec<u8> {
    let mut buffer = [0xee; VcpuState::MAX_BYTES];
    state.to_bytes(&mut buffer).unwrap().to_vec()
}

#[test]
fn every_state_comes_back() {
    for state in [VcpuState::default(), VcpuState::reset(1), full()] {
        assert_eq!(VcpuState::from_bytes(&bytes(&state)), Ok(state));
    }
    assert_eq!(bytes(&full()).len(), VcpuState::MAX_BYTES - 24, "FS_BASE and GS_BASE have no place");
    let shared = VcpuState { extended: None, ..full() };
    assert_eq!(VcpuState::from_bytes(&bytes(&shared)), Ok(shared));
}

#[test]
fn every_event_comes_back() {
    for event in [
        None,
        Some(Event::Exception(Exception::INVALID_OPCODE)),
        Some(Event::Exception(Exception::page_fault(7))),
        Some(Event::Exception(Exception::DOUBLE_FAULT)),
        Some(Event::Interrupt(0)),
        Some(Event::Nmi),
        Some(Event::SoftwareInterrupt { vector: 0, length: 3 }),
        Some(Event::SoftwareException { vector: 3, length: 1 }),
        Some(Event::PrivilegedSoftwareException { length: 2 }),
    ] {
        let state = VcpuState { event, ..VcpuState::default() };
        assert_eq!(VcpuState::from_bytes(&bytes(&state)).map(|state| state.event), Ok(event));
    }
}

/// What version 1 wrote for [`full`], when nine MSRs were switched. It must be readable for ever.
const VERSION_1: &[u8] = include_bytes!("version1.bin");

#[test]
fn the_format_stays() {
    let read = VcpuState::from_bytes(VERSION_1).unwrap();
    let mut expected = VcpuState { triple_fault: false, ..full() };
    expected.msrs = Msrs::new();
    for (value, number) in (100..).zip([0x174, 0x175, 0x176, 0x277, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084])
    {
        expected.msrs.set(Msrs::held().find(|msr| msr.number() == number).unwrap(), value);
    }
    expected.msrs.set(SwitchedMsr::KernelGsBase, 108);
    assert_eq!(read, expected, "{}", read.differences(&expected));
    // What is written has the same registers at the same places: RIP is the seventeenth.
    let now = bytes(&full());
    let registers = 16 + ROWS.iter().map(|row| row.bytes).sum::<usize>() - 1;
    assert_eq!(registers, 16 + 435);
    assert_eq!((&now[..8], &now[10..LENGTH]), (&VERSION_1[..8], &VERSION_1[10..LENGTH]));
    assert_eq!((now[8], now[registers]), (2, 1), "the version, and the triple fault");
    assert_eq!(now[HEADER..registers], VERSION_1[HEADER..registers]);
    assert_eq!(now[HEADER + 16 * 8..][..8], 0xffff_8000_0000_1000_u64.to_le_bytes());
    assert_eq!(now[now.len() - 2280..], VERSION_1[VERSION_1.len() - 2280..], "the extended state");
}

#[test]
fn too_few_bytes_are_refused_wherever_they_end() {
    let whole = bytes(&full());
    for length in 0..whole.len() {
        let error = VcpuState::from_bytes(&whole[..length]).unwrap_err();
        assert!(
            matches!(error, BytesError::Length { needed, has } if needed > has && has == length),
            "{length}: {error}"
        );
        let mut short = [0; VcpuState::MAX_BYTES];
        assert!(matches!(full().to_bytes(&mut short[..length]), Err(BytesError::Length { .. })));
    }
    let longer = [&whole[..], &[1, 2, 3]].concat();
    assert_eq!(VcpuState::from_bytes(&longer), Ok(full()), "what follows is not looked at");
}

#[test]
fn what_is_not_known_is_refused() {
    let change = |at: usize, value: u8| {
        let mut bytes = bytes(&full());
        bytes[at] = value;
        VcpuState::from_bytes(&bytes)
    };
    assert_eq!(change(0, b'X'), Err(BytesError::NotAState));
    assert_eq!(change(8, 3), Err(BytesError::Version(3)));
    assert_eq!(change(10, 1), Err(BytesError::NotAState));
    let msrs = 16 + ROWS.iter().map(|row| row.bytes).sum::<usize>();
    assert_eq!(change(msrs - 1, 2), Err(BytesError::Value { register: "triple fault", value: 2 }));
    assert_eq!(change(msrs - 2, 4), Err(BytesError::Value { register: "activity", value: 4 }));
    let first = u64::from(SwitchedMsr::SpecCtrl.number());
    assert_eq!(change(msrs + 2, 0xff), Err(BytesError::Msr(first | 0xff)));
    assert_eq!(change(msrs + 2 + 24, 0x74), Err(BytesError::Msr(0x174)), "twice the same");
    let extended = msrs + 2 + 12 * Msrs::held().count();
    assert_eq!(change(extended, 2), Err(BytesError::Value { register: "extended state", value: 2 }));
    assert_eq!(change(extended + 2, 0x06), Err(BytesError::Components(0x400)));
    // A length that does not fit what is in it.
    let mut longer = bytes(&full());
    longer.push(0);
    let length = u16::try_from(longer.len()).unwrap().to_le_bytes();
    longer[12..14].copy_from_slice(&length);
    assert!(matches!(VcpuState::from_bytes(&longer), Err(BytesError::Length { .. })));
}
