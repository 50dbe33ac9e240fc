//! All tables of encodings of SVM, row by row.

use x86_virt_core::{TableRow, code_rows};

use crate::capability::SvmFeatures;
use crate::vmcb::{EventType, layout_rows};

/// Visits every row of every table.
pub fn for_each_row(visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<SvmFeatures>("svm_feature", "CPUID 8000000AH, EDX", visit);
    layout_rows(visit);
use crate::avic::avic_rows;
use crate::cpuid::cpuid_rows;
use crate::exit_code::exit_code_rows;
use crate::exit_info::exit_info_rows;
use crate::intercept::intercept_rows;
use crate::vmcb::EventType;

/// Visits every row of every table.
pub fn for_each_row(visit: &mut dyn FnMut(&TableRow<'_>)) {
    cpuid_rows(visit);
    avic_rows(visit);
    exit_code_rows(visit);
    exit_info_rows(visit);
    intercept_rows(visit);
    code_rows("svm_event_type", "", EventType::ALL, visit);
}
