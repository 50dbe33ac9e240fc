//! The kind of an exit.

mod operand;

use x86_virt_core::{
    Access, AddressSize, ControlRegister, ControlRegisterAccess, Exception, ExitKind, Gpr, Gprs, Gva, Io, IoDirection,
    IoSize, NestedFault, NestedFaultCause, RegisterAccess, SegmentRegister, SpecialInstruction, StringIo,
    VirtualizationInstruction,
};

use super::basic_reason::BasicExitReason;
use super::instruction_information::StringIoInformation;
use super::qualification::{
    ApicWriteQualification, ControlRegisterAccessType, ControlRegisterQualification, DebugRegisterQualification,
    EptViolationQualification, InstructionTimeoutQualification, IoQualification, SppQualification,
    StartupIpiQualification, VirtualizedEoiQualification,
};
use super::reason::ExitReason;
use crate::access::VmcsRead;
use crate::event::EventType;
use crate::field;

/// The kind of an exit, from the VMCS and the registers; reads no more fields than the reason needs.
///
/// Any reason and any fields give a kind: what is not known, or cannot be, is [`ExitKind::Vendor`].
///
/// ```
/// use x86_virt_core::{ExitKind, Gprs};
/// use x86_virt_vmx::{BasicExitReason, ExitReason, FakeVmcs, decode_exit};
///
/// let reason = ExitReason::from(BasicExitReason::HLT);
/// assert_eq!(decode_exit(reason, &FakeVmcs::new(), &Gprs::default()), ExitKind::Hlt);
/// ```
#[must_use]
pub fn decode_exit(reason: ExitReason, vmcs: &impl VmcsRead, gprs: &Gprs) -> ExitKind {
    match reason.basic() {
        BasicExitReason::CPUID => ExitKind::Cpuid,
        BasicExitReason::HLT => ExitKind::Hlt,
        BasicExitReason::IO_INSTRUCTION => io(vmcs),
        BasicExitReason::RDMSR => ExitKind::ReadMsr(low(gprs.rcx)),
        BasicExitReason::WRMSR => ExitKind::WriteMsr { msr: low(gprs.rcx), value: gprs.edx_eax() },
        BasicExitReason::VMCALL => ExitKind::Hypercall,
        BasicExitReason::EPT_VIOLATION => ept_violation(vmcs),
        BasicExitReason::EPT_MISCONFIGURATION => ExitKind::NestedFault(NestedFault {
            gpa: vmcs.get(field::GUEST_PHYSICAL_ADDRESS),
            gva: None,
            access: Access::NONE,
            cause: NestedFaultCause::Misconfiguration,
            table_walk: false,
        }),
        BasicExitReason::SPP_RELATED_EVENT => ExitKind::NestedFault(sub_page(vmcs)),
        BasicExitReason::EXTERNAL_INTERRUPT => ExitKind::HostInterrupt,
        BasicExitReason::EXCEPTION_OR_NMI => exception(vmcs),
        BasicExitReason::CONTROL_REGISTER_ACCESS => control_register(vmcs),
        BasicExitReason::MOV_DR => debug_register(vmcs),
        BasicExitReason::TRIPLE_FAULT => ExitKind::Shutdown,
        BasicExitReason::INTERRUPT_WINDOW => ExitKind::InterruptWindow,
        BasicExitReason::INIT_SIGNAL => ExitKind::Init,
        BasicExitReason::NMI_WINDOW => ExitKind::NmiWindow,
        BasicExitReason::STARTUP_IPI => {
            ExitKind::Sipi(StartupIpiQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION)).vector())
        }
        BasicExitReason::IO_SMI | BasicExitReason::OTHER_SMI => ExitKind::Smi,
        BasicExitReason::PREEMPTION_TIMER_EXPIRED => ExitKind::Deadline,
        BasicExitReason::MONITOR_TRAP_FLAG => ExitKind::MonitorTrap,
        BasicExitReason::PAGE_MODIFICATION_LOG_FULL => ExitKind::PageModificationLogFull,
        BasicExitReason::BUS_LOCK => ExitKind::BusLock,
        BasicExitReason::INSTRUCTION_TIMEOUT => {
            let qualification = InstructionTimeoutQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
            ExitKind::Notify { context_invalid: qualification.context_invalid() }
        }
        BasicExitReason::TASK_SWITCH => operand::task_switch(vmcs),
        BasicExitReason::APIC_ACCESS => operand::apic_access(vmcs),
        BasicExitReason::APIC_WRITE => {
            ExitKind::ApicWrite(ApicWriteQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION)).offset())
        }
        BasicExitReason::VIRTUALIZED_EOI => {
            ExitKind::ApicEoi(VirtualizedEoiQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION)).vector())
        }
        BasicExitReason::TPR_BELOW_THRESHOLD => ExitKind::TprBelowThreshold,
        BasicExitReason::XSETBV => ExitKind::Xsetbv { register: low(gprs.rcx), value: gprs.edx_eax() },
        BasicExitReason::PAUSE => ExitKind::Pause,
        BasicExitReason::MONITOR => ExitKind::Monitor,
        BasicExitReason::MWAIT => ExitKind::Mwait,
        BasicExitReason::RDTSC => ExitKind::Rdtsc,
        BasicExitReason::RDTSCP => ExitKind::Rdtscp,
        BasicExitReason::RDPMC => ExitKind::Rdpmc(low(gprs.rcx)),
        BasicExitReason::INVD => ExitKind::Invd,
        BasicExitReason::WBINVD => ExitKind::Wbinvd,
        BasicExitReason::INVLPG => ExitKind::Invlpg(Gva::new(vmcs.get(field::EXIT_QUALIFICATION))),
        BasicExitReason::RDMSR_IMMEDIATE
        | BasicExitReason::WRMSRNS_IMMEDIATE
        | BasicExitReason::URDMSR
        | BasicExitReason::UWRMSR
        | BasicExitReason::RDMSRLIST
        | BasicExitReason::WRMSRLIST => operand::msr(reason, vmcs, gprs),
        BasicExitReason::RDRAND | BasicExitReason::RDSEED => operand::random(reason, vmcs),
        BasicExitReason::UMWAIT | BasicExitReason::TPAUSE => operand::wait(reason, vmcs, gprs),
        BasicExitReason::INVPCID => operand::invpcid(vmcs, gprs),
        BasicExitReason::GDTR_OR_IDTR_ACCESS => operand::descriptor_table(vmcs, gprs),
        BasicExitReason::LDTR_OR_TR_ACCESS => operand::segment_table(vmcs, gprs),
        _ => instruction(reason),
    }
}

/// The instructions without operands of common interest.
#[inline(never)]
fn instruction(reason: ExitReason) -> ExitKind {
    use SpecialInstruction as Special;
    use VirtualizationInstruction as Virtualization;
    let special = match reason.basic() {
        BasicExitReason::INVEPT => return ExitKind::Virtualization(Virtualization::Invept),
        BasicExitReason::INVVPID => return ExitKind::Virtualization(Virtualization::Invvpid),
        BasicExitReason::VMCLEAR => return ExitKind::Virtualization(Virtualization::Vmclear),
        BasicExitReason::VMFUNC => return ExitKind::Virtualization(Virtualization::Vmfunc),
        BasicExitReason::VMLAUNCH => return ExitKind::Virtualization(Virtualization::Vmlaunch),
        BasicExitReason::VMPTRLD => return ExitKind::Virtualization(Virtualization::Vmptrld),
        BasicExitReason::VMPTRST => return ExitKind::Virtualization(Virtualization::Vmptrst),
        BasicExitReason::VMREAD => return ExitKind::Virtualization(Virtualization::Vmread),
        BasicExitReason::VMRESUME => return ExitKind::Virtualization(Virtualization::Vmresume),
        BasicExitReason::VMWRITE => return ExitKind::Virtualization(Virtualization::Vmwrite),
        BasicExitReason::VMXOFF => return ExitKind::Virtualization(Virtualization::Vmxoff),
        BasicExitReason::VMXON => return ExitKind::Virtualization(Virtualization::Vmxon),
        BasicExitReason::ENCLS => Special::Encls,
        BasicExitReason::ENCLV => Special::Enclv,
        BasicExitReason::ENQCMD_PASID => Special::Enqcmd,
        BasicExitReason::ENQCMDS_PASID => Special::Enqcmds,
        BasicExitReason::GETSEC => Special::Getsec,
        BasicExitReason::LOADIWKEY => Special::Loadiwkey,
        BasicExitReason::PCONFIG => Special::Pconfig,
        BasicExitReason::RSM => Special::Rsm,
        BasicExitReason::SEAMCALL => Special::Seamcall,
        BasicExitReason::TDCALL => Special::Tdcall,
        BasicExitReason::XRSTORS => Special::Xrstors,
        BasicExitReason::XSAVES => Special::Xsaves,
        _ => return ExitKind::Vendor,
    };
    ExitKind::Instruction(special)
}

fn io(vmcs: &impl VmcsRead) -> ExitKind {
    let qualification = IoQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
    if qualification.string() { string_io(qualification, vmcs) } else { io_with(qualification, None) }
}

#[inline(never)]
fn string_io(qualification: IoQualification, vmcs: &impl VmcsRead) -> ExitKind {
    let information = StringIoInformation::from_bits(vmcs.get(field::EXIT_INSTRUCTION_INFORMATION));
    let string = StringIo {
        repeat: qualification.repeat(),
        address_size: information.address_size().size().unwrap_or(AddressSize::Bits64),
        segment: if qualification.input() { SegmentRegister::Es } else { information.segment().into() },
    };
    io_with(qualification, Some(string))
}

#[inline]
fn io_with(qualification: IoQualification, string: Option<StringIo>) -> ExitKind {
    let Some(size) = IoSize::from_bytes(u64::from(qualification.size_less_one()) + 1) else { return ExitKind::Vendor };
    let direction = if qualification.input() { IoDirection::In } else { IoDirection::Out };
    ExitKind::Io(Io { port: qualification.port(), size, direction, string })
}

#[inline(never)]
fn ept_violation(vmcs: &impl VmcsRead) -> ExitKind {
    let qualification = EptViolationQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
    let mut access = Access::NONE;
    for (wanted, kind) in [
        (qualification.read(), Access::READ),
        (qualification.write(), Access::WRITE),
        (qualification.fetch(), Access::EXECUTE),
    ] {
        if wanted {
            access = access.union(kind);
        }
    }
    let mapped = qualification.readable() || qualification.writable() || qualification.executable();
    let gva = qualification.linear_address_valid().then(|| vmcs.get(field::GUEST_LINEAR_ADDRESS));
    ExitKind::NestedFault(NestedFault {
        gpa: vmcs.get(field::GUEST_PHYSICAL_ADDRESS),
        gva,
        access,
        cause: if mapped { NestedFaultCause::Permission } else { NestedFaultCause::NotMapped },
        table_walk: gva.is_some() && !qualification.final_translation(),
    })
}

/// A write for which there is no vector of sub-page write permissions. Nothing tells whether it had a linear address.
fn sub_page(vmcs: &impl VmcsRead) -> NestedFault {
    let qualification = SppQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
    NestedFault {
        gpa: vmcs.get(field::GUEST_PHYSICAL_ADDRESS),
        gva: None,
        access: Access::WRITE,
        cause: if qualification.spp_miss() {
            NestedFaultCause::SubPageMiss
        } else {
            NestedFaultCause::SubPageMisconfiguration
        },
        table_walk: false,
    }
}

fn exception(vmcs: &impl VmcsRead) -> ExitKind {
    let information = vmcs.get(field::EXIT_INTERRUPTION_INFORMATION);
    if information.event_type() == EventType::NMI {
        return ExitKind::HostNmi;
    }
    if information.vector() == MACHINE_CHECK {
        return ExitKind::HostMachineCheck;
    }
    let error_code = information.error_code_valid().then(|| vmcs.get(field::EXIT_INTERRUPTION_ERROR_CODE));
    let address = (information.vector() == 14).then(|| Gva::new(vmcs.get(field::EXIT_QUALIFICATION)));
    ExitKind::Exception { exception: Exception { vector: information.vector(), error_code }, address }
}

fn control_register(vmcs: &impl VmcsRead) -> ExitKind {
    let qualification = ControlRegisterQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
    let gpr = Gpr::from(qualification.gpr());
    let access = match qualification.access_type() {
        ControlRegisterAccessType::MOV_TO_CR => RegisterAccess::Write(gpr),
        ControlRegisterAccessType::MOV_FROM_CR => RegisterAccess::Read(gpr),
        ControlRegisterAccessType::CLTS => return ExitKind::ControlRegister(ControlRegisterAccess::Clts),
        _ => return ExitKind::ControlRegister(ControlRegisterAccess::Lmsw { source: qualification.lmsw_source() }),
    };
    match ControlRegister::from_number(u64::from(qualification.number())) {
        Some(register) => ExitKind::ControlRegister(ControlRegisterAccess::Move { register, access }),
        None => ExitKind::Vendor,
    }
}

fn debug_register(vmcs: &impl VmcsRead) -> ExitKind {
    let qualification = DebugRegisterQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
    let gpr = Gpr::from(qualification.gpr());
    let access = if qualification.read() { RegisterAccess::Read(gpr) } else { RegisterAccess::Write(gpr) };
    ExitKind::DebugRegister { number: qualification.number(), access }
}

/// Vector of #MC.
pub(crate) const MACHINE_CHECK: u8 = 18;

const fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests;
