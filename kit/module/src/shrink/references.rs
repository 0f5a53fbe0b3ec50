//! Reads what refers to what in a module, from the relocations of its linker.
//!
//! An address in code is a number like any other. With `--emit-relocs` the linker says which numbers
//! are addresses: the section `linking` names each piece of data, and the sections `reloc.*` say
//! where the address of a piece, or the index of a function in the table, is written (tool
//! conventions of WebAssembly, Linking.md). Tools that rewrite a module may leave these sections as
//! they were, so a relocation counts only if the module has the number that it says.

use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::{
    BinaryReader, ConstExpr, DataKind, ElementItems, ElementKind, KnownCustom, Linking, Operator,
    Parser, Payload, RelocSectionReader, RelocationEntry, RelocationType, SymbolFlags, SymbolInfo,
};

/// What code or data refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The function with this index.
    Function(u32),
    /// The piece of data at this address.
    Data(u32),
}

/// A piece of data: a constant, a table of a trait object, a variable.
#[derive(Debug, Default)]
pub struct Piece {
    /// Its length in bytes; it ends within memory.
    pub length: u32,
    /// What it refers to.
    pub targets: Vec<Target>,
}

/// What refers to what in a module.
#[derive(Debug, Default)]
pub struct References {
    /// What each function refers to, by its index.
    pub functions: BTreeMap<u32, Vec<Target>>,
    /// The pieces of data, by their addresses. None overlaps another.
    pub pieces: BTreeMap<u32, Piece>,
    /// What is needed even if nothing refers to it.
    pub roots: Vec<Target>,
}

/// What can be read only when the layout is known.
struct Pending<'a> {
    symbols: Vec<SymbolInfo<'a>>,
    relocations: Vec<RelocSectionReader<'a>>,
}

/// The places of the parts of a module.
#[derive(Default)]
struct Layout {
    /// The content of each section, in order, with its kind.
    sections: Vec<(u8, Range<u64>)>,
    /// The bodies of the functions.
    bodies: Vec<Range<u64>>,
    imported_functions: u32,
    /// The segments of data: the range in the module, and the address in memory.
    segments: Vec<(Range<u64>, u32)>,
    /// The table of functions.
    table: BTreeMap<u32, u32>,
}

/// The kinds of the sections whose relocations count.
const CODE: u8 = 10;
const DATA: u8 = 11;

impl References {
    /// Reads the relocations. `None` if there are none, or if one of them is unknown or does not
    /// agree with the module.
    pub fn read(module: &[u8]) -> Option<Self> {
        let (layout, pending) = read_layout(module)?;
        let mut references = Self::default();
        for symbol in &pending.symbols {
            references.add_piece(symbol, &layout)?;
        }
        references.join();
        let mut has_code = false;
        for section in pending.relocations {
            let (kind, range) = layout.sections.get(section.section_index() as usize)?;
            match *kind {
                CODE => has_code = true,
                DATA => {}
                // References between custom sections are not executed.
                _ => continue,
            }
            for relocation in section.entries() {
                let relocation = relocation.ok()?;
                let place = range.start.checked_add(u64::from(relocation.offset))?;
                let target = target(module, &layout, &pending.symbols, &relocation, place)?;
                if let Some(target) = target {
                    references.add(*kind, place, target, &layout)?;
                }
            }
        }
        has_code.then_some(references)
    }

    fn add_piece(&mut self, symbol: &SymbolInfo, layout: &Layout) -> Option<()> {
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
            self.roots.push(Target::Data(address));
        }
        // An empty one holds nothing.
        if defined.size > 0 {
            let piece = self.pieces.entry(address).or_default();
            piece.length = piece.length.max(defined.size);
        }
        Some(())
    }

    /// Joins pieces that overlap. Of two texts with the same end, the linker writes only one.
    fn join(&mut self) {
        let mut joined: BTreeMap<u32, Piece> = BTreeMap::new();
        for (address, piece) in std::mem::take(&mut self.pieces) {
            match joined.last_entry() {
                Some(mut last) if address - last.key() < last.get().length => {
                    let length = address - last.key() + piece.length;
                    let last = last.get_mut();
                    last.length = last.length.max(length);
                }
                _ => drop(joined.insert(address, piece)),
            }
        }
        self.pieces = joined;
    }

    /// The piece at an address, and the address of its first byte.
    pub fn piece_at(&self, address: u32) -> Option<(u32, &Piece)> {
        let (start, piece) = self.pieces.range(..=address).next_back()?;
        (address - start < piece.length).then_some((*start, piece))
    }

    fn add(&mut self, kind: u8, place: u64, target: Target, layout: &Layout) -> Option<()> {
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
        match self.pieces.range_mut(..=address).next_back() {
            Some((start, piece)) if address - start < piece.length => piece.targets.push(target),
            // It is in no known piece.
            _ => self.roots.push(target),
        }
        Some(())
    }
}

/// Finds the parts of a module that are needed. `None` if one is missing or of an unknown kind.
fn read_layout(module: &[u8]) -> Option<(Layout, Pending<'_>)> {
    let mut layout = Layout::default();
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
        Pending {
            symbols,
            relocations,
        },
    ))
}

/// The value of an expression that is one constant.
fn constant(expression: &ConstExpr) -> Option<u32> {
    let mut operators = expression.get_operators_reader().into_iter();
    match (operators.next()?.ok()?, operators.next()?.ok()?) {
        (Operator::I32Const { value }, Operator::End) => Some(value.cast_unsigned()),
        _ => None,
    }
}

/// The address of a piece of data in memory.
fn address_of(symbol: &SymbolInfo, layout: &Layout) -> Option<u32> {
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

/// What a relocation refers to, if that is a function or data. `None` if the relocation is unknown,
/// or if the module has another number at its place.
#[expect(
    clippy::option_option,
    reason = "an unknown relocation is not one that refers to nothing"
)]
fn target(
    module: &[u8],
    layout: &Layout,
    symbols: &[SymbolInfo],
    relocation: &RelocationEntry,
    place: u64,
) -> Option<Option<Target>> {
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
            (Target::Function(*index), written == *index)
        }
        (Kind::TableIndexSleb | Kind::TableIndexI32, SymbolInfo::Func { index, .. }) => (
            Target::Function(*index),
            layout.table.get(&written) == Some(index),
        ),
        (Kind::MemoryAddrLeb | Kind::MemoryAddrSleb | Kind::MemoryAddrI32, symbol) => {
            let address = address_of(symbol, layout)?;
            let addend = i32::try_from(relocation.addend).ok()?;
            (
                Target::Data(address),
                written == address.wrapping_add_signed(addend),
            )
        }
        _ => return None,
    };
    agrees.then_some(Some(target))
}
