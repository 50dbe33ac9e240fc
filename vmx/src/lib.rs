//! Intel VMX: what a VMCS holds, what a processor can do, and a virtual processor that runs.
//!
//! Section numbers and titles are those of the Intel 64 and IA-32 Architectures Software Developer's Manual (SDM), revision
//! 092 of June 2026.
#![cfg_attr(not(test), no_std)]

// The derive of `Arbitrary` needs it.
#[cfg(feature = "arbitrary")]
extern crate std;

mod abort;
mod access;
#[cfg(feature = "arbitrary")]
mod arbitrary;
mod bitmap;
mod bytes;
#[cfg(target_arch = "x86_64")]
mod cache;
mod capability;
pub mod check;
mod control;
mod cr_mask;
mod dump;
mod event;
mod exit;
mod feature;
pub mod field;
mod guest_msr;
mod guest_state;
mod instruction_error;
mod intercept;
mod invept;
mod invvpid;
mod memory;
mod preemption_timer;
pub mod profile;
mod segment;
mod setup;
mod shadow;
mod tables;
pub mod testing;
mod tsc;
mod virtual_apic;
mod vmfunc;

#[cfg(target_arch = "x86_64")]
mod debugger;
#[cfg(target_arch = "x86_64")]
mod deliver;
#[cfg(target_arch = "x86_64")]
mod eptp_switching;
#[cfg(target_arch = "x86_64")]
mod guest;
#[cfg(target_arch = "x86_64")]
mod guest_apic;
#[cfg(target_arch = "x86_64")]
mod guest_controls;
#[cfg(target_arch = "x86_64")]
mod guest_time;
#[cfg(target_arch = "x86_64")]
mod host_state;
#[cfg(target_arch = "x86_64")]
mod instructions;
#[cfg(target_arch = "x86_64")]
mod invalidate;
#[cfg(target_arch = "x86_64")]
mod msrs;
#[cfg(target_arch = "x86_64")]
mod page_modification_log;
#[cfg(target_arch = "x86_64")]
mod root;
#[cfg(target_arch = "x86_64")]
mod sub_pages;
#[cfg(target_arch = "x86_64")]
mod switch;
#[cfg(target_arch = "x86_64")]
mod vcpu;
#[cfg(target_arch = "x86_64")]
mod vcpu_state;
#[cfg(target_arch = "x86_64")]
mod virtualization_exception;
#[cfg(target_arch = "x86_64")]
mod vmcs;
#[cfg(target_arch = "x86_64")]
mod vpid;

pub use abort::AbortIndicator;
pub use access::{FieldError, VmcsRead, VmcsWrite};
pub use bitmap::{IoBitmaps, MsrBitmaps};
#[cfg(target_arch = "x86_64")]
pub use capability::has_vmx;
pub use capability::{
    Basic, Capabilities, CapabilityMsr, FeatureControl, Misc, MsrExistence, RawCapabilities, Unsupported, VmcsEnum,
};
pub use check::check;
pub use control::{
    Control, ControlCapability, ControlConflict, ControlInfo, ControlValues, ControlWord, EntryControls, ExitControls,
    PinControls, PrimaryControls, SecondaryControls, SecondaryExitControls, Setting, TertiaryControls,
    UnsupportedControl, VmFunctionControls,
};
pub use dump::{ParseDumpError, VmcsDump};
#[cfg(target_arch = "x86_64")]
pub use eptp_switching::{EptpSpaces, EptpSwitchingError, NoSuchSpace, OtherControls};
pub use event::{EntryInterruption, EventType, IdtVectoring, InterruptibilityState, VmExitInterruption};
#[cfg(feature = "provisional")]
pub use exit::ExtendedInstructionInformation;
pub use exit::{
    AddressSizeCode, ApicAccessQualification, ApicAccessType, ApicWriteQualification, BasicExitReason,
    ControlRegisterAccessType, ControlRegisterQualification, DebugExceptionQualification, DebugRegisterQualification,
    DescriptorTableInformation, DescriptorTableInstruction, EntryFailureCause, EptViolationQualification,
    ExitQualification, ExitReason, FieldAccessInformation, InstructionInformation, InstructionTimeoutQualification,
    InvalidationInformation, IoQualification, LoadiwkeyInformation, MemoryInformation, MemoryOperand, MsrInformation,
    MsrQualification, MwaitQualification, PageModificationLogFullQualification, PasidQualification, RandomInformation,
    RegisterNumber, SegmentNumber, SegmentTableInformation, SegmentTableInstruction, SizeCode, SppQualification,
    StartupIpiQualification, StringIoInformation, TaskSwitchQualification, TaskSwitchSource,
    VirtualizedEoiQualification, WaitInformation, WbinvdQualification, WrmsrQualification, decode_exit,
};
pub use guest_msr::{Bndcfgs, ExceptionBitmap, FredConfig, LbrCtl, RtitCtl};
pub use guest_state::{ActivityState, GuestInterruptStatus, PendingDebugExceptions};
pub use instruction_error::{InstructionError, VmFail};
pub use invept::{InveptDescriptor, InveptType};
pub use invvpid::{InvvpidDescriptor, InvvpidType};
pub use memory::{
    ApicOffset, ApicVectors, EntryIndex, EntryPage, EptpList, FrameLayout, InFrame, InvalidMsrArea, MsrAreaEntry,
    Pasid, PasidDirectory, PasidDirectoryEntry, PasidTable, PasidTableEntry, PidPointer, PidPointerTable, PmlBuffer,
    PostedInterruptControl, PostedInterruptDescriptor, RegionRevision, VeInformationArea, VectorSet, VirtualApicPage,
    VirtualizationException, VmcsFieldBitmap, VmcsHeader,
};
pub use preemption_timer::PreemptionTimer;
#[cfg(target_arch = "x86_64")]
pub use root::{EnterError, VmxRoot};
pub use tables::for_each_row;
pub use testing::{CountingVmcs, FakeVmcs};
pub use tsc::TscMultiplier;
#[cfg(target_arch = "x86_64")]
pub use vcpu::{CreateError, EntryError, LoadError, LoadRefused, ParkedVcpu, VmxVcpu};
pub use virtual_apic::VirtualApic;
#[cfg(target_arch = "x86_64")]
pub use vmcs::{CurrentVmcs, Vmcs};
pub use vmfunc::VmFunction;
#[cfg(target_arch = "x86_64")]
pub use vpid::FlushCounts;
