//! Any exit code: its name, what it is, and the intercept that it is the number of.
#![no_main]

use libfuzzer_sys::fuzz_target;
use x86_virt::svm::{ExitCode, InterceptSet, SvmExit};

/// The codes of intercepts: word `code / 32`, bit `code % 32` of six words.
const INTERCEPTS: u64 = 6 * 32;

fuzz_target!(|input: (u64, u64, u64, [u32; 6])| {
    let (raw, info1, info2, words) = input;
    let code = ExitCode::from_bits(raw);
    assert_eq!(code.into_bits(), raw);
    let exit = SvmExit { code, info1, info2 };
    assert_eq!(exit.to_string(), format!("{code} ({info1:#x}, {info2:#x})"));
    match code.name() {
        Some(name) => assert_eq!(code.to_string(), name),
        None => assert_eq!(code.to_string(), format!("{raw:#x}")),
    }
    assert_eq!(code.name().is_some(), ExitCode::ALL.iter().any(|row| row.value == raw));
    // -1, in 64 bits or in 32, is VMEXIT_INVALID.
    assert_eq!(code.is_invalid(), raw == u64::MAX || raw == u64::from(u32::MAX));
    assert!(!(code.is_refusal() && code.is_instruction()), "{code}");
    assert!(code.is_refusal() || !code.is_invalid());

    let set = InterceptSet::from_words(words);
    let position = (raw < INTERCEPTS).then_some((usize::try_from(raw / 32).unwrap_or(9), 1 << (raw % 32)));
    let bit = |set: InterceptSet| position.and_then(|(word, bit)| Some(set.words().get(word)? & bit != 0));
    assert_eq!(set.contains(code), bit(set).unwrap_or(false));
    for (changed, is_set) in [(set.with(code), true), (set.without(code), false)] {
        assert_eq!(bit(changed), position.map(|_| is_set));
        for (at, (before, after)) in words.into_iter().zip(changed.words()).enumerate() {
            let mask = position.filter(|(word, _)| *word == at).map_or(0, |(_, bit)| bit);
            assert_eq!((before ^ after) & !mask, 0, "{code} changed another bit");
        }
    }
});
