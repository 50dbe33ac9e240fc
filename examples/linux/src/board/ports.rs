//! The ports of the board.

use x86_virt::IoSize;

use super::Board;
use crate::clock::Ticks;
use crate::{pci, pit, power};

const SERIAL_BASE: u16 = 0x3f8;
const SERIAL_LAST: u16 = SERIAL_BASE + 7;

impl Board {
    /// Reads a port. Where there is no device, all bits are 1.
    pub fn read_port(&mut self, port: u16, size: IoSize, now: Ticks) -> u32 {
        let value = match port {
            power::RESET if size == IoSize::Byte => 0,
            pci::ADDRESS..=0xcff => self.pci.read(port, size.bytes()),
            power::EVENT..power::END => self.power.read(port, now),
            // Each byte of a wider access is a port of its own.
            _ => {
                let mut bytes = [0xff; 4];
                for (byte, port) in bytes.iter_mut().zip(port..=u16::MAX).take(size.bytes().into()) {
                    *byte = self.read_byte(port, now);
                }
                u32::from_le_bytes(bytes)
            }
        };
        value & size.mask()
    }

    /// Writes a port. Where there is no device, nothing happens.
    pub fn write_port(&mut self, port: u16, size: IoSize, value: u32, now: Ticks) {
        let bytes = value.to_le_bytes();
        let [low, ..] = bytes;
        match port {
            power::RESET if size == IoSize::Byte => self.ask(power::Power::write_reset(low)),
            pci::ADDRESS..=0xcff => self.pci.write(port, size.bytes(), value),
            power::EVENT..power::END => {
                let request = self.power.write(port, value);
                self.ask(request);
            }
            _ => {
                for (byte, port) in bytes.into_iter().zip(port..=u16::MAX).take(size.bytes().into()) {
                    self.write_byte(port, byte, now);
                }
            }
        }
    }

    fn ask(&mut self, request: Option<power::Request>) {
        if let Some(request) = request {
            self.end(request.into());
        }
    }

    fn read_byte(&mut self, port: u16, now: Ticks) -> u8 {
        match port {
            0x40..=0x43 => self.pit.read(port, now),
            pit::GATE_PORT => self.pit.read_gate(now),
            0x70 | 0x71 => self.rtc.read(port, now),
            SERIAL_BASE..=SERIAL_LAST => {
                let value = self.serial.read(port - SERIAL_BASE);
                self.set_serial_line();
                value
            }
            _ => self.pic.read(port).unwrap_or(0xff),
        }
    }

    fn write_byte(&mut self, port: u16, value: u8, now: Ticks) {
        match port {
            0x40..=0x43 => self.pit.write(port, value, now),
            pit::GATE_PORT => self.pit.write_gate(value, now),
            0x70 | 0x71 => self.rtc.write(port, value),
            SERIAL_BASE..=SERIAL_LAST => {
                self.sent.extend(self.serial.write(port - SERIAL_BASE, value));
                self.set_serial_line();
            }
            _ => {
                let _is_there = self.pic.write(port, value);
            }
        }
    }
}
