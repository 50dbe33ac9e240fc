//! Words of VMX that have no target of their own: each keeps all bits, and its text names them.
#![no_main]

use fuzz::register::{bits, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::ept::{EptCapabilities, HlatEntry, Hlatp, SppEntry, SppVector, Spptp, SubPage};
use x86_virt::vmx::{
    AbortIndicator, ActivityState, Basic, Capabilities, CapabilityMsr, FeatureControl, GuestInterruptStatus,
    InstructionError, Misc, PendingDebugExceptions, RawCapabilities, VmcsEnum,
};
use x86_virt::{Gpa, Hpa};

const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

fuzz_target!(|input: (u64, u64, u8, RawCapabilities)| {
    let (raw, other, width, capabilities) = input;
    capability(raw, capabilities);
    check::<PendingDebugExceptions>(raw);
    let status = check::<GuestInterruptStatus>(raw);
    assert_eq!(u64::from(status.into_bits()), bits(raw, 0, 16));

    let beyond = (0..52).filter(|bit| *bit >= width).fold(0, |all, bit| all | 1 << bit);
    let high = 0xfff << 52;
    let hlatp = check::<Hlatp>(raw);
    assert_eq!((hlatp.root().get(), hlatp.reserved_bits(width)), (raw & ADDRESS, raw & (0xfe7 | high | beyond)));
    assert_eq!(hlatp.with_root(Gpa::new(other)).into_bits(), raw & !ADDRESS | other & ADDRESS);
    assert_eq!(check::<HlatEntry>(raw).restart(), bits(raw, 11, 1) == 1);
    let spptp = check::<Spptp>(raw);
    assert_eq!((spptp.hpa().get(), spptp.reserved_bits(width)), (raw & ADDRESS, raw & (0xfff | high | beyond)));
    let entry = check::<SppEntry>(raw);
    assert_eq!((entry.hpa().get(), entry.reserved_bits(width)), (raw & ADDRESS, raw & (0xffe | high | beyond)));
    assert_eq!(entry.with_hpa(Hpa::new(other)).into_bits(), raw & !ADDRESS | other & ADDRESS);
    let index = u32::from(width).checked_sub(1).filter(|level| *level < 4).map(|level| bits(other, 12 + 9 * level, 9));
    assert_eq!(SppEntry::index(Gpa::new(other), width).map(u64::from), index);
    sub_pages(raw, other);

    let [a, b, c, d, ..] = raw.to_le_bytes();
    let number = u32::from_le_bytes([a, b, c, d]);
    let error = InstructionError::from_bits(number);
    assert_eq!(error.into_bits(), number);
    assert_eq!(error.text().is_some(), matches!(number, 1..=13 | 15..=20 | 22..=26 | 28));
    assert_eq!(AbortIndicator::from_bits(number).name().is_some(), matches!(number, 1..=6));
    assert_eq!(ActivityState::from_bits(number).name().is_some(), number < 4);
});

/// SDM appendix A, "VMX Capability Reporting Facility".
fn capability(raw: u64, mut values: RawCapabilities) {
    let basic = check::<Basic>(raw);
    assert_eq!((u64::from(basic.revision()), basic.true_controls()), (bits(raw, 0, 31), bits(raw, 55, 1) == 1));
    check::<Misc>(raw);
    check::<VmcsEnum>(raw);
    check::<FeatureControl>(raw);
    check::<EptCapabilities>(raw);
    values.basic = raw;
    let known = Capabilities::from_raw(values);
    assert_eq!((known.basic(), *known.raw()), (basic, values));
    let numbers = CapabilityMsr::ALL.iter().map(|row| row.value);
    assert!(numbers.clone().all(|number| values.get(CapabilityMsr::from_bits(number)).is_some()));
    assert_eq!(values.get(CapabilityMsr::IA32_VMX_BASIC), Some(raw));
    for bit in 0..64 {
        let (fixed0, fixed1) = (bits(values.cr0_fixed0, bit, 1), bits(values.cr0_fixed1, bit, 1));
        let is_wrong = |value| fixed0 == 1 && value == 0 || fixed1 == 0 && value == 1;
        assert_eq!(bits(known.invalid_cr0(raw), bit, 1) == 1, is_wrong(bits(raw, bit, 1)));
        let (fixed0, fixed1) = (bits(values.cr4_fixed0, bit, 1), bits(values.cr4_fixed1, bit, 1));
        let is_wrong = |value| fixed0 == 1 && value == 0 || fixed1 == 0 && value == 1;
        assert_eq!(bits(known.invalid_cr4(raw), bit, 1) == 1, is_wrong(bits(raw, bit, 1)));
    }
    // What EPT needs of a processor, and nothing panics with any.
    let has_ept = bits(values.ept_vpid, 6, 1) == 1 && bits(values.ept_vpid, 14, 1) == 1;
    let has_width = (32..=52).contains(&values.physical_address_width);
    assert_eq!(known.ept_format().is_ok(), has_ept && has_width);
}

/// SDM section 31.3.4, "Sub-Page Write Permissions": bit 2S allows writes to the 128 bytes S.
fn sub_pages(raw: u64, address: u64) {
    let (vector, gpa) = (SppVector::from_bits(raw), Gpa::new(address));
    let part = SubPage::of(gpa);
    let index = u32::from(part.index());
    assert_eq!((u64::from(part.index()), SubPage::new(part.index())), (bits(address, 7, 5), Some(part)));
    assert_eq!(vector.into_bits(), raw);
    assert_eq!((vector.allows(gpa), vector.is_writable(part)), (bits(raw, 2 * index, 1) == 1, vector.allows(gpa)));
    assert_eq!(vector.with_writable(part).into_bits(), raw | 1 << (2 * index));
    assert_eq!(vector.without_writable(part).into_bits(), raw & !(1 << (2 * index)));
    assert_eq!(vector.reserved_bits(), (0..32).fold(0, |all, part| all | raw & 2 << (2 * part)));
    assert_eq!(vector.to_string(), format!("{raw:#018x}"));
}
