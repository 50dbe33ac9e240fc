//! The controls that a virtual processor runs with.

use x86_virt_core::{InterruptPolicy, VcpuConfig};
use x86_virt_ept::{EptCapabilities, EptControls};

use crate::capability::{Capabilities, Unsupported};
use crate::control::{EntryControls, ExitControls, PinControls, PrimaryControls, SecondaryControls, TertiaryControls};
use crate::intercept::{self, InterceptControls};

/// The control words of a virtual processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Controls {
    pub(crate) pin: PinControls,
    pub(crate) primary: PrimaryControls,
    pub(crate) secondary: SecondaryControls,
    /// None of them if the primary controls do not activate them.
    pub(crate) tertiary: TertiaryControls,
    pub(crate) exit: ExitControls,
    pub(crate) entry: EntryControls,
}

impl Controls {
    /// What keeps the host whole, what `config` asks for, what the entries of the tables need, and what the processor requires.
    pub(crate) fn new(
        capabilities: &Capabilities,
        config: &VcpuConfig,
        tables: EptControls,
    ) -> Result<Self, Unsupported> {
        let tertiary = tertiary(capabilities, tables)?;
        intercept::check_words(config.intercepts())?;
        // Secondary controls first: on a processor without EPT, say that, and not which primary bit it cannot clear.
        Ok(Self {
            secondary: secondary(capabilities, config, tables)?,
            tertiary,
            pin: pin(capabilities)?,
            primary: primary(capabilities, config, tertiary)?,
            exit: exit(capabilities, config.interrupts())?,
            entry: entry(capabilities)?,
        })
    }
}

fn pin(capabilities: &Capabilities) -> Result<PinControls, Unsupported> {
    // Without virtual NMIs, IRET does not end the blocking of a guest's. Processors with unrestricted guests have them.
    let required = PinControls::EXTERNAL_INTERRUPT_EXITING | PinControls::NMI_EXITING | PinControls::VIRTUAL_NMIS;
    let refused = PinControls::ACTIVATE_PREEMPTION_TIMER | PinControls::PROCESS_POSTED_INTERRUPTS;
    Ok(PinControls::negotiate(capabilities.pin(), required, PinControls::NONE, refused)?)
}

fn primary(
    capabilities: &Capabilities,
    config: &VcpuConfig,
    tertiary: TertiaryControls,
) -> Result<PrimaryControls, Unsupported> {
    // MOV to CR8 would change the host's task priority; MONITOR, MWAIT and RDPMC would use the host's.
    let mut required = PrimaryControls::USE_MSR_BITMAPS
        | PrimaryControls::USE_IO_BITMAPS
        | PrimaryControls::CR8_LOAD_EXITING
        | PrimaryControls::CR8_STORE_EXITING
        | PrimaryControls::MOV_DR_EXITING
        | PrimaryControls::MONITOR_EXITING
        | PrimaryControls::MWAIT_EXITING
        | PrimaryControls::RDPMC_EXITING
        | PrimaryControls::ACTIVATE_SECONDARY_CONTROLS;
    let mut refused = PrimaryControls::INTERRUPT_WINDOW_EXITING
        | PrimaryControls::NMI_WINDOW_EXITING
        | PrimaryControls::USE_TPR_SHADOW
        | PrimaryControls::MONITOR_TRAP_FLAG;
    if tertiary == TertiaryControls::NONE {
        refused = refused | PrimaryControls::ACTIVATE_TERTIARY_CONTROLS;
    } else {
        required = required | PrimaryControls::ACTIVATE_TERTIARY_CONTROLS;
    }
    let wanted = InterceptControls::of(config.intercepts()).primary;
    required = required | wanted;
    refused = refused | InterceptControls::all().primary.without(wanted);
    // A processor too old for secondary controls has no EPT: say that, not the bit.
    if !capabilities.primary().may_be_one().contains(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS) {
        return Err(Unsupported::Ept);
    }
    Ok(PrimaryControls::negotiate(capabilities.primary(), required, PrimaryControls::NONE, refused)?)
}

fn secondary(
    capabilities: &Capabilities,
    config: &VcpuConfig,
    tables: EptControls,
) -> Result<SecondaryControls, Unsupported> {
    let may_be_one = capabilities.secondary().may_be_one();
    if !may_be_one.contains(SecondaryControls::ENABLE_EPT) {
        return Err(Unsupported::Ept);
    }
    if !may_be_one.contains(SecondaryControls::UNRESTRICTED_GUEST) {
        return Err(Unsupported::UnrestrictedGuest);
    }
    if !capabilities.basic().ins_outs_information() {
        return Err(Unsupported::InsOutsInformation);
    }
    let ept = capabilities.ept();
    if !ept.invept() || !(ept.invept_single_context() || ept.invept_all_contexts()) {
        return Err(Unsupported::Invept);
    }
    let mut required = SecondaryControls::ENABLE_EPT | SecondaryControls::UNRESTRICTED_GUEST;
    let mut refused = SecondaryControls::ENABLE_VM_FUNCTIONS;
    let wanted = InterceptControls::of(config.intercepts()).secondary;
    required = required | wanted;
    refused = refused | InterceptControls::all().secondary.without(wanted);
    for (wanted, control) in [
        (tables.mode_based_execute(), SecondaryControls::MODE_BASED_EXECUTE_CONTROL),
        (tables.sub_page_write(), SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS),
    ] {
        if wanted {
            required = required | control;
        } else {
            refused = refused | control;
        }
    }
    let mut optional =
        SecondaryControls::ENABLE_RDTSCP | SecondaryControls::ENABLE_INVPCID | SecondaryControls::ENABLE_XSAVES;
    if can_invalidate_vpids(ept) {
        optional = optional | SecondaryControls::ENABLE_VPID;
    } else {
        refused = refused | SecondaryControls::ENABLE_VPID;
    }
    Ok(SecondaryControls::negotiate(capabilities.secondary(), required, optional, refused)?)
}

/// Whether the processor can invalidate what the library would leave under a VPID.
const fn can_invalidate_vpids(ept: EptCapabilities) -> bool {
    ept.invvpid() && (ept.invvpid_single_context() || ept.invvpid_all_contexts())
}

fn tertiary(capabilities: &Capabilities, tables: EptControls) -> Result<TertiaryControls, Unsupported> {
    let mut required = TertiaryControls::NONE;
    for (wanted, control) in [
        (tables.paging_write(), TertiaryControls::EPT_PAGING_WRITE_CONTROL),
        (tables.guest_paging_verification(), TertiaryControls::GUEST_PAGING_VERIFICATION),
    ] {
        if wanted {
            required = required | control;
        }
    }
    let none = TertiaryControls::NONE;
    Ok(TertiaryControls::negotiate(capabilities.tertiary(), required, none, none)?)
}

fn exit(capabilities: &Capabilities, interrupts: InterruptPolicy) -> Result<ExitControls, Unsupported> {
    let mut required = ExitControls::HOST_ADDRESS_SPACE_SIZE
        | ExitControls::SAVE_DEBUG_CONTROLS
        | ExitControls::SAVE_IA32_EFER
        | ExitControls::LOAD_IA32_EFER
        | ExitControls::SAVE_IA32_PAT
        | ExitControls::LOAD_IA32_PAT;
    let mut refused = ExitControls::ACTIVATE_SECONDARY_CONTROLS;
    match interrupts {
        InterruptPolicy::Pending => refused = refused | ExitControls::ACKNOWLEDGE_INTERRUPT_ON_EXIT,
        InterruptPolicy::Acknowledged => required = required | ExitControls::ACKNOWLEDGE_INTERRUPT_ON_EXIT,
    }
    Ok(ExitControls::negotiate(capabilities.exit(), required, ExitControls::NONE, refused)?)
}

fn entry(capabilities: &Capabilities) -> Result<EntryControls, Unsupported> {
    let required = EntryControls::LOAD_DEBUG_CONTROLS | EntryControls::LOAD_IA32_EFER | EntryControls::LOAD_IA32_PAT;
    let refused = EntryControls::ENTRY_TO_SMM | EntryControls::DEACTIVATE_DUAL_MONITOR_TREATMENT;
    Ok(EntryControls::negotiate(capabilities.entry(), required, EntryControls::NONE, refused)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use x86_virt_core::{Intercepts, VcpuConfig};
    use x86_virt_ept::EptControls;

    use super::Controls;
    use crate::capability::{Capabilities, RawCapabilities, Unsupported};
    use crate::control::{ControlValues, PrimaryControls, SecondaryControls, TertiaryControls};

    impl From<Controls> for ControlValues {
        fn from(Controls { pin, primary, secondary, tertiary, exit, entry }: Controls) -> Self {
            Self { pin, primary, secondary, tertiary, exit, entry, ..Self::default() }
        }
    }

    /// Values as of a Haswell.
    pub(crate) const HASWELL: RawCapabilities = RawCapabilities {
        basic: 0x00da_0400_0000_002b,
        true_pin: 0x0000_007f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x007f_ffff_0003_6dfb,
        true_entry: 0x0000_ffff_0000_11fb,
        secondary: 0x0004_7fff_0000_0000,
        ept_vpid: 0x0f01_0633_4141,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0017_67ff,
        physical_address_width: 40,
        pin: 0,
        primary: 0,
        exit: 0,
        entry: 0,
        misc: 0,
        ..RawCapabilities::NONE
    };

    #[test]
    fn what_is_asked_for_is_set() {
        let config = VcpuConfig::new().with_intercepts(Intercepts::new().with_pause(true).with_cr3_write(true));
        let controls = Controls::new(&Capabilities::from_raw(HASWELL), &config, EptControls::new()).unwrap();
        assert!(controls.primary.contains(PrimaryControls::PAUSE_EXITING | PrimaryControls::CR3_LOAD_EXITING));
        assert!(!controls.primary.contains(PrimaryControls::HLT_EXITING));
        assert!(controls.primary.contains(PrimaryControls::MOV_DR_EXITING));
        assert_eq!(controls.secondary.into_bits(), 0x10aa);
        assert_eq!(controls.pin.into_bits(), 0x3f);
        let values = ControlValues::from(controls);
        assert_eq!(values.violations().next(), None);
    }

    #[test]
    fn vpids_that_cannot_be_invalidated_are_not_used() {
        // INVVPID is bit 32, of one VPID bit 41, of all bit 42.
        for (types, secondary) in [(0, 0x108a), (0x901, 0x108a), (0x600, 0x108a), (0x201, 0x10aa), (0x401, 0x10aa)] {
            let raw = RawCapabilities { ept_vpid: 0x0633_4141 | types << 32, ..HASWELL };
            let controls = Controls::new(&Capabilities::from_raw(raw), &VcpuConfig::new(), EptControls::new()).unwrap();
            assert_eq!(controls.secondary.into_bits(), secondary, "{types:#x}");
        }
    }

    #[test]
    fn what_the_tables_need_is_set() {
        let raw = RawCapabilities {
            secondary: HASWELL.secondary | 0x00c0_0000_0000_0000,
            true_primary: HASWELL.true_primary | 1 << 49,
            tertiary: 0xc,
            ..HASWELL
        };
        let config = VcpuConfig::new();
        let of = |raw, tables| Controls::new(&Capabilities::from_raw(raw), &config, EptControls::from_bits(tables));
        let (mode_based, sub_page) =
            (SecondaryControls::MODE_BASED_EXECUTE_CONTROL, SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS);
        let none = of(raw, 0).unwrap();
        assert_eq!((none.secondary.into_bits() >> 22, none.tertiary), (0, TertiaryControls::NONE));
        assert!(!none.primary.contains(PrimaryControls::ACTIVATE_TERTIARY_CONTROLS));
        let all = of(raw, 0x1f).unwrap();
        assert!(all.secondary.contains(mode_based | sub_page));
        assert!(
            !all.secondary.contains(SecondaryControls::EPT_VIOLATION_VE),
            "entries suppress it, and do not need it"
        );
        assert_eq!(all.tertiary.into_bits(), 0xc);
        assert!(all.primary.contains(PrimaryControls::ACTIVATE_TERTIARY_CONTROLS));
        assert_eq!(ControlValues::from(all).violations().next(), None);
        for (tables, text) in [
            (0x01, "the secondary processor-based control bit 22 (MODE_BASED_EXECUTE_CONTROL) cannot be 1"),
            (0x04, "the secondary processor-based control bit 23 (SUB_PAGE_WRITE_PERMISSIONS) cannot be 1"),
            (0x08, "the tertiary processor-based control bit 2 (EPT_PAGING_WRITE_CONTROL) cannot be 1"),
            (0x10, "the tertiary processor-based control bit 3 (GUEST_PAGING_VERIFICATION) cannot be 1"),
        ] {
            assert_eq!(of(HASWELL, tables).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn what_the_processor_lacks_is_named() {
        let config = VcpuConfig::new();
        let without_unrestricted = RawCapabilities { secondary: 0x0000_007f_0000_0000, ..HASWELL };
        assert_eq!(
            Controls::new(&Capabilities::from_raw(without_unrestricted), &config, EptControls::new()).unwrap_err(),
            Unsupported::UnrestrictedGuest
        );
        let without_ept = RawCapabilities { secondary: 0x0000_0001_0000_0000, ..HASWELL };
        assert_eq!(
            Controls::new(&Capabilities::from_raw(without_ept), &config, EptControls::new()).unwrap_err(),
            Unsupported::Ept
        );
        let without_secondary = RawCapabilities { true_primary: 0x7ff9_fffe_0400_6172, ..HASWELL };
        assert_eq!(
            Controls::new(&Capabilities::from_raw(without_secondary), &config, EptControls::new()).unwrap_err(),
            Unsupported::Ept
        );
        let without_invept = RawCapabilities { ept_vpid: 0x6141, ..HASWELL };
        assert_eq!(
            Controls::new(&Capabilities::from_raw(without_invept), &config, EptControls::new()).unwrap_err(),
            Unsupported::Invept
        );
        let without_ins_outs = RawCapabilities { basic: HASWELL.basic & !(1 << 54), ..HASWELL };
        assert_eq!(
            Controls::new(&Capabilities::from_raw(without_ins_outs), &config, EptControls::new()).unwrap_err(),
            Unsupported::InsOutsInformation
        );
        let without_pat = RawCapabilities { true_exit: 0x0073_ffff_0003_6dfb, ..HASWELL };
        let error = Controls::new(&Capabilities::from_raw(without_pat), &config, EptControls::new()).unwrap_err();
        assert_eq!(error.to_string(), "the primary VM-exit control bit 18 (SAVE_IA32_PAT) cannot be 1");
    }
}
