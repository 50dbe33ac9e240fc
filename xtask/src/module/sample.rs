//! Small relocatable files for tests, made with `object`.

use object::write::{Object, Relocation, SectionId, StandardSection, Symbol, SymbolId, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, RelocationFlags, SymbolFlags, SymbolKind, SymbolScope};

/// A file with one function.
pub(super) struct Sample {
    object: Object<'static>,
    text: SectionId,
}

impl Sample {
    /// A function `function` of these instructions.
    pub(super) fn new(code: &[u8]) -> Self {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let text = object.section_id(StandardSection::Text);
        let mut sample = Self { object, text };
        sample.define("function", code);
        sample
    }

    /// And another function.
    pub(super) fn with_function(mut self, name: &str, code: &[u8]) -> Self {
        self.define(name, code);
        self
    }

    /// And a relocation of this type at `offset`, of a symbol that is not defined.
    pub(super) fn with_relocation(mut self, offset: usize, kind: u32, symbol: &str) -> Self {
        let symbol = self.undefined(symbol);
        let offset = u64::try_from(offset).unwrap();
        let relocation = Relocation { offset, symbol, addend: -4, flags: RelocationFlags::Elf { r_type: kind } };
        self.object.add_relocation(self.text, relocation).unwrap();
        self
    }

    pub(super) fn build(self) -> Vec<u8> {
        self.object.write().unwrap()
    }

    fn define(&mut self, name: &str, code: &[u8]) {
        let symbol = self.symbol(name, SymbolKind::Text, SymbolSection::Undefined);
        self.object.add_symbol_data(symbol, self.text, code, 1);
    }

    fn undefined(&mut self, name: &str) -> SymbolId {
        self.symbol(name, SymbolKind::Unknown, SymbolSection::Undefined)
    }

    fn symbol(&mut self, name: &str, kind: SymbolKind, section: SymbolSection) -> SymbolId {
        self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: 0,
            kind,
            scope: SymbolScope::Dynamic,
            weak: false,
            section,
            flags: SymbolFlags::None,
        })
    }
}

/// The types of all relocations.
pub(super) fn relocation_types(file: &[u8]) -> Vec<u32> {
    use object::{Object as _, ObjectSection as _};
    let elf = object::File::parse(file).unwrap();
    let relocations = elf.sections().flat_map(|section| section.relocations().collect::<Vec<_>>());
    relocations
        .map(|(_, relocation)| match relocation.flags() {
            RelocationFlags::Elf { r_type } => r_type,
            other => panic!("{other:?}"),
        })
        .collect()
}
