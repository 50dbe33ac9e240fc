//! Linux in the memory of a machine without firmware: what a boot loader would have put there, and the ROM that jumps to it.
//!
//! Linux, Documentation/x86/boot.rst, section "32-bit Boot Protocol", and zero-page.rst.

use anyhow::{Context as _, ensure};

/// Where the image of the memory begins.
pub(super) const BASE: u32 = 0x10_0000;
/// The page with what the kernel is told, and the command line.
const ZERO_PAGE: u32 = BASE;
const COMMAND_LINE: u32 = BASE + 0x1000;
const COMMAND_LINE_BYTES: usize = 0x1000;
/// The end of the memory that firmware would leave below 1 MiB.
const LOW_MEMORY: u64 = 0x9_fc00;

/// Offsets in the file and in the page, which are the same.
mod header {
    pub(super) const SETUP_SECTORS: usize = 0x1f1;
    pub(super) const MAGIC: usize = 0x202;
    pub(super) const JUMP_LENGTH: usize = 0x201;
    pub(super) const TYPE_OF_LOADER: usize = 0x210;
    pub(super) const RAMDISK_IMAGE: usize = 0x218;
    pub(super) const RAMDISK_SIZE: usize = 0x21c;
    pub(super) const COMMAND_LINE_POINTER: usize = 0x228;
    pub(super) const PREFERRED_ADDRESS: usize = 0x258;
    pub(super) const INIT_SIZE: usize = 0x260;
    pub(super) const MEMORY_ENTRIES: usize = 0x1e8;
    pub(super) const MEMORY_MAP: usize = 0x2d0;
}

/// A loader without a number of its own.
const UNKNOWN_LOADER: u8 = 0xff;
const RAM: u32 = 1;

/// What goes into memory from [`BASE`] on, and where the kernel begins.
#[derive(Debug)]
pub(super) struct MemoryImage {
    pub(super) bytes: Vec<u8>,
    pub(super) entry: u32,
}

/// The image of a kernel, its first file system and its command line, in a memory of so many bytes.
pub(super) fn memory_image(
    kernel: &[u8],
    archive: &[u8],
    command_line: &str,
    memory: u64,
) -> anyhow::Result<MemoryImage> {
    ensure!(kernel.get(header::MAGIC..header::MAGIC + 4) == Some(b"HdrS"), "no image of a Linux kernel");
    let sectors = usize::from(*kernel.get(header::SETUP_SECTORS).context("too short")?);
    let code = kernel.get((sectors + 1) * 512..).context("the image of the kernel is too short")?;
    let entry = u32::try_from(read_u64(kernel, header::PREFERRED_ADDRESS)?).context("a kernel above 4 GiB")?;
    let init_size = u32::try_from(read_u64(kernel, header::INIT_SIZE)? & 0xffff_ffff)?;
    let ramdisk = entry.checked_add(init_size).context("a kernel that is too large")?.next_multiple_of(0x10_0000);

    let header_end = header::MAGIC + usize::from(*kernel.get(header::JUMP_LENGTH).context("too short")?);
    let mut bytes = vec![0; COMMAND_LINE_BYTES];
    put(&mut bytes, header::SETUP_SECTORS, kernel.get(header::SETUP_SECTORS..header_end).context("too short")?)?;
    put(&mut bytes, header::TYPE_OF_LOADER, &[UNKNOWN_LOADER])?;
    put(&mut bytes, header::RAMDISK_IMAGE, &ramdisk.to_le_bytes())?;
    put(&mut bytes, header::RAMDISK_SIZE, &u32::try_from(archive.len())?.to_le_bytes())?;
    put(&mut bytes, header::COMMAND_LINE_POINTER, &COMMAND_LINE.to_le_bytes())?;
    let map = [(0, LOW_MEMORY), (u64::from(BASE), memory)];
    put(&mut bytes, header::MEMORY_ENTRIES, &[u8::try_from(map.len())?])?;
    for (number, (start, end)) in map.iter().enumerate() {
        let size = end.checked_sub(*start).context("too little memory")?;
        let entry = [&start.to_le_bytes()[..], &size.to_le_bytes(), &RAM.to_le_bytes()].concat();
        put(&mut bytes, header::MEMORY_MAP + number * entry.len(), &entry)?;
    }
    ensure!(command_line.len() < COMMAND_LINE_BYTES, "the command line is too long");
    bytes.extend(command_line.bytes());
    for (address, contents) in [(entry, code), (ramdisk, archive)] {
        let place = usize::try_from(address.checked_sub(BASE).context("a part below the image")?)?;
        ensure!(place >= bytes.len(), "parts overlap at {address:#x}");
        bytes.resize(place, 0);
        bytes.extend(contents);
    }
    ensure!(u64::from(BASE) + u64::try_from(bytes.len())? <= memory, "too little memory");
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    Ok(MemoryImage { bytes, entry })
}

fn put(bytes: &mut [u8], at: usize, contents: &[u8]) -> anyhow::Result<()> {
    bytes.get_mut(at..at + contents.len()).context("beyond the page")?.copy_from_slice(contents);
    Ok(())
}

fn read_u64(bytes: &[u8], at: usize) -> anyhow::Result<u64> {
    let field = bytes.get(at..at + 8).context("the image of the kernel is too short")?;
    Ok(u64::from_le_bytes(field.try_into()?))
}

const ROM_BYTES: usize = 0x1_0000;
/// Address of the last 256 bytes of the ROM, in which the processor starts.
const STUB: u32 = 0xffff_ff00;
const STUB_BYTES: usize = 256;
const RESET_VECTOR: usize = 0xf0;
/// Offsets in the stub.
const GDT: u8 = 0x80;
const GDT_REGISTER: u8 = 0xa0;
/// Selectors that Linux wants.
const CODE: u16 = 0x10;
const DATA: u8 = 0x18;

/// A ROM that starts the kernel of `image`.
///
/// Bochs gives memory to 128 KiB blocks of addresses in the order of their first use, but loads a file as if they followed each other: the
/// ROM uses those of the image in order, before anything else.
pub(super) fn rom(image: &MemoryImage) -> anyhow::Result<Vec<u8>> {
    let end = BASE + u32::try_from(image.bytes.len())?;
    let mut stub = Vec::new();
    // 16 bits; the base of CS is FFFF0000H.
    stub.extend([0xfa, 0xfc]); // cli; cld
    stub.extend([0x2e, 0x66, 0x0f, 0x01, 0x16, GDT_REGISTER, 0xff]); // lgdtl cs:[GDT_REGISTER]
    stub.extend([0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0]); // mov eax, cr0; or al, PE; mov cr0, eax
    let far_jump = stub.len();
    let protected = STUB + u32::try_from(far_jump + 8)?;
    stub.extend([0x66, 0xea]); // jmp CODE:protected
    stub.extend(protected.to_le_bytes());
    stub.extend(CODE.to_le_bytes());
    // 32 bits.
    stub.extend([0xb8, DATA, 0, 0, 0]); // mov eax, DATA
    stub.extend([0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0x8e, 0xe0, 0x8e, 0xe8]); // mov ds, es, ss, fs, gs, eax
    stub.push(0xbe); // mov esi, BASE
    stub.extend(BASE.to_le_bytes());
    stub.extend([0x8a, 0x06]); // 1: mov al, [esi]
    stub.extend([0x81, 0xc6, 0x00, 0x00, 0x02, 0x00]); // add esi, 128 KiB
    stub.extend([0x81, 0xfe]); // cmp esi, end
    stub.extend(end.to_le_bytes());
    stub.extend([0x72, 0xf0]); // jb 1b
    stub.push(0xbe); // mov esi, ZERO_PAGE
    stub.extend(ZERO_PAGE.to_le_bytes());
    stub.extend([0x31, 0xdb, 0x31, 0xed, 0x31, 0xff]); // xor ebx, ebx; xor ebp, ebp; xor edi, edi
    stub.push(0xb8); // mov eax, entry
    stub.extend(image.entry.to_le_bytes());
    stub.extend([0xff, 0xe0]); // jmp eax
    ensure!(stub.len() <= usize::from(GDT), "the stub is too long");
    stub.resize(usize::from(GDT), 0);
    let flat_code: u64 = 0x00cf_9b00_0000_ffff;
    let flat_data: u64 = 0x00cf_9300_0000_ffff;
    for descriptor in [0, 0, flat_code, flat_data] {
        stub.extend(descriptor.to_le_bytes());
    }
    stub.resize(usize::from(GDT_REGISTER), 0);
    stub.extend(31_u16.to_le_bytes());
    stub.extend((STUB + u32::from(GDT)).to_le_bytes());
    stub.resize(RESET_VECTOR, 0);
    stub.extend([0xe9, 0x0d, 0xff]); // jmp to the stub's beginning
    stub.resize(STUB_BYTES, 0);
    let mut rom = vec![0xff; ROM_BYTES - STUB_BYTES];
    rom.extend(stub);
    Ok(rom)
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions, FlowControl, Mnemonic};

    use super::*;

    /// A kernel of a setup of two sectors, and `code`.
    fn kernel(code: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 3 * 512];
        bytes[header::SETUP_SECTORS] = 2;
        bytes[header::JUMP_LENGTH] = 0x6a;
        bytes[header::MAGIC..header::MAGIC + 4].copy_from_slice(b"HdrS");
        bytes[header::PREFERRED_ADDRESS..header::PREFERRED_ADDRESS + 8].copy_from_slice(&0x100_0000_u64.to_le_bytes());
        bytes[header::INIT_SIZE..header::INIT_SIZE + 4].copy_from_slice(&0x12_3456_u32.to_le_bytes());
        bytes.extend(code);
        bytes
    }

    fn at(image: &MemoryImage, address: u32) -> &[u8] {
        &image.bytes[usize::try_from(address - BASE).unwrap()..]
    }

    #[test]
    fn parts_are_where_the_kernel_is_told() {
        let image = memory_image(&kernel(b"code"), b"files", "quiet", 0x200_0000).unwrap();
        assert_eq!(image.entry, 0x100_0000);
        assert!(at(&image, image.entry).starts_with(b"code"));
        let word = |offset: u32| u32::from_le_bytes(at(&image, ZERO_PAGE + offset)[..4].try_into().unwrap());
        assert_eq!((word(0x218), word(0x21c)), (0x120_0000, 5), "behind the room that the kernel asks for");
        assert!(at(&image, word(0x218)).starts_with(b"files"));
        assert!(at(&image, word(0x228)).starts_with(b"quiet\0"));
        assert_eq!(word(0x202).to_le_bytes(), *b"HdrS");
        assert_eq!(at(&image, ZERO_PAGE + 0x1e8)[0], 2);
        let second = &at(&image, ZERO_PAGE + 0x2d0 + 20)[..20];
        let expected = [&0x10_0000_u64.to_le_bytes()[..], &0x1f0_0000_u64.to_le_bytes(), &[1, 0, 0, 0]].concat();
        assert_eq!(second, expected);
        assert!(image.bytes.len().is_multiple_of(512));
    }

    #[test]
    fn what_is_no_kernel_or_does_not_fit_is_refused() {
        assert!(memory_image(b"#!/bin/sh", b"", "", 1 << 30).is_err());
        assert!(memory_image(&kernel(b""), b"", "", 0x100_0000).is_err());
        assert!(memory_image(&kernel(b""), b"", &"x".repeat(4096), 1 << 30).is_err());
    }

    #[test]
    fn the_rom_starts_at_the_reset_vector_and_ends_in_the_kernel() {
        let image = memory_image(&kernel(b"code"), b"files", "", 0x200_0000).unwrap();
        let rom = rom(&image).unwrap();
        assert_eq!(rom.len(), ROM_BYTES);
        let stub = &rom[ROM_BYTES - STUB_BYTES..];
        let reset = Decoder::with_ip(16, &stub[RESET_VECTOR..], 0xfff0, DecoderOptions::NONE).decode();
        assert_eq!((reset.flow_control(), reset.near_branch16()), (FlowControl::UnconditionalBranch, 0xff00));
        let mut real = Decoder::with_ip(16, stub, 0xff00, DecoderOptions::NONE);
        let jump = real.iter().find(|instruction| instruction.mnemonic() == Mnemonic::Jmp).unwrap();
        assert_eq!(jump.far_branch_selector(), CODE);
        let start = usize::try_from(jump.far_branch32() - STUB).unwrap();
        assert_eq!(u64::try_from(start).unwrap(), jump.next_ip() - 0xff00);
        let mut protected = Decoder::with_ip(32, &stub[start..], jump.far_branch32().into(), DecoderOptions::NONE);
        let code: Vec<_> = protected.iter().take_while(|instruction| !instruction.is_invalid()).take(20).collect();
        let texts: Vec<_> = code.iter().map(|instruction| instruction.to_string()).collect();
        let back = code.iter().find(|instruction| instruction.mnemonic() == Mnemonic::Jb).unwrap();
        let target = code.iter().position(|instruction| instruction.ip() == back.near_branch_target()).unwrap();
        assert_eq!(texts[target], "mov al,[esi]");
        let end = texts.iter().position(|text| text == "jmp eax").unwrap();
        assert_eq!(texts[end - 1], "mov eax,1000000h");
        assert!(texts.contains(&"mov esi,100000h".to_owned()), "{texts:?}");
    }
}
