//! Words of SVM that have no target of their own: each keeps all bits, its text names them, and it is read bit by bit.
#![no_main]

use fuzz::register::{bits, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::npt::{Ncr3, NptEntry, NptRules};
use x86_virt::svm::vmcb::{CleanBits, RapControl, TlbControl, UpdateIrr};
use x86_virt::svm::vmsa::VmsaVirtualInterrupt;
use x86_virt::svm::{
    AllowedSevFeatures, AvicDoorbell, AvicLogicalEntry, AvicPhysicalEntry, AvicPhysicalTable, AvicRegister, AvicWrite,
    Capabilities, EncryptionFeatures, EncryptionParameters, GhcbInfo, GhcbMsr, Ignne, RawCpuid, RmpConfiguration,
    SecureAvicControl, SevFeatures, SevStatus, SmmCtl, SvmExtendedFeatures, SvmRevision, TscRatio, Unsupported,
    VmgexitCode, VmpageFlush,
};
use x86_virt::{Hpa, PageSize, PagingLevel};

const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
struct Input {
    raw: u64,
    other: u64,
    width: u8,
    cpuid: RawCpuid,
    level: PagingLevel,
    has_1g_pages: bool,
    has_no_execute: bool,
    encryption_bit: Option<u8>,
}

fuzz_target!(|input: Input| {
    // Below that addresses of pages would not fit.
    let input = Input { width: input.width.max(12), ..input };
    texts(input.raw);
    avic(input.raw, input.other);
    capabilities(input.cpuid);
    tsc_ratio(input.raw, input.other);
    nested(&input);
});

fn texts(raw: u64) {
    check::<AllowedSevFeatures>(raw);
    check::<CleanBits>(raw);
    check::<EncryptionFeatures>(raw);
    check::<EncryptionParameters>(raw);
    check::<Ignne>(raw);
    check::<RapControl>(raw);
    check::<RmpConfiguration>(raw);
    check::<SecureAvicControl>(raw);
    check::<SevFeatures>(raw);
    check::<SevStatus>(raw);
    check::<SmmCtl>(raw);
    check::<SvmExtendedFeatures>(raw);
    check::<SvmRevision>(raw);
    check::<UpdateIrr>(raw);
    check::<VmpageFlush>(raw);
    check::<VmsaVirtualInterrupt>(raw);
    // The GHCB MSR: GHCBInfo 11:0, GHCBData 63:12.
    let msr = check::<GhcbMsr>(raw);
    assert!(msr.to_string().starts_with(&format!("{raw:#018x}")));
    let [low, high, ..] = raw.to_le_bytes();
    let info = u16::from_le_bytes([low, high]);
    assert_eq!(u64::from(GhcbInfo::from_bits(info).into_bits()), bits(raw, 0, 12));
    assert_eq!(TlbControl::from_bits(low).into_bits(), low);
    assert_eq!(VmgexitCode::from_bits(raw).into_bits(), raw);
}

/// AMD APM vol. 2, section 15.29, "Advanced Virtual Interrupt Controller".
fn avic(raw: u64, other: u64) {
    let page = Hpa::new(other);
    let moved = raw & !ADDRESS | other & ADDRESS;
    let entry = check::<AvicPhysicalEntry>(raw);
    assert_eq!(
        (entry.backing_page().get(), entry.v(), entry.ir()),
        (raw & ADDRESS, raw >> 63 == 1, bits(raw, 62, 1) == 1)
    );
    assert_eq!(u64::from(entry.host_physical_apic_id()), bits(raw, 0, 12));
    assert_eq!(entry.with_backing_page(page).into_bits(), moved);
    let table = check::<AvicPhysicalTable>(raw);
    assert_eq!((table.table().get(), u64::from(table.avic_physical_max_index())), (raw & ADDRESS, bits(raw, 0, 12)));
    assert_eq!(table.with_table(page).into_bits(), moved);
    assert_eq!(u64::from(check::<AvicDoorbell>(raw).physical_apic_id()), bits(raw, 0, 12));
    let logical = check::<AvicLogicalEntry>(raw);
    assert_eq!((u64::from(logical.guest_physical_apic_id()), logical.v()), (bits(raw, 0, 8), bits(raw, 31, 1) == 1));

    // Flat: one bit of eight. Cluster: four bits for the cluster, of which 15 is none, and one bit of four.
    let [id, ..] = raw.to_le_bytes();
    assert_eq!(AvicLogicalEntry::flat_index(id), (0..8).find(|bit| u32::from(id) == 1 << bit));
    let (cluster, members) = (u32::from(id) / 16, u32::from(id) % 16);
    let member = (0..4).find(|bit| members == 1 << bit).filter(|_| cluster < 15);
    assert_eq!(AvicLogicalEntry::cluster_index(id), member.map(|bit| 4 * cluster + bit));

    let [low, high, ..] = other.to_le_bytes();
    let register = AvicRegister::from_bits(u16::from_le_bytes([low, high]));
    let offset = bits(other, 0, 12);
    assert_eq!(u64::from(register.into_bits()), offset);
    if bits(offset, 2, 2) == 0 {
        // A register that is not read is not written either.
        assert!(!register.is_read_fault() || register.write() == AvicWrite::Fault, "{register}");
        // ISR, TMR and IRR.
        assert!(!(0x100..0x280).contains(&offset) || register.write() == AvicWrite::Fault, "{register}");
    }
}

/// Guests need SVM, nested paging and an identifier beside that of the host.
fn capabilities(cpuid: RawCpuid) {
    let has_svm = bits(cpuid.leaf_8000_0001_ecx.into(), 2, 1) == 1;
    let has_paging = bits(cpuid.leaf_8000_000a_edx.into(), 0, 1) == 1;
    match Capabilities::new(cpuid) {
        Ok(known) => {
            assert!(has_svm && has_paging && cpuid.leaf_8000_000a_ebx > 1);
            assert_eq!((known.cpuid(), known.asids()), (cpuid, cpuid.leaf_8000_000a_ebx));
            assert_eq!(u64::from(known.revision()), bits(cpuid.leaf_8000_000a_eax.into(), 0, 8));
        }
        Err(Unsupported::NoSvm) => assert!(!has_svm),
        Err(Unsupported::NoNestedPaging { .. }) => assert!(has_svm && !has_paging),
        Err(Unsupported::NoAsids { count }) => {
            assert!(has_svm && has_paging && count == cpuid.leaf_8000_000a_ebx && count < 2);
        }
        Err(other) => panic!("{other}"),
    }
}

/// The ratio has 8 bits before the point and 32 behind it.
fn tsc_ratio(raw: u64, other: u64) {
    let ratio = check::<TscRatio>(raw);
    let product = u128::from(other) * u128::from(bits(raw, 0, 40)) / (1 << 32);
    assert_eq!(ratio.scale(other).map(u128::from), Some(product).filter(|ticks| *ticks < 1 << 64));
    match TscRatio::of(raw, other) {
        Some(made) => {
            // The largest ratio that is not too fast: ratio * host <= guest * 2^32 < (ratio + 1) * host.
            let (bits, host, guest) = (u128::from(made.into_bits()), u128::from(other), u128::from(raw) << 32);
            assert!(bits < 1 << 40 && bits * host <= guest && guest < (bits + 1) * host);
        }
        // Too large, or 0.
        None => assert!(
            other == 0 || u128::from(raw) >= u128::from(other) << 8 || u128::from(raw) << 32 < u128::from(other)
        ),
    }
}

/// AMD APM vol. 2, section 5.3, "Long-Mode Page Translation": bit by bit which of an entry must be zero.
fn nested(input: &Input) {
    let raw = input.raw;
    let mut rules = NptRules::new(input.width);
    if input.has_1g_pages {
        rules = rules.with_1g_pages();
    }
    if input.has_no_execute {
        rules = rules.with_no_execute();
    }
    if let Some(bit) = input.encryption_bit {
        rules = rules.with_encryption_bit(bit);
    }
    let entry = NptEntry::from_bits(raw);
    let has_bit_7 = bits(raw, 7, 1) == 1;
    let size = match input.level {
        PagingLevel::Pt => Some(PageSize::Size4K),
        PagingLevel::Pd if has_bit_7 => Some(PageSize::Size2M),
        PagingLevel::Pdpt if has_bit_7 && input.has_1g_pages => Some(PageSize::Size1G),
        _ => None,
    };
    assert_eq!(entry.is_page(input.level, &rules), size.is_some());
    let is_reserved = |bit: u32| match bit {
        7 => {
            matches!(input.level, PagingLevel::Pml4 | PagingLevel::Pml5)
                || input.level == PagingLevel::Pdpt && !input.has_1g_pages
        }
        8 => matches!(input.level, PagingLevel::Pml4 | PagingLevel::Pml5),
        63 => !input.has_no_execute,
        // Of a large page bit 12 is PAT.
        13..=20 if size == Some(PageSize::Size2M) => true,
        13..=29 if size == Some(PageSize::Size1G) => true,
        12..=51 => bit >= u32::from(input.width) && input.encryption_bit.map(u32::from) != Some(bit),
        _ => false,
    };
    let expected = (0..64).filter(|bit| is_reserved(*bit)).fold(0, |all, bit| all | raw & 1 << bit);
    assert_eq!(entry.reserved_bits(input.level, &rules), expected, "{entry} of {:?} by {rules:?}", input.level);
    let ncr3 = check::<Ncr3>(raw);
    let beyond = (0..64).filter(|bit| *bit >= input.width.min(52)).fold(0, |all, bit| all | raw & 1 << bit);
    assert_eq!((ncr3.root().get(), ncr3.must_be_zero_bits(input.width)), (raw & ADDRESS, beyond));
    assert_eq!(ncr3.with_root(Hpa::new(input.other)).into_bits(), raw & !ADDRESS | input.other & ADDRESS);
}
