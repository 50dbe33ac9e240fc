//! The formats of the manual, and that nothing is lost in any.

extern crate std;

use std::collections::BTreeSet;
use std::string::{String, ToString};

use proptest::prelude::*;
use x86_virt_core::{Gpa, Gva};

use super::{AvicIcr, AvicIpiInfo, ExceptionInfo, ExitInfo, NpfInfo, exit_info_rows};
use crate::exit_code::ExitCode;

#[test]
fn there_are_16_formats() {
    let mut names = BTreeSet::new();
    for code in 0..0x500 {
        for info1 in [0, 1 << 63] {
            names.extend(ExitInfo::new(ExitCode::from_bits(code), info1, 0).name());
        }
    }
    assert_eq!(names.len(), 16);
    let mut groups = BTreeSet::new();
    exit_info_rows(&mut |row| {
        groups.insert(row.group.to_string().split(' ').next().map(String::from));
    });
    assert_eq!(groups.len(), 16);
}

#[test]
fn rows_have_the_bits_of_the_manual() {
    let mut rows = BTreeSet::new();
    exit_info_rows(&mut |row| {
        assert!(rows.insert((row.group.to_string(), row.name, row.encoding, row.width_bits)), "{row:?}");
    });
    for (group, name, bit, width) in [
        ("MOV_CR EXITINFO1", "IS_MOVE", 63, 1),
        ("IOIO EXITINFO1", "PORT", 16, 16),
        ("IOIO EXITINFO2", "NEXT_RIP", 0, 64),
        ("TASK_SWITCH EXITINFO2", "RF", 48, 1),
        ("NPF EXITINFO1", "VMPL", 36, 1),
        ("AVIC_INCOMPLETE_IPI EXITINFO2", "ID", 32, 32),
        ("AVIC_NOACCEL EXITINFO1", "APIC_OFFSET", 4, 8),
        ("SMI EXITINFO1", "PORT", 48, 16),
    ] {
        assert!(rows.contains(&(group.to_string(), name, bit, width)), "{group} {name}");
    }
}

#[test]
fn codes_have_their_formats() {
    for (code, info1, name) in [
        (ExitCode::CR8_WRITE, 0, Some("MOV_CR")),
        (ExitCode::CR0_SEL_WRITE, 0, Some("MOV_CR")),
        (ExitCode::DR7_READ, 0, Some("MOV_DR")),
        (ExitCode::EXCP_VC, 0, Some("EXCEPTION")),
        (ExitCode::EFER_WRITE_TRAP, 0, Some("WRITE_TRAP")),
        (ExitCode::CR15_WRITE_TRAP, 0, Some("WRITE_TRAP")),
        (ExitCode::NPF, 0, Some("NPF")),
        (ExitCode::NPF, 1 << 63, Some("NOT_RESTARTABLE")),
        (ExitCode::CPUID, 0, None),
        (ExitCode::INVLPGA, 0, None),
        (ExitCode::INVALID, 0, None),
    ] {
        assert_eq!(ExitInfo::new(code, info1, 0).name(), name, "{code}");
    }
}

#[test]
fn words_are_typed() {
    let info = ExitInfo::new(ExitCode::EXCP_PF, 6, 0x1000);
    assert_eq!(info, ExitInfo::Exception { exception: ExceptionInfo::from_bits(6), address: Gva::new(0x1000) });
    let info = ExitInfo::new(ExitCode::NPF, 0x1_0000_0007, 0xfee0_0000);
    assert_eq!(info, ExitInfo::Npf { fault: NpfInfo::from_bits(0x1_0000_0007), gpa: Gpa::new(0xfee0_0000) });
    let info = ExitInfo::new(ExitCode::AVIC_INCOMPLETE_IPI, 0xfd, 1 << 32);
    let failure = AvicIpiInfo::from_bits(1 << 32);
    assert_eq!(info, ExitInfo::AvicIncompleteIpi { icr: AvicIcr::from_bits(0xfd), failure });
    assert_eq!(
        info.to_string(),
        "AVIC_INCOMPLETE_IPI: 0x00000000000000fd ICRL=0xfd, 0x0000000100000000 ID=TARGET_NOT_RUNNING"
    );
    assert_eq!(ExitInfo::new(ExitCode::CPUID, 1, 2).to_string(), "0x1, 0x2");
}

proptest! {
    #[test]
    fn no_bit_is_lost(code in prop_oneof![0..0x500_u64, any::<u64>()], info1: u64, info2: u64) {
        prop_assert_eq!(ExitInfo::new(ExitCode::from_bits(code), info1, info2).into_raw(), (info1, info2));
    }
}
