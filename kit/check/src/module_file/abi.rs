//! The markers, which say for which ABI version a module was built.

use proxy_wasm_abi::AbiVersion;

use super::subject::{MAX_COUNT, Subject};
use crate::report::excerpt;

const REMEDY: &str = "build it with a Proxy-Wasm SDK for ABI 0.2.1";

pub fn check(subject: &mut Subject) {
    let module = subject.module;
    let version = module.abi_version();
    if module.abi.is_empty() {
        subject.error(
            "it exports no proxy_abi_version_…, so it speaks no Proxy-Wasm ABI",
            REMEDY,
        );
    } else if version == Some(AbiVersion::V0_1_0) {
        subject.warning(
            "it speaks ABI 0.1.0, which 0.2.0 replaced in 2020; proxies still load it",
            REMEDY,
        );
    }
    for marker in module.abi.iter().take(MAX_COUNT) {
        let known = AbiVersion::ALL
            .iter()
            .any(|known| known.to_string() == *marker);
        if known && version.is_none() {
            subject.error(
                format!("its export for ABI {marker} is not a function"),
                REMEDY,
            );
        } else if !known {
            let problem = format!("it speaks ABI {}, which no proxy does", excerpt(marker));
            if version.is_none() {
                subject.error(problem, REMEDY);
            } else {
                subject.warning(problem, "export one proxy_abi_version_… only");
            }
        }
    }
    if module.abi.len() > 1 {
        subject.warning(
            format!("it speaks {} ABI versions at once", module.abi.len()),
            "export one proxy_abi_version_…, or each proxy picks one by its own rule",
        );
    }
}
