//! The words that exits of SVM report, bit by bit.
#![no_main]

use fuzz::register::{bits, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::svm::vmcb::{
    InterruptState, NestedControl, SegmentAttributes, VirtualExtensions, VirtualInterruptControl, VmcbSegment,
};
use x86_virt::svm::{IoioInfo, MoveInfo, NpfInfo, SvmFeatures, VmCr};
use x86_virt::{Access, IoDirection, NestedFaultCause, Segment};

fuzz_target!(|input: (u64, Segment)| {
    let (raw, segment) = input;
    ioio(check(raw), raw);
    npf(check(raw), raw);
    let moved = check::<MoveInfo>(raw);
    assert_eq!((u64::from(moved.gpr()), moved.is_move()), (bits(raw, 0, 4), raw >> 63 == 1));
    check::<InterruptState>(raw);
    check::<NestedControl>(raw);
    check::<SvmFeatures>(raw);
    check::<VirtualExtensions>(raw);
    check::<VirtualInterruptControl>(raw);
    check::<VmCr>(raw);

    // A segment goes into the VMCB and comes back, but for what the VMCB has no bits for.
    let attributes = check::<SegmentAttributes>(raw);
    let rights = x86_virt::SegmentAccessRights::from(attributes);
    assert_eq!(u64::from(SegmentAttributes::from(rights).into_bits()), bits(raw, 0, 12));
    let back = Segment::from(VmcbSegment::from(segment));
    assert_eq!((back.selector, back.limit, back.base), (segment.selector, segment.limit, segment.base));
    assert_eq!(back.rights.present(), segment.rights.present() && !segment.rights.unusable());
    assert_eq!(Segment::from(VmcbSegment::from(back)), back);
});

/// AMD APM vol. 2, section 15.10.2, "IN and OUT Behavior": the lowest of the size bits counts.
fn ioio(info: IoioInfo, raw: u64) {
    assert_eq!(info.direction() == IoDirection::In, bits(raw, 0, 1) == 1);
    assert_eq!(u64::from(info.port()), bits(raw, 16, 16));
    let lowest = |offset| Some(bits(raw, offset, 3).trailing_zeros()).filter(|bit| *bit < 3);
    assert_eq!(info.size().map(|size| u64::from(size.bytes())), lowest(4).map(|bit| 1 << bit));
    let width = lowest(7).map(|bit| u64::MAX >> (64 - (16 << bit)));
    assert_eq!(info.address_size().map(|size| size.mask()), width);
}

/// AMD APM vol. 2, section 15.25.6, "Nested versus Guest Page Faults, Fault Ordering".
fn npf(info: NpfInfo, raw: u64) {
    let access = match (bits(raw, 1, 1), bits(raw, 4, 1)) {
        (1, _) => Access::WRITE,
        (_, 1) => Access::EXECUTE,
        _ => Access::READ,
    };
    assert_eq!(info.access(), access);
    assert_eq!(info.table_walk(), bits(raw, 33, 1) == 1);
    let is_reserved = bits(raw, 3, 1) == 1;
    assert_eq!(info.cause() == NestedFaultCause::Misconfiguration, is_reserved, "{info}");
    assert!(is_reserved || (info.cause() == NestedFaultCause::NotMapped) == (bits(raw, 0, 1) == 0), "{info}");
}
