//! The words EXITINFO1 and EXITINFO2 of all formats, as one thing.

use core::fmt;

use x86_virt_core::{Gpa, Gva, Register, TableRow, register_rows};

use super::{
    AvicAccessInfo, AvicEoiInfo, AvicIcr, AvicIpiInfo, ExceptionInfo, IoioInfo, MoveDrInfo, MoveInfo, MsrInfo, NpfInfo,
    SmiInfo, SwintInfo, TaskSwitchInfo, TaskSwitchTarget,
};

const TABLE: &str = "svm_exit_info";

/// EXITINFO1 or EXITINFO2 of a format.
pub(super) trait Word: Copy {
    fn from_word(word: u64) -> Self;

    fn into_word(self) -> u64;

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.into_word())
    }

    /// Visits the rows. A word that is one value is one row with the name `field`; an undefined word has none.
    fn rows(group: &str, field: &'static str, visit: &mut dyn FnMut(&TableRow<'_>)) {
        // A format whose words are both undefined has a row all the same, or it would not be in the table.
        if field != "info2" {
            visit(&TableRow {
                table: TABLE,
                name: field,
                aliases: &[],
                encoding: 0,
                width_bits: u64::BITS,
                access: "",
                group: &group,
                requires: &"",
                provisional: false,
            });
        }
    }
}

/// Implements [`Word`] for words of named bits.
macro_rules! register_words {
    ($($register:ident)*) => {
        $(impl Word for $register {
            fn from_word(word: u64) -> Self {
                Self::from_bits(word)
            }

            fn into_word(self) -> u64 {
                self.into_bits()
            }

            fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self, f)
            }

            fn rows(group: &str, _field: &'static str, visit: &mut dyn FnMut(&TableRow<'_>)) {
                register_rows::<$register>(TABLE, group, visit);
            }
        }

        const _: () = assert!(<$register as Register>::WIDTH == u64::BITS);)*
    };
}

register_words! {
    AvicAccessInfo AvicEoiInfo AvicIcr AvicIpiInfo ExceptionInfo IoioInfo MoveDrInfo MoveInfo MsrInfo NpfInfo SmiInfo SwintInfo
    TaskSwitchInfo TaskSwitchTarget
}

/// Implements [`Word`] for addresses.
macro_rules! address_words {
    ($($address:ident)*) => {
        $(impl Word for $address {
            fn from_word(word: u64) -> Self {
                Self::new(word)
            }

            fn into_word(self) -> u64 {
                self.get()
            }
        })*
    };
}

address_words! { Gpa Gva }

impl Word for u64 {
    fn from_word(word: u64) -> Self {
        word
    }

    fn into_word(self) -> u64 {
        self
    }
}
