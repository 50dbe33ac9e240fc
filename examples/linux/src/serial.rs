//! The serial port: a 16550A whose line is the console.
//!
//! Texas Instruments PC16550D, section 8.0, "Registers".

use alloc::collections::VecDeque;

/// How many bytes the receiver holds.
const FIFO_BYTES: usize = 16;

/// Interrupt enable register.
const RECEIVED: u8 = 1 << 0;
const TRANSMITTER_EMPTY: u8 = 1 << 1;
const LINE_STATUS: u8 = 1 << 2;
/// Line status register.
const DATA_READY: u8 = 1 << 0;
const OVERRUN: u8 = 1 << 1;
const TRANSMITTER_IDLE: u8 = 1 << 5 | 1 << 6;
/// Line control register: the first two registers are the divisor.
const DIVISOR_LATCH: u8 = 1 << 7;
/// Modem control register.
const OUT2: u8 = 1 << 3;
const LOOPBACK: u8 = 1 << 4;
/// FIFO control register.
const FIFO_ENABLE: u8 = 1 << 0;
const CLEAR_RECEIVER: u8 = 1 << 1;
/// Interrupt identification register: why it interrupts, and that the FIFOs are on.
const NO_INTERRUPT: u8 = 0x01;
const IS_LINE_STATUS: u8 = 0x06;
const IS_RECEIVED: u8 = 0x04;
const IS_TRANSMITTER_EMPTY: u8 = 0x02;
const FIFOS_ENABLED: u8 = 0xc0;
/// Modem status register with nobody at the line: carrier, data set ready, clear to send.
const CONNECTED: u8 = 0xb0;

/// A 16550A.
///
/// What the guest sends leaves at once, so the transmitter is always empty.
#[derive(Debug, Default)]
pub struct Serial {
    interrupt_enable: u8,
    line_control: u8,
    modem_control: u8,
    scratch: u8,
    divisor: u16,
    has_fifos: bool,
    received: VecDeque<u8>,
    has_overrun: bool,
    /// The transmitter has become empty, and the guest has not taken note of it.
    has_sent: bool,
}

impl Serial {
    /// The register at `offset`, 0 to 7. A read may acknowledge an interrupt.
    pub fn read(&mut self, offset: u16) -> u8 {
        let [divisor_low, divisor_high] = self.divisor.to_le_bytes();
        let has_divisor = self.line_control & DIVISOR_LATCH != 0;
        match offset {
            0 if has_divisor => divisor_low,
            1 if has_divisor => divisor_high,
            0 => self.received.pop_front().unwrap_or(0),
            1 => self.interrupt_enable,
            2 => self.identify(),
            3 => self.line_control,
            4 => self.modem_control,
            5 => self.line_status(),
            6 => self.modem_status(),
            7 => self.scratch,
            _ => 0xff,
        }
    }

    /// Writes the register at `offset`, 0 to 7. The byte that the guest has sent, if it has.
    pub fn write(&mut self, offset: u16, value: u8) -> Option<u8> {
        let has_divisor = self.line_control & DIVISOR_LATCH != 0;
        match offset {
            0 if has_divisor => self.divisor = self.divisor & 0xff00 | u16::from(value),
            1 if has_divisor => self.divisor = self.divisor & 0x00ff | u16::from(value) << 8,
            0 => {
                self.has_sent = true;
                if self.modem_control & LOOPBACK == 0 {
                    return Some(value);
                }
                self.receive(value);
            }
            1 => {
                let newly = value & !self.interrupt_enable;
                self.interrupt_enable = value & 0x0f;
                self.has_sent |= newly & TRANSMITTER_EMPTY != 0;
            }
            2 => {
                self.has_fifos = value & FIFO_ENABLE != 0;
                if value & CLEAR_RECEIVER != 0 {
                    self.received.clear();
                }
            }
            3 => self.line_control = value,
            4 => self.modem_control = value & 0x1f,
            7 => self.scratch = value,
            _ => {}
        }
        None
    }

    /// Whether the receiver has room for another byte.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.modem_control & LOOPBACK == 0 && self.received.len() < if self.has_fifos { FIFO_BYTES } else { 1 }
    }

    /// A byte from the line. One for which there is no room is lost, as on the wire.
    pub fn receive(&mut self, byte: u8) {
        if self.received.len() < if self.has_fifos { FIFO_BYTES } else { 1 } {
            self.received.push_back(byte);
        } else {
            self.has_overrun = true;
        }
    }

    /// Whether the interrupt line is up.
    #[must_use]
    pub fn interrupts(&self) -> bool {
        // On the PC, OUT2 opens the way to the interrupt controller.
        self.modem_control & OUT2 != 0 && self.reason() != NO_INTERRUPT
    }

    fn reason(&self) -> u8 {
        let enabled = |mask| self.interrupt_enable & mask != 0;
        if enabled(LINE_STATUS) && self.has_overrun {
            IS_LINE_STATUS
        } else if enabled(RECEIVED) && !self.received.is_empty() {
            IS_RECEIVED
        } else if enabled(TRANSMITTER_EMPTY) && self.has_sent {
            IS_TRANSMITTER_EMPTY
        } else {
            NO_INTERRUPT
        }
    }

    fn identify(&mut self) -> u8 {
        let reason = self.reason();
        if reason == IS_TRANSMITTER_EMPTY {
            self.has_sent = false;
        }
        reason | if self.has_fifos { FIFOS_ENABLED } else { 0 }
    }

    fn line_status(&mut self) -> u8 {
        let overrun = if core::mem::take(&mut self.has_overrun) { OVERRUN } else { 0 };
        let ready = if self.received.is_empty() { 0 } else { DATA_READY };
        TRANSMITTER_IDLE | overrun | ready
    }

    /// In a loop, the outputs are the inputs: RTS is CTS, DTR is DSR, OUT1 is RI, OUT2 is DCD.
    fn modem_status(&self) -> u8 {
        let control = self.modem_control;
        if control & LOOPBACK == 0 {
            return CONNECTED;
        }
        (control & 0x02) << 3 | (control & 0x01) << 5 | (control & 0x0c) << 4
    }
}

#[cfg(test)]
mod tests {
    use super::Serial;

    /// As a driver sets it up: FIFOs on, interrupts open.
    fn port(enable: u8) -> Serial {
        let mut serial = Serial::default();
        serial.write(2, 0x01);
        serial.write(4, 0x0b);
        serial.write(1, enable);
        serial
    }

    #[test]
    fn what_is_sent_leaves_and_says_so_once() {
        let mut serial = port(0);
        assert_eq!(serial.write(0, b'a'), Some(b'a'));
        assert_eq!(serial.read(5), 0x60);
        assert!(!serial.interrupts());
        serial.write(1, 0x02);
        assert!(serial.interrupts());
        assert_eq!(serial.read(2), 0xc2);
        assert!(!serial.interrupts(), "reading the reason acknowledges it");
        assert_eq!(serial.read(2), 0xc1);
        serial.write(0, b'b');
        assert!(serial.interrupts());
    }

    #[test]
    fn what_is_received_interrupts_until_it_is_read() {
        let mut serial = port(0x01);
        serial.receive(b'x');
        serial.receive(b'y');
        assert!(serial.interrupts());
        assert_eq!((serial.read(2), serial.read(5)), (0xc4, 0x61));
        assert_eq!((serial.read(0), serial.read(0)), (b'x', b'y'));
        assert!(!serial.interrupts());
        assert_eq!((serial.read(5), serial.read(0)), (0x60, 0));
    }

    #[test]
    fn a_full_receiver_loses_and_tells() {
        let mut serial = port(0x05);
        for byte in 0..16 {
            assert!(serial.has_room());
            serial.receive(byte);
        }
        assert!(!serial.has_room());
        serial.receive(99);
        assert_eq!(serial.read(2), 0xc6);
        assert_eq!((serial.read(5), serial.read(5)), (0x63, 0x61));
        assert!((0..16).all(|byte| serial.read(0) == byte));
    }

    #[test]
    fn a_loop_gives_back_data_and_modem_lines() {
        let mut serial = port(0);
        serial.write(4, 0x1a);
        assert_eq!(serial.read(6) & 0xf0, 0x90);
        assert_eq!(serial.write(0, b'z'), None);
        assert_eq!(serial.read(0), b'z');
        serial.write(4, 0x15);
        assert_eq!(serial.read(6) & 0xf0, 0x60);
        serial.write(4, 0x0b);
        assert_eq!(serial.read(6), 0xb0);
    }

    #[test]
    fn the_divisor_hides_two_registers() {
        let mut serial = port(0x01);
        serial.write(3, 0x83);
        serial.write(0, 0x34);
        serial.write(1, 0x12);
        assert_eq!((serial.read(0), serial.read(1)), (0x34, 0x12));
        serial.write(3, 0x03);
        assert_eq!((serial.read(1), serial.read(3)), (0x01, 0x03));
        serial.write(7, 0xa5);
        assert_eq!(serial.read(7), 0xa5);
    }

    #[test]
    fn nothing_interrupts_past_a_closed_gate() {
        let mut serial = port(0x03);
        serial.write(4, 0x03);
        serial.receive(1);
        assert!(!serial.interrupts());
        serial.write(2, 0x03);
        assert_eq!(serial.read(5), 0x60);
    }
}
