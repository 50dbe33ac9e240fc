//! The local APIC of a virtual processor, in software: registers in memory or, as an x2APIC, in MSRs.
//!
//! Intel SDM vol. 3, chapter 12, "Advanced Programmable Interrupt Controller (APIC)".

mod register;
mod timer;
mod vectors;
pub mod virtualized;

use crate::clock::{Clock, Ticks};
use crate::interrupt::{Delivery, Destination, Message, Trigger};
use register::Register;
use timer::Timer;
use vectors::Vectors;

/// Where its registers are in guest-physical memory.
pub const BASE: u64 = 0xfee0_0000;
/// The first MSR of the x2APIC. Each register has one, by its offset / 16.
pub const FIRST_MSR: u32 = 0x800;
/// The last MSR of the x2APIC.
pub const LAST_MSR: u32 = 0x8ff;

/// Of the MSR that says where the APIC is.
const IS_BOOTSTRAP: u64 = 1 << 8;
const X2APIC: u64 = 1 << 10;
const ENABLED: u64 = 1 << 11;
/// Spurious-interrupt vector register.
const SOFTWARE_ENABLED: u32 = 1 << 8;
/// Local vector table.
const MASKED: u32 = 1 << 16;
const DELIVERY_EXTERNAL: u32 = 7 << 8;
const DELIVERY_MODE: u32 = 7 << 8;
/// The version of an integrated APIC, with six entries in its local vector table.
const VERSION: u32 = 0x14 | 5 << 16;
/// An interrupt's vector is below 16.
const ILLEGAL_VECTOR: u32 = 1 << 6;

/// The number of the register of an MSR from [`FIRST_MSR`] to [`LAST_MSR`].
#[must_use]
pub const fn number_of(msr: u32) -> u8 {
    let [number, ..] = msr.to_le_bytes();
    number
}

/// Where the registers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Disabled,
    Memory,
    Msrs,
}

/// What a write to a register does beside changing it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Effect {
    /// Nothing.
    None,
    /// A message goes out.
    Send(Message),
    /// The interrupt with this vector, which was a level, is over: the I/O APIC is told.
    End(u8),
}

/// There is no such MSR, or it does not take the value: the guest gets #GP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the APIC has no such register, or it does not take such a value")]
pub struct Refused;

/// Whether a local APIC can be an x2APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interface {
    /// Registers in memory only.
    Memory,
    /// Registers in memory, or in MSRs when the guest turns that on.
    MemoryOrMsrs,
}

/// A local APIC.
#[derive(Debug)]
pub struct LocalApic {
    id: u32,
    interface: Interface,
    mode: Mode,
    task_priority: u8,
    logical: u32,
    format: u32,
    spurious: u32,
    in_service: Vectors,
    requested: Vectors,
    levels: Vectors,
    timer: Timer,
    timer_entry: u32,
    /// Thermal, performance counters, LINT0, LINT1, error.
    entries: [u32; 5],
    command: u64,
    errors: u32,
    shown_errors: u32,
}

impl LocalApic {
    /// The APIC as it is after a reset, with identifier `id`.
    #[must_use]
    pub fn new(id: u32, interface: Interface, clock: Clock) -> Self {
        Self {
            id,
            interface,
            mode: Mode::Memory,
            task_priority: 0,
            logical: 0,
            format: u32::MAX,
            spurious: 0xff,
            in_service: Vectors::default(),
            requested: Vectors::default(),
            levels: Vectors::default(),
            timer: Timer::new(clock),
            timer_entry: MASKED,
            entries: [MASKED; 5],
            command: 0,
            errors: 0,
            shown_errors: 0,
        }
    }

    /// What INIT does: everything is as after a reset but the identifier and the mode.
    pub fn init(&mut self) {
        let (mode, clock) = (self.mode, self.timer.clock());
        *self = Self { mode, ..Self::new(self.id, self.interface, clock) };
    }

    /// The MSR IA32_APIC_BASE.
    #[must_use]
    pub fn base(&self) -> u64 {
        let bootstrap = if self.id == 0 { IS_BOOTSTRAP } else { 0 };
        BASE | bootstrap
            | match self.mode {
                Mode::Disabled => 0,
                Mode::Memory => ENABLED,
                Mode::Msrs => ENABLED | X2APIC,
            }
    }

    /// Writes the MSR IA32_APIC_BASE. The registers cannot be moved.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the mode or the address is not possible.
    pub fn set_base(&mut self, value: u64) -> Result<(), Refused> {
        let mode = match value & (ENABLED | X2APIC) {
            0 => Mode::Disabled,
            ENABLED if self.mode != Mode::Msrs => Mode::Memory,
            both if both == ENABLED | X2APIC
                && self.interface == Interface::MemoryOrMsrs
                && self.mode != Mode::Disabled =>
            {
                Mode::Msrs
            }
            _ => return Err(Refused),
        };
        if value & !(ENABLED | X2APIC | IS_BOOTSTRAP) != BASE {
            return Err(Refused);
        }
        if mode == Mode::Disabled {
            self.init();
        }
        self.mode = mode;
        Ok(())
    }

    /// Reads the register at `offset` from [`BASE`]. `None` if there are no registers in memory now.
    #[must_use]
    pub fn read(&self, offset: u64, now: Ticks) -> Option<u32> {
        if self.mode != Mode::Memory {
            return None;
        }
        let number = u8::try_from(offset >> 4).ok()?;
        Some(self.get(number, now))
    }

    /// Writes the register at `offset` from [`BASE`].
    pub fn write(&mut self, offset: u64, value: u32, now: Ticks) -> Effect {
        match u8::try_from(offset >> 4) {
            Ok(number) if self.mode == Mode::Memory => self.set(number, value, now),
            _ => Effect::None,
        }
    }

    /// Reads an MSR from [`FIRST_MSR`] to [`LAST_MSR`].
    ///
    /// # Errors
    ///
    /// [`Refused`] if there is none.
    pub fn read_msr(&self, msr: u32, now: Ticks) -> Result<u64, Refused> {
        let number = self.msr_number(msr)?;
        match Register::of(number) {
            Some(Register::CommandLow) => Ok(self.command),
            Some(Register::End | Register::CommandHigh | Register::Format) | None => Err(Refused),
            Some(Register::Id) => Ok(self.id.into()),
            Some(_) => Ok(self.get(number, now).into()),
        }
    }

    /// Writes an MSR from [`FIRST_MSR`] to [`LAST_MSR`].
    ///
    /// # Errors
    ///
    /// [`Refused`] if there is none, or it does not take the value.
    pub fn write_msr(&mut self, msr: u32, value: u64, now: Ticks) -> Result<Effect, Refused> {
        let number = self.msr_number(msr)?;
        if number == register::SELF_IPI {
            let [vector, ..] = value.to_le_bytes();
            let (destination, delivery) = (Destination::Oneself, Delivery::Fixed);
            return Ok(Effect::Send(Message { destination, delivery, vector, trigger: Trigger::Edge }));
        }
        let register = Register::of(number).filter(|register| register.is_written_by_msr()).ok_or(Refused)?;
        if register == Register::CommandLow {
            self.command = value & !(1 << 12);
            return Ok(self.send());
        }
        let value = u32::try_from(value).map_err(|_| Refused)?;
        if value != 0 && matches!(register, Register::End | Register::ErrorStatus) {
            return Err(Refused);
        }
        Ok(self.set(number, value, now))
    }

    /// Whether the APIC takes a message from `sender`.
    #[must_use]
    pub fn is_addressed(&self, destination: Destination, sender: Option<u32>) -> bool {
        match destination {
            Destination::Physical(id) => id == self.id || id == 0xff || id == u32::MAX,
            Destination::Logical(mask) => self.is_logical(mask),
            Destination::Oneself => sender == Some(self.id),
            Destination::All => true,
            Destination::Others => sender != Some(self.id),
        }
    }

    /// Requests an interrupt.
    pub fn request(&mut self, vector: u8, trigger: Trigger) {
        if self.mode == Mode::Disabled || self.spurious & SOFTWARE_ENABLED == 0 {
            return;
        }
        if vector < 16 {
            self.errors |= ILLEGAL_VECTOR;
            return;
        }
        self.requested.insert(vector);
        if trigger == Trigger::Level {
            self.levels.insert(vector);
        } else {
            self.levels.remove(vector);
        }
    }

    /// The interrupt that the processor is to take now, if any.
    #[must_use]
    pub fn pending(&self) -> Option<u8> {
        self.requested.highest().filter(|vector| vector >> 4 > self.processor_priority() >> 4)
    }

    /// The processor takes the interrupt that is [`pending`](Self::pending).
    pub fn accept(&mut self, vector: u8) {
        self.requested.remove(vector);
        self.in_service.insert(vector);
    }

    /// Whether the PC's interrupt controller reaches the processor through this APIC.
    #[must_use]
    pub fn takes_external(&self) -> bool {
        let [_, _, lint0, ..] = self.entries;
        self.mode == Mode::Disabled
            || self.spurious & SOFTWARE_ENABLED != 0 && lint0 & (MASKED | DELIVERY_MODE) == DELIVERY_EXTERNAL
    }

    /// Requests the timer's interrupt if its time has come.
    pub fn run_timer(&mut self, now: Ticks) {
        if self.timer.take_expired(self.timer_entry, now) && self.timer_entry & MASKED == 0 {
            let [vector, ..] = self.timer_entry.to_le_bytes();
            self.request(vector, Trigger::Edge);
        }
    }

    /// When the timer's time comes.
    #[must_use]
    pub fn next_event(&self) -> Option<Ticks> {
        if self.timer_entry & MASKED != 0 { None } else { self.timer.expires(self.timer_entry) }
    }

    /// The MSR IA32_TSC_DEADLINE.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        self.timer.deadline()
    }

    /// Writes the MSR IA32_TSC_DEADLINE.
    pub fn set_deadline(&mut self, deadline: Ticks) {
        self.timer.set_deadline(self.timer_entry, deadline);
    }

    /// The task priority, as CR8 has it.
    #[must_use]
    pub fn cr8(&self) -> u64 {
        u64::from(self.task_priority >> 4)
    }

    /// Sets the task priority, as CR8 does.
    pub fn set_cr8(&mut self, value: u64) {
        self.task_priority = u8::try_from((value & 0xf) << 4).unwrap_or(0);
    }

    fn is_logical(&self, mask: u32) -> bool {
        match self.mode {
            Mode::Disabled => false,
            Mode::Msrs => {
                let own = self.logical_x2apic();
                mask >> 16 == own >> 16 && mask & own & 0xffff != 0
            }
            Mode::Memory => {
                let (own, mask) = (self.logical >> 24, mask & 0xff);
                let is_flat = self.format >> 28 == 0xf;
                if is_flat { own & mask != 0 } else { own >> 4 == mask >> 4 && own & mask & 0xf != 0 }
            }
        }
    }

    const fn logical_x2apic(&self) -> u32 {
        self.id >> 4 << 16 | 1 << (self.id & 0xf)
    }

    /// Intel SDM vol. 3, section 12.8.3.1, "Task and Processor Priorities".
    fn processor_priority(&self) -> u8 {
        let served = self.in_service.highest().unwrap_or(0);
        if self.task_priority >> 4 >= served >> 4 { self.task_priority } else { served & 0xf0 }
    }

    fn msr_number(&self, msr: u32) -> Result<u8, Refused> {
        if self.mode != Mode::Msrs {
            return Err(Refused);
        }
        msr.checked_sub(FIRST_MSR).and_then(|number| u8::try_from(number).ok()).ok_or(Refused)
    }

    fn get(&self, number: u8, now: Ticks) -> u32 {
        let [low, high] = [self.command & 0xffff_ffff, self.command >> 32].map(|half| u32::try_from(half).unwrap_or(0));
        match Register::of(number) {
            Some(Register::Id) => self.id << 24,
            Some(Register::Version) => VERSION,
            Some(Register::TaskPriority) => self.task_priority.into(),
            Some(Register::ProcessorPriority) => self.processor_priority().into(),
            Some(Register::Logical) if self.mode == Mode::Msrs => self.logical_x2apic(),
            Some(Register::Logical) => self.logical,
            Some(Register::Format) => self.format,
            Some(Register::Spurious) => self.spurious,
            Some(Register::InService(word)) => self.in_service.word(word),
            Some(Register::Level(word)) => self.levels.word(word),
            Some(Register::Requested(word)) => self.requested.word(word),
            Some(Register::ErrorStatus) => self.shown_errors,
            Some(Register::CommandLow) => low,
            Some(Register::CommandHigh) => high,
            Some(Register::TimerEntry) => self.timer_entry,
            Some(Register::Entry(index)) => self.entries.get(index).copied().unwrap_or(MASKED),
            Some(Register::InitialCount) => self.timer.initial(),
            Some(Register::CurrentCount) => self.timer.current(self.timer_entry, now),
            Some(Register::Divide) => self.timer.divide(),
            Some(Register::End) | None => 0,
        }
    }

    fn set(&mut self, number: u8, value: u32, now: Ticks) -> Effect {
        match Register::of(number) {
            Some(Register::TaskPriority) => [self.task_priority, ..] = value.to_le_bytes(),
            Some(Register::End) => return self.end(),
            Some(Register::Logical) => self.logical = value & 0xff00_0000,
            Some(Register::Format) => self.format = value | 0x0fff_ffff,
            Some(Register::Spurious) => {
                self.spurious = value & 0x3ff;
                if value & SOFTWARE_ENABLED == 0 {
                    self.timer_entry |= MASKED;
                    self.entries = self.entries.map(|entry| entry | MASKED);
                }
            }
            Some(Register::ErrorStatus) => self.shown_errors = core::mem::take(&mut self.errors),
            Some(Register::CommandHigh) => {
                self.command = self.command & 0xffff_ffff | u64::from(value & 0xff00_0000) << 32;
            }
            Some(Register::CommandLow) => {
                self.command = self.command & !0xffff_ffff | u64::from(value & !(1 << 12));
                return self.send();
            }
            Some(Register::TimerEntry) => {
                let value = self.entry(value & 0x7_00ff);
                self.timer.change_mode(self.timer_entry, value);
                self.timer_entry = value;
            }
            Some(Register::Entry(index)) => {
                let value = self.entry(value & 0x1_a7ff);
                if let Some(entry) = self.entries.get_mut(index) {
                    *entry = value;
                }
            }
            Some(Register::InitialCount) => self.timer.set_initial(self.timer_entry, value, now),
            Some(Register::Divide) => self.timer.set_divide(value, now),
            _ => {}
        }
        Effect::None
    }

    /// An entry of the local vector table stays masked while the APIC is disabled.
    fn entry(&self, value: u32) -> u32 {
        if self.spurious & SOFTWARE_ENABLED == 0 { value | MASKED } else { value }
    }

    fn end(&mut self) -> Effect {
        let Some(vector) = self.in_service.highest() else { return Effect::None };
        self.in_service.remove(vector);
        if self.levels.contains(vector) { Effect::End(vector) } else { Effect::None }
    }

    fn send(&self) -> Effect {
        let [vector, mode, shorthand, ..] = self.command.to_le_bytes();
        let is_logical = mode & 1 << 3 != 0;
        let id = match self.mode {
            Mode::Msrs => self.command >> 32,
            _ => self.command >> 56,
        };
        let id = u32::try_from(id).unwrap_or(0);
        let destination = match shorthand >> 2 & 3 {
            0 if is_logical => Destination::Logical(id),
            0 => Destination::Physical(id),
            1 => Destination::Oneself,
            2 => Destination::All,
            _ => Destination::Others,
        };
        let delivery = Delivery::from_bits(mode);
        // The signal that ends INIT does nothing on an integrated APIC.
        let is_end_of_init = delivery == Delivery::Init && mode & 1 << 6 == 0;
        if is_end_of_init {
            return Effect::None;
        }
        Effect::Send(Message { destination, delivery, vector, trigger: Trigger::Edge })
    }
}

#[cfg(test)]
mod tests;
