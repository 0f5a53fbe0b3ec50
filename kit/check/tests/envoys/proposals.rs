//! One module for each part of each WebAssembly proposal.

use crate::case::ModuleCase;

/// The proposals, each with modules that need it.
const PROPOSALS: &[(&str, &[&str])] = &[
    (
        "mutable-globals",
        &[
            r#"(global (export "g") (mut i32) (i32.const 0))"#,
            "(global (mut i32) (i32.const 0))",
        ],
    ),
    (
        "sign-extension",
        &["(func (drop (i32.extend8_s (i32.const 0))))"],
    ),
    (
        "saturating-float-to-int",
        &["(func (drop (i32.trunc_sat_f32_s (f32.const 0))))"],
    ),
    (
        "multi-value",
        &[
            "(func (result i32 i32) i32.const 0 i32.const 0)",
            "(func (param i32) (local.get 0) (loop (param i32) drop))",
            r#"(func (export "f") (result i32 i64 f32 f64)
                i32.const 0 i64.const 0 f32.const 0 f64.const 0)"#,
        ],
    ),
    (
        "bulk-memory",
        &[
            "(func (memory.copy (i32.const 0) (i32.const 0) (i32.const 0)))",
            "(func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
            r#"(data $d "a") (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0)))"#,
            r#"(data $d "a") (func (data.drop $d))"#,
            "(table 1 funcref) (func (table.copy (i32.const 0) (i32.const 0) (i32.const 0)))",
            "(table 1 funcref) (elem $e func) (func (elem.drop $e))",
        ],
    ),
    (
        "simd",
        &[
            "(func (drop (v128.const i32x4 0 0 0 0)))",
            "(func (local v128))",
            "(func (param v128))",
        ],
    ),
    (
        "threads",
        &[
            "(func (drop (i32.atomic.load (i32.const 0))))",
            "(func atomic.fence)",
            "(func (drop (memory.atomic.notify (i32.const 0) (i32.const 0))))",
            "(func (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0))))",
        ],
    ),
    (
        "legacy-exceptions",
        &[
            "(func try nop catch_all nop end)",
            "(tag $t) (func try throw $t catch $t rethrow 0 end)",
            "(tag $t (param i32)) (func try nop delegate 0)",
        ],
    ),
    (
        "reference-types",
        &[
            "(func (param externref))",
            "(func (result funcref) ref.null func)",
            "(func $f (drop (ref.func $f))) (elem declare func $f)",
            "(table 1 externref)",
            "(table 1 funcref) (table 1 funcref)",
            "(table $t 1 funcref) (func (drop (table.get $t (i32.const 0))))",
            "(table $t 1 funcref) (func (table.set $t (i32.const 0) (ref.null func)))",
            "(table $t 1 funcref) (func (drop (table.size $t)))",
            "(table $t 1 funcref) (func (drop (table.grow $t (ref.null func) (i32.const 0))))",
            "(table $t 1 funcref)
                (func (table.fill $t (i32.const 0) (ref.null func) (i32.const 0)))",
            "(func (drop (select (result i32) (i32.const 0) (i32.const 0) (i32.const 0))))",
        ],
    ),
    (
        "tail-calls",
        &[
            "(func $f return_call $f)",
            "(type $f (func)) (table 1 funcref)
                (func (return_call_indirect (type $f) (i32.const 0)))",
        ],
    ),
    (
        "extended-constants",
        &[
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
            "(global i64 (i64.mul (i64.const 1) (i64.const 2)))",
            r#"(data (offset (i32.sub (i32.const 1) (i32.const 1))) "a")"#,
        ],
    ),
    (
        "relaxed-simd",
        &["(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))"],
    ),
    (
        "function-references",
        &[
            "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))",
            "(type $f (func)) (func (param (ref $f)) (return_call_ref $f (local.get 0)))",
            "(type $f (func)) (func (param (ref null $f)) (drop (ref.as_non_null (local.get 0))))",
            "(func (param funcref) (block (br_on_null 0 (local.get 0)) drop))",
            "(func $f) (table 1 (ref func) (ref.func $f))",
            "(func (local (ref func)))",
        ],
    ),
    (
        "gc",
        &[
            "(type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 0))))",
            "(type $a (array (mut i8))) (func (drop (array.new_default $a (i32.const 0))))",
            "(func (drop (ref.i31 (i32.const 0))))",
            "(func (param eqref) (drop (ref.eq (local.get 0) (local.get 0))))",
            "(rec (type $a (struct (field (ref null $b)))) (type $b (struct)))",
            "(type $a (sub (struct))) (type $b (sub $a (struct (field i32))))",
            "(func (param anyref) (drop (ref.test i31ref (local.get 0))))",
            "(func (param anyref) (drop (ref.cast i31ref (local.get 0))))",
            "(func (param externref) (drop (any.convert_extern (local.get 0))))",
            "(global $a i32 (i32.const 0)) (global i32 (global.get $a))",
            "(type $a (array i8)) (global (ref $a) (array.new_fixed $a 1 (i32.const 0)))",
            "(func (param nullref nullfuncref nullexternref))",
            "(type (array i16)) (type (struct (field (mut i16))))",
        ],
    ),
    (
        "multi-memory",
        &[
            "(memory 1)",
            "(memory 1) (func (drop (i32.load 1 (i32.const 0))))",
            "(memory 1) (func (memory.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 0)))",
        ],
    ),
    (
        "memory64",
        &[
            "(table i64 1 funcref)",
            "(memory i64 1) (func (drop (i32.load 1 (i64.const 0))))",
        ],
    ),
    (
        "exceptions",
        &[
            "(tag) (func throw 0)",
            "(func (block (try_table (catch_all 0))))",
            "(func (param exnref) (throw_ref (local.get 0)))",
            "(tag $t (param i32)) (func (drop (block (result i32) (try_table (catch $t 0)) i32.const 0)))",
        ],
    ),
    (
        "both proposals for exceptions",
        &[
            "(func try nop catch_all nop end) (func (block (try_table (catch_all 0))))",
            "(func try nop delegate 0) (func (param exnref) (throw_ref (local.get 0)))",
            "(func try nop end) (func (local exnref))",
            "(tag $t) (func (block (try_table (catch_all 0)))) (func throw $t)",
        ],
    ),
    (
        "custom-page-sizes",
        &["(memory 1 (pagesize 1))", "(memory 1 (pagesize 65536))"],
    ),
    (
        "wide-arithmetic",
        &["(func (param i64 i64 i64 i64) (result i64 i64)
            local.get 0 local.get 1 local.get 2 local.get 3 i64.add128)"],
    ),
    (
        "stack-switching",
        &["(type $f (func)) (type $c (cont $f)) (func (param (ref null $c)))"],
    ),
    (
        "shared-everything-threads",
        &[
            "(type (shared (struct)))",
            "(global (shared i32) (i32.const 0))",
        ],
    ),
    (
        "memory-control",
        &["(func (memory.discard (i32.const 0) (i32.const 0)))"],
    ),
    (
        "custom-descriptors",
        &["(type $s (struct)) (func (param (ref null (exact $s))))"],
    ),
    (
        "compact-imports",
        &[
            r#"(import "env" (item "proxy_done" (func (result i32))))"#,
            r#"(import "env" (item "proxy_done") (func (result i32)))"#,
        ],
    ),
    (
        "acquire-release-atomics",
        &[
            "(func (drop (i32.atomic.load acqrel (i32.const 0))))",
            "(func pause)",
        ],
    ),
];

pub fn cases() -> Vec<ModuleCase> {
    let mut cases = Vec::new();
    for (proposal, modules) in PROPOSALS {
        for fields in *modules {
            let mut case = ModuleCase::with(fields);
            case.name = format!("{proposal}: {fields}");
            cases.push(case);
        }
    }
    cases
}
