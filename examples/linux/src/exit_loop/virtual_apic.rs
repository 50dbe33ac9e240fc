//! A local APIC of which the processor does a part.

use x86_virt::{
    ApicAccess, ApicInterface, ApicState, ApicVirtualization, Gpa, GuestApic, GuestMemory, Mmio, MmioDevice,
    OperandSize,
};

use super::devices::Devices;
use super::{Processor, RunError};
use crate::board::Board;
use crate::clock::Ticks;
use crate::host::Host;
use crate::interrupt::Trigger;
use crate::local_apic::{self, LocalApic, virtualized};

/// What this example lets the processor do, if it does anything.
pub const VIRTUALIZED: ApicVirtualization =
    ApicVirtualization::new(ApicInterface::Memory).with_registers().with_interrupts();

/// The first register of the trigger modes.
const LEVELS: u16 = 0x180;

/// Interrupts whose end the I/O APIC must be told of, as bits.
pub(super) type Levels = [u64; 4];

/// Whether the processor does a part.
pub(super) fn is_used<V: GuestApic>(vcpu: &V) -> bool {
    vcpu.apic_virtualization().is_some_and(|done| done.delivers_interrupts)
}

impl<M: GuestMemory, H: Host> Processor<'_, M, H> {
    /// After a reset, or when the guest reaches the registers in another way: the processor has them as `apic` has.
    pub(super) fn show_apic<V: GuestApic>(
        vcpu: &mut V,
        apic: &LocalApic,
        now: Ticks,
    ) -> Result<(), RunError<V::EntryError>> {
        vcpu.set_apic_virtualization(VIRTUALIZED.with_interface(apic.reached()))?;
        for number in virtualized::SHOWN {
            show(vcpu, apic, number, now)?;
        }
        Ok(())
    }

    /// The virtual processor begins: nothing is requested or in service.
    pub(super) fn reset_apic<V: GuestApic>(
        &mut self,
        vcpu: &mut V,
        board: &mut Board,
    ) -> Result<(), RunError<V::EntryError>> {
        vcpu.set_apic_state(&ApicState::new())?;
        self.levels = Levels::default();
        vcpu.set_eoi_exits(self.levels)?;
        match board.apic(self.number) {
            Some(apic) => Self::show_apic(vcpu, apic, self.host.now()),
            None => Ok(()),
        }
    }

    /// Gives the processor what was requested of the local APIC.
    pub(super) fn hand_over<V: GuestApic>(
        &mut self,
        vcpu: &mut V,
        board: &mut Board,
    ) -> Result<(), RunError<V::EntryError>> {
        let Some(apic) = board.apic(self.number) else { return Ok(()) };
        while let Some((vector, trigger)) = apic.take_requested() {
            let before = self.levels;
            if let Some(word) = self.levels.get_mut(usize::from(vector / 64)) {
                let bit = 1 << (vector % 64);
                *word = if trigger == Trigger::Level { *word | bit } else { *word & !bit };
            }
            if self.levels != before {
                vcpu.set_eoi_exits(self.levels)?;
                let parts = self.levels.into_iter().flat_map(|word| [word & 0xffff_ffff, word >> 32]);
                for (offset, part) in (LEVELS..).step_by(16).zip(parts) {
                    vcpu.set_apic_register(offset, part)?;
                }
            }
            vcpu.raise_interrupt(vector)?;
        }
        Ok(())
    }

    /// The guest has written a register.
    pub(super) fn apic_write<V: GuestApic>(&self, vcpu: &mut V, offset: u16) -> Result<(), RunError<V::EntryError>> {
        let value = vcpu.apic_register(offset).unwrap_or(0);
        let value = u32::try_from(value & 0xffff_ffff).unwrap_or(0);
        let mut board = self.guest.board.lock();
        let now = self.host.now();
        board.write_memory(self.number, local_apic::BASE + u64::from(offset), value, now);
        let number = u8::try_from(offset >> 4).unwrap_or(0);
        self.apic_written(vcpu, &mut board, number, now)
    }

    /// The register with this number has been written, in whatever way: the processor has it as it is now.
    pub(super) fn apic_written<V: GuestApic>(
        &self,
        vcpu: &mut V,
        board: &mut Board,
        number: u8,
        now: Ticks,
    ) -> Result<(), RunError<V::EntryError>> {
        match board.apic(self.number) {
            // The entries of the local vector table depend on it.
            Some(apic) if number == virtualized::SPURIOUS => Self::show_apic(vcpu, apic, now),
            Some(apic) if virtualized::SHOWN.contains(&number) => show(vcpu, apic, number, now),
            _ => Ok(()),
        }
    }

    /// An access to registers in memory that the processor does not do.
    pub(super) fn apic_access<V: GuestApic>(
        &self,
        vcpu: &mut V,
        access: ApicAccess,
    ) -> Result<(), RunError<V::EntryError>> {
        let memory = &self.guest.memory;
        let mmio = Mmio::of_apic_access(vcpu, memory, access, Gpa::new(local_apic::BASE))?;
        let number = u8::try_from(access.offset >> 4).unwrap_or(0);
        let kept = virtualized::is_of_processor(number).then(|| vcpu.apic_register(access.offset & !0xf)).flatten();
        let mut board = self.guest.board.lock();
        let now = self.host.now();
        let devices = Devices { board: &mut board, processor: self.number, now, absent: 0 };
        mmio.complete(vcpu, memory, &mut Registers { devices, kept })?;
        self.apic_written(vcpu, &mut board, number, now)
    }

    /// The guest has ended an interrupt that was a level.
    pub(super) fn apic_end(&self, vector: u8) {
        self.guest.board.lock().end_level(vector);
    }
}

fn show<V: GuestApic>(vcpu: &mut V, apic: &LocalApic, number: u8, now: Ticks) -> Result<(), RunError<V::EntryError>> {
    Ok(vcpu.set_apic_register(u16::from(number) << 4, apic.shown(number, now))?)
}

/// The registers, one of which the processor may have.
struct Registers<'a> {
    devices: Devices<'a>,
    kept: Option<u64>,
}

impl MmioDevice for Registers<'_> {
    fn read(&mut self, gpa: Gpa, size: OperandSize) -> u64 {
        match self.kept {
            Some(value) => value >> (8 * (gpa.get() & 3)),
            None => self.devices.read(gpa, size),
        }
    }

    fn write(&mut self, gpa: Gpa, size: OperandSize, value: u64) {
        // The processor does what can be written of its own.
        if self.kept.is_none() {
            self.devices.write(gpa, size, value);
        }
    }
}
