use super::{AddressSize, Io, IoDirection, IoSize, MAX_ELEMENTS, Ports, StringIo};
use crate::segment::SegmentRegister;
use crate::state::CpuState;
use crate::testing::{FakeMemory, ScriptedVcpu};
use crate::vcpu::Vcpu;

/// Counts what is written.
struct Count(u64);

impl Ports for Count {
    fn read(&mut self, _: u16, _: IoSize) -> u32 {
        0
    }

    fn write(&mut self, _: u16, _: IoSize, _: u32) {
        self.0 += 1;
    }
}

/// 16-bit offsets wrap in memory that is there, so that a guest can ask for any number of elements.
#[test]
fn a_guest_cannot_keep_the_host_with_a_repetition() {
    let string = StringIo { repeat: true, address_size: AddressSize::Bits16, segment: SegmentRegister::Ds };
    let io = Io { port: 0x10, size: IoSize::Byte, direction: IoDirection::Out, string: Some(string) };
    let memory = FakeMemory::new(0x1_0000);
    for asked in [1, 4095, 4096, 4097, 0xffff_u64] {
        let mut state = CpuState::real_mode(0, 0x7c00);
        state.gprs.rcx = asked;
        let mut vcpu = ScriptedVcpu::svm(state).at_instruction(2);
        let mut ports = Count(0);
        let mut calls = 0;
        while vcpu.rip() == 0x7c00 {
            io.complete(&mut vcpu, &memory, &mut ports).unwrap();
            calls += 1;
            assert!(ports.0 <= calls * u64::from(MAX_ELEMENTS), "{} elements in {calls} calls", ports.0);
            assert_eq!((vcpu.gprs().rcx, vcpu.gprs().rsi), (asked - ports.0, ports.0));
        }
        assert_eq!((ports.0, vcpu.rip()), (asked, 0x7c02));
        assert_eq!(calls, asked.div_ceil(u64::from(MAX_ELEMENTS)));
    }
}
