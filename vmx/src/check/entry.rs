//! The circumstances of an entry.

use core::fmt;

use x86_virt_core::Hpa;

/// What is known of an entry beyond the VMCS and the capabilities of the processor.
///
/// [`Entry::new`] is an entry as a hypervisor makes it: with VMLAUNCH of a clear VMCS or VMRESUME of a launched one,
/// which is current and no shadow VMCS, in 64-bit mode at privilege level 0 in VMX root operation, not in
/// system-management mode, not in SEAM and not after MOV SS. What has no usual value is unknown, and the rules that
/// depend on it say so.
///
/// ```
/// use x86_virt_core::Hpa;
/// use x86_virt_vmx::check::{Entry, EntryInstruction};
///
/// let mut entry = Entry::new();
/// entry.current_vmcs = Some(Hpa::new(0x1000));
/// entry.instruction = Some(EntryInstruction::Vmresume);
/// entry.is_launched = Some(true);
/// assert_eq!(entry.privilege_level, 0);
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// Which instruction enters.
    pub instruction: Option<EntryInstruction>,
    /// Whether the launch state of the VMCS is "launched", not "clear". `None` if it is as the instruction needs it.
    pub is_launched: Option<bool>,
    /// Where the instruction is executed.
    pub mode: ProcessorMode,
    /// Privilege level at which the instruction is executed.
    pub privilege_level: u8,
    /// Whether there is a current VMCS.
    pub has_current_vmcs: bool,
    /// Whether the current VMCS is a shadow VMCS.
    pub is_shadow_vmcs: bool,
    /// Whether events are blocked by MOV SS.
    pub blocking_by_mov_ss: bool,
    /// The address of the current VMCS.
    pub current_vmcs: Option<Hpa>,
    /// Whether the processor is in system-management mode.
    pub in_smm: bool,
    /// The address of the VMXON region, for a return from system-management mode.
    pub vmxon_pointer: Option<Hpa>,
    /// Whether the executive VMCS is launched, for a return from system-management mode.
    pub executive_is_launched: Option<bool>,
    /// Whether the VM-execution controls in the executive VMCS are valid, for a return from system-management mode.
    pub executive_controls_are_valid: Option<bool>,
    /// Whether the processor is in SEAM (secure-arbitration mode).
    pub in_seam: bool,
    /// Whether the processor has Intel 64.
    pub intel_64: bool,
    /// Whether the processor is in IA-32e mode: IA32_EFER.LMA.
    pub is_ia32e: bool,
    /// How many of the highest bits of physical addresses are key identifiers: bits 39:36 of IA32_TME_ACTIVATE.
    pub key_id_bits: u8,
    /// Whether IA32_RTIT_CTL.TraceEn is 1.
    pub is_tracing: Option<bool>,
    /// Whether the processor has RTM (restricted transactional memory).
    pub has_rtm: Option<bool>,
    /// Whether the processor has SGX.
    pub has_sgx: Option<bool>,
    /// Bits of IA32_DEBUGCTL that the processor has.
    pub debugctl_bits: Option<u64>,
    /// Bits of IA32_PERF_GLOBAL_CTRL that the processor has.
    pub perf_global_ctrl_bits: Option<u64>,
    /// Bits of IA32_RTIT_CTL that the processor has.
    pub rtit_ctl_bits: Option<u64>,
    /// Bits of IA32_LBR_CTL that the processor has.
    pub lbr_ctl_bits: Option<u64>,
    /// Bits of IA32_SPEC_CTRL that the processor has.
    pub spec_ctrl_bits: Option<u64>,
    /// Memory, and what WRMSR accepts.
    pub machine: Option<&'a dyn Machine>,
}

impl Entry<'_> {
    /// An entry as a hypervisor makes it.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            instruction: None,
            is_launched: None,
            mode: ProcessorMode::Root,
            privilege_level: 0,
            has_current_vmcs: true,
            is_shadow_vmcs: false,
            blocking_by_mov_ss: false,
            current_vmcs: None,
            in_smm: false,
            vmxon_pointer: None,
            executive_is_launched: None,
            executive_controls_are_valid: None,
            in_seam: false,
            intel_64: true,
            is_ia32e: true,
            key_id_bits: 0,
            is_tracing: None,
            has_rtm: None,
            has_sgx: None,
            debugctl_bits: None,
            perf_global_ctrl_bits: None,
            rtit_ctl_bits: None,
            lbr_ctl_bits: None,
            spec_ctrl_bits: None,
            machine: None,
        }
    }
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("instruction", &self.instruction)
            .field("is_launched", &self.is_launched)
            .field("mode", &self.mode)
            .field("privilege_level", &self.privilege_level)
            .field("current_vmcs", &self.current_vmcs)
            .field("in_smm", &self.in_smm)
            .field("in_seam", &self.in_seam)
            .finish_non_exhaustive()
    }
}

/// An instruction that enters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EntryInstruction {
    /// VMLAUNCH.
    Vmlaunch,
    /// VMRESUME.
    Vmresume,
}

/// Where the instruction that enters is executed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProcessorMode {
    /// In VMX root operation, in protected mode or 64-bit mode.
    Root,
    /// In VMX non-root operation: in a guest.
    NonRoot,
    /// In real mode, virtual-8086 mode or compatibility mode.
    Legacy,
    /// Not in VMX operation.
    OutsideVmx,
}

/// What rules may ask about the machine: `None` where it is not known.
pub trait Machine {
    /// The 8 bytes at the physical `address`, which is a multiple of 8.
    fn memory(&self, address: Hpa) -> Option<u64> {
        let _ = address;
        None
    }

    /// Whether WRMSR, executed at privilege level 0 in the state that the entry has loaded, takes `value` for `msr`.
    fn accepts_msr(&self, msr: u32, value: u64) -> Option<bool> {
        let _ = (msr, value);
        None
    }

    /// Whether an entry on this model can load `msr`, as far as the model alone decides.
    fn can_load_msr(&self, msr: u32) -> Option<bool> {
        let _ = msr;
        None
    }
}
