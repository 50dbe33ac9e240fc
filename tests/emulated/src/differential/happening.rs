//! What a processor does with an entry.

use core::fmt;

/// What a processor does with an entry: a number below 128.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Happening(u64);

/// Where the kinds begin. Earlier kinds win over later ones, but for what no rule says.
const ERRORS: u64 = 8;
const GUEST_STATE: u64 = 40;
const MSR_LOADING: u64 = 48;
const END: u64 = 128;

impl Happening {
    /// The guest runs.
    pub(crate) const ENTERS: Self = Self(0);
    /// VMEXIT_INVALID.
    pub(crate) const INVALID: Self = Self(1);
    /// Something that no rule says.
    pub(crate) const OTHER: Self = Self(2);

    const fn within(start: u64, number: u64, end: u64) -> Self {
        if number < end - start { Self(start + number) } else { Self::OTHER }
    }

    /// VMfailValid with this error.
    pub(crate) const fn error(number: u64) -> Self {
        Self::within(ERRORS, number, GUEST_STATE)
    }

    /// Exit reason 33 with this qualification.
    pub(crate) const fn guest_state(qualification: u64) -> Self {
        Self::within(GUEST_STATE, qualification, MSR_LOADING)
    }

    /// Exit reason 34 with this qualification; entries from some number on are told apart no more.
    pub(crate) const fn msr_loading(entry: u64) -> Self {
        let last = END - MSR_LOADING - 1;
        Self(MSR_LOADING + if entry < last { entry } else { last })
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("enters"),
            1 => f.write_str("VMEXIT_INVALID"),
            number @ ERRORS..GUEST_STATE => write!(f, "error {}", number - ERRORS),
            number @ GUEST_STATE..MSR_LOADING => write!(f, "reason 33 qualification {}", number - GUEST_STATE),
            number @ MSR_LOADING..END => write!(f, "reason 34 qualification {}", number - MSR_LOADING),
            _ => f.write_str("something else"),
        }
    }
}

impl fmt::Debug for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Several, one of which it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Happenings(u128);

impl Happenings {
    /// None: it is not known.
    pub(crate) const NONE: Self = Self(0);

    const fn of_kind(start: u64, end: u64) -> u128 {
        (u128::MAX >> (END - (end - start))) << start
    }

    /// This one.
    pub(crate) const fn one(happening: Happening) -> Self {
        Self(1 << happening.0)
    }

    /// These, and `happening`.
    pub(crate) const fn with(self, happening: Happening) -> Self {
        Self(self.0 | 1 << happening.0)
    }

    /// What comes where each of these rules out the later: those of the first kind, of MSRs the first.
    pub(crate) fn first(self) -> Self {
        let kinds = [
            Self::of_kind(Happening::INVALID.0, ERRORS),
            Self::of_kind(ERRORS, GUEST_STATE),
            Self::of_kind(GUEST_STATE, MSR_LOADING),
        ];
        let msrs = self.0 & Self::of_kind(MSR_LOADING, END);
        let first = kinds.into_iter().map(|kind| self.0 & kind).find(|set| *set != 0);
        Self(first.unwrap_or(if msrs == 0 { 1 } else { msrs & msrs.wrapping_neg() }))
    }

    pub(crate) const fn contains(self, happening: Happening) -> bool {
        self.0 >> happening.0 & 1 == 1
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Happenings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("unknown");
        }
        for (index, number) in (0..END).filter(|number| self.contains(Happening(*number))).enumerate() {
            f.write_str(if index == 0 { "" } else { " or " })?;
            Happening(number).fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Happenings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
