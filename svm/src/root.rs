//! SVM on one processor: EFER.SVME and the host save area.

use x86_virt_core::{CpuPin, Cr4, Efer, Frame, Frames, Host, HostXss, Hpa, OutOfFrames, Tags};
use x86_virt_npt::{NptFormat, Pat};

use crate::asid::FlushCounts;
use crate::capability::{Capabilities, RawCpuid, Unsupported};
use crate::check::VmrunContext;
use crate::instructions;
use crate::msr::SvmMsr;
use crate::tsc_ratio::TscRatio;
use crate::vm_cr::VmCr;

/// SVM is on, on the processor that the holder is pinned to, for as long as this exists.
///
/// It owns the host save area, and the state of the host that VMRUN does not keep. Leaking it leaves SVM on and leaks two
/// frames.
///
/// AMD APM vol. 2, section 15.4, "Enabling SVM", and section 15.30.4, "VM_HSAVE_PA MSR (C001_0117h)".
///
/// ```no_run
/// use x86_virt_core::{CpuPin, Frames};
/// use x86_virt_svm::{EnterError, SvmRoot};
///
/// fn show(pin: &impl CpuPin, frames: impl Frames) -> Result<u32, EnterError> {
///     let root = SvmRoot::enter(pin, frames)?;
///     Ok(root.capabilities().asids())
/// }
/// ```
#[derive(Debug)]
pub struct SvmRoot<'p, A: Frames> {
    host: Host<'p>,
    processor: Processor<A>,
    /// `Some` if SVMDIS was set.
    previous_vm_cr: Option<VmCr>,
    previous_hsave: u64,
    /// The processor writes to it at each VMRUN.
    host_save_area: Frame<A>,
}

/// What a virtual processor needs of the physical one.
///
/// Invariant: it is borrowed from a [`SvmRoot`], so SVM is on and VM_HSAVE_PA is the address of an owned frame.
#[derive(Debug)]
pub(crate) struct Processor<A: Frames> {
    pub(crate) capabilities: Capabilities,
    pub(crate) asids: Tags,
    pub(crate) flushes: FlushCounts,
    /// Holds what VMSAVE stored of the host.
    host_state: Frame<A>,
    fs_base: u64,
    gs_base: u64,
    pub(crate) xss: HostXss,
    /// What TSC_RATIO is; of a processor without it, as if it were.
    tsc_ratio: TscRatio,
}

impl<'p, A: Frames> SvmRoot<'p, A> {
    /// Turns SVM on. It takes two frames.
    ///
    /// # Errors
    ///
    /// [`EnterError`]; nothing is changed then.
    #[expect(unsafe_code, reason = "writes EFER and VM_HSAVE_PA")]
    pub fn enter<P: CpuPin + ?Sized>(pin: &'p P, frames: A) -> Result<Self, EnterError> {
        let host = Host::new(pin);
        let capabilities = Capabilities::new(RawCpuid::read())?;
        // SAFETY: every processor with SVM has VM_CR: AMD APM vol. 2, section 15.30.1, "VM_CR MSR (C001_0114h)".
        let vm_cr = VmCr::from_bits(unsafe { host.msr(SvmMsr::VM_CR.into_bits()) });
        let allowed = vm_cr.allow_svm()?;
        let efer = efer(host);
        if efer.svme() {
            return Err(EnterError::AlreadyInUse);
        }
        let save_area = Frame::zeroed(&frames, 1)?;
        let host_state = Frame::zeroed(&frames, 1)?;
        if allowed != vm_cr {
            // SAFETY: SVMDIS is not locked; clearing it only lets EFER.SVME be set.
            unsafe { host.set_msr(SvmMsr::VM_CR.into_bits(), allowed.into_bits()) };
        }
        // SAFETY: SVM is supported and not disabled. Nothing but its instructions depends on the bit.
        unsafe { host.set_msr(x86::msr::IA32_EFER, efer.with_svme(true).into_bits()) };
        // SAFETY: every processor with SVM has the MSR.
        let previous_hsave = unsafe { host.msr(SvmMsr::VM_HSAVE_PA.into_bits()) };
        // SAFETY: an aligned frame that is ours until `drop` has put the previous address back.
        unsafe { host.set_msr(SvmMsr::VM_HSAVE_PA.into_bits(), save_area.hpa().get()) };
        let processor = Processor {
            capabilities,
            asids: Tags::new(capabilities.asids()),
            flushes: FlushCounts::default(),
            host_state,
            fs_base: 0,
            gs_base: 0,
            xss: HostXss::default(),
            tsc_ratio: TscRatio::ONE,
        };
        let previous_vm_cr = (allowed != vm_cr).then_some(vm_cr);
        Ok(Self { host, processor, previous_vm_cr, previous_hsave, host_save_area: save_area })
    }

    /// Turns SVM off again, as dropping does.
    pub fn leave(self) {}

    /// What the processor's SVM can do.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.processor.capabilities
    }

    /// How often the processor has flushed, for all virtual processors that were loaded.
    #[must_use]
    pub const fn flush_counts(&self) -> FlushCounts {
        self.processor.flushes
    }

    /// The allocator.
    #[must_use]
    pub const fn frames(&self) -> &A {
        self.host_save_area.frames()
    }

    /// The format of nested page tables for guests on this processor, without what needs a control of the VMCB: see the functions of
    /// [`NptFormat`], which refuse what the processor lacks.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] if the processor's physical address width is none.
    pub fn nested_format(&self) -> Result<NptFormat, Unsupported> {
        let HostPaging { pat, levels, has_no_execute } = HostPaging::read(self.host);
        let capabilities = &self.processor.capabilities;
        let mut format =
            NptFormat::new(pat, capabilities.physical_width())?.with_controls(capabilities.nested_controls());
        if capabilities.has_1g_pages() {
            format = format.with_1g_pages();
        }
        if has_no_execute {
            format = format.with_no_execute();
        }
        if levels == 5 {
            format = format.with_five_levels();
        }
        Ok(format)
    }

    pub(crate) const fn parts(&mut self) -> (Host<'p>, &mut Processor<A>) {
        (self.host, &mut self.processor)
    }
}

impl<A: Frames> Processor<A> {
    pub(crate) const fn frames(&self) -> &A {
        self.host_state.frames()
    }

    /// The physical address of what VMSAVE stored of the host.
    pub(crate) const fn host_state(&self) -> Hpa {
        self.host_state.hpa()
    }

    /// Takes the state of the host that VMRUN does not keep, for a virtual processor that is loaded now.
    pub(crate) fn load_host_state(&mut self, host: Host<'_>) {
        self.save_host_state(host);
        self.xss = HostXss::read(host);
    }

    /// Stores the host's FS and GS base again if they have changed; the rest does not change (contract of `CpuPin`).
    #[inline]
    pub(crate) fn update_host_state(&mut self, host: Host<'_>) {
        if host.segment_bases(Cr4::from(host.cr4())) != (self.fs_base, self.gs_base) {
            self.save_host_state(host);
        }
    }

    /// Gives the guest that is entered next its ratio, if it is not that of the one before.
    #[inline]
    pub(crate) fn update_tsc_ratio(&mut self, host: Host<'_>, ratio: TscRatio) {
        if ratio != self.tsc_ratio {
            self.write_tsc_ratio(host, ratio);
        }
    }

    #[cold]
    #[expect(unsafe_code, reason = "writes an MSR")]
    fn write_tsc_ratio(&mut self, host: Host<'_>, ratio: TscRatio) {
        self.tsc_ratio = ratio;
        // SAFETY: only a processor with the MSR has a guest with another ratio than 1: `set_tsc_ratio` asks CPUID. The host's own counter
        // does not depend on it, and `TscRatio::of` leaves reserved bits 0.
        unsafe { host.set_msr(SvmMsr::TSC_RATIO.into_bits(), ratio.into_bits()) };
    }

    /// What VMRUN of the VMCB at `vmcb` depends on besides it.
    #[expect(unsafe_code, reason = "reads an MSR")]
    pub(crate) fn vmrun_context(&self, host: Host<'_>, vmcb: Hpa) -> VmrunContext<'static> {
        use x86::cpuid::native_cpuid::cpuid_count;
        let leaf = |leaf: u32| (cpuid_count(0x8000_0000, 0).eax >= leaf).then(|| cpuid_count(leaf, 0));
        // SAFETY: SVM is on (invariant of the type), and every processor with SVM has the MSR.
        let hsave = unsafe { host.msr(SvmMsr::VM_HSAVE_PA.into_bits()) };
        VmrunContext {
            host_cr0: Some(host.cr0().into()),
            host_efer: Some(efer(host)),
            // `Host` proves it.
            cpl: Some(0),
            vmcb_address: Some(vmcb),
            hsave_pa: Some(Hpa::new(hsave)),
            leaf_8000_0008_ebx: Some(leaf(0x8000_0008).map_or(0, |leaf| leaf.ebx)),
            leaf_8000_0021_eax: Some(leaf(0x8000_0021).map_or(0, |leaf| leaf.eax)),
            ..VmrunContext::UNKNOWN
        }
    }

    #[expect(unsafe_code, reason = "executes VMSAVE")]
    fn save_host_state(&mut self, host: Host<'_>) {
        // SAFETY: SVM is on (invariant of the type), and the frame is ours.
        unsafe { instructions::vmsave(self.host_state.hpa()) };
        (self.fs_base, self.gs_base) = (host.fs_base(), host.gs_base());
    }
}

impl<A: Frames> Drop for SvmRoot<'_, A> {
    #[expect(unsafe_code, reason = "writes EFER and VM_HSAVE_PA")]
    fn drop(&mut self) {
        self.processor.update_tsc_ratio(self.host, TscRatio::ONE);
        // SAFETY: no VMRUN executes any more, since virtual processors borrow the root; the value was in the MSR before.
        unsafe { self.host.set_msr(SvmMsr::VM_HSAVE_PA.into_bits(), self.previous_hsave) };
        let efer = efer(self.host).with_svme(false);
        // SAFETY: the bit was 0 before, and the global interrupt flag is 1 outside of the world switch.
        unsafe { self.host.set_msr(x86::msr::IA32_EFER, efer.into_bits()) };
        if let Some(vm_cr) = self.previous_vm_cr {
            // SAFETY: the value that the register had; `enter` could write it, so it is not locked.
            unsafe { self.host.set_msr(SvmMsr::VM_CR.into_bits(), vm_cr.into_bits()) };
        }
    }
}

#[expect(unsafe_code, reason = "reads EFER")]
fn efer(host: Host<'_>) -> Efer {
    // SAFETY: every processor with 64-bit mode, which `CpuPin` promises, has EFER.
    Efer::from_bits(unsafe { host.msr(x86::msr::IA32_EFER) })
}

/// Modes of the host's own paging that nested paging shares.
///
/// AMD APM vol. 2, section 15.25.3, "Enabling Nested Paging".
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostPaging {
    pub(crate) pat: Pat,
    pub(crate) levels: u8,
    pub(crate) has_no_execute: bool,
}

impl HostPaging {
    #[expect(unsafe_code, reason = "reads the PAT")]
    pub(crate) fn read(host: Host<'_>) -> Self {
        // SAFETY: every processor with 64-bit mode has a PAT.
        let pat = Pat::new(unsafe { host.msr(x86::msr::IA32_PAT) });
        let levels = if Cr4::from(host.cr4()).la57() { 5 } else { 4 };
        Self { pat, levels, has_no_execute: efer(host).nxe() }
    }
}

impl RawCpuid {
    /// The values of the processor that executes this.
    #[must_use]
    pub fn read() -> Self {
        use x86::cpuid::native_cpuid::cpuid_count;
        let has = |leaf: u32| cpuid_count(leaf & 0x8000_0000, 0).eax >= leaf;
        let mut raw = Self { leaf_1_ecx: cpuid_count(1, 0).ecx, ..Self::default() };
        if has(7) {
            let leaf = cpuid_count(7, 0);
            (raw.leaf_7_ebx, raw.leaf_7_ecx) = (leaf.ebx, leaf.ecx);
        }
        if has(0x8000_0001) {
            let leaf = cpuid_count(0x8000_0001, 0);
            (raw.leaf_8000_0001_ecx, raw.leaf_8000_0001_edx) = (leaf.ecx, leaf.edx);
        }
        if has(0x8000_0008) {
            raw.leaf_8000_0008_eax = cpuid_count(0x8000_0008, 0).eax;
        }
        if has(0x8000_000a) {
            let leaf = cpuid_count(0x8000_000a, 0);
            (raw.leaf_8000_000a_eax, raw.leaf_8000_000a_ebx) = (leaf.eax, leaf.ebx);
            (raw.leaf_8000_000a_ecx, raw.leaf_8000_000a_edx) = (leaf.ecx, leaf.edx);
        }
        if has(0x8000_001f) {
            let leaf = cpuid_count(0x8000_001f, 0);
            (raw.leaf_8000_001f_eax, raw.leaf_8000_001f_ebx) = (leaf.eax, leaf.ebx);
            (raw.leaf_8000_001f_ecx, raw.leaf_8000_001f_edx) = (leaf.ecx, leaf.edx);
        }
        raw
    }
}

/// Why SVM cannot be turned on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum EnterError {
    /// The processor cannot run guests.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// Somebody else uses SVM on this processor.
    #[error("SVM is in use on this processor (EFER.SVME = 1)")]
    AlreadyInUse,
    /// There are no frames for the host save area.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
}

#[cfg(test)]
mod tests {
    use static_assertions::assert_not_impl_any;

    use super::SvmRoot;
    use x86_virt_core::testing::FakeFrames;

    assert_not_impl_any!(SvmRoot<'static, FakeFrames>: Send, Sync);
}
