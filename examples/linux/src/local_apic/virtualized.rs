//! A local APIC of which the processor does a part: it has the priorities, what is in service, and what is requested of it. The rest is
//! here, and the registers are shown to it.

use x86_virt::ApicInterface;

use super::register::Register;
use super::{FIRST_MSR, LocalApic, Mode};
use crate::clock::Ticks;
use crate::interrupt::Trigger;

/// The registers that change only here: identifier, version, logical destination, format, spurious vector, errors, command, local vector
/// table, initial count and divisor.
pub const SHOWN: [u8; 16] =
    [0x02, 0x03, 0x0d, 0x0e, 0x0f, 0x28, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x3e];
/// The number of the spurious-interrupt vector register, on which entries of the local vector table depend.
pub const SPURIOUS: u8 = 0x0f;

/// Whether the processor has the register with this number: priorities, in service, trigger mode, requested.
#[must_use]
pub fn is_of_processor(number: u8) -> bool {
    matches!(
        Register::of(number),
        Some(
            Register::TaskPriority
                | Register::ProcessorPriority
                | Register::InService(_)
                | Register::Level(_)
                | Register::Requested(_)
        )
    )
}

impl LocalApic {
    /// How the guest reaches the registers now.
    #[must_use]
    pub const fn reached(&self) -> ApicInterface {
        match self.mode {
            Mode::Disabled => ApicInterface::Cr8,
            Mode::Memory => ApicInterface::Memory,
            Mode::Msrs => ApicInterface::Msrs,
        }
    }

    /// Takes an interrupt out that was requested, for the processor.
    pub fn take_requested(&mut self) -> Option<(u8, Trigger)> {
        let vector = self.requested.highest()?;
        self.requested.remove(vector);
        Some((vector, if self.levels.contains(vector) { Trigger::Level } else { Trigger::Edge }))
    }

    /// What the processor shows the guest for the register with this number.
    #[must_use]
    pub fn shown(&self, number: u8, now: Ticks) -> u64 {
        match self.mode {
            Mode::Msrs => self.read_msr(FIRST_MSR + u32::from(number), now).unwrap_or(0),
            Mode::Memory | Mode::Disabled => self.get(number, now).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use x86_virt::ApicInterface;

    use super::{SHOWN, is_of_processor};
    use crate::clock::Clock;
    use crate::interrupt::Trigger;
    use crate::local_apic::{Effect, Interface, LocalApic};

    #[test]
    fn requests_are_taken_out_once() {
        let mut apic = LocalApic::new(0, Interface::MemoryOrMsrs, Clock::new(1_000_000));
        assert_eq!(apic.write(0xf0, 0x1ff, 0), Effect::None);
        apic.request(0x31, Trigger::Level);
        apic.request(0x45, Trigger::Edge);
        assert_eq!(apic.take_requested(), Some((0x45, Trigger::Edge)));
        assert_eq!(apic.take_requested(), Some((0x31, Trigger::Level)));
        assert_eq!((apic.take_requested(), apic.pending()), (None, None));
    }

    #[test]
    fn registers_are_shown_as_the_interface_has_them() {
        let mut apic = LocalApic::new(3, Interface::MemoryOrMsrs, Clock::new(1_000_000));
        assert_eq!(apic.write(0x310, 1 << 24, 0), Effect::None);
        assert_eq!((apic.reached(), apic.shown(2, 0), apic.shown(0x31, 0)), (ApicInterface::Memory, 3 << 24, 1 << 24));
        apic.set_base(0xfee0_0c00).unwrap();
        assert_eq!((apic.reached(), apic.shown(2, 0)), (ApicInterface::Msrs, 3));
        assert_eq!((apic.shown(0x30, 0), apic.shown(0x31, 0)), (1 << 56, 0), "one register of 64 bits");
        assert_eq!((apic.shown(0x0d, 0), apic.shown(0x0e, 0)), (1 << 3, 0), "no format");
        assert!(SHOWN.into_iter().all(|number| !is_of_processor(number)));
        assert!([0x08, 0x0a, 0x10, 0x1f, 0x27].into_iter().all(is_of_processor));
    }
}
