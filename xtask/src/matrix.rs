//! The machines, images and numbers of processors that `cargo xtask test` covers.

use crate::cargo::Profile;
use crate::machine::{Machine, Vendor};

/// The images, by package.
pub(crate) const IMAGES: [&str; 3] = ["demo", "minimal", "emulated-tests"];
/// The image whose instructions are counted.
pub(crate) const COUNTED_IMAGE: &str = "demo";
/// The image with the tests of the library.
pub(crate) const TEST_IMAGE: &str = "emulated-tests";
/// How often they are counted in an optimized image on one processor: each time the same.
pub(crate) const COUNTS: u8 = 3;

/// How the images are built.
pub(crate) const PROFILES: [Profile; 2] = [Profile::Debug, Profile::Release];
/// The numbers of processors.
pub(crate) const CPUS: [u8; 3] = [1, 2, 4];

/// What a machine can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Support {
    Full,
    /// The library refuses it; the image passes when it gets that error.
    Refused,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) machine: Machine,
    pub(crate) support: Support,
}

/// The machines.
pub(crate) fn rows() -> Vec<Row> {
    let bochs = |cpu, vendor, support| Row { machine: Machine::bochs(cpu, vendor), support };
    let qemu = |cpu, support| Row { machine: Machine::qemu(cpu), support };
    vec![
        // EPT, but no unrestricted guest.
        bochs("corei5_lynnfield_750", Vendor::Intel, Support::Refused),
        bochs("corei5_arrandale_m520", Vendor::Intel, Support::Full),
        bochs("corei7_sandy_bridge_2600k", Vendor::Intel, Support::Full),
        bochs("corei7_haswell_4770", Vendor::Intel, Support::Full),
        bochs("corei7_skylake_x", Vendor::Intel, Support::Full),
        bochs("corei7_icelake_u", Vendor::Intel, Support::Full),
        bochs("tigerlake", Vendor::Intel, Support::Full),
        bochs("zambezi", Vendor::Amd, Support::Full),
        bochs("ryzen", Vendor::Amd, Support::Full),
        // Neither VMX nor SVM.
        qemu("qemu64,-svm", Support::Refused),
        qemu("qemu64,+svm,+npt", Support::Full),
        qemu("EPYC", Support::Full),
        qemu("max", Support::Full),
    ]
}
