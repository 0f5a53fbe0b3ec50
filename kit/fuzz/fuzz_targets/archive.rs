//! Any bytes as an OCI archive.
#![no_main]

use std::io::Cursor;

use proxy_wasm_image::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = read::archive_from(Cursor::new(bytes.to_vec())) {
        drop(image.root());
    }
});
