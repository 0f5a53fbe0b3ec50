//! Finds out which of the two exception proposals a module needs.

use wasmparser::{
    AbstractHeapType, BinaryReaderError, FunctionBody, HeapType, Operator, Parser, Payload, ValType,
};

/// The exception instructions in a module.
///
/// Tags and `throw` belong to both proposals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// `try`, `catch`, `catch_all`, `delegate` and `rethrow`.
    pub legacy: bool,
    /// `try_table`, `throw_ref` and `exnref`.
    pub current: bool,
}

impl Exceptions {
    /// Reads the instructions of a module.
    pub fn read(module: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut found = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::CodeSectionEntry(body) = payload? {
                found.add(&body)?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, body: &FunctionBody) -> Result<(), BinaryReaderError> {
        for local in body.get_locals_reader()? {
            if let (_, ValType::Ref(reference)) = local? {
                self.current |= is_exception(reference.heap_type());
            }
        }
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Try { .. }
                | Operator::Catch { .. }
                | Operator::CatchAll
                | Operator::Delegate { .. }
                | Operator::Rethrow { .. } => self.legacy = true,
                Operator::TryTable { .. } | Operator::ThrowRef => self.current = true,
                Operator::RefNull { hty } => self.current |= is_exception(hty),
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_exception(heap_type: HeapType) -> bool {
    matches!(
        heap_type,
        HeapType::Abstract {
            ty: AbstractHeapType::Exn | AbstractHeapType::NoExn,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_show_the_proposal() {
        let neither = Exceptions::default();
        let legacy = Exceptions {
            legacy: true,
            ..neither
        };
        let current = Exceptions {
            current: true,
            ..neither
        };
        for (body, expected) in [
            ("throw $t", neither),
            ("try throw $t catch $t end", legacy),
            ("try nop delegate 0", legacy),
            ("(block (try_table (catch_all 0)))", current),
            ("(drop (ref.null exn))", current),
            ("(local exnref)", current),
        ] {
            let text = format!("(module (tag $t) (func {body}))");
            let module = wat::parse_str(&text).expect(&text);
            assert_eq!(Exceptions::read(&module).expect(&text), expected, "{text}");
        }
    }
}
