//! The interrupt controllers of the PC: two 8259A, the second one at input 2 of the first.
//!
//! Intel 8259A data sheet, "Programming the 8259A".

/// The input of the first controller at which the second is.
const CASCADE: u8 = 2;

/// One 8259A.
#[derive(Debug, Default)]
struct Controller {
    /// The vector of input 0.
    base: u8,
    mask: u8,
    requests: u8,
    in_service: u8,
    /// The lines as they are.
    lines: u8,
    /// Inputs of which the level counts, not the edge.
    levels: u8,
    /// The next initialization command word, if one is expected: 2, 3 or 4.
    expects: u8,
    needs_fourth: bool,
    reads_in_service: bool,
    ends_by_itself: bool,
}

impl Controller {
    fn set_line(&mut self, input: u8, is_up: bool) {
        let bit = 1 << input;
        let was_up = self.lines & bit != 0;
        if is_up {
            self.lines |= bit;
            if !was_up || self.levels & bit != 0 {
                self.requests |= bit;
            }
        } else {
            self.lines &= !bit;
            if self.levels & bit != 0 || input == CASCADE {
                self.requests &= !bit;
            }
        }
    }

    /// The input that interrupts now: the first that is requested and not masked, if none before it is in service.
    fn pending(&self) -> Option<u8> {
        let requests = self.requests & !self.mask;
        let first = u8::try_from(requests.trailing_zeros()).unwrap_or(8);
        let served = u8::try_from(self.in_service.trailing_zeros()).unwrap_or(8);
        (first < served).then_some(first)
    }

    fn acknowledge(&mut self) -> u8 {
        // An interrupt that has gone away meanwhile is one of input 7.
        let Some(input) = self.pending() else { return self.base | 7 };
        let bit = 1 << input;
        if self.levels & bit == 0 {
            self.requests &= !bit;
        }
        if !self.ends_by_itself {
            self.in_service |= bit;
        }
        self.base | input
    }

    fn write_command(&mut self, value: u8) {
        if value & 0x10 != 0 {
            *self = Self { base: self.base, lines: self.lines, levels: self.levels, expects: 2, ..Self::default() };
            self.needs_fourth = value & 1 != 0;
        } else if value & 0x08 != 0 {
            if value & 0x02 != 0 {
                self.reads_in_service = value & 1 != 0;
            }
        } else if value & 0x20 != 0 {
            let input = if value & 0x40 != 0 { value & 7 } else { served(self.in_service) };
            self.in_service &= !(1 << input);
        }
    }

    fn write_data(&mut self, value: u8) {
        match self.expects {
            2 => {
                self.base = value & 0xf8;
                self.expects = 3;
            }
            3 => self.expects = if self.needs_fourth { 4 } else { 0 },
            4 => {
                self.ends_by_itself = value & 2 != 0;
                self.expects = 0;
            }
            _ => self.mask = value,
        }
    }

    fn read_command(&self) -> u8 {
        if self.reads_in_service { self.in_service } else { self.requests }
    }
}

/// The first input in service.
fn served(in_service: u8) -> u8 {
    u8::try_from(in_service.trailing_zeros()).unwrap_or(7).min(7)
}

/// Both controllers.
#[derive(Debug, Default)]
pub struct Pic {
    first: Controller,
    second: Controller,
}

impl Pic {
    /// Sets the line of an input, 0 to 15.
    pub fn set_line(&mut self, input: u8, is_up: bool) {
        match input.checked_sub(8) {
            None => self.first.set_line(input, is_up),
            Some(input) => self.second.set_line(input & 7, is_up),
        }
        self.cascade();
    }

    /// Whether the processor is interrupted.
    #[must_use]
    pub fn interrupts(&self) -> bool {
        self.first.pending().is_some()
    }

    /// The vector of the interrupt, as long as the processor does not take it and nothing changes.
    #[must_use]
    pub fn pending(&self) -> Option<u8> {
        let input = self.first.pending()?;
        let second = if input == CASCADE { self.second.pending() } else { None };
        Some(second.map_or(self.first.base | input, |input| self.second.base | input))
    }

    /// The vector of the interrupt, which the processor takes now.
    pub fn acknowledge(&mut self) -> u8 {
        let is_cascade = self.first.pending() == Some(CASCADE);
        let vector = self.first.acknowledge();
        let vector = if is_cascade { self.second.acknowledge() } else { vector };
        self.cascade();
        vector
    }

    /// Reads a port of the controllers; `None` if it is none.
    #[must_use]
    pub fn read(&self, port: u16) -> Option<u8> {
        Some(match port {
            0x20 => self.first.read_command(),
            0x21 => self.first.mask,
            0xa0 => self.second.read_command(),
            0xa1 => self.second.mask,
            0x4d0 => self.first.levels,
            0x4d1 => self.second.levels,
            _ => return None,
        })
    }

    /// Writes a port of the controllers. False if it is none.
    pub fn write(&mut self, port: u16, value: u8) -> bool {
        match port {
            0x20 => self.first.write_command(value),
            0x21 => self.first.write_data(value),
            0xa0 => self.second.write_command(value),
            0xa1 => self.second.write_data(value),
            // The timer, the keyboard, the cascade and the clock are edges for ever.
            0x4d0 => self.first.levels = value & 0xf8,
            0x4d1 => self.second.levels = value & 0xde,
            _ => return false,
        }
        self.cascade();
        true
    }

    fn cascade(&mut self) {
        let is_up = self.second.pending().is_some();
        self.first.set_line(CASCADE, is_up);
        // While one of its inputs is served, another may come in between.
        if is_up {
            self.first.requests |= 1 << CASCADE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pic;

    /// As a PC's kernel sets it up: vectors from 30H and 38H, nothing masked.
    fn pic() -> Pic {
        let mut pic = Pic::default();
        for (command, data, base, cascade) in [(0x20, 0x21, 0x30, 4), (0xa0, 0xa1, 0x38, 2)] {
            pic.write(command, 0x11);
            for value in [base, cascade, 1, 0] {
                pic.write(data, value);
            }
        }
        pic
    }

    #[test]
    fn an_edge_interrupts_once() {
        let mut pic = pic();
        pic.set_line(4, true);
        assert!(pic.interrupts());
        assert_eq!(pic.acknowledge(), 0x34);
        assert!(!pic.interrupts());
        pic.write(0x20, 0x20);
        assert!(!pic.interrupts(), "the line has not moved");
        pic.set_line(4, false);
        pic.set_line(4, true);
        assert_eq!(pic.acknowledge(), 0x34);
    }

    #[test]
    fn the_second_comes_through_the_first() {
        let mut pic = pic();
        pic.set_line(8, true);
        assert_eq!(pic.pending(), Some(0x38));
        assert_eq!(pic.acknowledge(), 0x38);
        assert_eq!(pic.pending(), None);
        pic.set_line(0, true);
        assert_eq!(pic.acknowledge(), 0x30, "input 0 comes before input 2");
        pic.write(0x20, 0x20);
        pic.set_line(9, true);
        assert!(!pic.interrupts(), "input 8 is in service");
        pic.write(0xa0, 0x20);
        pic.write(0x20, 0x62);
        assert_eq!(pic.acknowledge(), 0x39);
    }

    #[test]
    fn a_level_interrupts_while_it_is_up() {
        let mut pic = pic();
        pic.write(0x4d1, 0x02);
        assert_eq!(pic.read(0x4d1), Some(0x02));
        pic.set_line(9, true);
        assert_eq!(pic.acknowledge(), 0x39);
        pic.write(0xa0, 0x20);
        pic.write(0x20, 0x20);
        assert!(pic.interrupts());
        pic.set_line(9, false);
        assert!(!pic.interrupts());
        assert_eq!(pic.acknowledge(), 0x37, "spurious");
    }

    #[test]
    fn masks_and_registers_are_read_back() {
        let mut pic = pic();
        pic.write(0x21, 0xfb);
        pic.set_line(4, true);
        assert!(!pic.interrupts());
        assert_eq!((pic.read(0x21), pic.read(0x20)), (Some(0xfb), Some(0x10)));
        pic.write(0x21, 0);
        pic.acknowledge();
        pic.write(0x20, 0x0b);
        assert_eq!(pic.read(0x20), Some(0x10));
        assert_eq!(pic.read(0x22), None);
        assert!(!pic.write(0x22, 0));
    }

    #[test]
    fn automatic_end_leaves_nothing_in_service() {
        let mut pic = pic();
        pic.write(0x20, 0x11);
        for value in [0x40, 4, 3] {
            pic.write(0x21, value);
        }
        pic.set_line(1, true);
        assert_eq!(pic.acknowledge(), 0x41);
        pic.write(0x20, 0x0b);
        assert_eq!(pic.read(0x20), Some(0));
    }
}
