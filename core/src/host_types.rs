//! Ranges that get the memory types that the host's MTRRs say, part by part: each change in full, or not at all.

use core::ops::Range;

use crate::addr::{Gpa, Hpa};
use crate::edit::Edit;
use crate::format::Format;
use crate::frame::Frames;
use crate::leaves::{Leaves, Update};
use crate::map_error::MapError;
use crate::mapping::{Mapping, MemoryType};
use crate::mtrr::Mtrrs;
use crate::plan::{Full, Plan};
use crate::span::{Span, index, shift};
use crate::stock::{Needs, Stock};
use crate::table::Node;
use crate::tree::Tree;

/// The level of pages that need not be split to change their memory type: any.
const ANY_LEVEL: u8 = 3;

impl<F: Format, A: Frames> Tree<'_, F, A> {
    /// Maps `span` to `hpa` and so on, each part with its type.
    pub(crate) fn map_host_types(
        &self,
        stock: &mut Stock,
        span: Span,
        hpa: Hpa,
        mapping: Mapping,
        mtrrs: &Mtrrs,
    ) -> Result<(), MapError> {
        let leaves = |part: Span, hpa, memory_type| {
            Leaves::new(self.format, part, hpa, Mapping { memory_type, ..mapping }).map(|leaves| (part, leaves))
        };
        let parts = || {
            let parts = mtrrs.parts(span.start()..span.end(), hpa);
            parts.map(|part| leaves(Span::new(&part.gpa), part.hpa, part.memory_type))
        };
        self.check_host(span, hpa)?;
        let mut plan = Plan::new(self.format, self.reach);
        for part in parts() {
            let (part, leaves) = part?;
            plan.map(self.root, part, leaves.level())?;
            self.share(&mut plan.needs, span, part);
        }
        stock.reserve(&plan.needs, self.reach, self.rules())?;
        let mut edit = Edit { format: self.format, reach: self.reach, stock };
        // None of them is an error: the plan has made each.
        for (part, leaves) in parts().flatten() {
            edit.map(self.root, part, &leaves);
        }
        Ok(())
    }

    /// Gives the pages of `span`, which are mapped, the types of the memory that they are.
    pub(crate) fn set_host_types(&self, stock: &mut Stock, span: Span, mtrrs: &Mtrrs) -> Result<(), MapError> {
        let mut plan = Plan::new(self.format, self.reach);
        self.each_type(span, mtrrs, &mut |part, memory_type| {
            Update::memory_type(self.format, memory_type)?;
            plan.change(self.root, part, ANY_LEVEL, Full::Read)?;
            self.share(&mut plan.needs, span, part);
            Ok(())
        })?;
        stock.reserve(&plan.needs, self.reach, self.rules())?;
        let mut edit = Edit { format: self.format, reach: self.reach, stock };
        // A part becomes several if its beginning has split a page, but splits no other.
        self.each_type(span, mtrrs, &mut |part, memory_type| {
            edit.update(self.root, part, &Update::memory_type(self.format, memory_type)?);
            Ok(())
        })
    }

    /// Calls `visit` for the parts of `span` in ascending order, each of one memory type.
    fn each_type(
        &self,
        span: Span,
        mtrrs: &Mtrrs,
        visit: &mut impl FnMut(Span, MemoryType) -> Result<(), MapError>,
    ) -> Result<(), MapError> {
        let mut at = span.start();
        while at < span.end() {
            // Says why, if nothing is mapped there.
            self.lookup(at)?;
            let Some((range, _)) = self.range_from(at) else { break };
            let range = range?;
            let gpa = Range { start: at, end: range.gpa.end.min(span.end()) };
            for part in mtrrs.parts(gpa.clone(), range.hpa) {
                visit(Span::new(&part.gpa), part.memory_type)?;
            }
            at = gpa.end;
        }
        Ok(())
    }

    /// Takes back from `needs` the tables that `part` of `span` has in common with the part before it, and that both count.
    ///
    /// A table that is not there yet is counted for each part that begins or ends inside of it, and so for both that meet there.
    fn share(&self, needs: &mut Needs, span: Span, part: Span) {
        let border = part.start();
        if border == span.start() {
            return;
        }
        for level in 1..self.lowest_level(border) {
            if border.get() & ((1 << shift(level + 1)) - 1) != 0 {
                needs.remove(level, 1);
            }
        }
    }

    /// The level of the lowest table that is there for `gpa`.
    fn lowest_level(&self, gpa: Gpa) -> u8 {
        let mut table = self.root;
        while let Node::Table(next, _) = table.node(self.format, self.reach, index(gpa, table.level())) {
            table = next;
        }
        table.level()
    }
}
