//! What is measured: a filter in Envoy's chain, or none.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// A filter that appends headers to every response, in each of the ways that Envoy has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// No filter but the router.
    None,
    /// Envoy's own filter `header_mutation`, which is compiled into it.
    HeaderMutation,
    /// A script.
    Lua,
    /// A Proxy-Wasm module.
    Module(PathBuf),
}

/// A filter under the name that the table has for it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The name.
    pub name: String,
    /// The filter.
    pub filter: Filter,
    is_reference: bool,
}

impl Subject {
    /// Whether an operator has the choice of it, and not only one who looks for what costs what.
    pub fn is_choice(&self) -> bool {
        !self.is_reference
    }

    /// The same as a reference, which shows what a part of the cost is.
    #[must_use]
    pub fn reference(self) -> Self {
        Self {
            is_reference: true,
            ..self
        }
    }

    /// Names a filter.
    pub fn new(name: &str, filter: Filter) -> Self {
        Self {
            name: name.to_owned(),
            filter,
            is_reference: false,
        }
    }
}

/// The headers that are appended to each response, and how a module is told of them.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Name and value of each header.
    pub headers: Vec<(String, String)>,
    /// The configuration of the modules.
    pub configuration: String,
}

impl Workload {
    /// So many headers of the same length. The configuration is a JSON object of them, in which
    /// each name has its value, if no other is given.
    pub fn new(count: usize, configuration: Option<&str>) -> Self {
        let headers: Vec<_> = (1..=count)
            .map(|index| (format!("x-header-{index:03}"), format!("value-{index:03}")))
            .collect();
        let object: Map<String, Value> = headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        Self {
            configuration: configuration
                .map_or_else(|| Value::Object(object).to_string(), str::to_owned),
            headers,
        }
    }
}

impl Filter {
    /// The filter as Envoy's chain has it.
    fn to_json(&self, workload: &Workload) -> Option<Value> {
        let (kind, config) = match self {
            Self::None => return None,
            Self::HeaderMutation => {
                let mutations: Vec<_> = workload
                    .headers
                    .iter()
                    .map(|(key, value)| {
                        json!({"append": {
                            "header": {"key": key, "value": value},
                            "append_action": "APPEND_IF_EXISTS_OR_ADD",
                        }})
                    })
                    .collect();
                (
                    "header_mutation.v3.HeaderMutation",
                    json!({"mutations": {"response_mutations": mutations}}),
                )
            }
            Self::Lua => (
                "lua.v3.Lua",
                json!({"default_source_code": {"inline_string": script(&workload.headers)}}),
            ),
            Self::Module(path) => ("wasm.v3.Wasm", plugin(path, &workload.configuration)),
        };
        let mut config = config;
        if let Some(members) = config.as_object_mut() {
            members.insert(
                "@type".to_owned(),
                json!(format!(
                    "type.googleapis.com/envoy.extensions.filters.http.{kind}"
                )),
            );
        }
        Some(json!({"name": "subject", "typed_config": config}))
    }
}

fn script(headers: &[(String, String)]) -> String {
    let additions: String = headers
        .iter()
        .map(|(name, value)| format!("  headers:add(\"{name}\", \"{value}\")\n"))
        .collect();
    format!(
        "function envoy_on_response(handle)\n  local headers = handle:headers()\n{additions}end\n"
    )
}

fn plugin(module: &Path, configuration: &str) -> Value {
    json!({"config": {
        "name": "extension",
        "root_id": "extension",
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": configuration,
        },
        "vm_config": {
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": module.to_string_lossy()}},
        },
    }})
}

/// Envoy's bootstrap: one listener that answers every request itself, so that nothing but the proxy
/// and the filter is measured.
pub fn bootstrap(filter: &Filter, workload: &Workload) -> Value {
    let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
    let router = json!({"name": "router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    }});
    let filters: Vec<_> = filter
        .to_json(workload)
        .into_iter()
        .chain([router])
        .collect();
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "codec_type": "AUTO",
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{
                "match": {"prefix": "/"},
                "direct_response": {"status": 200, "body": {"inline_string": "measured"}},
            }],
        }]},
        "http_filters": filters,
    });
    // Whatever Envoy does by the clock would be counted with the requests, and more of it on a slow
    // machine: statistics, and watching its own threads.
    let watchdog = json!({"miss_timeout": "600s", "megamiss_timeout": "600s"});
    json!({
        "admin": {"address": address},
        "stats_flush_interval": "299s",
        "watchdogs": {"main_thread_watchdog": watchdog, "worker_watchdog": watchdog},
        "static_resources": {"listeners": [{
            "name": "bench",
            "address": address,
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_told_the_headers_that_the_others_append() {
        let workload = Workload::new(2, None);
        assert_eq!(
            workload.configuration,
            r#"{"x-header-001":"value-001","x-header-002":"value-002"}"#
        );
        assert!(script(&workload.headers).contains(r#"headers:add("x-header-002", "value-002")"#));
    }

    #[test]
    fn a_configuration_of_ones_own_is_handed_over_as_it_is() {
        assert_eq!(Workload::new(1, Some("own")).configuration, "own");
    }

    #[test]
    fn without_a_filter_there_is_the_router_alone() {
        let count = |filter: &Filter| {
            let bootstrap = bootstrap(filter, &Workload::new(1, None));
            bootstrap
                .pointer("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters")
                .and_then(Value::as_array)
                .map(Vec::len)
        };
        assert_eq!(count(&Filter::None), Some(1));
        assert_eq!(count(&Filter::Lua), Some(2));
    }
}
