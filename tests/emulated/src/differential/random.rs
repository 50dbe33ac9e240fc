//! Numbers and words made by chance.

/// Numbers made by chance, from a seed (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The numbers for the state `number`.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        Self(Self(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95)).next())
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// A number below `end`.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_of<T: Copy + Default>(&mut self, values: &[T]) -> T {
        values.get(self.index(values.len())).copied().unwrap_or_default()
    }

    pub(crate) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap_or_default() % end
    }

    /// A boundary, a bit turned over, or any value.
    pub(crate) fn word(&mut self, valid: u64) -> u64 {
        const BOUNDARIES: [u64; 12] = [
            0,
            1,
            !0,
            0xfff,
            0x1000,
            1 << 31,
            0xffff_ffff,
            1 << 32,
            0x0000_7fff_ffff_ffff,
            0x0000_8000_0000_0000,
            0xffff_8000_0000_0000,
            0x000f_ffff_ffff_f000,
        ];
        let bit = 1_u64 << self.below(64);
        match self.below(8) {
            0 => self.one_of(&BOUNDARIES),
            1 => bit.wrapping_sub(0x1000 * self.below(4)),
            2 => self.next(),
            3 => valid ^ bit ^ 1 << self.below(32),
            _ => valid ^ bit,
        }
    }

    /// Eight memory types, most of them such as there are.
    pub(crate) fn pat(&mut self) -> u64 {
        (0..8).fold(0, |pat, index| pat | self.one_of(&[0, 1, 4, 5, 6, 7, 7, 2]) << (8 * index))
    }

    /// An event with any type, mostly of a low vector.
    pub(crate) fn event(&mut self) -> u64 {
        let vector = if self.below(4) > 0 { self.below(34) } else { self.below(256) };
        1 << 31 | self.below(2) << 11 | self.below(8) << 8 | vector
    }
}
