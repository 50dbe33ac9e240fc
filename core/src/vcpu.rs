//! The virtual processor.

use core::fmt;
use core::ops::RangeInclusive;

use crate::event::{Event, InjectError, Interruptibility};
use crate::exit::Exit;
use crate::permission::{MsrAccess, MsrRangeError, SwitchedMsr};
use crate::register::{ControlRegister, Efer, Gpr, Gprs, Rflags};
use crate::segment::{DescriptorTable, Segment, SegmentRegister};
use crate::state::{CpuState, StateError};

/// A virtual processor that is loaded on this physical processor and can run.
///
/// Both vendors implement it, so that one exit loop serves both:
///
/// ```
/// use x86_virt_core::{ExitKind, Vcpu};
///
/// fn run_until_halt<V: Vcpu>(vcpu: &mut V) -> Result<(), V::EntryError> {
///     loop {
///         match vcpu.run()?.kind {
///             ExitKind::Hlt => return Ok(()),
///             ExitKind::HostInterrupt | ExitKind::HostNmi => {}
///             other => panic!("not handled: {other:?}"),
///         }
///     }
/// }
/// ```
///
/// Setters take effect at the next entry. Reading a register costs nothing until it is asked for.
#[expect(unsafe_code, reason = "passing an unknown MSR or a port through is the caller's promise")]
pub trait Vcpu {
    /// The vendor's reason of an exit, with nothing lost.
    type Reason: Copy + fmt::Debug + fmt::Display;

    /// Why an entry did not happen.
    type EntryError: core::error::Error;

    /// Enters the guest and returns when something takes the processor out of it.
    ///
    /// The host's interrupts are disabled on the way and as they were afterwards; an interrupt that comes meanwhile ends the
    /// run with [`ExitKind::HostInterrupt`](crate::ExitKind::HostInterrupt).
    ///
    /// # Errors
    ///
    /// Why the processor refused the entry. The guest then has not run, and its state is as before.
    fn run(&mut self) -> Result<Exit<Self::Reason>, Self::EntryError>;

    /// The general-purpose registers but RSP.
    fn gprs(&self) -> &Gprs;

    /// The general-purpose registers but RSP, to change.
    fn gprs_mut(&mut self) -> &mut Gprs;

    /// RIP.
    fn rip(&self) -> u64;

    /// Sets RIP. A value that is not canonical gives the guest #GP, as on a processor.
    fn set_rip(&mut self, rip: u64);

    /// RSP.
    fn rsp(&self) -> u64;

    /// Sets RSP.
    fn set_rsp(&mut self, rsp: u64);

    /// RFLAGS.
    fn rflags(&self) -> Rflags;

    /// Sets RFLAGS; reserved bits are made as the processor requires them.
    fn set_rflags(&mut self, rflags: Rflags);

    /// A control register as the guest sees it.
    fn control(&self, register: ControlRegister) -> u64;

    /// Sets a control register to what the guest shall see, with its side effects on EFER.LMA.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the processor cannot run a guest with such a value; then nothing is changed.
    fn set_control(&mut self, register: ControlRegister, value: u64) -> Result<(), StateError>;

    /// EFER as the guest sees it.
    fn efer(&self) -> Efer;

    /// Sets EFER; LMA follows from LME and CR0.PG.
    fn set_efer(&mut self, efer: Efer);

    /// A segment register.
    fn segment(&self, register: SegmentRegister) -> Segment;

    /// Sets a segment register.
    fn set_segment(&mut self, register: SegmentRegister, segment: Segment);

    /// GDTR.
    fn gdtr(&self) -> DescriptorTable;

    /// Sets GDTR.
    fn set_gdtr(&mut self, table: DescriptorTable);

    /// IDTR.
    fn idtr(&self) -> DescriptorTable;

    /// Sets IDTR.
    fn set_idtr(&mut self, table: DescriptorTable);

    /// DR0 to DR3.
    fn breakpoints(&self) -> [u64; 4];

    /// Sets DR0 to DR3.
    ///
    /// # Errors
    ///
    /// [`StateError::NonCanonical`] with the first address that is not canonical; then nothing is changed.
    fn set_breakpoints(&mut self, addresses: [u64; 4]) -> Result<(), StateError>;

    /// DR6.
    fn dr6(&self) -> u64;

    /// Sets DR6; reserved bits are made as the processor requires them.
    fn set_dr6(&mut self, dr6: u64);

    /// DR7.
    fn dr7(&self) -> u64;

    /// Sets DR7; reserved bits are made as the processor requires them.
    fn set_dr7(&mut self, dr7: u64);

    /// XCR0.
    fn xcr0(&self) -> u64;

    /// Sets XCR0.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the value is invalid, or enables state that the host has not enabled or the library does not switch.
    fn set_xcr0(&mut self, xcr0: u64) -> Result<(), StateError>;

    /// An MSR that the library switches between host and guest.
    fn msr(&self, msr: SwitchedMsr) -> u64;

    /// Sets an MSR that the library switches between host and guest.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the processor does not take such a value; then nothing is changed.
    fn set_msr(&mut self, msr: SwitchedMsr, value: u64) -> Result<(), StateError>;

    /// RIP of the instruction after the one that caused the last exit.
    ///
    /// # Errors
    ///
    /// [`SkipError`] if neither the processor nor a decoder tells the length of the instruction.
    fn next_rip(&self) -> Result<u64, SkipError>;

    /// What keeps events from the guest.
    fn interruptibility(&self) -> Interruptibility;

    /// Ends the shadow of STI, MOV SS or POP SS.
    fn clear_shadow(&mut self);

    /// The event that the next entry delivers: one that was injected, or one that the last exit interrupted.
    fn pending_event(&self) -> Option<Event>;

    /// Delivers `event` at the next entry.
    ///
    /// # Errors
    ///
    /// [`InjectError`] if another event is waiting, the guest does not take such an event now, or there is no such event.
    fn inject(&mut self, event: Event) -> Result<(), InjectError>;

    /// Takes back the event that the next entry would deliver.
    fn cancel_event(&mut self) -> Option<Event>;

    /// Ends a run with [`ExitKind::InterruptWindow`](crate::ExitKind::InterruptWindow) once, as soon as the guest takes
    /// interrupts.
    fn request_interrupt_window(&mut self);

    /// Lets the guest access `msr` itself. The library switches it between host and guest.
    fn pass_msr(&mut self, msr: SwitchedMsr, access: MsrAccess);

    /// Lets the guest access the MSR with the number `msr` itself.
    ///
    /// # Errors
    ///
    /// [`MsrRangeError`] if the processor's bitmap does not cover the MSR.
    ///
    /// # Safety
    ///
    /// The host loses nothing by what the guest reads there, and works on whatever the guest writes there.
    unsafe fn pass_host_msr(&mut self, msr: u32, access: MsrAccess) -> Result<(), MsrRangeError>;

    /// Ends a run when the guest accesses the MSR with the number `msr`. All MSRs are so at first.
    fn intercept_msr(&mut self, msr: u32, access: MsrAccess);

    /// Lets the guest access `ports` of the host itself.
    ///
    /// # Safety
    ///
    /// The host works on whatever the guest does with these ports; in particular, no device behind them can be made to
    /// write to memory of the host.
    unsafe fn pass_ports(&mut self, ports: RangeInclusive<u16>);

    /// Ends a run when the guest accesses one of `ports`. All ports are so at first.
    fn intercept_ports(&mut self, ports: RangeInclusive<u16>);

    /// A general-purpose register.
    fn gpr(&self, register: Gpr) -> u64 {
        self.gprs().get(register).unwrap_or_else(|| self.rsp())
    }

    /// Sets a general-purpose register.
    fn set_gpr(&mut self, register: Gpr, value: u64) {
        match self.gprs_mut().get_mut(register) {
            Some(slot) => *slot = value,
            None => self.set_rsp(value),
        }
    }

    /// Goes to the instruction after the one that caused the last exit, and ends an interrupt shadow.
    ///
    /// # Errors
    ///
    /// As [`next_rip`](Self::next_rip); then nothing is changed.
    fn skip_instruction(&mut self) -> Result<(), SkipError> {
        let next = self.next_rip()?;
        self.set_rip(next);
        self.clear_shadow();
        Ok(())
    }

    /// All registers.
    fn state(&self) -> CpuState {
        use SegmentRegister::{Cs, Ds, Es, Fs, Gs, Ldtr, Ss, Tr};
        CpuState {
            gprs: *self.gprs(),
            rip: self.rip(),
            rsp: self.rsp(),
            rflags: self.rflags(),
            cr0: self.control(ControlRegister::Cr0).into(),
            cr2: self.control(ControlRegister::Cr2),
            cr3: self.control(ControlRegister::Cr3),
            cr4: self.control(ControlRegister::Cr4).into(),
            efer: self.efer(),
            es: self.segment(Es),
            cs: self.segment(Cs),
            ss: self.segment(Ss),
            ds: self.segment(Ds),
            fs: self.segment(Fs),
            gs: self.segment(Gs),
            ldtr: self.segment(Ldtr),
            tr: self.segment(Tr),
            gdtr: self.gdtr(),
            idtr: self.idtr(),
            dr7: self.dr7(),
        }
    }

    /// Sets all registers.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the processor cannot run a guest with such a state; then nothing is changed.
    fn set_state(&mut self, state: &CpuState) -> Result<(), StateError>;
}

/// Why the length of an instruction is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum SkipError {
    /// The processor does not report it, and the library was built without the feature `decode`.
    #[error("this processor does not report the length of instructions; build with the feature `decode`")]
    NotReported,
    /// The bytes of the instruction at this RIP cannot be read or decoded.
    #[error("the instruction at {rip:#x} cannot be read or decoded")]
    NotDecoded {
        /// Where the instruction is.
        rip: u64,
    },
    /// The last exit was not caused by an instruction.
    #[error("the last exit was not caused by an instruction")]
    NotAnInstruction,
}
