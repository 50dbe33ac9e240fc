//! Power management of ACPI, power-off and reset.
//!
//! ACPI Specification 6.5, section 4.8, "ACPI Register Model".

use crate::clock::{Clock, Ticks};

/// PM1 event registers: status, then enable, 2 bytes each.
pub const EVENT: u16 = 0x600;
/// PM1 control register, 2 bytes.
pub const CONTROL: u16 = 0x604;
/// The timer, 4 bytes of which 3 count.
pub const TIMER: u16 = 0x608;
/// After these ports.
pub const END: u16 = 0x60c;
/// The reset control register of the chipset.
pub const RESET: u16 = 0xcf9;
/// What resets, written to [`RESET`].
pub const RESET_VALUE: u8 = 0x06;
/// Sleep type of the state S5, in which the power is off.
pub const S5: u8 = 5;

const TIMER_HERTZ: u64 = 3_579_545;
const TIMER_MASK: u64 = 0xff_ffff;
/// PM1 control: the mode is ACPI's.
const SCI_ENABLE: u16 = 1;
const SLEEP_ENABLE: u16 = 1 << 13;

/// What the guest wants of the whole machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// To be switched off.
    PowerOff,
    /// To begin anew.
    Reset,
}

/// The fixed hardware of ACPI.
#[derive(Debug)]
pub struct Power {
    clock: Clock,
    enable: u16,
    control: u16,
}

impl Power {
    /// Power management with nothing enabled.
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self { clock, enable: 0, control: SCI_ENABLE }
    }

    /// Reads at a port from [`EVENT`] to [`END`]; the value is in the low bits.
    #[must_use]
    pub fn read(&self, port: u16, now: Ticks) -> u32 {
        match port {
            0x602 => self.enable.into(),
            CONTROL => self.control.into(),
            TIMER => {
                let count = self.clock.periods(now, TIMER_HERTZ) & TIMER_MASK;
                u32::try_from(count).unwrap_or(0)
            }
            // No event ever happens.
            _ => 0,
        }
    }

    /// Writes at a port from [`EVENT`] to [`END`].
    pub fn write(&mut self, port: u16, value: u32) -> Option<Request> {
        let value = u16::try_from(value & 0xffff).unwrap_or(0);
        match port {
            0x602 => self.enable = value,
            CONTROL => {
                self.control = value & !SLEEP_ENABLE | SCI_ENABLE;
                let sleep_type = u8::try_from(value >> 10 & 7).unwrap_or(0);
                return (value & SLEEP_ENABLE != 0 && sleep_type == S5).then_some(Request::PowerOff);
            }
            _ => {}
        }
        None
    }

    /// Writes the reset control register.
    #[must_use]
    pub fn write_reset(value: u8) -> Option<Request> {
        (value & RESET_VALUE == RESET_VALUE).then_some(Request::Reset)
    }
}

#[cfg(test)]
mod tests {
    use super::{CONTROL, Power, Request, TIMER};
    use crate::clock::Clock;

    #[test]
    fn only_s5_with_its_enable_switches_off() {
        let mut power = Power::new(Clock::new(1));
        assert_eq!(power.write(CONTROL, 5 << 10), None);
        assert_eq!(power.read(CONTROL, 0), 5 << 10 | 1);
        assert_eq!(power.write(CONTROL, 1 << 13 | 3 << 10), None);
        assert_eq!(power.write(CONTROL, 1 << 13 | 5 << 10), Some(Request::PowerOff));
    }

    #[test]
    fn reset_takes_both_bits() {
        assert_eq!(Power::write_reset(0x02), None);
        assert_eq!(Power::write_reset(0x0e), Some(Request::Reset));
    }

    #[test]
    fn the_timer_has_24_bits() {
        let power = Power::new(Clock::new(3_579_545));
        assert_eq!(power.read(TIMER, 0x0123_4567), 0x23_4567);
        assert_eq!((power.read(0x600, 9), power.read(0x602, 9)), (0, 0));
    }
}
