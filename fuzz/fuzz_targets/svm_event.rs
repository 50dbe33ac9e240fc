//! Events to inject and events that an exit interrupted: what goes in comes out.
#![no_main]

use fuzz::register::{bits, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::svm::vmcb::EventInjection;
use x86_virt::{Event, Exception};

fuzz_target!(|input: (u64, Event)| {
    let (raw, event) = input;
    interrupted(check::<EventInjection>(raw), raw);
    injected(event);
});

/// AMD APM vol. 2, section 15.20, "Event Injection": vector 7:0, type 10:8, EV 11, V 31, error code 63:32.
fn interrupted(word: EventInjection, raw: u64) {
    let Some(event) = word.event() else {
        assert!(bits(raw, 31, 1) == 0 || matches!(bits(raw, 8, 3), 1 | 5 | 6 | 7), "{word} has an event");
        return;
    };
    let (event_type, vector, code) = match event {
        Event::Interrupt(vector) => (0, vector, None),
        Event::Nmi => (2, 2, None),
        Event::Exception(Exception { vector, error_code }) => (3, vector, error_code),
        Event::SoftwareException { vector, .. } => (3, vector, None),
        Event::SoftwareInterrupt { vector, .. } => (4, vector, None),
        Event::PrivilegedSoftwareException { .. } => (3, 1, None),
        other => panic!("{other:?}"),
    };
    assert_eq!((bits(raw, 31, 1), bits(raw, 8, 3)), (1, event_type));
    assert!(u64::from(vector) == bits(raw, 0, 8) || event == Event::Nmi);
    if let Event::Exception(_) = event {
        assert_eq!(code.map(u64::from), (bits(raw, 11, 1) == 1).then_some(bits(raw, 32, 32)));
    }
    // Injected again, it is the same event.
    let again = EventInjection::try_from(event).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.event(), Some(event));
}

fn injected(event: Event) {
    let word = EventInjection::try_from(event).unwrap_or_else(|error| panic!("{error}"));
    let raw = word.into_bits();
    assert_eq!(raw & 0x7fff_f000, 0, "{word}: reserved bits");
    let back = word.event();
    match event {
        // Only INT3 raises #BP and only INTO raises #OF; neither has an error code.
        Event::Exception(Exception { vector: vector @ (3 | 4), .. })
        | Event::SoftwareException { vector: vector @ (3 | 4), .. } => {
            assert_eq!(back, Some(Event::SoftwareException { vector, length: 1 }));
        }
        Event::SoftwareException { vector, .. } => {
            assert_eq!(back, Some(Event::Exception(Exception { vector, error_code: None })));
        }
        Event::SoftwareInterrupt { vector, .. } => {
            assert_eq!(back, Some(Event::SoftwareInterrupt { vector, length: 2 }));
        }
        Event::PrivilegedSoftwareException { .. } => {
            assert_eq!(back, Some(Event::Exception(Exception::DEBUG)));
        }
        other => assert_eq!(back, Some(other)),
    }
}
