//! The bytes of a VMCB that a dump has.

use core::fmt;
use std::collections::BTreeMap;

use x86_virt_svm::check::VmcbRead;
use x86_virt_svm::vmcb::{Field, VmcbFieldInfo, VmcbValue, control, save};
use x86_virt_svm::vmsa;

use crate::place::Place;

/// How many bytes a VMCB has.
const BYTES: usize = 4096;

/// Where Linux lists SEV_FEATURES, as if the VMSA were the state-save area.
pub(crate) const SEV_FEATURES: usize = save::START + vmsa::SEV_FEATURES.offset();

/// The bytes of a VMCB that a dump has.
#[derive(Clone, PartialEq, Eq)]
pub struct VmcbImage {
    bytes: Vec<u8>,
    known: Vec<bool>,
    places: BTreeMap<usize, Place>,
}

impl Default for VmcbImage {
    fn default() -> Self {
        Self { bytes: vec![0; BYTES], known: vec![false; BYTES], places: BTreeMap::new() }
    }
}

impl fmt::Debug for VmcbImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(info, value)| (info.name, value))).finish()
    }
}

/// The fields of the VMCB, in their order.
pub(crate) fn fields() -> impl Iterator<Item = &'static VmcbFieldInfo> {
    control::ALL.iter().chain(save::ALL)
}

impl VmcbImage {
    /// The value of `field`, if the dump has all of it.
    #[must_use]
    pub fn get<T: VmcbValue, A>(&self, field: Field<T, A>) -> Option<T> {
        let info = fields().find(|info| info.offset == field.offset())?;
        self.known(info.offset, info.bytes).map(T::decode)
    }

    /// The value of `field`, with zeros for what the dump does not have of it. `None` if it has nothing of it.
    #[must_use]
    pub fn get_partly<T: VmcbValue, A>(&self, field: Field<T, A>) -> Option<T> {
        let info = fields().find(|info| info.offset == field.offset())?;
        let range = info.offset..info.offset + info.bytes;
        self.known.get(range.clone())?.contains(&true).then(|| T::decode(self.bytes.get(range).unwrap_or_default()))
    }

    /// These bytes, if the dump has all of them.
    #[must_use]
    pub fn known(&self, offset: usize, bytes: usize) -> Option<&[u8]> {
        let range = offset..offset.checked_add(bytes)?;
        self.known.get(range.clone())?.iter().all(|known| *known).then(|| self.bytes.get(range))?
    }

    /// Where the value at `offset` was.
    #[must_use]
    pub fn place(&self, offset: usize) -> Option<Place> {
        self.places.get(&offset).copied()
    }

    /// The fields of which the dump has at least a part, with their bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&'static VmcbFieldInfo, &[u8])> {
        fields().filter_map(|info| {
            let range = info.offset..info.offset + info.bytes;
            let is_known = self.known.get(range.clone())?.contains(&true);
            is_known.then(|| self.bytes.get(range))?.map(|bytes| (info, bytes))
        })
    }

    /// How many fields the dump has at least a part of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether the dump has no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.known.contains(&true)
    }

    /// Sets bytes. Gives the ones that were known before, which stay.
    pub(crate) fn insert(&mut self, offset: usize, bytes: &[u8], place: Place) -> Option<Vec<u8>> {
        if let Some(before) = self.known(offset, bytes.len()) {
            return Some(before.to_vec());
        }
        let range = offset..offset + bytes.len();
        if let (Some(to), Some(known)) = (self.bytes.get_mut(range.clone()), self.known.get_mut(range)) {
            to.copy_from_slice(bytes);
            known.fill(true);
            self.places.insert(offset, place);
        }
        None
    }
}

impl VmcbRead for VmcbImage {
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        bytes.copy_from_slice(self.known(offset, bytes.len())?);
        Some(())
    }
}

/// The VMSA of a guest with SEV-ES, which Linux prints in place of the state-save area.
#[derive(Debug)]
pub(crate) struct VmsaImage<'i>(&'i VmcbImage);

impl<'i> VmsaImage<'i> {
    /// The VMSA, if `image` has one: Linux prints SEV_FEATURES behind it.
    pub(crate) fn of(image: &'i VmcbImage) -> Option<Self> {
        image.place(SEV_FEATURES).map(|_| Self(image))
    }
}

impl VmcbRead for VmsaImage<'_> {
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        self.0.read(offset.checked_add(save::START)?, bytes)
    }
}

/// The field of which these bytes are a part.
pub(crate) fn name_at(offset: usize) -> &'static str {
    fields().find(|info| (info.offset..info.offset + info.bytes).contains(&offset)).map_or("RESERVED", |info| info.name)
}

#[cfg(test)]
mod tests {
    use x86_virt_svm::vmcb::{control, save};

    use super::{VmcbImage, name_at};
    use crate::place::Place;

    #[test]
    fn only_known_bytes_are_values() {
        let mut image = VmcbImage::default();
        assert!(image.is_empty());
        assert_eq!(image.insert(0x70, &[0xff; 4], Place::START), None);
        assert_eq!(image.get(control::EXITCODE), None);
        assert!(image.get_partly(control::EXITCODE).unwrap().is_invalid());
        assert_eq!(image.insert(0x70, &[0; 4], Place::START), Some(vec![0xff; 4]));
        assert_eq!((image.len(), image.get_partly(save::RIP), image.place(0x70)), (1, None, Some(Place::START)));
        assert_eq!((name_at(0x74), name_at(0x18)), ("EXITCODE", "RESERVED"));
    }
}
