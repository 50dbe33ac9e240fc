//! Port I/O exits and their completion.

use core::fmt;

use crate::GuestMemory;
use crate::addr::Gva;
use crate::guest_paging::{GuestFault, GuestPaging, Privilege};
use crate::linear;
use crate::register::Gpr;
use crate::segment::SegmentRegister;
use crate::vcpu::{SkipError, Vcpu};

/// An exit because of IN, OUT, INS or OUTS.
///
/// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for I/O Instructions"); AMD APM
/// vol. 2, section 15.10.2, "IN and OUT Behavior".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Io {
    /// The port.
    pub port: u16,
    /// How many bytes are moved at a time.
    pub size: IoSize,
    /// Whether the guest reads or writes the port.
    pub direction: IoDirection,
    /// For INS and OUTS, where the data is.
    pub string: Option<StringIo>,
}

/// Direction of port I/O.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum IoDirection {
    /// The guest reads the port: IN, INS.
    In,
    /// The guest writes the port: OUT, OUTS.
    Out,
}

/// Operand size of port I/O.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum IoSize {
    /// One byte: AL.
    Byte,
    /// Two bytes: AX.
    Word,
    /// Four bytes: EAX.
    Dword,
}

impl IoSize {
    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u8 {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Dword => 4,
        }
    }

    /// The size of so many bytes, if there is one.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        Some(match bytes {
            1 => Self::Byte,
            2 => Self::Word,
            4 => Self::Dword,
            _ => return None,
        })
    }

    /// The bits of a register that an operand of this size fills.
    #[must_use]
    pub const fn mask(self) -> u32 {
        match self {
            Self::Byte => 0xff,
            Self::Word => 0xffff,
            Self::Dword => 0xffff_ffff,
        }
    }
}

/// The memory operand of INS or OUTS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct StringIo {
    /// Whether the instruction has a REP prefix and repeats RCX times.
    pub repeat: bool,
    /// Width of the address and of the count.
    pub address_size: AddressSize,
    /// The segment: ES for INS, DS or an override for OUTS.
    pub segment: SegmentRegister,
}

/// Address size of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum AddressSize {
    /// 16 bits.
    Bits16,
    /// 32 bits.
    Bits32,
    /// 64 bits.
    Bits64,
}

impl AddressSize {
    /// The bits of a register that such an address has.
    #[must_use]
    pub const fn mask(self) -> u64 {
        match self {
            Self::Bits16 => 0xffff,
            Self::Bits32 => 0xffff_ffff,
            Self::Bits64 => u64::MAX,
        }
    }

    /// `register` after `value` was written to an operand of this size: 32-bit writes clear the upper half.
    pub(crate) const fn merge(self, register: u64, value: u64) -> u64 {
        match self {
            Self::Bits16 => register & !0xffff | value & 0xffff,
            Self::Bits32 => value & 0xffff_ffff,
            Self::Bits64 => value,
        }
    }
}

/// The ports that a guest sees.
pub trait Ports {
    /// The value that the guest reads from `port`, in the low bits.
    fn read(&mut self, port: u16, size: IoSize) -> u32;

    /// The guest writes `value`, which is in the low bits, to `port`.
    fn write(&mut self, port: u16, size: IoSize, value: u32);
}

/// Elements of a repeated string instruction that are done at a time.
pub(crate) const MAX_ELEMENTS: u32 = 4096;

/// Whether a string instruction is at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Repetition {
    Done,
    /// Elements are left, for which the guest executes the instruction again.
    Pending,
}

impl Io {
    /// Does what the instruction does, with `ports` as the devices and `memory` as the guest's memory, and goes to the next
    /// instruction.
    ///
    /// A repeated string instruction is done for at most 4096 elements: a guest can ask for so many that the host would not come
    /// back. What is left the guest asks for again, since it executes the instruction again with the registers as they are then, as
    /// after an interrupt between two elements. Where guest memory cannot be reached, the registers say how far it
    /// came, as on a processor that takes a fault in between, and the instruction is not skipped.
    ///
    /// # Errors
    ///
    /// [`IoError`] if guest memory cannot be reached or the length of the instruction is not known.
    pub fn complete<V: Vcpu>(
        &self,
        vcpu: &mut V,
        memory: &impl GuestMemory,
        ports: &mut impl Ports,
    ) -> Result<(), IoError> {
        match (self.string, self.direction) {
            (Some(string), _) => {
                if self.complete_string(string, vcpu, memory, ports)? == Repetition::Pending {
                    return Ok(());
                }
            }
            (None, IoDirection::In) => {
                let value = ports.read(self.port, self.size) & self.size.mask();
                let rax = vcpu.gprs().rax;
                vcpu.gprs_mut().rax = match self.size {
                    IoSize::Byte | IoSize::Word => rax & !u64::from(self.size.mask()) | u64::from(value),
                    IoSize::Dword => u64::from(value),
                };
            }
            (None, IoDirection::Out) => {
                ports.write(self.port, self.size, low_dword(vcpu.gprs().rax) & self.size.mask())
            }
        }
        vcpu.skip_instruction()?;
        Ok(())
    }

    fn complete_string<V: Vcpu>(
        &self,
        string: StringIo,
        vcpu: &mut V,
        memory: &impl GuestMemory,
        ports: &mut impl Ports,
    ) -> Result<Repetition, IoError> {
        let mask = string.address_size.mask();
        let index = match self.direction {
            IoDirection::In => Gpr::Rdi,
            IoDirection::Out => Gpr::Rsi,
        };
        let step =
            if vcpu.rflags().df() { u64::from(self.size.bytes()).wrapping_neg() } else { u64::from(self.size.bytes()) };
        let mut elements = 0;
        while !string.repeat || vcpu.gprs().rcx & mask != 0 {
            if elements == MAX_ELEMENTS {
                return Ok(Repetition::Pending);
            }
            elements += 1;
            let offset = vcpu.gpr(index);
            let address = Gva::new(linear::address(vcpu, string.segment, offset & mask));
            self.move_element(address, vcpu, memory, ports)?;
            vcpu.set_gpr(index, string.address_size.merge(offset, offset.wrapping_add(step)));
            if !string.repeat {
                break;
            }
            let rcx = vcpu.gprs().rcx;
            vcpu.gprs_mut().rcx = string.address_size.merge(rcx, rcx.wrapping_sub(1));
        }
        Ok(Repetition::Done)
    }

    fn move_element<V: Vcpu>(
        &self,
        address: Gva,
        vcpu: &V,
        memory: &impl GuestMemory,
        ports: &mut impl Ports,
    ) -> Result<(), IoError> {
        let mut bytes = [0; 4];
        let length = usize::from(self.size.bytes());
        let Some(element) = bytes.get_mut(..length) else { return Ok(()) };
        let (paging, privilege) = (GuestPaging::of(vcpu), Privilege::of(vcpu));
        match self.direction {
            IoDirection::In => {
                let value = ports.read(self.port, self.size).to_le_bytes();
                let Some(value) = value.get(..length) else { return Ok(()) };
                Ok(paging.write(memory, address, privilege, value)?)
            }
            IoDirection::Out => {
                paging.read(memory, address, privilege, element)?;
                ports.write(self.port, self.size, u32::from_le_bytes(bytes));
                Ok(())
            }
        }
    }
}

impl fmt::Display for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match (self.direction, self.string) {
            (IoDirection::In, None) => "in",
            (IoDirection::Out, None) => "out",
            (IoDirection::In, Some(_)) => "ins",
            (IoDirection::Out, Some(_)) => "outs",
        };
        write!(f, "{name} port {:#x}, {} bytes", self.port, self.size.bytes())
    }
}

/// Why a port I/O exit could not be completed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum IoError {
    /// The memory operand cannot be reached.
    #[error("the memory operand cannot be reached: {0}")]
    Memory(#[from] GuestFault),
    /// The instruction cannot be skipped.
    #[error(transparent)]
    Skip(#[from] SkipError),
}

/// The low 32 bits of `value`.
pub(crate) const fn low_dword(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests;
