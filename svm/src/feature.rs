//! Names of what a processor can do.

use crate::capability::Capabilities;

impl Capabilities {
    /// What the processor has beyond the first processors with SVM, in words.
    ///
    /// ```
    /// use x86_virt_svm::{Capabilities, RawCpuid};
    ///
    /// let cpuid = RawCpuid {
    ///     leaf_8000_0001_ecx: 1 << 2,
    ///     leaf_8000_000a_ebx: 16,
    ///     leaf_8000_000a_edx: 0x1_0001,
    ///     ..RawCpuid::default()
    /// };
    /// let names: Vec<_> = Capabilities::new(cpuid)?.feature_names().collect();
    /// assert_eq!(names, ["nested paging (NPT)", "virtual GIF"]);
    /// # Ok::<(), x86_virt_svm::Unsupported>(())
    /// ```
    pub fn feature_names(&self) -> impl Iterator<Item = &'static str> {
        let features = self.features();
        [
            (features.np(), "nested paging (NPT)"),
            (self.has_1g_pages(), "NPT pages of 1 GiB"),
            (features.nrips(), "next RIP is saved"),
            (features.decode_assists(), "decode assists"),
            (features.flush_by_asid(), "flush by ASID"),
            (features.vmcb_clean(), "VMCB clean bits"),
            (features.tsc_rate_msr(), "TSC rate"),
            (features.pause_filter(), "PAUSE filter"),
            (features.avic(), "AVIC"),
            (features.x2avic(), "x2AVIC"),
            (features.vgif(), "virtual GIF"),
            (features.vnmi(), "virtual NMI"),
            (features.lbr_virt(), "LBR virtualization"),
            (features.vmsave_virt(), "virtual VMSAVE and VMLOAD"),
            (features.gmet(), "guest mode execute trap"),
            (features.sss_check(), "supervisor shadow-stack check"),
            (features.bus_lock_threshold(), "bus-lock threshold"),
        ]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
    }
}

/// Whether CPUID reports SVM. Any code may ask.
///
/// AMD APM vol. 2, section 15.4, "Enabling SVM".
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn has_svm() -> bool {
    x86::cpuid::CpuId::new().get_extended_processor_and_feature_identifiers().is_some_and(|features| features.has_svm())
}
