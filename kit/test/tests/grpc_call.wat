;; Asks the gRPC service a.B/C of the cluster `grpc`, and holds the request until it responds. Logs
;; the response, or `failed`.
(module
  (import "env" "proxy_grpc_call" (func $grpc_call
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes"
    (func $get_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $enter (param i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))

  (func (export "proxy_abi_version_0_2_1"))
  (memory (export "memory") 1)
  ;; The identifier of the call is at 0. The address and length of the response are at 4 and 8.
  (data (i32.const 16) "grpca.BCquestionfailed")
  (global $stream (mut i32) (i32.const 0))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))

  (func (export "proxy_on_request_headers") (param $id i32) (param i32 i32) (result i32)
    (global.set $stream (local.get $id))
    (drop (call $grpc_call
      (i32.const 16) (i32.const 4) (i32.const 20) (i32.const 3) (i32.const 23) (i32.const 1)
      (i32.const 0) (i32.const 0) (i32.const 24) (i32.const 8) (i32.const 500) (i32.const 0)))
    (i32.const 1))

  (func $resume
    (drop (call $enter (global.get $stream)))
    (drop (call $continue (i32.const 0))))

  (func (export "proxy_on_grpc_receive") (param $id i32) (param $call i32) (param $size i32)
    (drop (call $get_buffer
      (i32.const 5) (i32.const 0) (local.get $size) (i32.const 4) (i32.const 8)))
    (drop (call $log (i32.const 2) (i32.load (i32.const 4)) (i32.load (i32.const 8))))
    (call $resume))

  (func (export "proxy_on_grpc_close") (param $id i32) (param $call i32) (param $status i32)
    (drop (call $log (i32.const 3) (i32.const 32) (i32.const 6)))
    (call $resume)))
