//! This library.

use x86_virt::ept::{EptCapabilities, EptFormat};
use x86_virt::npt::{NptFormat, Pat};
use x86_virt::{Access, AddressSpace, Format, Gpa, Hpa, PageSize};

use super::Tables;
use crate::arena::{Arena, arena};

/// An address space on the arena.
pub(crate) type Nested<F> = AddressSpace<'static, F, &'static Arena>;

/// A format as a current processor has it.
pub(crate) trait Current: Format {
    fn current() -> Self;
}

impl Current for EptFormat {
    fn current() -> Self {
        Self::new(EptCapabilities::from_bits(0x3_40c1), 52).expect("the capabilities suffice")
    }
}

impl Current for NptFormat {
    fn current() -> Self {
        Self::new(Pat::RESET, 52).expect("it is a width").with_1g_pages().with_no_execute()
    }
}

impl<F: Current> Tables for Nested<F> {
    fn new() -> Self {
        Self::new(F::current(), arena()).expect("there are frames")
    }

    fn map(&mut self, gpa: u64, hpa: u64, bytes: u64, _: PageSize) {
        // SAFETY: no processor uses the tables.
        #[expect(unsafe_code, reason = "maps memory that is not there")]
        let mapped = unsafe { self.map_physical(Gpa::new(gpa)..Gpa::new(gpa + bytes), Hpa::new(hpa), Access::ALL) };
        mapped.expect("nothing is mapped, and there are frames");
    }

    fn map_page(&mut self, gpa: u64, hpa: u64) {
        self.map(gpa, hpa, PageSize::Size4K.bytes(), PageSize::Size4K);
    }

    /// With the lock taken once, as a hypervisor does that maps one page after the other.
    fn map_pages(&mut self, order: &[u64], distance: u64) {
        let mut edit = self.edit();
        for gpa in order {
            let (page, hpa) = (Gpa::new(*gpa)..Gpa::new(gpa + PageSize::Size4K.bytes()), Hpa::new(gpa + distance));
            // SAFETY: no processor uses the tables.
            #[expect(unsafe_code, reason = "maps memory that is not there")]
            let mapped = unsafe { edit.map_physical(page, hpa, Access::ALL) };
            mapped.expect("nothing is mapped, and there are frames");
        }
    }

    fn translate_all(&self, order: &[u64]) -> u64 {
        let edit = self.edit();
        let find = |gpa: &u64| edit.translate(Gpa::new(*gpa)).map_or(0, |to| to.hpa.get());
        order.iter().fold(0, |sum: u64, gpa| sum.wrapping_add(find(gpa)))
    }

    fn translate(&self, gpa: u64) -> Option<u64> {
        self.translate(Gpa::new(gpa)).map(|to| to.hpa.get())
    }

    fn is_writable(&self, gpa: u64) -> bool {
        self.translate(Gpa::new(gpa)).is_some_and(|to| to.access.contains(Access::WRITE))
    }

    fn protect_page(&mut self, gpa: u64, _: u64) {
        let page = Gpa::new(gpa)..Gpa::new(gpa + PageSize::Size4K.bytes());
        self.protect(page, Access::RX).expect("it is mapped, and there are frames").at_next_entry();
    }

    fn unmap(&mut self, gpa: u64, bytes: u64) {
        let unmapped = AddressSpace::unmap(self, Gpa::new(gpa)..Gpa::new(gpa + bytes));
        unmapped.expect("it is mapped").at_next_entry();
    }
}

/// The same, for a hypervisor that has a list of pages.
pub(crate) struct Listed<F: Format>(Nested<F>);

impl<F: Current> Tables for Listed<F> {
    fn new() -> Self {
        Self(Tables::new())
    }

    fn map(&mut self, gpa: u64, hpa: u64, bytes: u64, size: PageSize) {
        Tables::map(&mut self.0, gpa, hpa, bytes, size);
    }

    fn map_page(&mut self, gpa: u64, hpa: u64) {
        self.0.map_page(gpa, hpa);
    }

    fn map_pages(&mut self, order: &[u64], distance: u64) {
        let pages = order.iter().map(|gpa| (Gpa::new(*gpa), Hpa::new(gpa + distance)));
        // SAFETY: no processor uses the tables.
        #[expect(unsafe_code, reason = "maps memory that is not there")]
        let mapped = unsafe { self.0.map_physical_pages(pages, Access::ALL) };
        mapped.expect("nothing is mapped, and there are frames");
    }

    fn translate(&self, gpa: u64) -> Option<u64> {
        Tables::translate(&self.0, gpa)
    }

    fn is_writable(&self, gpa: u64) -> bool {
        self.0.is_writable(gpa)
    }

    fn protect_page(&mut self, gpa: u64, hpa: u64) {
        self.0.protect_page(gpa, hpa);
    }

    fn unmap(&mut self, gpa: u64, bytes: u64) {
        Tables::unmap(&mut self.0, gpa, bytes);
    }
}
