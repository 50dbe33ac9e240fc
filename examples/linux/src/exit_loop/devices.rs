//! The board as one processor sees it while it executes an instruction.

use x86_virt::{Gpa, IoSize, MmioDevice, OperandSize, Ports};

use crate::board::Board;
use crate::clock::Ticks;

/// The board, the processor, and the time.
pub(super) struct Devices<'a> {
    pub(super) board: &'a mut Board,
    pub(super) processor: usize,
    pub(super) now: Ticks,
    /// How often nothing was there.
    pub(super) absent: u64,
}

impl Ports for Devices<'_> {
    fn read(&mut self, port: u16, size: IoSize) -> u32 {
        self.board.read_port(port, size, self.now)
    }

    fn write(&mut self, port: u16, size: IoSize, value: u32) {
        self.board.write_port(port, size, value, self.now);
    }
}

/// Registers in memory have 4 bytes at a multiple of 4; a part can be read, and wider accesses begin there.
impl MmioDevice for Devices<'_> {
    fn read(&mut self, gpa: Gpa, _size: OperandSize) -> u64 {
        let (register, byte) = (gpa.get() & !3, gpa.get() & 3);
        match self.board.read_memory(self.processor, register, self.now) {
            Some(value) => u64::from(value) >> (8 * byte),
            None => {
                self.absent += 1;
                u64::MAX
            }
        }
    }

    fn write(&mut self, gpa: Gpa, _size: OperandSize, value: u64) {
        let value = u32::try_from(value & 0xffff_ffff).unwrap_or(0);
        let is_there = gpa.get() & 3 == 0 && self.board.write_memory(self.processor, gpa.get(), value, self.now);
        self.absent += u64::from(!is_there);
    }
}
