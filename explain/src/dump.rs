//! What was read of a dump.

mod vmcb;
mod vmcs;

use core::fmt;

pub use vmcb::VmcbImage;
pub(crate) use vmcb::{SEV_FEATURES, VmsaImage, fields as vmcb_fields, name_at as vmcb_name_at};
pub use vmcs::{Entry, VmcsFields};

use crate::place::Place;

/// Which program printed a dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// Linux, with `kvm_intel.dump_invalid_vmcs=1`.
    LinuxVmcs,
    /// Xen, as `xl dmesg` shows it.
    XenVmcs,
    /// This library: [`VmcsDump`](x86_virt_vmx::VmcsDump).
    Vmcs,
    /// Linux, with `kvm_amd.dump_invalid_vmcb=1`.
    LinuxVmcb,
    /// This library: [`VmcbDump`](x86_virt_svm::VmcbDump).
    Vmcb,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinuxVmcs => "VMCS, as Linux prints it",
            Self::XenVmcs => "VMCS, as Xen prints it",
            Self::Vmcs => "VMCS, as x86-virt prints it",
            Self::LinuxVmcb => "VMCB, as Linux prints it",
            Self::Vmcb => "VMCB, as x86-virt prints it",
        })
    }
}

/// The values of a dump.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Of a VMCS.
    Vmcs(VmcsFields),
    /// Of a VMCB.
    Vmcb(VmcbImage),
}

/// A dump, with all that the text around it says about the entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dump {
    /// Which program printed it.
    pub kind: Kind,
    /// Where it begins.
    pub place: Place,
    /// The values.
    pub state: State,
    /// What a message beside the dump says about the entry.
    pub message: Option<Message>,
    /// Entries of MSR areas.
    pub msrs: Vec<MsrEntry>,
    /// Values that the line was cut in: what, and where.
    pub cut: Vec<(String, Place)>,
    /// What is odd about the text.
    pub doubts: Vec<Doubt>,
}

/// What a message beside a dump says about the entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// The number in it.
    pub number: u64,
    /// What it is.
    pub meaning: MessageMeaning,
    /// Where it was, or `None` if it was given apart from the text.
    pub place: Option<Place>,
}

/// What the number in a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageMeaning {
    /// What KVM calls the hardware's reason: the exit reason if the entry ended in an exit, or the VM-instruction error; the exit
    /// code of a VMCB.
    HardwareError,
    /// An exit reason.
    ExitReason,
    /// A VM-instruction error.
    InstructionError,
}

/// An entry of an MSR area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MsrEntry {
    /// The area.
    pub area: MsrArea,
    /// The MSR.
    pub index: u32,
    /// Its value.
    pub value: u64,
    /// Where it was.
    pub place: Place,
}

/// Which MSR area an entry is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MsrArea {
    /// The VM-entry MSR-load area.
    EntryLoad,
    /// The VM-exit MSR-store area.
    ExitStore,
    /// The VM-exit MSR-load area.
    ExitLoad,
    /// The VM-entry MSR-load area, where loading the entry failed.
    Failed,
}

/// Something odd about the text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Doubt {
    /// A value is there twice, and differs: lines of two dumps may be mixed. The first counts.
    Differs {
        /// What.
        name: String,
        /// Where the other value is.
        place: Place,
        /// The value that counts.
        first: u64,
        /// The other one.
        second: u64,
    },
    /// EFER is not from the VMCS.
    EferFromElsewhere {
        /// The value.
        value: u64,
        /// Where Linux has it from.
        source: String,
        /// Where it was.
        place: Place,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { name, place, first, second } => {
                write!(
                    f,
                    "{place}: {name} is {second:#x} here and {first:#x} above, which counts; are two dumps mixed?"
                )
            }
            Self::EferFromElsewhere { value, source, place } => {
                write!(f, "{place}: EFER = {value:#x} ({source}) is not the field of the VMCS")
            }
        }
    }
}
