//! The intercepts as rows: they are the exit codes up to a6h.

use core::fmt;

use x86_virt_core::TableRow;

use crate::exit_code::ExitCode;

/// The last intercept.
const LAST: u64 = ExitCode::IDLE_HLT.into_bits();

/// Where the bit of an intercept is.
struct Position(u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, bit) = (self.0 / 32, self.0 % 32);
        write!(f, "word {word} bit {bit} at VMCB offset {:#05x}", word * 4)
    }
}

/// Visits the intercepts as rows, with the exit code as encoding.
pub(crate) fn intercept_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    for row in ExitCode::ALL.iter().filter(|row| row.value <= LAST) {
        let code = ExitCode::from_bits(row.value);
        visit(&TableRow {
            table: "svm_intercept",
            name: row.name,
            aliases: names(code),
            encoding: row.value,
            width_bits: 1,
            access: "sensitive",
            group: &Position(row.value),
            requires: &code.requires(),
            provisional: row.provisional,
        });
    }
}

/// Names that others give the bit.
const fn names(code: ExitCode) -> &'static [&'static str] {
    match code {
        ExitCode::CR0_READ => &["INTERCEPT_CR0_READ"],
        ExitCode::CR3_READ => &["INTERCEPT_CR3_READ"],
        ExitCode::CR4_READ => &["INTERCEPT_CR4_READ"],
        ExitCode::CR8_READ => &["INTERCEPT_CR8_READ"],
        ExitCode::CR0_WRITE => &["INTERCEPT_CR0_WRITE"],
        ExitCode::CR3_WRITE => &["INTERCEPT_CR3_WRITE"],
        ExitCode::CR4_WRITE => &["INTERCEPT_CR4_WRITE"],
        ExitCode::CR8_WRITE => &["INTERCEPT_CR8_WRITE"],
        ExitCode::DR0_READ => &["INTERCEPT_DR0_READ"],
        ExitCode::DR1_READ => &["INTERCEPT_DR1_READ"],
        ExitCode::DR2_READ => &["INTERCEPT_DR2_READ"],
        ExitCode::DR3_READ => &["INTERCEPT_DR3_READ"],
        ExitCode::DR4_READ => &["INTERCEPT_DR4_READ"],
        ExitCode::DR5_READ => &["INTERCEPT_DR5_READ"],
        ExitCode::DR6_READ => &["INTERCEPT_DR6_READ"],
        ExitCode::DR7_READ => &["INTERCEPT_DR7_READ"],
        ExitCode::DR0_WRITE => &["INTERCEPT_DR0_WRITE"],
        ExitCode::DR1_WRITE => &["INTERCEPT_DR1_WRITE"],
        ExitCode::DR2_WRITE => &["INTERCEPT_DR2_WRITE"],
        ExitCode::DR3_WRITE => &["INTERCEPT_DR3_WRITE"],
        ExitCode::DR4_WRITE => &["INTERCEPT_DR4_WRITE"],
        ExitCode::DR5_WRITE => &["INTERCEPT_DR5_WRITE"],
        ExitCode::DR6_WRITE => &["INTERCEPT_DR6_WRITE"],
        ExitCode::DR7_WRITE => &["INTERCEPT_DR7_WRITE"],
        ExitCode::EXCP_DE => &["INTERCEPT_EXCEPTION_OFFSET"],
        ExitCode::INTR => &["INTERCEPT_INTR"],
        ExitCode::NMI => &["INTERCEPT_NMI"],
        ExitCode::SMI => &["INTERCEPT_SMI"],
        ExitCode::INIT => &["INTERCEPT_INIT"],
        ExitCode::VINTR => &["INTERCEPT_VINTR"],
        ExitCode::CR0_SEL_WRITE => &["INTERCEPT_SELECTIVE_CR0"],
        ExitCode::IDTR_READ => &["INTERCEPT_STORE_IDTR"],
        ExitCode::GDTR_READ => &["INTERCEPT_STORE_GDTR"],
        ExitCode::LDTR_READ => &["INTERCEPT_STORE_LDTR"],
        ExitCode::TR_READ => &["INTERCEPT_STORE_TR"],
        ExitCode::IDTR_WRITE => &["INTERCEPT_LOAD_IDTR"],
        ExitCode::GDTR_WRITE => &["INTERCEPT_LOAD_GDTR"],
        ExitCode::LDTR_WRITE => &["INTERCEPT_LOAD_LDTR"],
        ExitCode::TR_WRITE => &["INTERCEPT_LOAD_TR"],
        ExitCode::RDTSC => &["INTERCEPT_RDTSC"],
        ExitCode::RDPMC => &["INTERCEPT_RDPMC"],
        ExitCode::PUSHF => &["INTERCEPT_PUSHF"],
        ExitCode::POPF => &["INTERCEPT_POPF"],
        ExitCode::CPUID => &["INTERCEPT_CPUID"],
        ExitCode::RSM => &["INTERCEPT_RSM"],
        ExitCode::IRET => &["INTERCEPT_IRET"],
        ExitCode::SWINT => &["INTERCEPT_INTn"],
        ExitCode::INVD => &["INTERCEPT_INVD"],
        ExitCode::PAUSE => &["INTERCEPT_PAUSE"],
        ExitCode::HLT => &["INTERCEPT_HLT"],
        ExitCode::INVLPG => &["INTERCEPT_INVLPG"],
        ExitCode::INVLPGA => &["INTERCEPT_INVLPGA"],
        ExitCode::IOIO => &["INTERCEPT_IOIO_PROT"],
        ExitCode::MSR => &["INTERCEPT_MSR_PROT"],
        ExitCode::TASK_SWITCH => &["INTERCEPT_TASK_SWITCH"],
        ExitCode::FERR_FREEZE => &["INTERCEPT_FERR_FREEZE"],
        ExitCode::SHUTDOWN => &["INTERCEPT_SHUTDOWN"],
        ExitCode::VMRUN => &["INTERCEPT_VMRUN"],
        ExitCode::VMMCALL => &["INTERCEPT_VMMCALL"],
        ExitCode::VMLOAD => &["INTERCEPT_VMLOAD"],
        ExitCode::VMSAVE => &["INTERCEPT_VMSAVE"],
        ExitCode::STGI => &["INTERCEPT_STGI"],
        ExitCode::CLGI => &["INTERCEPT_CLGI"],
        ExitCode::SKINIT => &["INTERCEPT_SKINIT"],
        ExitCode::RDTSCP => &["INTERCEPT_RDTSCP"],
        ExitCode::ICEBP => &["INTERCEPT_ICEBP"],
        ExitCode::WBINVD => &["INTERCEPT_WBINVD"],
        ExitCode::MONITOR => &["INTERCEPT_MONITOR"],
        ExitCode::MWAIT => &["INTERCEPT_MWAIT"],
        ExitCode::MWAIT_CONDITIONAL => &["INTERCEPT_MWAIT_COND"],
        ExitCode::XSETBV => &["INTERCEPT_XSETBV"],
        ExitCode::RDPRU => &["INTERCEPT_RDPRU"],
        ExitCode::EFER_WRITE_TRAP => &["TRAP_EFER_WRITE"],
        ExitCode::CR0_WRITE_TRAP => &["TRAP_CR0_WRITE"],
        ExitCode::CR1_WRITE_TRAP => &["TRAP_CR1_WRITE"],
        ExitCode::CR2_WRITE_TRAP => &["TRAP_CR2_WRITE"],
        ExitCode::CR3_WRITE_TRAP => &["TRAP_CR3_WRITE"],
        ExitCode::CR4_WRITE_TRAP => &["TRAP_CR4_WRITE"],
        ExitCode::CR5_WRITE_TRAP => &["TRAP_CR5_WRITE"],
        ExitCode::CR6_WRITE_TRAP => &["TRAP_CR6_WRITE"],
        ExitCode::CR7_WRITE_TRAP => &["TRAP_CR7_WRITE"],
        ExitCode::CR8_WRITE_TRAP => &["TRAP_CR8_WRITE"],
        ExitCode::INVLPGB => &["INTERCEPT_INVLPGB"],
        ExitCode::ILLEGAL_INVLPGB => &["INTERCEPT_INVLPGB_ILLEGAL"],
        ExitCode::INVPCID => &["INTERCEPT_INVPCID"],
        ExitCode::MCOMMIT => &["INTERCEPT_MCOMMIT"],
        ExitCode::TLBSYNC => &["INTERCEPT_TLBSYNC"],
        ExitCode::BUSLOCK => &["INTERCEPT_BUSLOCK"],
        ExitCode::IDLE_HLT => &["INTERCEPT_IDLE_HLT"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeMap;
    use std::string::ToString;

    use super::intercept_rows;

    #[test]
    fn there_are_167_intercepts_with_their_bits() {
        let mut rows = BTreeMap::new();
        intercept_rows(&mut |row| {
            rows.insert(row.encoding, (row.name, row.group.to_string(), row.aliases.first().map(ToString::to_string)));
        });
        assert_eq!(rows.len(), 167);
        for (code, name, position, alias) in [
            (0x10, "CR0_WRITE", "word 0 bit 16 at VMCB offset 0x000", Some("INTERCEPT_CR0_WRITE")),
            (0x40, "EXCP_DE", "word 2 bit 0 at VMCB offset 0x008", Some("INTERCEPT_EXCEPTION_OFFSET")),
            (0x41, "EXCP_DB", "word 2 bit 1 at VMCB offset 0x008", None),
            (0x65, "CR0_SEL_WRITE", "word 3 bit 5 at VMCB offset 0x00c", Some("INTERCEPT_SELECTIVE_CR0")),
            (0x7b, "IOIO", "word 3 bit 27 at VMCB offset 0x00c", Some("INTERCEPT_IOIO_PROT")),
            (0x8d, "XSETBV", "word 4 bit 13 at VMCB offset 0x010", Some("INTERCEPT_XSETBV")),
            (0x90, "CR0_WRITE_TRAP", "word 4 bit 16 at VMCB offset 0x010", Some("TRAP_CR0_WRITE")),
            (0xa6, "IDLE_HLT", "word 5 bit 6 at VMCB offset 0x014", Some("INTERCEPT_IDLE_HLT")),
        ] {
            assert_eq!(rows.get(&code), Some(&(name, position.to_string(), alias.map(str::to_string))));
        }
    }
}
