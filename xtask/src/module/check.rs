//! What must not be in the object that Linux links into the module.
//!
//! - A vector register or the x87: the kernel keeps those of the process that runs, and does not save them for us.
//! - The red zone: the kernel's own handlers push onto the stack right below RSP.
//! - A large frame: a thread of the kernel has 16 KiB of stack for all of its calls.
//! - A relocation that the loader does not know, or a symbol that nothing defines.

use core::fmt;

use anyhow::Context as _;
use iced_x86::{CpuidFeature, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use object::elf::{R_X86_64_32, R_X86_64_32S, R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, SectionKind, SymbolKind};

/// Relocations that the loader of 6.1 knows, and that reach what the kernel has.
const RELOCATIONS: [u32; 5] = [R_X86_64_64, R_X86_64_32, R_X86_64_32S, R_X86_64_PC32, R_X86_64_PLT32];

/// Symbols that the kernel defines.
const OF_THE_KERNEL: [&str; 5] = ["memcpy", "memset", "memmove", "memcmp", "bcmp"];
/// What the names of those begin with that the shim defines.
const OF_THE_SHIM: &str = "shim_";

/// The largest frame of a function, in bytes.
pub(super) const LARGEST_FRAME: u64 = 5120;

/// What a function or the file must not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    VectorRegister { place: Place },
    FloatingPoint { place: Place },
    RedZone { place: Place },
    LargeFrame { function: String, bytes: u64 },
    NotDecoded { place: Place },
    Relocation { section: String, offset: u64, kind: u32 },
    Undefined { symbol: String },
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    function: String,
    offset: u64,
    instruction: String,
}

/// What was looked at, and what was found.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) functions: usize,
    pub(super) instructions: usize,
    /// The functions, each with what it takes of the stack, from the most on.
    pub(super) frames: Vec<(u64, String)>,
    pub(super) findings: Vec<Finding>,
}

/// Looks at all of a relocatable file.
pub(super) fn check(file: &[u8]) -> anyhow::Result<Report> {
    let elf = object::File::parse(file).context("not an object file")?;
    let mut report = Report { functions: 0, instructions: 0, frames: Vec::new(), findings: Vec::new() };
    for section in elf.sections() {
        let name = section.name()?;
        if !name.starts_with(".debug") {
            for (offset, relocation) in section.relocations() {
                let RelocationFlags::Elf { r_type: kind } = relocation.flags() else { continue };
                if !RELOCATIONS.contains(&kind) {
                    report.findings.push(Finding::Relocation { section: name.to_owned(), offset, kind });
                }
            }
        }
        if section.kind() == SectionKind::Text {
            let data = section.data()?;
            let mut starts: Vec<_> = elf
                .symbols()
                .filter(|symbol| symbol.section_index() == Some(section.index()) && symbol.kind() == SymbolKind::Text)
                .map(|symbol| (symbol.address(), symbol.name().unwrap_or_default().to_owned()))
                .collect();
            starts.push((0, name.to_owned()));
            // Of several names for one place, and of the section's own, the first function's.
            starts.sort_by(|one, other| one.0.cmp(&other.0).then(is_section(&one.1).cmp(&is_section(&other.1))));
            starts.dedup_by_key(|(address, _)| *address);
            let ends = starts.iter().skip(1).map(|(address, _)| *address).chain([section.size()]);
            for ((start, name), end) in starts.iter().zip(ends) {
                let code = data.get(usize::try_from(*start)?..usize::try_from(end)?).context("a symbol outside")?;
                function(name, code, &mut report);
            }
        }
    }
    report.frames.sort_by(|one, other| other.cmp(one));
    for symbol in elf.symbols().filter(|symbol| symbol.is_undefined()) {
        let name = symbol.name()?;
        if !name.is_empty() && !OF_THE_KERNEL.contains(&name) && !name.starts_with(OF_THE_SHIM) {
            report.findings.push(Finding::Undefined { symbol: name.to_owned() });
        }
    }
    Ok(report)
}

fn is_section(name: &str) -> bool {
    name.starts_with('.')
}

/// What the stack of a function has below the frame pointer.
#[derive(Default)]
struct Frame {
    has_pointer: bool,
    below_pointer: u64,
    bytes: u64,
}

impl Frame {
    /// Takes note of what an instruction takes from the stack.
    fn note(&mut self, instruction: &Instruction) {
        let taken = match instruction.mnemonic() {
            Mnemonic::Push => 8,
            Mnemonic::Sub | Mnemonic::Add
                if instruction.op0_register() == Register::RSP && is_immediate(instruction.op1_kind()) =>
            {
                let immediate = instruction.immediate(1).cast_signed();
                let taken = if instruction.mnemonic() == Mnemonic::Sub { immediate } else { immediate.wrapping_neg() };
                u64::try_from(taken).unwrap_or(0)
            }
            Mnemonic::Mov
                if instruction.op0_register() == Register::RBP && instruction.op1_register() == Register::RSP =>
            {
                self.has_pointer = true;
                self.below_pointer = 0;
                0
            }
            _ => 0,
        };
        self.bytes += taken;
        self.below_pointer += taken;
    }

    /// Whether a memory operand is below what was taken from the stack.
    fn is_below(&self, instruction: &Instruction) -> bool {
        let is_memory = (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
        if !is_memory || instruction.mnemonic() == Mnemonic::Lea || instruction.memory_index() != Register::None {
            return false;
        }
        let below = instruction.memory_displacement64().cast_signed().wrapping_neg();
        let below = u64::try_from(below).unwrap_or(0);
        match instruction.memory_base() {
            Register::RSP => below > 0,
            Register::RBP => self.has_pointer && below > self.below_pointer,
            _ => false,
        }
    }
}

fn is_immediate(kind: OpKind) -> bool {
    matches!(kind, OpKind::Immediate8to64 | OpKind::Immediate32to64)
}

fn function(name: &str, code: &[u8], report: &mut Report) {
    report.functions += 1;
    let mut frame = Frame::default();
    for instruction in &mut Decoder::new(64, code, DecoderOptions::NONE) {
        report.instructions += 1;
        let place =
            || Place { function: name.to_owned(), offset: instruction.ip(), instruction: instruction.to_string() };
        if instruction.is_invalid() {
            report.findings.push(Finding::NotDecoded { place: place() });
            continue;
        }
        if uses_vectors(&instruction) {
            report.findings.push(Finding::VectorRegister { place: place() });
        }
        if instruction
            .cpuid_features()
            .iter()
            .any(|feature| matches!(feature, CpuidFeature::FPU | CpuidFeature::FPU287 | CpuidFeature::FPU387))
        {
            report.findings.push(Finding::FloatingPoint { place: place() });
        }
        if frame.is_below(&instruction) {
            report.findings.push(Finding::RedZone { place: place() });
        }
        frame.note(&instruction);
    }
    report.frames.push((frame.bytes, name.to_owned()));
    if frame.bytes > LARGEST_FRAME {
        report.findings.push(Finding::LargeFrame { function: name.to_owned(), bytes: frame.bytes });
    }
}

fn uses_vectors(instruction: &Instruction) -> bool {
    let is_vector =
        |register: Register| register.is_vector_register() || register.is_mm() || register.is_k() || register.is_tmm();
    (0..instruction.op_count())
        .any(|operand| instruction.op_kind(operand) == OpKind::Register && is_vector(instruction.op_register(operand)))
        || matches!(instruction.mnemonic(), Mnemonic::Vzeroupper | Mnemonic::Vzeroall | Mnemonic::Emms)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, offset, instruction } = self;
        write!(f, "`{instruction}` at {offset:#x} of {function}")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VectorRegister { place } => write!(f, "a vector register: {place}"),
            Self::FloatingPoint { place } => write!(f, "a floating-point instruction: {place}"),
            Self::RedZone { place } => write!(f, "an access below the stack: {place}"),
            Self::LargeFrame { function, bytes } => write!(f, "a frame of {bytes} bytes: {function}"),
            Self::NotDecoded { place } => write!(f, "no instruction: {place}"),
            Self::Relocation { section, offset, kind } => {
                write!(f, "relocation {kind} at {offset:#x} of {section}, which the kernel's loader does not know")
            }
            Self::Undefined { symbol } => {
                write!(f, "the symbol {symbol}, which neither the kernel nor the shim defines")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use object::elf::{R_X86_64_GOTPCREL, R_X86_64_TPOFF32};

    use super::super::sample::Sample;
    use super::*;

    fn findings(file: &[u8]) -> Vec<Finding> {
        check(file).unwrap().findings
    }

    /// What is found in a function of these instructions, without the place.
    fn found(code: &[u8]) -> Vec<String> {
        let findings = findings(&Sample::new(code).build());
        findings.iter().map(|finding| finding.to_string().split(':').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn vector_registers_are_found() {
        let table: [&[u8]; 7] = [
            &[0x0f, 0x28, 0xc1],                   // movaps xmm0, xmm1
            &[0xc5, 0xfc, 0x28, 0x07],             // vmovaps ymm0, [rdi]
            &[0x62, 0xf1, 0x7c, 0x48, 0x28, 0xc1], // vmovaps zmm0, zmm1
            &[0x0f, 0x6f, 0xc1],                   // movq mm0, mm1
            &[0xc5, 0xf8, 0x77],                   // vzeroupper
            &[0xf2, 0x0f, 0x2a, 0xc7],             // cvtsi2sd xmm0, edi
            &[0xc5, 0xf8, 0x92, 0xc8],             // kmovw k1, eax
        ];
        for code in table {
            assert_eq!(found(code), ["a vector register"], "{code:x?}");
        }
    }

    #[test]
    fn floating_point_is_found() {
        for code in [&[0xd9, 0xe8][..], &[0xdb, 0xe3], &[0xdd, 0x07]] {
            assert_eq!(found(code), ["a floating-point instruction"], "{code:x?}");
        }
    }

    #[test]
    fn saving_the_state_of_others_is_no_use_of_it() {
        let table: [&[u8]; 6] = [
            &[0x48, 0x0f, 0xae, 0x06], // fxsave64 [rsi]
            &[0x48, 0x0f, 0xae, 0x26], // xsave64 [rsi]
            &[0x0f, 0x01, 0xd1],       // xsetbv
            &[0xf3, 0x90],             // pause
            &[0x0f, 0xae, 0xe8],       // lfence
            &[0x0f, 0x18, 0x0f],       // prefetcht0 [rdi]
        ];
        for code in table {
            assert!(found(code).is_empty(), "{code:x?}: {:?}", found(code));
        }
    }

    #[test]
    fn accesses_below_the_stack_are_found() {
        let by_rsp: &[u8] = &[0x48, 0x89, 0x7c, 0x24, 0xf8]; // mov [rsp - 8], rdi
        assert_eq!(found(by_rsp), ["an access below the stack"]);
        // push rbp; mov rbp, rsp; mov [rbp - 8], rdi
        let by_rbp: &[u8] = &[0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0x7d, 0xf8];
        assert_eq!(found(by_rbp), ["an access below the stack"]);
        // push rbp; mov rbp, rsp; push rbx; mov [rbp - 16], rdi
        let beyond: &[u8] = &[0x55, 0x48, 0x89, 0xe5, 0x53, 0x48, 0x89, 0x7d, 0xf0];
        assert_eq!(found(beyond), ["an access below the stack"]);
    }

    #[test]
    fn accesses_to_the_frame_are_none() {
        let table: [&[u8]; 4] = [
            // push rbp; mov rbp, rsp; sub rsp, 16; mov [rbp - 8], rdi; mov [rsp + 8], rdi
            &[0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10, 0x48, 0x89, 0x7d, 0xf8, 0x48, 0x89, 0x7c, 0x24, 0x08],
            // push rbp; mov rbp, rsp; add rsp, -128; mov [rbp - 128], rdi
            &[0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xc4, 0x80, 0x48, 0x89, 0x7d, 0x80],
            // lea rax, [rsp - 8]
            &[0x48, 0x8d, 0x44, 0x24, 0xf8],
            // mov [rdi - 8], rax
            &[0x48, 0x89, 0x47, 0xf8],
        ];
        for code in table {
            assert!(found(code).is_empty(), "{code:x?}: {:?}", found(code));
        }
    }

    #[test]
    fn large_frames_are_found_by_function() {
        let frame = |bytes: u32| [&[0x48, 0x81, 0xec][..], &bytes.to_le_bytes(), &[0xc3]].concat();
        let limit = u32::try_from(LARGEST_FRAME).unwrap();
        let file = Sample::new(&frame(limit)).with_function("greedy", &frame(limit + 16)).build();
        let expected = Finding::LargeFrame { function: "greedy".to_owned(), bytes: LARGEST_FRAME + 16 };
        assert_eq!(findings(&file), [expected]);
        let frames = check(&file).unwrap().frames;
        let expected = [(LARGEST_FRAME + 16, "greedy".to_owned()), (LARGEST_FRAME, "function".to_owned())];
        assert_eq!(frames, expected);
    }

    #[test]
    fn bytes_that_are_no_code_are_found() {
        assert_eq!(found(&[0x06]), ["no instruction"]);
    }

    #[test]
    fn relocations_that_the_loader_does_not_know_are_found() {
        for kind in [R_X86_64_GOTPCREL, R_X86_64_TPOFF32] {
            let file = Sample::new(&[0xe8, 0, 0, 0, 0]).with_relocation(1, kind, "memcpy").build();
            assert_eq!(findings(&file), [Finding::Relocation { section: ".text".to_owned(), offset: 1, kind }]);
        }
        for kind in RELOCATIONS {
            let file = Sample::new(&[0xe8, 0, 0, 0, 0]).with_relocation(1, kind, "memcpy").build();
            assert_eq!(findings(&file), []);
        }
    }

    #[test]
    fn symbols_that_nothing_defines_are_found() {
        for symbol in ["malloc", "rust_eh_personality", "__udivti3"] {
            let file = Sample::new(&[0xe8, 0, 0, 0, 0]).with_relocation(1, R_X86_64_PLT32, symbol).build();
            assert_eq!(findings(&file), [Finding::Undefined { symbol: symbol.to_owned() }]);
        }
        for symbol in ["memcpy", "shim_log"] {
            let file = Sample::new(&[0xe8, 0, 0, 0, 0]).with_relocation(1, R_X86_64_PLT32, symbol).build();
            assert_eq!(findings(&file), []);
        }
    }

    #[test]
    fn all_functions_are_looked_at() {
        let report = check(&Sample::new(&[0x90, 0xc3]).with_function("other", &[0xc3]).build()).unwrap();
        assert_eq!((report.functions, report.instructions), (2, 3));
    }
}
