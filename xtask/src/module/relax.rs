//! Calls and loads by way of a global offset table, made direct: the kernel's loader makes no such table.
//!
//! The bitcode of `core` asks for the table even with static relocation. The rewriting is that of linkers, for a relocatable file: System V
//! ABI, AMD64 supplement, section "B.2 Optimize GOTPCRELX Relocations".

use anyhow::{Context as _, bail};
use object::LittleEndian;
use object::elf::{
    R_X86_64_GOTPCREL, R_X86_64_GOTPCRELX, R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_REX_GOTPCRELX, SHT_RELA,
};
use object::read::elf::{ElfFile64, FileHeader as _, SectionHeader as _};

/// Length of an entry of a table of relocations, and where the type is in it.
const ENTRY: usize = 24;
const TYPE: usize = 8;

/// What to write where.
struct Change {
    at: usize,
    bytes: Vec<u8>,
}

/// Rewrites all of them in a relocatable file; how many there were.
pub(super) fn relax(file: &mut [u8]) -> anyhow::Result<usize> {
    let changes = changes(file)?;
    let count = changes.len() / 2;
    for Change { at, bytes } in changes {
        let to = file.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len())).context("a change beyond the file")?;
        to.copy_from_slice(&bytes);
    }
    Ok(count)
}

/// Two changes for each: of the instruction, and of the type of the relocation.
fn changes(file: &[u8]) -> anyhow::Result<Vec<Change>> {
    let elf = ElfFile64::<LittleEndian>::parse(file).context("not a 64-bit little-endian ELF file")?;
    let (endian, header) = (elf.endian(), elf.elf_header());
    let sections = header.sections(endian, file)?;
    let mut changes = Vec::new();
    for table in sections.iter().filter(|section| section.sh_type(endian) == SHT_RELA) {
        let target = sections.section(table.info_link(endian))?;
        let (code_at, code_bytes) = target.file_range(endian).unwrap_or((0, 0));
        let (table_at, _) = table.file_range(endian).context("relocations without contents")?;
        let Some((entries, _)) = table.rela(endian, file)? else { continue };
        for (number, entry) in entries.iter().enumerate() {
            let kind = entry.r_type(endian, false);
            if !matches!(kind, R_X86_64_GOTPCREL | R_X86_64_GOTPCRELX | R_X86_64_REX_GOTPCRELX) {
                continue;
            }
            let offset = entry.r_offset.get(endian);
            if offset >= code_bytes {
                bail!("a relocation at {offset:#x} lies beyond its section");
            }
            let operand = usize::try_from(code_at + offset)?;
            let start = operand.checked_sub(2).context("a relocation without an instruction")?;
            let opcode = file.get(start..operand).context("an instruction beyond the file")?;
            let (opcode, kind) = direct(opcode)
                .with_context(|| format!("no direct form of the instruction before {offset:#x}, {opcode:02x?}"))?;
            changes.push(Change { at: start, bytes: opcode.to_vec() });
            let at = usize::try_from(table_at)? + number * ENTRY + TYPE;
            changes.push(Change { at, bytes: kind.to_le_bytes().to_vec() });
        }
    }
    Ok(changes)
}

/// The two bytes before the displacement, and the relocation, that do without the table.
fn direct(opcode: &[u8]) -> Option<([u8; 2], u32)> {
    match *opcode {
        // CALL and JMP by a pointer; the prefix keeps the length, and changes nothing.
        [0xff, 0x15] => Some(([0x67, 0xe8], R_X86_64_PLT32)),
        [0xff, 0x25] => Some(([0x67, 0xe9], R_X86_64_PLT32)),
        // MOV of a pointer becomes LEA.
        [0x8b, modrm] if modrm & 0xc7 == 0x05 => Some(([0x8d, modrm], R_X86_64_PC32)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use object::elf::R_X86_64_PLT32;

    use super::super::sample::{Sample, relocation_types};
    use super::*;

    const GOT: [u32; 3] = [R_X86_64_GOTPCREL, R_X86_64_GOTPCRELX, R_X86_64_REX_GOTPCRELX];

    #[test]
    fn calls_jumps_and_loads_become_direct() {
        let table: [(&[u8], &[u8], u32); 4] = [
            (&[0xff, 0x15], &[0x67, 0xe8], R_X86_64_PLT32),
            (&[0xff, 0x25], &[0x67, 0xe9], R_X86_64_PLT32),
            (&[0x4c, 0x8b, 0x35], &[0x4c, 0x8d, 0x35], R_X86_64_PC32),
            (&[0x48, 0x8b, 0x05], &[0x48, 0x8d, 0x05], R_X86_64_PC32),
        ];
        for (before, after, kind) in table {
            for got in GOT {
                let code = [before, &[0; 4]].concat();
                let mut file = Sample::new(&code).with_relocation(before.len(), got, "memcpy").build();
                assert_eq!(relax(&mut file).unwrap(), 1);
                assert_eq!(relocation_types(&file), [kind]);
                let elf = object::File::parse(&*file).unwrap();
                let text = object::Object::section_by_name(&elf, ".text").unwrap();
                let text = object::ObjectSection::data(&text).unwrap();
                assert_eq!(text, [after, &[0; 4]].concat(), "{before:x?}");
                assert_eq!(relax(&mut file).unwrap(), 0, "nothing is left");
            }
        }
    }

    #[test]
    fn what_has_no_direct_form_is_refused() {
        // CMP with the pointer; PUSH of it.
        for opcode in [&[0x48, 0x3b, 0x05][..], &[0xff, 0x35]] {
            let code = [opcode, &[0; 4]].concat();
            let mut file = Sample::new(&code).with_relocation(opcode.len(), R_X86_64_GOTPCREL, "memcpy").build();
            let before = file.clone();
            let error = relax(&mut file).unwrap_err().to_string();
            assert!(error.starts_with("no direct form"), "{error}");
            assert_eq!(file, before);
        }
    }

    #[test]
    fn other_files_are_refused() {
        assert!(relax(&mut [0; 100]).is_err());
    }
}
