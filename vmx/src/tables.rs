//! All tables of encodings of VMX, row by row.

use x86_virt_core::{TableRow, code_rows, register_rows};

use crate::abort::AbortIndicator;
use crate::capability::Basic;
use crate::event::event_rows;
use crate::exit::exit_rows;
use crate::instruction_error::InstructionError;
use crate::invept::InveptType;
use crate::invvpid::InvvpidType;
use crate::vmfunc::VmFunction;
use crate::event::{EntryInterruption, EventType, IdtVectoring, InterruptibilityState, VmExitInterruption};
use crate::memory::memory_rows;

/// Visits every row of every table.
pub fn for_each_row(visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<Basic>("vmx_basic", "", visit);
    event_rows(visit);
    exit_rows(visit);
    code_rows("vmx_instruction_error", "", InstructionError::ALL, visit);
    code_rows("vmx_abort", "", AbortIndicator::ALL, visit);
    code_rows("vmx_invept_type", "", InveptType::ALL, visit);
    code_rows("vmx_invvpid_type", "", InvvpidType::ALL, visit);
    code_rows("vmx_vm_function", "", VmFunction::ALL, visit);
    code_rows("vmx_event_type", "", EventType::ALL, visit);
    register_rows::<EntryInterruption>("vmx_entry_interruption", "", visit);
    register_rows::<VmExitInterruption>("vmx_exit_interruption", "", visit);
    register_rows::<IdtVectoring>("vmx_idt_vectoring", "", visit);
    register_rows::<InterruptibilityState>("vmx_interruptibility_state", "", visit);
    memory_rows(visit);
}
