//! The releases of Istio and Maistra, and the Envoy in each.

use proxy_wasm_abi::EnvoyVersion;

/// The releases of Maistra, oldest first, with their Envoy.
const MAISTRA: [(&str, EnvoyVersion); 6] = [
    ("2.1", EnvoyVersion::new(1, 17)),
    ("2.2", EnvoyVersion::new(1, 20)),
    ("2.3", EnvoyVersion::new(1, 22)),
    ("2.4", EnvoyVersion::new(1, 24)),
    ("2.5", EnvoyVersion::new(1, 26)),
    ("2.6", EnvoyVersion::new(1, 28)),
];

/// Istio 1.9 has Envoy 1.17, and each minor release has the next one.
const ISTIO_OFFSET: u32 = 8;

/// The oldest releases that have this Envoy or a later one.
pub fn since(envoy: EnvoyVersion) -> String {
    let istio = envoy.minor.saturating_sub(ISTIO_OFFSET);
    let maistra = MAISTRA.iter().find(|(_, version)| *version >= envoy);
    let maistra = match maistra {
        Some((release, _)) => format!("Maistra {release}"),
        None => "no release of Maistra".to_owned(),
    };
    format!("Envoy {envoy}, Istio 1.{istio}, {maistra}")
}

/// The releases of Maistra that have an older Envoy than this, and the newest such Envoy. `None` if
/// there are none.
pub fn before(envoy: EnvoyVersion) -> Option<String> {
    let older: Vec<_> = MAISTRA
        .iter()
        .filter(|(_, version)| *version < envoy)
        .map(|(release, _)| *release)
        .collect();
    let maistra = match older.as_slice() {
        [] => return None,
        all if all.len() == MAISTRA.len() => "every release of Maistra".to_owned(),
        [release] => format!("Maistra {release}"),
        [releases @ .., last] => format!("Maistra {} and {last}", releases.join(", ")),
    };
    let newest = EnvoyVersion::new(envoy.major, envoy.minor - 1);
    Some(format!("{maistra} (Envoy {newest} and older)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_releases_have_the_version_or_a_later_one() {
        for (minor, releases) in [
            (17, "Envoy 1.17, Istio 1.9, Maistra 2.1"),
            (19, "Envoy 1.19, Istio 1.11, Maistra 2.2"),
            (21, "Envoy 1.21, Istio 1.13, Maistra 2.3"),
            (35, "Envoy 1.35, Istio 1.27, no release of Maistra"),
        ] {
            assert_eq!(since(EnvoyVersion::new(1, minor)), releases);
        }
    }

    #[test]
    fn releases_before_a_version_are_listed() {
        for (minor, releases) in [
            (17, None),
            (19, Some("Maistra 2.1 (Envoy 1.18 and older)")),
            (21, Some("Maistra 2.1 and 2.2 (Envoy 1.20 and older)")),
            (23, Some("Maistra 2.1, 2.2 and 2.3 (Envoy 1.22 and older)")),
            (35, Some("every release of Maistra (Envoy 1.34 and older)")),
        ] {
            let before = before(EnvoyVersion::new(1, minor));
            assert_eq!(before.as_deref(), releases);
        }
    }
}
