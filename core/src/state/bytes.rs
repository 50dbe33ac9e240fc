//! A state as bytes.
//!
//! All numbers are little-endian, without gaps:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `x86vcpu` and a zero |
//! | 2 | version: 2 |
//! | 2 | zero |
//! | 4 | length of all, from the first byte on |
//! | ... | the registers, in the order and with the widths of the table in `rows` |
//! | 2 | how many MSRs follow |
//! | 4 + 8 each | number and value of an MSR, in ascending order of the numbers |
//! | 1 | 1 if the rest follows |
//! | 8, 4 | XSTATE_BV and MXCSR |
//! | ... | the components of XSTATE_BV, in ascending order of their numbers |
//!
//! Version 1 has no row for the triple fault, the last of the registers.

use crate::permission::SwitchedMsr;
use crate::state::rows::ROWS;
use crate::state::{ExtendedState, Msrs, StateComponent, VcpuState};

const MAGIC: [u8; 8] = *b"x86vcpu\0";
const VERSION: u16 = 2;
/// Offset of the length.
const LENGTH: usize = 12;
const HEADER: usize = 16;
const MSR_BYTES: usize = 12;

impl VcpuState {
    /// The most bytes that [`to_bytes`](Self::to_bytes) makes.
    pub const MAX_BYTES: usize = {
        let mut bytes = HEADER + 2 + SwitchedMsr::ALL.len() * MSR_BYTES + 1 + 8 + 4;
        let mut rows = ROWS;
        while let [row, rest @ ..] = rows {
            bytes += row.bytes;
            rows = rest;
        }
        let mut components: &[StateComponent] = &StateComponent::ALL;
        while let [component, rest @ ..] = components {
            bytes += component.size();
            components = rest;
        }
        bytes
    };

    /// Writes the state to the start of `buffer`, and returns that part of it. [`MAX_BYTES`](Self::MAX_BYTES) are always enough.
    ///
    /// The format is stable: every version of the library reads the bytes of all earlier ones.
    ///
    /// ```
    /// use x86_virt_core::VcpuState;
    ///
    /// let mut buffer = [0; VcpuState::MAX_BYTES];
    /// let state = VcpuState::reset(0x0005_0654);
    /// let bytes = state.to_bytes(&mut buffer)?;
    /// assert_eq!(VcpuState::from_bytes(bytes)?, state);
    /// # Ok::<(), x86_virt_core::BytesError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BytesError::Length`] if `buffer` is too short.
    pub fn to_bytes<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], BytesError> {
        let mut writer = Writer { buffer, length: 0 };
        writer.put(&MAGIC);
        writer.put(&VERSION.to_le_bytes());
        writer.put(&[0; 6]);
        for row in ROWS {
            writer.number((row.get)(self), row.bytes);
        }
        let msrs = sorted();
        writer.number(u64::try_from(msrs.iter().flatten().count()).unwrap_or(0), 2);
        for msr in msrs.into_iter().flatten() {
            writer.number(msr.number().into(), 4);
            writer.number(self.msr(msr), 8);
        }
        match &self.extended {
            None => writer.put(&[0]),
            Some(extended) => {
                writer.put(&[1]);
                writer.number(extended.in_use(), 8);
                writer.number(extended.mxcsr().into(), 4);
                for component in extended.components() {
                    writer.put(extended.component(component));
                }
            }
        }
        writer.finish()
    }

    /// The state in `bytes`. What follows its end is not looked at.
    ///
    /// Whether a processor can have the state is [`Vcpu::restore`](crate::Vcpu::restore)'s question: here, every value of a register is
    /// taken.
    ///
    /// # Errors
    ///
    /// [`BytesError`] if the bytes end too early, are of another kind or of a later version, or hold something that this version of the
    /// library does not know.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BytesError> {
        if bytes.get(..MAGIC.len()).is_some_and(|magic| magic != MAGIC) {
            return Err(BytesError::NotAState);
        }
        let mut header = Reader { bytes, at: MAGIC.len(), end: bytes.len() };
        let version = header.number(2)?;
        let rows = match (version, ROWS) {
            (1, [rows @ .., _triple_fault]) => rows,
            (2, rows) => rows,
            _ => return Err(BytesError::Version(version)),
        };
        if header.number(2)? != 0 {
            return Err(BytesError::NotAState);
        }
        let length = usize::try_from(header.number(4)?).unwrap_or(usize::MAX);
        if bytes.len() < length {
            return Err(BytesError::Length { needed: length, has: bytes.len() });
        }
        let mut reader = Reader { bytes, at: header.at, end: length };
        let mut state = Self::default();
        for row in rows {
            let value = reader.number(row.bytes)?;
            (row.set)(&mut state, value).ok_or(BytesError::Value { register: row.name, value })?;
        }
        state.msrs = reader.msrs()?;
        state.extended = match reader.number(1)? {
            0 => None,
            1 => Some(reader.extended()?),
            value => return Err(BytesError::Value { register: "extended state", value }),
        };
        if reader.at == length { Ok(state) } else { Err(BytesError::Length { needed: reader.at, has: length }) }
    }
}

/// Why bytes are no state, or a state does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum BytesError {
    /// There are too few bytes, or not as many as the header says.
    #[error("{needed} bytes are needed, and there are {has}")]
    Length {
        /// How many are needed.
        needed: usize,
        /// How many there are.
        has: usize,
    },
    /// They do not start as a state does.
    #[error("this is not the state of a virtual processor")]
    NotAState,
    /// They were written by a later version of the library.
    #[error("version {0} of the state of a virtual processor is not known")]
    Version(u64),
    /// A register cannot have such a value.
    #[error("{register} = {value:#x} is no value of it")]
    Value {
        /// The register.
        #[cfg_attr(feature = "arbitrary", arbitrary(value = "activity"))]
        register: &'static str,
        /// The value.
        value: u64,
    },
    /// The library does not switch this MSR, or it is not where it belongs.
    #[error("MSR {0:#x} is not switched, or out of order")]
    Msr(u64),
    /// XSTATE_BV has these bits, of components that the library does not switch.
    #[error("components {0:#x} of the extended state are not known")]
    Components(u64),
}

/// The MSRs that are held, in ascending order of their numbers.
fn sorted() -> [Option<SwitchedMsr>; SwitchedMsr::ALL.len()] {
    let mut msrs = [None; SwitchedMsr::ALL.len()];
    for (slot, msr) in msrs.iter_mut().zip(Msrs::held()) {
        *slot = Some(msr);
    }
    msrs.sort_unstable_by_key(|msr| msr.map_or(u32::MAX, SwitchedMsr::number));
    msrs
}

struct Writer<'b> {
    buffer: &'b mut [u8],
    /// May be beyond the end of the buffer.
    length: usize,
}

impl<'b> Writer<'b> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(to) = self.buffer.get_mut(self.length..end) {
            to.copy_from_slice(bytes);
        }
        self.length = end;
    }

    fn number(&mut self, value: u64, bytes: usize) {
        self.put(value.to_le_bytes().get(..bytes).unwrap_or_default());
    }

    fn finish(self) -> Result<&'b [u8], BytesError> {
        let error = BytesError::Length { needed: self.length, has: self.buffer.len() };
        let bytes = self.buffer.get_mut(..self.length).ok_or(error)?;
        let length = u32::try_from(self.length).map_err(|_| error)?;
        if let Some(field) = bytes.get_mut(LENGTH..HEADER) {
            field.copy_from_slice(&length.to_le_bytes());
        }
        Ok(bytes)
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Where the state ends.
    end: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8], BytesError> {
        let end = self.at.saturating_add(length);
        if end > self.end {
            return Err(BytesError::Length { needed: end, has: self.end });
        }
        let taken = self.bytes.get(self.at..end).ok_or(BytesError::Length { needed: end, has: self.bytes.len() })?;
        self.at = end;
        Ok(taken)
    }

    fn number(&mut self, length: usize) -> Result<u64, BytesError> {
        let mut number = [0; 8];
        for (to, from) in number.iter_mut().zip(self.take(length)?) {
            *to = *from;
        }
        Ok(u64::from_le_bytes(number))
    }

    fn msrs(&mut self) -> Result<Msrs, BytesError> {
        let mut msrs = Msrs::new();
        let mut last = None;
        for _ in 0..self.number(2)? {
            let number = self.number(4)?;
            let value = self.number(8)?;
            let msr = Msrs::held().find(|msr| u64::from(msr.number()) == number);
            let (Some(msr), true) = (msr, last < Some(number)) else { return Err(BytesError::Msr(number)) };
            msrs.set(msr, value);
            last = Some(number);
        }
        Ok(msrs)
    }

    fn extended(&mut self) -> Result<ExtendedState, BytesError> {
        let in_use = self.number(8)?;
        let known = StateComponent::ALL.iter().fold(0, |bits, component| bits | component.bit());
        if in_use & !known != 0 {
            return Err(BytesError::Components(in_use & !known));
        }
        let mxcsr = self.number(4)?;
        let mut state = ExtendedState::new();
        state.set_mxcsr(u32::try_from(mxcsr).unwrap_or(0));
        for component in StateComponent::ALL {
            if in_use & component.bit() == 0 {
                continue;
            }
            let bytes = self.take(component.size())?;
            let length = BytesError::Length { needed: component.size(), has: bytes.len() };
            state.set_component(component, bytes).map_err(|_| length)?;
            // The legacy region of x87 has MXCSR in it, and no mask.
            if state.component(component) != bytes {
                return Err(BytesError::Value { register: "MXCSR", value: mxcsr });
            }
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests;
