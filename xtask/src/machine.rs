//! The emulated machines, and the choice of one by its processor.

use core::fmt;

use anyhow::bail;
use clap::{Args, ValueEnum};

/// Whose virtualization extensions a processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Vendor {
    /// VMX
    Intel,
    /// SVM
    Amd,
}

impl fmt::Display for Vendor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Intel => "Intel VMX",
            Self::Amd => "AMD SVM",
        })
    }
}

/// The machines that a command is for.
#[derive(Debug, Clone, Args)]
pub(crate) struct Choice {
    /// Only this vendor's processor
    #[arg(long)]
    vendor: Option<Vendor>,
    /// The processor: a model of Bochs, or what QEMU takes for -cpu
    #[arg(long, value_name = "MODEL")]
    cpu: Option<String>,
    /// The number of processors
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) cpus: u8,
}

impl Choice {
    /// The machines.
    pub(crate) fn machines(&self) -> anyhow::Result<Vec<Machine>> {
        Machine::choose(self.vendor, self.cpu.as_deref())
    }
}

/// What runs the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emulator {
    Bochs,
    Qemu,
}

/// An emulator with the processor it emulates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) emulator: Emulator,
    /// The processor, in the emulator's words.
    pub(crate) cpu: String,
    pub(crate) vendor: Vendor,
}

/// The processors of Bochs that have a long mode and VMX or SVM.
const BOCHS: [(&str, Vendor); 17] = [
    ("bx_generic", Vendor::Intel),
    ("core2_penryn_t9600", Vendor::Intel),
    ("corei5_lynnfield_750", Vendor::Intel),
    ("corei5_arrandale_m520", Vendor::Intel),
    ("corei7_sandy_bridge_2600k", Vendor::Intel),
    ("corei7_ivy_bridge_3770k", Vendor::Intel),
    ("corei7_haswell_4770", Vendor::Intel),
    ("broadwell_ult", Vendor::Intel),
    ("corei7_skylake_x", Vendor::Intel),
    ("corei3_cnl", Vendor::Intel),
    ("corei7_icelake_u", Vendor::Intel),
    ("tigerlake", Vendor::Intel),
    ("turion64_tyler", Vendor::Amd),
    ("phenom_8650_toliman", Vendor::Amd),
    ("zambezi", Vendor::Amd),
    ("trinity_apu", Vendor::Amd),
    ("ryzen", Vendor::Amd),
];

/// The processors of QEMU that have a long mode and SVM, without their versions (`EPYC-v2`). QEMU emulates no VMX.
const QEMU: [&str; 11] = [
    "max",
    "qemu64",
    "kvm64",
    "phenom",
    "Opteron_G1",
    "Opteron_G2",
    "Opteron_G3",
    "Opteron_G4",
    "Opteron_G5",
    "EPYC",
    "Dhyana",
];

/// Turns SVM on in a QEMU processor that has it off.
const QEMU_SVM: &str = ",+svm";

impl Machine {
    /// What the image must know of the emulator.
    ///
    /// Bochs 2.7 does not look at the SHUTDOWN intercept of SVM: it stops at a guest's triple fault.
    pub(crate) const fn quirk(&self) -> Option<&'static str> {
        match (self.emulator, self.vendor) {
            (Emulator::Bochs, Vendor::Amd) => Some("no-shutdown-exit"),
            _ => None,
        }
    }

    /// Bochs with this processor.
    pub(crate) fn bochs(cpu: &str, vendor: Vendor) -> Self {
        Self { emulator: Emulator::Bochs, cpu: cpu.to_owned(), vendor }
    }

    /// QEMU with this processor.
    pub(crate) fn qemu(cpu: &str) -> Self {
        Self { emulator: Emulator::Qemu, cpu: cpu.to_owned(), vendor: Vendor::Amd }
    }

    /// The machines that a user means: the one with the processor he names, else the usual one of each vendor.
    pub(crate) fn choose(vendor: Option<Vendor>, cpu: Option<&str>) -> anyhow::Result<Vec<Self>> {
        let machines = match cpu {
            Some(cpu) => vec![Self::with_cpu(cpu)?],
            None => vec![Self::bochs("corei7_haswell_4770", Vendor::Intel), Self::qemu("max")],
        };
        let (chosen, others): (Vec<_>, Vec<_>) =
            machines.into_iter().partition(|machine| vendor.is_none_or(|vendor| vendor == machine.vendor));
        match (chosen.is_empty(), others.first(), vendor) {
            (true, Some(other), Some(vendor)) => bail!("{other} has {}, not {vendor}", other.vendor),
            _ => Ok(chosen),
        }
    }

    fn with_cpu(cpu: &str) -> anyhow::Result<Self> {
        if let Some((_, vendor)) = BOCHS.iter().find(|(name, _)| *name == cpu) {
            return Ok(Self::bochs(cpu, *vendor));
        }
        if QEMU.iter().any(|name| cpu.starts_with(name)) || cpu.contains(QEMU_SVM) {
            return Ok(Self::qemu(cpu));
        }
        let of = |vendor| {
            BOCHS.iter().filter(move |(_, of)| *of == vendor).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        bail!(
            "unknown processor {cpu}; known are\n  \
             with VMX, in Bochs: {}\n  \
             with SVM, in Bochs: {}\n  \
             with SVM, in QEMU: {}, or any of QEMU's with {QEMU_SVM}",
            of(Vendor::Intel),
            of(Vendor::Amd),
            QEMU.join(", ")
        )
    }

    /// A name for files.
    pub(crate) fn file_name(&self) -> String {
        self.to_string().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let emulator = match self.emulator {
            Emulator::Bochs => "bochs",
            Emulator::Qemu => "qemu",
        };
        formatter.pad(&format!("{emulator} {}", self.cpu))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(vendor: Option<Vendor>, cpu: &str) -> Result<Vec<Machine>, String> {
        Machine::choose(vendor, Some(cpu)).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_processor_each_vendor_has_one() {
        let (intel, amd) = (Machine::bochs("corei7_haswell_4770", Vendor::Intel), Machine::qemu("max"));
        assert_eq!(Machine::choose(None, None).unwrap(), [intel.clone(), amd.clone()]);
        assert_eq!(Machine::choose(Some(Vendor::Intel), None).unwrap(), [intel]);
        assert_eq!(Machine::choose(Some(Vendor::Amd), None).unwrap(), [amd]);
    }

    #[test]
    fn the_processor_picks_the_emulator() {
        assert_eq!(choose(None, "tigerlake"), Ok(vec![Machine::bochs("tigerlake", Vendor::Intel)]));
        assert_eq!(choose(Some(Vendor::Amd), "ryzen"), Ok(vec![Machine::bochs("ryzen", Vendor::Amd)]));
        for cpu in ["max", "EPYC", "EPYC-Milan-v1", "qemu64,+svm,+npt", "Nehalem,+svm"] {
            assert_eq!(choose(None, cpu), Ok(vec![Machine::qemu(cpu)]));
        }
    }

    #[test]
    fn an_unknown_processor_or_the_wrong_vendor_is_refused() {
        let unknown = choose(None, "i386").unwrap_err();
        for known in ["unknown processor i386", "tigerlake", "ryzen", "EPYC"] {
            assert!(unknown.contains(known), "{unknown}");
        }
        assert_eq!(choose(Some(Vendor::Intel), "ryzen"), Err("bochs ryzen has AMD SVM, not Intel VMX".to_owned()));
        assert_eq!(choose(Some(Vendor::Intel), "max"), Err("qemu max has AMD SVM, not Intel VMX".to_owned()));
    }

    #[test]
    fn names_of_files_hold_no_comma() {
        assert_eq!(Machine::qemu("qemu64,+svm,+npt").file_name(), "qemu_qemu64__svm__npt");
    }
}
