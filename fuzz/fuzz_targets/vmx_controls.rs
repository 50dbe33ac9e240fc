//! Controls for any processor and any wish: bit by bit what was asked for, or the bit that cannot be so.
#![no_main]

use libfuzzer_sys::fuzz_target;
use x86_virt::vmx::{
    Capabilities, Control, ControlCapability, ControlConflict, ControlInfo, ControlValues, ControlWord, EntryControls,
    ExitControls, PinControls, PrimaryControls, RawCapabilities, SecondaryControls, SecondaryExitControls, Setting,
    TertiaryControls, UnsupportedControl, VmFunctionControls,
};

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
struct Input {
    /// The MSR of words of 32 bits: bits that must be 1, and those that may be.
    must: u32,
    may: u32,
    /// The MSR of words of 64 bits.
    may_wide: u64,
    required: u64,
    optional: u64,
    refused: u64,
    default_capability: u64,
    basic: u64,
    values: [u32; 8],
}

/// What is asked of a word of so many bits.
struct Wish {
    must: u64,
    may: u64,
    required: u64,
    optional: u64,
    refused: u64,
    width: u8,
}

fuzz_target!(|input: Input| {
    let msr = u64::from(input.may) << 32 | u64::from(input.must);
    true_controls(&input, msr);
    conflicts(&input);

    macro_rules! each {
        ($msr:expr, $must:expr, $may:expr, $width:literal, $cast:path: $($word:ident)*) => {
            $({
                let capability = ControlCapability::<$word>::new($msr);
                let (must, may) = (u64::from($must), u64::from($may));
                assert_eq!(u64::from(capability.must_be_one().into_bits()), must);
                assert_eq!(u64::from(capability.may_be_one().into_bits()), may);
                let word = |bits| $word::from_bits($cast(bits));
                let (required, optional, refused) = (word(input.required), word(input.optional), word(input.refused));
                let result = $word::negotiate(capability, required, optional, refused);
                let wish = Wish {
                    must,
                    may,
                    required: required.into_bits().into(),
                    optional: optional.into_bits().into(),
                    refused: refused.into_bits().into(),
                    width: $width,
                };
                judge(&wish, result.map(|word| word.into_bits().into()), $word::ALL);
                assert_eq!(capability.allows(optional), wish.optional & !may == 0 && must & !wish.optional == 0);
            })*
        };
    }
    each! {
        msr, input.must, input.may, 32, low:
        PinControls PrimaryControls SecondaryControls ExitControls EntryControls
    }
    each! {
        input.may_wide, 0_u32, input.may_wide, 64, core::convert::identity:
        TertiaryControls SecondaryExitControls VmFunctionControls
    }
});

const fn low(bits: u64) -> u32 {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

const fn has(word: u64, bit: u8) -> bool {
    word >> bit & 1 == 1
}

fn judge(wish: &Wish, result: Result<u64, UnsupportedControl>, controls: &[ControlInfo]) {
    let cannot_be_one = |bit: &u8| has(wish.required, *bit) && !has(wish.may, *bit);
    let cannot_be_zero = |bit: &u8| has(wish.refused, *bit) && has(wish.must, *bit);
    // A bit that is missing is told before one that is forced, and the lowest first.
    let one = (0..wish.width).find(cannot_be_one).map(|bit| (bit, Setting::One));
    let refusal = one.or_else(|| (0..wish.width).find(cannot_be_zero).map(|bit| (bit, Setting::Zero)));
    match (result, refusal) {
        (Err(error), Some(refusal)) => {
            assert_eq!((error.control.bit, error.setting), refusal);
            assert!(controls.iter().all(|info| info.control.word == error.control.word));
            let row = controls.iter().find(|info| info.control.bit == error.control.bit);
            assert_eq!(row, error.control.info(), "{error}");
        }
        (Ok(word), None) => {
            for bit in 0..wish.width {
                let is_wanted = has(wish.optional, bit) && has(wish.may, bit) && !has(wish.refused, bit);
                let expected = has(wish.required, bit) || has(wish.must, bit) || is_wanted;
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
        tertiary: input.may_wide,
        ..RawCapabilities::default()
    });
    let expected = if has(input.basic, 55) { msr } else { other };
    assert_eq!(capabilities.pin(), ControlCapability::<PinControls>::new(expected));
    assert_eq!(capabilities.primary(), ControlCapability::<PrimaryControls>::new(expected));
    assert_eq!(capabilities.exit(), ControlCapability::<ExitControls>::new(expected));
    assert_eq!(capabilities.entry(), ControlCapability::<EntryControls>::new(expected));
    assert_eq!(capabilities.secondary(), ControlCapability::<SecondaryControls>::new(msr));
    let [bit, ..] = input.required.to_le_bytes();
    for (word, may, must) in [
        (ControlWord::Pin, expected >> 32, expected & 0xffff_ffff),
        (ControlWord::Secondary, msr >> 32, msr & 0xffff_ffff),
        (ControlWord::Tertiary, input.may_wide, 0),
        (ControlWord::SecondaryExit, 0, 0),
    ] {
        let control = Control { word, bit };
        assert_eq!(capabilities.supports(control), bit < 64 && has(may, bit & 63), "{control}");
        assert_eq!(capabilities.must_be_one(control), bit < 64 && has(must, bit & 63), "{control}");
    }
}

/// Which words count, by the bits of the manual, and the rules of the table for what is in them.
fn conflicts(input: &Input) {
    let [pin, primary, secondary, tertiary, exit, secondary_exit, entry, vm_functions] = input.values;
    let values = ControlValues {
        pin: PinControls::from_bits(pin),
        primary: PrimaryControls::from_bits(primary),
        secondary: SecondaryControls::from_bits(secondary),
        tertiary: TertiaryControls::from_bits(tertiary.into()),
        exit: ExitControls::from_bits(exit),
        secondary_exit: SecondaryExitControls::from_bits(secondary_exit.into()),
        entry: EntryControls::from_bits(entry),
        vm_functions: VmFunctionControls::from_bits(vm_functions.into()),
    };
    // SDM sections 27.6.2, 27.7.1 and 27.6.14: bits 31 and 17 of the primary controls, 31 of the VM-exit controls, and 13 of the
    // secondary controls.
    let is_on = |word: u32, bit: u8| has(word.into(), bit);
    let has_secondary = is_on(primary, 31);
    let in_force = |control: &Control| {
        let (word, is_active) = match control.word {
            ControlWord::Pin => (pin, true),
            ControlWord::Primary => (primary, true),
            ControlWord::Secondary => (secondary, has_secondary),
            ControlWord::Tertiary => (tertiary, is_on(primary, 17)),
            ControlWord::Exit => (exit, true),
            ControlWord::SecondaryExit => (secondary_exit, is_on(exit, 31)),
            ControlWord::Entry => (entry, true),
            ControlWord::VmFunction => (vm_functions, has_secondary && is_on(secondary, 13)),
        };
        is_active && has(word.into(), control.bit)
    };
    let mut found = values.violations();
    for info in ControlWord::ALL.into_iter().flat_map(ControlWord::controls).filter(|info| in_force(&info.control)) {
        let control = info.control;
        for needed in info.needs.iter().copied().filter(|needed| !in_force(needed)) {
            assert_eq!(found.next(), Some(ControlConflict::Needs { control, needed }));
        }
        for excluded in info.excludes.iter().copied().filter(in_force) {
            assert_eq!(found.next(), Some(ControlConflict::Excludes { control, excluded }));
        }
    }
    assert_eq!(found.next(), None);
}
