//! NMIs that come at any moment, as those of a performance counter do: the I/O APIC makes them of the interrupts of the PC's timer.
//!
//! Linux does not use that timer once the timers of the local APICs run. Where it does, on a machine whose firmware does not tell of an I/O APIC,
//! its own interrupts come another way, and the timer is left as it is. Linux must have been started with `iomem=relaxed`, by which a program may map
//! registers that are a driver's.
#![expect(unsafe_code, reason = "maps and writes registers of devices")]

use core::ffi::c_void;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::Context as _;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::ports;

const PAGE: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not 0");
/// O_SYNC, with which a mapping is uncached.
const SYNC: i32 = 0o4_010_000;

/// Of the I/O APIC: the register that selects, and the one that is selected.
///
/// 82093AA I/O APIC, section 3.1, "Memory Mapped Registers for Accessing IOAPIC Registers".
const IO_APIC: i64 = 0xfec0_0000;
const SELECT: usize = 0;
const WINDOW: usize = 0x10;
/// The entry of the redirection table for the timer: its low half, then its high half.
///
/// Section 3.2.4, "IOREDTBL[23:0] - I/O Redirection Table Registers".
const TIMER_ENTRY: u32 = 0x10 + 2 * 2;
/// Delivery mode NMI, edge-triggered, not masked.
const AS_NMI: u32 = 0b100 << 8;
const MASKED: u32 = 1 << 16;
/// All processors.
const EVERYBODY: u32 = 0xff << 24;

/// Of the HPET, which takes the place of the PC's timer while the bit is set.
///
/// IA-PC HPET Specification 1.0a, section 2.3.5, "General Configuration Register".
const HPET: i64 = 0xfed0_0000;
const CONFIGURATION: usize = 0x10;
const LEGACY_ROUTE: u32 = 1 << 1;

/// Intel 8254, "Programming the 8254".
const TIMER: u16 = 0x40;
const TIMER_MODE: u16 = 0x43;
/// Counter 0, both bytes: a rate generator; an interrupt on terminal count, which waits for a count.
const RATE_GENERATOR: u8 = 0x34;
const STOPPED: u8 = 0x30;
const TIMER_HERTZ: u32 = 1_193_182;

/// How much of the kernel's log is shown: nothing, as Linux complains of each NMI that it does not know.
const PRINTK: &str = "/proc/sys/kernel/printk";

/// As long as this lives, NMIs come to all processors.
pub(crate) struct TimerNmis {
    io_apic: IoApic,
    entry: [u32; 2],
    /// The PC's timer, if Linux does not use it.
    timer: Option<Timer>,
    printk: String,
}

impl TimerNmis {
    /// So many a second, or as many as Linux has interrupts of the timer.
    pub(crate) fn start(hertz: u32) -> anyhow::Result<Self> {
        let timer = if used("clockevents/clockevent0/current_device")?.trim() == "pit" {
            None
        } else {
            Some(Timer::start(hertz)?)
        };
        let io_apic = IoApic(Registers::map(IO_APIC)?);
        let printk = fs::read_to_string(PRINTK)?;
        fs::write(PRINTK, "0")?;
        let entry = [io_apic.read(TIMER_ENTRY), io_apic.read(TIMER_ENTRY + 1)];
        io_apic.write(TIMER_ENTRY + 1, EVERYBODY);
        io_apic.write(TIMER_ENTRY, AS_NMI);
        Ok(Self { io_apic, entry, timer, printk })
    }
}

impl Drop for TimerNmis {
    fn drop(&mut self) {
        self.io_apic.write(TIMER_ENTRY, MASKED);
        self.timer = None;
        let [low, high] = self.entry;
        self.io_apic.write(TIMER_ENTRY + 1, high);
        self.io_apic.write(TIMER_ENTRY, low);
        let _ = fs::write(PRINTK, &self.printk);
    }
}

/// What Linux says of a source of time.
fn used(name: &str) -> anyhow::Result<String> {
    fs::read_to_string(format!("/sys/devices/system/{name}")).context(name.to_owned())
}

struct IoApic(Registers);

impl IoApic {
    fn read(&self, index: u32) -> u32 {
        self.0.write(SELECT, index);
        self.0.read(WINDOW)
    }

    fn write(&self, index: u32, value: u32) {
        self.0.write(SELECT, index);
        self.0.write(WINDOW, value);
    }
}

/// The PC's timer, which interrupts until this is dropped.
struct Timer {
    hpet: Option<(Registers, u32)>,
}

impl Timer {
    fn start(hertz: u32) -> anyhow::Result<Self> {
        let has_hpet = used("clocksource/clocksource0/available_clocksource")?.contains("hpet");
        let hpet = if has_hpet { Some(Registers::map(HPET)?) } else { None };
        let hpet = hpet.map(|hpet| {
            let configuration = hpet.read(CONFIGURATION);
            hpet.write(CONFIGURATION, configuration & !LEGACY_ROUTE);
            (hpet, configuration)
        });
        let [low, high, ..] = (TIMER_HERTZ / hertz).to_le_bytes();
        for (port, value) in [(TIMER_MODE, RATE_GENERATOR), (TIMER, low), (TIMER, high)] {
            ports::out_byte(port, value);
        }
        Ok(Self { hpet })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        for (port, value) in [(TIMER_MODE, STOPPED), (TIMER, 0), (TIMER, 0)] {
            ports::out_byte(port, value);
        }
        if let Some((hpet, configuration)) = &self.hpet {
            hpet.write(CONFIGURATION, *configuration);
        }
    }
}

/// A page with registers of a device, of 4 bytes each.
struct Registers(NonNull<c_void>);

impl Registers {
    fn map(address: i64) -> anyhow::Result<Self> {
        let memory = File::options().read(true).write(true).custom_flags(SYNC).open("/dev/mem").context("/dev/mem")?;
        let (protection, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
        // SAFETY: a new mapping, at an address that the kernel chooses. What is mapped is no memory of this program.
        let page = unsafe { mmap(None, PAGE, protection, flags, &memory, address) };
        page.map(Self).with_context(|| format!("the registers at {address:#x}"))
    }

    fn register(&self, offset: usize) -> *mut u32 {
        self.0.as_ptr().wrapping_byte_add(offset % PAGE.get()).cast()
    }

    fn read(&self, offset: usize) -> u32 {
        // SAFETY: the register is in the page that `map` has mapped, and the offsets in this file are multiples of 4.
        unsafe { self.register(offset).read_volatile() }
    }

    fn write(&self, offset: usize, value: u32) {
        // SAFETY: as in `read`; what this file writes changes which interrupts come, and no memory.
        unsafe { self.register(offset).write_volatile(value) };
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: the mapping is from `map`, and no pointer into it is left.
        let _ = unsafe { munmap(self.0, PAGE.get()) };
    }
}

/// How many NMIs each processor has had so far.
pub(crate) fn counts() -> anyhow::Result<Vec<u64>> {
    let interrupts = fs::read_to_string("/proc/interrupts")?;
    let line =
        interrupts.lines().find_map(|line| line.trim_start().strip_prefix("NMI:")).context("no line for NMIs")?;
    Ok(line.split_whitespace().map_while(|word| word.parse().ok()).collect())
}
