//! CPUID values of processors that exist, to try control logic on without one.
//!
//! The values are public facts: CPUID leaves as programs on these processors read them. Each profile names where they were
//! published. OSXSAVE and OSPKE are as the operating system had set them.

use crate::capability::{Capabilities, RawCpuid, Unsupported};

mod before_zen;
mod zen;

pub use before_zen::{
    BARCELONA, BOBCAT, BULLDOZER, DENEB, EXCAVATOR, JAGUAR, LLANO, PILEDRIVER, PUMA, STEAMROLLER, THUBAN, WINDSOR,
};
pub use zen::{
    BERGAMO, CEZANNE, DHYANA, GENOA, GRANITE_RIDGE, MATISSE, MILAN, NAPLES, PINNACLE_RIDGE, RAPHAEL, RENOIR, ROME,
    STRIX_POINT, SUMMIT_RIDGE, TURIN, VERMEER,
};

/// The CPUID values of one processor.
///
/// ```
/// use x86_virt_svm::profile;
///
/// let milan = profile::find("milan").unwrap();
/// assert_eq!(milan.processor, "AMD EPYC 7763 64-Core Processor, family 19H, model 01H, stepping 01H");
/// assert!(milan.capabilities()?.features().flush_by_asid());
/// assert!(profile::ALL.iter().any(|profile| profile.capabilities().is_err()));
/// # Ok::<(), x86_virt_svm::Unsupported>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// The name, in lower case: that of the design or of its cores.
    pub name: &'static str,
    /// Which processor, with family, model and stepping.
    pub processor: &'static str,
    /// Where the values were published.
    pub source: &'static str,
    /// The values.
    pub raw: RawCpuid,
}

impl Profile {
    /// What the processor can do.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] if the library cannot run guests on it.
    pub const fn capabilities(&self) -> Result<Capabilities, Unsupported> {
        Capabilities::new(self.raw)
    }
}

/// All profiles.
pub const ALL: &[Profile] = &[
    WINDSOR,
    BARCELONA,
    DENEB,
    THUBAN,
    LLANO,
    BOBCAT,
    BULLDOZER,
    PILEDRIVER,
    STEAMROLLER,
    EXCAVATOR,
    JAGUAR,
    PUMA,
    SUMMIT_RIDGE,
    NAPLES,
    PINNACLE_RIDGE,
    DHYANA,
    ROME,
    MATISSE,
    RENOIR,
    MILAN,
    VERMEER,
    CEZANNE,
    GENOA,
    BERGAMO,
    RAPHAEL,
    TURIN,
    GRANITE_RIDGE,
    STRIX_POINT,
];

/// The profile with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Profile> {
    ALL.iter().find(|profile| profile.name == name)
}

#[cfg(test)]
mod tests;
