//! Any bytes as a layer, compressed and not.
#![no_main]

use flate2::read::MultiGzDecoder;
use libfuzzer_sys::fuzz_target;
use proxy_wasm_image::read::tarball;

fuzz_target!(|bytes: &[u8]| {
    for entries in [tarball(bytes), tarball(MultiGzDecoder::new(bytes))] {
        for (path, _) in entries.unwrap_or_default() {
            assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."));
        }
    }
});
