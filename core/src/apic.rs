//! A guest's local APIC, as far as the processor virtualizes it.

use crate::vcpu::Vcpu;

/// How a guest reaches the registers of its local APIC that the processor virtualizes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum ApicInterface {
    /// By CR8 alone, which is the task priority.
    Cr8,
    /// By CR8, and by memory: accesses to the APIC-access page.
    Memory,
    /// By CR8, and by the MSRs of an x2APIC.
    Msrs,
}

/// What the processor does of a guest's local APIC.
///
/// The task priority is virtualized always: CR8 is read and written without an exit. What the processor does not do ends a run, as
/// without any of it.
///
/// Intel SDM vol. 3, section 27.6.8, "Controls for APIC Virtualization".
///
/// ```
/// use x86_virt_core::{ApicInterface, ApicVirtualization};
///
/// let all = ApicVirtualization::new(ApicInterface::Msrs).with_registers().with_interrupts();
/// assert!(all.virtualizes_registers && all.delivers_interrupts);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct ApicVirtualization {
    /// How the guest reaches the registers.
    pub interface: ApicInterface,
    /// The guest reads registers without an exit, and a write ends the run after it was made: APIC-register virtualization.
    pub virtualizes_registers: bool,
    /// The processor delivers interrupts from the page's IRR by their priority, and ends them: virtual-interrupt delivery.
    pub delivers_interrupts: bool,
}

impl ApicVirtualization {
    /// The task priority, by CR8 and by `interface`.
    #[must_use]
    pub const fn new(interface: ApicInterface) -> Self {
        Self { interface, virtualizes_registers: false, delivers_interrupts: false }
    }

    /// The same with APIC-register virtualization.
    #[must_use]
    pub const fn with_registers(self) -> Self {
        Self { virtualizes_registers: true, ..self }
    }

    /// The same with virtual-interrupt delivery.
    #[must_use]
    pub const fn with_interrupts(self) -> Self {
        Self { delivers_interrupts: true, ..self }
    }

    /// The same by another interface.
    #[must_use]
    pub const fn with_interface(self, interface: ApicInterface) -> Self {
        Self { interface, ..self }
    }
}

/// A virtual processor whose local APIC the processor virtualizes, in whole, in part, or not at all.
///
/// Registers are named by their offset in the page, which is 16 times the distance of their MSR from 800H. The methods are those of a
/// virtual processor without a virtual APIC where they are not implemented.
///
/// ```
/// use x86_virt_core::{ApicError, ExitKind, GuestApic};
///
/// const COMMAND: u16 = 0x300;
///
/// /// Gives the guest an interrupt: by the virtual APIC where it delivers interrupts.
/// fn give<V: GuestApic>(vcpu: &mut V, vector: u8) -> Result<(), ApicError> {
///     vcpu.raise_interrupt(vector)
/// }
///
/// /// Answers an exit of the virtual APIC with what is to be done.
/// fn answer<V: GuestApic>(vcpu: &V, kind: ExitKind) {
///     match kind {
///         ExitKind::ApicWrite(COMMAND) => println!("an IPI: {:#x?}", vcpu.apic_register(COMMAND)),
///         ExitKind::ApicEoi(vector) => println!("the end of {vector:#x}"),
///         _ => {}
///     }
/// }
/// ```
pub trait GuestApic: Vcpu {
    /// What the processor does of the local APIC; `None` if there is no virtual APIC.
    fn apic_virtualization(&self) -> Option<ApicVirtualization> {
        None
    }

    /// Whether the processor can do this.
    ///
    /// # Errors
    ///
    /// [`ApicError`] with what is missing.
    fn check_apic_virtualization(&self, wanted: ApicVirtualization) -> Result<(), ApicError> {
        let _ = wanted;
        Err(ApicError::NotAttached)
    }

    /// Makes the processor do this, and no more, from the next entry on. The registers stay as they are.
    ///
    /// # Errors
    ///
    /// [`ApicError`] with what is missing; then nothing is changed.
    fn set_apic_virtualization(&mut self, wanted: ApicVirtualization) -> Result<(), ApicError> {
        let _ = wanted;
        Err(ApicError::NotAttached)
    }

    /// The register at `offset` of the virtual APIC. `None` if there is no virtual APIC, or no register.
    fn apic_register(&self, offset: u16) -> Option<u64> {
        let _ = offset;
        None
    }

    /// Sets the register at `offset` of the virtual APIC. The next entry evaluates requests, what is in service, and priorities. A register
    /// has 32 bits, and the interrupt command of an x2APIC 64.
    ///
    /// # Errors
    ///
    /// [`ApicError::NoSuchRegister`] or [`ApicError::NotAttached`].
    fn set_apic_register(&mut self, offset: u16, value: u64) -> Result<(), ApicError> {
        let (_, _) = (offset, value);
        Err(ApicError::NotAttached)
    }

    /// Requests the interrupt with `vector`: the processor delivers it when the guest takes it, and it comes before those below it.
    ///
    /// Intel SDM vol. 3, section 32.2, "Evaluation and Delivery of Virtual Interrupts".
    ///
    /// # Errors
    ///
    /// [`ApicError::NoDelivery`] if the processor does not deliver interrupts of the virtual APIC, and [`ApicError::NotAttached`] if
    /// there is none. [`Vcpu::request_interrupt`] is for those.
    fn raise_interrupt(&mut self, vector: u8) -> Result<(), ApicError> {
        let _ = vector;
        Err(ApicError::NotAttached)
    }

    /// The interrupt that is requested of the virtual APIC and that its priorities let through, where the processor delivers interrupts.
    /// The guest takes it as soon as it takes interrupts.
    fn deliverable_interrupt(&self) -> Option<u8> {
        None
    }

    /// Ends a run with [`ExitKind::ApicEoi`](crate::ExitKind::ApicEoi) when the guest ends an interrupt whose bit is set: bit 0 of the
    /// first word is vector 0. None does at first.
    ///
    /// # Errors
    ///
    /// As [`raise_interrupt`](Self::raise_interrupt).
    fn set_eoi_exits(&mut self, vectors: [u64; 4]) -> Result<(), ApicError> {
        let _ = vectors;
        Err(ApicError::NotAttached)
    }

    /// All registers of the virtual APIC, with what is requested and in service. `None` if there is no virtual APIC.
    fn apic_state(&self) -> Option<ApicState> {
        self.apic_virtualization()?;
        let mut state = ApicState::new();
        for (offset, register) in (0_u16..).step_by(16).zip(&mut state.registers) {
            *register = self.apic_register(offset)?;
        }
        Some(state)
    }

    /// Sets all registers of the virtual APIC. CR8 is part of them.
    ///
    /// # Errors
    ///
    /// [`ApicError::NotAttached`] if there is no virtual APIC.
    fn set_apic_state(&mut self, state: &ApicState) -> Result<(), ApicError> {
        for (offset, register) in (0_u16..).step_by(16).zip(state.registers) {
            self.set_apic_register(offset, register)?;
        }
        Ok(())
    }
}

/// How many registers a page has room for below the offset 400H, where the MSRs of an x2APIC that are in use end.
const REGISTERS: usize = 64;

/// The registers of a virtual APIC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct ApicState {
    /// The register at 16 times the index, 0 where there is none.
    pub registers: [u64; REGISTERS],
}

impl ApicState {
    /// All registers 0.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "zeroed is no default")]
    pub const fn new() -> Self {
        Self { registers: [0; REGISTERS] }
    }
}

/// Why something cannot be done with a virtual APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum ApicError {
    /// The virtual processor has no virtual APIC.
    #[error("the virtual processor has no virtual APIC")]
    NotAttached,
    /// The processor cannot do it.
    #[error("this processor lacks {needs}")]
    Missing {
        /// What the processor lacks.
        #[cfg_attr(feature = "arbitrary", arbitrary(value = ""))]
        needs: &'static str,
    },
    /// The interface is memory, and the virtual APIC has no APIC-access page.
    #[error("the virtual APIC has no APIC-access page")]
    NoAccessPage,
    /// The processor does not deliver interrupts of this virtual APIC.
    #[error("interrupts of this virtual APIC are not delivered by the processor")]
    NoDelivery,
    /// There is no register at the offset.
    #[error("a local APIC has no register at {offset:#x}")]
    NoSuchRegister {
        /// The offset.
        offset: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::{ApicError, ApicInterface, ApicState, ApicVirtualization, GuestApic};
    use crate::state::CpuState;
    use crate::testing::ScriptedVcpu;

    #[test]
    fn a_virtual_processor_without_one_says_so() {
        let mut vcpu = ScriptedVcpu::vmx(CpuState::real_mode(0, 0));
        assert_eq!((vcpu.apic_virtualization(), vcpu.apic_register(0x80), vcpu.apic_state()), (None, None, None));
        assert_eq!(vcpu.deliverable_interrupt(), None);
        let wanted = ApicVirtualization::new(ApicInterface::Cr8);
        for result in [
            vcpu.check_apic_virtualization(wanted),
            vcpu.set_apic_virtualization(wanted),
            vcpu.set_apic_register(0x80, 0),
            vcpu.raise_interrupt(0x40),
            vcpu.set_eoi_exits([0; 4]),
            vcpu.set_apic_state(&ApicState::new()),
        ] {
            assert_eq!(result, Err(ApicError::NotAttached));
        }
    }
}
