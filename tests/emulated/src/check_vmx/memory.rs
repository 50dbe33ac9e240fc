//! Memory that the fields of a VMCS point to.
#![expect(unsafe_code, reason = "reads and writes memory that the processor uses, too")]

use x86_virt::vmx::Capabilities;
use x86_virt::vmx::check::Machine;
use x86_virt::{Access, Gpa, GuestRam, Hpa};

use crate::differential::Happening;
use crate::guest::Guest;
use crate::harness::Outcome;

/// The entry of the MSR-load area that no processor takes, from 1.
pub(super) const GUARD: u64 = 3;

/// IA32_KERNEL_GS_BASE, IA32_LSTAR, IA32_FS_BASE.
const KERNEL_GS_BASE: u64 = 0xc000_0102;
const LSTAR: u64 = 0xc000_0082;
const FS_BASE: u64 = 0xc000_0100;
const GS_BASE: u64 = 0xc000_0101;
const STAR: u64 = 0xc000_0081;

/// Where the machine has no memory any more.
const END: u64 = 0x2000_0000;

/// How many entries the areas have that exits use.
pub(super) const EXIT_ENTRIES: u64 = 256;

/// Pages of the guest's memory, and what is in them.
#[derive(Debug)]
pub(super) struct Layout {
    base: u64,
}

/// Defines the pages.
macro_rules! pages {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl Layout {
            $($(#[$doc])* pub(super) const fn $name(&self) -> u64 {
                self.base + $number * 0x1000
            })*
        }
    };
}

pages! {
    virtual_apic = 0;
    apic_access = 1;
    page_modification_log = 2;
    eptp_list = 3;
    vmread_bitmap = 4;
    vmwrite_bitmap = 5;
    exception_information = 6;
    sub_page_table = 7;
    interrupt_descriptor = 8;
    exit_store = 9;
    exit_load = 10;
    entry_load = 11;
    /// A region that is a shadow VMCS.
    shadow_region = 12;
    /// A region that is none.
    region = 13;
    /// A region of another processor.
    other_region = 14;
    /// Tables of a guest without EPT.
    tables = 15;
}

/// VTPR, in the virtual-APIC page.
const VTPR: u64 = 0x80;

impl Layout {
    /// In the second half of `ram`.
    pub(super) const fn new(ram: &GuestRam<'_>) -> Self {
        Self { base: ram.hpa().get() + ram.bytes() / 2 }
    }

    /// Writes what must be there.
    pub(super) fn fill(&self, capabilities: &Capabilities) {
        const SHADOW: u64 = 1 << 31;
        let revision = u64::from(capabilities.basic().revision());
        write(self.shadow_region(), revision | SHADOW);
        write(self.region(), revision);
        write(self.other_region(), revision ^ 1);
        write(self.vtpr(), 0x80);
        for entry in 0..4 {
            write(self.tables() + 8 * entry, self.tables() | 1);
        }
        for area in [self.exit_store(), self.exit_load()] {
            for entry in 0..EXIT_ENTRIES {
                write(area + 16 * entry, KERNEL_GS_BASE);
            }
        }
        for (entry, msr) in (0..).zip([KERNEL_GS_BASE, LSTAR, FS_BASE]) {
            write(self.entry_load() + 16 * entry, msr);
        }
    }

    pub(super) const fn vtpr(&self) -> u64 {
        self.virtual_apic() + VTPR
    }

    /// How an entry ends with this address of its MSR-load area whose other entries are right.
    pub(super) fn guard(&self, area: u64) -> Happening {
        Happening::msr_loading(if area == self.entry_load() + 16 { GUARD - 1 } else { GUARD })
    }
}

pub(super) fn read(address: u64) -> u64 {
    let pointer = core::ptr::with_exposed_provenance::<u64>(usize::try_from(address).unwrap_or_default());
    // SAFETY: callers pass aligned addresses below the end of memory, which the machine maps one to one; what is there may
    // be anything.
    unsafe { pointer.read_volatile() }
}

pub(super) fn write(address: u64, value: u64) {
    let pointer = core::ptr::with_exposed_provenance_mut::<u64>(usize::try_from(address).unwrap_or_default());
    // SAFETY: callers pass aligned addresses in the pages above, which belong to the guest of this processor.
    unsafe { pointer.write_volatile(value) };
}

impl Machine for Layout {
    fn memory(&self, address: Hpa) -> Option<u64> {
        match address.get() {
            address if address >= END => Some(!0),
            address if address >= self.base => Some(read(address & !7)),
            _ => None,
        }
    }

    fn accepts_msr(&self, msr: u32, value: u64) -> Option<bool> {
        let high = value & (u64::MAX << 47);
        match u64::from(msr) {
            KERNEL_GS_BASE | LSTAR | FS_BASE | GS_BASE => Some(high == 0 || high == u64::MAX << 47),
            STAR => Some(true),
            // Other rules have those of the x2APIC and IA32_SMM_MONITOR_CTL.
            0x800..=0x8ff | 0x9b => Some(true),
            _ => None,
        }
    }

    fn can_load_msr(&self, _msr: u32) -> Option<bool> {
        Some(true)
    }
}

/// No guest can execute anything, or write anywhere.
pub(super) fn deny_execution(guest: &Guest<'_, '_>) -> Outcome {
    let all = Gpa::new(0)..Gpa::new(guest.ram.bytes());
    guest.space.protect(all, Access::READ)?.at_next_entry();
    Ok(())
}
