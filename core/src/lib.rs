//! What VMX and SVM share.
#![no_std]

// The derive of `Arbitrary` needs it.
#[cfg(feature = "arbitrary")]
extern crate std;

// The fakes for tests need it.
#[cfg(any(test, feature = "testing"))]
extern crate alloc;

mod access;
mod addr;
mod apic;
mod bits;
mod bytes;
mod codes;
mod complete;
mod config;
mod controls;
#[cfg(target_arch = "x86_64")]
mod debug;
mod debug_registers;
mod debugger;
#[cfg(feature = "decode")]
pub mod decode;
mod direct_map;
mod dirty_log;
mod edit;
mod endless;
mod event;
mod exit;
mod format;
#[cfg(target_arch = "x86_64")]
pub mod fpu;
mod frame;
mod guest_memory;
mod guest_paging;
mod harvest;
#[cfg(target_arch = "x86_64")]
mod host;
mod host_types;
#[cfg(target_arch = "x86_64")]
mod host_xss;
mod instruction;
#[cfg(target_arch = "x86_64")]
mod interrupt_entries;
mod invalidation;
mod io;
mod kick;
mod leaves;
mod linear;
mod map_error;
mod mapped_range;
mod mapping;
#[cfg(feature = "decode")]
mod mmio;
mod mtrr;
mod operand;
mod operation;
mod page_attributes;
mod page_list;
mod paging_level;
mod permission;
mod pin;
mod plan;
mod pool;
mod prefetch;
mod protection;
mod ram;
mod register;
mod segment;
mod shortcut;
#[cfg(target_arch = "x86_64")]
mod software_msrs;
mod space;
mod space_edit;
mod space_log;
mod span;
mod state;
mod stock;
mod table;
mod table_row;
mod tag;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time;
mod tree;
mod vcpu;
mod walk;

pub use access::Access;
pub use addr::{Gpa, Gva, Hpa, PageSize};
pub use apic::{ApicError, ApicInterface, ApicState, ApicVirtualization, GuestApic};
#[cfg(feature = "arbitrary")]
#[doc(hidden)]
pub use arbitrary;
pub use bits::{BitField, BitValue, Register};
#[doc(hidden)]
pub use bits::{plain, show_field, upper_case};
pub use codes::Code;
pub use complete::CompleteError;
pub use config::{FpuPolicy, Intercepts, InterruptPolicy, StatePolicy, VcpuConfig};
pub use controls::{GuestControls, InterceptError, OwnedBits, PageFaultFilter, PauseLoop, X2APIC_MSRS};
#[cfg(target_arch = "x86_64")]
pub use debug::HostDebug;
pub use debug_registers::{DebugControl, Dr7};
pub use debugger::{
    Breakpoint, BreakpointError, BreakpointKind, BreakpointLength, Debugger, GuestDebug, MonitorTrap, Shadow,
};
pub use direct_map::DirectMap;
pub use dirty_log::{DirtyLog, DirtyPages, LogError, LogMethod};
pub use endless::{GivenBack, endless_exceptions, is_endless};
pub use event::{
    Event, Events, Exception, ExceptionClass, GlobalInterrupts, InjectError, InterruptRequest, Interruptibility, Plan,
    Windows,
};
pub use exit::{
    ApicAccess, ApicAccessKind, ControlRegisterAccess, DescriptorTableAccess, Exit, ExitKind, Invpcid,
    InvpcidDescriptor, NestedFault, NestedFaultCause, RegisterAccess, SpecialInstruction, TableAccess, TableRegister,
    TaskSwitch, TaskSwitchSource, VirtualizationInstruction,
};
pub use format::{Entry, Format, Unsupported};
pub use frame::{FRAME_BYTES, Frame, Frames, OutOfFrames};
pub use guest_memory::{AccessError, GuestMappings, GuestMemory};
pub use guest_paging::{GuestAccess, GuestAccessKind, GuestFault, GuestPaging, GuestTranslation, Privilege};
pub use harvest::{PageFlags, UsedPage};
#[cfg(target_arch = "x86_64")]
pub use host::{Host, InterruptsDisabled};
#[cfg(target_arch = "x86_64")]
pub use host_xss::HostXss;
pub use instruction::{Instruction, RegisterOperand, StringOperand, SystemOperand};
pub use invalidation::Invalidation;
pub use io::{AddressSize, Io, IoDirection, IoError, IoSize, Ports, StringIo};
pub use kick::{AttachedKick, Inside, Kick};
pub use map_error::MapError;
pub use mapped_range::{Dump, MappedRange, Ranges};
pub use mapping::{Mapping, MemoryType, Translation};
#[cfg(feature = "decode")]
pub use mmio::{
    Arithmetic, BitOperation, Extension, Mmio, MmioDevice, MmioError, MmioOperation, MmioRegister, MmioSource,
    MmioString, MmioStringKind,
};
pub use mtrr::{
    MemoryTypePart, MemoryTypeParts, MtrrCapabilities, MtrrDefaultType, MtrrPhysBase, MtrrPhysMask, Mtrrs, RawMtrrs,
    UniformRanges,
};
pub use operand::{Operand, OperandSize};
pub use operation::Operation;
pub use page_attributes::PageAttributes;
pub use page_list::MapPagesError;
pub use paging_level::PagingLevel;
pub use permission::{MsrAccess, MsrBitmap, MsrRangeError, Permission, PortBitmap, SwitchedMsr};
pub use pin::CpuPin;
pub use pool::{DonateError, FramePool};
pub use protection::{PageFaultErrorCode, SpecCtrl, SupervisorCet};
pub use ram::{GuestRam, GuestRamError};
pub use register::{ControlRegister, Cr0, Cr4, Efer, Gpr, Gprs, Rflags};
pub use segment::{DescriptorTable, Segment, SegmentAccessRights, SegmentError, SegmentRegister};
#[cfg(target_arch = "x86_64")]
pub use software_msrs::{SoftwareMsrs, SpecCtrlSwitch};
pub use space::AddressSpace;
pub use space_edit::SpaceEdit;
pub use state::{
    Activity, BytesError, ComponentError, CpuState, Difference, Differences, ExtendedState, Msrs,
    PendingDebugExceptions, ProcessorRole, StateComponent, StateError, VcpuState,
};
pub use table_row::{TableRow, code_rows, register_rows};
pub use tag::{FlushReach, Tag, TagFlush, Tags};
pub use time::{GuestTime, HostTimer, NoHostTimer, TscClock, TscError, TscScale};
pub use vcpu::{FetchedInstruction, SkipError, Vcpu};
