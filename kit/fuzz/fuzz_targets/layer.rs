//! Any bytes as a layer, compressed and not.
#![no_main]

use proxy_wasm_image::read::{Budget, tarball};
use flate2::read::MultiGzDecoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for entries in [
        tarball(bytes, &mut Budget::default()),
        tarball(MultiGzDecoder::new(bytes), &mut Budget::default()),
    ] {
        for (path, _) in entries.unwrap_or_default() {
            assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."));
        }
    }
});
