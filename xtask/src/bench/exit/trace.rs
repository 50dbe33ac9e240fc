//! The instructions that Bochs's debugger prints.

use std::collections::BTreeMap;

/// Instructions by their mnemonic, of some exits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Trace {
    exits: f64,
    counts: BTreeMap<String, f64>,
}

/// What instructions access, by vendor, and which instructions they are.
const GROUPS: [(&str, &str, &[&str]); 6] = [
    ("vmx", "VMREAD", &["vmread"]),
    ("vmx", "VMWRITE", &["vmwrite"]),
    ("", "RDMSR, WRMSR, XSETBV", &["rdmsr", "wrmsr", "xsetbv"]),
    ("svm", "VMLOAD, VMSAVE", &["vmload", "vmsave"]),
    ("", "moves of debug registers", &["mov dr"]),
    ("", "exchanges of vector state", &["fxsave", "fxrstor", "xsave", "xrstor"]),
];

impl Trace {
    /// How often an exit has instructions of each group.
    pub(super) fn groups(&self, vendor: &str) -> impl Iterator<Item = (&'static str, f64)> {
        let of_vendor = move |(only, _, _): &&(&str, &str, &[&str])| only.is_empty() || *only == vendor;
        GROUPS.iter().filter(of_vendor).map(|&(_, name, mnemonics)| {
            // A sum of nothing would be -0.
            let sum =
                mnemonics.iter().filter_map(|mnemonic| self.counts.get(*mnemonic)).fold(0.0, |sum, count| sum + count);
            (name, sum / self.exits)
        })
    }
}

/// Takes what the image and the debugger print.
#[derive(Debug, Default)]
pub(super) struct Reader {
    current: Trace,
    done: BTreeMap<String, Trace>,
}

impl Reader {
    /// A line of the image. `traced CASE N` ends a case.
    pub(super) fn console(&mut self, line: &str) {
        let Some((name, exits)) = line.strip_prefix("traced ").and_then(|line| line.split_once(' ')) else { return };
        let Ok(exits) = exits.parse() else { return };
        let trace = core::mem::take(&mut self.current);
        self.done.insert(name.to_owned(), Trace { exits, ..trace });
    }

    /// A line of the emulator: an instruction, if it is traced.
    pub(super) fn emulator(&mut self, line: &str) {
        if let Some(mnemonic) = mnemonic(line) {
            *self.current.counts.entry(mnemonic).or_default() += 1.0;
        }
    }

    pub(super) fn finish(self) -> BTreeMap<String, Trace> {
        self.done
    }
}

/// The mnemonic of a traced instruction, without a suffix for 64 bits; `mov dr` for moves of debug registers.
fn mnemonic(line: &str) -> Option<String> {
    let code = line.strip_prefix("(0).[")?.split_once("): ")?.1;
    let (mnemonic, rest) = code.split_once(' ').unwrap_or((code, ""));
    let operands = rest.split(';').next().unwrap_or("");
    if mnemonic == "mov" && operands.split([',', ' ']).any(|operand| operand.starts_with("dr")) {
        return Some("mov dr".to_owned());
    }
    Some(mnemonic.trim().trim_end_matches("64").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_counted_by_case() {
        let mut reader = Reader::default();
        for line in [
            "(0).[14222203] [0x00000012ff1a] 0008:000000000012ff1a (unk. ctxt): mov esi, 0x00000064       ; be64000000",
            "(0).[14222204] [0x00000012ff1f] 0008:000000000012ff1f (unk. ctxt): mov rax, dr7              ; 0f21f8",
            "(0).[14222205] [0x00000012ff1f] 0008:000000000012ff1f (unk. ctxt): vmread rax, rcx           ; 0f78c8",
            "(0).[14222206] [0x00000012ff1f] 0008:000000000012ff1f (unk. ctxt): vmread rax, rcx           ; 0f78c8",
            "(0).[14222207] [0x00000012ff1f] 0008:000000000012ff1f (unk. ctxt): xsetbv                    ; 0f01d1",
            "(0) [0x00000012ff1a] 0008:000000000012ff1a (unk. ctxt): vmread rax, rcx       ; 0f78c8",
            "Tracing enabled for CPU0",
        ] {
            reader.emulator(line);
        }
        reader.console("cost a 1.5");
        reader.console("traced a 2");
        let done = reader.finish();
        let groups: Vec<_> = done["a"].groups("vmx").collect();
        assert_eq!(
            groups,
            [
                ("VMREAD", 1.0),
                ("VMWRITE", 0.0),
                ("RDMSR, WRMSR, XSETBV", 0.5),
                ("moves of debug registers", 0.5),
                ("exchanges of vector state", 0.0)
            ]
        );
        assert_eq!(done["a"].groups("svm").count(), 4);
    }
}
