//! Capabilities of processors that exist, to try control logic on without one.
//!
//! The values are public facts: MSRs and CPUID leaves as programs on these processors read them. Each profile names where they
//! were published. They depend on the model, and where firmware or microcode hides a feature, on the machine. No source has
//! IA32_VMX_PROCBASED_CTLS3 and IA32_VMX_EXIT_CTLS2, and few have IA32_VMX_VMFUNC: 0 there means that the value is not known.

use crate::capability::{Capabilities, RawCapabilities};

mod atom;
mod client;
mod server;
mod zhaoxin;

pub use atom::{AIRMONT, GOLDMONT, GOLDMONT_PLUS, GRACEMONT, SILVERMONT, TREMONT, TUNNEL_CREEK};
pub use client::{
    ALDER_LAKE, ARROW_LAKE, BROADWELL, CANNON_LAKE, COFFEE_LAKE, COMET_LAKE, CONROE, HASWELL, ICE_LAKE, IVY_BRIDGE,
    LUNAR_LAKE, METEOR_LAKE, RAPTOR_LAKE, ROCKET_LAKE, SANDY_BRIDGE, SKYLAKE, TIGER_LAKE, WILDCAT_LAKE, YORKFIELD,
};
pub use server::{
    BROADWELL_EP, CASCADE_LAKE_SP, DUNNINGTON, EMERALD_RAPIDS, GRANITE_RAPIDS, HASWELL_EP, ICE_LAKE_SP, IVY_BRIDGE_E,
    SANDY_BRIDGE_E, SAPPHIRE_RAPIDS, SKYLAKE_SP, WESTMERE,
};
pub use zhaoxin::{KH_40000, KX_6000, ZX_C};

/// The capabilities of one processor.
///
/// ```
/// use x86_virt_vmx::profile;
///
/// let skylake = profile::find("skylake").unwrap();
/// assert_eq!(skylake.processor, "Intel Core i7-6700K, family 06H, model 5EH, stepping 03H");
/// assert!(skylake.capabilities().ept().pages_1g());
/// assert!(profile::ALL.iter().any(|profile| profile.capabilities().ept_format().is_err()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// The name, in lower case: that of the design, or of the first of its kind.
    pub name: &'static str,
    /// Which processor, with family, model and stepping.
    pub processor: &'static str,
    /// Where the values were published.
    pub source: &'static str,
    /// The values.
    pub raw: RawCapabilities,
}

impl Profile {
    /// What the processor can do.
    #[must_use]
    pub const fn capabilities(&self) -> Capabilities {
        Capabilities::from_raw(self.raw)
    }
}

/// All profiles.
pub const ALL: &[Profile] = &[
    CONROE,
    YORKFIELD,
    SANDY_BRIDGE,
    IVY_BRIDGE,
    HASWELL,
    BROADWELL,
    SKYLAKE,
    COFFEE_LAKE,
    CANNON_LAKE,
    COMET_LAKE,
    ICE_LAKE,
    TIGER_LAKE,
    ROCKET_LAKE,
    ALDER_LAKE,
    RAPTOR_LAKE,
    METEOR_LAKE,
    LUNAR_LAKE,
    ARROW_LAKE,
    WILDCAT_LAKE,
    DUNNINGTON,
    WESTMERE,
    SANDY_BRIDGE_E,
    IVY_BRIDGE_E,
    HASWELL_EP,
    BROADWELL_EP,
    SKYLAKE_SP,
    CASCADE_LAKE_SP,
    ICE_LAKE_SP,
    SAPPHIRE_RAPIDS,
    EMERALD_RAPIDS,
    GRANITE_RAPIDS,
    TUNNEL_CREEK,
    SILVERMONT,
    AIRMONT,
    GOLDMONT,
    GOLDMONT_PLUS,
    TREMONT,
    GRACEMONT,
    ZX_C,
    KX_6000,
    KH_40000,
];

/// The profile with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Profile> {
    ALL.iter().find(|profile| profile.name == name)
}

#[cfg(test)]
mod tests;
