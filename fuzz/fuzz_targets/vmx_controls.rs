//! Controls for any processor and any wish: bit by bit what was asked for, or the bit that cannot be so.
#![no_main]

use libfuzzer_sys::fuzz_target;
use x86_virt::vmx::{
    Capabilities, ControlCapability, EntryControls, ExitControls, PinControls, PrimaryControls, RawCapabilities,
    SecondaryControls, Setting, UnsupportedControl,
};

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
struct Input {
    must: u32,
    may: u32,
    required: u32,
    optional: u32,
    refused: u32,
    default_capability: u64,
    basic: u64,
}

fuzz_target!(|input: Input| {
    let msr = u64::from(input.may) << 32 | u64::from(input.must);
    let capability = ControlCapability::new(msr);
    assert_eq!((capability.must_be_one(), capability.may_be_one()), (input.must, input.may));
    true_controls(&input, msr);

    macro_rules! each {
        ($($word:ident)*) => {
            $({
                let word = $word::from_bits;
                let result =
                    $word::negotiate(capability, word(input.required), word(input.optional), word(input.refused));
                judge(&input, result.map($word::into_bits), $word::NAMES);
            })*
        };
    }
    each! { PinControls PrimaryControls SecondaryControls ExitControls EntryControls }
});

fn judge(input: &Input, result: Result<u32, UnsupportedControl>, names: &[(u8, &str)]) {
    let has = |word: u32, bit: u8| word >> bit & 1 == 1;
    let cannot_be_one = |bit: &u8| has(input.required, *bit) && !has(input.may, *bit);
    let cannot_be_zero = |bit: &u8| has(input.refused, *bit) && has(input.must, *bit);
    // A bit that is missing is told before one that is forced, and the lowest first.
    let one = (0..32).find(cannot_be_one).map(|bit| (bit, Setting::One));
    let refusal = one.or_else(|| (0..32).find(cannot_be_zero).map(|bit| (bit, Setting::Zero)));
    match (result, refusal) {
        (Err(error), Some(refusal)) => {
            assert_eq!((error.bit, error.setting), refusal);
            let name = names.iter().find(|(bit, _)| *bit == error.bit).map(|(_, name)| *name);
            assert!(name.is_none_or(|name| name == error.name), "{error}");
            assert_eq!(name.is_some(), names.iter().any(|(_, name)| *name == error.name), "{error}");
        }
        (Ok(word), None) => {
            for bit in 0..32 {
                let is_wanted = has(input.optional, bit) && has(input.may, bit) && !has(input.refused, bit);
                let expected = has(input.required, bit) || has(input.must, bit) || is_wanted;
                assert_eq!(has(word, bit), expected, "bit {bit} of {word:#x}");
            }
        }
        (result, refusal) => panic!("{result:?}, and the bits say {refusal:?}"),
    }
}

/// The TRUE MSRs count where bit 55 of IA32_VMX_BASIC says that there are such.
fn true_controls(input: &Input, msr: u64) {
    let other = input.default_capability;
    let capabilities = Capabilities::from_raw(RawCapabilities {
        basic: input.basic,
        pin: other,
        primary: other,
        exit: other,
        entry: other,
        true_pin: msr,
        true_primary: msr,
        true_exit: msr,
        true_entry: msr,
        secondary: msr,
        ..RawCapabilities::default()
    });
    let expected = ControlCapability::new(if input.basic >> 55 & 1 == 1 { msr } else { other });
    for capability in [capabilities.pin(), capabilities.primary(), capabilities.exit(), capabilities.entry()] {
        assert_eq!(capability, expected);
    }
    assert_eq!(capabilities.secondary(), ControlCapability::new(msr));
}
