//! What each exit is answered with.

use x86_virt::{
    Access, CompleteError, ControlRegister, ControlRegisterAccess, Cr0, Cr4, Exception, ExitKind, GuestApic,
    GuestMemory, IoError, Mmio, MmioError, NestedFault, RegisterAccess, Vcpu,
};

use super::devices::Devices;
use super::virtual_apic;
use super::{Processor, RunError};
use crate::board::Ending;
use crate::host::Host;
use crate::local_apic;
use crate::msr::{self, Msr};

/// What KVM answers to a hypercall that it does not have, see `cpuid`.
const NO_SUCH_HYPERCALL: i64 = -1000;

impl<M: GuestMemory, H: Host> Processor<'_, M, H> {
    pub(super) fn answer<V: GuestApic>(&mut self, vcpu: &mut V, kind: ExitKind) -> Result<(), RunError<V::EntryError>> {
        match kind {
            ExitKind::HostInterrupt => self.host.take_interrupts(),
            ExitKind::HostNmi => {}
            ExitKind::Hlt => {
                vcpu.skip_instruction()?;
                self.is_halted = true;
            }
            ExitKind::Cpuid => self.cpuid(vcpu)?,
            ExitKind::Io(io) => {
                let mut board = self.guest.board.lock();
                let now = self.host.now();
                let mut devices = Devices { board: &mut board, processor: self.number, now, absent: 0 };
                match io.complete(vcpu, &self.guest.memory, &mut devices) {
                    Err(IoError::Memory(fault)) if vcpu.raise_fault(&fault)? => {}
                    result => result?,
                }
            }
            ExitKind::ReadMsr(number) => self.read_msr(vcpu, number)?,
            ExitKind::WriteMsr { msr, value } => self.write_msr(vcpu, msr, value)?,
            ExitKind::NestedFault(fault) => self.device_memory(vcpu, &fault)?,
            ExitKind::ApicWrite(offset) => self.apic_write(vcpu, offset)?,
            ExitKind::ApicAccess(access) => self.apic_access(vcpu, access)?,
            ExitKind::ApicEoi(vector) => self.apic_end(vector),
            ExitKind::ControlRegister(access) => self.control_register(vcpu, access)?,
            ExitKind::DebugRegister { number, access } => debug_register(vcpu, number, access)?,
            ExitKind::Xsetbv { register, value } => vcpu.complete_xsetbv(register, value)?,
            ExitKind::Wbinvd | ExitKind::Invd | ExitKind::Pause => vcpu.skip_instruction()?,
            ExitKind::Hypercall => {
                vcpu.skip_instruction()?;
                vcpu.gprs_mut().rax = NO_SUCH_HYPERCALL.cast_unsigned();
            }
            ExitKind::Rdpmc(_) => vcpu.raise(Exception::general_protection(0))?,
            // CPUID does not have them.
            ExitKind::Virtualization(_) | ExitKind::Instruction(_) | ExitKind::Monitor | ExitKind::Mwait => {
                vcpu.raise(Exception::INVALID_OPCODE)?;
            }
            ExitKind::Shutdown => self.end(Ending::Shutdown),
            kind => return Err(RunError::NotHandled { kind, rip: vcpu.rip() }),
        }
        Ok(())
    }

    fn cpuid<V: Vcpu>(&self, vcpu: &mut V) -> Result<(), RunError<V::EntryError>> {
        let [leaf, subleaf] = [vcpu.gprs().rax, vcpu.gprs().rcx].map(low_half);
        let cr4 = Cr4::from(vcpu.control(ControlRegister::Cr4));
        Ok(vcpu.complete_cpuid(self.cpuid.answer(leaf, subleaf, cr4))?)
    }

    fn read_msr<V: Vcpu>(&mut self, vcpu: &mut V, number: u32) -> Result<(), RunError<V::EntryError>> {
        let mut board = self.guest.board.lock();
        let now = self.host.now();
        let value = match msr::of(number) {
            Some(Msr::ApicBase) => board.apic(self.number).map(|apic| apic.base()),
            Some(Msr::Deadline) => board.apic(self.number).map(|apic| apic.deadline()),
            Some(Msr::Apic) => board.read_apic(self.number, number, now).ok(),
            Some(Msr::Counter) => Some(now),
            Some(Msr::Efer) => Some(vcpu.efer().into_bits()),
            Some(Msr::Constant(value)) => Some(value),
            None => None,
        };
        drop(board);
        match value {
            Some(value) => Ok(vcpu.complete_edx_eax(value)?),
            None => self.refuse_msr(vcpu, number),
        }
    }

    fn write_msr<V: GuestApic>(
        &mut self,
        vcpu: &mut V,
        number: u32,
        value: u64,
    ) -> Result<(), RunError<V::EntryError>> {
        let mut board = self.guest.board.lock();
        let now = self.host.now();
        let done = match msr::of(number) {
            Some(Msr::ApicBase) => board.apic(self.number).and_then(|apic| apic.set_base(value).ok()),
            Some(Msr::Deadline) => board.apic(self.number).map(|apic| apic.set_deadline(value)),
            Some(Msr::Apic) => board.write_apic(self.number, number, value, now).ok(),
            Some(Msr::Efer) => {
                let is_paging = Cr0::from(vcpu.control(ControlRegister::Cr0)).pg();
                msr::write_efer(vcpu.efer(), value, is_paging).map(|efer| vcpu.set_efer(efer))
            }
            Some(Msr::Constant(_)) => Some(()),
            Some(Msr::Counter) | None => None,
        };
        if done.is_some() && virtual_apic::is_used(vcpu) {
            match (msr::of(number), board.apic(self.number)) {
                (Some(Msr::ApicBase), Some(apic)) => Self::show_apic(vcpu, apic, now)?,
                (Some(Msr::Apic), _) => self.apic_written(vcpu, &mut board, local_apic::number_of(number), now)?,
                _ => {}
            }
        }
        drop(board);
        match done {
            Some(()) => Ok(vcpu.skip_instruction()?),
            None => self.refuse_msr(vcpu, number),
        }
    }

    fn refuse_msr<V: Vcpu>(&mut self, vcpu: &mut V, number: u32) -> Result<(), RunError<V::EntryError>> {
        self.account.refuse(number);
        Ok(vcpu.raise(Exception::general_protection(0))?)
    }

    /// An access to memory that is not RAM: a device's, or nothing's.
    fn device_memory<V: Vcpu>(&mut self, vcpu: &mut V, fault: &NestedFault) -> Result<(), RunError<V::EntryError>> {
        let no_memory = RunError::NoMemory { gpa: fault.gpa, rip: vcpu.rip() };
        if fault.access.contains(Access::EXECUTE) {
            return Err(no_memory);
        }
        let memory = &self.guest.memory;
        let mmio = match Mmio::of(vcpu, memory, fault) {
            Err(MmioError::TableWalk { .. }) => return Err(no_memory),
            mmio => mmio?,
        };
        let mut board = self.guest.board.lock();
        let now = self.host.now();
        let mut devices = Devices { board: &mut board, processor: self.number, now, absent: 0 };
        match mmio.complete(vcpu, memory, &mut devices) {
            Err(MmioError::Memory(fault)) if vcpu.raise_fault(&fault)? => {}
            result => result?,
        }
        self.account.miss(devices.absent);
        Ok(())
    }

    /// CR8 is the task priority of the local APIC.
    fn control_register<V: Vcpu>(&self, vcpu: &mut V, access: ControlRegisterAccess) -> Result<(), CompleteError> {
        let ControlRegisterAccess::Move { register: ControlRegister::Cr8, access } = access else {
            return vcpu.complete_control_register(access);
        };
        let mut board = self.guest.board.lock();
        let Some(apic) = board.apic(self.number) else { return Ok(()) };
        match access {
            RegisterAccess::Read(destination) => vcpu.complete_register(destination, apic.cr8())?,
            RegisterAccess::Write(source) => {
                apic.set_cr8(vcpu.gpr(source));
                vcpu.skip_instruction()?;
            }
        }
        Ok(())
    }
}

/// Intel SDM vol. 3, section 19.2, "Debug Registers".
fn debug_register<V: Vcpu>(vcpu: &mut V, number: u8, access: RegisterAccess) -> Result<(), CompleteError> {
    let has_extensions = Cr4::from(vcpu.control(ControlRegister::Cr4)).de();
    let number = match number {
        4 | 5 if has_extensions => return Ok(vcpu.raise(Exception::INVALID_OPCODE)?),
        4 | 5 => number + 2,
        number => number,
    };
    let mut addresses = vcpu.breakpoints();
    let address = addresses.get_mut(usize::from(number));
    match access {
        RegisterAccess::Read(destination) => {
            let value = match (number, address) {
                (_, Some(address)) => *address,
                (6, _) => vcpu.dr6(),
                _ => vcpu.dr7(),
            };
            vcpu.complete_register(destination, value)?;
        }
        RegisterAccess::Write(source) => {
            let value = vcpu.gpr(source);
            let is_valid = match (number, address) {
                (_, Some(address)) => {
                    *address = value;
                    vcpu.set_breakpoints(addresses).is_ok()
                }
                _ if value >> 32 != 0 => false,
                (6, _) => {
                    vcpu.set_dr6(value);
                    true
                }
                _ => {
                    vcpu.set_dr7(value);
                    true
                }
            };
            if !is_valid {
                return Ok(vcpu.raise(Exception::general_protection(0))?);
            }
            vcpu.skip_instruction()?;
        }
    }
    Ok(())
}

fn low_half(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}
