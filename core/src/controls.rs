//! What ends a run, changed while the guest lives.

use core::ops::RangeInclusive;

use crate::config::Intercepts;
use crate::permission::{MsrAccess, MsrRangeError};
use crate::protection::PageFaultErrorCode;
use crate::register::{Cr0, Cr4};
use crate::vcpu::Vcpu;

/// What ends a run of a virtual processor, as it is now and to change.
///
/// [`VcpuConfig`](crate::VcpuConfig) says what it is at first.
///
/// ```
/// use x86_virt_core::{GuestControls, InterceptError, PageFaultErrorCode, PageFaultFilter};
///
/// /// Lets a debugger see accesses to descriptor tables, and faults of fetches.
/// fn watch<V: GuestControls>(vcpu: &mut V) -> Result<(), InterceptError> {
///     vcpu.set_intercepts(vcpu.intercepts().with_descriptor_tables(true))?;
///     vcpu.set_exceptions(vcpu.exceptions() | 1 << 14);
///     let fetch = PageFaultErrorCode::new().with_id(true);
///     vcpu.set_page_fault_filter(PageFaultFilter { mask: fetch, value: fetch });
///     Ok(())
/// }
/// ```
#[expect(unsafe_code, reason = "passing MSRs through is the caller's promise")]
pub trait GuestControls: Vcpu {
    /// What ends a run besides what always does.
    fn intercepts(&self) -> Intercepts;

    /// Lets these end a run, and no others besides what always does.
    ///
    /// # Errors
    ///
    /// [`InterceptError`] with the first that the processor cannot do; then nothing is changed.
    fn set_intercepts(&mut self, intercepts: Intercepts) -> Result<(), InterceptError>;

    /// The vectors of the exceptions that end a run, as bits.
    fn exceptions(&self) -> u32;

    /// Lets the exceptions end a run whose vectors are the bits set in `vectors`. Machine checks always do.
    fn set_exceptions(&mut self, vectors: u32);

    /// Which page faults end a run, if [`exceptions`](Self::exceptions) has them.
    fn page_fault_filter(&self) -> PageFaultFilter;

    /// Lets only page faults with such error codes end a run, if [`exceptions`](Self::exceptions) has them.
    ///
    /// VMX does so itself. On SVM all of them leave the guest, and the library gives it back the others: that costs as much as any exit.
    fn set_page_fault_filter(&mut self, filter: PageFaultFilter);

    /// The loops of PAUSE that end a run.
    fn pause_loop(&self) -> Option<PauseLoop>;

    /// Lets loops of PAUSE end a run, as those of spin locks: many PAUSE with little between them. The exit is
    /// [`ExitKind::Pause`](crate::ExitKind::Pause). Where [`Intercepts::pause`] is set, every one ends it.
    ///
    /// # Errors
    ///
    /// [`InterceptError`] if the processor does not count them; then nothing is changed.
    fn set_pause_loop(&mut self, pause_loop: Option<PauseLoop>) -> Result<(), InterceptError>;

    /// The bits of CR0 and CR4 that the guest changes without ending a run.
    fn owned_bits(&self) -> OwnedBits;

    /// Lets the guest change as many of these bits of CR0 and CR4 without ending a run as the processor and the library can, and returns
    /// which they are. For the others [`complete_control_register`](Vcpu::complete_control_register) does the same.
    ///
    /// VMX has a mask of any bits. SVM has TS and MP of CR0, together or not at all.
    fn set_owned_bits(&mut self, wanted: OwnedBits) -> OwnedBits;

    /// Whether the processor's bitmap covers the MSR with the number `msr`. Others always end a run.
    fn covers_msr(&self, msr: u32) -> bool;

    /// Whether such an access to the MSR with the number `msr` ends a run; for both directions, whether one of them does.
    fn is_msr_intercepted(&self, msr: u32, access: MsrAccess) -> bool;

    /// Whether an access to `port` ends a run.
    fn is_port_intercepted(&self, port: u16) -> bool;

    /// Ends a run when the guest accesses one of `msrs`: the same as [`intercept_msr`](Vcpu::intercept_msr) for each.
    fn intercept_msrs(&mut self, msrs: RangeInclusive<u32>, access: MsrAccess) {
        for covered in COVERED_MSRS {
            let (start, end) = ((*msrs.start()).max(*covered.start()), (*msrs.end()).min(*covered.end()));
            for msr in start..=end {
                self.intercept_msr(msr, access);
            }
        }
    }

    /// Lets the guest access `msrs` itself: the same as [`pass_host_msr`](Vcpu::pass_host_msr) for each. Those of the x2APIC are
    /// [`X2APIC_MSRS`].
    ///
    /// # Errors
    ///
    /// [`MsrRangeError`] with the first that the processor's bitmap does not cover; then nothing is changed.
    ///
    /// # Safety
    ///
    /// As [`pass_host_msr`](Vcpu::pass_host_msr), for each of them.
    unsafe fn pass_host_msrs(&mut self, msrs: RangeInclusive<u32>, access: MsrAccess) -> Result<(), MsrRangeError> {
        if let Some(msr) = msrs.clone().find(|msr| !self.covers_msr(*msr)) {
            return Err(MsrRangeError { msr });
        }
        for msr in msrs {
            // SAFETY: the caller's promise.
            unsafe { self.pass_host_msr(msr, access) }?;
        }
        Ok(())
    }
}

/// The MSRs of the local APIC in x2APIC mode.
///
/// Intel SDM vol. 3, section 13.12.1.2, "x2APIC Register Address Space".
pub const X2APIC_MSRS: RangeInclusive<u32> = 0x800..=0x8ff;

/// What bitmaps of either vendor cover.
///
/// Intel SDM vol. 3, section 27.6.9, "MSR-Bitmap Address"; AMD APM vol. 2, section 15.11, "MSR Intercepts".
const COVERED_MSRS: [RangeInclusive<u32>; 3] = [0..=0x1fff, 0xc000_0000..=0xc000_1fff, 0xc001_0000..=0xc001_1fff];

/// Which page faults end a run: those whose error code has the bits of `value` in the bits of `mask`.
///
/// Intel SDM vol. 3, section 27.6.3, "Exception Bitmap".
///
/// ```
/// use x86_virt_core::{PageFaultErrorCode, PageFaultFilter};
///
/// // Writes, whether a page is present or not.
/// let write = PageFaultErrorCode::new().with_wr(true);
/// let writes = PageFaultFilter { mask: write, value: write };
/// assert!(writes.matches(write.with_us(true)) && !writes.matches(PageFaultErrorCode::new().with_p(true)));
/// assert!(PageFaultFilter::ALL.matches(write));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct PageFaultFilter {
    /// The bits of the error code that are looked at.
    pub mask: PageFaultErrorCode,
    /// What they must be.
    pub value: PageFaultErrorCode,
}

impl PageFaultFilter {
    /// All page faults.
    pub const ALL: Self = Self { mask: PageFaultErrorCode::new(), value: PageFaultErrorCode::new() };

    /// Whether a page fault with this error code ends a run.
    #[must_use]
    pub const fn matches(self, error_code: PageFaultErrorCode) -> bool {
        error_code.into_bits() & self.mask.into_bits() == self.value.into_bits()
    }
}

impl Default for PageFaultFilter {
    fn default() -> Self {
        Self::ALL
    }
}

/// A loop of PAUSE that ends a run. The vendors count differently: both numbers for a loop are given, and each takes its own.
///
/// Intel SDM vol. 3, section 27.6.13, "Controls for PAUSE-Loop Exiting"; AMD APM vol. 2, section 15.14.4, "PAUSE Intercept Filtering".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct PauseLoop {
    /// How many ticks of the time-stamp counter may be between two PAUSE of one loop. On SVM at most 65535 count, and none on a processor
    /// without a threshold, where every PAUSE is of one loop.
    pub gap: u32,
    /// VMX: after how many ticks a loop ends the run. Only loops at privilege level 0 do.
    pub window: u32,
    /// SVM: after how many PAUSE a loop ends the run.
    pub count: u16,
}

impl PauseLoop {
    /// What hypervisors use: loops of 4096 ticks, or of 3000 PAUSE, with up to 128 ticks in between.
    pub const USUAL: Self = Self { gap: 128, window: 4096, count: 3000 };
}

/// Bits of control registers that a guest changes without ending a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct OwnedBits {
    /// Of CR0.
    pub cr0: Cr0,
    /// Of CR4.
    pub cr4: Cr4,
}

impl OwnedBits {
    /// None of them.
    pub const NONE: Self = Self { cr0: Cr0::new(), cr4: Cr4::new() };

    /// All of both registers: as many as can be.
    #[must_use]
    pub fn all() -> Self {
        Self { cr0: Cr0::from(u64::MAX), cr4: Cr4::from(u64::MAX) }
    }
}

/// Why something cannot be made to end a run, or not to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum InterceptError {
    /// The processor cannot end a run for it.
    #[error("this processor does not end a run at {intercept}: it lacks {needs}")]
    Missing {
        /// What was to end a run.
        #[cfg_attr(feature = "arbitrary", arbitrary(value = ""))]
        intercept: &'static str,
        /// What the processor lacks.
        #[cfg_attr(feature = "arbitrary", arbitrary(value = ""))]
        needs: &'static str,
    },
    /// The processor always ends a run for it.
    #[error("this processor always ends a run at {intercept}")]
    Always {
        /// What was not to end a run.
        #[cfg_attr(feature = "arbitrary", arbitrary(value = ""))]
        intercept: &'static str,
    },
    /// The processor ends a run for it only if it does so for another one.
    #[error("this processor ends a run at {intercept} only if it does at {other}")]
    OnlyWith {
        /// What was to end a run.
        #[cfg_attr(feature = "arbitrary", arbitrary(value = ""))]
        intercept: &'static str,
        /// What it needs.
        #[cfg_attr(feature = "arbitrary", arbitrary(value = ""))]
        other: &'static str,
    },
}
