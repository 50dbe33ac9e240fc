//! The clock of the PC with its memory: an MC146818A, without alarms.
//!
//! Motorola MC146818A data sheet, "Address Map" and "Registers".

use crate::clock::{Clock, Ticks};

const BYTES: usize = 128;
/// The registers. Before them are seconds, minutes, hours, weekday, day, month and year, with alarms between.
const REGISTER_A: u8 = 0x0a;
const REGISTER_B: u8 = 0x0b;
const REGISTER_C: u8 = 0x0c;
const REGISTER_D: u8 = 0x0d;
const CENTURY: u8 = 0x32;
/// Register A: 32,768 Hz.
const TIME_BASE: u8 = 0x20;
/// Register B: binary numbers, and hours from 0 to 23.
const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
/// Register D: the battery is not empty.
const VALID: u8 = 1 << 7;

const SECONDS_A_DAY: u64 = 86_400;

/// The clock.
#[derive(Debug)]
pub struct Rtc {
    clock: Clock,
    /// The time at tick 0, in seconds since 1970.
    epoch: u64,
    index: u8,
    memory: [u8; BYTES],
    register_b: u8,
}

impl Rtc {
    /// A clock that shows `seconds` since 1970 at the moment `now`.
    #[must_use]
    pub fn new(clock: Clock, seconds: u64, now: Ticks) -> Self {
        let epoch = seconds.saturating_sub(clock.periods(now, 1));
        Self { clock, epoch, index: 0, memory: [0; BYTES], register_b: HOURS_24 }
    }

    /// Reads port 70H or 71H.
    #[must_use]
    pub fn read(&self, port: u16, now: Ticks) -> u8 {
        if port & 1 == 0 {
            return 0xff;
        }
        let time = Time::of(self.epoch + self.clock.periods(now, 1));
        match self.index {
            0x00 => self.number(time.second),
            0x02 => self.number(time.minute),
            0x04 => self.hour(time.hour),
            0x06 => self.number(time.weekday),
            0x07 => self.number(time.day),
            0x08 => self.number(time.month),
            0x09 => self.number(time.year % 100),
            CENTURY => self.number(time.year / 100),
            REGISTER_A => TIME_BASE,
            REGISTER_B => self.register_b,
            REGISTER_C => 0,
            REGISTER_D => VALID,
            index => self.memory.get(usize::from(index)).copied().unwrap_or(0xff),
        }
    }

    /// Writes port 70H or 71H. The time cannot be set.
    pub fn write(&mut self, port: u16, value: u8) {
        if port & 1 == 0 {
            self.index = value & 0x7f;
        } else if self.index == REGISTER_B {
            self.register_b = value & (BINARY | HOURS_24);
        } else if let Some(byte) = self.memory.get_mut(usize::from(self.index)) {
            *byte = value;
        }
    }

    fn number(&self, value: u64) -> u8 {
        let value = u8::try_from(value).unwrap_or(0);
        if self.register_b & BINARY != 0 { value } else { ((value / 10) << 4) | (value % 10) }
    }

    fn hour(&self, hour: u64) -> u8 {
        if self.register_b & HOURS_24 != 0 {
            return self.number(hour);
        }
        let afternoon = if hour >= 12 { 0x80 } else { 0 };
        self.number(if hour.is_multiple_of(12) { 12 } else { hour % 12 }) | afternoon
    }
}

/// A time of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Time {
    year: u64,
    month: u64,
    day: u64,
    /// 1 is Sunday.
    weekday: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Time {
    /// The time so many seconds after the beginning of 1970.
    fn of(seconds: u64) -> Self {
        let days = seconds / SECONDS_A_DAY;
        let (mut year, mut day) = (1970, days);
        while day >= days_of_year(year) {
            day -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while day >= days_of_month(year, month) {
            day -= days_of_month(year, month);
            month += 1;
        }
        let second = seconds % SECONDS_A_DAY;
        // The first of January 1970 was a Thursday.
        let weekday = (days + 4) % 7 + 1;
        Self { year, month, day: day + 1, weekday, hour: second / 3600, minute: second / 60 % 60, second: second % 60 }
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

const fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::{Rtc, Time};
    use crate::clock::Clock;

    fn time(seconds: u64) -> [u64; 7] {
        let time = Time::of(seconds);
        [time.year, time.month, time.day, time.weekday, time.hour, time.minute, time.second]
    }

    #[test]
    fn seconds_are_dates() {
        assert_eq!(time(0), [1970, 1, 1, 5, 0, 0, 0]);
        assert_eq!(time(946_684_800), [2000, 1, 1, 7, 0, 0, 0]);
        assert_eq!(time(951_827_696), [2000, 2, 29, 3, 12, 34, 56]);
        assert_eq!(time(1_709_251_199), [2024, 2, 29, 5, 23, 59, 59]);
        assert_eq!(time(4_107_542_400), [2100, 3, 1, 2, 0, 0, 0]);
    }

    fn read(rtc: &mut Rtc, index: u8, now: u64) -> u8 {
        rtc.write(0x70, index | 0x80);
        rtc.read(0x71, now)
    }

    #[test]
    fn time_passes_with_the_counter() {
        let mut rtc = Rtc::new(Clock::new(1000), 951_827_696, 5000);
        let all = [0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, 0x32];
        assert_eq!(all.map(|index| read(&mut rtc, index, 5000)), [0x56, 0x34, 0x12, 0x03, 0x29, 0x02, 0x00, 0x20]);
        assert_eq!(read(&mut rtc, 0x00, 5000 + 3999), 0x59);
        assert_eq!((read(&mut rtc, 0x00, 9000), read(&mut rtc, 0x02, 9000)), (0x00, 0x35));
    }

    #[test]
    fn numbers_are_as_the_guest_wants_them() {
        let mut rtc = Rtc::new(Clock::new(1), 951_827_696 + 3600, 0);
        read(&mut rtc, 0x0b, 0);
        rtc.write(0x71, 0x04);
        assert_eq!((read(&mut rtc, 0x00, 0), read(&mut rtc, 0x04, 0)), (56, 0x81));
        assert_eq!((read(&mut rtc, 0x0a, 0), read(&mut rtc, 0x0c, 0), read(&mut rtc, 0x0d, 0)), (0x20, 0, 0x80));
        read(&mut rtc, 0x40, 0);
        rtc.write(0x71, 7);
        assert_eq!(read(&mut rtc, 0x40, 0), 7);
        assert_eq!(rtc.read(0x70, 0), 0xff);
    }
}
