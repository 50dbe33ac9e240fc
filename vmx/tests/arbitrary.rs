//! Every public value type of this crate can be made from any bytes.
#![cfg(test)]
#![cfg(all(feature = "arbitrary", target_arch = "x86_64"))]

use core::fmt::Debug;

use proptest::prelude::any;
use proptest::{collection, prop_assert, prop_assert_eq, proptest};
use x86_virt_core::arbitrary::{Arbitrary, Unstructured};
#[cfg(feature = "provisional")]
use x86_virt_vmx::ExtendedInstructionInformation;
use x86_virt_vmx::field::{Access, Encoding, FieldInfo, Group, Width};
use x86_virt_vmx::profile::Profile;
use x86_virt_vmx::{
    AbortIndicator, ActivityState, AddressSizeCode, ApicAccessQualification, ApicAccessType, ApicOffset, ApicVectors,
    ApicWriteQualification, Basic, BasicExitReason, Capabilities, CapabilityMsr, Control, ControlCapability,
    ControlConflict, ControlInfo, ControlRegisterAccessType, ControlRegisterQualification, ControlValues, ControlWord,
    CreateError, DebugExceptionQualification, DebugRegisterQualification, DescriptorTableInformation,
    DescriptorTableInstruction, EnterError, EntryControls, EntryError, EntryFailureCause, EntryIndex,
    EntryInterruption, EptViolationQualification, EventType, ExitControls, ExitQualification, ExitReason, FakeVmcs,
    FeatureControl, FieldAccessInformation, FieldError, GuestInterruptStatus, IdtVectoring, InstructionError,
    InstructionInformation, InstructionTimeoutQualification, InterruptibilityState, InvalidMsrArea,
    InvalidationInformation, InveptDescriptor, InveptType, InvvpidDescriptor, InvvpidType, IoQualification, LoadError,
    LoadiwkeyInformation, MemoryInformation, MemoryOperand, Misc, MsrAreaEntry, MsrExistence, MsrInformation,
    MsrQualification, MwaitQualification, PageModificationLogFullQualification, ParseDumpError, Pasid,
    PasidDirectoryEntry, PasidQualification, PasidTableEntry, PendingDebugExceptions, PidPointer, PinControls,
    PostedInterruptControl, PrimaryControls, RandomInformation, RawCapabilities, RegionRevision, RegisterNumber,
    SecondaryControls, SecondaryExitControls, SegmentNumber, SegmentTableInformation, SegmentTableInstruction, Setting,
    SizeCode, SppQualification, StartupIpiQualification, StringIoInformation, TaskSwitchQualification,
    TaskSwitchSource, TertiaryControls, Unsupported, UnsupportedControl, VectorSet, VirtualizationException,
    VirtualizedEoiQualification, VmExitInterruption, VmFail, VmFunction, VmFunctionControls, VmcsDump, VmcsEnum,
    VmcsHeader, WaitInformation, WbinvdQualification, WrmsrQualification,
};

fn make<T: for<'a> Arbitrary<'a> + Debug>(bytes: &[u8]) -> String {
    format!("{:?}", T::arbitrary(&mut Unstructured::new(bytes)).unwrap())
}

/// Makes a value of each type from the bytes, and formats it.
macro_rules! make_each {
    ($bytes:expr; $($value:ty),* $(,)?) => {
        [$(make::<$value>($bytes)),*].into()
    };
}

fn make_all(bytes: &[u8]) -> Vec<String> {
    #[cfg(feature = "provisional")]
    make::<ExtendedInstructionInformation>(bytes);
    make_each! {
        bytes;
        AbortIndicator, Access, ActivityState, AddressSizeCode, ApicAccessQualification, ApicAccessType, ApicOffset,
        ApicVectors, ApicWriteQualification, Basic, BasicExitReason, Capabilities, CapabilityMsr, Control,
        ControlCapability<EntryControls>, ControlCapability<ExitControls>, ControlCapability<PinControls>,
        ControlCapability<PrimaryControls>, ControlCapability<SecondaryControls>,
        ControlCapability<SecondaryExitControls>, ControlCapability<TertiaryControls>,
        ControlCapability<VmFunctionControls>, ControlConflict, ControlInfo, ControlRegisterAccessType,
        ControlRegisterQualification, ControlValues, ControlWord, CreateError, DebugExceptionQualification,
        DebugRegisterQualification, DescriptorTableInformation, DescriptorTableInstruction, Encoding, EnterError,
        EntryControls, EntryError, EntryFailureCause, EntryIndex, EntryInterruption, EptViolationQualification,
        EventType, ExitControls, ExitQualification, ExitReason, FakeVmcs, FeatureControl, FieldAccessInformation,
        FieldError, FieldInfo, Group, GuestInterruptStatus, IdtVectoring, InstructionError, InstructionInformation,
        InstructionTimeoutQualification, InterruptibilityState, InvalidMsrArea, InvalidationInformation,
        InveptDescriptor, InveptType, InvvpidDescriptor, InvvpidType, IoQualification, LoadError,
        LoadiwkeyInformation, MemoryInformation, MemoryOperand, Misc, MsrAreaEntry, MsrExistence, MsrInformation,
        MsrQualification, MwaitQualification, PageModificationLogFullQualification, ParseDumpError, Pasid,
        PasidDirectoryEntry, PasidQualification, PasidTableEntry, PendingDebugExceptions, PidPointer, PinControls,
        PostedInterruptControl, PrimaryControls, Profile, RandomInformation, RawCapabilities, RegionRevision,
        RegisterNumber, SecondaryControls, SecondaryExitControls, SegmentNumber, SegmentTableInformation,
        SegmentTableInstruction, Setting, SizeCode, SppQualification, StartupIpiQualification, StringIoInformation,
        TaskSwitchQualification, TaskSwitchSource, TertiaryControls, Unsupported, UnsupportedControl, VectorSet,
        VirtualizationException, VirtualizedEoiQualification, VmExitInterruption, VmFail, VmFunction,
        VmFunctionControls, VmcsDump, VmcsEnum, VmcsHeader, WaitInformation, WbinvdQualification, Width,
        WrmsrQualification,
    }
}

proptest! {
    #[test]
    fn any_bytes_make_every_value(bytes in collection::vec(any::<u8>(), 0..2048)) {
        prop_assert_eq!(make_all(&bytes), make_all(&bytes));
    }

    #[test]
    fn made_values_are_valid(bytes in collection::vec(any::<u8>(), 0..2048)) {
        let mut bytes = Unstructured::new(&bytes);
        let capability = ControlCapability::<TertiaryControls>::arbitrary(&mut bytes).unwrap();
        prop_assert_eq!(capability.must_be_one(), TertiaryControls::NONE);
        let operand = MemoryOperand::arbitrary(&mut bytes).unwrap();
        prop_assert!(operand.index.is_none_or(|(_, factor)| [1, 2, 4, 8].contains(&factor)));
        let index = EntryIndex::arbitrary(&mut bytes).unwrap();
        prop_assert_eq!(EntryIndex::new(index.get()), Some(index));
        let pasid = Pasid::arbitrary(&mut bytes).unwrap();
        prop_assert_eq!(Pasid::new(pasid.get()), Some(pasid));
        let dump = VmcsDump::arbitrary(&mut bytes).unwrap();
        prop_assert_eq!(VmcsDump::parse(&dump.to_string()), Ok(dump));
    }
}
