//! Words of named bits.

use x86_virt::Register;

/// Checks that `R` keeps all bits of `raw`, and that its text has the value, each field that is not zero, and no other word.
///
/// # Panics
///
/// Where that does not hold.
pub fn check<R: Register + PartialEq>(raw: u64) -> R {
    let register = R::from_raw(raw);
    let kept = bits(raw, 0, R::WIDTH);
    assert_eq!(register.into_raw(), kept, "{register:?}");
    assert_eq!(R::from_raw(kept), register);
    let text = register.to_string();
    let mut words = text.split(' ');
    assert_eq!(words.next().and_then(number), Some(kept), "{text}");
    let mut end = 0;
    let mut fields = R::FIELDS.iter();
    for word in words {
        let (name, shown) = word.split_once('=').map_or((word, None), |(name, shown)| (name, Some(shown)));
        // In the order of the bits, so that what is passed over is not shown.
        let field = fields.by_ref().find(|field| {
            assert!(field.offset >= end && field.offset + field.width <= R::WIDTH, "{field:?}");
            end = field.offset + field.width;
            assert!(field.name == name || bits(kept, field.offset, field.width) == 0, "{field:?} is not in {text}");
            field.name == name
        });
        let field = field.unwrap_or_else(|| panic!("{name} is no field: {text}"));
        let value = bits(kept, field.offset, field.width);
        match shown {
            None => assert_eq!((field.width, value), (1, 1), "{name} in {text}"),
            // A name, of a code, stands for its number.
            Some(shown) => assert_eq!(number(shown).unwrap_or(value), value, "{name} in {text}"),
        }
    }
    for field in fields {
        assert_eq!(bits(kept, field.offset, field.width), 0, "{field:?} is not in {text}");
    }
    register
}

/// The `width` bits of `value` from `offset` on.
#[must_use]
pub const fn bits(value: u64, offset: u32, width: u32) -> u64 {
    value >> offset & (u64::MAX >> (64 - width))
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
