;; The extension with the structure of a module that Emscripten compiles from the C++ SDK: a
;; stand-alone module without an entry point, whose constructors register the extension, with an
;; exported table, a stack in linear memory, and a heap that reports its growth to the proxy. It
;; reads plain text only.
(module
  (import "env" "emscripten_notify_memory_growth" (func $notify_memory_growth (param i32)))
  (import "env" "proxy_add_header_map_value"
    (func $add_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $get_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $get_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  ;; Data from 1024, then 64 KiB of stack, which grows down, then the heap.
  (memory (export "memory") 2 32768)
  (global $stack_pointer (mut i32) (i32.const 67584))
  (global $heap_end (mut i32) (i32.const 131064))
  (data (i32.const 1024) "custom-header")
  (data (i32.const 1040) "append-header")
  (data (i32.const 1056) "appending to every response: custom-header")
  (data (i32.const 1104) "configuration rejected: a JSON array has no header names")
  (data (i32.const 1168) "plugin_root_id")

  ;; Variables: whether a constructor has run; the value and its size.
  (global $is_registered (mut i32) (i32.const 0))
  (global $value (mut i32) (i32.const 1040))
  (global $value_size (mut i32) (i32.const 13))

  ;; The first element is empty: a null pointer.
  (table (export "__indirect_function_table") 2 2 funcref)
  (elem (i32.const 1) $register)
  (type $constructor (func))
  (func $register (global.set $is_registered (i32.const 1)))
  (func $__wasm_call_ctors (call_indirect (type $constructor) (i32.const 1)))
  (func (export "_initialize") (call $__wasm_call_ctors))

  (func (export "__errno_location") (result i32) (i32.const 1184))
  (func $stackSave (export "stackSave") (result i32) (global.get $stack_pointer))
  (func $stackRestore (export "stackRestore") (param i32) (global.set $stack_pointer (local.get 0)))
  (func $stackAlloc (export "stackAlloc") (param $size i32) (result i32)
    (global.set $stack_pointer
      (i32.and (i32.sub (global.get $stack_pointer) (local.get $size)) (i32.const -16)))
    (global.get $stack_pointer))

  ;; Never frees. The heap is full at first, so that the first call grows the memory.
  (func $malloc (export "malloc") (param $size i32) (result i32)
    (local $start i32)
    (local.set $start (global.get $heap_end))
    (global.set $heap_end
      (i32.and (i32.add (i32.add (local.get $start) (local.get $size)) (i32.const 15)) (i32.const -16)))
    (if (i32.gt_u (global.get $heap_end) (i32.shl (memory.size) (i32.const 16)))
      (then
        (if (i32.lt_s
              (memory.grow
                (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1)))
              (i32.const 0))
          (then (call $proc_exit (i32.const 1)) (unreachable)))
        (call $notify_memory_growth (i32.const 0))))
    (local.get $start))
  (func (export "free") (param i32))

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_validate_configuration") (param i32 i32) (result i32) (i32.const 1))

  ;; Keeps the configuration, or rejects an array.
  (func (export "proxy_on_configure") (param $context i32) (param $size i32) (result i32)
    (local $frame i32)
    (local $saved i32)
    (if (i32.eqz (local.get $size))
      (then
        (drop (call $log (i32.const 2) (i32.const 1056) (i32.const 42)))
        (return (i32.const 1))))
    (local.set $saved (call $stackSave))
    (local.set $frame (call $stackAlloc (i32.const 8)))
    (drop
      (call $get_buffer (i32.const 7) (i32.const 0) (local.get $size) (local.get $frame)
        (i32.add (local.get $frame) (i32.const 4))))
    (if (i32.eq (i32.load8_u (i32.load (local.get $frame))) (i32.const 0x5b))
      (then
        (drop (call $log (i32.const 4) (i32.const 1104) (i32.const 56)))
        (call $stackRestore (local.get $saved))
        (return (i32.const 0))))
    (global.set $value (i32.load (local.get $frame)))
    (global.set $value_size (i32.load offset=4 (local.get $frame)))
    (call $stackRestore (local.get $saved))
    (drop (call $log (i32.const 2) (i32.const 1056) (i32.const 42)))
    (i32.const 1))

  ;; Allocates a context, so that the heap grows here: while Envoy itself calls `malloc`, it does not
  ;; allow the host call that reports the growth.
  ;; Looks up the root ID, as the SDK does.
  (func (export "proxy_on_context_create") (param $context i32) (param $root i32)
    (local $frame i32)
    (local $saved i32)
    (if (i32.eqz (global.get $is_registered))
      (then (call $proc_exit (i32.const 1)) (unreachable)))
    (drop (call $malloc (i32.const 64)))
    (if (i32.eqz (local.get $root))
      (then
        (local.set $saved (call $stackSave))
        (local.set $frame (call $stackAlloc (i32.const 8)))
        (if (call $get_property (i32.const 1168) (i32.const 14) (local.get $frame)
              (i32.add (local.get $frame) (i32.const 4)))
          (then (call $proc_exit (i32.const 1)) (unreachable)))
        (call $stackRestore (local.get $saved)))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_request_metadata") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop
      (call $add_header (i32.const 2) (i32.const 1024) (i32.const 13) (global.get $value)
        (global.get $value_size)))
    (i32.const 0))
  (func (export "proxy_on_response_metadata") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_trailers") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_log") (param i32))
  (func (export "proxy_on_delete") (param i32))
  (func (export "proxy_on_tick") (param i32)))
