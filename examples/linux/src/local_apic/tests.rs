//! The APIC as a guest sees it.

use super::{Effect, Interface, LocalApic, Refused};
use crate::clock::Clock;
use crate::interrupt::{Delivery, Destination, Message, Trigger};

const SPURIOUS: u64 = 0xf0;
const END: u64 = 0xb0;

fn apic(id: u32) -> LocalApic {
    let mut apic = LocalApic::new(id, Interface::MemoryOrMsrs, Clock::new(1_000_000));
    assert_eq!(apic.write(SPURIOUS, 0x1ff, 0), Effect::None);
    apic
}

/// Writes a register that does nothing beside.
fn set(apic: &mut LocalApic, offset: u64, value: u32, now: u64) {
    assert_eq!(apic.write(offset, value, now), Effect::None);
}

fn x2apic(id: u32) -> LocalApic {
    let mut apic = apic(id);
    apic.set_base(0xfee0_0c00).unwrap();
    apic
}

#[test]
fn the_highest_class_goes_first() {
    let mut apic = apic(0);
    for vector in [0x31, 0x45, 0x41] {
        apic.request(vector, Trigger::Edge);
    }
    assert_eq!(apic.pending(), Some(0x45));
    apic.accept(0x45);
    assert_eq!(apic.pending(), None, "the same class waits");
    assert_eq!(apic.read(0xa0, 0), Some(0x40));
    assert_eq!(apic.write(END, 0, 0), Effect::None);
    assert_eq!(apic.pending(), Some(0x41));
    set(&mut apic, 0x80, 0x40, 0);
    assert_eq!((apic.pending(), apic.cr8()), (None, 4));
    apic.set_cr8(3);
    assert_eq!(apic.pending(), Some(0x41));
    assert_eq!(apic.read(0x220, 0), Some(0x0000_0002));
}

#[test]
fn the_end_of_a_level_is_told() {
    let mut apic = apic(0);
    apic.request(0x50, Trigger::Level);
    apic.accept(0x50);
    assert_eq!(apic.read(0x1a0, 0), Some(0x1_0000));
    assert_eq!(apic.write(END, 0, 0), Effect::End(0x50));
    assert_eq!(apic.write(END, 0, 0), Effect::None);
}

#[test]
fn a_disabled_apic_takes_nothing() {
    let mut apic = LocalApic::new(0, Interface::Memory, Clock::new(1));
    apic.request(0x50, Trigger::Edge);
    assert_eq!(apic.pending(), None);
    set(&mut apic, 0x320, 0x30, 0);
    assert_eq!(apic.read(0x320, 0), Some(0x1_0030), "its entries stay masked");
    apic.set_base(0xfee0_0000).unwrap();
    assert_eq!((apic.read(0x20, 0), apic.takes_external()), (None, true));
    assert_eq!(apic.set_base(0xfee0_0c00), Err(Refused));
}

#[test]
fn vectors_below_16_are_errors() {
    let mut apic = apic(0);
    apic.request(15, Trigger::Edge);
    assert_eq!((apic.pending(), apic.read(0x280, 0)), (None, Some(0)));
    set(&mut apic, 0x280, 0, 0);
    assert_eq!(apic.read(0x280, 0), Some(1 << 6));
}

#[test]
fn commands_are_messages() {
    let mut apic = apic(1);
    let fixed = Message {
        destination: Destination::Physical(3),
        delivery: Delivery::Fixed,
        vector: 0xfd,
        trigger: Trigger::Edge,
    };
    set(&mut apic, 0x310, 3 << 24, 0);
    assert_eq!(apic.write(0x300, 0xfd, 0), Effect::Send(fixed));
    let init = Message { delivery: Delivery::Init, vector: 0, ..fixed };
    assert_eq!(apic.write(0x300, 0xc500, 0), Effect::Send(init));
    assert_eq!(apic.write(0x300, 0x8500, 0), Effect::None, "the end of INIT");
    let start = Message { destination: Destination::Others, delivery: Delivery::StartUp, vector: 0x9a, ..fixed };
    assert_eq!(apic.write(0x300, 0xc_469a, 0), Effect::Send(start));
    let logical = Message { destination: Destination::Logical(3), delivery: Delivery::Nmi, vector: 2, ..fixed };
    assert_eq!(apic.write(0x300, 0xc02, 0), Effect::Send(logical));
    assert_eq!((apic.read(0x300, 0), apic.read(0x310, 0)), (Some(0xc02), Some(3 << 24)));
}

#[test]
fn addresses_are_matched() {
    let mut flat = apic(2);
    set(&mut flat, 0xd0, 0x0400_0000, 0);
    assert!(flat.is_addressed(Destination::Physical(2), None));
    assert!(flat.is_addressed(Destination::Physical(0xff), None));
    assert!(flat.is_addressed(Destination::Logical(0x0c), None));
    assert!(!flat.is_addressed(Destination::Logical(0x0b), None));
    assert!(flat.is_addressed(Destination::Oneself, Some(2)));
    assert!(!flat.is_addressed(Destination::Others, Some(2)));
    set(&mut flat, 0xe0, 0, 0);
    set(&mut flat, 0xd0, 0x2400_0000, 0);
    assert!(flat.is_addressed(Destination::Logical(0x24), None));
    assert!(!flat.is_addressed(Destination::Logical(0x14), None));
    let cluster = x2apic(0x12);
    assert!(cluster.is_addressed(Destination::Logical(0x1_0004), None));
    assert!(!cluster.is_addressed(Destination::Logical(0x0004), None));
    assert_eq!(cluster.read_msr(0x80d, 0), Ok(0x1_0004));
}

#[test]
fn registers_are_msrs_of_an_x2apic() {
    let mut apic = x2apic(5);
    assert_eq!((apic.read(0x20, 0), apic.read_msr(0x802, 0)), (None, Ok(5)));
    assert_eq!(apic.write_msr(0x80b, 1, 0), Err(Refused));
    assert_eq!(apic.write_msr(0x80b, 0, 0), Ok(Effect::None));
    for msr in [0x800, 0x80e, 0x831, 0x8ff] {
        assert_eq!((apic.read_msr(msr, 0), apic.write_msr(msr, 0, 0)), (Err(Refused), Err(Refused)), "{msr:#x}");
    }
    assert_eq!(apic.write_msr(0x808, 1 << 32, 0), Err(Refused));
    let message = Message {
        destination: Destination::Physical(0x1234_5678),
        delivery: Delivery::Fixed,
        vector: 0x40,
        trigger: Trigger::Edge,
    };
    assert_eq!(apic.write_msr(0x830, 0x1234_5678_0000_0040, 0), Ok(Effect::Send(message)));
    assert_eq!(apic.read_msr(0x830, 0), Ok(0x1234_5678_0000_0040));
    let oneself = Message { destination: Destination::Oneself, vector: 0x41, ..message };
    assert_eq!(apic.write_msr(0x83f, 0x41, 0), Ok(Effect::Send(oneself)));
}

#[test]
fn the_mode_goes_up_step_by_step_and_down_by_way_of_off() {
    let mut apic = apic(0);
    assert_eq!(apic.base(), 0xfee0_0900);
    assert_eq!(apic.set_base(0xfed0_0900), Err(Refused));
    assert_eq!(apic.set_base(0xfee0_0400), Err(Refused));
    apic.set_base(0xfee0_0d00).unwrap();
    assert_eq!(apic.set_base(0xfee0_0900), Err(Refused));
    apic.set_base(0xfee0_0100).unwrap();
    apic.set_base(0xfee0_0900).unwrap();
    assert_eq!(LocalApic::new(1, Interface::Memory, Clock::new(1)).set_base(0xfee0_0c00), Err(Refused));
}

#[test]
fn the_timer_requests_its_vector() {
    let mut apic = apic(0);
    set(&mut apic, 0x3e0, 0b1011, 0);
    set(&mut apic, 0x320, 0x2_00ec, 0);
    set(&mut apic, 0x380, 1000, 100);
    assert_eq!((apic.next_event(), apic.read(0x390, 600)), (Some(1100), Some(500)));
    apic.run_timer(1099);
    assert_eq!(apic.pending(), None);
    apic.run_timer(1100);
    assert_eq!(apic.pending(), Some(0xec));
    set(&mut apic, 0x320, 0x4_00ec, 1200);
    apic.set_deadline(5000);
    assert_eq!((apic.next_event(), apic.deadline()), (Some(5000), 5000));
    set(&mut apic, 0x320, 0x5_00ec, 1200);
    assert_eq!(apic.next_event(), None, "masked");
}

#[test]
fn external_interrupts_come_through_an_open_input() {
    let mut apic = apic(0);
    assert!(!apic.takes_external());
    set(&mut apic, 0x350, 0x700, 0);
    assert!(apic.takes_external());
    apic.init();
    assert!(!apic.takes_external());
}
