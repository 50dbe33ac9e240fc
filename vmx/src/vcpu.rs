//! The virtual processor.
#![expect(unsafe_code, reason = "enters the guest")]

use x86_virt_core::fpu::{FpuState, Osxsave};
use x86_virt_core::{
    Activity, AddressSpace, AttachedKick, Cr4, Efer, Event, Events, Exit, FpuPolicy, Frame, Frames, Gprs, Host,
    HostDebug, Hpa, OutOfFrames, Tag, VcpuConfig,
};
use x86_virt_ept::{EptControls, EptFormat, Spptp};

use crate::access::{FieldError, VmcsRead, VmcsWrite};
use crate::bitmap::{IoBitmaps, MsrBitmaps};
use crate::cache::Cache;
use crate::capability::{Capabilities, Unsupported};
use crate::check::{RuleSet, Violation, Why};
use crate::control::{PrimaryControls, SecondaryControls, TertiaryControls};
use crate::eptp_switching::{EptpSpaces, OtherControls, eptp};
use crate::exit::{self, BasicExitReason, ExitReason};
use crate::field;
use crate::guest_controls::Chosen;
use crate::guest_time::Time;
use crate::host_state::HostState;
use crate::instruction_error::VmFail;
use crate::instructions::Outcome;
use crate::msrs::{self, Msrs};
use crate::page_modification_log::PageModificationLog;
use crate::preemption_timer::PreemptionTimer;
use crate::root::VmxRoot;
use crate::setup::Controls;
use crate::sub_pages::SubPages;
use crate::switch::Switch;
use crate::vmcs::{self, CurrentVmcs, Vmcs};
use crate::vpid::{FlushCounts, Stale, Translations, VpidUse};

/// A virtual processor that is loaded on this processor: its VMCS is current.
///
/// ```no_run
/// use x86_virt_core::{AddressSpace, CpuPin, CpuState, Frames, Vcpu, VcpuConfig};
/// use x86_virt_vmx::{VmxRoot, VmxVcpu};
///
/// fn run(pin: &impl CpuPin, frames: impl Frames) -> Result<(), Box<dyn core::error::Error>> {
///     let mut root = VmxRoot::enter(pin, frames)?;
///     let space = AddressSpace::new(root.capabilities().ept_format()?, root.frames().clone())?;
///     let mut vcpu = VmxVcpu::new(&mut root, &space, &VcpuConfig::new())?;
///     vcpu.set_state(&CpuState::real_mode(0, 0x7c00))?;
///     println!("{:?}", vcpu.run()?);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct VmxVcpu<'r, 's, 'm, A: Frames> {
    pub(crate) vmcs: CurrentVmcs<'r, A>,
    pub(crate) host: Host<'r>,
    host_state: HostState,
    translations: &'r mut Translations,
    pub(crate) kick: Option<AttachedKick<'s>>,
    pub(crate) parts: Parts<'s, 'm, A>,
}

/// All of a virtual processor but its VMCS.
#[derive(Debug)]
pub(crate) struct Parts<'s, 'm, A: Frames> {
    pub(crate) capabilities: Capabilities,
    /// The memory, or the one of `eptp_spaces` that the host has chosen last.
    pub(crate) space: &'s AddressSpace<'m, EptFormat, A>,
    /// Those that the guest chooses from.
    pub(crate) eptp_spaces: Option<EptpSpaces<'s, 'm, A>>,
    pub(crate) switch: Switch,
    pub(crate) fpu: FpuState<A>,
    pub(crate) msrs: Msrs,
    /// DR0 to DR3.
    pub(crate) breakpoints: [u64; 4],
    pub(crate) dr6: u64,
    pub(crate) msr_bitmaps: MsrBitmaps<A>,
    pub(crate) io_bitmaps: IoBitmaps<A>,
    /// `None` if the format of the space does not want it.
    pub(crate) log: Option<PageModificationLog<A>>,
    /// The controls that give the entries of its spaces their meaning.
    pub(crate) tables: EptControls,
    /// The root of a sub-page-permission table in which nothing is, if the tables have sub-page write permissions.
    sub_page_root: Option<Frame<A>>,
    /// The table that counts in place of that, if the host has given one.
    pub(crate) sub_pages: Option<SubPages<'s, A>>,
    pub(crate) primary: PrimaryControls,
    pub(crate) secondary: SecondaryControls,
    pub(crate) chosen: Chosen,
    pub(crate) time: Time,
    pub(crate) cache: Cache,
    /// What of the guest's mode the world switch needs; `None` if the VMCS must be asked.
    pub(crate) mode: Option<Mode>,
    pub(crate) cr2: u64,
    pub(crate) cr8: u64,
    pub(crate) events: Events,
    /// The guest may be handling an NMI: one was delivered, or the VMCS was changed, and NMIs were not seen unblocked since.
    pub(crate) nmi_handled: bool,
    /// Whether it runs, or has shut down or waits for a start-up IPI. The VMCS says whether one that runs is halted.
    pub(crate) activity: Activity,
    /// Why the last run ended.
    pub(crate) reason: ExitReason,
    /// Its VPID on the processor where it was loaded last.
    vpid: Option<Tag>,
    vpids: VpidUse,
    /// It has not run under `vpid`.
    is_new: bool,
    /// The generation of `space` that the processor of `vpid` has invalidated for; 0 if for none. `eptp_spaces` have their own.
    pub(crate) seen: u64,
    /// The host has changed paging registers since the last entry.
    needs_flush: bool,
}

impl<'s, 'm, A: Frames> Parts<'s, 'm, A> {
    /// The spaces that the guest can be in.
    pub(crate) fn spaces(&self) -> &[&'s AddressSpace<'m, EptFormat, A>] {
        match &self.eptp_spaces {
            Some(spaces) => spaces.spaces(),
            None => core::slice::from_ref(&self.space),
        }
    }

    /// Nothing is known of what the processor has invalidated for.
    fn forget_generations(&mut self) {
        self.seen = 0;
        if let Some(spaces) = &self.eptp_spaces {
            spaces.forget();
        }
    }
}

/// What of the guest's mode the world switch needs. The guest cannot change it without an exit: CR0, CR4, EFER and DR7 are
/// intercepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    usable: msrs::Set,
    osxsave: Osxsave,
    dr7: u64,
}

impl Mode {
    fn read(vmcs: &impl VmcsRead, msrs: &Msrs) -> Self {
        let efer = vmcs.get(field::GUEST_IA32_EFER);
        let osxsave = vmcs.get(field::CR4_READ_SHADOW).osxsave();
        Self {
            usable: msrs.usable(efer),
            osxsave: if osxsave { Osxsave::Enabled } else { Osxsave::Disabled },
            dr7: vmcs.get(field::GUEST_DR7).into_bits(),
        }
    }
}

/// A virtual processor whose VMCS is clear, so that it may be loaded on any processor.
#[derive(Debug)]
pub struct ParkedVcpu<'s, 'm, A: Frames> {
    vmcs: Vmcs<A>,
    parts: Parts<'s, 'm, A>,
}

impl<'r, 's, 'm, A: Frames> VmxVcpu<'r, 's, 'm, A> {
    /// Makes a virtual processor with `space` as its memory, and loads it. Its registers are as after INIT.
    ///
    /// # Errors
    ///
    /// [`CreateError`] if the processor lacks something, or frames run out: it takes one for the VMCS, one for the MSR
    /// bitmaps, two contiguous ones for the I/O bitmaps, one for page-modification logging where the processor has it, two for
    /// FPU state if that is switched, and one if the space has sub-page write permissions.
    // Out of line, for the sake of hosts with a small stack: it moves much by value.
    #[inline(never)]
    pub fn new(
        root: &'r mut VmxRoot<'_, A>,
        space: &'s AddressSpace<'m, EptFormat, A>,
        config: &VcpuConfig,
    ) -> Result<Self, CreateError> {
        let capabilities = *root.capabilities();
        let tables = space.format().controls();
        let controls = Controls::new(&capabilities, config, tables)?;
        let vpids =
            if controls.secondary.contains(SecondaryControls::ENABLE_VPID) { VpidUse::OneEach } else { VpidUse::None };
        let frames = root.frames();
        let fpu = match config.fpu() {
            FpuPolicy::Switched => FpuState::switched(root.host(), frames)?,
            FpuPolicy::Shared => FpuState::shared(),
        };
        let parts = Parts {
            capabilities,
            space,
            eptp_spaces: None,
            switch: Switch::new(Gprs::default()),
            fpu,
            msrs: Msrs::new(),
            breakpoints: [0; 4],
            dr6: DR6_AFTER_RESET,
            msr_bitmaps: MsrBitmaps::new(frames)?,
            io_bitmaps: IoBitmaps::new(frames)?,
            log: PageModificationLog::new(&capabilities, space.format(), frames)?,
            tables,
            sub_page_root: if tables.sub_page_write() { Some(Frame::zeroed(frames, 1)?) } else { None },
            sub_pages: None,
            primary: controls.primary,
            secondary: controls.secondary,
            chosen: Chosen::new(config),
            time: Time::new(controls.pin, PreemptionTimer::of(&capabilities)),
            cache: Cache::default(),
            mode: None,
            cr2: 0,
            cr8: 0,
            events: Events::new(),
            nmi_handled: false,
            activity: Activity::Running,
            reason: NO_EXIT,
            vpid: None,
            vpids,
            is_new: true,
            seen: 0,
            needs_flush: false,
        };
        let vmcs = Vmcs::new(&capabilities, frames)?;
        let parked = ParkedVcpu { vmcs, parts };
        let mut vcpu = parked.load(root).map_err(|refused| CreateError::Load(refused.error))?;
        vcpu.initialize(&controls);
        match vcpu.vmcs.take_fault() {
            Some(fault) => Err(CreateError::Field(fault)),
            None => Ok(vcpu),
        }
    }

    /// Writes the fields that stay the same for the virtual processor's life.
    fn initialize(&mut self, controls: &Controls) {
        let vmcs = &mut self.vmcs;
        // SAFETY: `Controls::new` keeps the host's interrupts, ports, MSRs and registers from the guest.
        unsafe { vmcs.put_sensitive(field::PIN_CONTROLS, controls.pin) };
        // SAFETY: as above.
        unsafe { vmcs.put_sensitive(field::PRIMARY_CONTROLS, controls.primary) };
        // SAFETY: as above.
        unsafe { vmcs.put_sensitive(field::SECONDARY_CONTROLS, controls.secondary) };
        if controls.tertiary != TertiaryControls::NONE {
            // SAFETY: as above.
            unsafe { vmcs.put_sensitive(field::TERTIARY_CONTROLS, controls.tertiary) };
        }
        if let Some(root) = &self.parts.sub_page_root {
            let pointer = Spptp::new().with_hpa(root.hpa());
            // SAFETY: the root is owned by `self`, as the bitmaps are, and no entry of it refers to anything.
            unsafe { vmcs.put_sensitive(field::SUB_PAGE_PERMISSION_TABLE_POINTER, pointer) };
        }
        // SAFETY: as above.
        unsafe { vmcs.put_sensitive(field::EXIT_CONTROLS, controls.exit) };
        // SAFETY: as above.
        unsafe { vmcs.put_sensitive(field::ENTRY_CONTROLS, controls.entry) };
        let bitmap_a = self.parts.io_bitmaps.hpa();
        let bitmap_b = Hpa::new(bitmap_a.get().wrapping_add(0x1000));
        for (field, address) in [
            (field::MSR_BITMAPS, self.parts.msr_bitmaps.hpa()),
            (field::IO_BITMAP_A, bitmap_a),
            (field::IO_BITMAP_B, bitmap_b),
            (field::VMCS_LINK_POINTER, Hpa::new(u64::MAX)),
        ] {
            // SAFETY: the bitmaps are owned by `self`, and so by whatever holds the VMCS; there is no shadow VMCS.
            unsafe { vmcs.put_sensitive(field, address) };
        }
        let eptp = eptp(self.parts.space);
        // SAFETY: `space` outlives the VMCS's use (`'s`) and maps only memory that its creator gave to guests.
        unsafe { vmcs.put_sensitive(field::EPT_POINTER, eptp) };
        for field in [field::EXIT_MSR_STORE_COUNT, field::EXIT_MSR_LOAD_COUNT, field::ENTRY_MSR_LOAD_COUNT] {
            // SAFETY: no MSR areas.
            unsafe { vmcs.put_sensitive(field, 0) };
        }
        vmcs.put(field::CR3_TARGET_COUNT, 0);
        vmcs.put(field::GUEST_IA32_PAT, PAT_AFTER_RESET);
        self.write_exceptions();
        self.initialize_log();
        self.initialize_guest();
    }

    /// Unloads the virtual processor, so that it may move to another processor.
    ///
    /// # Errors
    ///
    /// How VMCLEAR fails, which a valid VMCS never makes it do.
    pub fn unload(mut self) -> Result<ParkedVcpu<'s, 'm, A>, VmFail> {
        self.write_back();
        let vmcs = self.vmcs.unload()?;
        Ok(ParkedVcpu { vmcs, parts: self.parts })
    }

    /// The VMCS, for what this type has no method for.
    #[must_use]
    pub const fn vmcs(&self) -> &CurrentVmcs<'r, A> {
        &self.vmcs
    }

    /// The VMCS, to change what this type has no method for.
    ///
    /// RIP, RSP and RFLAGS are cached: use the methods of [`Vcpu`](x86_virt_core::Vcpu) for them. The next entry invalidates what
    /// was translated for the guest, as [`flush_tlb`](Self::flush_tlb) does.
    pub const fn vmcs_mut(&mut self) -> &mut CurrentVmcs<'r, A> {
        self.parts.mode = None;
        self.parts.time.forget();
        self.parts.needs_flush = true;
        self.parts.nmi_handled = true;
        &mut self.vmcs
    }

    /// What the processor can do.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.parts.capabilities
    }

    /// Invalidates at the next entry what the processor has translated for the guest, as after an INVLPG that was intercepted.
    pub const fn flush_tlb(&mut self) {
        self.parts.needs_flush = true;
    }

    /// How often this processor has invalidated, for all virtual processors that were loaded.
    #[must_use]
    pub const fn flush_counts(&self) -> FlushCounts {
        self.translations.counts()
    }

    /// One entry and the exit from it.
    pub(crate) fn enter(&mut self) -> Result<Exit<ExitReason>, EntryError> {
        if let Some(fault) = self.vmcs.take_fault() {
            return Err(EntryError::Field(fault));
        }
        if self.parts.fpu.uses_xsave() && !Cr4::from(self.host.cr4()).osxsave() {
            return Err(EntryError::XsaveDisabled);
        }
        if self.parts.activity != Activity::Running {
            return Err(EntryError::NotRunning(self.parts.activity));
        }
        self.write_back();
        let interrupts_disabled = self.host.disable_interrupts();
        let inside = match self.kick.map(AttachedKick::enter) {
            Some(None) => return Ok(self.kicked()),
            Some(inside) => inside,
            None => None,
        };
        self.host_state.sync(self.host, &mut self.vmcs);
        self.invalidate()?;
        let plan = if self.parts.events.is_due() { Some(self.prepare_events()?) } else { None };
        if let Err(fail) = vmcs::check(self.switch()) {
            self.withdraw_event();
            return Err(self.explain(EntryError::Instruction { fail, violated: RuleSet::NONE, first: None }));
        }
        self.parts.cache.forget();
        let reason = self.vmcs.get(field::EXIT_REASON);
        self.parts.reason = reason;
        if reason.entry_failure() {
            self.withdraw_event();
            if reason.basic() == BasicExitReason::MACHINE_CHECK_DURING_ENTRY {
                // SAFETY: the entry took it, and ended.
                unsafe { self.host.call_machine_check_handler() };
            }
            let qualification = self.vmcs.get(field::EXIT_QUALIFICATION);
            let error = EntryError::Failed { reason, qualification, violated: RuleSet::NONE, first: None };
            return Err(self.explain(error));
        }
        self.vmcs.set_launched();
        if let Some(plan) = plan {
            self.parts.events.entered(&plan);
        }
        self.after_exit(reason);
        drop(inside);
        drop(interrupts_disabled);
        let kind = exit::decode_exit(reason, &self.vmcs, &self.parts.switch.gprs);
        Ok(Exit { kind, reason })
    }

    /// Invalidates translations that were made before the last change of the tables, or of paging registers, once.
    #[inline]
    fn invalidate(&mut self) -> Result<(), EntryError> {
        let parts = &self.parts;
        let is_current = parts.seen == parts.space.generation()
            && !parts.needs_flush
            && parts.eptp_spaces.is_none()
            && parts.sub_pages.is_none();
        if is_current { Ok(()) } else { self.invalidate_stale().map_err(EntryError::Invalidation) }
    }

    fn invalidate_stale(&mut self) -> Result<(), VmFail> {
        let parts = &mut self.parts;
        if parts.sub_pages.as_mut().is_some_and(SubPages::note_generation) {
            parts.forget_generations();
        }
        let generation = parts.space.generation();
        let changed = parts.eptp_spaces.as_ref().map(EptpSpaces::note_generations);
        let stale = Stale {
            tables: changed.map_or(parts.seen != generation, |changed| changed.iter().any(|word| *word != 0)),
            registers: parts.needs_flush,
            is_first_use: parts.is_new,
        };
        if !stale.tables && !stale.registers {
            return Ok(());
        }
        self.switch_log();
        let parts = &mut self.parts;
        // `load` has seen to it that there is one.
        let Some(vpid) = parts.vpid else { return Err(VmFail::Invalid) };
        let plan = self.translations.plan(vpid, stale, parts.vpids);
        let done = match parts.eptp_spaces.as_ref().zip(changed) {
            // SAFETY: in VMX root operation while a VMCS is current; `Controls::new` checked that INVEPT has one of the types, and
            // INVVPID if VPIDs are enabled.
            Some((spaces, changed)) => unsafe { self.translations.perform(plan, vpid, spaces.eptps(changed)) },
            // SAFETY: as above.
            None => unsafe { self.translations.perform(plan, vpid, core::iter::once(eptp(parts.space))) },
        };
        if done.is_err() {
            parts.forget_generations();
            return done;
        }
        parts.seen = generation;
        parts.needs_flush = false;
        parts.is_new = false;
        Ok(())
    }

    /// The world switch with all state that is not in the VMCS. Interrupts are disabled.
    fn switch(&mut self) -> Outcome {
        let parts = &mut self.parts;
        let Mode { usable, osxsave, dr7 } = *parts.mode.get_or_insert_with(|| Mode::read(&self.vmcs, &parts.msrs));
        parts.msrs.enter(self.host, usable);
        let debug = HostDebug::exchange(self.host, dr7, &parts.breakpoints);
        if self.host.dr6() != parts.dr6 {
            // SAFETY: `set_dr6` and the processor make only values that it takes; `restore` brings the host's back.
            unsafe { self.host.set_dr6(parts.dr6) };
        }
        if self.host.cr2() != parts.cr2 {
            // SAFETY: the host reads CR2 only in its page-fault handler, right after a fault.
            unsafe { self.host.set_cr2(parts.cr2) };
        }
        parts.switch.launched = u64::from(self.vmcs.is_launched());
        let fpu = parts.fpu.prepare(osxsave);
        // SAFETY: `initialize` and `HostState` wrote the VMCS, which is current while `self.vmcs` lives; `launched` and
        // `host_rsp` are kept with it; interrupts are disabled.
        let outcome = unsafe { parts.switch.enter(fpu) };
        parts.cr2 = self.host.cr2();
        parts.dr6 = self.host.dr6();
        debug.restore(self.host);
        parts.msrs.leave(self.host, usable);
        if outcome == Outcome::Succeed {
            self.host_state.restore(self.host);
        }
        outcome
    }

    /// EFER.
    pub(crate) fn guest_efer(&self) -> Efer {
        self.vmcs.get(field::GUEST_IA32_EFER)
    }

    pub(crate) fn write_back(&mut self) {
        self.parts.cache.write_back(&mut self.vmcs);
    }
}

/// No exit: the guest has not run, or was kicked before it did.
pub(crate) const NO_EXIT: ExitReason = ExitReason::from_bits(0xffff);

/// DR6 after reset: no condition, and all reserved bits that are 1.
///
/// Intel SDM vol. 3, section 19.2.3, "Debug Status Register (DR6)".
pub(crate) const DR6_AFTER_RESET: u64 = 0xffff_0ff0;

/// IA32_PAT after reset.
///
/// Intel SDM vol. 3, section 13.12.4, "Programming the PAT".
const PAT_AFTER_RESET: u64 = 0x0007_0406_0007_0406;

impl<'s, 'm, A: Frames> ParkedVcpu<'s, 'm, A> {
    /// Loads the virtual processor on the processor of `root`.
    ///
    /// # Errors
    ///
    /// [`LoadRefused`] gives it back if the processor differs from the one that it was made for, or an instruction failed.
    #[expect(clippy::result_large_err, reason = "the virtual processor comes back; there is no allocator to box it")]
    // In its callers, so that their copies are this one's: the stacks of kernels are small.
    #[inline(always)]
    pub fn load<'r>(self, root: &'r mut VmxRoot<'_, A>) -> Result<VmxVcpu<'r, 's, 'm, A>, LoadRefused<'s, 'm, A>> {
        if *root.capabilities() != self.parts.capabilities {
            return Err(LoadRefused { error: LoadError::OtherProcessor, vcpu: self });
        }
        let Self { vmcs, mut parts } = self;
        let host = root.host();
        match root.load_parts(vmcs) {
            Ok((mut vmcs, translations)) => {
                let host_state = HostState::load(host, &mut vmcs);
                parts.msrs.load_host(host);
                parts.switch.host_rsp = 0;
                if let Some(vpid) = translations.arrive(parts.vpid) {
                    parts.vpid = Some(vpid);
                    parts.is_new = true;
                    parts.needs_flush = false;
                    parts.forget_generations();
                    if parts.vpids == VpidUse::OneEach {
                        let value = u16::try_from(vpid.get()).unwrap_or(0);
                        // SAFETY: no other virtual processor has it on this processor before all have been invalidated.
                        unsafe { vmcs.put_sensitive(field::VIRTUAL_PROCESSOR_ID, value) };
                    }
                }
                Ok(VmxVcpu { vmcs, host, host_state, translations, kick: None, parts })
            }
            Err((vmcs, fail)) => Err(LoadRefused { error: LoadError::Instruction(fail), vcpu: Self { vmcs, parts } }),
        }
    }
}

/// A virtual processor that was not loaded, and why.
#[derive(Debug)]
pub struct LoadRefused<'s, 'm, A: Frames> {
    /// Why.
    pub error: LoadError,
    /// The virtual processor.
    pub vcpu: ParkedVcpu<'s, 'm, A>,
}

/// Why a virtual processor could not be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum LoadError {
    /// The processor has other capabilities than the one that the virtual processor was made for.
    #[error("the processor has other capabilities than the one that the virtual processor was made for")]
    OtherProcessor,
    /// VMCLEAR or VMPTRLD failed.
    #[error("the VMCS could not be loaded: {0}")]
    Instruction(VmFail),
}

/// Why a virtual processor could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum CreateError {
    /// The processor lacks something.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// There are not enough frames.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
    /// The VMCS could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The processor lacks a field.
    #[error(transparent)]
    Field(FieldError),
    /// Another space needs other controls.
    #[error(transparent)]
    Controls(#[from] OtherControls),
}

/// Why an entry did not happen. The guest is as before, so that [`VmxVcpu::check`] gives the whole report, and
/// [`VmxVcpu::why`] what of it the processor can have meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum EntryError {
    /// VMLAUNCH or VMRESUME failed: controls or host state are invalid.
    #[error("VM entry failed: {fail}: {}", Why { violated: *violated, first: first.as_ref() })]
    Instruction {
        /// How it failed.
        fail: VmFail,
        /// The rules that the entry broke, of those for which processors say this.
        violated: RuleSet,
        /// The first of them, with the values.
        #[cfg_attr(feature = "arbitrary", arbitrary(default))]
        first: Option<Violation>,
    },
    /// The guest state is invalid, or MSRs could not be loaded.
    #[error(
        "VM entry failed: {reason}, exit qualification {qualification:#x}: {}",
        Why { violated: *violated, first: first.as_ref() }
    )]
    Failed {
        /// The reason.
        reason: ExitReason,
        /// The exit qualification.
        qualification: u64,
        /// The rules that the entry broke, of those for which processors say this.
        violated: RuleSet,
        /// The first of them, with the values.
        #[cfg_attr(feature = "arbitrary", arbitrary(default))]
        first: Option<Violation>,
    },
    /// INVEPT or INVVPID failed before the entry.
    #[error("translations were not invalidated: {0}")]
    Invalidation(VmFail),
    /// The processor lacks a field that was used since the last entry.
    #[error(transparent)]
    Field(FieldError),
    /// The host has cleared CR4.OSXSAVE, without which the state of its FPU cannot be kept.
    #[error("CR4.OSXSAVE of the host is 0, and was 1 when the virtual processor was made")]
    XsaveDisabled,
    /// The event that waits cannot be injected.
    #[error("{0:?} cannot be injected")]
    Event(Event),
    /// The virtual processor has shut down or waits for a start-up IPI.
    #[error("the virtual processor is {0}")]
    NotRunning(Activity),
}
