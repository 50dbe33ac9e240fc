//! The header of a kernel's file.
//!
//! Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".

/// Where the code for 64-bit mode begins, from the place of the kernel.
pub(super) const ENTRY_64: u64 = 0x200;
/// The header begins here, in the file and in the boot parameters.
pub(super) const SETUP_HEADER: usize = 0x1f1;

/// The size of the code, in units of 16 bytes.
const CODE_SIZE: usize = 0x1f4;
const BOOT_FLAG: usize = 0x1fe;
const JUMP: usize = 0x200;
const MAGIC: usize = 0x202;
const VERSION: usize = 0x206;
const INITRD_LIMIT: usize = 0x22c;
const FEATURES: usize = 0x236;
const COMMAND_LINE_LIMIT: usize = 0x238;
const PREFERRED_ADDRESS: usize = 0x258;
const MEMORY_BYTES: usize = 0x260;

const SECTOR: usize = 512;
/// The first version with a 64-bit entry.
const OLDEST: u16 = 0x020c;
/// Feature: there is an entry for 64-bit mode.
const HAS_ENTRY_64: u16 = 1;

/// What a kernel's header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The version of the boot protocol: major in the high byte.
    pub version: u16,
    /// Where the protected-mode code begins in the file.
    pub code_offset: usize,
    /// The end of the header in the file.
    pub end: usize,
    /// Where the kernel wants to be.
    pub preferred_address: u64,
    /// How much memory it needs there until it has looked around.
    pub memory_bytes: u64,
    /// The last address that the initial file system may have.
    pub initrd_limit: u64,
    /// The length of the longest command line.
    pub command_line_limit: u64,
}

impl Header {
    /// Reads the header of a kernel's file.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] if it is no kernel, or none that has an entry for 64-bit mode.
    pub fn of(file: &[u8]) -> Result<Self, HeaderError> {
        if file.get(..4) == Some(b"\x7fELF") {
            return Err(HeaderError::Elf);
        }
        let is_kernel = bytes(file, BOOT_FLAG) == Some([0x55, 0xaa]) && bytes(file, MAGIC) == Some(*b"HdrS");
        if !is_kernel {
            return Err(HeaderError::NoKernel { bytes: file.len() });
        }
        let cut = HeaderError::Cut { bytes: file.len() };
        let byte = |offset| file.get(offset).copied().map(usize::from).ok_or(cut);
        let word = |offset| bytes(file, offset).map(u16::from_le_bytes).ok_or(cut);
        let double = |offset| bytes(file, offset).map(u32::from_le_bytes).map(u64::from).ok_or(cut);
        let version = word(VERSION)?;
        if version < OLDEST {
            return Err(HeaderError::TooOld { version });
        }
        if word(FEATURES)? & HAS_ENTRY_64 == 0 {
            return Err(HeaderError::NoEntry64);
        }
        // 0 is 4, from the time of the first protocol.
        let sectors = match byte(SETUP_HEADER)? {
            0 => 4,
            sectors => sectors,
        };
        let header = Self {
            version,
            code_offset: (sectors + 1) * SECTOR,
            end: MAGIC + byte(JUMP + 1)?,
            preferred_address: bytes(file, PREFERRED_ADDRESS).map(u64::from_le_bytes).ok_or(cut)?,
            memory_bytes: double(MEMORY_BYTES)?,
            initrd_limit: double(INITRD_LIMIT)?,
            command_line_limit: double(COMMAND_LINE_LIMIT)?,
        };
        let code = usize::try_from(double(CODE_SIZE)?.saturating_mul(16)).map_err(|_| cut)?;
        let has_code = file.len().checked_sub(header.code_offset).is_some_and(|bytes| bytes >= code.max(1));
        if !has_code || header.end > file.len() {
            return Err(cut);
        }
        Ok(header)
    }
}

fn bytes<const N: usize>(file: &[u8], offset: usize) -> Option<[u8; N]> {
    file.get(offset..)?.first_chunk().copied()
}

/// Why a file cannot be booted as a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// There is no header where a kernel has one.
    #[error("this file of {bytes} bytes is no bzImage of Linux")]
    NoKernel {
        /// The size of the file.
        bytes: usize,
    },
    /// An ELF file: the kernel before it was packed.
    #[error("this is an ELF file; the bzImage is needed, not vmlinux")]
    Elf,
    /// The file ends before its header or its code.
    #[error("this file of {bytes} bytes is cut off")]
    Cut {
        /// The size of the file.
        bytes: usize,
    },
    /// The kernel is from before version 2.12 of the protocol.
    #[error("its boot protocol is version {}.{:02}, and 2.12 is needed", version >> 8, version & 0xff)]
    TooOld {
        /// The version.
        version: u16,
    },
    /// It cannot be entered in 64-bit mode.
    #[error("it has no entry for 64-bit mode")]
    NoEntry64,
}
