//! The I/O APIC, which leads the interrupts of devices to the processors.

#![expect(unsafe_code, reason = "writes the registers of a device in memory")]

use core::ptr;

use spin::Mutex;

/// Where it is on both chipsets.
const BASE: usize = 0xFEC0_0000;
/// The index register IOREGSEL, and the data register IOWIN after it.
const SELECT: usize = BASE;
const WINDOW: usize = BASE + 0x10;

/// Redirection entry: delivery mode NMI.
const NMI: u32 = 4 << 8;
/// Redirection entry: no interrupt from here.
const MASKED: u32 = 1 << 16;

/// The register in [`SELECT`] is one for all processors.
static LOCK: Mutex<()> = Mutex::new(());

/// Makes every rising edge of `pin` an NMI of the processor with this APIC identifier.
pub(crate) fn send_nmi_to(pin: u8, id: u8) {
    set(pin, MASKED, id);
    set(pin, NMI, id);
}

/// Keeps the pin quiet.
pub(crate) fn mask(pin: u8) {
    set(pin, MASKED, 0);
}

/// Writes a redirection entry, upper half first.
fn set(pin: u8, low: u32, id: u8) {
    let _guard = LOCK.lock();
    let index = 0x10 + 2 * u32::from(pin);
    for (index, value) in [(index + 1, u32::from(id) << 24), (index, low)] {
        write(SELECT, index);
        write(WINDOW, value);
    }
}

fn write(address: usize, value: u32) {
    let register = ptr::with_exposed_provenance_mut::<u32>(address);
    // SAFETY: a register of the I/O APIC, which is mapped there. An entry written by `set` is masked, or makes an NMI,
    // which every processor takes.
    unsafe { register.write_volatile(value) };
}
