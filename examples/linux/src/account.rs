//! What is counted: exits by kind, time in the guest and outside, and what the guest asked for in vain.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::clock::{Clock, Ticks};

/// One exit, from leaving the guest to entering it again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    /// The kind, as a number of [`Account::kind`].
    pub kind: u16,
    /// When it began.
    pub start: Ticks,
    /// When it ended.
    pub end: Ticks,
}

/// One kind of exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Row {
    name: &'static str,
    exits: u64,
    ticks: Ticks,
}

/// The account of one processor.
#[derive(Debug, Default)]
pub struct Account {
    rows: Vec<Row>,
    guest: Ticks,
    idle: Ticks,
    begin: Ticks,
    end: Ticks,
    /// MSRs that the guest does not have, and how often it wanted them.
    refused: BTreeMap<u32, u64>,
    /// Accesses to memory and devices that are not there.
    absent: u64,
    timeline: Vec<Slice>,
    /// How many slices are kept.
    capacity: usize,
    lost: u64,
}

/// The name of the time in which a processor has nothing to do.
const IDLE: &str = "idle";

impl Account {
    /// An account that keeps the first `slices` exits one by one.
    #[must_use]
    pub fn new(slices: usize, now: Ticks) -> Self {
        Self { capacity: slices, begin: now, end: now, ..Self::default() }
    }

    /// So much time was spent in the guest.
    pub fn add_guest(&mut self, start: Ticks, end: Ticks) {
        self.guest += end.saturating_sub(start);
        self.end = end;
    }

    /// An exit of this kind took from `start` to `end`.
    pub fn add_exit(&mut self, name: &'static str, start: Ticks, end: Ticks) {
        self.add(name, start, end);
    }

    /// There was nothing to do from `start` to `end`.
    pub fn add_idle(&mut self, start: Ticks, end: Ticks) {
        self.idle += end.saturating_sub(start);
        self.add(IDLE, start, end);
    }

    /// The guest wanted an MSR that it does not have.
    pub fn refuse(&mut self, msr: u32) {
        *self.refused.entry(msr).or_default() += 1;
    }

    /// The guest wanted something of memory that is not there.
    pub fn miss(&mut self, accesses: u64) {
        self.absent += accesses;
    }

    /// The exits that were kept.
    #[must_use]
    pub fn timeline(&self) -> &[Slice] {
        &self.timeline
    }

    /// How many exits were not kept.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// The name of a kind.
    #[must_use]
    pub fn kind(&self, number: u16) -> &'static str {
        self.rows.get(usize::from(number)).map_or("", |row| row.name)
    }

    /// The table of it all.
    #[must_use]
    pub const fn report(&self, clock: Clock) -> Report<'_> {
        Report { account: self, clock }
    }

    fn add(&mut self, name: &'static str, start: Ticks, end: Ticks) {
        // Names are constants: the address tells them apart, or they are the same text twice.
        let found = self.rows.iter().position(|row| core::ptr::eq(row.name, name) || row.name == name);
        let index = found.unwrap_or_else(|| {
            self.rows.push(Row { name, exits: 0, ticks: 0 });
            self.rows.len() - 1
        });
        if let Some(row) = self.rows.get_mut(index) {
            row.exits += 1;
            row.ticks += end.saturating_sub(start);
        }
        self.end = end;
        if self.timeline.len() < self.capacity {
            self.timeline.push(Slice { kind: u16::try_from(index).unwrap_or(u16::MAX), start, end });
        } else if self.capacity != 0 {
            self.lost += 1;
        }
    }
}

/// An account as text: a table of exits, then one line of time.
#[derive(Debug)]
pub struct Report<'a> {
    account: &'a Account,
    clock: Clock,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.account;
        let total = account.end.saturating_sub(account.begin).max(1);
        let mut rows: Vec<_> = account.rows.iter().filter(|row| row.name != IDLE).collect();
        rows.sort_by_key(|row| core::cmp::Reverse(row.exits));
        writeln!(f, "{:>10} {:>10} {:>9}  kind", "exits", "a second", "us each")?;
        let exits = rows.iter().map(|row| row.exits).sum::<u64>();
        let all = Row { name: "all", exits, ticks: rows.iter().map(|row| row.ticks).sum() };
        for row in rows.into_iter().chain([&all]) {
            let a_second = scale(row.exits, self.clock.hertz(), total);
            let nanoseconds = self.clock.nanoseconds(row.ticks) / row.exits.max(1);
            let (us, rest) = (nanoseconds / 1000, nanoseconds % 1000 / 10);
            writeln!(f, "{:>10} {a_second:>10} {us:>6}.{rest:02}  {}", row.exits, row.name)?;
        }
        let milliseconds = |ticks| self.clock.periods(ticks, 1000);
        let host = total.saturating_sub(account.guest).saturating_sub(account.idle);
        write!(f, "time: {} ms", milliseconds(total))?;
        for (name, ticks) in [("in the guest", account.guest), (IDLE, account.idle), ("in the hypervisor", host)] {
            write!(f, ", {} ms ({} %) {name}", milliseconds(ticks), scale(ticks, 100, total))?;
        }
        writeln!(f)?;
        if account.absent != 0 {
            writeln!(f, "accesses to memory that is not there: {}", account.absent)?;
        }
        for (msr, times) in &account.refused {
            writeln!(f, "MSR {msr:#x} is not there: {times} times #GP")?;
        }
        Ok(())
    }
}

fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(numerator) / u128::from(denominator.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::{Account, Slice};
    use crate::clock::Clock;

    #[test]
    fn exits_and_time_add_up() {
        let mut account = Account::new(2, 0);
        account.add_guest(0, 500_000);
        account.add_exit("CPUID", 500_000, 501_000);
        account.add_guest(501_000, 600_000);
        account.add_exit("CPUID", 600_000, 603_000);
        account.add_idle(603_000, 903_000);
        account.add_exit("HLT", 903_000, 1_000_000);
        account.refuse(0x3a);
        account.miss(2);
        let text = account.report(Clock::new(1_000_000)).to_string();
        let expected = "     exits   a second   us each  kind\n\
                        \u{20}        2          2   2000.00  CPUID\n\
                        \u{20}        1          1  97000.00  HLT\n\
                        \u{20}        3          3  33666.66  all\n\
                        time: 1000 ms, 599 ms (59 %) in the guest, 300 ms (30 %) idle, 101 ms (10 %) in the hypervisor\n\
                        accesses to memory that is not there: 2\n\
                        MSR 0x3a is not there: 1 times #GP\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_first_exits_are_kept() {
        let mut account = Account::new(1, 0);
        account.add_exit("I/O", 5, 7);
        account.add_exit("I/O", 9, 11);
        assert_eq!(account.timeline(), [Slice { kind: 0, start: 5, end: 7 }]);
        assert_eq!((account.lost(), account.kind(0), account.kind(9)), (1, "I/O", ""));
    }
}
