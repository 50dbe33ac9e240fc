//! The boot protocol of Linux: from a kernel's file to a guest that is ready to run.
//!
//! Linux, Documentation/arch/x86/boot.rst, "The Linux/x86 Boot Protocol" ("64-bit Boot Protocol").

mod header;
mod parameters;

use x86_virt::{CpuState, DescriptorTable, GuestRam, GuestRamError, Segment, SegmentAccessRights};

pub use header::{Header, HeaderError};
use parameters::Parameters;

/// The least and the most memory of a guest, in bytes. Devices begin above.
pub const SMALLEST: u64 = 64 * MIB;
/// See [`SMALLEST`].
pub const LARGEST: u64 = 3072 * MIB;

const MIB: u64 = 1 << 20;
const PAGE: u64 = 0x1000;
/// Where things are below the first MiB, which firmware would have used.
const GDT: u64 = 0x6000;
const PARAMETERS: u64 = 0x7000;
const TABLES: u64 = 0x9000;
const COMMAND_LINE: u64 = 0x2_0000;
/// The end of the memory below the first MiB that the guest may use.
const LOW_END: u64 = 0x9_fc00;
/// The tables of ACPI, in an area that the guest searches for them.
pub const ACPI: u64 = 0xe_0000;
/// The end of that area.
const ACPI_END: u64 = MIB;

/// What the guest is made of.
#[derive(Debug)]
pub struct Files<'a> {
    /// The kernel, a bzImage.
    pub kernel: &'a [u8],
    /// The initial file system; empty if there is none.
    pub initrd: &'a [u8],
    /// The kernel's command line.
    pub command_line: &'a str,
}

/// Puts everything into the guest's memory, which begins at guest-physical address 0, and says how it starts.
///
/// `acpi` are the tables for [`ACPI`], the root pointer first.
///
/// # Errors
///
/// [`LoadError`] if a file is not what it should be, or something does not fit.
pub fn load(ram: &GuestRam<'_>, files: &Files<'_>, acpi: &[u8]) -> Result<CpuState, LoadError> {
    let memory = ram.bytes();
    check_memory(memory)?;
    let header = Header::of(files.kernel)?;
    let entry = place_kernel(ram, files.kernel, &header)?;
    let kernel_end = header.preferred_address.saturating_add(header.memory_bytes);

    let mut parameters = Parameters::new(files.kernel, &header);
    if !files.initrd.is_empty() {
        let address = place_initrd(ram, files.initrd, kernel_end, header.initrd_limit)?;
        parameters.set_initrd(address, files.initrd.len());
    }
    place_command_line(ram, files.command_line, header.command_line_limit)?;
    parameters.set_command_line(COMMAND_LINE);
    if length(acpi) > ACPI_END - ACPI {
        return Err(LoadError::Acpi { bytes: length(acpi) });
    }
    ram.write(ACPI, acpi)?;
    parameters.set_acpi(ACPI);
    parameters.add_memory(0..LOW_END);
    parameters.add_reserved(ACPI..ACPI_END);
    parameters.add_memory(MIB..memory);
    ram.write(PARAMETERS, parameters.bytes())?;
    place_tables(ram)?;
    Ok(start(entry))
}

/// Checks the size of a guest's memory.
///
/// # Errors
///
/// [`LoadError::Memory`] if it is too little, too much, or not a multiple of 2 MiB.
pub fn check_memory(bytes: u64) -> Result<(), LoadError> {
    let is_possible = (SMALLEST..=LARGEST).contains(&bytes) && bytes.is_multiple_of(2 * MIB);
    if is_possible { Ok(()) } else { Err(LoadError::Memory { bytes }) }
}

fn place_kernel(ram: &GuestRam<'_>, kernel: &[u8], header: &Header) -> Result<u64, LoadError> {
    let code = kernel.get(header.code_offset..).unwrap_or_default();
    let address = header.preferred_address;
    let bytes = header.memory_bytes.max(length(code));
    let fits = address >= MIB && address.checked_add(bytes).is_some_and(|end| end <= ram.bytes());
    if !fits {
        return Err(LoadError::KernelDoesNotFit { address, bytes, memory: ram.bytes() });
    }
    ram.write(address, code)?;
    Ok(address + header::ENTRY_64)
}

/// At the end of memory, as far as the kernel can reach.
fn place_initrd(ram: &GuestRam<'_>, initrd: &[u8], kernel_end: u64, limit: u64) -> Result<u64, LoadError> {
    let too_large = LoadError::InitrdDoesNotFit { bytes: length(initrd), memory: ram.bytes() };
    let end = ram.bytes().min(limit.saturating_add(1));
    let address = end.checked_sub(length(initrd)).ok_or(too_large)? & !(PAGE - 1);
    if address < kernel_end {
        return Err(too_large);
    }
    ram.write(address, initrd)?;
    Ok(address)
}

fn place_command_line(ram: &GuestRam<'_>, text: &str, limit: u64) -> Result<(), LoadError> {
    let bytes = text.as_bytes();
    if length(bytes) > limit.min(LOW_END - COMMAND_LINE - 1) || bytes.contains(&0) {
        return Err(LoadError::CommandLine { bytes: length(bytes) });
    }
    ram.write(COMMAND_LINE, bytes)?;
    ram.write(COMMAND_LINE + length(bytes), &[0])?;
    Ok(())
}

/// Page tables that map the first 4 GiB one to one, and the descriptors that the protocol asks for.
fn place_tables(ram: &GuestRam<'_>) -> Result<(), GuestRamError> {
    const PRESENT_WRITABLE: u64 = 3;
    const LARGE: u64 = 1 << 7;
    let (pointers, directories) = (TABLES + PAGE, TABLES + 2 * PAGE);
    ram.write(TABLES, &(pointers | PRESENT_WRITABLE).to_le_bytes())?;
    for gib in 0..4 {
        let directory = directories + gib * PAGE;
        ram.write(pointers + 8 * gib, &(directory | PRESENT_WRITABLE).to_le_bytes())?;
        for index in 0..512 {
            let entry = (gib << 30) | (index * 2 * MIB) | PRESENT_WRITABLE | LARGE;
            ram.write(directory + 8 * index, &entry.to_le_bytes())?;
        }
    }
    // Selectors 10H and 18H: code and data.
    let descriptors = [0_u64, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];
    for (offset, descriptor) in (GDT..).step_by(8).zip(descriptors) {
        ram.write(offset, &descriptor.to_le_bytes())?;
    }
    Ok(())
}

fn start(entry: u64) -> CpuState {
    let mut state = CpuState::long_mode(entry, 0, TABLES);
    state.gprs.rsi = PARAMETERS;
    state.cs = Segment { selector: 0x10, ..Segment::flat(0x10, SegmentAccessRights::CODE64) };
    let data = Segment::flat(0x18, SegmentAccessRights::DATA32);
    for segment in [&mut state.ds, &mut state.es, &mut state.ss, &mut state.fs, &mut state.gs] {
        *segment = data;
    }
    state.gdtr = DescriptorTable { base: GDT, limit: 0x1f };
    state
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Why a guest cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The kernel's file is none, or one that cannot be started so.
    #[error("the kernel: {0}")]
    Kernel(#[from] HeaderError),
    /// Not a size of memory that a guest can have.
    #[error(
        "{bytes:#x} bytes of memory: a guest has from {} to {} MiB, in multiples of 2 MiB",
        SMALLEST >> 20, LARGEST >> 20
    )]
    Memory {
        /// The size.
        bytes: u64,
    },
    /// The kernel needs more memory than there is, or other.
    #[error("the kernel needs {bytes:#x} bytes at {address:#x}, and the guest has {memory:#x} bytes of memory")]
    KernelDoesNotFit {
        /// Where it is to be.
        address: u64,
        /// How much it needs until it has looked around.
        bytes: u64,
        /// The size of memory.
        memory: u64,
    },
    /// The initial file system is too large.
    #[error("the initrd has {bytes:#x} bytes, too many after the kernel in {memory:#x} bytes of memory")]
    InitrdDoesNotFit {
        /// Its size.
        bytes: u64,
        /// The size of memory.
        memory: u64,
    },
    /// The command line is too long, or has a zero byte in it.
    #[error("the kernel does not take this command line of {bytes} bytes")]
    CommandLine {
        /// Its length.
        bytes: u64,
    },
    /// The tables of ACPI are too large.
    #[error("there is no room for {bytes:#x} bytes of ACPI tables")]
    Acpi {
        /// Their size.
        bytes: u64,
    },
    /// Something is not inside the memory.
    #[error(transparent)]
    Ram(#[from] GuestRamError),
}

#[cfg(test)]
mod tests;
