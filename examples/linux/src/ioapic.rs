//! The I/O APIC: 24 inputs, each with an entry that says which processors its interrupt goes to.
//!
//! Intel 82093AA data sheet, section 3.0, "Register Description".

use crate::interrupt::{Delivery, Destination, Message, Trigger};

/// Where it is in guest-physical memory.
pub const BASE: u64 = 0xfec0_0000;
/// How many inputs it has.
pub const INPUTS: u8 = 24;

/// Offsets of the index and of the data register.
const SELECT: u64 = 0x00;
const WINDOW: u64 = 0x10;
/// Indices of registers.
const ID: u8 = 0x00;
const VERSION: u8 = 0x01;
const ARBITRATION: u8 = 0x02;
const FIRST_ENTRY: u8 = 0x10;

/// An entry's bits.
const DELIVERY_SHIFT: u32 = 8;
const LOGICAL: u64 = 1 << 11;
const REMOTE_IRR: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
/// Delivery status and remote IRR.
const READ_ONLY: u64 = 1 << 12 | REMOTE_IRR;

/// The I/O APIC.
#[derive(Debug)]
pub struct IoApic {
    index: u8,
    id: u32,
    entries: [u64; 24],
    /// The lines as they are.
    lines: u32,
}

impl Default for IoApic {
    fn default() -> Self {
        Self { index: 0, id: 0, entries: [MASKED; 24], lines: 0 }
    }
}

impl IoApic {
    /// Reads the register at `offset` from [`BASE`].
    #[must_use]
    pub fn read(&self, offset: u64) -> u32 {
        match offset {
            SELECT => self.index.into(),
            WINDOW => self.register(),
            _ => 0,
        }
    }

    /// Writes the register at `offset` from [`BASE`]; what interrupts then goes to `send`.
    pub fn write(&mut self, offset: u64, value: u32, send: &mut impl FnMut(Message)) {
        match offset {
            SELECT => [self.index, ..] = value.to_le_bytes(),
            WINDOW if self.index == ID => self.id = value & 0x0f00_0000,
            WINDOW => {
                let Some((number, is_high)) = self.selected() else { return };
                let Some(entry) = self.entries.get_mut(usize::from(number)) else { return };
                let value = u64::from(value);
                *entry = if is_high {
                    *entry & 0xffff_ffff | value << 32
                } else {
                    *entry & (!0xffff_ffff | READ_ONLY) | value & 0x1_ffff & !READ_ONLY
                };
                if *entry & LEVEL == 0 {
                    *entry &= !REMOTE_IRR;
                }
                self.send_level(number, send);
            }
            _ => {}
        }
    }

    /// Sets the line of an input; what interrupts then goes to `send`.
    pub fn set_line(&mut self, input: u8, is_up: bool, send: &mut impl FnMut(Message)) {
        let bit = 1_u32.checked_shl(input.into()).unwrap_or(0);
        let was_up = self.lines & bit != 0;
        if !is_up {
            self.lines &= !bit;
            return;
        }
        self.lines |= bit;
        let Some(entry) = self.entries.get(usize::from(input)) else { return };
        if entry & (LEVEL | MASKED) == 0 && !was_up {
            send(message(*entry));
        } else {
            self.send_level(input, send);
        }
    }

    /// A processor has ended the interrupt with this vector: an input that is still up interrupts again.
    pub fn end(&mut self, vector: u8, send: &mut impl FnMut(Message)) {
        for input in 0..INPUTS {
            let Some(entry) = self.entries.get_mut(usize::from(input)) else { continue };
            if *entry & REMOTE_IRR != 0 && entry.to_le_bytes().first() == Some(&vector) {
                *entry &= !REMOTE_IRR;
                self.send_level(input, send);
            }
        }
    }

    fn send_level(&mut self, input: u8, send: &mut impl FnMut(Message)) {
        let is_up = self.lines.checked_shr(input.into()).unwrap_or(0) & 1 != 0;
        if let Some(entry) = self.entries.get_mut(usize::from(input))
            && is_up
            && *entry & (LEVEL | MASKED | REMOTE_IRR) == LEVEL
        {
            *entry |= REMOTE_IRR;
            send(message(*entry));
        }
    }

    /// The entry that the index selects, and whether its upper half.
    fn selected(&self) -> Option<(u8, bool)> {
        let index = self.index.checked_sub(FIRST_ENTRY)?;
        Some((index / 2, index % 2 == 1))
    }

    fn register(&self) -> u32 {
        match self.index {
            ID | ARBITRATION => self.id,
            VERSION => 0x11 | u32::from(INPUTS - 1) << 16,
            _ => {
                let Some((number, is_high)) = self.selected() else { return 0 };
                let entry = self.entries.get(usize::from(number)).copied().unwrap_or(0);
                let half = if is_high { entry >> 32 } else { entry & 0xffff_ffff };
                u32::try_from(half).unwrap_or(0)
            }
        }
    }
}

fn message(entry: u64) -> Message {
    let [vector, .., destination] = entry.to_le_bytes();
    let destination = if entry & LOGICAL != 0 {
        Destination::Logical(destination.into())
    } else {
        Destination::Physical(destination.into())
    };
    let mode = u8::try_from(entry >> DELIVERY_SHIFT & 7).unwrap_or(0);
    let trigger = if entry & LEVEL != 0 { Trigger::Level } else { Trigger::Edge };
    Message { destination, delivery: Delivery::from_bits(mode), vector, trigger }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{IoApic, SELECT, WINDOW};
    use crate::interrupt::{Delivery, Destination, Message, Trigger};

    fn write(apic: &mut IoApic, index: u32, value: u32) -> Vec<Message> {
        let mut sent = Vec::new();
        apic.write(SELECT, index, &mut |_| unreachable!());
        apic.write(WINDOW, value, &mut |message| sent.push(message));
        sent
    }

    fn line(apic: &mut IoApic, input: u8, is_up: bool) -> Vec<Message> {
        let mut sent = Vec::new();
        apic.set_line(input, is_up, &mut |message| sent.push(message));
        sent
    }

    fn end(apic: &mut IoApic, vector: u8) -> usize {
        let mut sent = 0;
        apic.end(vector, &mut |_| sent += 1);
        sent
    }

    #[test]
    fn edges_are_sent_once() {
        let mut apic = IoApic::default();
        assert!(line(&mut apic, 4, true).is_empty(), "masked");
        write(&mut apic, 0x19, 0x0100_0000);
        assert!(write(&mut apic, 0x18, 0x24).is_empty());
        line(&mut apic, 4, false);
        let message = Message {
            destination: Destination::Physical(1),
            delivery: Delivery::Fixed,
            vector: 0x24,
            trigger: Trigger::Edge,
        };
        assert_eq!(line(&mut apic, 4, true), [message]);
        assert!(line(&mut apic, 4, true).is_empty());
        assert_eq!(end(&mut apic, 0x24), 0);
    }

    #[test]
    fn a_level_is_sent_until_it_is_down() {
        let mut apic = IoApic::default();
        write(&mut apic, 0x22, 0x8930);
        let sent = line(&mut apic, 9, true);
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].trigger, sent[0].delivery), (Trigger::Level, Delivery::LowestPriority));
        assert_eq!(sent[0].destination, Destination::Logical(0));
        assert!(line(&mut apic, 9, true).is_empty(), "not before its end");
        assert_eq!(end(&mut apic, 0x31), 0);
        assert_eq!(end(&mut apic, 0x30), 1);
        line(&mut apic, 9, false);
        assert_eq!(end(&mut apic, 0x30), 0);
    }

    #[test]
    fn what_is_masked_comes_when_it_is_not() {
        let mut apic = IoApic::default();
        write(&mut apic, 0x22, 0x1_8030);
        assert!(line(&mut apic, 9, true).is_empty());
        assert_eq!(write(&mut apic, 0x22, 0x8030).len(), 1);
        apic.write(SELECT, 0x22, &mut |_| ());
        assert_eq!(apic.read(WINDOW), 0xc030, "remote IRR");
    }

    #[test]
    fn registers_tell_what_it_is() {
        let mut apic = IoApic::default();
        apic.write(SELECT, 1, &mut |_| ());
        assert_eq!((apic.read(SELECT), apic.read(WINDOW)), (1, 0x17_0011));
        write(&mut apic, 0, 0x0500_0000);
        assert_eq!(apic.read(WINDOW), 0x0500_0000);
        write(&mut apic, 0xff, 1);
        assert_eq!((apic.read(WINDOW), apic.read(0x40)), (0, 0));
        assert!(line(&mut apic, 77, true).is_empty());
    }
}
