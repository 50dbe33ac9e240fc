//! The machine code of the loop that fills tables: one store and one addition for each entry.

use std::env;
use std::path::Path;
use std::process::Command;

use super::SCALAR;

/// What is in the body of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Shape {
    instructions: usize,
    /// Of a register of 64 bits.
    stores: usize,
    /// Other instructions with an operand in memory.
    others: usize,
    calls: usize,
}

impl Shape {
    /// Whether the body does little else than to store, in several turns at once.
    const fn is_fill(self) -> bool {
        self.stores >= 8 && self.instructions < 3 * self.stores
    }
}

/// What an unrolled loop has beside a store and an addition for each entry: the addition to the pointer, comparison and jump.
/// Where it differs after a change of the compiler or the library, look at the code, then at `cargo xtask bench paging`.
const BESIDE: usize = 3;
/// A step of 1 GiB is too long for an operand: it is loaded into a register, and added.
const BESIDE_LONG_STEP: usize = 5;

#[derive(Debug)]
struct Instruction<'a> {
    address: u64,
    mnemonic: &'a str,
    operands: &'a str,
}

impl Instruction<'_> {
    /// Where it jumps to, if that is not a call.
    fn jump_target(&self) -> Option<u64> {
        if !self.mnemonic.starts_with('j') {
            return None;
        }
        u64::from_str_radix(self.operands.split(' ').next()?, 16).ok()
    }
}

/// Functions with their instructions, from what objdump prints.
fn functions(listing: &str) -> Vec<(&str, Vec<Instruction<'_>>)> {
    let mut functions: Vec<(&str, Vec<_>)> = Vec::new();
    for line in listing.lines() {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once('<')) {
            functions.push((name, Vec::new()));
        } else if let Some((address, code)) = line.split_once(":\t") {
            let (Ok(address), Some((_, code_of))) = (u64::from_str_radix(address.trim(), 16), functions.last_mut())
            else {
                continue;
            };
            let (mnemonic, operands) = code.split_once(char::is_whitespace).unwrap_or((code, ""));
            code_of.push(Instruction { address, mnemonic, operands: operands.trim() });
        }
    }
    functions
}

/// The innermost loops: from the target of a jump back to the jump.
fn loops(code: &[Instruction<'_>]) -> Vec<Shape> {
    let back = |at: usize| -> Option<usize> {
        let target = code[at].jump_target().filter(|target| *target <= code[at].address)?;
        code.iter().position(|instruction| instruction.address == target)
    };
    let mut shapes = Vec::new();
    for end in 0..code.len() {
        if let Some(start) = back(end).filter(|start| (*start..end).all(|inner| back(inner).is_none())) {
            shapes.push(shape(&code[start..=end]));
        }
    }
    shapes
}

fn shape(body: &[Instruction<'_>]) -> Shape {
    let mut shape = Shape::default();
    for Instruction { mnemonic, operands, .. } in body.iter().filter(|code| !code.mnemonic.contains("nop")) {
        shape.instructions += 1;
        let is_store = *mnemonic == "mov" && operands.starts_with("%r") && operands.ends_with(')');
        if is_store {
            shape.stores += 1;
        } else if operands.contains('(') && *mnemonic != "lea" {
            shape.others += 1;
        }
        shape.calls += usize::from(mnemonic.starts_with("call"));
    }
    shape
}

#[test]
fn tables_are_filled_by_stores_and_additions_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // This test is target/debug/deps/xtask-*.
    let target = env::current_exe().unwrap().ancestors().nth(3).unwrap().join("xtask/assembly");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "-p", "benches", "--no-default-features", "--example", "fill", "--target-dir"])
        .arg(&target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", SCALAR)
        .current_dir(root)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let objdump = Command::new("objdump")
        .args(["--disassemble", "--demangle", "--no-show-raw-insn"])
        .arg(target.join("release/examples/fill"))
        .output()
        .expect("objdump is there (the package binutils)");
    let listing = String::from_utf8(objdump.stdout).unwrap();
    let found: Vec<_> = functions(&listing)
        .iter()
        .filter(|(name, _)| name.contains("x86_virt_core::edit::"))
        .flat_map(|(_, code)| loops(code))
        .filter(|shape| shape.is_fill())
        .collect();
    let (fills, clears): (Vec<_>, Vec<_>) = found.into_iter().partition(|shape| shape.instructions >= 2 * shape.stores);
    assert!(
        !fills.is_empty() && !clears.is_empty(),
        "there are loops that fill and clear tables, and they are unrolled"
    );
    for shape in fills.iter().chain(&clears) {
        assert_eq!((shape.others, shape.calls), (0, 0), "{shape:?}");
    }
    for shape in fills {
        let beside = shape.instructions - 2 * shape.stores;
        assert!([BESIDE, BESIDE_LONG_STEP].contains(&beside), "{shape:?}");
    }
    // All entries that are cleared are the same.
    for shape in clears {
        assert_eq!(shape.instructions - shape.stores, BESIDE, "{shape:?}");
    }
}

#[test]
fn the_innermost_loop_is_found() {
    let listing = "\
0000000000001000 <a::b::{{closure}}>:
    1000:\txor    %eax,%eax
    1002:\tnopw   0x0(%rax,%rax,1)
    1008:\tmov    %rdi,(%rsi)
    100b:\tmov    0x8(%rdx),%rcx
    100f:\tlea    0x8(%rsi),%rsi
    1013:\tcall   2000 <c>
    1018:\tcmp    %rcx,%rsi
    101b:\tjne    1008 <a::b::{{closure}}+0x8>
    101d:\tjmp    1000 <a::b::{{closure}}>

0000000000002000 <c>:
    2000:\tret
";
    let functions = functions(listing);
    assert_eq!(
        functions.iter().map(|(name, code)| (*name, code.len())).collect::<Vec<_>>(),
        [("a::b::{{closure}}", 9), ("c", 1)]
    );
    assert_eq!(loops(&functions[0].1), [Shape { instructions: 6, stores: 1, others: 1, calls: 1 }]);
    assert_eq!(loops(&functions[1].1), []);
}
