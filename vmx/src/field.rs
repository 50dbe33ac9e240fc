//! VMCS fields: the encoding, the type and who may write it.

use core::fmt;
use core::marker::PhantomData;

use crate::control::{EntryControls, ExitControls, PinControls, PrimaryControls, SecondaryControls};
use crate::event::{EntryInterruption, IdtVectoring, InterruptibilityState, VmExitInterruption};
use crate::exit::ExitReason;
use crate::instruction_error::InstructionError;
use x86_virt_core::{Efer, Rflags, SegmentAccessRights};
use x86_virt_ept::Eptp;

/// Width of a field.
///
/// Intel SDM vol. 3, appendix B, "Field Encoding in VMCS".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Width {
    /// 16 bits.
    Bits16,
    /// 64 bits, in two 32-bit halves outside of 64-bit mode.
    Bits64,
    /// 32 bits.
    Bits32,
    /// The width of a linear address: 64 bits where the processor has Intel 64.
    Natural,
}

/// Group of a field.
///
/// Intel SDM vol. 3, section 27.11.2, "VMREAD, VMWRITE, and Encodings of VMCS Fields".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Group {
    /// Controls.
    Control,
    /// Read-only data: what a VM exit reports.
    ReadOnlyData,
    /// Guest state.
    Guest,
    /// Host state.
    Host,
}

/// Whether, and how, a field is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// The processor writes it at VM exits; VMWRITE fails on most processors.
    ReadOnly,
    /// Safe code may write it: whatever the value, only the guest is concerned.
    ReadWrite,
    /// A wrong value lets the guest, or the next VM exit, corrupt the host.
    Sensitive,
}

/// Marker of fields that cannot be written.
#[derive(Clone, Copy, Debug)]
pub struct ReadOnly;

/// Marker of fields that safe code may write.
#[derive(Clone, Copy, Debug)]
pub struct ReadWrite;

/// Marker of fields on whose values the host's integrity depends.
#[derive(Clone, Copy, Debug)]
pub struct Sensitive;

/// An access class as a type.
pub trait AccessClass {
    /// The class as a value.
    const ACCESS: Access;
}

impl AccessClass for ReadOnly {
    const ACCESS: Access = Access::ReadOnly;
}

impl AccessClass for ReadWrite {
    const ACCESS: Access = Access::ReadWrite;
}

impl AccessClass for Sensitive {
    const ACCESS: Access = Access::Sensitive;
}

/// A type that a field can hold.
pub trait FieldValue: Copy + fmt::Debug {
    /// Bits of the type: 16, 32 or 64.
    const BITS: u32;

    /// The value from what VMREAD gives.
    fn from_raw(raw: u64) -> Self;

    /// What VMWRITE takes.
    fn into_raw(self) -> u64;
}

/// Implements [`FieldValue`] for integers.
macro_rules! integer_value {
    ($($integer:ident),*) => {
        $(impl FieldValue for $integer {
            const BITS: u32 = $integer::BITS;

            fn from_raw(raw: u64) -> Self {
                let bytes = raw.to_le_bytes();
                bytes.first_chunk().copied().map_or(0, $integer::from_le_bytes)
            }

            fn into_raw(self) -> u64 {
                u64::from(self)
            }
        })*
    };
}

integer_value!(u16, u32, u64);

/// Implements [`FieldValue`] for types with `from_bits` and `into_bits`.
macro_rules! domain_value {
    ($($domain:ident($integer:ident)),* $(,)?) => {
        $(impl FieldValue for $domain {
            const BITS: u32 = $integer::BITS;

            fn from_raw(raw: u64) -> Self {
                Self::from_bits($integer::from_raw(raw))
            }

            fn into_raw(self) -> u64 {
                self.into_bits().into_raw()
            }
        })*
    };
}

domain_value! {
    EntryControls(u32),
    EntryInterruption(u32),
    Efer(u64),
    Eptp(u64),
    ExitControls(u32),
    ExitReason(u32),
    IdtVectoring(u32),
    InstructionError(u32),
    InterruptibilityState(u32),
    PinControls(u32),
    PrimaryControls(u32),
    Rflags(u64),
    SecondaryControls(u32),
    SegmentAccessRights(u32),
    VmExitInterruption(u32),
}

/// The encoding of a field.
///
/// Intel SDM vol. 3, section 27.11.2, "VMREAD, VMWRITE, and Encodings of VMCS Fields".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Encoding(u32);

impl Encoding {
    /// Bits that are zero in every encoding: 12 and 31:15.
    const RESERVED: u32 = 0xffff_9000;

    /// The encoding with this value.
    #[must_use]
    pub const fn new(encoding: u32) -> Self {
        Self(encoding)
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Bits 14:13.
    #[must_use]
    pub const fn width(self) -> Width {
        match self.0 >> 13 & 3 {
            0 => Width::Bits16,
            1 => Width::Bits64,
            2 => Width::Bits32,
            _ => Width::Natural,
        }
    }

    /// Bits 11:10.
    #[must_use]
    pub const fn group(self) -> Group {
        match self.0 >> 10 & 3 {
            0 => Group::Control,
            1 => Group::ReadOnlyData,
            2 => Group::Guest,
            _ => Group::Host,
        }
    }

    /// Bits 9:1.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0 >> 1 & 0x1ff
    }

    /// Whether the encoding can be that of a whole field: reserved bits and the access type are zero.
    #[must_use]
    pub const fn is_full_field(self) -> bool {
        self.0 & (Self::RESERVED | 1) == 0
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match FieldInfo::of(*self) {
            Some(info) => f.write_str(info.name),
            None => write!(f, "field {:#06x}", self.0),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A VMCS field that holds a `T` and is written as `A` says.
///
/// ```
/// use x86_virt_vmx::field;
///
/// assert_eq!(field::GUEST_RIP.encoding().get(), 0x681e);
/// ```
#[derive(Debug)]
pub struct Field<T, A> {
    encoding: Encoding,
    _type: PhantomData<fn() -> (T, A)>,
}

impl<T, A> Clone for Field<T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, A> Copy for Field<T, A> {}

impl<T: FieldValue, A: AccessClass> Field<T, A> {
    /// Makes a field of a row in the table. A row that contradicts its encoding does not compile.
    const fn new(encoding: u32) -> Self {
        let encoding = Encoding::new(encoding);
        assert!(encoding.is_full_field(), "reserved bits, or the high half of a field");
        let bits = match encoding.width() {
            Width::Bits16 => 16,
            Width::Bits32 => 32,
            Width::Bits64 | Width::Natural => 64,
        };
        assert!(T::BITS == bits, "the type is not as wide as the field");
        match (encoding.group(), A::ACCESS) {
            (Group::ReadOnlyData, Access::ReadOnly) | (Group::Host, Access::Sensitive) => {}
            (Group::Control | Group::Guest, Access::ReadWrite | Access::Sensitive) => {}
            _ => panic!("the access class contradicts the group"),
        }
        Self { encoding, _type: PhantomData }
    }

    /// The encoding.
    #[must_use]
    pub const fn encoding(self) -> Encoding {
        self.encoding
    }
}

/// A row of the table at run time.
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo {
    /// The name of the constant.
    pub name: &'static str,
    /// The encoding.
    pub encoding: Encoding,
    /// Who may write it.
    pub access: Access,
}

impl FieldInfo {
    /// The row with this encoding.
    #[must_use]
    pub fn of(encoding: Encoding) -> Option<&'static Self> {
        ALL.binary_search_by_key(&encoding, |info| info.encoding).ok().and_then(|index| ALL.get(index))
    }
}

/// Defines the constants and the run-time table from one list.
macro_rules! vmcs_fields {
    ($($(#[$doc:meta])* $name:ident: $type:ty, $access:ident = $encoding:literal;)*) => {
        $(
            $(#[$doc])*
            #[doc = concat!("\n\nEncoding ", stringify!($encoding), ".")]
            pub const $name: Field<$type, $access> = Field::new($encoding);
        )*

        /// All fields, in the order of their encodings.
        pub const ALL: &[FieldInfo] = &[
            $(FieldInfo { name: stringify!($name), encoding: $name.encoding, access: <$access>::ACCESS },)*
        ];
    };
}

include!("field_table.rs");

/// The table is sorted and names no encoding twice.
const _: () = {
    let mut rest = ALL;
    while let [first, tail @ ..] = rest {
        if let [second, ..] = tail {
            assert!(first.encoding.get() < second.encoding.get(), "rows are not sorted by encoding");
        }
        rest = tail;
    }
};

#[cfg(test)]
mod tests {
    use super::{ALL, Access, Encoding, FieldInfo, Group, Width};

    #[test]
    fn encodings_tell_width_group_and_index() {
        let rip = Encoding::new(0x681e);
        assert_eq!((rip.width(), rip.group(), rip.index()), (Width::Natural, Group::Guest, 15));
        let eptp = Encoding::new(0x201a);
        assert_eq!((eptp.width(), eptp.group(), eptp.index()), (Width::Bits64, Group::Control, 13));
        assert!(!Encoding::new(0x201b).is_full_field());
        assert!(!Encoding::new(0x1000).is_full_field());
    }

    #[test]
    fn rows_are_found_by_encoding() {
        for info in ALL {
            assert_eq!(FieldInfo::of(info.encoding).unwrap().name, info.name);
        }
        assert!(FieldInfo::of(Encoding::new(0x2046)).is_none(), "a hole in the encodings");
        assert_eq!(format!("{:?}", Encoding::new(0x681e)), "GUEST_RIP");
        assert_eq!(format!("{:?}", Encoding::new(0x2046)), "field 0x2046");
    }

    #[test]
    fn host_state_and_controls_are_sensitive() {
        for info in ALL.iter().filter(|info| info.encoding.group() == Group::Host) {
            assert_eq!(info.access, Access::Sensitive, "{}", info.name);
        }
        for name in [
            "GUEST_CR4",
            "EXCEPTION_BITMAP",
            "EPT_POINTER",
            "PRIMARY_CONTROLS",
            "MSR_BITMAPS",
            "VMCS_LINK_POINTER",
            "VIRTUAL_APIC_ADDRESS",
        ] {
            let info = ALL.iter().find(|info| info.name == name).unwrap();
            assert_eq!(info.access, Access::Sensitive, "{name}");
        }
    }
}
