use x86_virt_core::{Format, PageSize};
use x86_virt_npt::{NptFormat, Pat};

use super::{ALL, Profile, find};
use crate::capability::Unsupported;
use crate::cpuid::SvmFeatures;

type Flag = fn(&SvmFeatures) -> bool;

/// Processors without nested paging.
const WITHOUT_NESTED_PAGING: [&str; 1] = ["windsor"];

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
    assert_eq!(find("Rome"), None);
}

#[test]
fn every_processor_has_svm_of_revision_1() {
    for Profile { name, raw, .. } in ALL {
        assert_ne!(raw.leaf_8000_0001_ecx & 1 << 2, 0, "{name}");
        assert_eq!(raw.leaf_8000_000a_eax, 1, "{name}");
        // The hypervisor bit: the values are those of processors, not of virtual ones.
        assert_eq!(raw.leaf_1_ecx >> 31, 0, "{name}");
    }
}

#[test]
fn nested_paging_is_there_or_is_what_lacks() {
    for profile in ALL {
        let capabilities = profile.capabilities();
        if WITHOUT_NESTED_PAGING.contains(&profile.name) {
            let features = SvmFeatures::from_bits(profile.raw.leaf_8000_000a_edx);
            assert_eq!(capabilities, Err(Unsupported::NoNestedPaging { features }), "{}", profile.name);
            continue;
        }
        let capabilities = capabilities.unwrap_or_else(|error| panic!("{}: {error}", profile.name));
        assert!(capabilities.asids() >= 8, "{}", profile.name);
        assert!((36..=52).contains(&capabilities.physical_width()), "{}", profile.name);
    }
}

#[test]
fn page_tables_have_the_format_that_the_processor_reads() {
    for profile in ALL {
        let Ok(capabilities) = profile.capabilities() else { continue };
        let format = NptFormat::new(Pat::RESET, capabilities.physical_width()).unwrap();
        assert_eq!((format.levels(), format.address_width()), (4, capabilities.physical_width()), "{}", profile.name);
        assert!(matches!(format.largest_page(), PageSize::Size2M), "{}", profile.name);
        assert!(capabilities.has_1g_pages(), "{}", profile.name);
    }
}

#[test]
fn guests_get_the_registers_that_the_processor_has() {
    for profile in ALL {
        let Ok(capabilities) = profile.capabilities() else { continue };
        let (cr4, efer) = (capabilities.guest_cr4(), capabilities.guest_efer());
        // PAE is everywhere, and so are LME, LMA, NXE and FFXSR. VMXE and SMXE are nowhere, nor is SVME.
        assert_eq!((cr4 & 1 << 5, cr4 & 3 << 13), (1 << 5, 0), "{}", profile.name);
        assert_eq!((efer & 0x4d00, efer & 1 << 12), (0x4d00, 0), "{}", profile.name);
        let has_la57 = ["genoa", "bergamo", "turin"].contains(&profile.name);
        assert_eq!(cr4 & 1 << 12 != 0, has_la57, "{}", profile.name);
    }
}

#[test]
fn features_came_one_after_the_other() {
    let features = |name: &str| SvmFeatures::from_bits(find(name).unwrap().raw.leaf_8000_000a_edx);
    let table: [(Flag, &str, &str); 13] = [
        (SvmFeatures::np, "windsor", "barcelona"),
        (SvmFeatures::nrips, "barcelona", "deneb"),
        (SvmFeatures::pause_filter, "deneb", "thuban"),
        (SvmFeatures::vmcb_clean, "llano", "bulldozer"),
        (SvmFeatures::flush_by_asid, "llano", "bulldozer"),
        (SvmFeatures::decode_assists, "bobcat", "bulldozer"),
        (SvmFeatures::avic, "steamroller", "excavator"),
        (SvmFeatures::vgif, "steamroller", "excavator"),
        (SvmFeatures::gmet, "pinnacle-ridge", "rome"),
        (SvmFeatures::spec_ctrl, "pinnacle-ridge", "rome"),
        (SvmFeatures::sss_check, "rome", "vermeer"),
        (SvmFeatures::x2avic, "milan", "genoa"),
        (SvmFeatures::vnmi, "milan", "genoa"),
    ];
    for (index, (has, without, with)) in table.into_iter().enumerate() {
        assert!(!has(&features(without)), "row {index}: {without}");
        assert!(has(&features(with)), "row {index}: {with}");
    }
}
