//! Accesses to devices in guest-physical memory, and their completion.

mod alu;
mod bus;
mod parse;
mod string;

use self::bus::Bus;
use crate::GuestMemory;
use crate::addr::Gpa;
use crate::complete;
use crate::exit::{ApicAccess, ApicAccessKind, NestedFault};
use crate::guest_paging::GuestFault;
use crate::io::{AddressSize, Repetition};
use crate::operand::OperandSize;
use crate::register::{Gpr, Rflags};
use crate::segment::SegmentRegister;
use crate::vcpu::{SkipError, Vcpu};

pub use alu::{Arithmetic, BitOperation};

/// What an instruction does that accessed a device.
///
/// [`of`](Self::of) makes it of a nested fault, [`complete`](Self::complete) does it with the device. Known are MOV, MOVZX, MOVSX, MOVSXD,
/// MOVNTI, ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NOT, NEG, BT, BTS, BTR, BTC, XCHG, XADD, CMPXCHG, MOVS, STOS and LODS:
/// what drivers and firmware use. Vector, x87 and stack instructions are not.
///
/// Intel SDM vol. 1, section 7.3, "Summary of GP Instructions".
///
/// ```
/// use x86_virt_core::{ExitKind, Gpa, GuestMemory, Mmio, MmioDevice, MmioError, OperandSize, Vcpu};
///
/// /// A device with one register of 32 bits.
/// struct Counter(u32);
///
/// impl MmioDevice for Counter {
///     fn read(&mut self, _gpa: Gpa, _size: OperandSize) -> u64 {
///         self.0 += 1;
///         u64::from(self.0)
///     }
///
///     fn write(&mut self, _gpa: Gpa, _size: OperandSize, value: u64) {
///         self.0 = u32::try_from(value).unwrap_or(0);
///     }
/// }
///
/// fn answer<V: Vcpu>(vcpu: &mut V, memory: &impl GuestMemory, kind: ExitKind) -> Result<(), MmioError> {
///     if let ExitKind::NestedFault(fault) = kind {
///         Mmio::of(vcpu, memory, &fault)?.complete(vcpu, memory, &mut Counter(0))?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Mmio {
    /// The guest-physical address.
    pub gpa: Gpa,
    /// Where the part of the operand beyond the end of the page is, if it has one. Either page may be memory.
    pub second: Option<Gpa>,
    /// How many bytes are moved at a time.
    pub size: OperandSize,
    /// What is done.
    pub operation: MmioOperation,
    /// Length of the instruction in bytes.
    pub length: u8,
}

/// What is done with a device. "Memory" is the operand at the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum MmioOperation {
    /// Memory goes to a register: MOV, MOVZX, MOVSX, MOVSXD.
    Load {
        /// The register, of which the size may be larger than that of memory.
        destination: MmioRegister,
        /// What fills the bits above those of memory.
        extension: Extension,
    },
    /// A register or a number goes to memory: MOV, MOVNTI.
    Store(MmioSource),
    /// Memory is changed, or for CMP and TEST only looked at.
    Modify {
        /// How.
        operation: Arithmetic,
        /// The other operand.
        source: MmioSource,
    },
    /// A register is changed by memory, or for CMP only looked at.
    Combine {
        /// How.
        operation: Arithmetic,
        /// The register.
        destination: MmioRegister,
    },
    /// A bit goes to RFLAGS.CF, and may be changed: BT, BTS, BTR, BTC.
    Bit {
        /// How.
        operation: BitOperation,
        /// The number of the bit.
        index: u8,
    },
    /// Memory and the register exchange their values: XCHG.
    Exchange(MmioRegister),
    /// The same, and then memory is the sum of both: XADD.
    ExchangeAdd(MmioRegister),
    /// Memory becomes the register if it is equal to the accumulator, which otherwise becomes memory: CMPXCHG.
    CompareExchange(MmioRegister),
    /// MOVS, STOS or LODS.
    String(MmioString),
}

impl MmioOperation {
    /// Whether memory is read.
    #[must_use]
    pub const fn reads(self) -> bool {
        match self {
            Self::Store(_) => false,
            Self::String(string) => !matches!(string.kind, MmioStringKind::Store),
            _ => true,
        }
    }

    /// Whether memory may be written. MOVS writes the device or another memory.
    #[must_use]
    pub const fn writes(self) -> bool {
        match self {
            Self::Load { .. } | Self::Combine { .. } => false,
            Self::Modify { operation, .. } => operation.has_result(),
            Self::Bit { operation, .. } => !matches!(operation, BitOperation::Test),
            Self::String(string) => !matches!(string.kind, MmioStringKind::Load),
            _ => true,
        }
    }
}

/// A part of a general-purpose register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct MmioRegister {
    /// The register.
    pub gpr: Gpr,
    /// How much of it.
    pub size: OperandSize,
    /// Bits 15:8, not 7:0: AH, CH, DH, BH.
    pub is_high_byte: bool,
}

impl MmioRegister {
    fn read<V: Vcpu>(self, vcpu: &V) -> u64 {
        let value = vcpu.gpr(self.gpr);
        if self.is_high_byte { value >> 8 & 0xff } else { value & self.size.mask() }
    }

    fn write<V: Vcpu>(self, vcpu: &mut V, value: u64) {
        if self.is_high_byte {
            let before = vcpu.gpr(self.gpr);
            vcpu.set_gpr(self.gpr, before & !0xff00 | (value & 0xff) << 8);
        } else {
            complete::write_gpr(vcpu, self.gpr, self.size, value);
        }
    }
}

/// The other operand of an access to a device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum MmioSource {
    /// A register.
    Register(MmioRegister),
    /// A number, sign-extended.
    Immediate(u64),
}

impl MmioSource {
    fn read<V: Vcpu>(self, vcpu: &V) -> u64 {
        match self {
            Self::Register(register) => register.read(vcpu),
            Self::Immediate(value) => value,
        }
    }
}

/// How a smaller value fills a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Extension {
    /// With zeros.
    Zero,
    /// With its sign.
    Sign,
}

/// A string instruction that accesses a device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct MmioString {
    /// Which.
    pub kind: MmioStringKind,
    /// Whether the instruction has a REP prefix and repeats RCX times.
    pub repeat: bool,
    /// Width of the addresses and of the count.
    pub address_size: AddressSize,
    /// The segment of the source: DS or an override. That of the destination is ES.
    pub segment: SegmentRegister,
}

/// String instructions that access devices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum MmioStringKind {
    /// MOVS: from memory at RSI to memory at RDI.
    Move,
    /// STOS: from the accumulator to memory at RDI.
    Store,
    /// LODS: from memory at RSI to the accumulator.
    Load,
}

/// What answers where the guest has no memory.
pub trait MmioDevice {
    /// The value that the guest reads at `gpa`, in the low bits.
    fn read(&mut self, gpa: Gpa, size: OperandSize) -> u64;

    /// The guest writes `value`, which is in the low bits, to `gpa`.
    fn write(&mut self, gpa: Gpa, size: OperandSize, value: u64);
}

impl Mmio {
    /// Decodes the instruction that caused `fault`. Its bytes come from the processor if it has fetched them, or from `memory`.
    ///
    /// # Errors
    ///
    /// [`MmioError`] if it cannot be decoded or is not known here, or the fault came from a walk of the guest's tables; and
    /// [`MmioError::Memory`] if the operand is in two pages, and the guest's tables do not allow the access to one of them.
    pub fn of<V: Vcpu>(vcpu: &V, memory: &impl GuestMemory, fault: &NestedFault) -> Result<Self, MmioError> {
        if fault.table_walk {
            return Err(MmioError::TableWalk { gpa: fault.gpa });
        }
        parse::parse(vcpu, memory, fault.gpa)
    }

    /// Decodes the instruction that accessed the page of the local APIC, which is at `base`. `complete` answers it with the registers as
    /// the device.
    ///
    /// # Errors
    ///
    /// [`MmioError::Unknown`] as for [`of`](Self::of), and for string instructions and operands that leave the page, which software does
    /// not use there; and [`MmioError::NoOperand`] if no instruction has read or written an operand.
    pub fn of_apic_access<V: Vcpu>(
        vcpu: &V,
        memory: &impl GuestMemory,
        access: ApicAccess,
        base: Gpa,
    ) -> Result<Self, MmioError> {
        let gpa = Gpa::new(base.get().wrapping_add(u64::from(access.offset)));
        if !matches!(access.kind, ApicAccessKind::Read | ApicAccessKind::Write) {
            return Err(MmioError::NoOperand { base });
        }
        let mmio = parse::parse(vcpu, memory, gpa)?;
        if mmio.second.is_some() || matches!(mmio.operation, MmioOperation::String(_)) {
            return Err(MmioError::Unknown { rip: vcpu.rip(), gpa });
        }
        Ok(mmio)
    }

    /// Does what the instruction does, with `device` as the memory at the address, and goes to the next instruction.
    ///
    /// An operand in two pages is accessed page by page: the part of it that is memory there, and the other at `device`, in pieces of up to
    /// 4 bytes that are aligned. It is not locked.
    ///
    /// A repeated string instruction is done for at most 4096 elements, as by [`Io::complete`](crate::Io::complete); the guest executes
    /// it again for the others. `device` answers wherever `memory` has nothing or does not allow the access. Where the
    /// guest's own tables do not allow it, the registers say how far it came, and the instruction is not skipped.
    ///
    /// # Errors
    ///
    /// [`MmioError::Memory`] with the fault, which [`Vcpu::raise_fault`] gives to the guest. Only string instructions fail, and
    /// operands in two pages of which memory cannot be reached at all.
    pub fn complete<V: Vcpu>(
        &self,
        vcpu: &mut V,
        memory: &impl GuestMemory,
        device: &mut impl MmioDevice,
    ) -> Result<(), MmioError> {
        let size = self.size;
        let mut bus = Bus { gpa: self.gpa, second: self.second, size, memory, device: &mut *device };
        match self.operation {
            MmioOperation::String(string) => {
                if string::complete(string, size, vcpu, memory, device)? == Repetition::Pending {
                    return Ok(());
                }
            }
            MmioOperation::Load { destination, extension } => {
                let value = bus.read()?;
                let value = if extension == Extension::Sign { size.sign_extend(value) } else { value };
                destination.write(vcpu, value);
            }
            MmioOperation::Store(source) => {
                bus.write(source.read(vcpu))?;
            }
            MmioOperation::Modify { operation, source } => {
                let (value, other) = (bus.read()?, source.read(vcpu));
                let (result, flags) = operation.apply(size, value, other, vcpu.rflags());
                if operation.has_result() {
                    bus.write(result)?;
                }
                vcpu.set_rflags(flags);
            }
            MmioOperation::Combine { operation, destination } => {
                let (value, other) = (destination.read(vcpu), bus.read()?);
                let (result, flags) = operation.apply(size, value, other, vcpu.rflags());
                if operation.has_result() {
                    destination.write(vcpu, result);
                }
                vcpu.set_rflags(flags);
            }
            MmioOperation::Bit { operation, index } => {
                let value = bus.read()?;
                let bit = 1_u64.checked_shl(u32::from(index)).unwrap_or(0);
                if let Some(result) = operation.apply(value, bit) {
                    bus.write(result)?;
                }
                let flags: Rflags = vcpu.rflags();
                vcpu.set_rflags(flags.with_cf(value & bit != 0));
            }
            MmioOperation::Exchange(register) => {
                let value = bus.read()?;
                bus.write(register.read(vcpu))?;
                register.write(vcpu, value);
            }
            MmioOperation::ExchangeAdd(register) => {
                let value = bus.read()?;
                let (sum, flags) = Arithmetic::Add.apply(size, value, register.read(vcpu), vcpu.rflags());
                bus.write(sum)?;
                register.write(vcpu, value);
                vcpu.set_rflags(flags);
            }
            MmioOperation::CompareExchange(register) => {
                let value = bus.read()?;
                let accumulator = MmioRegister { gpr: Gpr::Rax, size, is_high_byte: false };
                let expected = accumulator.read(vcpu);
                let (_, flags) = Arithmetic::Compare.apply(size, expected, value, vcpu.rflags());
                if expected == value {
                    bus.write(register.read(vcpu))?;
                } else {
                    accumulator.write(vcpu, value);
                }
                vcpu.set_rflags(flags);
            }
        }
        vcpu.skip_bytes(self.length);
        Ok(())
    }
}

/// Why an access to a device cannot be emulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum MmioError {
    /// The instruction cannot be read or decoded.
    #[error(transparent)]
    Decode(#[from] SkipError),
    /// The instruction is not one of those that are known here.
    #[error("the instruction at {rip:#x} accesses {gpa} in a way that is not emulated")]
    Unknown {
        /// Where the instruction is.
        rip: u64,
        /// What it accesses.
        gpa: Gpa,
    },
    /// The processor accessed the address itself, in a walk of the guest's tables.
    #[error("the guest's page tables are at {gpa}, where it has no memory")]
    TableWalk {
        /// The address.
        gpa: Gpa,
    },
    /// No operand of an instruction is in the page of the local APIC, but code, a stack or a table.
    #[error("the guest uses the local APIC at {base} for code, a stack or a table")]
    NoOperand {
        /// Where the page is.
        base: Gpa,
    },
    /// Memory of the guest, which a string instruction or an operand in two pages also accesses, cannot be reached.
    #[error("the other operand cannot be reached: {0}")]
    Memory(#[from] GuestFault),
}

#[cfg(test)]
mod tests;
