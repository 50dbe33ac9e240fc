//! A guest of 4 GiB in pages of 4 KiB, one of which is at a place of its own.

use x86_virt::{Access, ExitKind, Gpa, GuestMemory, Hpa, Mapping, PageSize, Vcpu, VcpuConfig};

use crate::bench::{Bench, RAM_BYTES, guest_ram_at};
use crate::guest::{Mode, load, page};
use crate::harness::{Outcome, ensure, ensure_eq};

const PAGE: u64 = 0xa000;
const HOST_PAGE: u64 = 0x1f00_0000;
const END: u64 = 1 << 32;

/// MOV RAX, [0xA123]; INC RAX; MOV [0xA200], RAX; HLT.
const CODE: [u8; 20] =
    [0x48, 0x8b, 0x04, 0x25, 0x23, 0xa1, 0, 0, 0x48, 0xff, 0xc0, 0x48, 0x89, 0x04, 0x25, 0x00, 0xa2, 0, 0, 0xf4];

/// Each side reads what the other wrote.
pub(crate) fn one_page_of_4_gib(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    let ram = bench.ram();
    load(&ram, &CODE)?;
    let own = guest_ram_at(HOST_PAGE, 4096);
    own.fill(0);
    let space = root.address_space()?;
    let small = Mapping::new(Access::ALL).largest(PageSize::Size4K);
    for start in (0..END).step_by(usize::try_from(RAM_BYTES)?) {
        space.map(Gpa::new(start)..Gpa::new(start + RAM_BYTES), &ram, 0, small)?;
    }
    // Tables of levels 4 to 1: 1, 1, 4 and 2048; and one of level 5 where the host has it.
    let of_level_5 = usize::from(machine::arg("la57").is_some());
    ensure_eq!(space.frames_in_use(), of_level_5 + 1 + 1 + 4 + 2048, "frames of tables");
    space.unmap(page(PAGE))?.at_next_entry();
    space.map(page(PAGE), &own, 0, small)?;

    for address in [0, 0xa000, 0xa123, 0xafff, 0xb000, 0x1234_5678, END - 1] {
        let to =
            space.translate(Gpa::new(address)).ok_or(x86_virt::AccessError::NotMapped { gpa: Gpa::new(address) })?;
        let expected =
            if address & !0xfff == PAGE { HOST_PAGE + (address - PAGE) } else { ram.hpa().get() + address % RAM_BYTES };
        ensure_eq!((to.hpa, to.size), (Hpa::new(expected), PageSize::Size4K), "translation of {address:#x}");
    }
    ensure_eq!(space.translate(Gpa::new(0xa123)).map(|to| to.hpa), Some(Hpa::new(0x1f00_0123)), "translation");
    ensure!(space.translate(Gpa::new(END)).is_none(), "the address after the last one is mapped");

    let secret = 0x1122_3344_5566_7788_u64;
    space.write(Gpa::new(0xa123), &secret.to_le_bytes())?;
    let mut vcpu = root.vcpu(&space, &VcpuConfig::new())?;
    vcpu.set_state(&Mode::Long.state())?;
    ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit");
    ensure_eq!(vcpu.gprs().rax, secret + 1, "what the guest read, plus 1");
    let mut bytes = [0; 8];
    own.read(0x200, &mut bytes)?;
    ensure_eq!(u64::from_le_bytes(bytes), secret + 1, "what the guest wrote, in the host's page");
    space.read(Gpa::new(0xa200), &mut bytes)?;
    ensure_eq!(u64::from_le_bytes(bytes), secret + 1, "what the guest wrote, through the address space");
    Ok(())
}
