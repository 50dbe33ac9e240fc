//! All tables of encodings of VMX, row by row.

use x86_virt_core::{TableRow, code_rows, register_rows};

use crate::abort::AbortIndicator;
use crate::capability::{Basic, FeatureControl, Misc, VmcsEnum, capability_msr_rows};
use crate::control::control_rows;
use crate::event::event_rows;
use crate::exit::exit_rows;
use crate::field::field_rows;
use crate::guest_msr::{Bndcfgs, ExceptionBitmap, FredConfig, LbrCtl, RtitCtl};
use crate::guest_state::{ActivityState, GuestInterruptStatus, PendingDebugExceptions};
use crate::instruction_error::InstructionError;
use crate::invept::InveptType;
use crate::invvpid::InvvpidType;
use crate::memory::memory_rows;
use crate::vmfunc::VmFunction;

/// Visits every row of every table.
pub fn for_each_row(visit: &mut dyn FnMut(&TableRow<'_>)) {
    field_rows(visit);
    control_rows(visit);
    capability_msr_rows(visit);
    register_rows::<Basic>("vmx_basic", "", visit);
    register_rows::<Misc>("vmx_misc", "", visit);
    register_rows::<VmcsEnum>("vmx_vmcs_enum", "", visit);
    register_rows::<FeatureControl>("vmx_feature_control", "", visit);
    code_rows("vmx_activity_state", "", ActivityState::ALL, visit);
    register_rows::<PendingDebugExceptions>("vmx_pending_debug_exceptions", "", visit);
    register_rows::<GuestInterruptStatus>("vmx_guest_interrupt_status", "", visit);
    register_rows::<ExceptionBitmap>("vmx_exception_bitmap", "", visit);
    register_rows::<Bndcfgs>("vmx_msr_bit", "IA32_BNDCFGS", visit);
    register_rows::<RtitCtl>("vmx_msr_bit", "IA32_RTIT_CTL", visit);
    register_rows::<LbrCtl>("vmx_msr_bit", "IA32_LBR_CTL", visit);
    register_rows::<FredConfig>("vmx_msr_bit", "IA32_FRED_CONFIG", visit);
    event_rows(visit);
    exit_rows(visit);
    code_rows("vmx_instruction_error", "", InstructionError::ALL, visit);
    code_rows("vmx_abort", "", AbortIndicator::ALL, visit);
    code_rows("vmx_invept_type", "", InveptType::ALL, visit);
    code_rows("vmx_invvpid_type", "", InvvpidType::ALL, visit);
    code_rows("vmx_vm_function", "", VmFunction::ALL, visit);
    memory_rows(visit);
}
