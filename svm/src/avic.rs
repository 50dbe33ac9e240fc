//! AVIC: the virtual interrupt controller of a guest.

mod register;
mod table;

use x86_virt_core::{TableRow, code_rows, codes, register_rows};

pub use register::{AvicRegister, AvicWrite};
pub use table::{AvicDoorbell, AvicLogicalEntry, AvicPhysicalEntry, AvicPhysicalTable};

codes! {
    /// Why AVIC did not deliver an IPI in full.
    ///
    /// AMD APM vol. 2, section 15.29.9.1, "AVIC IPI Delivery Not Completed".
    ///
    /// ```
    /// use x86_virt_svm::AvicIpiFailure;
    ///
    /// assert_eq!(AvicIpiFailure::from_bits(3), AvicIpiFailure::INVALID_BACKING_PAGE);
    /// ```
    pub struct AvicIpiFailure(u32) {
        /// The interrupt is level-triggered, or AVIC does not support its destination.
        INVALID_INT_TYPE = 0 aka "AVIC_IPI_FAILURE_INVALID_INT_TYPE";
        /// A target does not run.
        TARGET_NOT_RUNNING = 1 aka "AVIC_IPI_FAILURE_TARGET_NOT_RUNNING";
        /// A target is not in the table.
        INVALID_TARGET = 2 aka "AVIC_IPI_FAILURE_INVALID_TARGET";
        /// An entry has an address that the processor does not have.
        INVALID_BACKING_PAGE = 3 aka "AVIC_IPI_FAILURE_INVALID_BACKING_PAGE";
        /// The vector is below 16.
        INVALID_IPI_VECTOR = 4 aka "AVIC_IPI_FAILURE_INVALID_IPI_VECTOR";
        /// Secure AVIC: the destination is not the sender alone.
        UNACCELERATED_IPI = 5;
    }
}

/// Visits the rows of the tables of AVIC.
pub(crate) fn avic_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    code_rows("avic_ipi_failure", "", AvicIpiFailure::ALL, visit);
    code_rows("avic_register", "", AvicRegister::ALL, &mut |row| {
        let register = u16::try_from(row.encoding).map(AvicRegister::from_bits);
        let Ok(register) = register else { return };
        let access = if register.write() == AvicWrite::Fault { "ro" } else { "rw" };
        visit(&TableRow { width_bits: 32, access, group: &register.write(), ..*row });
    });
    register_rows::<AvicPhysicalEntry>("avic_physical_entry", "", visit);
    register_rows::<AvicLogicalEntry>("avic_logical_entry", "", visit);
    register_rows::<AvicPhysicalTable>("avic_physical_table", "VMCB offset 0x0f8", visit);
    register_rows::<AvicDoorbell>("avic_doorbell", "MSR C001_011BH", visit);
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeMap;

    use super::{AvicIpiFailure, avic_rows};

    #[test]
    fn tables_are_complete() {
        let mut counts = BTreeMap::new();
        avic_rows(&mut |row| *counts.entry(row.table).or_insert(0) += 1);
        let counts: std::vec::Vec<_> = counts.into_iter().collect();
        assert_eq!(
            counts,
            [
                ("avic_doorbell", 1),
                ("avic_ipi_failure", 6),
                ("avic_logical_entry", 2),
                ("avic_physical_entry", 4),
                ("avic_physical_table", 2),
                ("avic_register", 70),
            ]
        );
    }

    #[test]
    fn causes_are_numbered_without_a_gap() {
        assert!(AvicIpiFailure::ALL.iter().map(|cause| cause.value).eq(0..=5));
    }
}
