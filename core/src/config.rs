//! What a virtual processor is made with.

use crate::register;

register! {
    /// What ends a run besides what always does.
    ///
    /// Always: CPUID where the processor can intercept it, hypercalls, all MSRs and ports until they are passed through, CR0 and
    /// CR4 writes, CR8 and debug registers, XSETBV, RDPMC, MONITOR, MWAIT, INVD, VMX and SVM instructions, the host's
    /// interrupts and NMIs, INIT and shutdown.
    pub struct Intercepts(u32) {
        /// HLT.
        pub hlt: bool,
        /// PAUSE.
        pub pause: bool,
        /// RDTSC and RDTSCP.
        pub rdtsc: bool,
        /// MOV to CR3.
        pub cr3_write: bool,
        /// MOV from CR3.
        pub cr3_read: bool,
        /// INVLPG, and on VMX INVPCID.
        pub invlpg: bool,
        /// WBINVD.
        pub wbinvd: bool,
        /// INVPCID. On VMX only together with INVLPG.
        pub invpcid: bool,
        /// SGDT, SIDT, SLDT, STR, LGDT, LIDT, LLDT and LTR.
        pub descriptor_tables: bool,
        /// RDRAND. VMX only.
        pub rdrand: bool,
        /// RDSEED. VMX only.
        pub rdseed: bool,
        /// Task switches. On VMX they end a run in any case.
        pub task_switch: bool,
        /// MOV from CR0, and SMSW. SVM only.
        pub cr0_read: bool,
        /// MOV from CR4. SVM only.
        pub cr4_read: bool,
        /// `INT n`. SVM only.
        pub software_interrupt: bool,
        #[bits(17)]
        _reserved15: u32,
    }
}

/// How a virtual processor is made.
///
/// ```
/// use x86_virt_core::{Intercepts, VcpuConfig};
///
/// let config = VcpuConfig::new().with_intercepts(Intercepts::new().with_hlt(true).with_pause(true)).with_exceptions(1 << 14);
/// assert!(config.intercepts().hlt());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct VcpuConfig {
    intercepts: Intercepts,
    exceptions: u32,
    fpu: FpuPolicy,
    state: StatePolicy,
    interrupts: InterruptPolicy,
}

/// What happens to x87, SSE and AVX state at entries and exits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum FpuPolicy {
    /// Host and guest each have their own.
    Switched,
    /// They share the registers: the host does not use them.
    Shared,
}

/// What happens to registers that the processor does not switch, and the host hardly uses.
///
/// On VMX: KERNEL_GS_BASE, STAR, LSTAR, CSTAR and SFMASK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum StatePolicy {
    /// The host has its own after each run.
    Switched,
    /// The guest's stay loaded between runs.
    Resident,
    /// On SVM, so do its FS, GS, LDTR and TR, and the MSRs of SYSENTER. On VMX as [`Resident`](Self::Resident).
    ResidentSegments,
}

/// What becomes of an interrupt of the host that ends a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum InterruptPolicy {
    /// It stays pending in the interrupt controller, and comes when the host enables interrupts.
    Pending,
    /// The exit acknowledges it, and the library calls the host's handler before the run returns.
    Acknowledged,
}

impl VcpuConfig {
    /// HLT ends a run; FPU state is switched; no exception is intercepted.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            intercepts: Intercepts::new().with_hlt(true),
            exceptions: 0,
            fpu: FpuPolicy::Switched,
            state: StatePolicy::Switched,
            interrupts: InterruptPolicy::Pending,
        }
    }

    /// With these intercepts.
    #[must_use]
    pub const fn with_intercepts(self, intercepts: Intercepts) -> Self {
        Self { intercepts, ..self }
    }

    /// With the exceptions intercepted whose vectors are the bits set in `exceptions`.
    #[must_use]
    pub const fn with_exceptions(self, exceptions: u32) -> Self {
        Self { exceptions, ..self }
    }

    /// With x87, SSE and AVX state left in the registers at entries and exits.
    ///
    /// # Safety
    ///
    /// While a virtual processor with this configuration is loaded, the host neither uses these registers nor expects them
    /// to keep their values, and switches them itself between guests. Code that is compiled for a target with SSE uses them.
    #[must_use]
    #[expect(unsafe_code, reason = "the caller's promise about registers")]
    pub const unsafe fn with_shared_fpu(self) -> Self {
        Self { fpu: FpuPolicy::Shared, ..self }
    }

    /// With the guest's KERNEL_GS_BASE, STAR, LSTAR, CSTAR and SFMASK left in the registers between runs, on VMX: an exit accesses no
    /// MSR then. The host's come back when the virtual processor is unloaded or dropped. On SVM it changes nothing.
    ///
    /// # Safety
    ///
    /// While a virtual processor with this configuration is loaded, the host executes neither SWAPGS nor SYSCALL or SYSRET on its
    /// processor, does not go to user mode, and neither reads nor writes these MSRs. Interrupts and exceptions that find the host at
    /// privilege level 0 are no matter. The virtual processor is not leaked.
    #[must_use]
    #[expect(unsafe_code, reason = "the caller's promise about registers")]
    pub const unsafe fn with_resident_state(self) -> Self {
        Self { state: StatePolicy::Resident, ..self }
    }

    /// [`with_resident_state`](Self::with_resident_state), and on SVM also with FS, GS, LDTR, TR and the MSRs of SYSCALL and SYSENTER left in
    /// the registers, which costs an exit neither VMLOAD nor VMSAVE.
    ///
    /// Since TR is the guest's then, no handler of the host may run: the global interrupt flag is 0 from an exit to the next entry, and
    /// interrupts, NMIs, SMIs and machine checks wait, as long as the host needs for an exit. It is 1 again, with the host's own state, when
    /// a run ends with anything but an instruction of the guest, or with HLT, MWAIT or PAUSE, and after
    /// [`Vcpu::settle`](crate::Vcpu::settle).
    ///
    /// AMD APM vol. 2, section 15.5.2, "VMSAVE and VMLOAD Instructions", and section 15.17, "Global Interrupt Flag, STGI and CLGI
    /// Instructions".
    ///
    /// # Safety
    ///
    /// The promise of [`with_resident_state`](Self::with_resident_state). Between a run that ended with an instruction of the guest, and
    /// the next run or [`settle`](crate::Vcpu::settle), moreover:
    ///
    /// - The host has no use for FS, GS, LDTR, TR and the MSRs of SYSENTER: it has no thread-local and no per-processor variables there, and
    ///   no exception of its own switches stacks.
    /// - It waits neither for an interrupt nor for another processor that may wait for this one.
    #[must_use]
    #[expect(unsafe_code, reason = "the caller's promise about registers")]
    pub const unsafe fn with_resident_segments(self) -> Self {
        Self { state: StatePolicy::ResidentSegments, ..self }
    }

    /// With the interrupts of the host that end a run acknowledged by the exit, on VMX: the library calls the host's handler by the
    /// IDT before [`Vcpu::run`](crate::Vcpu::run) returns, and the host need not enable interrupts to let it come. On SVM, where
    /// interrupts always stay pending, it changes nothing.
    ///
    /// # Safety
    ///
    /// The host has a handler for each vector that its interrupt controllers deliver, which does what it does when an interrupt
    /// comes: it keeps all registers, returns by IRET, and tells the local APIC that it is over. It may run inside of a run even if the
    /// caller has disabled interrupts: nothing that the caller relies on is changed by it then. Handlers do not use the library.
    #[must_use]
    #[expect(unsafe_code, reason = "the caller's promise about handlers")]
    pub const unsafe fn with_acknowledged_interrupts(self) -> Self {
        Self { interrupts: InterruptPolicy::Acknowledged, ..self }
    }

    /// The intercepts.
    #[must_use]
    pub const fn intercepts(&self) -> Intercepts {
        self.intercepts
    }

    /// The exceptions that are intercepted.
    #[must_use]
    pub const fn exceptions(&self) -> u32 {
        self.exceptions
    }

    /// What happens to x87, SSE and AVX state.
    #[must_use]
    pub const fn fpu(&self) -> FpuPolicy {
        self.fpu
    }

    /// What happens to registers that the processor does not switch.
    #[must_use]
    pub const fn state(&self) -> StatePolicy {
        self.state
    }

    /// What becomes of interrupts of the host.
    #[must_use]
    pub const fn interrupts(&self) -> InterruptPolicy {
        self.interrupts
    }
}

/// Never with [`FpuPolicy::Shared`], which is the caller's promise.
#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for VcpuConfig {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self::new().with_intercepts(bytes.arbitrary()?).with_exceptions(bytes.arbitrary()?))
    }
}

impl Default for VcpuConfig {
    fn default() -> Self {
        Self::new()
    }
}
