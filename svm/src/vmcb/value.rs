//! Values of fields, and their form in memory.

use core::fmt;

use x86_virt_core::{Cr0, Cr4, Efer, Gpa, Hpa, Register, Rflags};

use crate::avic::AvicPhysicalTable;
use crate::exit_code::ExitCode;
use crate::sev::{AllowedSevFeatures, SevFeatures};
use crate::vmcb::{
    CleanBits, EventInjection, FetchedBytes, InterruptState, NestedControl, RapControl, TlbControl, UpdateIrr,
    VirtualExtensions, VirtualInterruptControl,
};
use crate::vmsa::VmsaVirtualInterrupt;

/// A value that a field of the VMCB, the VMSA or the GHCB can have: any bytes are one.
///
/// ```
/// use x86_virt_svm::vmcb::{NestedControl, VmcbValue};
///
/// assert_eq!(u32::decode(&[0x78, 0x56, 0x34, 0x12]), 0x1234_5678);
/// assert!(NestedControl::decode(&[1]).np_enable());
/// ```
pub trait VmcbValue: Copy + fmt::Debug {
    /// The value whose form in memory is at the start of `bytes`. Zeros stand for bytes that are missing.
    fn decode(bytes: &[u8]) -> Self;

    /// Writes the form in memory to the start of `bytes`, unless they are too few.
    fn encode(&self, bytes: &mut [u8]);

    /// Writes what the value means, with a space before each part. Nothing if it is but a number.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _number = f;
        Ok(())
    }
}

/// Writes what `bytes` mean as a `T`.
pub(crate) fn show_as<T: VmcbValue>(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    T::decode(bytes).show(f)
}

/// Writes the exit codes of the intercepts that are set in `bytes`, the first of which has the code `FIRST`.
pub(crate) fn intercepts<const FIRST: u64>(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let word = u64::decode(&padded(bytes));
    for bit in (0..64).filter(|bit| word >> bit & 1 != 0) {
        write!(f, " {}", ExitCode::from_bits(FIRST + bit))?;
    }
    Ok(())
}

/// The first eight bytes, with zeros for those that are missing.
pub(crate) fn padded(bytes: &[u8]) -> [u8; 8] {
    let mut array = [0; 8];
    array.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    array
}

macro_rules! integers {
    ($($integer:ident)*) => {
        $(impl VmcbValue for $integer {
            fn decode(bytes: &[u8]) -> Self {
                padded(bytes).first_chunk().copied().map_or(0, Self::from_le_bytes)
            }

            fn encode(&self, bytes: &mut [u8]) {
                if let Some(chunk) = bytes.first_chunk_mut() {
                    *chunk = self.to_le_bytes();
                }
            }
        })*
    };
}

integers! { u8 u16 u32 u64 }

impl<T: VmcbValue, const N: usize> VmcbValue for [T; N] {
    fn decode(bytes: &[u8]) -> Self {
        core::array::from_fn(|index| T::decode(bytes.get(index * size_of::<T>()..).unwrap_or_default()))
    }

    fn encode(&self, bytes: &mut [u8]) {
        for (value, chunk) in self.iter().zip(bytes.chunks_exact_mut(size_of::<T>())) {
            value.encode(chunk);
        }
    }
}

macro_rules! addresses {
    ($($address:ident)*) => {
        $(impl VmcbValue for $address {
            fn decode(bytes: &[u8]) -> Self {
                Self::new(VmcbValue::decode(bytes))
            }

            fn encode(&self, bytes: &mut [u8]) {
                self.get().encode(bytes);
            }
        })*
    };
}

addresses! { Gpa Hpa }

macro_rules! registers {
    ($($register:ident)*) => {
        $(impl VmcbValue for $register {
            fn decode(bytes: &[u8]) -> Self {
                Self::from_bits(VmcbValue::decode(bytes))
            }

            fn encode(&self, bytes: &mut [u8]) {
                self.into_bits().encode(bytes);
            }

            fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if self.into_bits() == 0 { Ok(()) } else { Register::show_names(*self, f) }
            }
        })*
    };
}

registers! {
    AllowedSevFeatures AvicPhysicalTable CleanBits Cr0 Cr4 Efer EventInjection FetchedBytes InterruptState NestedControl RapControl Rflags SevFeatures UpdateIrr
    VirtualExtensions VirtualInterruptControl VmsaVirtualInterrupt
}

impl VmcbValue for TlbControl {
    fn decode(bytes: &[u8]) -> Self {
        Self::from_bits(VmcbValue::decode(bytes))
    }

    fn encode(&self, bytes: &mut [u8]) {
        self.into_bits().encode(bytes);
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {self}")
    }
}

impl VmcbValue for ExitCode {
    fn decode(bytes: &[u8]) -> Self {
        Self::from_bits(VmcbValue::decode(bytes))
    }

    fn encode(&self, bytes: &mut [u8]) {
        self.into_bits().encode(bytes);
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {self}")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::fmt;
    use std::format;
    use std::string::{String, ToString as _};

    use super::{VmcbValue, intercepts, show_as};
    use crate::intercept::InterceptSet;
    use crate::vmcb::{EventInjection, TlbControl, control};

    struct Shown<'b>(fn(&[u8], &mut fmt::Formatter<'_>) -> fmt::Result, &'b [u8]);

    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0(self.1, f)
        }
    }

    fn text<T: VmcbValue>(bytes: &[u8]) -> String {
        Shown(show_as::<T>, bytes).to_string()
    }

    #[test]
    fn numbers_say_nothing_more_and_words_their_names() {
        assert_eq!(text::<u64>(&[1; 8]), "");
        assert_eq!(text::<TlbControl>(&[3]), " FLUSH_GUEST");
        assert_eq!(text::<TlbControl>(&[2]), " 2");
        assert_eq!(text::<EventInjection>(&[0; 8]), "");
        let event = text::<EventInjection>(&[0x0d, 0x0b, 0, 0x80, 0x10, 0, 0, 0]);
        assert_eq!(event, " VECTOR=0xd EVENT_TYPE=EXCEPTION EV V ERROR_CODE=0x10");
    }

    #[test]
    fn intercepts_are_named_by_their_exit_codes() {
        assert_eq!(Shown(intercepts::<0x60>, &[0, 0, 0x04, 0x01]).to_string(), " CPUID HLT");
        for (field, words) in control::ALL.iter().filter(|field| field.offset < 0x18).zip([
            [0x8, 0, 0, 0, 0, 0],
            [0x8_0000, 0, 0, 0, 0, 0],
            [0, 0x8, 0, 0, 0, 0],
            [0, 0x8_0000, 0, 0, 0, 0],
            [0, 0, 0x8, 0, 0, 0],
            [0, 0, 0, 0x8, 0, 0],
            [0, 0, 0, 0, 0x8, 0],
            [0, 0, 0, 0, 0, 0x8],
        ]) {
            let code = u64::try_from(field.offset * 8 + 3).unwrap();
            let name = crate::ExitCode::from_bits(code);
            assert_eq!(Shown(field.show, &[8, 0]).to_string(), format!(" {name}"), "{}", field.name);
            assert_eq!(InterceptSet::NONE.with(name).words(), words);
        }
    }

    #[test]
    fn missing_bytes_are_zeros_and_too_few_stay() {
        assert_eq!(<[u16; 3]>::decode(&[1, 0, 2]), [1, 2, 0]);
        let mut bytes = [0xff; 3];
        7_u32.encode(&mut bytes);
        assert_eq!(bytes, [0xff; 3]);
        [1_u8, 2].encode(&mut bytes);
        assert_eq!(bytes, [1, 2, 0xff]);
    }
}
