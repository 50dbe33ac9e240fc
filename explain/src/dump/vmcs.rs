//! The fields of a VMCS that a dump has.

use std::collections::BTreeMap;

use x86_virt_vmx::field::{self, AccessClass, Encoding, Field, FieldInfo, FieldValue, Group};
use x86_virt_vmx::{Control, ControlValues, EntryControls, InstructionError, PrimaryControls, VmFail, VmcsRead};

use crate::place::Place;

/// The value of a field, and where it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The value. `None` if the dump says that the processor does not have the field.
    pub value: Option<u64>,
    /// Where it was.
    pub place: Place,
}

/// The fields of a VMCS that a dump has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VmcsFields {
    entries: BTreeMap<Encoding, Entry>,
}

impl VmcsFields {
    /// The value of `field`, if the dump has it.
    #[must_use]
    pub fn get<T: FieldValue, A: AccessClass>(&self, field: Field<T, A>) -> Option<T> {
        self.raw(field.encoding()).map(T::from_raw)
    }

    /// The value of the field with this encoding, if the dump has it.
    #[must_use]
    pub fn raw(&self, field: Encoding) -> Option<u64> {
        self.entry(field)?.value
    }

    /// The value of the field with this encoding and its place.
    #[must_use]
    pub fn entry(&self, field: Encoding) -> Option<Entry> {
        self.entries.get(&field).copied()
    }

    /// All fields with their values, in the order of the encodings.
    pub fn iter(&self) -> impl Iterator<Item = (Encoding, Entry)> {
        self.entries.iter().map(|(encoding, entry)| (*encoding, *entry))
    }

    /// How many fields have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().filter(|(_, entry)| entry.value.is_some()).count()
    }

    /// Whether no field has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets a field. Gives the entry that it had before, which stays.
    pub(crate) fn insert(&mut self, field: Encoding, entry: Entry) -> Option<Entry> {
        match self.entry(field) {
            Some(before) => Some(before),
            None => {
                self.entries.insert(field, entry);
                None
            }
        }
    }

    /// The control words. Those that the dump does not have are 0.
    #[must_use]
    pub fn controls(&self) -> ControlValues {
        ControlValues {
            pin: self.get(field::PIN_CONTROLS).unwrap_or_default(),
            primary: self.get(field::PRIMARY_CONTROLS).unwrap_or_default(),
            secondary: self.get(field::SECONDARY_CONTROLS).unwrap_or_default(),
            tertiary: self.get(field::TERTIARY_CONTROLS).unwrap_or_default(),
            exit: self.get(field::EXIT_CONTROLS).unwrap_or_default(),
            secondary_exit: self.get(field::SECONDARY_EXIT_CONTROLS).unwrap_or_default(),
            entry: self.get(field::ENTRY_CONTROLS).unwrap_or_default(),
            vm_functions: self.get(field::VM_FUNCTION_CONTROLS).unwrap_or_default(),
        }
    }

    /// The fields that an entry uses and the dump does not have: those that every processor has, and those that a control in
    /// force uses.
    pub fn missing(&self) -> impl Iterator<Item = &'static FieldInfo> {
        let controls = self.controls();
        field::ALL.iter().filter(move |info| {
            let exists = !info.provisional && info.requires.is_empty()
                || info.requires.iter().any(|control| controls.is_in_force(*control));
            let is_used =
                info.encoding.group() != Group::ReadOnlyData && exists && self.is_used(info.encoding, &controls);
            is_used && self.entry(info.encoding).is_none()
        })
    }

    /// Whether an entry outside of system-management mode uses a field that exists.
    fn is_used(&self, field: Encoding, controls: &ControlValues) -> bool {
        let is_set = |control: Option<Control>| control.is_some_and(|control| controls.is_in_force(control));
        if [field::IO_BITMAP_A.encoding(), field::IO_BITMAP_B.encoding()].contains(&field) {
            return is_set(PrimaryControls::USE_IO_BITMAPS.control());
        }
        if field == field::MSR_BITMAPS.encoding() {
            return is_set(PrimaryControls::USE_MSR_BITMAPS.control());
        }
        if [
            field::GUEST_PDPTE0.encoding(),
            field::GUEST_PDPTE1.encoding(),
            field::GUEST_PDPTE2.encoding(),
            field::GUEST_PDPTE3.encoding(),
        ]
        .contains(&field)
        {
            let has_pae = self.get(field::GUEST_CR4).is_none_or(|cr4| cr4.pae());
            let has_paging = self.get(field::GUEST_CR0).is_none_or(|cr0| cr0.pg());
            return has_pae && has_paging && !is_set(EntryControls::IA32E_MODE_GUEST.control());
        }
        ![
            field::EXECUTIVE_VMCS_POINTER.encoding(),
            field::GUEST_SMBASE.encoding(),
            field::CR3_TARGET_0.encoding(),
            field::CR3_TARGET_1.encoding(),
            field::CR3_TARGET_2.encoding(),
            field::CR3_TARGET_3.encoding(),
        ]
        .contains(&field)
    }
}

impl VmcsRead for VmcsFields {
    /// A field that the dump does not have reads as one that the processor does not have.
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
        self.raw(field).ok_or(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD))
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_vmx::field;

    use super::{Entry, VmcsFields};
    use crate::place::Place;

    #[test]
    fn the_first_value_stays() {
        let mut fields = VmcsFields::default();
        let entry = |value| Entry { value: Some(value), place: Place::START };
        assert_eq!(fields.insert(field::GUEST_RIP.encoding(), entry(1)), None);
        assert_eq!(fields.insert(field::GUEST_RIP.encoding(), entry(2)), Some(entry(1)));
        assert_eq!((fields.get(field::GUEST_RIP), fields.len(), fields.is_empty()), (Some(1), 1, false));
    }

    #[test]
    fn only_what_is_used_is_missing() {
        let mut fields = VmcsFields::default();
        let is_missing = |fields: &VmcsFields, encoding| fields.missing().any(|info| info.encoding == encoding);
        assert!(is_missing(&fields, field::VMCS_LINK_POINTER.encoding()));
        assert!(
            !is_missing(&fields, field::EPT_POINTER.encoding()) && !is_missing(&fields, field::EXIT_REASON.encoding())
        );
        let entry = |value| Entry { value: Some(value), place: Place::START };
        fields.insert(field::PRIMARY_CONTROLS.encoding(), entry(1 << 31));
        fields.insert(field::SECONDARY_CONTROLS.encoding(), entry(1 << 1));
        assert!(is_missing(&fields, field::EPT_POINTER.encoding()));
        fields.insert(field::EPT_POINTER.encoding(), entry(0));
        assert!(!is_missing(&fields, field::EPT_POINTER.encoding()));
    }
}
