//! Kernels that are and are not, in memory that is and is not enough.

use alloc::vec;
use alloc::vec::Vec;

use super::{ACPI, COMMAND_LINE, Files, GDT, Header, HeaderError, LoadError, MIB, PARAMETERS, check_memory, load};
use crate::test_ram::TestRam;

const PREFERRED: u64 = 16 * MIB;

/// A file that looks like a kernel, with two sectors of code.
fn kernel() -> Vec<u8> {
    let mut file = vec![0; 512 * 5];
    let mut set = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
    set(0x1f1, &[2]);
    set(0x1fe, &[0x55, 0xaa]);
    set(0x200, &[0xeb, 0x6a]);
    set(0x202, b"HdrS");
    set(0x206, &0x020f_u16.to_le_bytes());
    set(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    set(0x236, &1_u16.to_le_bytes());
    set(0x238, &2047_u32.to_le_bytes());
    set(0x258, &PREFERRED.to_le_bytes());
    set(0x260, &(2 * u32::try_from(MIB).unwrap()).to_le_bytes());
    set(512 * 3, b"code");
    file
}

fn files<'a>(kernel: &'a [u8], initrd: &'a [u8]) -> Files<'a> {
    Files { kernel, initrd, command_line: "quiet" }
}

fn double(ram: &TestRam, at: u64) -> u64 {
    let mut bytes = [0; 4];
    ram.guest().read(at, &mut bytes).unwrap();
    u32::from_le_bytes(bytes).into()
}

#[test]
fn a_guest_is_put_together() {
    let ram = TestRam::new(64 * MIB);
    let state = load(&ram.guest(), &files(&kernel(), b"initrd"), b"RSD PTR ").unwrap();
    assert_eq!((state.rip, state.gprs.rsi, state.gdtr.base), (PREFERRED + 0x200, PARAMETERS, GDT));
    assert_eq!((state.cs.selector, state.ds.selector, state.rflags.r#if()), (0x10, 0x18, false));
    let read = |at, length| {
        let mut bytes = vec![0; length];
        ram.guest().read(at, &mut bytes).unwrap();
        bytes
    };
    assert_eq!(read(PREFERRED, 4), b"code");
    assert_eq!(read(COMMAND_LINE, 6), b"quiet\0");
    assert_eq!(read(ACPI, 8), b"RSD PTR ");
    assert_eq!(double(&ram, PARAMETERS + 0x228), COMMAND_LINE);
    let initrd = double(&ram, PARAMETERS + 0x218);
    assert_eq!(initrd, 64 * MIB - 0x1000);
    assert_eq!((read(initrd, 6), double(&ram, PARAMETERS + 0x21c)), (b"initrd".to_vec(), 6));
    assert_eq!(read(PARAMETERS + 0x202, 4), b"HdrS");
    assert_eq!(read(PARAMETERS + 0x1e8, 1), [3]);
    assert_eq!((double(&ram, PARAMETERS + 0x2d0 + 40), double(&ram, PARAMETERS + 0x2d0 + 48)), (MIB, 63 * MIB));
}

#[test]
fn a_file_that_is_no_kernel_is_refused() {
    let change = |offset: usize, bytes: &[u8]| {
        let mut file = kernel();
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
        Header::of(&file).unwrap_err()
    };
    assert_eq!(Header::of(b"#!/bin/sh"), Err(HeaderError::NoKernel { bytes: 9 }));
    assert_eq!(Header::of(&[]), Err(HeaderError::NoKernel { bytes: 0 }));
    assert_eq!(Header::of(b"\x7fELF\x02\x01"), Err(HeaderError::Elf));
    assert_eq!(change(0x202, b"Hdrs"), HeaderError::NoKernel { bytes: 2560 });
    assert_eq!(change(0x206, &[0x0b, 0x02]), HeaderError::TooOld { version: 0x020b });
    assert_eq!(change(0x236, &[0, 0]), HeaderError::NoEntry64);
    assert_eq!(change(0x1f1, &[200]), HeaderError::Cut { bytes: 2560 });
    // It says that it has one unit more than two sectors of code.
    assert_eq!(change(0x1f4, &[0x41]), HeaderError::Cut { bytes: 2560 });
    let file = kernel();
    for length in [0x208, 0x230, 0x25f, 512 * 3] {
        assert_eq!(Header::of(&file[..length]), Err(HeaderError::Cut { bytes: length }));
    }
    let message = alloc::format!("{}", LoadError::from(HeaderError::TooOld { version: 0x0209 }));
    assert_eq!(message, "the kernel: its boot protocol is version 2.09, and 2.12 is needed");
}

#[test]
fn what_does_not_fit_is_refused() {
    let ram = TestRam::new(64 * MIB);
    let large = vec![1; 47 << 20];
    assert_eq!(
        load(&ram.guest(), &files(&kernel(), &large), b""),
        Err(LoadError::InitrdDoesNotFit { bytes: 47 * MIB, memory: 64 * MIB })
    );
    let mut far = kernel();
    far[0x258..0x260].copy_from_slice(&(63 * MIB).to_le_bytes());
    let error = LoadError::KernelDoesNotFit { address: 63 * MIB, bytes: 2 * MIB, memory: 64 * MIB };
    assert_eq!(load(&ram.guest(), &files(&far, b""), b""), Err(error));
    far[0x258..0x260].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(load(&ram.guest(), &files(&far, b""), b""), Err(LoadError::KernelDoesNotFit { .. })));
    let long = "x".repeat(2048);
    let files = Files { kernel: &kernel(), initrd: b"", command_line: &long };
    assert_eq!(load(&ram.guest(), &files, b""), Err(LoadError::CommandLine { bytes: 2048 }));
    let tables = vec![0; 0x2_0001];
    assert_eq!(load(&ram.guest(), &self::files(&kernel(), b""), &tables), Err(LoadError::Acpi { bytes: 0x2_0001 }));
}

#[test]
fn odd_sizes_of_memory_are_refused() {
    for bytes in [0, 1, 62 * MIB, 65 * MIB, 128 * MIB + 0x1000, 3074 * MIB, u64::MAX] {
        assert_eq!(check_memory(bytes), Err(LoadError::Memory { bytes }));
    }
    assert_eq!((check_memory(64 * MIB), check_memory(3072 * MIB)), (Ok(()), Ok(())));
    let text = alloc::format!("{}", LoadError::Memory { bytes: 1 });
    assert_eq!(text, "0x1 bytes of memory: a guest has from 64 to 3072 MiB, in multiples of 2 MiB");
}
