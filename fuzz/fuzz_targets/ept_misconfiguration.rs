//! Any entry and any EPTP on any processor: whether they are refused, and why, by the rules of the manual one after the other.
#![no_main]

use fuzz::register::bits;
use libfuzzer_sys::fuzz_target;
use x86_virt::ept::{EptCapabilities, EptEntry, EptMisconfiguration, EptRules, Eptp, InvalidEptp};
use x86_virt::{PagingLevel, Register};

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
struct Input {
    raw: u64,
    capabilities: u64,
    width: u8,
    level: PagingLevel,
    has_mode_based_execute: bool,
    has_paging_write: bool,
}

impl Input {
    fn can(&self, bit: u32) -> bool {
        bits(self.capabilities, bit, 1) == 1
    }

    /// Bits 51 to the width of addresses.
    fn beyond(&self) -> u64 {
        (0..52).filter(|bit| *bit >= self.width).fold(0, |all, bit| all | 1 << bit)
    }
}

fuzz_target!(|input: Input| {
    // Below that addresses of pages would not fit.
    let input = Input { width: input.width.max(12), ..input };
    let capabilities = EptCapabilities::from_raw(input.capabilities);
    let mut rules = EptRules::new(capabilities, input.width);
    if input.has_mode_based_execute {
        rules = rules.with_mode_based_execute();
    }
    if input.has_paging_write {
        rules = rules.with_paging_write();
    }
    let entry = EptEntry::from_bits(input.raw);
    assert_eq!(
        entry.misconfiguration(input.level, &rules),
        misconfiguration(&input),
        "{entry} {:?} {rules:?}",
        input.level
    );
    let eptp = Eptp::from_bits(input.raw);
    assert_eq!(eptp.check(capabilities, input.width), pointer(&input), "{eptp}");
});

/// SDM section 31.3.3.1, "EPT Misconfigurations".
fn misconfiguration(input: &Input) -> Option<EptMisconfiguration> {
    let Input { raw, level, .. } = *input;
    let has = |bit| bits(raw, bit, 1) == 1;
    let (reads, writes, executes, executes_user) = (has(0), has(1), has(2), has(10) && input.has_mode_based_execute);
    if !(reads || writes || executes || executes_user) {
        return None;
    }
    if writes && !reads {
        return Some(EptMisconfiguration::WriteWithoutRead);
    }
    if !reads && !input.can(0) {
        return Some(if executes { EptMisconfiguration::ExecuteOnly } else { EptMisconfiguration::ExecuteUserOnly });
    }
    // Pages of 2 MiB are bit 16 of the capabilities, those of 1 GiB bit 17.
    let large = match level {
        PagingLevel::Pd if input.can(16) => Some(0x1f_f000),
        PagingLevel::Pdpt if input.can(17) => Some(0x3fff_f000),
        _ => None,
    };
    let is_page = level == PagingLevel::Pt || has(7) && large.is_some();
    let low = match (is_page, large) {
        (true, Some(low)) => low,
        (true, None) => 0,
        (false, _) => 0xf8,
    };
    let reserved = raw & (low | input.beyond());
    if !is_page && has(7) {
        return Some(EptMisconfiguration::LargePage { level });
    }
    if reserved != 0 {
        return Some(EptMisconfiguration::ReservedBits { level, bits: reserved });
    }
    if !is_page {
        return None;
    }
    let encoding = u8::try_from(bits(raw, 3, 3)).unwrap_or_default();
    if matches!(encoding, 2 | 3 | 7) {
        return Some(EptMisconfiguration::MemoryType { encoding });
    }
    (input.has_paging_write && has(58) && !reads).then_some(EptMisconfiguration::PagingWriteWithoutRead)
}

/// SDM section 29.2.1.1, "VM-Execution Control Fields".
fn pointer(input: &Input) -> Result<(), InvalidEptp> {
    let raw = input.raw;
    let small = |offset| u8::try_from(bits(raw, offset, 3)).unwrap_or_default();
    let (encoding, length) = (small(0), small(3) + 1);
    if !(encoding == 0 && input.can(8) || encoding == 6 && input.can(14)) {
        return Err(InvalidEptp::MemoryType { encoding });
    }
    if !(length == 4 && input.can(6) || length == 5 && input.can(7)) {
        return Err(InvalidEptp::PageWalkLength { length });
    }
    if bits(raw, 6, 1) == 1 && !input.can(21) {
        return Err(InvalidEptp::AccessedDirty);
    }
    if bits(raw, 7, 1) == 1 && !input.can(23) {
        return Err(InvalidEptp::SupervisorShadowStack);
    }
    let reserved = raw & (0xfff0_0000_0000_0f00 | input.beyond());
    if reserved == 0 { Ok(()) } else { Err(InvalidEptp::ReservedBits { bits: reserved }) }
}
