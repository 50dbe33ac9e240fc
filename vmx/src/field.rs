//! VMCS fields: the encoding, the type and who may write it.

mod encoding;
mod rows;
mod value;

use core::fmt;
use core::marker::PhantomData;

pub use encoding::{Encoding, Group, Width};
pub(crate) use rows::field_rows;
pub use value::FieldValue;

use crate::capability::Capabilities;
use crate::control::{
    Control, EntryControls, ExitControls, PinControls, PrimaryControls, SecondaryControls, SecondaryExitControls,
    TertiaryControls, VmFunctionControls,
};
use crate::event::{EntryInterruption, IdtVectoring, InterruptibilityState, VmExitInterruption};
use crate::exit::ExitReason;
use crate::guest_msr::{Bndcfgs, ExceptionBitmap, FredConfig, LbrCtl, RtitCtl};
use crate::guest_state::{ActivityState, GuestInterruptStatus, PendingDebugExceptions};
use crate::instruction_error::InstructionError;
use x86_virt_core::{
    Cr0, Cr4, DebugControl, Dr7, Efer, Gpa, Gva, Hpa, PageFaultErrorCode, Rflags, SegmentAccessRights, SpecCtrl,
    SupervisorCet,
};
use x86_virt_ept::{Eptp, Hlatp, Spptp};

/// Whether, and how, a field is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
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
        assert!(T::BITS == encoding.width().bits(), "the type is not as wide as the field");
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
    /// Names that other projects give it.
    pub aliases: &'static [&'static str],
    /// The field exists if one of these controls may be 1. If there are none, it exists on every processor, or depends on
    /// something that capability MSRs do not tell and its text names.
    pub requires: &'static [Control],
    /// Whether the row rests on one source or a proposal, and may change.
    pub provisional: bool,
    /// Writes what a value says beside its number.
    show: fn(u64, &mut fmt::Formatter<'_>) -> fmt::Result,
    /// What is left of a value in the field's type.
    through: fn(u64) -> u64,
    /// The name of the high half and its aliases, which only a 64-bit field has.
    high: (&'static str, &'static [&'static str]),
}

impl FieldInfo {
    /// The row with this encoding.
    #[must_use]
    pub fn of(encoding: Encoding) -> Option<&'static Self> {
        Self::index(encoding).and_then(|index| ALL.get(index))
    }

    /// Where in [`ALL`] the row with this encoding is.
    #[inline]
    pub(crate) fn index(encoding: Encoding) -> Option<usize> {
        let place = usize::from(*PLACES.get(place(encoding))?);
        ALL.get(place).filter(|info| info.encoding == encoding).map(|_| place)
    }

    /// Whether a processor with these capabilities has the field, as far as capabilities tell.
    ///
    /// ```
    /// use x86_virt_vmx::field::{self, FieldInfo};
    /// use x86_virt_vmx::{Capabilities, RawCapabilities};
    ///
    /// let capabilities = Capabilities::from_raw(RawCapabilities { secondary: 2 << 32, ..Default::default() });
    /// let is_supported = |encoding| FieldInfo::of(encoding).unwrap().is_supported(&capabilities);
    /// assert!(is_supported(field::EPT_POINTER.encoding()) && is_supported(field::GUEST_RIP.encoding()));
    /// assert!(!is_supported(field::VIRTUAL_PROCESSOR_ID.encoding()));
    /// ```
    #[must_use]
    pub fn is_supported(&self, capabilities: &Capabilities) -> bool {
        self.requires.is_empty() || self.requires.iter().any(|control| capabilities.supports(*control))
    }

    /// The text of a value: the number in the width of the field, and what its type says.
    ///
    /// ```
    /// use x86_virt_vmx::field::{self, FieldInfo};
    ///
    /// let rflags = FieldInfo::of(field::GUEST_RFLAGS.encoding()).unwrap();
    /// assert_eq!(rflags.text(0x102).to_string(), "0x0000000000000102 ONE TF");
    /// ```
    pub fn text(&self, raw: u64) -> impl fmt::Display + use<> {
        let Self { show, encoding, .. } = *self;
        Text { raw, show, width: encoding.width() }
    }

    /// What is left of a value in the type of the field: the bits that the field has, none of them lost.
    ///
    /// ```
    /// use x86_virt_vmx::field::{self, FieldInfo};
    ///
    /// let selector = FieldInfo::of(field::GUEST_CS_SELECTOR.encoding()).unwrap();
    /// assert_eq!(selector.through_type(0xffff_1234), 0x1234);
    /// ```
    #[must_use]
    pub fn through_type(&self, raw: u64) -> u64 {
        (self.through)(raw)
    }

    /// The name of the high half.
    pub(crate) const fn high_name(&self) -> &'static str {
        self.high.0
    }

    /// Names that other projects give the high half.
    pub(crate) const fn high_aliases(&self) -> &'static [&'static str] {
        self.high.1
    }
}

/// A value of a field, to be shown.
struct Text {
    raw: u64,
    show: fn(u64, &mut fmt::Formatter<'_>) -> fmt::Result,
    width: Width,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { raw, show, width } = self;
        let digits = usize::try_from(width.bits() / 4 + 2).unwrap_or_default();
        write!(f, "{raw:#0digits$x}")?;
        show(*raw, f)
    }
}

/// Defines the constants and the run-time table from one list.
///
/// A row is `NAME: type, access = encoding;`. Controls of which one must be supported for the field to exist follow as
/// `requires [..]`, names that others give it as `aka "OTHER"`. A row that rests on one source ends with
/// `if feature = "provisional"`.
macro_rules! vmcs_fields {
    ($(
        $(#[$doc:meta])*
        $name:ident: $type:ty, $access:ident = $encoding:literal
            $(requires [$($control:expr),+])?
            $(aka $($alias:literal)+)?
            $(if $condition:meta)?;
    )*) => {
        $(
            $(#[cfg($condition)])?
            $(#[$doc])*
            #[doc = concat!("\n\nEncoding ", stringify!($encoding), ".")]
            $(
                #[doc = "\n\nExists where one of these controls may be 1:\n"]
                $(#[doc = concat!("- [`", stringify!($control), "`](crate::", stringify!($control), ")")])+
            )?
            $($(#[doc(alias = $alias)])+)?
            pub const $name: Field<$type, $access> = Field::new($encoding);
        )*

        /// All fields, in the order of their encodings.
        pub const ALL: &[FieldInfo] = &[
            $(
                $(#[cfg($condition)])?
                FieldInfo {
                    name: stringify!($name),
                    encoding: $name.encoding,
                    access: <$access>::ACCESS,
                    aliases: &[$($($alias),+)?],
                    requires: &[$($($control.single()),+)?],
                    provisional: !concat!("", $(stringify!($condition))?).is_empty(),
                    show: |raw, f| <$type>::from_raw(raw).show(f),
                    through: |raw| <$type>::from_raw(raw).into_raw(),
                    high: (concat!(stringify!($name), "_HIGH"), &[$($(concat!($alias, "_HIGH")),+)?]),
                },
            )*
        ];
    };
}

include!("field_table.rs");

/// How many indices there are of each width and group.
const INDICES: usize = 128;

/// Where in [`PLACES`] an encoding is.
#[expect(clippy::as_conversions, reason = "there is no other way in a constant; the numbers have at most 10 bits")]
const fn place(encoding: Encoding) -> usize {
    let bits = encoding.get();
    ((bits >> 13 & 3) as usize * 4 + (bits >> 10 & 3) as usize) * INDICES + encoding.index() as usize
}

/// Where in [`ALL`] each encoding is, by its width, group and index.
static PLACES: [u8; 16 * INDICES] = {
    let mut places = [u8::MAX; 16 * INDICES];
    let (mut rest, mut index) = (ALL, 0);
    while let [info, tail @ ..] = rest {
        assert!(info.encoding.index() < 128 && index < u8::MAX, "the table of places is too small");
        let (_, at) = places.split_at_mut(place(info.encoding));
        let [slot, ..] = at else { panic!("there is a place") };
        *slot = index;
        (rest, index) = (tail, index + 1);
    }
    places
};

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
    use proptest::prelude::{any, proptest};

    use super::{ALL, Access, Encoding, FieldInfo, Group};
    use crate::capability::{Capabilities, RawCapabilities};

    #[test]
    fn rows_are_found_by_encoding() {
        for info in ALL {
            assert_eq!(FieldInfo::of(info.encoding).unwrap().name, info.name);
        }
        for hole in [0x2046, 0x2048, 0x2050, 0x482c, 0x201b] {
            assert!(FieldInfo::of(Encoding::new(hole)).is_none(), "{hole:#x} is no field");
        }
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
            // What an exit leaves in the processor unless a control says otherwise.
            "GUEST_IA32_S_CET",
            "GUEST_IA32_PKRS",
            "GUEST_IA32_BNDCFGS",
        ] {
            let info = ALL.iter().find(|info| info.name == name).unwrap();
            assert_eq!(info.access, Access::Sensitive, "{name}");
        }
    }

    #[test]
    fn the_highest_index_is_that_of_injected_event_data() {
        let highest = ALL.iter().max_by_key(|info| info.encoding.index()).unwrap();
        assert_eq!((highest.name, highest.encoding.index()), ("INJECTED_EVENT_DATA", 41));
    }

    #[test]
    fn one_of_the_controls_is_enough() {
        let pat = FieldInfo::of(Encoding::new(0x2804)).unwrap();
        let none = RawCapabilities::default();
        assert!(!pat.is_supported(&Capabilities::from_raw(none)));
        assert!(pat.is_supported(&Capabilities::from_raw(RawCapabilities { exit: 1 << 50, ..none })));
        assert!(pat.is_supported(&Capabilities::from_raw(RawCapabilities { entry: 1 << 46, ..none })));
    }

    proptest! {
        #[test]
        fn no_bit_is_lost_in_a_type(raw in any::<u64>()) {
            for info in ALL {
                let back = info.through_type(raw);
                let bits = info.encoding.width().bits();
                assert_eq!(back, raw & (u64::MAX >> (64 - bits)), "{}", info.name);
                assert!(info.text(back).to_string().starts_with("0x"));
            }
        }
    }
}
