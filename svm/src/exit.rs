//! Exits in words that both vendors share.

mod operand;

use core::fmt;

use x86_virt_core::{
    AddressSize, Exception, ExitKind, Gpa, Gprs, Gva, Instruction, Io, IoDirection, NestedFault, SegmentRegister,
    SpecialInstruction, StringIo, VirtualizationInstruction,
};

use crate::exit_code::ExitCode;
use crate::exit_info::{IoioInfo, NpfInfo};

/// An exit as the processor reports it.
///
/// AMD APM vol. 2, section 15.6, "#VMEXIT".
///
/// ```
/// use x86_virt_svm::{ExitCode, SvmExit};
///
/// let exit = SvmExit { code: ExitCode::NPF, info1: 0x1_0000_0004, info2: 0xfee0_0000 };
/// assert_eq!(exit.to_string(), "NPF (0x100000004, 0xfee00000)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SvmExit {
    /// EXITCODE.
    pub code: ExitCode,
    /// EXITINFO1.
    pub info1: u64,
    /// EXITINFO2.
    pub info2: u64,
}

impl fmt::Display for SvmExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code.name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{:#x}", self.code.into_bits())?,
        }
        write!(f, " ({:#x}, {:#x})", self.info1, self.info2)
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> x86_virt_core::arbitrary::Arbitrary<'a> for SvmExit {
    fn arbitrary(
        bytes: &mut x86_virt_core::arbitrary::Unstructured<'a>,
    ) -> Result<Self, x86_virt_core::arbitrary::Error> {
        let (code, info1, info2) = x86_virt_core::arbitrary::Arbitrary::arbitrary(bytes)?;
        Ok(Self { code, info1, info2 })
    }
}

/// What the exit alone does not say, and its kind depends on.
///
/// ```
/// use x86_virt_core::{AddressSize, Gprs};
/// use x86_virt_svm::ExitContext;
///
/// let gprs = Gprs::default();
/// let context = ExitContext {
///     gprs: &gprs,
///     is_protected: true,
///     default_address_size: AddressSize::Bits64,
///     has_decode_assists: true,
///     is_delivering: false,
/// };
/// assert_eq!(context.gprs.edx_eax(), 0);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitContext<'g> {
    /// The registers at the exit.
    pub gprs: &'g Gprs,
    /// Whether exceptions push error codes: CR0.PE.
    pub is_protected: bool,
    /// The address size that CS gives instructions without a prefix.
    pub default_address_size: AddressSize,
    /// Whether the processor has decode assists: CPUID Fn8000_000A EDX bit 7.
    pub has_decode_assists: bool,
    /// Whether the exit interrupted the delivery of an event: EXITINTINFO.
    pub is_delivering: bool,
}

/// The kind of a frequent exit whose code says all, or [`ExitKind::Vendor`].
#[inline]
pub(crate) const fn plain(code: ExitCode) -> ExitKind {
    match code {
        ExitCode::INTR => ExitKind::HostInterrupt,
        ExitCode::NMI => ExitKind::HostNmi,
        ExitCode::EXCP_MC => ExitKind::HostMachineCheck,
        ExitCode::INIT => ExitKind::Init,
        ExitCode::VINTR => ExitKind::InterruptWindow,
        ExitCode::CPUID => ExitKind::Cpuid,
        ExitCode::HLT | ExitCode::IDLE_HLT => ExitKind::Hlt,
        ExitCode::VMMCALL => ExitKind::Hypercall,
        ExitCode::SHUTDOWN => ExitKind::Shutdown,
        ExitCode::RDTSC => ExitKind::Rdtsc,
        ExitCode::RDTSCP => ExitKind::Rdtscp,
        ExitCode::PAUSE => ExitKind::Pause,
        ExitCode::MONITOR => ExitKind::Monitor,
        ExitCode::MWAIT | ExitCode::MWAIT_CONDITIONAL => ExitKind::Mwait,
        ExitCode::INVD => ExitKind::Invd,
        ExitCode::WBINVD => ExitKind::Wbinvd,
        ExitCode::SMI => ExitKind::Smi,
        ExitCode::BUSLOCK => ExitKind::BusLock,
        ExitCode::VMGEXIT => ExitKind::Vmgexit,
        #[cfg(feature = "provisional")]
        ExitCode::PML_FULL => ExitKind::PageModificationLogFull,
        _ => ExitKind::Vendor,
    }
}

/// The instructions whose operands are in registers or not of common interest.
#[inline(never)]
const fn instruction(code: ExitCode) -> ExitKind {
    use SpecialInstruction as Special;
    use VirtualizationInstruction as Virtualization;
    ExitKind::Instruction(match code {
        ExitCode::VMRUN => return ExitKind::Virtualization(Virtualization::Vmrun),
        ExitCode::VMLOAD => return ExitKind::Virtualization(Virtualization::Vmload),
        ExitCode::VMSAVE => return ExitKind::Virtualization(Virtualization::Vmsave),
        ExitCode::STGI => return ExitKind::Virtualization(Virtualization::Stgi),
        ExitCode::CLGI => return ExitKind::Virtualization(Virtualization::Clgi),
        ExitCode::SKINIT => return ExitKind::Virtualization(Virtualization::Skinit),
        ExitCode::INVLPGA => return ExitKind::Virtualization(Virtualization::Invlpga),
        ExitCode::PUSHF => Special::Pushf,
        ExitCode::POPF => Special::Popf,
        ExitCode::RSM => Special::Rsm,
        ExitCode::IRET => Special::Iret,
        ExitCode::ICEBP => Special::Int1,
        ExitCode::RDPRU => Special::Rdpru,
        ExitCode::INVLPGB | ExitCode::ILLEGAL_INVLPGB => Special::Invlpgb,
        ExitCode::MCOMMIT => Special::Mcommit,
        ExitCode::TLBSYNC => Special::Tlbsync,
        _ => return ExitKind::Vendor,
    })
}

/// The kind of an exit, from its words and what else there is to know.
///
/// `decode` gives the instruction at RIP of the guest, or `None` if it is not known. It is called at most once, and only where
/// the processor has not said all: for INS and OUTS, for accesses to control, debug and descriptor-table registers, for INVLPG and for
/// `INT n`. Any exit gives a kind: what is not known, or cannot be, is [`ExitKind::Vendor`].
///
/// ```
/// use x86_virt_core::{AddressSize, ExitKind, Gprs};
/// use x86_virt_svm::{ExitCode, ExitContext, SvmExit, decode_exit};
///
/// let context = ExitContext {
///     gprs: &Gprs { rcx: 0xc000_0080, ..Gprs::default() },
///     is_protected: true,
///     default_address_size: AddressSize::Bits64,
///     has_decode_assists: true,
///     is_delivering: false,
/// };
/// let exit = SvmExit { code: ExitCode::MSR, info1: 0, info2: 0 };
/// assert_eq!(decode_exit(exit, context, || None), ExitKind::ReadMsr(0xc000_0080));
/// ```
#[must_use]
pub fn decode_exit(exit: SvmExit, context: ExitContext<'_>, decode: impl FnOnce() -> Option<Instruction>) -> ExitKind {
    match exit.code {
        // The frequent ones with operands need no second look at the code.
        ExitCode::IOIO => io(IoioInfo::from_bits(exit.info1), context, decode),
        ExitCode::MSR => msr(exit.info1, context.gprs),
        ExitCode::NPF => nested_fault(exit),
        code => match plain(code) {
            ExitKind::Vendor => with_operands(exit, context, decode),
            kind => kind,
        },
    }
}

/// The kind of an exit that is not [`plain`].
#[inline(never)]
pub(crate) fn with_operands(
    exit: SvmExit,
    context: ExitContext<'_>,
    decode: impl FnOnce() -> Option<Instruction>,
) -> ExitKind {
    match exit.code {
        ExitCode::IOIO => io(IoioInfo::from_bits(exit.info1), context, decode),
        ExitCode::MSR => msr(exit.info1, context.gprs),
        ExitCode::NPF => nested_fault(exit),
        ExitCode::XSETBV => ExitKind::Xsetbv { register: low(context.gprs.rcx), value: context.gprs.edx_eax() },
        ExitCode::RDPMC => ExitKind::Rdpmc(low(context.gprs.rcx)),
        ExitCode::CR0_SEL_WRITE => operand::selective_write(exit, context, decode),
        ExitCode::INVLPG => operand::invlpg(exit, context, decode),
        ExitCode::INVPCID => operand::invpcid(exit),
        ExitCode::SWINT => operand::software_interrupt(exit, context, decode),
        ExitCode::TASK_SWITCH => operand::task_switch(exit, context),
        ExitCode::AVIC_INCOMPLETE_IPI => ExitKind::ApicWrite(operand::ICR_LOW),
        ExitCode::AVIC_NOACCEL => operand::apic(exit),
        ExitCode::EFER_WRITE_TRAP => ExitKind::EferWritten(exit.info1),
        code => match code.into_bits() {
            0x00..=0x1f => operand::control_register(exit, context, decode),
            0x20..=0x3f => operand::debug_register(exit, context, decode),
            0x40..=0x5f => exception(exit, context),
            0x66..=0x6d => operand::descriptor_table(exit, decode),
            0x90..=0x9f => operand::control_register_written(exit),
            _ => instruction(code),
        },
    }
}

/// The low 32 bits of `value`.
const fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn io(info: IoioInfo, context: ExitContext<'_>, decode: impl FnOnce() -> Option<Instruction>) -> ExitKind {
    if info.str() { string_io(info, context, decode) } else { io_with(info, None) }
}

#[inline(never)]
fn string_io(info: IoioInfo, context: ExitContext<'_>, decode: impl FnOnce() -> Option<Instruction>) -> ExitKind {
    // Bochs has no decode assists, but says the address size.
    let is_complete = context.has_decode_assists && info.address_size().is_some();
    let decoded = if is_complete { None } else { decode().and_then(|instruction| instruction.string) };
    let address_size = info
        .address_size()
        .or_else(|| decoded.map(|operand| operand.address_size))
        .unwrap_or(context.default_address_size);
    let segment = match info.direction() {
        IoDirection::In => SegmentRegister::Es,
        IoDirection::Out if context.has_decode_assists => SegmentRegister::from_number(u64::from(info.seg())),
        IoDirection::Out => decoded.map_or(SegmentRegister::Ds, |operand| operand.segment),
    };
    io_with(info, Some(StringIo { repeat: info.rep(), address_size, segment }))
}

#[inline]
fn io_with(info: IoioInfo, string: Option<StringIo>) -> ExitKind {
    let Some(size) = info.size() else { return ExitKind::Vendor };
    ExitKind::Io(Io { port: info.port(), size, direction: info.direction(), string })
}

/// AMD APM vol. 2, section 15.11, "MSR Intercepts": EXITINFO1 is 0 for RDMSR and 1 for WRMSR.
fn msr(info1: u64, gprs: &Gprs) -> ExitKind {
    let msr = low(gprs.rcx);
    match info1 {
        0 => ExitKind::ReadMsr(msr),
        1 => ExitKind::WriteMsr { msr, value: gprs.edx_eax() },
        _ => ExitKind::Vendor,
    }
}

fn nested_fault(exit: SvmExit) -> ExitKind {
    let info = NpfInfo::from_bits(exit.info1);
    ExitKind::NestedFault(NestedFault {
        gpa: Gpa::new(exit.info2),
        gva: None,
        access: info.access(),
        cause: info.cause(),
        table_walk: info.table_walk(),
    })
}

/// AMD APM vol. 2, section 15.12, "Exception Intercepts": EXITINFO1 is the error code, EXITINFO2 the address of a #PF.
fn exception(exit: SvmExit, context: ExitContext<'_>) -> ExitKind {
    let [code, ..] = exit.code.into_bits().to_le_bytes();
    let vector = code & 0x1f;
    let has_code = context.is_protected && Exception::pushes_error_code(vector);
    ExitKind::Exception {
        exception: Exception { vector, error_code: has_code.then_some(low(exit.info1)) },
        address: (exit.code == ExitCode::EXCP_PF).then_some(Gva::new(exit.info2)),
    }
}

#[cfg(test)]
mod tests;
