//! Every public value type of this crate can be made from any bytes.
#![cfg(test)]
#![cfg(all(feature = "arbitrary", target_arch = "x86_64"))]

use core::fmt::Debug;

use proptest::prelude::any;
use proptest::{collection, prop_assert_eq, proptest};
use x86_virt_core::arbitrary::{Arbitrary, Unstructured};
use x86_virt_core::fpu::Osxsave;
use x86_virt_core::{
    Access, AccessError, Activity, AddressSize, BytesError, ComponentError, ControlRegister, ControlRegisterAccess,
    CpuState, Cr0, Cr4, DescriptorTable, DonateError, Efer, Entry, Event, Exception, Exit, ExitKind, ExtendedState,
    FpuPolicy, Gpa, Gpr, Gprs, GuestRamError, Gva, Hpa, InjectError, Instruction, Intercepts, Interruptibility, Io,
    IoDirection, IoError, IoSize, MapError, Mapping, MemoryType, MsrAccess, MsrRangeError, Msrs, NestedFault,
    NestedFaultCause, OutOfFrames, PageAttributes, PageSize, PagingLevel, PendingDebugExceptions, Permission,
    ProcessorRole, Register, RegisterAccess, RegisterOperand, Rflags, Segment, SegmentAccessRights, SegmentError,
    SegmentRegister, SkipError, StateComponent, StateError, StringIo, StringOperand, SwitchedMsr, Translation,
    Unsupported, VcpuConfig, VcpuState,
};

/// Makes a value of each type from the bytes, and formats it.
macro_rules! make_each {
    ($bytes:expr; $($value:ty),* $(,)?) => {
        [$(make::<$value>($bytes)),*]
    };
}

fn make<T: for<'a> Arbitrary<'a> + Debug>(bytes: &[u8]) -> String {
    format!("{:?}", T::arbitrary(&mut Unstructured::new(bytes)).unwrap())
}

fn make_all(bytes: &[u8]) -> [String; 67] {
    make_each! {
        bytes;
        Access, AccessError, AddressSize, ControlRegister, ControlRegisterAccess, CpuState, Cr0, Cr4, DescriptorTable,
        DonateError, Efer, Entry, Event, Exception, Exit<u32>, ExitKind, FpuPolicy, Gpa, Gpr, Gprs, GuestRamError, Gva,
        Hpa, InjectError, Instruction, Intercepts, Interruptibility, Io, IoDirection, IoError, IoSize, MapError,
        Mapping, MemoryType, MsrAccess, MsrRangeError, NestedFault, NestedFaultCause, Osxsave, OutOfFrames,
        PageAttributes, PageSize, PagingLevel,
        Permission, RegisterAccess, RegisterOperand, Rflags, Segment, SegmentAccessRights, SegmentRegister, SkipError,
        StateError, StringIo, StringOperand, SwitchedMsr, Translation, Unsupported,
        Activity, BytesError, ComponentError, ExtendedState, Msrs, PendingDebugExceptions, ProcessorRole, SegmentError, StateComponent, VcpuState,
    }
}

/// The words of bits keep all 64 or 32 of them, and what a field reads is what is there.
fn check_register<R: Register>(raw: u64) {
    let kept = R::from_raw(raw).into_raw();
    assert_eq!(kept, raw & u64::MAX >> (64 - R::WIDTH));
    let text = R::from_raw(raw).to_string();
    for field in R::FIELDS {
        let value = kept >> field.offset & u64::MAX >> (64 - field.width);
        let shown = text.split(' ').skip(1).any(|word| word.split('=').next() == Some(field.name));
        assert_eq!(shown, value != 0, "{} in {text}", field.name);
    }
}

proptest! {
    #[test]
    fn any_bytes_make_every_value(bytes in collection::vec(any::<u8>(), 0..512)) {
        prop_assert_eq!(make_all(&bytes), make_all(&bytes));
    }

    #[test]
    fn made_values_are_valid(bytes in collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = Unstructured::new(&bytes);
        let access = Access::arbitrary(&mut bytes).unwrap();
        prop_assert_eq!(Access::from_bits_truncate(access.bits()), access);
        let config = VcpuConfig::arbitrary(&mut bytes).unwrap();
        prop_assert_eq!(config.fpu(), FpuPolicy::Switched);
    }

    #[test]
    fn registers_keep_and_show_all_bits(raw in any::<u64>()) {
        check_register::<Cr0>(raw);
        check_register::<Cr4>(raw);
        check_register::<Efer>(raw);
        check_register::<Rflags>(raw);
        check_register::<Intercepts>(raw);
        check_register::<SegmentAccessRights>(raw);
    }

    #[test]
    fn event_validity_depends_on_vector_and_code(event_bytes in any::<[u8; 16]>(), protected in any::<bool>()) {
        let event = Event::arbitrary(&mut Unstructured::new(&event_bytes)).unwrap();
        let valid = match event {
            Event::Exception(Exception { vector, error_code }) => {
                let pushes = protected && [8, 10, 11, 12, 13, 14, 17, 21, 29, 30].contains(&vector);
                vector < 32 && vector != 2 && pushes == error_code.is_some()
            }
            _ => true,
        };
        prop_assert_eq!(event.validate(protected).is_ok(), valid);
    }
}
