//! Devices and processors together.

use alloc::vec::Vec;

use x86_virt::IoSize;

use super::{Activity, Board, Ending, Setup, Signal};
use crate::clock::Clock;
use crate::local_apic::Interface;

fn board(processors: u8) -> Board {
    let clock = Clock::new(1_193_182_000);
    let mut board = Board::new(&Setup { processors, interface: Interface::MemoryOrMsrs, clock, seconds: 0, now: 0 });
    for processor in 0..processors.into() {
        assert!(board.write_memory(processor, 0xfee0_00f0, 0x1ff, 0));
    }
    board
}

fn out(board: &mut Board, port: u16, value: u8) {
    board.write_port(port, IoSize::Byte, value.into(), 0);
}

/// Opens an input of the I/O APIC for the first processor.
fn open(board: &mut Board, input: u32, low: u32) {
    board.write_memory(0, 0xfec0_0000, 0x10 + 2 * input, 0);
    board.write_memory(0, 0xfec0_0010, low, 0);
}

#[test]
fn a_byte_for_the_guest_comes_through_the_io_apic() {
    let mut board = board(1);
    open(&mut board, 4, 0x24);
    for (port, value) in [(0x3fa, 0x01), (0x3fc, 0x0b), (0x3f9, 0x01)] {
        out(&mut board, port, value);
    }
    assert_eq!(board.signal(0), None);
    board.receive(b'x');
    assert_eq!(board.signal(0), Some(Signal::Interrupt(0x24)));
    board.accept(0, Signal::Interrupt(0x24));
    assert_eq!(board.read_port(0x3f8, IoSize::Byte, 0), u32::from(b'x'));
    assert_eq!(board.signal(0), None);
    assert_eq!(board.take_told().collect::<Vec<_>>(), [0]);
    assert_eq!(board.take_told().count(), 0);
}

#[test]
fn what_the_guest_sends_is_kept_in_order() {
    let mut board = board(1);
    for byte in *b"hi\n" {
        out(&mut board, 0x3f8, byte);
    }
    assert_eq!(board.take_sent(), b"hi\n");
    assert!(board.take_sent().is_empty());
}

#[test]
fn the_timer_comes_through_either_controller() {
    let mut board = board(1);
    out(&mut board, 0x43, 0x34);
    out(&mut board, 0x40, 0xe8);
    out(&mut board, 0x40, 0x03);
    assert_eq!(board.next_event(0), Some(1_000_000));
    open(&mut board, 2, 0x30);
    board.run_timers(0, 1_000_000);
    assert_eq!(board.signal(0), Some(Signal::Interrupt(0x30)));
    board.accept(0, Signal::Interrupt(0x30));
    board.write_memory(0, 0xfee0_00b0, 0, 0);
    // By the PC's controller, which has been asked, too.
    board.write_memory(0, 0xfee0_0350, 0x700, 0);
    assert_eq!(board.signal(0), Some(Signal::External(0)));
    for (port, value) in [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1)] {
        out(&mut board, port, value);
    }
    board.run_timers(0, 2_000_000);
    board.accept(0, Signal::Interrupt(0x30));
    assert_eq!(board.signal(0), Some(Signal::External(0x20)));
    board.accept(0, Signal::External(0x20));
    assert_eq!(board.signal(0), None);
}

#[test]
fn processors_start_and_interrupt_each_other() {
    let mut board = board(2);
    assert_eq!((board.take_activity(0), board.take_activity(1)), (Activity::Running, Activity::WaitsForStart));
    board.write_memory(0, 0xfee0_0310, 1 << 24, 0);
    board.write_memory(0, 0xfee0_0300, 0x4500, 0);
    board.write_memory(0, 0xfee0_0300, 0x469a, 0);
    board.write_memory(0, 0xfee0_0300, 0x469b, 0);
    assert_eq!(board.take_told().collect::<Vec<_>>(), [1]);
    assert_eq!((board.take_activity(1), board.take_activity(1)), (Activity::Starts(0x9a), Activity::Running));
    // INIT has disabled the APIC of the second.
    board.write_memory(1, 0xfee0_00f0, 0x1ff, 0);
    board.write_memory(0, 0xfee0_0300, 0xfd, 0);
    board.write_memory(0, 0xfee0_0300, 0x400, 0);
    assert_eq!((board.signal(0), board.signal(1)), (None, Some(Signal::Nmi)));
    board.accept(1, Signal::Nmi);
    assert_eq!(board.signal(1), Some(Signal::Interrupt(0xfd)));
    // To itself, nobody else is told.
    board.take_told().for_each(drop);
    board.write_memory(1, 0xfee0_0300, 0x4_00fc, 0);
    assert_eq!(board.take_told().count(), 0);
}

#[test]
fn all_processors_that_halt_for_ever_are_the_end() {
    let mut board = board(2);
    assert!(!board.set_stopped(1, false));
    assert!(board.set_stopped(0, true), "the other one has not started");
    board.write_memory(0, 0xfee0_0310, 1 << 24, 0);
    board.write_memory(0, 0xfee0_0300, 0x469a, 0);
    assert!(!board.set_stopped(0, true));
    board.take_activity(1);
    assert!(board.set_stopped(1, true));
}

#[test]
fn the_guest_asks_for_the_end_and_nothing_is_where_nothing_is() {
    let mut board = board(1);
    assert_eq!(board.read_port(0x1234, IoSize::Dword, 0), u32::MAX);
    assert_eq!(board.read_port(0xffff, IoSize::Dword, 0), u32::MAX);
    out(&mut board, 0x1234, 5);
    board.write_port(0xffff, IoSize::Word, 0, 0);
    assert_eq!(board.read_memory(0, 0xfed0_0000, 0), None);
    assert!(!board.write_memory(0, 0xfed0_0000, 0, 0));
    board.write_port(0x604, IoSize::Word, 0x3400, 0);
    assert_eq!(board.ending(), Some(Ending::PowerOff));
    out(&mut board, 0xcf9, 6);
    assert_eq!(board.ending(), Some(Ending::PowerOff), "the first word counts");
}

#[test]
fn an_x2apic_is_reached_by_msrs() {
    let mut board = board(1);
    board.apic(0).unwrap().set_base(0xfee0_0d00).unwrap();
    assert_eq!(board.read_apic(0, 0x802, 0), Ok(0));
    board.write_apic(0, 0x83f, 0x55, 0).unwrap();
    assert_eq!(board.signal(0), Some(Signal::Interrupt(0x55)));
    assert!(board.read_apic(7, 0x802, 0).is_err());
    assert_eq!(board.read_memory(0, 0xfee0_0020, 0), None);
}
