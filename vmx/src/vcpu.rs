//! The virtual processor.
#![expect(unsafe_code, reason = "enters the guest")]

mod error;
mod parked;
mod run;

use x86_virt_core::fpu::FpuState;
use x86_virt_core::{
    Activity, AddressSpace, AttachedKick, Efer, Events, FpuPolicy, Frame, Frames, Gprs, Host, HostXss, Hpa,
    SoftwareMsrs, Tag, VcpuConfig,
};
use x86_virt_ept::{EptControls, EptFormat, Spptp};

pub use self::error::{CreateError, EntryError};
pub use self::parked::{LoadError, LoadRefused, ParkedVcpu};
use self::run::Mode;
use crate::access::{VmcsRead, VmcsWrite};
use crate::bitmap::{IoBitmaps, MsrBitmaps};
use crate::cache::Cache;
use crate::capability::Capabilities;
use crate::control::{PrimaryControls, SecondaryControls, TertiaryControls};
use crate::eptp_switching::{EptpSpaces, eptp};
use crate::exit::ExitReason;
use crate::field;
use crate::guest_controls::Chosen;
use crate::guest_time::Time;
use crate::host_state::HostState;
use crate::instruction_error::VmFail;
use crate::msrs::{Msrs, ResidentMsrs};
use crate::page_modification_log::PageModificationLog;
use crate::preemption_timer::PreemptionTimer;
use crate::root::VmxRoot;
use crate::setup::Controls;
use crate::sub_pages::SubPages;
use crate::switch::Switch;
use crate::virtual_apic::Attached;
use crate::vmcs::{CurrentVmcs, Vmcs};
use crate::vpid::{FlushCounts, Translations, VpidUse};

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
    /// `None` if the host's values come back after each exit.
    xss: HostXss,
    resident: Option<ResidentMsrs<'r>>,
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
    pub(crate) software_msrs: SoftwareMsrs,
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
    /// CR8, if no virtual APIC has it.
    pub(crate) cr8: u8,
    pub(crate) virtual_apic: Option<Attached<'m, A>>,
    pub(crate) events: Events,
    /// The guest may be handling an NMI: one was delivered, or the VMCS was changed, and NMIs were not seen unblocked since.
    pub(crate) nmi_handled: bool,
    /// The instruction that the shadow in the VMCS protected has been completed.
    pub(crate) shadow_is_over: bool,
    /// The exceptions that leave the guest for the host's sake, as the VMCS has them.
    pub(crate) endless: u32,
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
    /// The parts of a new virtual processor.
    // Out of line, as `VmxVcpu::new`, so that its copies are gone before the virtual processor is loaded.
    #[inline(never)]
    fn new(
        root: &VmxRoot<'_, A>,
        space: &'s AddressSpace<'m, EptFormat, A>,
        config: &VcpuConfig,
        controls: &Controls,
    ) -> Result<Self, CreateError> {
        let (capabilities, frames) = (root.capabilities(), root.frames());
        let tables = space.format().controls();
        let vpids =
            if controls.secondary.contains(SecondaryControls::ENABLE_VPID) { VpidUse::OneEach } else { VpidUse::None };
        let fpu = match config.fpu() {
            FpuPolicy::Switched => FpuState::switched(root.host(), frames)?,
            FpuPolicy::Shared => FpuState::shared(),
        };
        Ok(Self {
            capabilities: *capabilities,
            space,
            eptp_spaces: None,
            switch: Switch::new(Gprs::default()),
            fpu,
            msrs: Msrs::new(),
            software_msrs: SoftwareMsrs::default(),
            breakpoints: [0; 4],
            dr6: DR6_AFTER_RESET,
            msr_bitmaps: MsrBitmaps::new(frames)?,
            io_bitmaps: IoBitmaps::new(frames)?,
            log: PageModificationLog::new(capabilities, space.format(), frames)?,
            tables,
            sub_page_root: if tables.sub_page_write() { Some(Frame::zeroed(frames, 1)?) } else { None },
            sub_pages: None,
            primary: controls.primary,
            secondary: controls.secondary,
            chosen: Chosen::new(config),
            time: Time::new(controls.pin, PreemptionTimer::of(capabilities)),
            cache: Cache::default(),
            mode: None,
            cr2: 0,
            cr8: 0,
            virtual_apic: None,
            events: Events::new(),
            nmi_handled: false,
            shadow_is_over: false,
            endless: 0,
            activity: Activity::Running,
            reason: NO_EXIT,
            vpid: None,
            vpids,
            is_new: true,
            seen: 0,
            needs_flush: false,
        })
    }

    /// The spaces that the guest can be in.
    pub(crate) fn spaces(&self) -> &[&'s AddressSpace<'m, EptFormat, A>] {
        match &self.eptp_spaces {
            Some(spaces) => spaces.spaces(),
            None => core::slice::from_ref(&self.space),
        }
    }

    /// Nothing is known of what the processor has invalidated for.
    pub(crate) fn forget_generations(&mut self) {
        self.seen = 0;
        if let Some(spaces) = &self.eptp_spaces {
            spaces.forget();
        }
    }
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
        let controls = Controls::new(root.capabilities(), config, space.format().controls())?;
        let mut parts = Parts::new(root, space, config, &controls)?;
        let vmcs = Vmcs::new(root.capabilities(), root.frames())?;
        let arrival = parts.arrive(vmcs, root).map_err(|(_, error)| CreateError::Load(error))?;
        let mut vcpu = Self::arrived(arrival, parts);
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
        self.bring_host_back();
        self.write_back();
        self.end_shadow();
        let vmcs = self.vmcs.unload()?;
        Ok(ParkedVcpu { vmcs, parts: self.parts })
    }

    /// The VMCS, for what this type has no method for.
    ///
    /// RIP, RSP, RFLAGS and the end of the shadow of STI or MOV SS are written to it later than they change.
    #[must_use]
    pub const fn vmcs(&self) -> &CurrentVmcs<'r, A> {
        &self.vmcs
    }

    /// The VMCS, to change what this type has no method for.
    ///
    /// RIP, RSP and RFLAGS are cached: use the methods of [`Vcpu`](x86_virt_core::Vcpu) for them. The next entry invalidates what
    /// was translated for the guest, as [`flush_tlb`](Self::flush_tlb) does.
    pub fn vmcs_mut(&mut self) -> &mut CurrentVmcs<'r, A> {
        self.end_shadow();
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
