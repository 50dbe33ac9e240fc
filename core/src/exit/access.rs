//! What a guest accessed.

use crate::GuestMemory;
use crate::access::Access;
use crate::addr::{Gpa, Gva};
use crate::guest_paging::{GuestFault, GuestPaging, Privilege};
use crate::operand::{Operand, OperandSize};
use crate::register::{ControlRegister, Gpr};
use crate::vcpu::Vcpu;

/// An access to a guest-physical address that nested paging did not allow.
///
/// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for EPT Violations"); AMD APM
/// vol. 2, section 15.25.6, "Nested versus Guest Page Faults, Fault Ordering".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct NestedFault {
    /// The guest-physical address.
    pub gpa: Gpa,
    /// The linear address, where the processor reports it.
    pub gva: Option<Gva>,
    /// What the guest wanted to do.
    pub access: Access,
    /// Why it could not.
    pub cause: NestedFaultCause,
    /// Whether it happened while the processor walked the guest's own page tables.
    pub table_walk: bool,
}

/// Why nested paging did not allow an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum NestedFaultCause {
    /// Nothing is mapped there.
    NotMapped,
    /// A page is mapped, but not for such an access.
    Permission,
    /// An entry of the nested table has bits that the processor does not accept.
    Misconfiguration,
    /// A write to a page with sub-page write permissions, for which a table above the vector is missing. Only VMX has this.
    SubPageMiss,
    /// The same, where an entry or the vector has reserved bits set. Only VMX has this.
    SubPageMisconfiguration,
}

/// Direction of a move between a control or debug register and a general-purpose register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum RegisterAccess {
    /// The guest reads into the general-purpose register.
    Read(Gpr),
    /// The guest writes from the general-purpose register.
    Write(Gpr),
}

/// An access to a control register.
///
/// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Control-Register Accesses").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum ControlRegisterAccess {
    /// MOV.
    Move {
        /// The control register.
        register: ControlRegister,
        /// The direction and the general-purpose register.
        access: RegisterAccess,
    },
    /// CLTS: clears CR0.TS.
    Clts,
    /// LMSW: loads bits 3:0 of CR0, but cannot clear bit 0.
    Lmsw {
        /// The source operand, as far as the processor reports it.
        source: u16,
    },
    /// SMSW: stores CR0. Only SVM ends a run for it.
    Smsw {
        /// Where to.
        destination: Operand,
        /// How much of CR0. In memory it is always 16 bits.
        size: OperandSize,
    },
}

/// An access to a descriptor-table register: SGDT, SIDT, LGDT, LIDT, SLDT, STR, LLDT or LTR.
///
/// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution"; AMD APM vol. 2, section 15.9,
/// "Instruction Intercepts".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct DescriptorTableAccess {
    /// The register.
    pub table: TableRegister,
    /// Whether the guest loads or stores it.
    pub direction: TableAccess,
    /// Where from or where to. GDTR and IDTR are always in memory.
    pub operand: Operand,
    /// The operand size. Of GDTR and IDTR, [`OperandSize::Bits64`] is a base of 64 bits, [`OperandSize::Bits32`] one of 32, and
    /// [`OperandSize::Bits16`] one of which 24 count when it is loaded. Of LDTR and TR it says how much of a register is written;
    /// `None` on VMX, which does not report that.
    pub size: Option<OperandSize>,
}

/// A register that holds a descriptor table or a task-state segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum TableRegister {
    /// GDTR.
    Gdtr,
    /// IDTR.
    Idtr,
    /// LDTR.
    Ldtr,
    /// TR.
    Tr,
}

/// Direction of an access to a descriptor-table register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum TableAccess {
    /// The guest loads the register: LGDT, LIDT, LLDT, LTR.
    Load,
    /// The guest stores the register: SGDT, SIDT, SLDT, STR.
    Store,
}

/// A task switch, which the processor leaves to the hypervisor.
///
/// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Task Switches"); AMD APM vol. 2,
/// section 15.14.1, "Task Switch Intercept".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct TaskSwitch {
    /// The selector of the new task-state segment.
    pub selector: u16,
    /// What began it.
    pub source: TaskSwitchSource,
    /// The error code that the new task finds on its stack, if an exception with one began it.
    pub error_code: Option<u32>,
}

/// What began a task switch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum TaskSwitchSource {
    /// CALL.
    Call,
    /// IRET.
    Iret,
    /// JMP.
    Jmp,
    /// A task gate in the IDT. The event is [`Vcpu::pending_event`].
    TaskGate,
}

/// An access to the page of the local APIC that the processor does not virtualize. It has not been done.
///
/// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for APIC-Access VM Exits from Linear
/// Accesses and Guest-Physical Accesses"); AMD APM vol. 2, section 15.29.9.2, "AVIC Access to Un-accelerated vAPIC register".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct ApicAccess {
    /// Offset in the page. Undefined for [`ApicAccessKind::EventDelivery`] and [`ApicAccessKind::Other`].
    pub offset: u16,
    /// What was done.
    pub kind: ApicAccessKind,
}

/// How the page of the local APIC was accessed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum ApicAccessKind {
    /// An instruction reads.
    Read,
    /// An instruction writes.
    Write,
    /// An instruction is fetched.
    Fetch,
    /// The delivery of an event reads or writes.
    EventDelivery,
    /// Another access, or one that the processor does not describe further.
    Other,
}

/// An exit because of INVPCID.
///
/// Intel SDM vol. 3, section 5.10.4.1, "Operations that Invalidate TLBs and Paging-Structure Caches".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Invpcid {
    /// The type: 0 one address, 1 one PCID, 2 all with global pages, 3 all without. The guest expects #GP for another.
    pub kind: u64,
    /// The linear address of the descriptor.
    pub descriptor: Gva,
}

/// What INVPCID invalidates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct InvpcidDescriptor {
    /// Bits 63:0: the PCID in bits 11:0. The guest expects #GP if another bit is set.
    pub pcid: u64,
    /// Bits 127:64: the linear address.
    pub address: Gva,
}

impl Invpcid {
    /// Reads the descriptor.
    ///
    /// # Errors
    ///
    /// [`GuestFault`] if it cannot be read. [`Vcpu::raise_fault`] gives it to the guest.
    pub fn descriptor<V: Vcpu>(&self, vcpu: &V, memory: &impl GuestMemory) -> Result<InvpcidDescriptor, GuestFault> {
        let mut words = [[0; 8]; 2];
        let bytes = words.as_flattened_mut();
        GuestPaging::of(vcpu).read(memory, self.descriptor, Privilege::of(vcpu), bytes)?;
        let [pcid, address] = words.map(u64::from_le_bytes);
        Ok(InvpcidDescriptor { pcid, address: Gva::new(address) })
    }
}
