//! Feeds what must be total with random input: `cargo run --release -p fuzz -- SEED ROUNDS`.
//!
//! A panic, or a broken property, ends it with the seed and the round, which repeat it.

use std::process::ExitCode;

use x86_virt::ept::{EptCapabilities, EptFormat};
use x86_virt::npt::{NptFormat, Pat};
use x86_virt::vmx::{CountingVmcs, ExitReason, FakeVmcs, decode_exit, field};
use x86_virt::{Access, Entry, Format, Gprs, Hpa, MemoryType, PageSize};

/// The most fields that decoding an exit may read: the qualification, and two or three that go with it.
const MOST_READS: u64 = 4;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map_while(|argument| argument.parse().ok());
    let (seed, rounds): (u64, u64) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(100_000));
    let mut random = Random(seed | 1);
    for round in 0..rounds {
        if let Err(what) = exits(&mut random).and_then(|()| entries(&mut random)) {
            eprintln!("seed {seed}, round {round}: {what}");
            return ExitCode::FAILURE;
        }
    }
    println!("{rounds} rounds passed with seed {seed}");
    ExitCode::SUCCESS
}

/// Any reason with any fields decodes, and reads no more than it must.
fn exits(random: &mut Random) -> Result<(), String> {
    let mut vmcs = FakeVmcs::new();
    for info in field::ALL {
        vmcs.set_raw(info.encoding.get(), random.next());
    }
    let vmcs = CountingVmcs::new(vmcs);
    // The known reasons and some beyond them.
    let [low, ..] = random.next().to_le_bytes();
    let reason = ExitReason::from_bits(u32::from(low & 0x7f));
    let gprs = Gprs { rcx: random.next(), rax: random.next(), rdx: random.next(), ..Gprs::default() };
    let kind = decode_exit(reason, &vmcs, &gprs);
    if vmcs.reads() > MOST_READS {
        return Err(format!("{reason} reads {} fields for {kind:?}", vmcs.reads()));
    }
    Ok(())
}

/// Any number is an entry, and what a format makes is what it reads.
fn entries(random: &mut Random) -> Result<(), String> {
    let ept = EptFormat::new(EptCapabilities::from_bits(0x3_4141), 46).map_err(|error| error.to_string())?;
    let npt = NptFormat::new(Pat::RESET, 46).map_err(|error| error.to_string())?.with_1g_pages();
    entry(&ept, random)?;
    entry(&npt, random)
}

fn entry<F: Format>(format: &F, random: &mut Random) -> Result<(), String> {
    for level in 1..=format.levels() {
        let _: Entry = format.classify(random.next(), level);
    }
    for size in [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G] {
        let hpa = Hpa::new(random.next() & ((1 << format.address_width()) - 1)).align_down(size);
        let [bits, ..] = random.next().to_le_bytes();
        let access = Access::from_bits_truncate(bits);
        // What cannot be expressed is an error, and nothing else.
        let Ok(leaf) = format.leaf(hpa, size, access, MemoryType::WriteBack) else { continue };
        let expected = Entry::Leaf { hpa, access, memory_type: MemoryType::WriteBack };
        let read = format.classify(leaf, size.level());
        if read != expected {
            return Err(format!("{format:?}: {leaf:#x} reads as {read:?}, made for {expected:?}"));
        }
    }
    Ok(())
}

/// A xorshift generator.
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
