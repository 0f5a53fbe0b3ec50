;; Appends `custom-header` to every response. Its value is the configuration.
(module
  (import "env" "proxy_get_buffer_bytes"
    (func $get_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value"
    (func $add_header (param i32 i32 i32 i32 i32) (result i32)))

  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  ;; The address and length of the configuration are at 0 and 4.
  (data (i32.const 8) "custom-header")
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))

  (func (export "proxy_on_configure") (param $id i32) (param $size i32) (result i32)
    (i32.eqz (call $get_buffer
      (i32.const 7) (i32.const 0) (local.get $size) (i32.const 0) (i32.const 4))))

  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $add_header
      (i32.const 2)
      (i32.const 8) (i32.const 13)
      (i32.load (i32.const 0)) (i32.load (i32.const 4))))
    (i32.const 0)))
