//! Control words: which of their bits a processor can set or clear, and what is asked of it.

use core::fmt;

/// Defines a control word with its named bits.
macro_rules! control_word {
    ($(#[$doc:meta])* $word:ident, $title:literal { $($(#[$bit_doc:meta])* $name:ident = $bit:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $word(u32);

        impl $word {
            $(
                $(#[$bit_doc])*
                #[doc = concat!("\n\nBit ", stringify!($bit), ".")]
                pub const $name: Self = Self(1 << $bit);
            )*

            /// No bit.
            pub const NONE: Self = Self(0);

            /// The named bits, in their order.
            pub const NAMES: &[(u8, &str)] = &[$(($bit, stringify!($name)),)*];

            /// The word with this value.
            #[must_use]
            pub const fn from_bits(bits: u32) -> Self {
                Self(bits)
            }

            /// The value.
            #[must_use]
            pub const fn into_bits(self) -> u32 {
                self.0
            }

            /// The bits of either.
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// The bits of `self` that `other` has not.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// Whether all bits of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Chooses the value for a processor with the capability MSR `capability`.
            ///
            /// Every bit of `required` is set, no bit of `refused` is, those of `optional` are where the processor can, and
            /// all others are as the processor has them by default.
            ///
            /// # Errors
            ///
            /// [`UnsupportedControl`] with the first bit that the processor cannot set or clear as asked.
            pub const fn negotiate(
                capability: ControlCapability,
                required: Self,
                optional: Self,
                refused: Self,
            ) -> Result<Self, UnsupportedControl> {
                match capability.choose(required.0, optional.0, refused.0) {
                    Ok(value) => Ok(Self(value)),
                    Err((bit, setting)) => Err(UnsupportedControl { word: $title, bit, name: name_of(Self::NAMES, bit), setting }),
                }
            }
        }

        impl core::ops::BitOr for $word {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                self.union(other)
            }
        }

        impl fmt::Debug for $word {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($word), "({:#010x}"), self.0)?;
                for (bit, name) in Self::NAMES.iter().filter(|(bit, _)| self.0 >> bit & 1 == 1) {
                    write!(f, " {bit}:{name}")?;
                }
                f.write_str(")")
            }
        }
    };
}

control_word! {
    /// Pin-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6.1, "Pin-Based VM-Execution Controls".
    PinControls, "pin-based" {
        /// External interrupts end a run.
        EXTERNAL_INTERRUPT_EXITING = 0,
        /// Non-maskable interrupts end a run.
        NMI_EXITING = 3,
        /// The guest has its own blocking of NMIs.
        VIRTUAL_NMIS = 5,
        /// The preemption timer counts and ends a run.
        ACTIVATE_PREEMPTION_TIMER = 6,
        /// Interrupts of the notification vector deliver posted interrupts.
        PROCESS_POSTED_INTERRUPTS = 7,
    }
}

control_word! {
    /// Primary processor-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6.2, "Processor-Based VM-Execution Controls".
    PrimaryControls, "primary processor-based" {
        /// A run ends as soon as the guest takes interrupts.
        INTERRUPT_WINDOW_EXITING = 2,
        /// The TSC offset is used.
        USE_TSC_OFFSETTING = 3,
        /// HLT ends a run.
        HLT_EXITING = 7,
        /// INVLPG ends a run.
        INVLPG_EXITING = 9,
        /// MWAIT ends a run.
        MWAIT_EXITING = 10,
        /// RDPMC ends a run.
        RDPMC_EXITING = 11,
        /// RDTSC and RDTSCP end a run.
        RDTSC_EXITING = 12,
        /// MOV to CR3 ends a run.
        CR3_LOAD_EXITING = 15,
        /// MOV from CR3 ends a run.
        CR3_STORE_EXITING = 16,
        /// The tertiary controls are used.
        ACTIVATE_TERTIARY_CONTROLS = 17,
        /// MOV to CR8 ends a run.
        CR8_LOAD_EXITING = 19,
        /// MOV from CR8 ends a run.
        CR8_STORE_EXITING = 20,
        /// CR8 and the task-priority register are virtual.
        USE_TPR_SHADOW = 21,
        /// A run ends as soon as the guest takes NMIs.
        NMI_WINDOW_EXITING = 22,
        /// MOV to or from a debug register ends a run.
        MOV_DR_EXITING = 23,
        /// All port I/O ends a run.
        UNCONDITIONAL_IO_EXITING = 24,
        /// The I/O bitmaps say which ports end a run.
        USE_IO_BITMAPS = 25,
        /// A run ends after each instruction.
        MONITOR_TRAP_FLAG = 27,
        /// The MSR bitmaps say which MSRs end a run.
        USE_MSR_BITMAPS = 28,
        /// MONITOR ends a run.
        MONITOR_EXITING = 29,
        /// PAUSE ends a run.
        PAUSE_EXITING = 30,
        /// The secondary controls are used.
        ACTIVATE_SECONDARY_CONTROLS = 31,
    }
}

control_word! {
    /// Secondary processor-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6.2, "Processor-Based VM-Execution Controls".
    SecondaryControls, "secondary processor-based" {
        /// Accesses to the APIC-access page are virtualized.
        VIRTUALIZE_APIC_ACCESSES = 0,
        /// Extended page tables are used.
        ENABLE_EPT = 1,
        /// Accesses to descriptor-table registers end a run.
        DESCRIPTOR_TABLE_EXITING = 2,
        /// The guest has RDTSCP.
        ENABLE_RDTSCP = 3,
        /// RDMSR and WRMSR of the x2APIC are virtualized.
        VIRTUALIZE_X2APIC_MODE = 4,
        /// Linear translations are tagged.
        ENABLE_VPID = 5,
        /// WBINVD ends a run.
        WBINVD_EXITING = 6,
        /// The guest may run in real mode and without paging.
        UNRESTRICTED_GUEST = 7,
        /// Reads of most APIC registers need no exit.
        APIC_REGISTER_VIRTUALIZATION = 8,
        /// Virtual interrupts are evaluated and delivered.
        VIRTUAL_INTERRUPT_DELIVERY = 9,
        /// PAUSE in a loop ends a run.
        PAUSE_LOOP_EXITING = 10,
        /// RDRAND ends a run.
        RDRAND_EXITING = 11,
        /// The guest has INVPCID.
        ENABLE_INVPCID = 12,
        /// The guest has VMFUNC.
        ENABLE_VM_FUNCTIONS = 13,
        /// VMREAD and VMWRITE of the guest use a shadow VMCS.
        VMCS_SHADOWING = 14,
        /// ENCLS may end a run.
        ENABLE_ENCLS_EXITING = 15,
        /// RDSEED ends a run.
        RDSEED_EXITING = 16,
        /// Modified pages are logged.
        ENABLE_PML = 17,
        /// EPT violations may become exceptions in the guest.
        EPT_VIOLATION_VE = 18,
        /// Processor traces do not show VMX.
        CONCEAL_VMX_FROM_PT = 19,
        /// The guest has XSAVES and XRSTORS.
        ENABLE_XSAVES = 20,
        /// EPT has an execute permission for user-mode addresses.
        MODE_BASED_EXECUTE_CONTROL = 22,
        /// EPT has write permissions for parts of a page.
        SUB_PAGE_WRITE_PERMISSIONS = 23,
        /// Addresses of processor tracing are guest-physical.
        PT_USES_GUEST_PHYSICAL_ADDRESSES = 24,
        /// The TSC multiplier is used.
        USE_TSC_SCALING = 25,
        /// The guest has TPAUSE, UMONITOR and UMWAIT.
        ENABLE_USER_WAIT_AND_PAUSE = 26,
        /// The guest has PCONFIG.
        ENABLE_PCONFIG = 27,
        /// ENCLV may end a run.
        ENABLE_ENCLV_EXITING = 28,
        /// Bus locks end a run.
        BUS_LOCK_DETECTION = 30,
        /// A run ends when no instruction ends for too long.
        INSTRUCTION_TIMEOUT = 31,
    }
}

control_word! {
    /// Primary VM-exit controls.
    ///
    /// Intel SDM vol. 3, section 27.7.1, "VM-Exit Controls".
    ExitControls, "primary VM-exit" {
        /// DR7 and IA32_DEBUGCTL are saved.
        SAVE_DEBUG_CONTROLS = 2,
        /// The host is in 64-bit mode.
        HOST_ADDRESS_SPACE_SIZE = 9,
        /// IA32_PERF_GLOBAL_CTRL is loaded.
        LOAD_IA32_PERF_GLOBAL_CTRL = 12,
        /// The interrupt controller is acknowledged when an external interrupt ends the run.
        ACKNOWLEDGE_INTERRUPT_ON_EXIT = 15,
        /// IA32_PAT is saved.
        SAVE_IA32_PAT = 18,
        /// IA32_PAT is loaded.
        LOAD_IA32_PAT = 19,
        /// IA32_EFER is saved.
        SAVE_IA32_EFER = 20,
        /// IA32_EFER is loaded.
        LOAD_IA32_EFER = 21,
        /// The preemption timer is saved.
        SAVE_PREEMPTION_TIMER = 22,
        /// IA32_BNDCFGS is cleared.
        CLEAR_IA32_BNDCFGS = 23,
        /// Processor traces do not show VMX.
        CONCEAL_VMX_FROM_PT = 24,
        /// IA32_RTIT_CTL is cleared.
        CLEAR_IA32_RTIT_CTL = 25,
        /// IA32_LBR_CTL is cleared.
        CLEAR_IA32_LBR_CTL = 26,
        /// UINV is cleared.
        CLEAR_UINV = 27,
        /// Shadow-stack state is loaded.
        LOAD_CET_STATE = 28,
        /// IA32_PKRS is loaded.
        LOAD_PKRS = 29,
        /// IA32_PERF_GLOBAL_CTRL is saved.
        SAVE_IA32_PERF_GLOBAL_CTRL = 30,
        /// The secondary VM-exit controls are used.
        ACTIVATE_SECONDARY_CONTROLS = 31,
    }
}

control_word! {
    /// VM-entry controls.
    ///
    /// Intel SDM vol. 3, section 27.8.1, "VM-Entry Controls".
    EntryControls, "VM-entry" {
        /// DR7 and IA32_DEBUGCTL are loaded.
        LOAD_DEBUG_CONTROLS = 2,
        /// The guest is in IA-32e mode.
        IA32E_MODE_GUEST = 9,
        /// The entry is to system-management mode.
        ENTRY_TO_SMM = 10,
        /// Dual-monitor treatment ends.
        DEACTIVATE_DUAL_MONITOR_TREATMENT = 11,
        /// IA32_PERF_GLOBAL_CTRL is loaded.
        LOAD_IA32_PERF_GLOBAL_CTRL = 13,
        /// IA32_PAT is loaded.
        LOAD_IA32_PAT = 14,
        /// IA32_EFER is loaded.
        LOAD_IA32_EFER = 15,
        /// IA32_BNDCFGS is loaded.
        LOAD_IA32_BNDCFGS = 16,
        /// Processor traces do not show VMX.
        CONCEAL_VMX_FROM_PT = 17,
        /// IA32_RTIT_CTL is loaded.
        LOAD_IA32_RTIT_CTL = 18,
        /// UINV is loaded.
        LOAD_UINV = 19,
        /// Shadow-stack state is loaded.
        LOAD_CET_STATE = 20,
        /// IA32_LBR_CTL is loaded.
        LOAD_IA32_LBR_CTL = 21,
        /// IA32_PKRS is loaded.
        LOAD_PKRS = 22,
    }
}

/// What a processor can do with the bits of a control word: the value of a capability MSR.
///
/// Bits 31:0 are those that must be 1, bits 63:32 those that may be 1.
///
/// Intel SDM vol. 3, appendix A.3, "VM-Execution Controls".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ControlCapability(u64);

impl ControlCapability {
    /// A capability with the value of its MSR.
    #[must_use]
    pub const fn new(msr: u64) -> Self {
        Self(msr)
    }

    /// Bits that must be 1.
    #[must_use]
    pub const fn must_be_one(self) -> u32 {
        let [a, b, c, d, ..] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// Bits that may be 1.
    #[must_use]
    pub const fn may_be_one(self) -> u32 {
        let [.., a, b, c, d] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    const fn choose(self, required: u32, optional: u32, refused: u32) -> Result<u32, (u8, Setting)> {
        let missing = required & !self.may_be_one();
        if missing != 0 {
            return Err((lowest(missing), Setting::One));
        }
        let forced = refused & self.must_be_one();
        if forced != 0 {
            return Err((lowest(forced), Setting::Zero));
        }
        Ok(required | optional & self.may_be_one() & !refused | self.must_be_one())
    }
}

/// The number of the lowest bit that is set in `bits`, which is not zero.
const fn lowest(bits: u32) -> u8 {
    let [number, ..] = bits.trailing_zeros().to_le_bytes();
    number
}

const fn name_of(names: &'static [(u8, &'static str)], bit: u8) -> &'static str {
    let mut rest = names;
    while let [(number, name), tail @ ..] = rest {
        if *number == bit {
            return name;
        }
        rest = tail;
    }
    "not named"
}

/// A setting of a control bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    /// 1.
    One,
    /// 0.
    Zero,
}

/// The processor cannot set or clear a control bit as asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the {word} control bit {bit} ({name}) cannot be {}", match .setting { Setting::One => "1", Setting::Zero => "0" })]
pub struct UnsupportedControl {
    /// The control word.
    pub word: &'static str,
    /// The bit.
    pub bit: u8,
    /// The bit's name.
    pub name: &'static str,
    /// What was asked for.
    pub setting: Setting,
}

#[cfg(test)]
mod tests {
    use super::{
        ControlCapability, EntryControls, ExitControls, PinControls, PrimaryControls, SecondaryControls, Setting,
    };

    /// IA32_VMX_TRUE_PROCBASED_CTLS of a Haswell: default1 bits without CR3 exiting.
    const PRIMARY: ControlCapability = ControlCapability::new(0xfff9_fffe_0400_6172);

    #[test]
    fn required_and_optional_bits_are_set_and_default_ones_kept() {
        let optional = PrimaryControls::ACTIVATE_TERTIARY_CONTROLS | PrimaryControls::PAUSE_EXITING;
        let controls =
            PrimaryControls::negotiate(PRIMARY, PrimaryControls::HLT_EXITING, optional, PrimaryControls::NONE).unwrap();
        assert_eq!(controls.into_bits(), 0x0400_6172 | 1 << 7 | 1 << 30);
    }

    #[test]
    fn a_refusal_names_the_word_and_the_bit() {
        let required = PrimaryControls::HLT_EXITING | PrimaryControls::ACTIVATE_TERTIARY_CONTROLS;
        let error =
            PrimaryControls::negotiate(PRIMARY, required, PrimaryControls::NONE, PrimaryControls::NONE).unwrap_err();
        assert_eq!((error.bit, error.setting), (17, Setting::One));
        assert_eq!(
            error.to_string(),
            "the primary processor-based control bit 17 (ACTIVATE_TERTIARY_CONTROLS) cannot be 1"
        );
    }

    #[test]
    fn a_bit_that_must_be_one_cannot_be_refused() {
        let basic = ControlCapability::new(0xfff9_fffe_0401_e172);
        let refused = PrimaryControls::CR3_LOAD_EXITING;
        let error =
            PrimaryControls::negotiate(basic, PrimaryControls::NONE, PrimaryControls::NONE, refused).unwrap_err();
        assert_eq!((error.name, error.setting), ("CR3_LOAD_EXITING", Setting::Zero));
        assert!(PrimaryControls::negotiate(PRIMARY, PrimaryControls::NONE, PrimaryControls::NONE, refused).is_ok());
    }

    #[test]
    fn names_are_sorted_and_unique() {
        for names in [
            PinControls::NAMES,
            PrimaryControls::NAMES,
            SecondaryControls::NAMES,
            ExitControls::NAMES,
            EntryControls::NAMES,
        ] {
            assert!(names.windows(2).all(|pair| pair[0].0 < pair[1].0), "{names:?}");
        }
    }
}
