//! Sub-page write permissions of a virtual processor.
#![expect(unsafe_code, reason = "tells the processor where tables are")]

use x86_virt_core::Frames;
use x86_virt_ept::{EptUnsupported, SubPageTable};

use crate::access::VmcsWrite as _;
use crate::field;
use crate::vcpu::VmxVcpu;

/// A sub-page-permission table that a virtual processor uses.
#[derive(Debug)]
pub(crate) struct SubPages<'s, A: Frames> {
    table: &'s SubPageTable<A>,
    /// The generation that the processor has invalidated for; 0 if for none.
    seen: u64,
}

impl<A: Frames> SubPages<'_, A> {
    /// Takes note of the generation, and says whether it had moved on: the caller invalidates for all spaces.
    pub(crate) fn note_generation(&mut self) -> bool {
        let generation = self.table.generation();
        core::mem::replace(&mut self.seen, generation) != generation
    }
}

impl<'s, A: Frames> VmxVcpu<'_, 's, '_, A> {
    /// Goes by `table` from the next entry on, which invalidates, where the guest writes to pages with sub-page write permissions. Until
    /// then, each such write is an SPP miss.
    ///
    /// It counts in all spaces that the virtual processor is given. A change of the table holds at the next entry, as one of a space does.
    ///
    /// # Errors
    ///
    /// [`EptUnsupported::SubPageWrite`] if the virtual processor was made for a space whose format has no sub-page write permissions.
    ///
    /// Intel SDM vol. 3, section 31.3.4, "Sub-Page Write Permissions".
    ///
    /// ```no_run
    /// use x86_virt_core::{Frames, Gpa};
    /// use x86_virt_ept::{SppVector, SubPage, SubPageTable};
    /// use x86_virt_vmx::VmxVcpu;
    ///
    /// fn guard<'s, A: Frames>(
    ///     vcpu: &mut VmxVcpu<'_, 's, '_, A>,
    ///     table: &'s SubPageTable<A>,
    /// ) -> Result<(), Box<dyn core::error::Error>> {
    ///     let part = SubPage::of(Gpa::new(0x5080));
    ///     table.set(Gpa::new(0x5000)..Gpa::new(0x6000), SppVector::ALL.without_writable(part))?.at_next_entry();
    ///     Ok(vcpu.set_sub_pages(table)?)
    /// }
    /// ```
    pub fn set_sub_pages(&mut self, table: &'s SubPageTable<A>) -> Result<(), EptUnsupported> {
        if !self.parts.tables.sub_page_write() {
            return Err(EptUnsupported::SubPageWrite);
        }
        // SAFETY: the table outlives the virtual processor (`'s`), and owns all tables that its entries refer to.
        unsafe { self.vmcs.put_sensitive(field::SUB_PAGE_PERMISSION_TABLE_POINTER, table.pointer()) };
        self.parts.sub_pages = Some(SubPages { table, seen: 0 });
        Ok(())
    }
}
