//! What the processor has, and where an emulator differs from it.

use core::arch::x86_64::{__cpuid, __cpuid_count};

use x86_virt::vmx::{Capabilities, SecondaryControls};
use x86_virt::{Host, Processor, Vendor};

use crate::bench::ThisProcessor;

/// A feature of the processor that CPUID reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Feature {
    /// MONITOR and MWAIT, and both end a run: MONITOR of an SVM guest does not in Bochs 2.7.
    Monitor,
    Pcid,
    Xsave,
    Avx,
    Rdtscp,
    /// Each instruction that ends a run does so with a code of its own: not on QEMU's TCG, which reports RDTSCP as RDTSC and
    /// INVD as WBINVD, intercepts neither XSETBV nor task switches, and raises #UD for INT1.
    ExactExits,
    /// A guest has a PAT of its own: not on QEMU's TCG, which does not switch it.
    GuestPat,
    /// A guest's DR7 has an effect: not on QEMU's TCG, which loads it and enables nothing.
    GuestBreakpoints,
    /// The delivery of INT n that a run's end interrupts is reported: not for an SVM guest in Bochs 2.7, which reports an earlier
    /// event.
    SoftwareInterruptInformation,
    /// The delivery of INT3 is reported as that of an exception: not on QEMU's TCG, which reports INT 3.
    BreakpointInformation,
    /// A virtual interrupt that is pending at the entry of a guest with IF = 1 comes: Bochs 2.7 takes note of it only when IF
    /// changes.
    PromptVirtualInterrupts,
    /// The shadow that an entry loads holds back a virtual interrupt: QEMU's TCG takes it at once, and the shadow is over.
    ShadowAtEntry,
    /// Exceptions come as the manual says: QEMU's TCG takes INT3 and INTO for INT n, shuts down in place of #DF, raises #GP for #SS,
    /// neither #AC nor #XM, and stops at a switch of stacks while TR is busy, as it always is.
    ExactExceptions,
    /// An intercept of RSM comes before the #UD of RSM outside of SMM: not in Bochs.
    RsmIntercept,
    /// The monitor trap flag ends a run after an instruction: Bochs 2.7 offers the control, and only injects the event.
    MonitorTrapFlag,
    /// Page walks are as the manual says: QEMU's TCG sets an accessed flag in PDPTEs of PAE paging, reports reserved bits with P = 0, and
    /// takes pages of 1 GiB on processors without them.
    ExactPageWalks,
    /// XSAVES and XRSTORS, with at least one state of the supervisor.
    SupervisorStates,
    /// SPEC_CTRL.
    SpecCtrl,
    /// GETSEC.
    Smx,
    /// A triple fault of a guest ends the run: Bochs 2.7 stops with SVM.
    GuestShutdown,
    /// The host is not the one that steps after an exit of a guest with RFLAGS.TF = 1: it is for SVM in Bochs 2.7, which keeps the
    /// trap over the exit.
    GuestSingleStep,
    /// An interrupt that is injected comes once: QEMU's TCG keeps its vector as an exception that waits, and delivers it again if it
    /// turns to another processor before the guest's next exit.
    InterruptsOnce,
    /// No processor waits for another's turn: with QEMU's `-icount` they run one after the other.
    AllAtOnce,
    /// An interrupt comes between any two instructions: QEMU's TCG takes it where one of its blocks ends.
    InterruptsAnywhere,
    /// A guest has a global interrupt flag of its own.
    VirtualGif,
    /// A #DB that is intercepted has its conditions in DR6, and is done with: not for an SVM guest in Bochs 2.7, which leaves DR6
    /// as it was.
    InterceptedDebugExceptions,
    /// The trap behind the last iteration of REP finds RIP behind the instruction: QEMU's TCG makes another one, in which it sees that
    /// nothing is left.
    ExactRepetitions,
    /// An entry loads the CR2 that the guest shall have: not that of an SVM guest in Bochs 2.7.
    LoadedCr2,
    /// A guest reads registers of its local APIC without an exit: APIC-register virtualization of VMX.
    ApicRegisters,
    /// The processor delivers interrupts of the virtual APIC: virtual-interrupt delivery of VMX.
    VirtualInterruptDelivery,
    /// The delivery of a virtual interrupt that a run's end interrupts is reported: not in Bochs 2.7, which reports an earlier event.
    VirtualInterruptInformation,
}

impl Feature {
    /// All of them.
    pub(crate) const ALL: [Self; 31] = [
        Self::Monitor,
        Self::Pcid,
        Self::Xsave,
        Self::Avx,
        Self::Rdtscp,
        Self::ExactExits,
        Self::GuestPat,
        Self::GuestBreakpoints,
        Self::SoftwareInterruptInformation,
        Self::BreakpointInformation,
        Self::PromptVirtualInterrupts,
        Self::ShadowAtEntry,
        Self::ExactExceptions,
        Self::RsmIntercept,
        Self::MonitorTrapFlag,
        Self::ExactPageWalks,
        Self::SupervisorStates,
        Self::SpecCtrl,
        Self::Smx,
        Self::GuestSingleStep,
        Self::GuestShutdown,
        Self::LoadedCr2,
        Self::VirtualGif,
        Self::InterruptsOnce,
        Self::AllAtOnce,
        Self::InterruptsAnywhere,
        Self::InterceptedDebugExceptions,
        Self::ExactRepetitions,
        Self::ApicRegisters,
        Self::VirtualInterruptDelivery,
        Self::VirtualInterruptInformation,
    ];
}

/// Whether the processor has `feature`.
pub(crate) fn has(feature: Feature) -> bool {
    let bit = |register: u32, bit: u32| register >> bit & 1 == 1;
    match feature {
        Feature::Monitor => bit(__cpuid(1).ecx, 3) && !is_svm_in_bochs(),
        Feature::Pcid => bit(__cpuid(1).ecx, 17),
        Feature::Xsave => bit(__cpuid(1).ecx, 26),
        Feature::Avx => bit(__cpuid(1).ecx, 28),
        Feature::ExactExits
        | Feature::GuestPat
        | Feature::GuestBreakpoints
        | Feature::BreakpointInformation
        | Feature::ExactExceptions
        | Feature::ShadowAtEntry
        | Feature::InterruptsOnce
        | Feature::InterruptsAnywhere
        | Feature::ExactRepetitions
        | Feature::ExactPageWalks => !is_tcg(),
        Feature::AllAtOnce => !is_tcg() || machine::processors() == 1,
        Feature::SoftwareInterruptInformation
        | Feature::PromptVirtualInterrupts
        | Feature::RsmIntercept
        | Feature::GuestSingleStep
        | Feature::GuestShutdown
        | Feature::InterceptedDebugExceptions
        | Feature::LoadedCr2 => !is_svm_in_bochs(),
        // Bochs is the only emulator here with VMX.
        Feature::MonitorTrapFlag | Feature::VirtualInterruptInformation => {
            Processor::detect().vendor() != Some(Vendor::Intel)
        }
        Feature::SupervisorStates => __cpuid(0).eax >= 0xd && __cpuid_count(0xd, 1).ecx != 0,
        Feature::SpecCtrl => {
            let leaf_7 = if __cpuid(0).eax >= 7 { __cpuid(7).edx } else { 0 };
            let amd = if __cpuid(0x8000_0000).eax >= 0x8000_0008 { __cpuid(0x8000_0008).ebx } else { 0 };
            bit(leaf_7, 26) || bit(amd, 14)
        }
        Feature::Smx => bit(__cpuid(1).ecx, 6),
        Feature::VirtualGif => Processor::detect().vendor() == Some(Vendor::Amd) && bit(__cpuid(0x8000_000a).edx, 16),
        Feature::ApicRegisters => has_control(SecondaryControls::APIC_REGISTER_VIRTUALIZATION),
        Feature::VirtualInterruptDelivery => has_control(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY),
        Feature::Rdtscp => bit(__cpuid(0x8000_0001).edx, 27),
    }
}

/// Whether the processor has VMX with this control.
fn has_control(control: SecondaryControls) -> bool {
    let capabilities = Capabilities::read(Host::new(&ThisProcessor));
    capabilities.is_ok_and(|capabilities| capabilities.secondary().may_be_one().contains(control))
}

/// Whether QEMU's TCG is the processor: it says so as a hypervisor would.
pub(crate) fn is_tcg() -> bool {
    __cpuid(0x4000_0000).ebx == u32::from_le_bytes(*b"TCGT")
}

/// Whether Bochs is the processor, with SVM: it is the only other emulator here.
fn is_svm_in_bochs() -> bool {
    Processor::detect().vendor() == Some(Vendor::Amd) && !is_tcg()
}
