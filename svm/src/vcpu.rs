//! The virtual processor that is loaded on a physical one.

use core::fmt;

use x86_virt_core::{AddressSpace, AttachedKick, Event, Frames, Host, InterceptError, Kick, OutOfFrames, VcpuConfig};
use x86_virt_npt::NptFormat;

use crate::asid::FlushCounts;
use crate::capability::Capabilities;
use crate::check::{NextVmcb, Report, Violation, check};
use crate::dump::VmcbDump;
use crate::exit::SvmExit;
use crate::intercept::check_words;
use crate::parked::{LoadError, ParkedVcpu, check_host, nested_control};
use crate::residence::HostAway;
use crate::root::{HostPaging, Processor, SvmRoot};
use crate::run::EntryError;
use crate::vmcb::{EventInjection, Field, ReadWrite, WHOLE, control, save};

/// A virtual processor that is loaded on this processor, and implements [`Vcpu`](x86_virt_core::Vcpu).
///
/// One at a time: it borrows the [`SvmRoot`]. The methods here are what only AMD's processors have.
///
/// ```no_run
/// # use x86_virt_core::{AddressSpace, Frames, Vcpu, VcpuConfig};
/// # use x86_virt_npt::NptFormat;
/// use x86_virt_svm::vmcb::{control, save};
/// use x86_virt_svm::{CreateError, SvmRoot, SvmVcpu};
///
/// fn make<A: Frames>(root: &mut SvmRoot<'_, A>, space: &AddressSpace<'_, NptFormat, A>) -> Result<u64, CreateError> {
///     let mut vcpu = SvmVcpu::new(root, space, &VcpuConfig::new())?;
///     vcpu.write(control::TSC_OFFSET, 0_u64.wrapping_sub(1_000_000));
///     Ok(vcpu.read(save::DR6))
/// }
/// ```
pub struct SvmVcpu<'r, 's, 'm, A: Frames> {
    pub(crate) host: Host<'r>,
    /// Before `guest`, whose VMCB the processor still has while the host is away.
    pub(crate) host_away: HostAway,
    pub(crate) processor: &'r mut Processor<A>,
    pub(crate) guest: ParkedVcpu<'s, 'm, A>,
    pub(crate) kick: Option<AttachedKick<'s>>,
}

impl<'r, 's, 'm, A: Frames> SvmVcpu<'r, 's, 'm, A> {
    /// Makes a virtual processor in the state after INIT, and loads it. It takes six frames, and two more unless FPU state is
    /// shared; the permission maps are runs of two and of three.
    ///
    /// # Errors
    ///
    /// [`CreateError`] if there are not so many frames, or the space cannot be used on this processor.
    // Out of line, for the sake of hosts with a small stack: it moves much by value.
    #[inline(never)]
    pub fn new(
        root: &'r mut SvmRoot<'_, A>,
        space: &'s AddressSpace<'m, NptFormat, A>,
        config: &VcpuConfig,
    ) -> Result<Self, CreateError> {
        check_words(config.intercepts())?;
        let (host, processor) = root.parts();
        let guest = ParkedVcpu::new(host, processor.frames(), space, config)?;
        guest.load(root).map_err(|refused| CreateError::Load(refused.error))
    }

    pub(crate) fn loaded(host: Host<'r>, processor: &'r mut Processor<A>, guest: ParkedVcpu<'s, 'm, A>) -> Self {
        let host_away = HostAway::new(processor.host_state());
        Self { host, host_away, processor, guest, kick: None }
    }

    /// Takes the virtual processor off this processor, so that it may move to another.
    #[must_use]
    pub fn unload(mut self) -> ParkedVcpu<'s, 'm, A> {
        self.bring_host_back();
        self.guest
    }

    /// The guest-physical address space.
    #[must_use]
    pub const fn space(&self) -> &'s AddressSpace<'m, NptFormat, A> {
        self.guest.space
    }

    /// Gives the guest `space` as its memory from the next entry on, which flushes what the TLB holds of the guest.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if the space was made for another processor; then nothing is changed.
    pub fn set_space(&mut self, space: &'s AddressSpace<'m, NptFormat, A>) -> Result<(), LoadError> {
        check_host(space.format(), HostPaging::read(self.host), self.processor.capabilities.nested_controls())?;
        self.guest.space = space;
        self.guest.vmcb.write(control::NESTED_CTL, nested_control(space.format()));
        self.guest.vmcb.write(control::N_CR3, space.root().get());
        self.guest.needs_flush = true;
        Ok(())
    }

    /// What the processor's SVM can do.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.processor.capabilities
    }

    /// The last exit, if the guest has run.
    #[must_use]
    pub const fn last_exit(&self) -> Option<SvmExit> {
        self.guest.exit
    }

    /// Lets `kick` take the virtual processor out of the guest while it is loaded here. `processor` is the number that [`Kick::kick`]
    /// gives to who shall interrupt it.
    pub const fn set_kick(&mut self, kick: &'s Kick, processor: u32) {
        self.kick = Some(AttachedKick::new(kick, processor));
    }

    /// A field of the VMCB.
    #[must_use]
    pub fn read<T: Copy, X>(&self, field: Field<T, X>) -> T {
        self.guest.vmcb.read(field)
    }

    /// Sets a field of the VMCB. What the processor does not take, it refuses at the next entry.
    pub fn write<T: Copy>(&mut self, field: Field<T, ReadWrite>, value: T) {
        self.guest.vmcb.write(field, value);
    }

    /// Sets any field of the VMCB. The library overwrites some of those that it keeps at the next entry.
    ///
    /// # Safety
    ///
    /// What the guest can do with the new value does no harm to the host: it has no less intercepted than the host needs,
    /// what the field makes the processor switch is switched for the host too, and what the field makes the processor read or
    /// write is memory that is there for it for as long as the virtual processor lives.
    #[expect(unsafe_code, reason = "sensitive fields")]
    pub unsafe fn write_owned<T: Copy, X>(&mut self, field: Field<T, X>, value: T) {
        self.guest.vmcb.write(field, value);
    }

    /// A copy of the VMCB, to print or to compare. RAX is that of the last exit.
    #[must_use]
    pub fn dump(&self) -> VmcbDump {
        VmcbDump::from_bytes(self.read(WHOLE))
    }

    /// Checks what the next entry would have the processor check, with the event that waits. A run does not do this.
    ///
    /// What the reverse map, HWCR, SYSCFG and a VMSA hold is not looked at: rules of encrypted guests that need it are undecided.
    ///
    /// ```no_run
    /// use x86_virt_core::{Frames, Vcpu};
    /// use x86_virt_svm::SvmVcpu;
    ///
    /// fn run<A: Frames>(vcpu: &mut SvmVcpu<'_, '_, '_, A>) {
    ///     for violation in vcpu.check().violations() {
    ///         println!("{violation}");
    ///     }
    ///     if let Err(error) = vcpu.run() {
    ///         // Names the first rule.
    ///         println!("{error}");
    ///         vcpu.why(&error).skip(1).for_each(|violation| println!("{violation}"));
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn check(&self) -> Report<'static, NextVmcb<'_>> {
        let injection = self.pending().and_then(|event| EventInjection::try_from(event).ok());
        let context = self.processor.vmrun_context(self.host, self.guest.vmcb.hpa());
        check(NextVmcb::new(&self.guest.vmcb, injection), self.capabilities().cpuid(), context)
    }

    /// The rules by which the last run failed with `error`, with the values of now. Nothing may have been changed since.
    pub fn why(&self, error: &EntryError) -> impl Iterator<Item = Violation> {
        let violated = error.violated();
        let report = self.check();
        violated.iter().filter_map(move |rule| report.violation(rule))
    }

    /// Flushes at the next entry what the TLB holds of the guest, as after an INVLPG that was intercepted.
    pub const fn flush_tlb(&mut self) {
        self.guest.needs_flush = true;
    }

    /// How often this processor has flushed, for all virtual processors that were loaded.
    #[must_use]
    pub const fn flush_counts(&self) -> FlushCounts {
        self.processor.flushes
    }

    /// The event whose delivery the last exit interrupted, or that waits for the next entry.
    pub(crate) const fn pending(&self) -> Option<Event> {
        self.guest.events.pending()
    }
}

impl<A: Frames> fmt::Debug for SvmVcpu<'_, '_, '_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvmVcpu")
            .field("rip", &self.read(save::RIP))
            .field("asid", &self.read(control::GUEST_ASID))
            .field("last_exit", &self.last_exit())
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

/// Why a virtual processor cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum CreateError {
    /// There are no frames for it.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
    /// The processor cannot end a run for something.
    #[error(transparent)]
    Intercept(#[from] InterceptError),
    /// It cannot run on this processor.
    #[error(transparent)]
    Load(#[from] LoadError),
}
