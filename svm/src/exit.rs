//! Exits in words that both vendors share.

use core::fmt;

use x86_virt_core::{
    AddressSize, ControlRegister, ControlRegisterAccess, Exception, ExitKind, Gpa, Gpr, Gprs, Gva, Instruction, Io,
    IoDirection, NestedFault, RegisterAccess, RegisterOperand, SegmentRegister, StringIo,
};

use crate::exit_code::ExitCode;
use crate::exit_info::{IoioInfo, MoveInfo, NpfInfo};

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
}

/// The kind of an exit whose code says all.
#[inline]
pub(crate) const fn plain(code: ExitCode) -> Option<ExitKind> {
    Some(match code {
        ExitCode::INTR => ExitKind::HostInterrupt,
        ExitCode::NMI => ExitKind::HostNmi,
        ExitCode::EXCP_MC => ExitKind::HostMachineCheck,
        ExitCode::INIT => ExitKind::Init,
        ExitCode::VINTR => ExitKind::InterruptWindow,
        ExitCode::CPUID => ExitKind::Cpuid,
        ExitCode::HLT | ExitCode::IDLE_HLT => ExitKind::Hlt,
        ExitCode::VMMCALL => ExitKind::Hypercall,
        ExitCode::SHUTDOWN => ExitKind::Shutdown,
        ExitCode::XSETBV => ExitKind::Xsetbv,
        ExitCode::RDTSC => ExitKind::Rdtsc,
        ExitCode::RDTSCP => ExitKind::Rdtscp,
        ExitCode::RDPMC => ExitKind::Rdpmc,
        ExitCode::PAUSE => ExitKind::Pause,
        ExitCode::MONITOR => ExitKind::Monitor,
        ExitCode::MWAIT | ExitCode::MWAIT_CONDITIONAL => ExitKind::Mwait,
        ExitCode::INVD => ExitKind::Invd,
        ExitCode::WBINVD => ExitKind::Wbinvd,
        ExitCode::INVLPG => ExitKind::Invlpg,
        ExitCode::VMRUN
        | ExitCode::VMLOAD
        | ExitCode::VMSAVE
        | ExitCode::STGI
        | ExitCode::CLGI
        | ExitCode::SKINIT
        | ExitCode::INVLPGA => ExitKind::Virtualization,
        _ => return None,
    })
}

/// The kind of an exit, from its words and what else there is to know.
///
/// `decode` gives the instruction at RIP of the guest, or `None` if it is not known. It is called at most once, and only where
/// the processor has not said all: for INS and OUTS, and for accesses to control and debug registers. Any exit gives a kind: what
/// is not known, or cannot be, is [`ExitKind::Vendor`].
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
/// };
/// let exit = SvmExit { code: ExitCode::MSR, info1: 0, info2: 0 };
/// assert_eq!(decode_exit(exit, context, || None), ExitKind::ReadMsr(0xc000_0080));
/// ```
#[must_use]
pub fn decode_exit(exit: SvmExit, context: ExitContext<'_>, decode: impl FnOnce() -> Option<Instruction>) -> ExitKind {
    match exit.code {
        ExitCode::IOIO => io(IoioInfo::from_bits(exit.info1), context, decode),
        ExitCode::MSR => msr(exit.info1, context.gprs),
        ExitCode::NPF => nested_fault(exit),
        ExitCode::EXCP_MC => ExitKind::HostMachineCheck,
        code => match code.into_bits() {
            0x00..=0x1f => control_register(exit, context, decode),
            0x20..=0x3f => debug_register(exit, context, decode),
            0x40..=0x5f => exception(exit, context),
            _ => plain(code).unwrap_or(ExitKind::Vendor),
        },
    }
}

fn io(info: IoioInfo, context: ExitContext<'_>, decode: impl FnOnce() -> Option<Instruction>) -> ExitKind {
    let Some(size) = info.size() else { return ExitKind::Vendor };
    let string = info.str().then(|| {
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
        StringIo { repeat: info.rep(), address_size, segment }
    });
    ExitKind::Io(Io { port: info.port(), size, direction: info.direction(), string })
}

/// AMD APM vol. 2, section 15.11, "MSR Intercepts": EXITINFO1 is 0 for RDMSR and 1 for WRMSR.
fn msr(info1: u64, gprs: &Gprs) -> ExitKind {
    let [a, b, c, d, ..] = gprs.rcx.to_le_bytes();
    let msr = u32::from_le_bytes([a, b, c, d]);
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

/// The other operand of an access to a control or debug register. The processor reports those of MOV only.
fn operand(
    exit: SvmExit,
    context: ExitContext<'_>,
    decode: impl FnOnce() -> Option<Instruction>,
) -> Option<RegisterOperand> {
    let info = MoveInfo::from_bits(exit.info1);
    let is_debug_register = exit.code.into_bits() >= 0x20;
    if context.has_decode_assists && (info.is_move() || is_debug_register) {
        Some(RegisterOperand::Move(Gpr::from_number(u64::from(info.gpr()))))
    } else {
        decode()?.operand
    }
}

/// A MOV to or from a register, whose exit codes are `number` for reads and `number + 16` for writes.
fn access(code: u64, gpr: Gpr) -> RegisterAccess {
    if code & 0x10 == 0 { RegisterAccess::Read(gpr) } else { RegisterAccess::Write(gpr) }
}

/// What a decoder does not know, such as SMSW, stays with the vendor.
fn control_register(exit: SvmExit, context: ExitContext<'_>, decode: impl FnOnce() -> Option<Instruction>) -> ExitKind {
    let register = ControlRegister::from_number(exit.code.into_bits() & 0xf);
    let access = match (register, operand(exit, context, decode)) {
        (Some(register), Some(RegisterOperand::Move(gpr))) => {
            ControlRegisterAccess::Move { register, access: access(exit.code.into_bits(), gpr) }
        }
        (_, Some(RegisterOperand::Clts)) => ControlRegisterAccess::Clts,
        (_, Some(RegisterOperand::Lmsw(source))) => ControlRegisterAccess::Lmsw { source },
        _ => return ExitKind::Vendor,
    };
    ExitKind::ControlRegister(access)
}

fn debug_register(exit: SvmExit, context: ExitContext<'_>, decode: impl FnOnce() -> Option<Instruction>) -> ExitKind {
    let [number, ..] = exit.code.into_bits().to_le_bytes();
    match operand(exit, context, decode) {
        Some(RegisterOperand::Move(gpr)) => {
            ExitKind::DebugRegister { number: number & 0xf, access: access(exit.code.into_bits(), gpr) }
        }
        _ => ExitKind::Vendor,
    }
}

/// AMD APM vol. 2, section 15.12, "Exception Intercepts": EXITINFO1 is the error code, EXITINFO2 the address of a #PF.
fn exception(exit: SvmExit, context: ExitContext<'_>) -> ExitKind {
    let [code, ..] = exit.code.into_bits().to_le_bytes();
    let vector = code & 0x1f;
    let [a, b, c, d, ..] = exit.info1.to_le_bytes();
    let has_code = context.is_protected && Exception::pushes_error_code(vector);
    ExitKind::Exception {
        exception: Exception { vector, error_code: has_code.then_some(u32::from_le_bytes([a, b, c, d])) },
        address: (exit.code == ExitCode::EXCP_PF).then_some(Gva::new(exit.info2)),
    }
}

#[cfg(test)]
mod tests;
