//! The virtual processor.

use core::fmt;
use core::ops::RangeInclusive;

use crate::addr::Gva;
use crate::complete::{self, CompleteError};
use crate::event::{Event, Events, Exception, InjectError, InterruptRequest, Interruptibility};
use crate::exit::{ControlRegisterAccess, Exit};
use crate::guest_paging::GuestFault;
use crate::io::IoSize;
use crate::operand::OperandSize;
use crate::permission::{MsrAccess, MsrRangeError, SwitchedMsr};
use crate::register::{ControlRegister, Cr0, Efer, Gpr, Gprs, Rflags};
use crate::segment::{DescriptorTable, Segment, SegmentRegister};
use crate::state::{self, Activity, CpuState, ExtendedState, PendingDebugExceptions, StateError, VcpuState};

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
/// Most exits are answered by one call: a `complete` method does what the instruction does and goes to the next one,
/// [`skip_instruction`](Self::skip_instruction) only goes to the next one, [`raise`](Self::raise) gives the guest an exception instead.
/// After none of them, the next run executes the instruction again.
///
/// ```
/// use x86_virt_core::{CompleteError, Exception, ExitKind, Vcpu};
///
/// /// Answers an exit, or says that it does not know how.
/// fn answer<V: Vcpu>(vcpu: &mut V, kind: ExitKind) -> Result<bool, CompleteError> {
///     match kind {
///         // No leaf has anything in it.
///         ExitKind::Cpuid => vcpu.complete_cpuid([0; 4])?,
///         // The time of the guest stands still.
///         ExitKind::Rdtsc => vcpu.complete_edx_eax(0)?,
///         ExitKind::ReadMsr(0x1b) => vcpu.complete_edx_eax(0xfee0_0900)?,
///         ExitKind::ReadMsr(_) | ExitKind::WriteMsr { .. } => vcpu.raise(Exception::general_protection(0))?,
///         ExitKind::ControlRegister(access) => vcpu.complete_control_register(access)?,
///         ExitKind::Xsetbv { register, value } => vcpu.complete_xsetbv(register, value)?,
///         ExitKind::Virtualization(_) => vcpu.raise(Exception::INVALID_OPCODE)?,
///         // There are no caches to write back.
///         ExitKind::Wbinvd => vcpu.skip_instruction()?,
///         _ => return Ok(false),
///     }
///     Ok(true)
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

    /// Brings back what a virtual processor [with resident state](crate::VcpuConfig::with_resident_state), or
    /// [with resident segments](crate::VcpuConfig::with_resident_segments), keeps of the host's between runs. The next run takes it away
    /// again. Without such a promise there is nothing to do.
    fn settle(&mut self) {}

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
    ///
    /// On VMX, a shadow that ended with an instruction which the host completed may show again if the next instruction ended the run before
    /// it was executed, and nothing waited in between. An event that is asked for then comes behind that instruction, as one that
    /// arrives while it is executed.
    fn interruptibility(&self) -> Interruptibility;

    /// Ends the shadow of STI, MOV SS or POP SS.
    fn clear_shadow(&mut self);

    /// The events that wait for the guest. The methods below reach them; who implements this trait reaches them here.
    fn events(&self) -> &Events;

    /// The events that wait for the guest, to change.
    fn events_mut(&mut self) -> &mut Events;

    /// The event that the next entry delivers: one that was injected, or one that the last exit interrupted.
    fn pending_event(&self) -> Option<Event> {
        self.events().pending()
    }

    /// Delivers `event` at the next entry. It must be one that the guest takes now; what may have to wait is asked for by
    /// [`request_interrupt`](Self::request_interrupt) and [`request_nmi`](Self::request_nmi).
    ///
    /// # Errors
    ///
    /// [`InjectError`] if another event is waiting, the guest does not take such an event now, or there is no such event.
    fn inject(&mut self, event: Event) -> Result<(), InjectError> {
        if let Some(pending) = self.pending_event() {
            return Err(InjectError::Pending(pending));
        }
        event.validate(Cr0::from(self.control(ControlRegister::Cr0)).pe())?;
        event.admit(self.interruptibility())?;
        self.events_mut().inject(event)
    }

    /// Takes back the event that the next entry would deliver.
    fn cancel_event(&mut self) -> Option<Event> {
        self.events_mut().cancel()
    }

    /// Asks for an NMI, at any time: the guest gets it as soon as it takes one, and no exit tells of it. While one waits, another is
    /// the same, as on a processor.
    fn request_nmi(&mut self) {
        self.events_mut().request_nmi();
    }

    /// Asks for an interrupt, at any time: the guest gets it as soon as it takes one, and no exit tells of it.
    ///
    /// There is one request, that of the interrupt controller: another one takes its place while the guest has not accepted
    /// the first. A controller sets it before a run, and asks [`accepted_interrupt`](Self::accepted_interrupt) after it:
    ///
    /// ```
    /// use x86_virt_core::{InterruptRequest, Vcpu};
    ///
    /// /// Of an interrupt controller: what is requested, and what is in service.
    /// #[derive(Default)]
    /// struct Controller {
    ///     requested: Option<u8>,
    ///     in_service: Option<u8>,
    /// }
    ///
    /// fn run<V: Vcpu>(vcpu: &mut V, controller: &mut Controller) -> Result<(), V::EntryError> {
    ///     match controller.requested {
    ///         Some(vector) => vcpu.request_interrupt(InterruptRequest::fixed(vector)),
    ///         None => _ = vcpu.withdraw_interrupt(),
    ///     }
    ///     let exit = vcpu.run()?;
    ///     if let Some(vector) = vcpu.accepted_interrupt() {
    ///         // The acknowledge cycle.
    ///         controller.requested = None;
    ///         controller.in_service = Some(vector);
    ///     }
    ///     println!("{:?}", exit.kind);
    ///     Ok(())
    /// }
    /// ```
    fn request_interrupt(&mut self, request: InterruptRequest) {
        self.events_mut().request_interrupt(request);
    }

    /// Takes back the request for an interrupt, if the guest has not accepted it.
    fn withdraw_interrupt(&mut self) -> Option<InterruptRequest> {
        self.events_mut().withdraw_interrupt()
    }

    /// The vector of the requested interrupt that the guest has accepted in the last run, once. The interrupt controller has it in
    /// service from then on; if an exit interrupted its delivery, it is delivered anew without another request.
    fn accepted_interrupt(&mut self) -> Option<u8> {
        self.events_mut().take_accepted_interrupt()
    }

    /// Whether [`inject`](Self::inject) would take an interrupt now.
    fn is_ready_for_interrupt(&self) -> bool {
        self.pending_event().is_none() && Event::Interrupt(0).admit(self.interruptibility()).is_ok()
    }

    /// Ends a run with [`ExitKind::InterruptWindow`](crate::ExitKind::InterruptWindow) once, as soon as the guest takes
    /// interrupts.
    fn request_interrupt_window(&mut self) {
        self.events_mut().request_interrupt_window();
    }

    /// Ends a run with [`ExitKind::NmiWindow`](crate::ExitKind::NmiWindow) once, as soon as the guest takes NMIs.
    fn request_nmi_window(&mut self) {
        self.events_mut().request_nmi_window();
    }

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

    /// The bytes at RIP, where the processor has fetched them for the hypervisor: AMD's decode assists do for nested faults.
    fn fetched_instruction(&self) -> FetchedInstruction {
        FetchedInstruction::default()
    }

    /// Makes the next entry raise the #DB of a single step, as if an instruction had just been executed with RFLAGS.TF = 1.
    ///
    /// It comes before an NMI or an interrupt that was asked for, and behind an event that was injected.
    fn raise_single_step(&mut self) {
        const BS: u64 = 1 << 14;
        self.events_mut().raise_debug(BS);
    }

    /// Goes to the instruction after the one that caused the last exit, as if that one had been executed: RIP wraps as the mode
    /// says, a shadow of STI or MOV SS ends, and a guest that steps through its code gets its #DB.
    ///
    /// # Errors
    ///
    /// As [`next_rip`](Self::next_rip); then nothing is changed.
    #[inline]
    fn skip_instruction(&mut self) -> Result<(), SkipError> {
        let next = self.next_rip()?;
        complete::finish_at(self, next);
        Ok(())
    }

    /// The same for an instruction of `length` bytes, whatever caused the last exit.
    fn skip_bytes(&mut self, length: u8) {
        let next = self.rip().wrapping_add(u64::from(length));
        let is_64_bit = next >> 32 == 0 || crate::linear::is_64_bit(self);
        complete::finish_at(self, if is_64_bit { next } else { next & 0xffff_ffff });
    }

    /// Gives the guest `exception` in place of the instruction that caused the last exit. A page fault goes through
    /// [`raise_page_fault`](Self::raise_page_fault), which sets CR2.
    ///
    /// The error code is pushed if the guest's mode and the exception have one; RFLAGS.RF is set for faults, as a processor does.
    ///
    /// If the last exit interrupted the delivery of another event, the exception comes of that delivery: the two are merged as a
    /// processor merges them, to a double fault, or to a triple fault, which the next run ends with
    /// ([`ExitKind::Shutdown`](crate::ExitKind::Shutdown)).
    ///
    /// # Errors
    ///
    /// [`InjectError`] if an event was injected since the last exit, or there is no such exception. Then nothing is changed.
    fn raise(&mut self, exception: Exception) -> Result<(), InjectError> {
        complete::raise(self, exception)
    }

    /// Gives the guest a page fault at `address`, which goes to CR2.
    ///
    /// # Errors
    ///
    /// [`InjectError`] if another event waits. Then nothing is changed.
    fn raise_page_fault(&mut self, address: Gva, error_code: u32) -> Result<(), InjectError> {
        complete::raise_page_fault(self, address, error_code)
    }

    /// Gives the guest the exception of `fault`. False where it has done nothing wrong: then no memory of the guest is there.
    ///
    /// # Errors
    ///
    /// [`InjectError`] if another event waits. Then nothing is changed.
    fn raise_fault(&mut self, fault: &GuestFault) -> Result<bool, InjectError> {
        match fault.exception() {
            Some((exception, Some(_))) => {
                self.raise_page_fault(fault.gva(), exception.error_code.unwrap_or(0)).map(|()| true)
            }
            Some((exception, None)) => self.raise(exception).map(|()| true),
            None => Ok(false),
        }
    }

    /// Answers CPUID with EAX, EBX, ECX and EDX.
    ///
    /// # Errors
    ///
    /// As [`next_rip`](Self::next_rip); then nothing is changed. So it is with the methods that follow.
    fn complete_cpuid(&mut self, [eax, ebx, ecx, edx]: [u32; 4]) -> Result<(), SkipError> {
        let next = self.next_rip()?;
        let gprs = self.gprs_mut();
        gprs.rax = eax.into();
        gprs.rbx = ebx.into();
        gprs.rcx = ecx.into();
        gprs.rdx = edx.into();
        complete::finish_at(self, next);
        Ok(())
    }

    /// Answers RDMSR, RDTSC or RDPMC: `value` goes to EDX:EAX.
    ///
    /// # Errors
    ///
    /// As [`next_rip`](Self::next_rip).
    fn complete_edx_eax(&mut self, value: u64) -> Result<(), SkipError> {
        self.skip_instruction()?;
        self.gprs_mut().set_edx_eax(value);
        Ok(())
    }

    /// Answers RDTSCP: `counter` goes to EDX:EAX, `aux` to ECX.
    ///
    /// # Errors
    ///
    /// As [`next_rip`](Self::next_rip).
    fn complete_rdtscp(&mut self, counter: u64, aux: u32) -> Result<(), SkipError> {
        self.complete_edx_eax(counter)?;
        self.gprs_mut().rcx = aux.into();
        Ok(())
    }

    /// Answers an instruction that reads something into `destination`: MOV from a control or debug register, or RDMSR with an immediate
    /// operand. Outside of 64-bit mode, registers have 32 bits.
    ///
    /// # Errors
    ///
    /// As [`next_rip`](Self::next_rip).
    fn complete_register(&mut self, destination: Gpr, value: u64) -> Result<(), SkipError> {
        let size = if crate::linear::is_64_bit(self) { OperandSize::Bits64 } else { OperandSize::Bits32 };
        self.skip_instruction()?;
        complete::write_gpr(self, destination, size, value);
        Ok(())
    }

    /// Answers RDRAND or RDSEED. `None` tells the guest that there is no number now.
    ///
    /// # Errors
    ///
    /// As [`next_rip`](Self::next_rip).
    fn complete_random(&mut self, destination: Gpr, size: OperandSize, number: Option<u64>) -> Result<(), SkipError> {
        self.skip_instruction()?;
        complete::write_gpr(self, destination, size, number.unwrap_or(0));
        let flags = self.rflags().with_of(false).with_sf(false).with_zf(false).with_af(false).with_pf(false);
        self.set_rflags(flags.with_cf(number.is_some()));
        Ok(())
    }

    /// Answers IN with `value`, in its low bits. [`Io::complete`](crate::Io::complete) answers all port I/O.
    ///
    /// # Errors
    ///
    /// As [`next_rip`](Self::next_rip).
    fn complete_in(&mut self, size: IoSize, value: u32) -> Result<(), SkipError> {
        self.skip_instruction()?;
        let operand = match size {
            IoSize::Byte => OperandSize::Bits8,
            IoSize::Word => OperandSize::Bits16,
            IoSize::Dword => OperandSize::Bits32,
        };
        complete::write_gpr(self, Gpr::Rax, operand, value.into());
        Ok(())
    }

    /// Does an access to a control register as a processor does. A value that the guest cannot have gives it #GP.
    ///
    /// # Errors
    ///
    /// [`CompleteError`]; then nothing is changed. SMSW to memory is left to the caller.
    fn complete_control_register(&mut self, access: ControlRegisterAccess) -> Result<(), CompleteError> {
        complete::control_register(self, access)
    }

    /// Does XSETBV as a processor does. A value that the guest cannot have gives it #GP.
    ///
    /// # Errors
    ///
    /// [`CompleteError`]; then nothing is changed.
    fn complete_xsetbv(&mut self, register: u32, value: u64) -> Result<(), CompleteError> {
        complete::xsetbv(self, register, value)
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

    /// Whether the virtual processor executes instructions, or what it waits for.
    fn activity(&self) -> Activity;

    /// Sets what the virtual processor does. One that is [`Halted`](Activity::Halted) executes nothing until an event is injected: until
    /// then, a run ends as if an interrupt of the host had come. One that has shut down or waits for a start-up IPI cannot run.
    ///
    /// # Errors
    ///
    /// [`StateError::Activity`] if the processor has no such activity.
    fn set_activity(&mut self, activity: Activity) -> Result<(), StateError>;

    /// The debug exceptions that wait for delivery.
    fn pending_debug(&self) -> PendingDebugExceptions;

    /// Sets the debug exceptions that wait for delivery. On SVM, which has no register for them, the next entry raises the #DB of those
    /// that [raise one](PendingDebugExceptions::raises), unless another event waits.
    fn set_pending_debug(&mut self, pending: PendingDebugExceptions);

    /// Sets what keeps events from the guest: the shadow and the blocking of NMIs. RFLAGS.IF has its own method.
    fn set_blocking(&mut self, blocking: Interruptibility);

    /// Copies x87, SSE and AVX state to `state`; it is `None` afterwards if the library does not switch it.
    fn save_extended(&self, state: &mut Option<ExtendedState>);

    /// Sets x87, SSE and AVX state.
    ///
    /// # Errors
    ///
    /// [`StateError`] if a component is in use that the host has not enabled, a value would make the processor fault, or the library does not
    /// switch such state; then nothing is changed.
    fn set_extended(&mut self, state: &ExtendedState) -> Result<(), StateError>;

    /// Whether [`restore`](Self::restore) would take `state`.
    ///
    /// # Errors
    ///
    /// The error that it would return.
    fn check_state(&self, state: &VcpuState) -> Result<(), StateError>;

    /// Copies all of the virtual processor's state to `state`.
    ///
    /// It can be taken after any run. What ended that run is not part of it: an instruction that was not answered is executed again.
    fn save(&self, state: &mut VcpuState) {
        state::save(self, state);
    }

    /// Sets all of the virtual processor's state to what [`save`](Self::save) took, on this or on another host.
    ///
    /// # Errors
    ///
    /// [`StateError`], with the register or feature, if this processor cannot run a guest with such a state; then nothing is changed.
    fn restore(&mut self, state: &VcpuState) -> Result<(), StateError> {
        state::restore(self, state)
    }
}

/// Bytes of an instruction that the processor has fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct FetchedInstruction {
    /// The bytes, from RIP on.
    pub bytes: [u8; 15],
    /// How many of them there are. 0 if the processor has fetched none.
    pub length: u8,
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
