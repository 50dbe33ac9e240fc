//! Intercepts: which events and instructions end a run.

mod table;

use core::fmt;

use x86_virt_core::{InterceptError, Intercepts, VcpuConfig};

use crate::exit_code::ExitCode;

pub(crate) use table::intercept_rows;

/// Words of intercept vectors in the VMCB.
const WORDS: usize = 6;

/// A set of intercepts, each named by the exit code that it leads to.
///
/// AMD APM vol. 2, section 15.9, "Instruction Intercepts", and appendix B, "VMCB Layout" (offsets 000h to 014h).
///
/// ```
/// use x86_virt_svm::{ExitCode, InterceptSet};
///
/// let set = InterceptSet::NONE.with(ExitCode::VMRUN).with(ExitCode::HLT);
/// assert!(set.contains(ExitCode::HLT) && !set.contains(ExitCode::NPF));
/// assert_eq!(set.words(), [0, 0, 0, 1 << 24, 1, 0]);
/// assert_eq!(set.to_string(), "HLT VMRUN");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterceptSet([u32; WORDS]);

impl InterceptSet {
    /// No intercept.
    pub const NONE: Self = Self([0; WORDS]);

    /// The set of these vectors.
    #[must_use]
    pub const fn from_words(words: [u32; WORDS]) -> Self {
        Self(words)
    }

    /// The vectors as the VMCB holds them.
    #[must_use]
    pub const fn words(self) -> [u32; WORDS] {
        self.0
    }

    /// The set with `code`. A code that is no intercept's changes nothing.
    #[must_use]
    pub fn with(mut self, code: ExitCode) -> Self {
        if let Some((word, bit)) = self.position(code) {
            *word |= bit;
        }
        self
    }

    /// The set without `code`.
    #[must_use]
    pub fn without(mut self, code: ExitCode) -> Self {
        if let Some((word, bit)) = self.position(code) {
            *word &= !bit;
        }
        self
    }

    /// Whether `code` is in the set.
    #[must_use]
    pub fn contains(mut self, code: ExitCode) -> bool {
        self.position(code).is_some_and(|(word, bit)| *word & bit != 0)
    }

    /// The codes in the set, in ascending order. A bit that is no intercept's is a code without a name.
    ///
    /// ```
    /// use x86_virt_svm::{ExitCode, InterceptSet};
    ///
    /// let set = InterceptSet::NONE.with(ExitCode::NPF).with(ExitCode::HLT).with(ExitCode::CPUID);
    /// assert!(set.iter().eq([ExitCode::CPUID, ExitCode::HLT]));
    /// ```
    pub fn iter(self) -> impl Iterator<Item = ExitCode> {
        const BITS: u64 = 32 * 6;
        (0..BITS).map(ExitCode::from_bits).filter(move |&code| self.contains(code))
    }

    fn position(&mut self, code: ExitCode) -> Option<(&mut u32, u32)> {
        let word = self.0.get_mut(usize::try_from(code.into_bits() / 32).ok()?)?;
        Some((word, 1 << (code.into_bits() % 32)))
    }

    /// What ends a run in any case. A guest that executed the instructions itself would change the host, or they are not
    /// virtualized.
    ///
    /// - Interrupts, NMIs and INIT are the host's. Shutdown would stop the processor.
    /// - VMRUN must be intercepted (AMD APM vol. 2, section 15.5.1, "Basic Operation"), and so must what belongs to it.
    /// - Debug registers 0 to 3 are not in the VMCB.
    /// - CR0, CR4, CR8 and XCR0 are checked by the library; CR8 so that both vendors report it.
    /// - INVD would lose what the host has in its caches.
    /// - Machine checks are the host's.
    fn mandatory() -> Self {
        let every_debug_register = u32::MAX;
        let set = Self([0, every_debug_register, 0, 0, 0, 0]);
        [
            ExitCode::EXCP_MC,
            ExitCode::CR8_READ,
            ExitCode::CR0_WRITE,
            ExitCode::CR4_WRITE,
            ExitCode::CR8_WRITE,
            ExitCode::INTR,
            ExitCode::NMI,
            ExitCode::INIT,
            ExitCode::RDPMC,
            ExitCode::CPUID,
            ExitCode::INVD,
            ExitCode::INVLPGA,
            ExitCode::IOIO,
            ExitCode::MSR,
            ExitCode::FERR_FREEZE,
            ExitCode::SHUTDOWN,
            ExitCode::VMRUN,
            ExitCode::VMMCALL,
            ExitCode::VMLOAD,
            ExitCode::VMSAVE,
            ExitCode::STGI,
            ExitCode::CLGI,
            ExitCode::SKINIT,
            ExitCode::MONITOR,
            ExitCode::MWAIT,
            ExitCode::MWAIT_CONDITIONAL,
            ExitCode::XSETBV,
        ]
        .into_iter()
        .fold(set, Self::with)
    }

    /// What ends a run of a virtual processor that is made with `config`.
    #[must_use]
    pub fn of(config: &VcpuConfig) -> Self {
        let wanted = Self::wanted(config.intercepts());
        let Self([a, b, c, d, e, f]) = wanted;
        let Self([u, v, w, x, y, z]) = Self::mandatory();
        Self([a | u, b | v, c | w, d | x, e | y, f | z]).with_exceptions(config.exceptions())
    }

    /// What `intercepts` asks for. What SVM cannot intercept is left out.
    pub(crate) fn wanted(intercepts: Intercepts) -> Self {
        let codes: [(bool, &[ExitCode]); 13] = [
            (intercepts.hlt(), &[ExitCode::HLT]),
            (intercepts.pause(), &[ExitCode::PAUSE]),
            (intercepts.rdtsc(), &[ExitCode::RDTSC, ExitCode::RDTSCP]),
            (intercepts.cr3_write(), &[ExitCode::CR3_WRITE]),
            (intercepts.cr3_read(), &[ExitCode::CR3_READ]),
            (intercepts.invlpg(), &[ExitCode::INVLPG]),
            (intercepts.wbinvd(), &[ExitCode::WBINVD]),
            (intercepts.invpcid(), &[ExitCode::INVPCID]),
            (intercepts.descriptor_tables(), &DESCRIPTOR_TABLES),
            (intercepts.task_switch(), &[ExitCode::TASK_SWITCH]),
            (intercepts.cr0_read(), &[ExitCode::CR0_READ]),
            (intercepts.cr4_read(), &[ExitCode::CR4_READ]),
            (intercepts.software_interrupt(), &[ExitCode::SWINT]),
        ];
        let wanted = codes.into_iter().filter(|(is_wanted, _)| *is_wanted);
        wanted.flat_map(|(_, codes)| codes).fold(Self::NONE, |set, code| set.with(*code))
    }

    /// The set with the exceptions whose vectors are the bits of `vectors`. Vector 2 is not an exception: NMIs have their own intercept.
    #[must_use]
    pub(crate) const fn with_exceptions(self, vectors: u32) -> Self {
        let [cr, dr, exceptions, misc1, misc2, misc3] = self.0;
        Self([cr, dr, exceptions | vectors & !(1 << 2), misc1, misc2, misc3])
    }
}

/// Accesses to GDTR, IDTR, LDTR and TR.
const DESCRIPTOR_TABLES: [ExitCode; 8] = [
    ExitCode::IDTR_READ,
    ExitCode::GDTR_READ,
    ExitCode::LDTR_READ,
    ExitCode::TR_READ,
    ExitCode::IDTR_WRITE,
    ExitCode::GDTR_WRITE,
    ExitCode::LDTR_WRITE,
    ExitCode::TR_WRITE,
];

/// What SVM has no intercept for.
pub(crate) fn check_words(intercepts: Intercepts) -> Result<(), InterceptError> {
    for (is_wanted, intercept) in [(intercepts.rdrand(), "RDRAND"), (intercepts.rdseed(), "RDSEED")] {
        if is_wanted {
            return Err(InterceptError::Missing { intercept, needs: "an intercept, which SVM does not have" });
        }
    }
    Ok(())
}

impl fmt::Display for InterceptSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for code in self.iter() {
            f.write_str(separator)?;
            match code.name() {
                Some(name) => f.write_str(name)?,
                None => write!(f, "{:#x}", code.into_bits())?,
            }
            separator = " ";
        }
        Ok(())
    }
}

impl fmt::Debug for InterceptSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InterceptSet({self})")
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> x86_virt_core::arbitrary::Arbitrary<'a> for InterceptSet {
    fn arbitrary(
        bytes: &mut x86_virt_core::arbitrary::Unstructured<'a>,
    ) -> Result<Self, x86_virt_core::arbitrary::Error> {
        x86_virt_core::arbitrary::Arbitrary::arbitrary(bytes).map(Self::from_words)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;

    use proptest::prelude::*;
    use x86_virt_core::{Intercepts, VcpuConfig};

    use super::{InterceptSet, check_words};
    use crate::exit_code::ExitCode;

    #[test]
    fn bits_are_where_the_manual_has_them() {
        for (code, word, bit) in [
            (ExitCode::CR0_READ, 0, 0),
            (ExitCode::CR4_WRITE, 0, 20),
            (ExitCode::DR7_WRITE, 1, 23),
            (ExitCode::EXCP_PF, 2, 14),
            (ExitCode::VINTR, 3, 4),
            (ExitCode::SHUTDOWN, 3, 31),
            (ExitCode::VMRUN, 4, 0),
            (ExitCode::XSETBV, 4, 13),
            (ExitCode::IDLE_HLT, 5, 6),
        ] {
            let mut words = [0; 6];
            words[word] = 1 << bit;
            assert_eq!(InterceptSet::NONE.with(code).words(), words, "{code}");
            assert_eq!(InterceptSet::from_words(words).without(code), InterceptSet::NONE);
        }
        assert_eq!(InterceptSet::NONE.with(ExitCode::NPF).with(ExitCode::INVALID), InterceptSet::NONE);
    }

    #[test]
    fn a_configuration_adds_to_what_is_mandatory() {
        let config = VcpuConfig::new().with_intercepts(Intercepts::new()).with_exceptions(1 << 14 | 1 << 2);
        let least = InterceptSet::of(&config);
        for code in [ExitCode::INTR, ExitCode::NMI, ExitCode::VMRUN, ExitCode::DR0_WRITE, ExitCode::CR8_READ] {
            assert!(least.contains(code), "{code}");
        }
        assert!(least.contains(ExitCode::EXCP_PF) && !least.contains(ExitCode::EXCP_NMI));
        assert!(
            !least.contains(ExitCode::HLT) && !least.contains(ExitCode::CR3_WRITE) && !least.contains(ExitCode::SMI)
        );
        let all = Intercepts::new()
            .with_hlt(true)
            .with_pause(true)
            .with_rdtsc(true)
            .with_cr3_write(true)
            .with_cr3_read(true)
            .with_invlpg(true)
            .with_wbinvd(true);
        let most = InterceptSet::of(&VcpuConfig::new().with_intercepts(all));
        for code in [ExitCode::HLT, ExitCode::PAUSE, ExitCode::RDTSCP, ExitCode::CR3_READ, ExitCode::INVLPG] {
            assert!(most.contains(code), "{code}");
        }
    }

    #[test]
    fn each_intercept_has_its_codes() {
        let new = Intercepts::new();
        let tables = InterceptSet::wanted(new.with_descriptor_tables(true));
        assert_eq!(tables.words(), [0, 0, 0, 0xff << 6, 0, 0]);
        let rest = new.with_cr0_read(true).with_cr4_read(true).with_task_switch(true).with_software_interrupt(true);
        let rest = InterceptSet::wanted(rest.with_invpcid(true));
        assert_eq!(rest.to_string(), "CR0_READ CR4_READ SWINT TASK_SWITCH INVPCID");
        let refused = check_words(new.with_rdseed(true)).unwrap_err().to_string();
        assert_eq!(
            refused,
            "this processor does not end a run at RDSEED: it lacks an intercept, which SVM does not have"
        );
        assert_eq!(check_words(rest_of_svm()), Ok(()));
    }

    /// All that SVM has.
    fn rest_of_svm() -> Intercepts {
        Intercepts::from_bits(u32::MAX).with_rdrand(false).with_rdseed(false)
    }

    #[test]
    fn text_names_the_bits() {
        let set = InterceptSet::from_words([1, 0, 1 << 14, 0, 0, 1 << 6 | 1 << 7]);
        assert_eq!(set.to_string(), "CR0_READ EXCP_PF IDLE_HLT 0xa7");
        assert_eq!(format!("{:?}", InterceptSet::NONE.with(ExitCode::NMI)), "InterceptSet(NMI)");
    }

    proptest! {
        #[test]
        fn codes_and_words_are_the_same_set(words: [u32; 6]) {
            let set = InterceptSet::from_words(words);
            prop_assert_eq!(set.words(), words);
            prop_assert_eq!(set.iter().fold(InterceptSet::NONE, InterceptSet::with), set);
            prop_assert!(set.iter().all(|code| set.contains(code) && !set.without(code).contains(code)));
        }
    }
}
