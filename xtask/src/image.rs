//! From an ELF file to what the emulators load.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use object::elf::{EM_X86_64, FileHeader64, PT_LOAD};
use object::read::elf::{ElfFile, FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, Object as _, ObjectSection as _};

use crate::cargo::Profile;

/// The physical address of the flat image.
pub(crate) const BASE: u64 = 0x10_0000;
/// The physical address of the command line.
pub(crate) const COMMAND_LINE: u64 = 0x7000;
/// The physical address of the file that is carried to the image, and its greatest length: Bochs loads more only if it is the last.
pub(crate) const CARRIED: u64 = 0x2_0000;
pub(crate) const MAX_CARRIED: usize = 0x2_0000;
/// The memory of every machine, in MiB.
pub(crate) const MEMORY_MIB: u64 = 512;

/// The flat image's file.
pub(crate) const KERNEL_FILE: &str = "kernel.bin";
/// The file of the ROM that starts it.
pub(crate) const ROM_FILE: &str = "stub.rom";

/// Both emulators load whole sectors.
const SECTOR: usize = 512;
const ROM_SIZE: usize = 0x1_0000;
/// The part of the ROM that the image brings, at its top.
const STUB_SIZE: usize = 256;
const STUB_SECTION: &str = ".romstub";

/// An image on the disk, ready to boot.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) profile: Profile,
    /// Holds its files, and a folder for each run.
    pub(crate) folder: PathBuf,
}

impl Image {
    /// Converts the ELF file into files below `parent`.
    pub(crate) fn convert(elf: &Path, name: &str, profile: Profile, parent: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
        let parts = convert(&bytes).with_context(|| format!("{} does not boot", elf.display()))?;
        let folder = parent.join(format!("{name}-{profile}"));
        let write = |file, bytes: &[u8]| {
            let path = folder.join(file);
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
        };
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        write(KERNEL_FILE, &parts.kernel)?;
        write(ROM_FILE, &parts.rom)?;
        Ok(Self { name: name.to_owned(), profile, folder })
    }
}

impl Image {
    /// Adds files to the image, each at a physical address after everything before it.
    ///
    /// They are one file with the image since Bochs 2.7 loads only its last one in full.
    pub(crate) fn append(&self, files: &[(u64, Vec<u8>)]) -> anyhow::Result<()> {
        let path = self.folder.join(KERNEL_FILE);
        let mut flat = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for (address, contents) in files {
            let start = address.checked_sub(BASE).and_then(|offset| usize::try_from(offset).ok());
            let start = start
                .filter(|&start| start >= flat.len())
                .with_context(|| format!("a file for {address:#x} would overwrite what is before it"))?;
            flat.resize(start, 0);
            flat.extend_from_slice(contents);
        }
        pad(&mut flat);
        fs::write(&path, flat).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The bytes of the command line's file.
pub(crate) fn command_line(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    pad(&mut bytes);
    bytes
}

/// `bytes` in whole sectors.
pub(crate) fn sectors(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    pad(&mut bytes);
    bytes
}

#[derive(Debug)]
struct Parts {
    kernel: Vec<u8>,
    rom: Vec<u8>,
}

fn convert(elf: &[u8]) -> anyhow::Result<Parts> {
    let file = ElfFile::<FileHeader64<LittleEndian>>::parse(elf).context("not a 64-bit little-endian ELF file")?;
    ensure!(file.elf_header().e_machine(LittleEndian) == EM_X86_64, "not for x86-64");
    Ok(Parts { kernel: kernel(&file)?, rom: rom(&file)? })
}

type Elf<'data> = ElfFile<'data, FileHeader64<LittleEndian>>;

/// What PT_LOAD places in memory, from [`BASE`] on. The image clears its own `.bss`.
fn kernel(file: &Elf<'_>) -> anyhow::Result<Vec<u8>> {
    let mut flat = Vec::new();
    for segment in file.elf_program_headers() {
        let contents =
            segment.data(LittleEndian, file.data()).ok().context("a segment is beyond the end of the file")?;
        if segment.p_type(LittleEndian) != PT_LOAD || contents.is_empty() {
            continue;
        }
        let address = segment.p_paddr(LittleEndian);
        let start =
            address.checked_sub(BASE).with_context(|| format!("a segment lies at {address:#x}, below {BASE:#x}"))?;
        let start = usize::try_from(start)?;
        let end = start
            .checked_add(contents.len())
            .filter(|&end| u64::try_from(end).is_ok_and(|end| end <= (MEMORY_MIB << 20) - BASE));
        let Some(end) = end else { bail!("a segment at {address:#x} ends beyond {MEMORY_MIB} MiB") };
        flat.resize(flat.len().max(end), 0);
        flat.get_mut(start..end).context("a segment has no place")?.copy_from_slice(contents);
    }
    ensure!(!flat.is_empty(), "nothing to load");
    pad(&mut flat);
    Ok(flat)
}

/// The ROM: the image's stub at the top, erased flash below.
fn rom(file: &Elf<'_>) -> anyhow::Result<Vec<u8>> {
    let section = file.section_by_name(STUB_SECTION).with_context(|| format!("no section {STUB_SECTION}"))?;
    let stub = section.data()?;
    ensure!(stub.len() == STUB_SIZE, "{STUB_SECTION} has {} bytes, not {STUB_SIZE}", stub.len());
    let mut rom = vec![0xff; ROM_SIZE - STUB_SIZE];
    rom.extend_from_slice(stub);
    Ok(rom)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(number: usize) -> u64 {
        u64::try_from(number).unwrap()
    }

    /// An ELF file with these segments (physical address, contents) and a stub of this size.
    fn elf(segments: &[(u64, &[u8])], stub_size: usize) -> Vec<u8> {
        const HEADER: usize = 64;
        const PROGRAM_HEADER: usize = 56;
        let names = b"\0.romstub\0.shstrtab\0";
        let mut contents = Vec::new();
        let mut headers = Vec::new();
        let contents_at = HEADER + PROGRAM_HEADER * segments.len();
        for (address, bytes) in segments {
            headers.extend(1u32.to_le_bytes());
            headers.extend(7u32.to_le_bytes());
            let size = wide(bytes.len());
            for value in [wide(contents_at + contents.len()), *address, *address, size, size + 0x5000, 0x1000] {
                headers.extend(value.to_le_bytes());
            }
            contents.extend_from_slice(bytes);
        }
        let stub_at = contents_at + contents.len();
        contents.extend((0..=u8::MAX).cycle().take(stub_size));
        let names_at = contents_at + contents.len();
        contents.extend_from_slice(names);
        let sections_at = contents_at + contents.len();
        for (name, kind, offset, size) in [(0, 0, 0, 0), (1, 1, stub_at, stub_size), (10, 3, names_at, names.len())] {
            contents.extend([name, kind].map(u32::to_le_bytes).concat());
            let values = [0, 0, wide(offset), wide(size), 0, 1, 0];
            contents.extend(values.map(u64::to_le_bytes).concat());
        }
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend([2u16, 62].map(u16::to_le_bytes).concat());
        file.extend(1u32.to_le_bytes());
        file.extend([BASE, wide(HEADER), wide(sections_at)].map(u64::to_le_bytes).concat());
        file.extend(0u32.to_le_bytes());
        file.extend([64, 56, u16::try_from(segments.len()).unwrap(), 64, 3, 2].map(u16::to_le_bytes).concat());
        file.extend(headers);
        file.extend(contents);
        file
    }

    fn error(elf: &[u8]) -> String {
        format!("{:#}", convert(elf).unwrap_err())
    }

    #[test]
    fn segments_go_to_their_places() {
        let parts = convert(&elf(&[(BASE, b"one"), (BASE + 0x1000, b"two"), (0, b"")], 256)).unwrap();
        assert_eq!(parts.kernel.len(), 0x1200);
        assert_eq!(&parts.kernel[..4], b"one\0");
        assert_eq!(&parts.kernel[0x1000..0x1004], b"two\0");
    }

    #[test]
    fn the_stub_is_the_top_of_the_rom() {
        let rom = convert(&elf(&[(BASE, b"one")], 256)).unwrap().rom;
        assert_eq!(rom.len(), 65536);
        assert!(rom[..65280].iter().all(|&byte| byte == 0xff));
        assert_eq!(rom[65280..], (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn what_does_not_boot_is_refused() {
        assert_eq!(error(&elf(&[(BASE - 0x1000, b"one")], 256)), "a segment lies at 0xff000, below 0x100000");
        assert_eq!(error(&elf(&[(MEMORY_MIB << 20, b"one")], 256)), "a segment at 0x20000000 ends beyond 512 MiB");
        assert_eq!(error(&elf(&[(u64::MAX, b"one")], 256)), "a segment at 0xffffffffffffffff ends beyond 512 MiB");
        assert_eq!(error(&elf(&[(BASE, b"one")], 255)), ".romstub has 255 bytes, not 256");
        assert_eq!(error(&elf(&[], 256)), "nothing to load");
        assert!(error(b"#!/bin/sh").starts_with("not a 64-bit little-endian ELF file"));
    }

    #[test]
    fn the_command_line_ends_with_nul_and_fills_a_sector() {
        let bytes = command_line("cpus=4 trace");
        assert_eq!(bytes.len(), 512);
        assert_eq!(&bytes[..13], b"cpus=4 trace\0");
        assert_eq!(command_line(&"x".repeat(512)).len(), 1024);
    }
}
