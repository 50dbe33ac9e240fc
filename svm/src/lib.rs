//! AMD SVM: VMCB, capabilities, ownership, world switch and exits.
//!
//! [`SvmRoot::enter`] turns SVM on for one processor. [`SvmVcpu::new`] makes a virtual processor on it, which implements
//! [`Vcpu`](x86_virt_core::Vcpu). [`ParkedVcpu`] is one that is not loaded and may move to another processor.
//!
//! ```no_run
//! # #[cfg(target_arch = "x86_64")]
//! # fn example(
//! #     pin: &impl x86_virt_core::CpuPin,
//! #     frames: impl x86_virt_core::Frames,
//! # ) -> Result<(), Box<dyn core::error::Error>> {
//! use x86_virt_core::{AddressSpace, CpuState, ExitKind, Vcpu, VcpuConfig};
//! use x86_virt_svm::{SvmRoot, SvmVcpu};
//!
//! let mut root = SvmRoot::enter(pin, frames)?;
//! let space = AddressSpace::new(root.nested_format()?, root.frames().clone())?;
//! // Map guest memory and put a program there, then:
//! let mut vcpu = SvmVcpu::new(&mut root, &space, &VcpuConfig::new())?;
//! vcpu.set_state(&CpuState::real_mode(0, 0x7c00))?;
//! while vcpu.run()?.kind != ExitKind::Hlt {
//!     vcpu.skip_instruction()?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Citations are of the AMD64 Architecture Programmer's Manual (APM), volume 2, publication 24593, revision 3.42.
#![cfg_attr(not(test), no_std)]

// The derive of `Arbitrary` needs it.
#[cfg(feature = "arbitrary")]
extern crate std;

#[cfg(feature = "arbitrary")]
mod arbitrary;
#[cfg(target_arch = "x86_64")]
mod asid;
mod avic;
mod capability;
pub mod check;
mod cpl;
mod cpuid;
#[cfg(target_arch = "x86_64")]
mod debugger;
#[cfg(target_arch = "x86_64")]
mod deliver;
mod dump;
mod exit;
mod exit_code;
mod exit_info;
mod feature;
pub mod ghcb;
mod ghcb_msr;
#[cfg(target_arch = "x86_64")]
mod gif;
#[cfg(target_arch = "x86_64")]
mod guest;
#[cfg(target_arch = "x86_64")]
mod guest_controls;
#[cfg(target_arch = "x86_64")]
mod guest_time;
#[cfg(target_arch = "x86_64")]
mod instructions;
mod intercept;
mod iopm;
mod msr;
mod msrpm;
#[cfg(target_arch = "x86_64")]
mod next_entry;
mod nmi;
#[cfg(target_arch = "x86_64")]
mod parked;
mod permission_map;
pub mod profile;
mod register;
#[cfg(target_arch = "x86_64")]
mod residence;
mod root;
#[cfg(target_arch = "x86_64")]
mod run;
mod sev;
#[cfg(target_arch = "x86_64")]
mod switch;
mod tables;
pub mod testing;
mod tsc_ratio;
#[cfg(target_arch = "x86_64")]
mod vcpu;
#[cfg(target_arch = "x86_64")]
mod vcpu_state;
mod vm_cr;
pub mod vmcb;
mod vmgexit;
pub mod vmsa;

#[cfg(target_arch = "x86_64")]
pub use asid::FlushCounts;
pub use avic::{
    AvicDoorbell, AvicIpiFailure, AvicLogicalEntry, AvicPhysicalEntry, AvicPhysicalTable, AvicRegister, AvicWrite,
};
pub use capability::{Capabilities, RawCpuid, Unsupported};
pub use cpuid::{EncryptionFeatures, EncryptionParameters, SvmExtendedFeatures, SvmFeatures, SvmRevision};
pub use dump::{
    DumpDifference, DumpEntry, DumpLayout, GhcbDump, PageDump, ParseDumpError, ParseDumpErrorKind, VmcbDump, VmsaDump,
};
pub use exit::{ExitContext, SvmExit, decode_exit};
pub use exit_code::{ExitCode, SoftwareExitCode, VcErrorCode};
pub use exit_info::{
    AvicAccessInfo, AvicEoiInfo, AvicIcr, AvicIpiInfo, ExceptionInfo, ExitInfo, IoioInfo, MoveDrInfo, MoveInfo,
    MsrInfo, NpfInfo, SmiInfo, SwintInfo, TaskSwitchInfo, TaskSwitchTarget,
};
#[cfg(target_arch = "x86_64")]
pub use feature::has_svm;
pub use ghcb_msr::{GhcbInfo, GhcbMsr};
pub use intercept::InterceptSet;
pub use msr::{Ignne, RmpConfiguration, SecureAvicControl, SmmCtl, SvmMsr, VmpageFlush};
#[cfg(target_arch = "x86_64")]
pub use parked::{LoadError, LoadRefused, ParkedVcpu};
#[cfg(target_arch = "x86_64")]
pub use root::{EnterError, SvmRoot};
#[cfg(target_arch = "x86_64")]
pub use run::EntryError;
pub use sev::{AllowedSevFeatures, SevFeatures, SevStatus};
pub use tables::for_each_row;
pub use tsc_ratio::TscRatio;
#[cfg(target_arch = "x86_64")]
pub use vcpu::{CreateError, SvmVcpu};
pub use vm_cr::VmCr;
pub use vmgexit::VmgexitCode;
