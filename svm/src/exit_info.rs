//! EXITINFO1 and EXITINFO2, whose form depends on the exit code.

mod avic;
mod event;
mod io;
mod mov;
mod msr;
mod npf;
mod task_switch;
mod word;

use core::fmt;

use x86_virt_core::{Gpa, Gva, TableRow};

use crate::exit::SvmExit;
use crate::exit_code::ExitCode;

pub use avic::{AvicAccessInfo, AvicEoiInfo, AvicIcr, AvicIpiInfo};
pub use event::{ExceptionInfo, SwintInfo};
pub use io::{IoioInfo, SmiInfo};
pub use mov::{MoveDrInfo, MoveInfo};
pub use msr::MsrInfo;
pub use npf::NpfInfo;
pub use task_switch::{TaskSwitchInfo, TaskSwitchTarget};
use word::Word;

/// Defines the formats from one table: what EXITINFO1 and EXITINFO2 hold, in this order.
///
/// A format whose words have no meaning is `none`. A word without a meaning is `EXITINFO1` or `EXITINFO2`, and is kept.
macro_rules! exit_infos {
    ($($(#[$doc:meta])* $variant:ident $name:literal {
        $(#[$doc1:meta])* $field1:ident: $type1:ident,
        $(#[$doc2:meta])* $field2:ident: $type2:ident,
    })*) => {
        /// What an exit says beside its code: EXITINFO1 and EXITINFO2, typed.
        ///
        /// Every pair of words is an `ExitInfo`, and none of their bits is lost. A word that the format leaves undefined is kept
        /// as `info1` or `info2`.
        ///
        /// AMD APM vol. 2, section 15.6, "#VMEXIT"; the section of each format is with its words.
        ///
        /// ```
        /// use x86_virt_svm::{ExitCode, ExitInfo, IoioInfo};
        ///
        /// // OUT of a byte to port 77h.
        /// let info = ExitInfo::new(ExitCode::IOIO, 0x77_0010, 0x1009);
        /// assert_eq!(info, ExitInfo::Ioio { access: IoioInfo::from_bits(0x77_0010), next_rip: 0x1009 });
        /// assert_eq!(info.into_raw(), (0x77_0010, 0x1009));
        /// assert_eq!(info.to_string(), "IOIO: 0x0000000000770010 SZ8 PORT=0x77, 0x1009");
        /// ```
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub enum ExitInfo {
            $($(#[$doc])* $variant { $(#[$doc1])* $field1: $type1, $(#[$doc2])* $field2: $type2 },)*
            /// The code has no information.
            Other {
                /// EXITINFO1.
                info1: u64,
                /// EXITINFO2.
                info2: u64,
            },
        }

        impl ExitInfo {
            /// The two words as the VMCB holds them.
            #[must_use]
            pub fn into_raw(self) -> (u64, u64) {
                match self {
                    $(Self::$variant { $field1, $field2 } => ($field1.into_word(), $field2.into_word()),)*
                    Self::Other { info1, info2 } => (info1, info2),
                }
            }

            /// The name of the format, if there is one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                Some(match self {
                    $(Self::$variant { .. } => $name,)*
                    Self::Other { .. } => return None,
                })
            }

            fn of_format(format: Format, info1: u64, info2: u64) -> Self {
                match format {
                    $(Format::$variant => {
                        Self::$variant { $field1: $type1::from_word(info1), $field2: $type2::from_word(info2) }
                    })*
                }
            }
        }

        impl fmt::Display for ExitInfo {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant { $field1, $field2 } => {
                        f.write_str(concat!($name, ": "))?;
                        $field1.show(f)?;
                        f.write_str(", ")?;
                        $field2.show(f)
                    })*
                    Self::Other { info1, info2 } => write!(f, "{info1:#x}, {info2:#x}"),
                }
            }
        }

        /// A format.
        #[derive(Clone, Copy)]
        enum Format {
            $($variant,)*
        }

        /// Visits the rows of the formats: their fields, with the bit as encoding. The group is the format and the word.
        pub(crate) fn exit_info_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
            $(
                $type1::rows(concat!($name, " EXITINFO1"), x86_virt_core::field_name!($field1), visit);
                $type2::rows(concat!($name, " EXITINFO2"), x86_virt_core::field_name!($field2), visit);
            )*
        }
    };
}

exit_infos! {
    /// Access to a control register, with decode assists.
    MovCr "MOV_CR" {
        /// The operand.
        operand: MoveInfo,
        /// EXITINFO2.
        info2: u64,
    }
    /// MOV to or from a debug register, with decode assists.
    MovDr "MOV_DR" {
        /// The operand.
        operand: MoveDrInfo,
        /// EXITINFO2.
        info2: u64,
    }
    /// INVLPG, with decode assists.
    ///
    /// AMD APM vol. 2, section 15.8.3, "INVLPG and INVLPGA Intercepts".
    Invlpg "INVLPG" {
        /// The linear address.
        address: Gva,
        /// EXITINFO2.
        info2: u64,
    }
    /// `INT n`, with decode assists.
    Swint "SWINT" {
        /// The vector.
        interrupt: SwintInfo,
        /// EXITINFO2.
        info2: u64,
    }
    /// An exception.
    Exception "EXCEPTION" {
        /// The error code.
        exception: ExceptionInfo,
        /// The address of a page fault. Undefined for other exceptions.
        address: Gva,
    }
    /// IN, OUT, INS or OUTS.
    Ioio "IOIO" {
        /// The access.
        access: IoioInfo,
        /// RIP of the next instruction.
        next_rip: u64,
    }
    /// RDMSR or WRMSR.
    Msr "MSR" {
        /// Which of them.
        access: MsrInfo,
        /// EXITINFO2.
        info2: u64,
    }
    /// A task switch.
    TaskSwitch "TASK_SWITCH" {
        /// The new task.
        target: TaskSwitchTarget,
        /// Its cause and the error code.
        switch: TaskSwitchInfo,
    }
    /// A nested page fault.
    Npf "NPF" {
        /// What was accessed and why it failed.
        fault: NpfInfo,
        /// The guest-physical address.
        gpa: Gpa,
    }
    /// An IPI that AVIC did not deliver in full.
    AvicIncompleteIpi "AVIC_INCOMPLETE_IPI" {
        /// The IPI.
        icr: AvicIcr,
        /// Why.
        failure: AvicIpiInfo,
    }
    /// An access that AVIC does not accelerate.
    AvicNoaccel "AVIC_NOACCEL" {
        /// The access.
        access: AvicAccessInfo,
        /// The interrupt that an EOI is for.
        eoi: AvicEoiInfo,
    }
    /// After a write to a control register or EFER of an SEV-ES guest.
    ///
    /// AMD APM vol. 2, section 15.35.10, "Control Register Write Traps".
    WriteTrap "WRITE_TRAP" {
        /// The new value.
        value: u64,
        /// EXITINFO2.
        info2: u64,
    }
    /// A system-management interrupt.
    Smi "SMI" {
        /// Its source.
        smi: SmiInfo,
        /// RIP of the I/O instruction, if there is one.
        rip: u64,
    }
    /// VMGEXIT: what the guest wants is in the GHCB.
    ///
    /// AMD APM vol. 2, section 15.35.6, "VMGEXIT".
    Vmgexit "VMGEXIT" {
        /// EXITINFO1.
        info1: u64,
        /// EXITINFO2.
        info2: u64,
    }
    /// The threshold of bus locks is reached: both words are 0.
    ///
    /// AMD APM vol. 2, section 15.14.5, "Bus Lock Threshold".
    BusLock "BUSLOCK" {
        /// EXITINFO1.
        info1: u64,
        /// EXITINFO2.
        info2: u64,
    }
    /// A nested page fault of AVIC hardware at the backing page of a guest with Secure AVIC, which cannot be restarted.
    ///
    /// AMD APM vol. 2, section 15.36.21.4, "Guest APIC Backing Page".
    NotRestartable "NOT_RESTARTABLE" {
        /// What was accessed and why it failed.
        fault: NpfInfo,
        /// The guest-physical address.
        gpa: Gpa,
    }
}

impl ExitInfo {
    /// The information of an exit with this code.
    #[must_use]
    pub fn new(code: ExitCode, info1: u64, info2: u64) -> Self {
        match Format::of(code, info1) {
            Some(format) => Self::of_format(format, info1, info2),
            None => Self::Other { info1, info2 },
        }
    }
}

impl SvmExit {
    /// What the exit says beside its code.
    ///
    /// ```
    /// use x86_virt_svm::{ExitCode, ExitInfo, SvmExit};
    ///
    /// let exit = SvmExit { code: ExitCode::NPF, info1: 0x1_0000_0004, info2: 0xfee0_0000 };
    /// assert!(matches!(exit.info(), ExitInfo::Npf { fault, .. } if fault.final_address()));
    /// ```
    #[must_use]
    pub fn info(&self) -> ExitInfo {
        ExitInfo::new(self.code, self.info1, self.info2)
    }
}

impl Format {
    fn of(code: ExitCode, info1: u64) -> Option<Self> {
        Some(match code {
            ExitCode::CR0_SEL_WRITE => Self::MovCr,
            ExitCode::INVLPG => Self::Invlpg,
            ExitCode::SWINT => Self::Swint,
            ExitCode::IOIO => Self::Ioio,
            ExitCode::MSR => Self::Msr,
            ExitCode::TASK_SWITCH => Self::TaskSwitch,
            ExitCode::NPF if NpfInfo::from_bits(info1).not_restartable() => Self::NotRestartable,
            ExitCode::NPF => Self::Npf,
            ExitCode::AVIC_INCOMPLETE_IPI => Self::AvicIncompleteIpi,
            ExitCode::AVIC_NOACCEL => Self::AvicNoaccel,
            ExitCode::SMI => Self::Smi,
            ExitCode::VMGEXIT => Self::Vmgexit,
            ExitCode::BUSLOCK => Self::BusLock,
            code => match code.into_bits() {
                0x00..=0x1f => Self::MovCr,
                0x20..=0x3f => Self::MovDr,
                0x40..=0x5f => Self::Exception,
                0x8f..=0x9f => Self::WriteTrap,
                _ => return None,
            },
        })
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> x86_virt_core::arbitrary::Arbitrary<'a> for ExitInfo {
    fn arbitrary(
        bytes: &mut x86_virt_core::arbitrary::Unstructured<'a>,
    ) -> Result<Self, x86_virt_core::arbitrary::Error> {
        SvmExit::arbitrary(bytes).map(|exit| exit.info())
    }
}

#[cfg(test)]
mod tests;
