//! Page tables, of this library and of others, behind one trait.

pub(crate) mod aarch64_paging;
pub(crate) mod page_table_multiarch;
pub(crate) mod x86_64;
pub(crate) mod x86_virt;

use ::x86_virt::PageSize;

/// Page tables whose frames come from the arena. What is mapped can be read, written and executed.
pub(crate) trait Tables {
    /// Tables in which nothing is mapped.
    fn new() -> Self;

    /// Maps `bytes` from `gpa` on to those from `hpa` on, in pages of `size`.
    fn map(&mut self, gpa: u64, hpa: u64, bytes: u64, size: PageSize);

    /// Maps one page of 4 KiB.
    fn map_page(&mut self, gpa: u64, hpa: u64);

    /// Maps pages of 4 KiB, each to the page `distance` further on, as the tables do it best.
    fn map_pages(&mut self, order: &[u64], distance: u64) {
        for gpa in order {
            self.map_page(*gpa, gpa + distance);
        }
    }

    /// What `gpa` is mapped to.
    fn translate(&self, gpa: u64) -> Option<u64>;

    /// The sum of what all of `order` are mapped to, as the tables find it best.
    fn translate_all(&self, order: &[u64]) -> u64 {
        order.iter().fold(0, |sum: u64, gpa| sum.wrapping_add(self.translate(*gpa).unwrap_or(0)))
    }

    /// Whether `gpa` is mapped and can be written.
    fn is_writable(&self, gpa: u64) -> bool;

    /// Takes write permission from the page of 4 KiB at `gpa`, which is mapped to `hpa` in a page of 2 MiB.
    fn protect_page(&mut self, gpa: u64, hpa: u64);

    /// Unmaps `bytes` from `gpa` on, which are mapped in pages of 4 KiB.
    fn unmap(&mut self, gpa: u64, bytes: u64);
}
