//! A dynamic module for Envoy 1.40, which appends headers to every response.
//!
//! It declares the few functions that it uses of Envoy's ABI for dynamic modules (v0.2.0). Envoy
//! loads it into its own process: a wrong declaration or a panic would crash Envoy.

use std::ffi::{c_char, c_void};

/// Bytes of Envoy, or of the module. Envoy passes them by value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer {
    start: *const u8,
    length: usize,
}

impl Buffer {
    fn new(bytes: &[u8]) -> Self {
        Self {
            start: bytes.as_ptr(),
            length: bytes.len(),
        }
    }
}

/// The map of a response's headers.
const RESPONSE_HEADERS: u32 = 2;

/// The result with which the message continues.
const CONTINUE: u32 = 0;

unsafe extern "C" {
    fn envoy_dynamic_module_callback_http_add_header(
        filter: *mut c_void,
        map: u32,
        name: Buffer,
        value: Buffer,
    ) -> bool;
}

/// The headers to append, from the configuration: a line `NAME: VALUE` for each.
struct Config(Vec<(Vec<u8>, Vec<u8>)>);

impl Config {
    fn parse(text: &[u8]) -> Self {
        let lines = text.split(|byte| *byte == b'\n');
        let headers = lines.filter_map(|line| {
            let colon = line.windows(2).position(|pair| pair == b": ")?;
            Some((line[..colon].to_vec(), line[colon + 2..].to_vec()))
        });
        Self(headers.collect())
    }
}

/// The version of the ABI. Envoy rejects the module if the pointer is null.
#[unsafe(no_mangle)]
pub extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    c"v0.2.0".as_ptr()
}

/// Reads a configuration, which belongs to Envoy until it is destroyed.
///
/// # Safety
///
/// `text` has to be valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    _envoy: *mut c_void,
    _name: Buffer,
    text: Buffer,
) -> *mut c_void {
    let text = if text.start.is_null() {
        &[]
    } else {
        // SAFETY: Envoy passes a buffer that lives during the call.
        unsafe { std::slice::from_raw_parts(text.start, text.length) }
    };
    Box::into_raw(Box::new(Config::parse(text))).cast()
}

/// Frees a configuration.
///
/// # Safety
///
/// `config` has to come from `envoy_dynamic_module_on_http_filter_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(config: *mut c_void) {
    // SAFETY: Envoy calls this once, after the last filter with this configuration has ended.
    drop(unsafe { Box::from_raw(config.cast::<Config>()) });
}

/// Returns the configuration as the filter, because a filter has no state of its own.
#[unsafe(no_mangle)]
pub extern "C" fn envoy_dynamic_module_on_http_filter_new(
    config: *mut c_void,
    _filter: *mut c_void,
) -> *mut c_void {
    config
}

/// Nothing to free.
#[unsafe(no_mangle)]
pub extern "C" fn envoy_dynamic_module_on_http_filter_destroy(_filter: *mut c_void) {}

/// Appends the headers.
///
/// # Safety
///
/// `envoy` has to be a filter of Envoy, and `config` its configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
    envoy: *mut c_void,
    config: *mut c_void,
    _ends: bool,
) -> u32 {
    // SAFETY: the configuration lives as long as its filters.
    let Config(headers) = unsafe { &*config.cast::<Config>() };
    for (name, value) in headers {
        // SAFETY: Envoy copies both during the call.
        unsafe {
            envoy_dynamic_module_callback_http_add_header(
                envoy,
                RESPONSE_HEADERS,
                Buffer::new(name),
                Buffer::new(value),
            );
        }
    }
    CONTINUE
}

/// The other callbacks that Envoy requires. The message continues.
macro_rules! continuing {
    ($($name:ident($($parameter:ty),*);)*) => {
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $name(_envoy: *mut c_void, _filter: *mut c_void, $(_: $parameter),*) -> u32 {
                CONTINUE
            }
        )*
    };
}

continuing! {
    envoy_dynamic_module_on_http_filter_request_headers(bool);
    envoy_dynamic_module_on_http_filter_request_body(bool);
    envoy_dynamic_module_on_http_filter_request_trailers();
    envoy_dynamic_module_on_http_filter_response_body(bool);
    envoy_dynamic_module_on_http_filter_response_trailers();
}

/// Callbacks that Envoy requires for features that this module does not use. Their parameters are
/// left out: a C function may ignore them.
macro_rules! ignored {
    ($($name:ident;)*) => {
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() {}
        )*
    };
}

ignored! {
    envoy_dynamic_module_on_http_filter_stream_complete;
    envoy_dynamic_module_on_http_filter_http_callout_done;
    envoy_dynamic_module_on_http_filter_http_stream_headers;
    envoy_dynamic_module_on_http_filter_http_stream_data;
    envoy_dynamic_module_on_http_filter_http_stream_trailers;
    envoy_dynamic_module_on_http_filter_http_stream_complete;
    envoy_dynamic_module_on_http_filter_http_stream_reset;
    envoy_dynamic_module_on_http_filter_scheduled;
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark;
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark;
}
