//! An operand in two pages, each of which is memory or a device.

use super::MmioDevice;
use crate::GuestMemory;
use crate::addr::Gpa;
use crate::guest_memory::AccessError;
use crate::guest_paging::GuestFault;
use crate::operand::OperandSize;

/// An operand at a device, or one of which a part is.
pub(super) struct Bus<'b, M, D> {
    pub(super) gpa: Gpa,
    /// Where the part beyond the end of the page is.
    pub(super) second: Option<Gpa>,
    pub(super) size: OperandSize,
    pub(super) memory: &'b M,
    pub(super) device: &'b mut D,
}

impl<M: GuestMemory, D: MmioDevice> Bus<'_, M, D> {
    pub(super) fn read(&mut self) -> Result<u64, GuestFault> {
        let Some(second) = self.second else { return Ok(self.device.read(self.gpa, self.size) & self.size.mask()) };
        let mut bytes = [0; 8];
        let (low, high) = self.halves(&mut bytes);
        read_part(self.gpa, low, self.memory, self.device)?;
        read_part(second, high, self.memory, self.device)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn write(&mut self, value: u64) -> Result<(), GuestFault> {
        let value = value & self.size.mask();
        let Some(second) = self.second else {
            self.device.write(self.gpa, self.size, value);
            return Ok(());
        };
        let mut bytes = value.to_le_bytes();
        let (low, high) = self.halves(&mut bytes);
        write_part(self.gpa, low, self.memory, self.device)?;
        write_part(second, high, self.memory, self.device)
    }

    /// The bytes in the first and in the second page.
    fn halves<'v>(&self, bytes: &'v mut [u8; 8]) -> (&'v mut [u8], &'v mut [u8]) {
        let first = usize::try_from(0x1000 - self.gpa.get() % 0x1000).unwrap_or(0);
        let size = usize::from(self.size.bytes());
        let (operand, _) = bytes.split_at_mut(size.min(8));
        operand.split_at_mut(first.min(size))
    }
}

/// The largest access that starts at `gpa`, is aligned, and has no more than `left` bytes: as a bus splits it.
fn step(gpa: Gpa, left: usize) -> OperandSize {
    [OperandSize::Bits32, OperandSize::Bits16]
        .into_iter()
        .find(|size| usize::from(size.bytes()) <= left && gpa.get().is_multiple_of(u64::from(size.bytes())))
        .unwrap_or(OperandSize::Bits8)
}

fn read_part(
    gpa: Gpa,
    part: &mut [u8],
    memory: &impl GuestMemory,
    device: &mut impl MmioDevice,
) -> Result<(), GuestFault> {
    if is_memory(memory.read(gpa, part), gpa)? {
        return Ok(());
    }
    let (mut gpa, mut part) = (gpa, part);
    while !part.is_empty() {
        let size = step(gpa, part.len());
        let (now, rest) = part.split_at_mut(usize::from(size.bytes()).min(part.len()));
        for (byte, value) in now.iter_mut().zip(device.read(gpa, size).to_le_bytes()) {
            *byte = value;
        }
        gpa = Gpa::new(gpa.get().wrapping_add(u64::from(size.bytes())));
        part = rest;
    }
    Ok(())
}

fn write_part(
    gpa: Gpa,
    part: &[u8],
    memory: &impl GuestMemory,
    device: &mut impl MmioDevice,
) -> Result<(), GuestFault> {
    if is_memory(memory.write(gpa, part), gpa)? {
        return Ok(());
    }
    let (mut gpa, mut part) = (gpa, part);
    while !part.is_empty() {
        let size = step(gpa, part.len());
        let (now, rest) = part.split_at(usize::from(size.bytes()).min(part.len()));
        let mut value = [0; 8];
        for (byte, from) in value.iter_mut().zip(now) {
            *byte = *from;
        }
        device.write(gpa, size, u64::from_le_bytes(value));
        gpa = Gpa::new(gpa.get().wrapping_add(u64::from(size.bytes())));
        part = rest;
    }
    Ok(())
}

/// Whether memory answered. Where there is none, or not for this access, the device does.
fn is_memory(result: Result<(), AccessError>, gpa: Gpa) -> Result<bool, GuestFault> {
    match result {
        Ok(()) => Ok(true),
        Err(AccessError::NotMapped { .. } | AccessError::Denied { .. }) => Ok(false),
        // There is no linear address to tell of: it was translated.
        Err(error) => Err(GuestFault::Memory { gva: crate::addr::Gva::new(gpa.get()), error }),
    }
}
