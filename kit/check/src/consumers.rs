//! The consumers of modules and images: their releases, the Envoy version in each, and what they
//! read.
//!
//! To add a consumer or a release, add a row.

use proxy_wasm_abi::EnvoyVersion;

/// A proxy or a mesh that runs modules.
#[derive(Debug)]
#[non_exhaustive]
pub struct Consumer {
    /// Its name in the report, and for `--for`.
    pub name: &'static str,
    /// Its name in messages.
    pub title: &'static str,
    /// Whether it is a mesh, which reads images: here also Envoy Gateway. Envoy is a proxy.
    pub is_mesh: bool,
    /// What it reads from an image.
    pub reads: ModuleSource,
    /// The maximum length of a module, in bytes. `None` if it sets no limit.
    pub max_module_length: Option<u64>,
    /// The known releases that run modules, oldest first.
    pub releases: &'static [Release],
    /// The kind of its resource, if only the known releases have it. Newer ones do not run modules in
    /// this way.
    pub resource: Option<&'static str>,
}

/// A minor release of a consumer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Release {
    /// Its version.
    pub version: &'static str,
    /// The Envoy version in it.
    pub envoy: EnvoyVersion,
}

/// How a consumer finds the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModuleSource {
    /// A file on the proxy's disk. For an image, it is the module that a mesh would read.
    File,
    /// The first file named `plugin.wasm` in the last layer, or the module of an artifact.
    LastLayer,
    /// The file that `manifest.yaml` names, after all layers are applied. Without a manifest, nothing.
    Manifest,
}

/// The limit of Istio and Envoy Gateway.
const MAX_LENGTH: u64 = 256 * 1024 * 1024;

/// All consumers, in the order of the report.
pub static CONSUMERS: [Consumer; 4] = [
    Consumer {
        name: "envoy",
        title: "Envoy",
        is_mesh: false,
        reads: ModuleSource::File,
        max_module_length: None,
        releases: &[
            release("1.17", 17),
            release("1.18", 18),
            release("1.19", 19),
            release("1.20", 20),
            release("1.21", 21),
            release("1.22", 22),
            release("1.23", 23),
            release("1.24", 24),
            release("1.25", 25),
            release("1.26", 26),
            release("1.27", 27),
            release("1.28", 28),
            release("1.29", 29),
            release("1.30", 30),
            release("1.31", 31),
            release("1.32", 32),
            release("1.33", 33),
            release("1.34", 34),
            release("1.35", 35),
            release("1.36", 36),
            release("1.37", 37),
            release("1.38", 38),
            release("1.39", 39),
            release("1.40", 40),
        ],
        resource: None,
    },
    Consumer {
        name: "istio",
        title: "Istio",
        is_mesh: true,
        reads: ModuleSource::LastLayer,
        max_module_length: Some(MAX_LENGTH),
        // 1.12 is the first release with WasmPlugin. The Envoy versions are those that istio/proxy
        // pins.
        releases: &[
            release("1.12", 20),
            release("1.13", 21),
            release("1.14", 22),
            release("1.15", 23),
            release("1.16", 24),
            release("1.17", 25),
            release("1.18", 26),
            release("1.19", 27),
            release("1.20", 28),
            release("1.21", 29),
            release("1.22", 30),
            release("1.23", 31),
            release("1.24", 32),
            release("1.25", 33),
            release("1.26", 34),
            release("1.27", 35),
            release("1.28", 36),
            release("1.29", 37),
            release("1.30", 38),
        ],
        resource: None,
    },
    Consumer {
        name: "envoy-gateway",
        title: "Envoy Gateway",
        is_mesh: true,
        reads: ModuleSource::LastLayer,
        max_module_length: Some(MAX_LENGTH),
        // 1.1 is the first release with Wasm in EnvoyExtensionPolicy. The Envoy versions are those
        // of the project's compatibility matrix.
        releases: &[
            release("1.1", 31),
            release("1.2", 32),
            release("1.3", 33),
            release("1.4", 34),
            release("1.5", 35),
            release("1.6", 36),
            release("1.7", 37),
            release("1.8", 38),
            release("1.9", 39),
        ],
        resource: None,
    },
    Consumer {
        name: "maistra",
        title: "Maistra",
        is_mesh: true,
        reads: ModuleSource::Manifest,
        max_module_length: None,
        // Later releases have only Istio's WasmPlugin, so what is said of Istio holds for them.
        releases: &[release("2.1", 17), release("2.2", 20)],
        resource: Some("ServiceMeshExtension"),
    },
];

const fn release(version: &'static str, envoy_minor: u32) -> Release {
    Release {
        version,
        envoy: EnvoyVersion::new(1, envoy_minor),
    }
}

/// Some of the consumers.
pub type Consumers = Vec<&'static Consumer>;

/// The consumers that find the module in this way.
pub fn reading(reads: ModuleSource) -> Consumers {
    CONSUMERS
        .iter()
        .filter(|consumer| consumer.reads == reads)
        .collect()
}

/// All consumers.
pub fn all() -> Consumers {
    CONSUMERS.iter().collect()
}

impl Consumer {
    /// The Envoy in its newest known release.
    pub fn newest_envoy(&self) -> EnvoyVersion {
        self.releases
            .last()
            .map_or(EnvoyVersion::OLDEST, |release| release.envoy)
    }

    /// The oldest known release with this Envoy or a later one.
    pub fn since(&self, envoy: EnvoyVersion) -> Option<&'static str> {
        self.releases
            .iter()
            .find(|release| release.envoy >= envoy)
            .map(|release| release.version)
    }

    /// The last release that runs modules in this way. `None` if newer releases do, too.
    pub fn until(&self) -> Option<&'static str> {
        self.resource
            .and(self.releases.last())
            .map(|release| release.version)
    }

    /// Its releases with an older Envoy, as text: `Maistra 2.2 and older`. `None` if it has none.
    pub fn before(&self, envoy: EnvoyVersion) -> Option<String> {
        let older = self
            .releases
            .iter()
            .rev()
            .find(|release| release.envoy < envoy)?;
        Some(if self.since(envoy).is_none() {
            match self.resource {
                Some(resource) => format!("every release of {} with {resource}", self.title),
                None => format!("every release of {}", self.title),
            }
        } else {
            format!("{} {} and older", self.title, older.version)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(name: &str) -> &'static Consumer {
        CONSUMERS
            .iter()
            .find(|consumer| consumer.name == name)
            .expect(name)
    }

    #[test]
    fn releases_and_their_envoys_are_sorted_oldest_first() {
        for consumer in &CONSUMERS {
            for pair in consumer.releases.windows(2) {
                assert!(pair[0].envoy < pair[1].envoy, "{}", pair[1].version);
            }
            let name = consumer.name;
            assert!(
                consumer.releases.iter().all(|release| {
                    release.version.split('.').count() == 2 && release.envoy >= EnvoyVersion::OLDEST
                }),
                "{name}"
            );
        }
    }

    #[test]
    fn oldest_release_has_this_envoy_or_a_later_one() {
        for (minor, expected) in [
            (17, ["1.17", "1.12", "1.1", "2.1"].map(Some)),
            (19, ["1.19", "1.12", "1.1", "2.2"].map(Some)),
            (21, [Some("1.21"), Some("1.13"), Some("1.1"), None]),
            (35, [Some("1.35"), Some("1.27"), Some("1.5"), None]),
            (38, [Some("1.38"), Some("1.30"), Some("1.8"), None]),
            (39, [Some("1.39"), None, Some("1.9"), None]),
            (40, [Some("1.40"), None, None, None]),
        ] {
            let envoy = EnvoyVersion::new(1, minor);
            let since: Vec<_> = CONSUMERS
                .iter()
                .map(|consumer| consumer.since(envoy))
                .collect();
            assert_eq!(since, expected, "{minor}");
        }
    }

    #[test]
    fn message_names_the_releases_with_an_older_envoy() {
        for (name, minor, expected) in [
            ("maistra", 17, None),
            ("maistra", 19, Some("Maistra 2.1 and older")),
            (
                "maistra",
                21,
                Some("every release of Maistra with ServiceMeshExtension"),
            ),
            ("envoy", 35, Some("Envoy 1.34 and older")),
            ("envoy-gateway", 19, None),
        ] {
            let before = consumer(name).before(EnvoyVersion::new(1, minor));
            assert_eq!(before.as_deref(), expected, "{name} {minor}");
        }
    }
}
