//! What exits of SVM report beside their code: no bit is lost, the format is that of the code, and the words are read bit by bit.
#![no_main]

use fuzz::register::{bits, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::svm::vmcb::{
    InterruptState, NestedControl, SegmentAttributes, VirtualExtensions, VirtualInterruptControl, VmcbSegment,
};
use x86_virt::svm::{
    AvicAccessInfo, AvicEoiInfo, AvicIcr, AvicIpiInfo, ExceptionInfo, ExitCode, ExitInfo, IoioInfo, MoveDrInfo,
    MoveInfo, MsrInfo, NpfInfo, SmiInfo, SvmExit, SvmFeatures, SwintInfo, TaskSwitchInfo, TaskSwitchTarget, VmCr,
};
use x86_virt::{Access, IoDirection, NestedFaultCause, Segment};

/// An exit code: most often one of those that the manual has.
#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
enum Code {
    Intercept(u8),
    Other(u8),
    Any(u64),
}

impl Code {
    fn get(self) -> u64 {
        match self {
            Self::Intercept(number) => u64::from(number),
            Self::Other(number) => 0x400 + u64::from(number % 16),
            Self::Any(number) => number,
        }
    }
}

fuzz_target!(|input: (Code, u64, u64, Segment)| {
    let (code, raw, other, segment) = input;
    information(code.get(), raw, other);
    words(raw);
    ioio(check(raw), raw);
    npf(check(raw), raw);
    smi(check(raw), raw);
    let moved = check::<MoveInfo>(raw);
    assert_eq!((u64::from(moved.gpr()), moved.is_move()), (bits(raw, 0, 4), raw >> 63 == 1));

    // A segment goes into the VMCB and comes back, but for what the VMCB has no bits for.
    let attributes = check::<SegmentAttributes>(raw);
    let rights = x86_virt::SegmentAccessRights::from(attributes);
    assert_eq!(u64::from(SegmentAttributes::from(rights).into_bits()), bits(raw, 0, 12));
    let back = Segment::from(VmcbSegment::from(segment));
    assert_eq!((back.selector, back.limit, back.base), (segment.selector, segment.limit, segment.base));
    assert_eq!(back.rights.present(), segment.rights.present() && !segment.rights.unusable());
    assert_eq!(Segment::from(VmcbSegment::from(back)), back);
});

/// The formats by code: AMD APM vol. 2, appendix C, and the sections of the intercepts in chapter 15.
fn format(code: u64, info1: u64) -> Option<&'static str> {
    Some(match code {
        // All accesses to CR0 to CR15, and CR0_SEL_WRITE.
        0x00..=0x1f | 0x65 => "MOV_CR",
        0x20..=0x3f => "MOV_DR",
        0x40..=0x5f => "EXCEPTION",
        0x62 => "SMI",
        0x75 => "SWINT",
        0x79 => "INVLPG",
        0x7b => "IOIO",
        0x7c => "MSR",
        0x7d => "TASK_SWITCH",
        // EFER_WRITE_TRAP and CR0_WRITE_TRAP to CR15_WRITE_TRAP.
        0x8f..=0x9f => "WRITE_TRAP",
        0xa5 => "BUSLOCK",
        0x400 if info1 >> 63 == 1 => "NOT_RESTARTABLE",
        0x400 => "NPF",
        0x401 => "AVIC_INCOMPLETE_IPI",
        0x402 => "AVIC_NOACCEL",
        0x403 => "VMGEXIT",
        _ => return None,
    })
}

fn information(code: u64, info1: u64, info2: u64) {
    let exit = SvmExit { code: ExitCode::from_bits(code), info1, info2 };
    let info = exit.info();
    assert_eq!(info, ExitInfo::new(exit.code, info1, info2));
    assert_eq!(info.into_raw(), (info1, info2), "{info:?}");
    assert_eq!(info.name(), format(code, info1), "{code:#x}");
    let text = info.to_string();
    let Some(name) = info.name() else {
        assert_eq!(text, format!("{info1:#x}, {info2:#x}"));
        return;
    };
    // Each word begins with its number.
    let words = text.strip_prefix(name).and_then(|text| text.strip_prefix(": ")?.split_once(", "));
    let number = |word: &str| u64::from_str_radix(word.split(' ').next()?.strip_prefix("0x")?, 16).ok();
    assert_eq!(words.and_then(|(one, two)| Some((number(one)?, number(two)?))), Some((info1, info2)), "{text}");
}

/// Their bits and their texts.
fn words(raw: u64) {
    check::<InterruptState>(raw);
    check::<MsrInfo>(raw);
    check::<NestedControl>(raw);
    check::<SvmFeatures>(raw);
    check::<VirtualExtensions>(raw);
    check::<VirtualInterruptControl>(raw);
    check::<VmCr>(raw);
    assert_eq!(u64::from(check::<MoveDrInfo>(raw).gpr()), bits(raw, 0, 4));
    assert_eq!(u64::from(check::<SwintInfo>(raw).vector()), bits(raw, 0, 8));
    assert_eq!(u64::from(check::<ExceptionInfo>(raw).error_code()), bits(raw, 0, 32));
    assert_eq!(u64::from(check::<TaskSwitchTarget>(raw).selector()), bits(raw, 0, 16));
    let switch = check::<TaskSwitchInfo>(raw);
    assert_eq!(u64::from(switch.error_code()), bits(raw, 0, 32));
    let flags = [(36, switch.iret()), (38, switch.jmp()), (44, switch.ev()), (48, switch.rf())];
    assert!(flags.into_iter().all(|(bit, is_set)| is_set == (bits(raw, bit, 1) == 1)), "{switch}");
    let icr = check::<AvicIcr>(raw);
    assert_eq!((u64::from(icr.icrl()), u64::from(icr.icrh())), (bits(raw, 0, 32), raw >> 32));
    let ipi = check::<AvicIpiInfo>(raw);
    assert_eq!((u64::from(ipi.index()), u64::from(ipi.id().into_bits())), (bits(raw, 0, 12), raw >> 32));
    let access = check::<AvicAccessInfo>(raw);
    assert_eq!((u64::from(access.register().into_bits()), access.rw()), (raw & 0xff0, bits(raw, 32, 1) == 1));
    assert_eq!(u64::from(check::<AvicEoiInfo>(raw).vector()), bits(raw, 0, 8));
}

/// AMD APM vol. 2, section 15.10.2, "IN and OUT Behavior": the lowest of the size bits counts.
fn ioio(info: IoioInfo, raw: u64) {
    assert_eq!(info.direction() == IoDirection::In, bits(raw, 0, 1) == 1);
    assert_eq!(u64::from(info.port()), bits(raw, 16, 16));
    let lowest = |offset| Some(bits(raw, offset, 3).trailing_zeros()).filter(|bit| *bit < 3);
    assert_eq!(info.size().map(|size| u64::from(size.bytes())), lowest(4).map(|bit| 1 << bit));
    let width = lowest(7).map(|bit| u64::MAX >> (64 - (16 << bit)));
    assert_eq!(info.address_size().map(|size| size.mask()), width);
}

/// AMD APM vol. 2, section 15.13.3, "SMI Intercept": from bit 32 on the word is that of port I/O, with VAL for its bit 1.
fn smi(info: SmiInfo, raw: u64) {
    let io = check::<IoioInfo>(raw >> 32);
    assert_eq!((info.is_in(), info.str(), info.rep()), (io.is_in(), io.str(), io.rep()));
    assert_eq!((info.sz8(), info.sz16(), info.sz32()), (io.sz8(), io.sz16(), io.sz32()));
    assert_eq!((info.a16(), info.a32(), info.a64()), (io.a16(), io.a32(), io.a64()));
    assert_eq!((info.port(), info.val()), (io.port(), bits(raw, 33, 1) == 1));
    assert_eq!((info.smisrc(), info.mcredir()), (bits(raw, 0, 1) == 1, bits(raw, 1, 1) == 1));
    assert_eq!((u64::from(info.brp()), info.tf()), (bits(raw, 44, 4), bits(raw, 43, 1) == 1));
}

/// AMD APM vol. 2, section 15.25.6, "Nested versus Guest Page Faults, Fault Ordering".
fn npf(info: NpfInfo, raw: u64) {
    let access = match (bits(raw, 1, 1), bits(raw, 4, 1)) {
        (1, _) => Access::WRITE,
        (_, 1) => Access::EXECUTE,
        _ => Access::READ,
    };
    assert_eq!(info.access(), access);
    assert_eq!(info.table_walk(), bits(raw, 33, 1) == 1);
    let is_reserved = bits(raw, 3, 1) == 1;
    assert_eq!(info.cause() == NestedFaultCause::Misconfiguration, is_reserved, "{info}");
    assert!(is_reserved || (info.cause() == NestedFaultCause::NotMapped) == (bits(raw, 0, 1) == 0), "{info}");
}
