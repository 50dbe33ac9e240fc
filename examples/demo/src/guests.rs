//! The guests: their memory, their start and what is expected of them.

use demo::exit_loop::{self, Ending, Guest, Monitor as _};
use x86_virt::{
    Access, CpuState, Gpa, GuestRam, Hpa, Mapping, MsrAccess, PageSize, Root, SwitchedMsr, Vcpu, VcpuConfig,
};

use crate::Failure;
use crate::code;
use crate::host::{self, Frames};
use crate::report::Report;

const MIB: u64 = 1 << 20;
const LONG_MODE_CODE: u64 = 0x1_0000;
const LONG_MODE_STACK: u64 = 0xf000;
const LONG_MODE_TABLES: u64 = 0x1000;

/// A 16-bit guest that prints and halts.
pub(crate) fn real_mode(root: &mut Root<'_, Frames>, report: &mut Report) -> Result<(), Failure> {
    let ram = host::guest_ram(0x20_0000)?;
    ram.write(0x7c00, code::real_mode())?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(2 * MIB), &ram, 0, Access::ALL)?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    let mut state = CpuState::real_mode(0, 0x7c00);
    state.rsp = 0x7000;
    vcpu.set_state(&state)?;
    let mut guest = Guest::new(&space, ram, report);
    expect(Ending::Halted, exit_loop::run(&mut vcpu, &mut guest)?)
}

/// A 64-bit guest that tries everything and ends in a triple fault. Its memory above 2 MiB is mapped on demand.
pub(crate) fn long_mode(root: &mut Root<'_, Frames>, report: &mut Report) -> Result<(), Failure> {
    let ram = host::guest_ram(0x40_0000)?;
    load_long_mode(&ram, code::long_mode())?;
    let space = root.address_space()?;
    space.map(Gpa::new(0)..Gpa::new(2 * MIB), &ram, 0, Access::ALL)?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    vcpu.set_state(&CpuState::long_mode(LONG_MODE_CODE, LONG_MODE_STACK, LONG_MODE_TABLES))?;
    vcpu.pass_msr(SwitchedMsr::KernelGsBase, MsrAccess::ReadWrite);
    let ending = if report.may_shut_down() { Ending::Shutdown } else { Ending::Halted };
    let mut guest = Guest::new(&space, ram, report);
    expect(ending, exit_loop::run(&mut vcpu, &mut guest)?)?;
    if vcpu.msr(SwitchedMsr::KernelGsBase) != 0x3333_1111_2222 {
        return Err("the guest's KERNEL_GS_BASE was lost".into());
    }
    Ok(())
}

/// A guest with 4 GiB of memory in pages of 4 KiB, one of which is at a place of its own.
pub(crate) fn small_pages(root: &mut Root<'_, Frames>, report: &mut Report) -> Result<(), Failure> {
    const GUEST_PAGE: Gpa = Gpa::new(0xa000);
    const HOST_PAGE: Hpa = Hpa::new(0x1f00_0000);
    let ram = host::guest_ram(0x20_0000)?;
    load_long_mode(&ram, code::reader())?;
    let page = host::guest_ram_at(HOST_PAGE.get(), 4096)?;
    page.write(0x123, b"12345678")?;

    let space = root.address_space()?;
    let small = Mapping::new(Access::ALL).largest(PageSize::Size4K);
    for start in (0..4096 * MIB).step_by(0x20_0000) {
        space.map(Gpa::new(start)..Gpa::new(start + 2 * MIB), &ram, 0, small)?;
    }
    let end = Gpa::new(GUEST_PAGE.get() + PageSize::Size4K.bytes());
    space.unmap(GUEST_PAGE..end)?.at_next_entry();
    space.map(GUEST_PAGE..end, &page, 0, small)?;
    let translation = space.translate(Gpa::new(0xa123)).ok_or("0xa123 is not mapped")?;
    report.memory(&space, Gpa::new(0xa123), translation);
    if (translation.hpa, translation.size) != (Hpa::new(0x1f00_0123), PageSize::Size4K) {
        return Err("0xa123 is mapped to the wrong place".into());
    }

    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    vcpu.set_state(&CpuState::long_mode(LONG_MODE_CODE, LONG_MODE_STACK, LONG_MODE_TABLES))?;
    let mut guest = Guest::new(&space, ram, report);
    expect(Ending::Halted, exit_loop::run(&mut vcpu, &mut guest)?)?;
    if report.last_line() != "12345678" {
        return Err("the guest did not read what the host wrote".into());
    }
    Ok(())
}

/// Puts the code and page tables that map the first GiB one to one into `ram`.
fn load_long_mode(ram: &GuestRam<'_>, code: &[u8]) -> Result<(), x86_virt::GuestRamError> {
    const PRESENT_WRITABLE: u64 = 3;
    const LARGE: u64 = 1 << 7;
    ram.write(LONG_MODE_CODE, code)?;
    ram.write(0x1000, &(0x2000 | PRESENT_WRITABLE).to_le_bytes())?;
    ram.write(0x2000, &(0x3000 | PRESENT_WRITABLE).to_le_bytes())?;
    for index in 0..512_u64 {
        let entry = (index * 2 * MIB) | PRESENT_WRITABLE | LARGE;
        ram.write(0x3000 + 8 * index, &entry.to_le_bytes())?;
    }
    Ok(())
}

fn expect(expected: Ending, ending: Ending) -> Result<(), Failure> {
    if ending == expected { Ok(()) } else { Err(alloc::format!("the guest ended with {ending:?}").into()) }
}
