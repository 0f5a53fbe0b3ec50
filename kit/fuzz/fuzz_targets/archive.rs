//! Reads any bytes as an archive of an image.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use proxy_wasm_image::read;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = read::archive_from(Cursor::new(bytes.to_vec())) {
        for path in image.root().unwrap_or_default().into_keys() {
            assert!(is_inside(&path), "{path}");
        }
    }
});

fn is_inside(path: &str) -> bool {
    !path.split('/').any(|part| part == "." || part == "..")
}
