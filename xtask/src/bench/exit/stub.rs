//! The assembly of the world switch, as it is in the optimized image.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::{Goal, Row};

/// Where the assembly of each vendor is.
const VMX: [&str; 2] = ["x86_virt_vmx::switch::vm_enter", "x86_virt_vmx::switch::vm_exit"];
const SVM: [&str; 1] = ["x86_virt_svm::switch::run"];

/// Counts its instructions.
pub(super) fn count(elf: &Path, vendor: &'static str) -> anyhow::Result<Vec<Row>> {
    let objdump = Command::new("objdump")
        .args(["--disassemble", "--demangle", "--no-show-raw-insn"])
        .arg(elf)
        .output()
        .context("cannot run objdump (the package binutils)")?;
    let listing = String::from_utf8_lossy(&objdump.stdout);
    let names: &[&str] = if vendor == "vmx" { &VMX } else { &SVM };
    let mut stub = Stub::default();
    for name in names {
        stub.add(function(&listing, name).with_context(|| format!("{} has no {name}", elf.display()))?)?;
    }
    let row = |metric: &str, value: u32, floor, aim| Row {
        vendor,
        metric: metric.to_owned(),
        value: value.into(),
        goal: Some(Goal { floor, aim }),
    };
    Ok(vec![
        row("stub: instructions", stub.instructions, 70.0, 56.0),
        row("stub: memory operations", stub.memory, 58.0, 48.0),
    ])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Stub {
    instructions: u32,
    memory: u32,
}

impl Stub {
    fn add<'a>(&mut self, code: impl Iterator<Item = (&'a str, &'a str)>) -> anyhow::Result<()> {
        for (mnemonic, operands) in code {
            // What is behind the last instruction fills the room up to the next function.
            if matches!(mnemonic, "int3" | "nop" | "nopw" | "nopl" | "xchg") || mnemonic.starts_with("data16") {
                continue;
            }
            if ["%xmm", "%ymm", "%zmm", "%st", "%mm"].iter().any(|register| operands.contains(register))
                || mnemonic.starts_with('v') && !mnemonic.starts_with("vm")
            {
                bail!("the stub has the vector instruction {mnemonic} {operands}");
            }
            self.instructions += 1;
            let is_stack = ["push", "pop"].iter().any(|stack| mnemonic.starts_with(stack));
            if is_stack || operands.contains('(') && !mnemonic.starts_with("lea") {
                self.memory += 1;
            }
        }
        Ok(())
    }
}

/// Mnemonics and operands of the function `name`, with the hash behind its name.
fn function<'a>(listing: &'a str, name: &str) -> Option<impl Iterator<Item = (&'a str, &'a str)>> {
    let mut lines = listing.lines();
    lines.find(|line| {
        let called = line.strip_suffix(">:").and_then(|line| line.split_once('<')).map(|(_, called)| called);
        called.is_some_and(|called| called == name || called.strip_prefix(name).is_some_and(is_hash))
    })?;
    Some(lines.map_while(|line| {
        let code = line.split_once(":\t")?.1;
        let (mnemonic, operands) = code.split_once(char::is_whitespace).unwrap_or((code, ""));
        Some((mnemonic, operands.trim()))
    }))
}

/// What the compiler may have put behind a name.
fn is_hash(rest: &str) -> bool {
    rest.strip_prefix("::h").is_some_and(|hash| hash.len() == 16 && hash.chars().all(|digit| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
0000000000001000 <a::enter>:
    1000:\tpush   %rbx
    1001:\tmov    0x8(%rdi),%rbx
    1005:\tlea    0x8(%rdi),%rbx
    1009:\tvmresume
    100c:\tvmread %rax,%rcx
    100d:\tret
    100e:\tint3

0000000000001010 <a::enter_again::h0123456789abcdef>:
    1010:\tmovaps %xmm0,(%rdi)
    1013:\tret
";

    #[test]
    fn instructions_and_memory_operations_are_counted() {
        let mut stub = Stub::default();
        stub.add(function(LISTING, "a::enter").unwrap()).unwrap();
        assert_eq!(stub, Stub { instructions: 6, memory: 2 });
        assert!(function(LISTING, "a::ente").is_none());
    }

    #[test]
    fn a_vector_instruction_is_an_error() {
        let error = Stub::default().add(function(LISTING, "a::enter_again").unwrap()).unwrap_err();
        assert!(error.to_string().contains("movaps"), "{error}");
    }
}
