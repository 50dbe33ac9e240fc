//! Any encoding and any value: what a VMCS keeps, what it refuses, and that no type of a field loses bits.
#![no_main]

use fuzz::register::bits;
use libfuzzer_sys::fuzz_target;
use x86_virt::vmx::field::{self, Access, Encoding, FieldInfo, FieldValue, Group, Width};
use x86_virt::vmx::{
    EntryControls, EntryInterruption, ExitControls, ExitReason, FakeVmcs, IdtVectoring, InstructionError,
    InterruptibilityState, PinControls, PrimaryControls, SecondaryControls, VmExitInterruption, VmFail, VmcsRead,
    VmcsWrite,
};
use x86_virt::{Efer, Rflags, SegmentAccessRights, ept::Eptp};

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    encoding: u32,
    /// A row of the table.
    row: u16,
    value: u64,
    other: u64,
}

fuzz_target!(|input: Input| {
    encoding(Encoding::new(input.encoding));
    let rows = field::ALL;
    let row = rows.get(usize::from(input.row) % rows.len());
    let known = row.map_or(Encoding::new(0), |info| info.encoding);
    encoding(known);

    let mut vmcs = FakeVmcs::new();
    for info in rows {
        vmcs.set_raw(info.encoding.get(), input.other);
    }
    write(&mut vmcs, known, &input);
    if Encoding::new(input.encoding).is_full_field() {
        write(&mut vmcs, Encoding::new(input.encoding), &input);
    }
    typed_values(input.value);

    // Through the types, with their own constants.
    vmcs.put(field::GUEST_RIP, input.value);
    assert_eq!(vmcs.get(field::GUEST_RIP), input.value);
    let rights = SegmentAccessRights::from_raw(input.value);
    vmcs.put(field::GUEST_CS_ACCESS_RIGHTS, rights);
    assert_eq!(vmcs.get(field::GUEST_CS_ACCESS_RIGHTS), rights);
});

/// Width, group and index are the bits of SDM appendix B, "Field Encoding in VMCS".
fn encoding(encoding: Encoding) {
    let raw = u64::from(encoding.get());
    let width = [Width::Bits16, Width::Bits64, Width::Bits32, Width::Natural];
    let group = [Group::Control, Group::ReadOnlyData, Group::Guest, Group::Host];
    let at = |offset| usize::try_from(bits(raw, offset, 2)).unwrap_or(9);
    assert_eq!((width.get(at(13)), group.get(at(10))), (Some(&encoding.width()), Some(&encoding.group())));
    assert_eq!(u64::from(encoding.index()), bits(raw, 1, 9));
    assert_eq!(encoding.is_full_field(), raw & 1 == 0 && bits(raw, 12, 1) == 0 && bits(raw, 15, 17) == 0);
    match FieldInfo::of(encoding) {
        Some(info) => {
            assert!(info.encoding == encoding && encoding.is_full_field());
            assert_eq!(encoding.to_string(), info.name);
            assert_eq!(info.access == Access::ReadOnly, encoding.group() == Group::ReadOnlyData);
            assert!(info.access == Access::Sensitive || encoding.group() != Group::Host);
        }
        None => assert!(field::ALL.iter().all(|info| info.encoding != encoding)),
    }
}

/// A write is refused, or changes one field and no other.
fn write(vmcs: &mut FakeVmcs, to: Encoding, input: &Input) {
    let before = vmcs.clone();
    // SAFETY: ordinary memory.
    #[expect(unsafe_code, reason = "a field of no type")]
    let result = unsafe { vmcs.write_raw(to, input.value) };
    let expected = match FieldInfo::of(to).map(|info| info.access) {
        None => Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD)),
        Some(Access::ReadOnly) => Err(VmFail::Valid(InstructionError::VMWRITE_READ_ONLY_FIELD)),
        Some(Access::ReadWrite | Access::Sensitive) => Ok(()),
    };
    assert_eq!(result, expected, "{to}");
    for info in field::ALL {
        let is_written = info.encoding == to && result.is_ok();
        let expected = if is_written { Ok(input.value) } else { before.read_raw(info.encoding) };
        assert_eq!(vmcs.read_raw(info.encoding), expected, "{} after a write to {to}", info.name);
    }
}

/// Every type that a field has keeps all of its bits.
fn typed_values(raw: u64) {
    fn check<T: FieldValue>(raw: u64) {
        let value = T::from_raw(raw);
        assert_eq!(value.into_raw(), bits(raw, 0, T::BITS), "{value:?}");
        assert_eq!(T::from_raw(value.into_raw()).into_raw(), value.into_raw());
    }
    check::<u16>(raw);
    check::<u32>(raw);
    check::<u64>(raw);
    check::<Efer>(raw);
    check::<EntryControls>(raw);
    check::<EntryInterruption>(raw);
    check::<Eptp>(raw);
    check::<ExitControls>(raw);
    check::<ExitReason>(raw);
    check::<IdtVectoring>(raw);
    check::<InstructionError>(raw);
    check::<InterruptibilityState>(raw);
    check::<PinControls>(raw);
    check::<PrimaryControls>(raw);
    check::<Rflags>(raw);
    check::<SecondaryControls>(raw);
    check::<SegmentAccessRights>(raw);
    check::<VmExitInterruption>(raw);
}
