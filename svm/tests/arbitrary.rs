//! Every public value type of this crate can be made from any bytes.
#![cfg(test)]
#![cfg(all(feature = "arbitrary", target_arch = "x86_64"))]

use core::fmt::Debug;

use proptest::prelude::{ProptestConfig, any};
use proptest::{collection, prop_assert, prop_assert_eq, proptest};
use x86_virt_core::arbitrary::{Arbitrary, Unstructured};
use x86_virt_svm::ghcb::Ghcb;
use x86_virt_svm::profile::Profile;
use x86_virt_svm::vmcb::{
    CleanBits, ControlArea, EventInjection, EventType, FetchedBytes, InterruptState, NestedControl, RapControl,
    SaveArea, SegmentAttributes, TlbControl, UpdateIrr, VirtualExtensions, VirtualInterruptControl, Vmcb, VmcbAccess,
    VmcbFieldInfo, VmcbSegment,
};
use x86_virt_svm::vmsa::{Vmsa, VmsaVirtualInterrupt};
use x86_virt_svm::{
    AllowedSevFeatures, AvicAccessInfo, AvicDoorbell, AvicEoiInfo, AvicIcr, AvicIpiFailure, AvicIpiInfo,
    AvicLogicalEntry, AvicPhysicalEntry, AvicPhysicalTable, AvicRegister, AvicWrite, Capabilities, CreateError,
    EncryptionFeatures, EncryptionParameters, EnterError, EntryError, ExceptionInfo, ExitCode, ExitInfo, GhcbDump,
    GhcbInfo, GhcbMsr, Ignne, InterceptSet, IoioInfo, LoadError, MoveDrInfo, MoveInfo, MsrInfo, NpfInfo,
    ParseDumpError, ParseDumpErrorKind, RawCpuid, RmpConfiguration, SecureAvicControl, SevFeatures, SevStatus, SmiInfo,
    SmmCtl, SoftwareExitCode, SvmExit, SvmExtendedFeatures, SvmFeatures, SvmMsr, SvmRevision, SwintInfo,
    TaskSwitchInfo, TaskSwitchTarget, TscRatio, Unsupported, VcErrorCode, VmCr, VmcbDump, VmgexitCode, VmpageFlush,
    VmsaDump,
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
    make_each! {
        bytes;
        AllowedSevFeatures, AvicAccessInfo, AvicDoorbell, AvicEoiInfo, AvicIcr, AvicIpiFailure, AvicIpiInfo,
        AvicLogicalEntry, AvicPhysicalEntry, AvicPhysicalTable, AvicRegister, AvicWrite, Capabilities, CleanBits,
        ControlArea, CreateError, EncryptionFeatures, EncryptionParameters, EnterError, EntryError, EventInjection,
        EventType, ExceptionInfo, ExitCode, ExitInfo, FetchedBytes, Ghcb, GhcbDump, GhcbInfo, GhcbMsr, Ignne,
        InterceptSet, InterruptState, IoioInfo, LoadError, MoveDrInfo, MoveInfo, MsrInfo, NestedControl, NpfInfo,
        ParseDumpError, ParseDumpErrorKind, Profile, RapControl, RawCpuid, RmpConfiguration, SaveArea,
        SecureAvicControl, SegmentAttributes, SevFeatures, SevStatus, SmiInfo, SmmCtl, SoftwareExitCode, SvmExit,
        SvmExtendedFeatures, SvmFeatures, SvmMsr, SvmRevision, SwintInfo, TaskSwitchInfo, TaskSwitchTarget,
        TlbControl, TscRatio, Unsupported, UpdateIrr, VcErrorCode, VirtualExtensions, VirtualInterruptControl, VmCr,
        Vmcb, VmcbAccess, VmcbDump, VmcbFieldInfo, VmcbSegment, VmgexitCode, VmpageFlush, Vmsa, VmsaDump,
        VmsaVirtualInterrupt,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_make_every_value(bytes in collection::vec(any::<u8>(), 0..5000)) {
        prop_assert_eq!(make_all(&bytes), make_all(&bytes));
    }

    #[test]
    fn made_values_are_valid(bytes in collection::vec(any::<u8>(), 0..5000)) {
        let mut source = Unstructured::new(&bytes);
        let capabilities = Capabilities::arbitrary(&mut source).unwrap();
        prop_assert_eq!(Capabilities::new(capabilities.cpuid()), Ok(capabilities));
        let vmcb = Vmcb::arbitrary(&mut Unstructured::new(&bytes)).unwrap();
        let given = bytes.iter().copied().chain(core::iter::repeat(0)).take(4096);
        prop_assert!(vmcb.to_bytes().into_iter().eq(given));
    }
}
