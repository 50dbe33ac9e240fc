//! Which processor this is and what of virtualization it has.

use core::fmt;

/// Vendor of a virtualization extension.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Vendor {
    /// Intel: VMX.
    Intel,
    /// AMD: SVM.
    Amd,
}

#[cfg(feature = "arbitrary")]
impl<'a> x86_virt_core::arbitrary::Arbitrary<'a> for Vendor {
    fn arbitrary(
        bytes: &mut x86_virt_core::arbitrary::Unstructured<'a>,
    ) -> Result<Self, x86_virt_core::arbitrary::Error> {
        bytes.choose(&[Self::Intel, Self::Amd]).copied()
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intel => "Intel VMX",
            Self::Amd => "AMD SVM",
        })
    }
}

/// A processor as CPUID describes it.
///
/// ```
/// // Any program may ask; only a kernel may use the answer.
/// let processor = x86_virt::Processor::detect();
/// println!("{}: {:?}", processor.brand(), processor.vendor());
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Processor {
    vendor: Option<Vendor>,
    brand: [u8; 48],
}

impl Processor {
    /// The processor that the caller runs on.
    #[must_use]
    pub fn detect() -> Self {
        let vendor = if has_vmx() {
            Some(Vendor::Intel)
        } else if has_svm() {
            Some(Vendor::Amd)
        } else {
            None
        };
        Self { vendor, brand: brand() }
    }

    /// Whose virtualization extension the processor has, if it has one that this build supports.
    #[must_use]
    pub const fn vendor(&self) -> Option<Vendor> {
        self.vendor
    }

    /// The processor's brand string, empty if it has none.
    #[must_use]
    pub fn brand(&self) -> &str {
        let text = self.brand.split(|&byte| byte == 0).next().unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default().trim()
    }
}

fn has_vmx() -> bool {
    #[cfg(feature = "vmx")]
    let has = x86_virt_vmx::has_vmx();
    #[cfg(not(feature = "vmx"))]
    let has = false;
    has
}

fn has_svm() -> bool {
    #[cfg(feature = "svm")]
    let has = x86_virt_svm::has_svm();
    #[cfg(not(feature = "svm"))]
    let has = false;
    has
}

/// CPUID.80000002H to 80000004H.
fn brand() -> [u8; 48] {
    let mut brand = [0; 48];
    if let Some(text) = x86::cpuid::CpuId::new().get_processor_brand_string() {
        for (to, from) in brand.iter_mut().zip(text.as_str().bytes()) {
            *to = from;
        }
    }
    brand
}
