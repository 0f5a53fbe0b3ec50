//! Reads the references in a module, from the linker's relocations.
//!
//! An address in code is a number like any other. With `--emit-relocs` the linker records which
//! numbers are addresses: the section `linking` lists the data symbols, and the sections `reloc.*`
//! list the places that hold the address of a symbol, or the table index of a function (WebAssembly
//! tool conventions, Linking.md). Tools that rewrite a module may not update these sections, so a
//! relocation counts only if the module has the expected number at its place.

use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::{
    BinaryReader, ConstExpr, DataKind, ElementItems, ElementKind, KnownCustom, Linking, Operator,
    Parser, Payload, RelocSectionReader, RelocationEntry, RelocationType, SymbolFlags, SymbolInfo,
};

/// A function or data that code or data refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationTarget {
    /// The function with this index.
    Function(u32),
    /// The data at this address.
    Data(u32),
}

/// A data symbol: a constant, a vtable, a variable.
#[derive(Debug, Default)]
pub struct DataSymbol {
    /// Its length in bytes. It does not exceed the memory.
    pub length: u32,
    /// What it refers to.
    pub targets: Vec<RelocationTarget>,
}

/// The references in a module.
#[derive(Debug, Default)]
pub struct References {
    /// The references of each function, by its index.
    pub functions: BTreeMap<u32, Vec<RelocationTarget>>,
    /// The data symbols, by their addresses. They do not overlap.
    pub data_symbols: BTreeMap<u32, DataSymbol>,
    /// What is needed even if nothing refers to it.
    pub roots: Vec<RelocationTarget>,
}

/// The symbols and relocations, which can be read only when the layout is known.
struct LinkerSections<'a> {
    symbols: Vec<SymbolInfo<'a>>,
    relocations: Vec<RelocSectionReader<'a>>,
}

/// Where the parts of a module are.
#[derive(Default)]
struct ModuleLayout {
    /// The content of each section, in order, with its kind.
    sections: Vec<(u8, Range<u64>)>,
    /// The function bodies.
    bodies: Vec<Range<u64>>,
    imported_functions: u32,
    /// The data segments: the range in the module, and the address in memory.
    segments: Vec<(Range<u64>, u32)>,
    /// The function table.
    table: BTreeMap<u32, u32>,
}

/// The kinds of the sections whose relocations count.
const CODE: u8 = 10;
const DATA: u8 = 11;

impl References {
    /// Reads the relocations. `None` if there are none, or if one of them is unknown or does not
    /// agree with the module.
    pub fn read(module: &[u8]) -> Option<Self> {
        let (layout, linker_sections) = read_layout(module)?;
        let mut references = Self::default();
        for symbol in &linker_sections.symbols {
            references.add_data_symbol(symbol, &layout)?;
        }
        references.merge_overlapping();
        let mut has_code = false;
        for section in linker_sections.relocations {
            let (kind, range) = layout.sections.get(section.section_index() as usize)?;
            match *kind {
                CODE => has_code = true,
                DATA => {}
                // Custom sections, such as debugging information, are not executed.
                _ => continue,
            }
            for relocation in section.entries() {
                let relocation = relocation.ok()?;
                let place = range.start.checked_add(u64::from(relocation.offset))?;
                let target = target(
                    module,
                    &layout,
                    &linker_sections.symbols,
                    &relocation,
                    place,
                )?;
                if let Some(target) = target {
                    references.add(*kind, place, target, &layout)?;
                }
            }
        }
        has_code.then_some(references)
    }

    fn add_data_symbol(&mut self, symbol: &SymbolInfo, layout: &ModuleLayout) -> Option<()> {
        let SymbolInfo::Data {
            flags,
            symbol: Some(defined),
            ..
        } = symbol
        else {
            return Some(());
        };
        let address = address_of(symbol, layout)?;
        if !flags.contains(SymbolFlags::BINDING_LOCAL)
            || flags.intersects(SymbolFlags::EXPORTED | SymbolFlags::NO_STRIP)
        {
            self.roots.push(RelocationTarget::Data(address));
        }
        // An empty symbol has no data.
        if defined.size > 0 {
            let data_symbol = self.data_symbols.entry(address).or_default();
            data_symbol.length = data_symbol.length.max(defined.size);
        }
        Some(())
    }

    /// Merges overlapping symbols. The linker writes only one of two strings with the same end.
    fn merge_overlapping(&mut self) {
        let mut merged: BTreeMap<u32, DataSymbol> = BTreeMap::new();
        for (address, data_symbol) in std::mem::take(&mut self.data_symbols) {
            match merged.last_entry() {
                Some(mut last) if address - last.key() < last.get().length => {
                    let length = address - last.key() + data_symbol.length;
                    let last = last.get_mut();
                    last.length = last.length.max(length);
                }
                _ => drop(merged.insert(address, data_symbol)),
            }
        }
        self.data_symbols = merged;
    }

    /// The symbol at an address, and the address of its first byte.
    pub fn data_symbol_at(&self, address: u32) -> Option<(u32, &DataSymbol)> {
        let (start, data_symbol) = self.data_symbols.range(..=address).next_back()?;
        (address - start < data_symbol.length).then_some((*start, data_symbol))
    }

    fn add(
        &mut self,
        kind: u8,
        place: u64,
        target: RelocationTarget,
        layout: &ModuleLayout,
    ) -> Option<()> {
        if kind == CODE {
            let index = layout.bodies.partition_point(|body| body.end <= place);
            layout.bodies.get(index)?.contains(&place).then_some(())?;
            let function = layout
                .imported_functions
                .checked_add(index.try_into().ok()?)?;
            self.functions.entry(function).or_default().push(target);
            return Some(());
        }
        let index = layout
            .segments
            .partition_point(|(range, _)| range.end <= place);
        let (range, start) = layout.segments.get(index)?;
        let offset: u32 = place.checked_sub(range.start)?.try_into().ok()?;
        let address = start.checked_add(offset)?;
        match self.data_symbols.range_mut(..=address).next_back() {
            Some((start, data_symbol)) if address - start < data_symbol.length => {
                data_symbol.targets.push(target)
            }
            // It does not belong to a known symbol.
            _ => self.roots.push(target),
        }
        Some(())
    }
}

/// Finds the parts of a module. `None` if one is missing or of an unknown kind.
fn read_layout(module: &[u8]) -> Option<(ModuleLayout, LinkerSections<'_>)> {
    let mut layout = ModuleLayout::default();
    let mut symbols = None;
    let mut relocations = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.ok()?;
        if let Some((kind, range)) = payload.as_section() {
            layout.sections.push((kind, range));
        }
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if let wasmparser::TypeRef::Func(_) = import.ok()?.ty {
                        layout.imported_functions += 1;
                    }
                }
            }
            Payload::ElementSection(elements) => {
                for element in elements {
                    let element = element.ok()?;
                    let ElementKind::Active { offset_expr, .. } = element.kind else {
                        return None;
                    };
                    let ElementItems::Functions(functions) = element.items else {
                        return None;
                    };
                    let start = constant(&offset_expr)?;
                    for (index, function) in (start..=u32::MAX).zip(functions) {
                        layout.table.insert(index, function.ok()?);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => layout.bodies.push(body.range()),
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment.ok()?;
                    let DataKind::Active {
                        memory_index: 0,
                        offset_expr,
                    } = segment.kind
                    else {
                        return None;
                    };
                    let start = constant(&offset_expr)?;
                    let length = u64::try_from(segment.data.len()).ok()?;
                    let begin = segment.range.end.checked_sub(length)?;
                    layout.segments.push((begin..segment.range.end, start));
                }
            }
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Linking(linking) => {
                    for subsection in linking.subsections() {
                        if let Linking::SymbolTable(table) = subsection.ok()? {
                            symbols = Some(table.into_iter().collect::<Result<_, _>>().ok()?);
                        }
                    }
                }
                KnownCustom::Reloc(section) => relocations.push(section),
                _ => {}
            },
            _ => {}
        }
    }
    let symbols = symbols?;
    Some((
        layout,
        LinkerSections {
            symbols,
            relocations,
        },
    ))
}

/// The value of an expression that consists of one constant.
fn constant(expression: &ConstExpr) -> Option<u32> {
    let mut operators = expression.get_operators_reader().into_iter();
    match (operators.next()?.ok()?, operators.next()?.ok()?) {
        (Operator::I32Const { value }, Operator::End) => Some(value.cast_unsigned()),
        _ => None,
    }
}

/// The address of a data symbol in memory.
fn address_of(symbol: &SymbolInfo, layout: &ModuleLayout) -> Option<u32> {
    let SymbolInfo::Data {
        symbol: Some(defined),
        flags,
        ..
    } = symbol
    else {
        return None;
    };
    if flags.intersects(SymbolFlags::TLS | SymbolFlags::ABSOLUTE) {
        return None;
    }
    let (range, start) = layout.segments.get(defined.index as usize)?;
    let end = defined.offset.checked_add(defined.size)?;
    (u64::from(end) <= range.end - range.start).then_some(())?;
    start.checked_add(end)?;
    start.checked_add(defined.offset)
}

/// The target of a relocation, if that is a function or data. `None` if the relocation is unknown,
/// or if the module has another number at its place.
#[expect(
    clippy::option_option,
    reason = "an unknown relocation may refer to something"
)]
fn target(
    module: &[u8],
    layout: &ModuleLayout,
    symbols: &[SymbolInfo],
    relocation: &RelocationEntry,
    place: u64,
) -> Option<Option<RelocationTarget>> {
    use RelocationType as Kind;
    if matches!(relocation.ty, Kind::TypeIndexLeb | Kind::TableNumberLeb) {
        return Some(None);
    }
    let symbol = symbols.get(relocation.index as usize)?;
    let bytes = module.get(usize::try_from(place).ok()?..)?;
    let mut reader = BinaryReader::new(bytes, place);
    let written = match relocation.ty {
        Kind::FunctionIndexLeb | Kind::MemoryAddrLeb | Kind::GlobalIndexLeb => {
            reader.read_var_u32().ok()?
        }
        Kind::TableIndexSleb | Kind::MemoryAddrSleb => reader.read_var_i32().ok()?.cast_unsigned(),
        Kind::TableIndexI32 | Kind::MemoryAddrI32 => reader.read_u32().ok()?,
        _ => return None,
    };
    let (target, agrees) = match (relocation.ty, symbol) {
        (Kind::GlobalIndexLeb, SymbolInfo::Global { .. }) => return Some(None),
        (Kind::FunctionIndexLeb, SymbolInfo::Func { index, .. }) => {
            (RelocationTarget::Function(*index), written == *index)
        }
        (Kind::TableIndexSleb | Kind::TableIndexI32, SymbolInfo::Func { index, .. }) => (
            RelocationTarget::Function(*index),
            layout.table.get(&written) == Some(index),
        ),
        (Kind::MemoryAddrLeb | Kind::MemoryAddrSleb | Kind::MemoryAddrI32, symbol) => {
            let address = address_of(symbol, layout)?;
            let addend = i32::try_from(relocation.addend).ok()?;
            (
                RelocationTarget::Data(address),
                written == address.wrapping_add_signed(addend),
            )
        }
        _ => return None,
    };
    agrees.then_some(Some(target))
}
