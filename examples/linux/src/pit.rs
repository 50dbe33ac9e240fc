//! The timer of the PC: an 8254 with three channels, and the port that gates the last one.
//!
//! Intel 8254 data sheet, "Operational Description" and "Mode Definitions".

use crate::clock::{Clock, Ticks};

/// The frequency of all channels.
pub const HERTZ: u64 = 1_193_182;

/// The gate and the output of channel 2, and a bit that moves.
pub const GATE_PORT: u16 = 0x61;
const GATE_2: u8 = 1 << 0;
const SPEAKER: u8 = 1 << 1;
const REFRESH: u8 = 1 << 4;
const OUTPUT_2: u8 = 1 << 5;

/// Which bytes of a count are moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Bytes {
    Low,
    High,
    #[default]
    Both,
}

/// One channel. Its count is a function of the time.
#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    mode: u8,
    bytes: Bytes,
    /// 1 to 65,536, or 0 before there is one.
    count: u32,
    /// When the count was loaded.
    start: Ticks,
    /// The low byte of a count whose high byte has not come.
    low: Option<u8>,
    /// What was latched, and how many bytes of it are read.
    latch: Option<u16>,
    status: Option<u8>,
    high_is_next: bool,
}

impl Channel {
    fn is_periodic(&self) -> bool {
        matches!(self.mode, 2 | 3)
    }

    fn elapsed(&self, clock: Clock, now: Ticks) -> u64 {
        clock.periods(now.saturating_sub(self.start), HERTZ)
    }

    fn value(&self, clock: Clock, now: Ticks) -> u16 {
        let count = u64::from(self.count.max(1));
        let elapsed = self.elapsed(clock, now);
        let value = match self.mode {
            // It counts by two, twice a period.
            3 => count - (2 * elapsed) % count,
            2 => count - elapsed % count,
            _ => count.wrapping_sub(elapsed),
        };
        u16::try_from(value & 0xffff).unwrap_or(0)
    }

    fn output(&self, clock: Clock, now: Ticks) -> bool {
        if self.count == 0 {
            return self.mode != 0;
        }
        let (count, elapsed) = (u64::from(self.count), self.elapsed(clock, now));
        match self.mode {
            0 | 1 => elapsed >= count,
            2 => elapsed % count != count - 1,
            3 => elapsed % count < count.div_ceil(2),
            _ => elapsed != count,
        }
    }

    fn set_mode(&mut self, value: u8) {
        let bytes = match value >> 4 & 3 {
            1 => Bytes::Low,
            2 => Bytes::High,
            _ => Bytes::Both,
        };
        // Bit 2 of modes 2 and 3 does not count.
        let mode = match value >> 1 & 7 {
            mode @ 6.. => mode - 4,
            mode => mode,
        };
        *self = Self { mode, bytes, ..Self::default() };
    }

    fn write(&mut self, value: u8, now: Ticks) {
        let count = match (self.bytes, self.low.take()) {
            (Bytes::Low, _) => u16::from(value),
            (Bytes::High, _) => u16::from(value) << 8,
            (Bytes::Both, Some(low)) => u16::from_le_bytes([low, value]),
            (Bytes::Both, None) => {
                self.low = Some(value);
                return;
            }
        };
        self.count = if count == 0 { 0x1_0000 } else { u32::from(count) };
        self.start = now;
    }

    fn read(&mut self, clock: Clock, now: Ticks) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let [low, high] = self.latch.unwrap_or_else(|| self.value(clock, now)).to_le_bytes();
        let reads_high = self.bytes == Bytes::High || self.bytes == Bytes::Both && self.high_is_next;
        self.high_is_next = self.bytes == Bytes::Both && !self.high_is_next;
        if !self.high_is_next {
            self.latch = None;
        }
        if reads_high { high } else { low }
    }

    fn latch(&mut self, clock: Clock, now: Ticks) {
        let value = self.value(clock, now);
        self.latch.get_or_insert(value);
    }

    fn latch_status(&mut self, clock: Clock, now: Ticks) {
        let output = if self.output(clock, now) { 0x80 } else { 0 };
        let null = if self.count == 0 { 0x40 } else { 0 };
        let bytes = match self.bytes {
            Bytes::Low => 0x10,
            Bytes::High => 0x20,
            Bytes::Both => 0x30,
        };
        self.status.get_or_insert(output | null | bytes | self.mode << 1);
    }
}

/// An 8254.
#[derive(Debug)]
pub struct Pit {
    clock: Clock,
    channels: [Channel; 3],
    /// Of port 61H, what the guest wrote.
    gate: u8,
    /// How many interrupts of channel 0 have been, since its count was loaded.
    interrupts: u64,
}

impl Pit {
    /// A timer that stands still.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, channels: [Channel::default(); 3], gate: 0, interrupts: 0 }
    }

    /// Reads port 40H to 43H.
    pub fn read(&mut self, port: u16, now: Ticks) -> u8 {
        let clock = self.clock;
        self.channel(port).map_or(0xff, |channel| channel.read(clock, now))
    }

    /// Writes port 40H to 43H.
    pub fn write(&mut self, port: u16, value: u8, now: Ticks) {
        if port == 0x43 {
            self.command(value, now);
        } else if let Some(channel) = self.channel(port) {
            channel.write(value, now);
            if port == 0x40 {
                self.interrupts = 0;
            }
        }
    }

    /// Reads the port of the gate.
    #[must_use]
    pub fn read_gate(&self, now: Ticks) -> u8 {
        let [_, _, speaker] = &self.channels;
        let output = if speaker.output(self.clock, now) { OUTPUT_2 } else { 0 };
        // Memory is refreshed every 15 microseconds.
        let refresh = if self.clock.periods(now, 66_667).is_multiple_of(2) { 0 } else { REFRESH };
        self.gate | output | refresh
    }

    /// Writes the port of the gate. When the gate opens, channel 2 starts.
    pub fn write_gate(&mut self, value: u8, now: Ticks) {
        let opens = value & !self.gate & GATE_2 != 0;
        self.gate = value & (GATE_2 | SPEAKER);
        let [_, _, speaker] = &mut self.channels;
        if opens {
            speaker.start = now;
        }
    }

    /// Whether channel 0 has interrupted since the last call.
    pub fn take_interrupt(&mut self, now: Ticks) -> bool {
        let [channel, ..] = &self.channels;
        if channel.count == 0 {
            return false;
        }
        let periods = channel.elapsed(self.clock, now) / u64::from(channel.count);
        let periods = if channel.is_periodic() { periods } else { periods.min(1) };
        let is_new = periods > self.interrupts;
        self.interrupts = periods;
        is_new
    }

    /// When channel 0 interrupts next.
    #[must_use]
    pub fn next_interrupt(&self) -> Option<Ticks> {
        let [channel, ..] = &self.channels;
        if channel.count == 0 || !channel.is_periodic() && self.interrupts > 0 {
            return None;
        }
        let periods = (self.interrupts + 1).saturating_mul(u64::from(channel.count));
        Some(channel.start.saturating_add(self.clock.ticks(periods, HERTZ)))
    }

    fn channel(&mut self, port: u16) -> Option<&mut Channel> {
        self.channels.get_mut(usize::from(port.checked_sub(0x40)?))
    }

    fn command(&mut self, value: u8, now: Ticks) {
        let clock = self.clock;
        if value >> 6 == 3 {
            for (number, channel) in self.channels.iter_mut().enumerate() {
                if value & 2 << number == 0 {
                    continue;
                }
                if value & 0x20 == 0 {
                    channel.latch(clock, now);
                }
                if value & 0x10 == 0 {
                    channel.latch_status(clock, now);
                }
            }
        } else if let Some(channel) = self.channels.get_mut(usize::from(value >> 6)) {
            if value & 0x30 == 0 {
                channel.latch(clock, now);
            } else {
                channel.set_mode(value);
                if value >> 6 == 0 {
                    self.interrupts = 0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HERTZ, Pit};
    use crate::clock::Clock;

    /// Ticks of the time-stamp counter in one of the timer, so that the arithmetic is plain.
    const STEP: u64 = 10;

    fn pit() -> Pit {
        Pit::new(Clock::new(HERTZ * STEP))
    }

    fn load(pit: &mut Pit, command: u8, count: u16, now: u64) {
        let [low, high] = count.to_le_bytes();
        pit.write(0x43, command, now);
        let port = 0x40 + u16::from(command >> 6);
        pit.write(port, low, now);
        pit.write(port, high, now);
    }

    #[test]
    fn a_rate_generator_interrupts_every_period() {
        let mut pit = pit();
        assert_eq!(pit.next_interrupt(), None);
        load(&mut pit, 0x34, 1000, 50);
        assert_eq!(pit.next_interrupt(), Some(50 + 1000 * STEP));
        assert!(!pit.take_interrupt(50 + 1000 * STEP - 1));
        assert!(pit.take_interrupt(50 + 1000 * STEP));
        assert!(!pit.take_interrupt(50 + 1000 * STEP + 5));
        assert_eq!(pit.next_interrupt(), Some(50 + 2000 * STEP));
        assert!(pit.take_interrupt(50 + 5500 * STEP), "missed ones are one");
        assert_eq!(pit.next_interrupt(), Some(50 + 6000 * STEP));
    }

    #[test]
    fn a_single_count_interrupts_once() {
        let mut pit = pit();
        load(&mut pit, 0x30, 0, 0);
        assert_eq!(pit.next_interrupt(), Some(65_536 * STEP));
        assert!(pit.take_interrupt(65_536 * STEP));
        assert_eq!(pit.next_interrupt(), None);
        assert!(!pit.take_interrupt(1 << 40));
        pit.write(0x43, 0x30, 0);
        assert_eq!(pit.next_interrupt(), None, "a mode without a count stands still");
    }

    #[test]
    fn counts_go_down_and_are_latched() {
        let mut pit = pit();
        load(&mut pit, 0x34, 0x1234, 0);
        let now = 0x34 * STEP;
        assert_eq!((pit.read(0x40, now), pit.read(0x40, now)), (0x00, 0x12));
        pit.write(0x43, 0x00, now);
        let later = now + 100 * STEP;
        assert_eq!((pit.read(0x40, later), pit.read(0x40, later)), (0x00, 0x12));
        assert_eq!((pit.read(0x40, later), pit.read(0x40, later)), (0x9c, 0x11));
        pit.write(0x43, 0xe2, later);
        assert_eq!(pit.read(0x40, later), 0xb4, "status: output up, both bytes, mode 2");
        assert_eq!(pit.read(0x43, later), 0xff);
    }

    #[test]
    fn the_last_channel_starts_with_its_gate() {
        let mut pit = pit();
        pit.write_gate(0, 0);
        load(&mut pit, 0xb0, 500, 0);
        pit.write_gate(1, 100);
        assert_eq!(pit.read_gate(100 + 499 * STEP) & 0x23, 0x01);
        assert_eq!(pit.read_gate(100 + 500 * STEP) & 0x23, 0x21);
    }

    #[test]
    fn one_byte_counts_are_taken_at_once() {
        let mut pit = pit();
        pit.write(0x43, 0x14, 0);
        pit.write(0x40, 100, 0);
        assert_eq!(pit.next_interrupt(), Some(100 * STEP));
        assert_eq!(pit.read(0x40, 40 * STEP), 60);
        pit.write(0x43, 0x2c, 0);
        pit.write(0x40, 1, 0);
        assert_eq!(pit.next_interrupt(), Some(256 * STEP));
    }
}
