//! The table of registers: the one place that says which there are, how wide they are and in which order they stand.

use core::fmt;

use crate::bits::Register;
use crate::event::{Event, Exception, GlobalInterrupts, InterruptRequest};
use crate::register::{Cr0, Cr4, Efer, Rflags};
use crate::segment::SegmentAccessRights;
use crate::state::{Activity, PendingDebugExceptions, VcpuState};

/// A register of a [`VcpuState`].
pub(super) struct Row {
    /// The manual's name.
    pub(super) name: &'static str,
    /// Its width in bytes, in [`VcpuState::to_bytes`].
    pub(super) bytes: usize,
    pub(super) get: fn(&VcpuState) -> u64,
    /// `None` if the register has no such value.
    pub(super) set: fn(&mut VcpuState, u64) -> Option<()>,
    /// The text of a value.
    pub(super) show: fn(u64, &mut fmt::Formatter<'_>) -> fmt::Result,
}

/// A type of register.
trait Value: Copy {
    const BYTES: usize;

    fn raw(self) -> u64;

    fn from_raw(raw: u64) -> Option<Self>;

    fn show(raw: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = 2 * Self::BYTES + 2;
        write!(f, "{raw:#0digits$x}")
    }
}

macro_rules! integers {
    ($($integer:ident)*) => {
        $(impl Value for $integer {
            const BYTES: usize = size_of::<$integer>();

            fn raw(self) -> u64 {
                self.into()
            }

            fn from_raw(raw: u64) -> Option<Self> {
                raw.try_into().ok()
            }
        })*
    };
}

integers! { u16 u32 u64 }

macro_rules! words {
    ($($word:ident: $bits:ident,)*) => {
        $(impl Value for $word {
            const BYTES: usize = size_of::<$bits>();

            fn raw(self) -> u64 {
                self.into_bits().into()
            }

            fn from_raw(raw: u64) -> Option<Self> {
                raw.try_into().ok().map(Self::from_bits)
            }

            fn show(raw: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                <Self as fmt::Display>::fmt(&<Self as Register>::from_raw(raw), f)
            }
        })*
    };
}

words! { Cr0: u64, Cr4: u64, Efer: u64, Rflags: u64, SegmentAccessRights: u32, PendingDebugExceptions: u64, }

impl Value for bool {
    const BYTES: usize = 1;

    fn raw(self) -> u64 {
        self.into()
    }

    fn from_raw(raw: u64) -> Option<Self> {
        match raw {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn show(raw: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if raw == 0 { "no" } else { "yes" })
    }
}

impl Value for Activity {
    const BYTES: usize = 1;

    fn raw(self) -> u64 {
        Self::ALL.into_iter().zip(0..).find_map(|(one, number)| (one == self).then_some(number)).unwrap_or(0)
    }

    fn from_raw(raw: u64) -> Option<Self> {
        usize::try_from(raw).ok().and_then(|index| Self::ALL.get(index).copied())
    }

    fn show(raw: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::from_raw(raw) {
            Some(activity) => write!(f, "{activity}"),
            None => write!(f, "{raw}"),
        }
    }
}

/// Kinds of events, in byte 0. The vector is in byte 1, the length in byte 2, an error code in bytes 7:4.
const EXCEPTION: u8 = 1;
const EXCEPTION_WITH_CODE: u8 = 2;
const INTERRUPT: u8 = 3;
const NMI: u8 = 4;
const SOFTWARE_INTERRUPT: u8 = 5;
const SOFTWARE_EXCEPTION: u8 = 6;
const PRIVILEGED_SOFTWARE_EXCEPTION: u8 = 7;

impl Value for Option<Event> {
    const BYTES: usize = 8;

    fn raw(self) -> u64 {
        let (kind, vector, length, code) = match self {
            None => return 0,
            Some(Event::Exception(Exception { vector, error_code: None })) => (EXCEPTION, vector, 0, 0),
            Some(Event::Exception(Exception { vector, error_code: Some(code) })) => {
                (EXCEPTION_WITH_CODE, vector, 0, code)
            }
            Some(Event::Interrupt(vector)) => (INTERRUPT, vector, 0, 0),
            Some(Event::Nmi) => (NMI, 2, 0, 0),
            Some(Event::SoftwareInterrupt { vector, length }) => (SOFTWARE_INTERRUPT, vector, length, 0),
            Some(Event::SoftwareException { vector, length }) => (SOFTWARE_EXCEPTION, vector, length, 0),
            Some(Event::PrivilegedSoftwareException { length }) => (PRIVILEGED_SOFTWARE_EXCEPTION, 1, length, 0),
        };
        let [a, b, c, d] = code.to_le_bytes();
        u64::from_le_bytes([kind, vector, length, 0, a, b, c, d])
    }

    fn from_raw(raw: u64) -> Option<Self> {
        let [kind, vector, length, _, a, b, c, d] = raw.to_le_bytes();
        let code = u32::from_le_bytes([a, b, c, d]);
        let event = match kind {
            0 => None,
            EXCEPTION => Some(Event::Exception(Exception { vector, error_code: None })),
            EXCEPTION_WITH_CODE => Some(Event::Exception(Exception { vector, error_code: Some(code) })),
            INTERRUPT => Some(Event::Interrupt(vector)),
            NMI => Some(Event::Nmi),
            SOFTWARE_INTERRUPT => Some(Event::SoftwareInterrupt { vector, length }),
            SOFTWARE_EXCEPTION => Some(Event::SoftwareException { vector, length }),
            PRIVILEGED_SOFTWARE_EXCEPTION => Some(Event::PrivilegedSoftwareException { length }),
            _ => return None,
        };
        // Bytes that the kind has no use for are 0.
        (event.raw() == raw).then_some(event)
    }

    fn show(raw: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::from_raw(raw) {
            Some(None) => f.write_str("none"),
            Some(Some(event)) => write!(f, "{event:?}"),
            None => write!(f, "{raw:#x}"),
        }
    }
}

/// Kinds of requests for an interrupt, in byte 0. The vector is in byte 1.
const EXTERNAL: u8 = 1;
const FIXED: u8 = 2;

impl Value for Option<InterruptRequest> {
    const BYTES: usize = 2;

    fn raw(self) -> u64 {
        let Some(request) = self else { return 0 };
        let kind = if request.class().is_none() { EXTERNAL } else { FIXED };
        u16::from_le_bytes([kind, request.vector()]).into()
    }

    fn from_raw(raw: u64) -> Option<Self> {
        let [kind, vector] = u16::try_from(raw).ok()?.to_le_bytes();
        match kind {
            0 if vector == 0 => Some(None),
            EXTERNAL => Some(Some(InterruptRequest::external(vector))),
            FIXED => Some(Some(InterruptRequest::fixed(vector))),
            _ => None,
        }
    }

    fn show(raw: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::from_raw(raw) {
            Some(None) => f.write_str("none"),
            Some(Some(request)) if request.class().is_none() => write!(f, "external {:#04x}", request.vector()),
            Some(Some(request)) => write!(f, "fixed {:#04x}", request.vector()),
            None => write!(f, "{raw:#x}"),
        }
    }
}

impl Value for GlobalInterrupts {
    const BYTES: usize = 1;

    fn raw(self) -> u64 {
        match self {
            Self::Enabled => 1,
            Self::Disabled => 0,
        }
    }

    fn from_raw(raw: u64) -> Option<Self> {
        match raw {
            0 => Some(Self::Disabled),
            1 => Some(Self::Enabled),
            _ => None,
        }
    }
}

const fn width<T: Value>(_: fn(&VcpuState) -> T) -> usize {
    T::BYTES
}

const fn show<T: Value>(_: fn(&VcpuState) -> T) -> fn(u64, &mut fmt::Formatter<'_>) -> fmt::Result {
    T::show
}

/// Defines the table: a name, and where in the state the register is.
macro_rules! rows {
    ($($name:literal: $first:ident $(.$next:ident)* $([$index:literal])?;)*) => {
        &[$(Row {
            name: $name,
            bytes: width(|state| state.$first$(.$next)*$([$index])?),
            get: |state| state.$first$(.$next)*$([$index])?.raw(),
            set: |state, raw| {
                state.$first$(.$next)*$([$index])? = Value::from_raw(raw)?;
                Some(())
            },
            show: show(|state| state.$first$(.$next)*$([$index])?),
        }),*]
    };
}

/// Every register but the MSRs and the extended state, in the order of [`VcpuState::to_bytes`].
pub(super) const ROWS: &[Row] = rows! {
    "RAX": cpu.gprs.rax;
    "RBX": cpu.gprs.rbx;
    "RCX": cpu.gprs.rcx;
    "RDX": cpu.gprs.rdx;
    "RSI": cpu.gprs.rsi;
    "RDI": cpu.gprs.rdi;
    "RBP": cpu.gprs.rbp;
    "RSP": cpu.rsp;
    "R8": cpu.gprs.r8;
    "R9": cpu.gprs.r9;
    "R10": cpu.gprs.r10;
    "R11": cpu.gprs.r11;
    "R12": cpu.gprs.r12;
    "R13": cpu.gprs.r13;
    "R14": cpu.gprs.r14;
    "R15": cpu.gprs.r15;
    "RIP": cpu.rip;
    "RFLAGS": cpu.rflags;
    "ES": cpu.es.selector;
    "ES rights": cpu.es.rights;
    "ES limit": cpu.es.limit;
    "ES base": cpu.es.base;
    "CS": cpu.cs.selector;
    "CS rights": cpu.cs.rights;
    "CS limit": cpu.cs.limit;
    "CS base": cpu.cs.base;
    "SS": cpu.ss.selector;
    "SS rights": cpu.ss.rights;
    "SS limit": cpu.ss.limit;
    "SS base": cpu.ss.base;
    "DS": cpu.ds.selector;
    "DS rights": cpu.ds.rights;
    "DS limit": cpu.ds.limit;
    "DS base": cpu.ds.base;
    "FS": cpu.fs.selector;
    "FS rights": cpu.fs.rights;
    "FS limit": cpu.fs.limit;
    "FS base": cpu.fs.base;
    "GS": cpu.gs.selector;
    "GS rights": cpu.gs.rights;
    "GS limit": cpu.gs.limit;
    "GS base": cpu.gs.base;
    "LDTR": cpu.ldtr.selector;
    "LDTR rights": cpu.ldtr.rights;
    "LDTR limit": cpu.ldtr.limit;
    "LDTR base": cpu.ldtr.base;
    "TR": cpu.tr.selector;
    "TR rights": cpu.tr.rights;
    "TR limit": cpu.tr.limit;
    "TR base": cpu.tr.base;
    "GDTR base": cpu.gdtr.base;
    "GDTR limit": cpu.gdtr.limit;
    "IDTR base": cpu.idtr.base;
    "IDTR limit": cpu.idtr.limit;
    "CR0": cpu.cr0;
    "CR2": cpu.cr2;
    "CR3": cpu.cr3;
    "CR4": cpu.cr4;
    "CR8": cr8;
    "EFER": cpu.efer;
    "XCR0": xcr0;
    "DR0": breakpoints[0];
    "DR1": breakpoints[1];
    "DR2": breakpoints[2];
    "DR3": breakpoints[3];
    "DR6": dr6;
    "DR7": cpu.dr7;
    "event": event;
    "NMI requested": nmi_requested;
    "interrupt requested": interrupt_requested;
    "interrupt shadow": shadow;
    "NMIs blocked": nmi_blocked;
    "GIF": global_interrupts;
    "pending debug exceptions": pending_debug;
    "activity": activity;
    "triple fault": triple_fault;
};
