//! Any bytes as an OCI archive.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use proxy_wasm_image::read;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = read::archive_from(Cursor::new(bytes.to_vec())) {
        drop(image.root());
    }
});
