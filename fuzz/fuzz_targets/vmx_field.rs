//! Any encoding and any value: what a VMCS keeps, what it refuses, and that no type of a field loses bits.
#![no_main]

use fuzz::register::bits;
use libfuzzer_sys::fuzz_target;
use x86_virt::SegmentAccessRights;
use x86_virt::vmx::field::{self, Access, Encoding, FieldInfo, FieldValue, Group, Width};
use x86_virt::vmx::{FakeVmcs, InstructionError, VmFail, VmcsRead, VmcsWrite};

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    encoding: u32,
    /// A row of the table.
    row: u16,
    /// Another, which keeps what it has.
    other_row: u16,
    is_high: bool,
    value: u64,
    other: u64,
}

fuzz_target!(|input: Input| {
    encoding(Encoding::new(input.encoding));
    let (Some(info), Some(other)) = (row(input.row), row(input.other_row)) else { return };
    encoding(info.encoding);
    typed(info, input.value);

    let mut vmcs = FakeVmcs::new();
    vmcs.set_raw(info.encoding.get(), input.other);
    vmcs.set_raw(other.encoding.get(), input.other);
    let to = if input.is_high { Encoding::new(info.encoding.get() | 1) } else { info.encoding };
    write(&mut vmcs, to, other, &input);
    write(&mut vmcs, Encoding::new(input.encoding), other, &input);

    // Through the types, with their own constants.
    vmcs.put(field::GUEST_RIP, input.value);
    assert_eq!(vmcs.get(field::GUEST_RIP), input.value);
    let rights = SegmentAccessRights::from_raw(input.value);
    vmcs.put(field::GUEST_CS_ACCESS_RIGHTS, rights);
    assert_eq!(vmcs.get(field::GUEST_CS_ACCESS_RIGHTS), rights);
});

fn row(number: u16) -> Option<&'static FieldInfo> {
    field::ALL.get(usize::from(number) % field::ALL.len())
}

/// Width, group and index are the bits of SDM appendix B, "Field Encoding in VMCS".
fn encoding(encoding: Encoding) {
    let raw = u64::from(encoding.get());
    let width = [Width::Bits16, Width::Bits64, Width::Bits32, Width::Natural];
    let group = [Group::Control, Group::ReadOnlyData, Group::Guest, Group::Host];
    let at = |offset| usize::try_from(bits(raw, offset, 2)).unwrap_or(9);
    assert_eq!((width.get(at(13)), group.get(at(10))), (Some(&encoding.width()), Some(&encoding.group())));
    assert_eq!(u64::from(encoding.index()), bits(raw, 1, 9));
    assert_eq!(encoding.is_full_field(), raw & 1 == 0 && bits(raw, 12, 1) == 0 && bits(raw, 15, 17) == 0);
    assert_eq!((encoding.is_high(), u64::from(encoding.full().get())), (raw & 1 == 1, raw & !1));
    assert_eq!(encoding.high_half().map(|half| u64::from(half.get())), (at(13) == 1).then_some(raw | 1));
    let found = field::ALL.iter().find(|info| info.encoding == encoding);
    assert_eq!(FieldInfo::of(encoding).map(|info| info.name), found.map(|info| info.name));
    if let Some(info) = found {
        assert!(encoding.is_full_field());
        assert_eq!(encoding.to_string(), info.name);
        assert_eq!(info.access == Access::ReadOnly, encoding.group() == Group::ReadOnlyData);
        assert!(info.access == Access::Sensitive || encoding.group() != Group::Host);
    }
}

/// The type of the field keeps all of its bits, and its text begins with them.
fn typed(info: &FieldInfo, value: u64) {
    let width = info.encoding.width().bits();
    let kept = bits(value, 0, width);
    assert_eq!(info.through_type(value), kept, "{}", info.name);
    let text = info.text(kept).to_string();
    let number = text.split(' ').next().and_then(|word| word.strip_prefix("0x"));
    assert_eq!(
        number.map(|digits| u64::from(width).div_ceil(4) == u64::try_from(digits.len()).unwrap_or(0)),
        Some(true)
    );
    assert_eq!(number.and_then(|digits| u64::from_str_radix(digits, 16).ok()), Some(kept), "{text}");
}

/// What a field of so many bits keeps, or the part of it that the access is to.
fn part(to: Encoding, raw: u64) -> u64 {
    let is_half = to.get() & 1 == 1;
    if is_half { raw >> 32 } else { raw }
}

/// A write is refused, or changes the field, or half of it, and no other.
fn write(vmcs: &mut FakeVmcs, to: Encoding, other: &FieldInfo, input: &Input) {
    let full = Encoding::new(to.get() & !1);
    let is_half = to.get() & 1 == 1;
    let info = FieldInfo::of(full).filter(|info| !is_half || info.encoding.width() == Width::Bits64);
    let (before, other_before) = (vmcs.read_raw(full), vmcs.read_raw(other.encoding));
    // SAFETY: ordinary memory.
    #[expect(unsafe_code, reason = "a field of no type")]
    let result = unsafe { vmcs.write_raw(to, input.value) };
    let after = vmcs.read_raw(to);
    match info {
        None => {
            let none = VmFail::Valid(InstructionError::UNSUPPORTED_FIELD);
            assert_eq!((result, after), (Err(none), Err(none)), "{to}");
        }
        Some(info) if info.access == Access::ReadOnly => {
            assert_eq!(result, Err(VmFail::Valid(InstructionError::VMWRITE_READ_ONLY_FIELD)));
            assert_eq!(after, before.map(|raw| part(to, raw)));
        }
        Some(info) => {
            assert_eq!(result, Ok(()));
            let width = if is_half { 32 } else { info.encoding.width().bits() };
            assert_eq!(after, Ok(bits(input.value, 0, width)), "{to}");
            if is_half {
                let expected = before.map(|raw| bits(raw, 0, 32) | input.value << 32);
                assert_eq!(vmcs.read_raw(full), expected, "{to}");
            }
        }
    }
    if other.encoding != full {
        assert_eq!(vmcs.read_raw(other.encoding), other_before, "{} after a write to {to}", other.name);
    }
}
