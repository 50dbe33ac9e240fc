use x86_virt_core::{Format, Intercepts, PageSize, VcpuConfig};
use x86_virt_ept::EptUnsupported;

use super::{ALL, Profile, find};
use crate::capability::{Capabilities, CapabilityMsr, Unsupported};
use crate::control::{ControlCapability, ControlValues, PinControls, PrimaryControls, SecondaryControls};
use crate::field;
use crate::setup::Controls;

/// Processors without EPT.
const WITHOUT_EPT: [&str; 4] = ["conroe", "yorkfield", "dunnington", "tunnel-creek"];

/// All the intercepts that there are, in all combinations.
fn configs() -> impl Iterator<Item = VcpuConfig> {
    (0..1_u32 << 7).map(|choice| {
        let wanted = |bit: u32| choice >> bit & 1 != 0;
        VcpuConfig::new().with_intercepts(
            Intercepts::new()
                .with_hlt(wanted(0))
                .with_pause(wanted(1))
                .with_rdtsc(wanted(2))
                .with_cr3_write(wanted(3))
                .with_cr3_read(wanted(4))
                .with_invlpg(wanted(5))
                .with_wbinvd(wanted(6)),
        )
    })
}

/// The bits of a word of 32 bits that must be 1, and those that may be: the MSRs of all these words are alike.
fn bits(msr: u64) -> (u32, u32) {
    let capability = ControlCapability::<PinControls>::new(msr);
    (capability.must_be_one().into_bits(), capability.may_be_one().into_bits())
}

fn has_ept(profile: &Profile) -> bool {
    !WITHOUT_EPT.contains(&profile.name)
}

#[test]
fn names_are_unique_and_found() {
    for (index, profile) in ALL.iter().enumerate() {
        let Profile { name, processor, source, .. } = profile;
        assert_eq!(find(name), Some(profile));
        assert!(ALL[..index].iter().all(|earlier| earlier.name != *name), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{name}");
        assert!(processor.contains("family ") && processor.contains("model ") && processor.contains("stepping "));
        assert!(source.contains(" in "), "{source}");
    }
    assert_eq!(find("Skylake"), None);
    assert!(WITHOUT_EPT.iter().all(|name| find(name).is_some()));
}

/// Intel SDM vol. 3, appendix A.2, "Reserved Controls and Default Settings": the bits of the default1 class.
#[test]
fn the_default1_class_is_that_of_the_manual() {
    for Profile { name, raw, .. } in ALL {
        for (value, default1) in
            [(raw.pin, 0x16), (raw.primary, 0x0401_e172), (raw.exit, 0x3_6dff), (raw.entry, 0x11ff)]
        {
            assert_eq!(bits(value).0, default1, "{name} {value:#x}");
        }
        assert_eq!(bits(raw.secondary).0, 0, "{name}");
    }
}

#[test]
fn what_must_be_one_may_be_one() {
    for Profile { name, raw, .. } in ALL {
        let words = [raw.pin, raw.primary, raw.exit, raw.entry, raw.secondary];
        let true_words = [raw.true_pin, raw.true_primary, raw.true_exit, raw.true_entry];
        for (must_be_one, may_be_one) in words.into_iter().chain(true_words).map(bits) {
            assert_eq!(must_be_one & !may_be_one, 0, "{name} {must_be_one:#x} {may_be_one:#x}");
        }
    }
}

#[test]
fn the_true_msrs_differ_in_what_must_be_one_only() {
    for profile in ALL {
        let Profile { name, raw, .. } = profile;
        let pairs = [
            (raw.pin, raw.true_pin),
            (raw.primary, raw.true_primary),
            (raw.exit, raw.true_exit),
            (raw.entry, raw.true_entry),
        ];
        for (word, true_word) in pairs {
            if !profile.capabilities().basic().true_controls() {
                assert_eq!(true_word, 0, "{name}");
                continue;
            }
            let (word, true_word) = (bits(word), bits(true_word));
            assert_eq!(true_word.1, word.1, "{name}");
            assert_eq!(true_word.0 & !word.0, 0, "{name}");
        }
    }
}

#[test]
fn an_msr_has_a_value_exactly_where_it_exists() {
    for profile in ALL {
        let capabilities = profile.capabilities();
        let primary = capabilities.primary().may_be_one();
        let has_secondary = primary.contains(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS);
        assert_eq!(profile.raw.secondary != 0, has_secondary, "{}", profile.name);
        let secondary = capabilities.secondary().may_be_one();
        let has_ept_or_vpid = [SecondaryControls::ENABLE_EPT, SecondaryControls::ENABLE_VPID]
            .into_iter()
            .any(|control| secondary.contains(control));
        assert_eq!(profile.raw.ept_vpid != 0, has_ept_or_vpid, "{}", profile.name);
    }
}

#[test]
fn structures_are_as_the_library_lays_them_out() {
    for profile in ALL {
        let basic = profile.capabilities().basic();
        assert!((1..=4096).contains(&basic.region_bytes()), "{}", profile.name);
        assert_eq!((basic.memory_type(), basic.addresses_32_bit()), (6, false), "{}", profile.name);
        assert!((32..=52).contains(&profile.raw.physical_address_width), "{}", profile.name);
    }
}

#[test]
fn a_host_in_64_bit_mode_can_enter_vmx_operation() {
    // CR0: PG, AM, WP, NE, ET, MP and PE. CR4: VMXE and PAE.
    const CR0: u64 = 0x8005_0033;
    const CR4: u64 = 1 << 13 | 1 << 5;
    for profile in ALL {
        let Profile { name, raw, .. } = profile;
        assert_eq!(raw.cr0_fixed0 & !raw.cr0_fixed1, 0, "{name}");
        assert_eq!(raw.cr4_fixed0 & !raw.cr4_fixed1, 0, "{name}");
        let capabilities = profile.capabilities();
        assert_eq!((capabilities.invalid_cr0(CR0), capabilities.invalid_cr4(CR4)), (0, 0), "{name}");
        assert_eq!(capabilities.invalid_cr0(CR0 & !1), 1, "{name}");
        assert_eq!(capabilities.invalid_cr4(0), 1 << 13, "{name}");
    }
}

#[test]
fn controls_are_valid_or_ept_is_what_lacks() {
    for profile in ALL {
        let capabilities = profile.capabilities();
        for config in configs() {
            let controls = Controls::new(&capabilities, &config, x86_virt_ept::EptControls::new());
            if !has_ept(profile) {
                assert_eq!(controls, Err(Unsupported::Ept), "{}", profile.name);
                continue;
            }
            let controls = controls.unwrap_or_else(|error| panic!("{}: {error}", profile.name));
            assert!(capabilities.pin().allows(controls.pin), "{}", profile.name);
            assert!(capabilities.primary().allows(controls.primary), "{}", profile.name);
            assert!(capabilities.secondary().allows(controls.secondary), "{}", profile.name);
            assert!(capabilities.exit().allows(controls.exit), "{}", profile.name);
            assert!(capabilities.entry().allows(controls.entry), "{}", profile.name);
            assert_eq!(ControlValues::from(controls).violations().next(), None, "{}", profile.name);
        }
    }
}

#[test]
fn what_reading_asks_for_is_what_the_profile_has() {
    for Profile { name, raw, .. } in ALL {
        let read = |msr: CapabilityMsr| raw.get(msr).unwrap();
        assert_eq!(Capabilities::from_msrs(raw.physical_address_width, read).raw(), raw, "{name}");
    }
}

#[test]
fn fields_came_with_their_controls() {
    let has = |name: &str, field: field::Encoding| {
        field::FieldInfo::of(field).unwrap().is_supported(&find(name).unwrap().capabilities())
    };
    for (field, without, with) in [
        (field::EPT_POINTER.encoding(), "yorkfield", "westmere"),
        (field::GUEST_IA32_PAT.encoding(), "conroe", "westmere"),
        (field::POSTED_INTERRUPT_NOTIFICATION_VECTOR.encoding(), "sandy-bridge-e", "haswell-ep"),
        (field::PML_ADDRESS.encoding(), "haswell-ep", "broadwell-ep"),
        (field::VIRTUALIZATION_EXCEPTION_ADDRESS.encoding(), "haswell", "broadwell"),
        (field::TSC_MULTIPLIER.encoding(), "broadwell", "skylake-sp"),
    ] {
        assert!(!has(without, field), "{without}: {field}");
        assert!(has(with, field), "{with}: {field}");
        assert!(has(without, field::GUEST_RIP.encoding()));
    }
}

#[test]
fn page_tables_have_the_format_that_the_processor_reads() {
    for profile in ALL {
        let capabilities = profile.capabilities();
        if !has_ept(profile) {
            assert_eq!(capabilities.ept_format(), Err(Unsupported::Ept), "{}", profile.name);
            continue;
        }
        let format = capabilities.ept_format().unwrap();
        assert_eq!((format.levels(), format.address_width()), (4, profile.raw.physical_address_width));
        let largest = if capabilities.ept().pages_1g() { PageSize::Size1G } else { PageSize::Size2M };
        assert_eq!(format.largest_page(), largest, "{}", profile.name);
        let has_five_levels = ["ice-lake-sp", "sapphire-rapids", "emerald-rapids", "granite-rapids"];
        let expected = if has_five_levels.contains(&profile.name) {
            Ok(5)
        } else {
            Err(EptUnsupported::PageWalkLength { length: 5 })
        };
        assert_eq!(format.with_five_levels().map(|format| format.levels()), expected, "{}", profile.name);
    }
}

#[test]
fn features_came_one_after_the_other() {
    let has =
        |name: &str, feature: &str| find(name).unwrap().capabilities().feature_names().any(|have| have == feature);
    for (feature, without, with) in [
        ("extended page tables (EPT)", "yorkfield", "westmere"),
        ("unrestricted guest", "yorkfield", "westmere"),
        ("EPT pages of 1 GiB", "sandy-bridge", "sandy-bridge-e"),
        ("EPT accessed and dirty flags", "ivy-bridge", "haswell"),
        ("VM functions", "ivy-bridge", "haswell"),
        ("posted interrupts", "sandy-bridge-e", "haswell-ep"),
        ("page-modification logging (PML)", "haswell-ep", "broadwell-ep"),
        ("virtualization exceptions (#VE)", "haswell", "broadwell"),
        ("mode-based execute control", "skylake", "skylake-sp"),
        ("TSC scaling", "broadwell", "skylake-sp"),
        ("EPT of 5 levels", "cascade-lake-sp", "ice-lake-sp"),
    ] {
        assert!(!has(without, feature), "{without}: {feature}");
        assert!(has(with, feature), "{with}: {feature}");
    }
}
