//! All tables of encodings of VMX, row by row.

use x86_virt_core::{TableRow, code_rows, register_rows};

use crate::capability::Basic;
use crate::event::{EntryInterruption, EventType, IdtVectoring, InterruptibilityState, VmExitInterruption};
use crate::exit::exit_rows;

/// Visits every row of every table.
pub fn for_each_row(visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<Basic>("vmx_basic", "", visit);
    code_rows("vmx_event_type", "", EventType::ALL, visit);
    register_rows::<EntryInterruption>("vmx_entry_interruption", "", visit);
    register_rows::<VmExitInterruption>("vmx_exit_interruption", "", visit);
    register_rows::<IdtVectoring>("vmx_idt_vectoring", "", visit);
    register_rows::<InterruptibilityState>("vmx_interruptibility_state", "", visit);
    exit_rows(visit);
}
