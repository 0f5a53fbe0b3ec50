//! Reads any bytes as a layer, compressed or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_wasm_image::read::layer;

fuzz_target!(|bytes: &[u8]| {
    let layer = layer("application/vnd.oci.image.layer.v1.tar", bytes).expect("bytes in memory");
    for item in &layer.tar().expect("a tar").entries {
        let path = &item.path;
        assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."));
    }
});
