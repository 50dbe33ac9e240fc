//! String instructions.

use super::{MmioDevice, MmioRegister, MmioString, MmioStringKind};
use crate::GuestMemory;
use crate::addr::{Gpa, Gva};
use crate::guest_memory::AccessError;
use crate::guest_paging::{GuestAccess, GuestFault, GuestPaging, Privilege, to_page_end};
use crate::io::{MAX_ELEMENTS, Repetition};
use crate::linear;
use crate::operand::OperandSize;
use crate::register::Gpr;
use crate::segment::SegmentRegister;
use crate::vcpu::Vcpu;

/// Does the instruction element by element, and leaves the registers as a processor does after each of them. No more than
/// [`MAX_ELEMENTS`] at a time.
pub(super) fn complete<V: Vcpu>(
    string: MmioString,
    size: OperandSize,
    vcpu: &mut V,
    memory: &impl GuestMemory,
    device: &mut impl MmioDevice,
) -> Result<Repetition, GuestFault> {
    let mask = string.address_size.mask();
    let bytes = u64::from(size.bytes());
    let step = if vcpu.rflags().df() { bytes.wrapping_neg() } else { bytes };
    let accumulator = MmioRegister { gpr: Gpr::Rax, size, is_high_byte: false };
    let bus = Bus { paging: GuestPaging::of(vcpu), privilege: Privilege::of(vcpu), memory, size };
    let mut elements = 0;
    while !string.repeat || vcpu.gprs().rcx & mask != 0 {
        if elements == MAX_ELEMENTS {
            return Ok(Repetition::Pending);
        }
        elements += 1;
        let source = Gva::new(linear::address(vcpu, string.segment, vcpu.gprs().rsi & mask));
        let destination = Gva::new(linear::address(vcpu, SegmentRegister::Es, vcpu.gprs().rdi & mask));
        let advance = |vcpu: &mut V, register| {
            let offset = vcpu.gpr(register);
            vcpu.set_gpr(register, string.address_size.merge(offset, offset.wrapping_add(step)));
        };
        match string.kind {
            MmioStringKind::Load => {
                let value = bus.read(source, device)?;
                accumulator.write(vcpu, value);
                advance(vcpu, Gpr::Rsi);
            }
            MmioStringKind::Store => {
                bus.write(destination, accumulator.read(vcpu), device)?;
                advance(vcpu, Gpr::Rdi);
            }
            MmioStringKind::Move => {
                // A fault of the destination comes before a device loses what it is asked for.
                bus.paging.translate(memory, destination, GuestAccess::write(bus.privilege))?;
                let value = bus.read(source, device)?;
                bus.write(destination, value, device)?;
                advance(vcpu, Gpr::Rsi);
                advance(vcpu, Gpr::Rdi);
            }
        }
        if !string.repeat {
            break;
        }
        let rcx = vcpu.gprs().rcx;
        vcpu.gprs_mut().rcx = string.address_size.merge(rcx, rcx.wrapping_sub(1));
    }
    Ok(Repetition::Done)
}

/// The guest's memory, and a device where it has none.
struct Bus<'m, M> {
    paging: GuestPaging,
    privilege: Privilege,
    memory: &'m M,
    size: OperandSize,
}

impl<M: GuestMemory> Bus<'_, M> {
    fn read(&self, gva: Gva, device: &mut impl MmioDevice) -> Result<u64, GuestFault> {
        let mut bytes = [0; 8];
        let Some(element) = bytes.get_mut(..usize::from(self.size.bytes())) else { return Ok(0) };
        if let Some(gpa) = self.device_address(gva, GuestAccess::read(self.privilege))? {
            let is_there = self.memory.read(gpa, element);
            return match is_there {
                Ok(()) => Ok(u64::from_le_bytes(bytes)),
                Err(AccessError::NotMapped { .. } | AccessError::Denied { .. }) => {
                    Ok(device.read(gpa, self.size) & self.size.mask())
                }
                Err(error) => Err(GuestFault::Memory { gva, error }),
            };
        }
        self.paging.read(self.memory, gva, self.privilege, element)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn write(&self, gva: Gva, value: u64, device: &mut impl MmioDevice) -> Result<(), GuestFault> {
        let bytes = value.to_le_bytes();
        let Some(element) = bytes.get(..usize::from(self.size.bytes())) else { return Ok(()) };
        if let Some(gpa) = self.device_address(gva, GuestAccess::write(self.privilege))? {
            return match self.memory.write(gpa, element) {
                Ok(()) => Ok(()),
                Err(AccessError::NotMapped { .. } | AccessError::Denied { .. }) => {
                    device.write(gpa, self.size, value & self.size.mask());
                    Ok(())
                }
                Err(error) => Err(GuestFault::Memory { gva, error }),
            };
        }
        self.paging.write(self.memory, gva, self.privilege, element)
    }

    /// Where an element is that may be a device's; `None` for one in two pages, which is not.
    fn device_address(&self, gva: Gva, access: GuestAccess) -> Result<Option<Gpa>, GuestFault> {
        if to_page_end(gva) < usize::from(self.size.bytes()) {
            return Ok(None);
        }
        Ok(Some(self.paging.access(self.memory, gva, access)?.gpa))
    }
}
