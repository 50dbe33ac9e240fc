//! The words that tell of events: their bits, and that all three agree on what they have in common.
#![no_main]

use fuzz::register::{bits, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::vmx::{EntryInterruption, EventType, IdtVectoring, InterruptibilityState, VmExitInterruption};

fuzz_target!(|input: (u32, u8, EventType)| {
    let (raw, vector, event_type) = input;
    let raw = u64::from(raw);
    let entry = check::<EntryInterruption>(raw);
    let exit = check::<VmExitInterruption>(raw);
    let vectoring = check::<IdtVectoring>(raw);
    check::<InterruptibilityState>(raw);

    // SDM sections 27.8.3, 27.9.2 and 27.9.3 have vector, type and valid at the same place.
    let kind = EventType::from_bits(vectoring.event_type().into_bits());
    assert_eq!(u64::from(kind.into_bits()), bits(raw, 8, 3));
    assert!([entry.event_type(), exit.event_type()].iter().all(|other| *other == kind));
    assert!(
        [entry.vector(), exit.vector(), vectoring.vector()].iter().all(|vector| u64::from(*vector) == bits(raw, 0, 8))
    );
    assert!([entry.valid(), exit.valid(), vectoring.valid()].iter().all(|valid| *valid == (bits(raw, 31, 1) == 1)));

    let changed = entry.with_vector(vector).with_event_type(event_type).into_bits();
    let expected = raw & !0x7ff | u64::from(event_type.into_bits()) << 8 | u64::from(vector);
    assert_eq!(u64::from(changed), expected);
    assert_eq!(event_type.name().is_none(), event_type.to_string().parse::<u8>().is_ok());
});
