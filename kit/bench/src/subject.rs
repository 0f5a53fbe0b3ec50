//! What is measured: a filter that appends headers to every response, and how it is configured.

use std::net::SocketAddr;
use std::path::PathBuf;

use proxy_wasm_test::envoy::Configuration;
use proxy_wasm_test::envoy::resources::{loopback, wasm_filter};
use serde_json::{Map, Value, json};

/// The name of Envoy's own filter in the report.
pub const HEADER_MUTATION: &str = "native header_mutation";

/// The name of the Lua script in the report.
pub const LUA: &str = "Lua";

/// The name of the external service in the report.
pub const EXT_PROC: &str = "ext_proc, without the service";

/// The name of the dynamic module in the report.
pub const DYNAMIC_MODULE: &str = "dynamic module";

/// The name of this extension in the report. Its module is that of the image.
pub const THIS_EXTENSION: &str = "this extension";

/// The cluster of the external service.
const EXT_PROC_CLUSTER: &str = "ext_proc";

/// A filter that appends headers to every response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// No filter but the router.
    None,
    /// Envoy's filter `header_mutation`.
    HeaderMutation,
    /// A Lua script.
    Lua,
    /// A separate gRPC service, at this address.
    ExtProc(SocketAddr),
    /// A shared library that Envoy loads, whose file name begins with `lib`.
    DynamicModule(PathBuf),
    /// A Proxy-Wasm module.
    Module(PathBuf),
}

/// A filter and its name in the report.
#[derive(Clone, Debug)]
pub struct Subject {
    pub name: String,
    pub filter: Filter,
}

impl Subject {
    /// Names a filter.
    pub fn new(name: &str, filter: Filter) -> Self {
        Self {
            name: name.to_owned(),
            filter,
        }
    }
}

/// The headers that are appended to each response.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Name and value of each header.
    pub headers: Vec<(String, String)>,
    /// The configuration of the modules.
    pub configuration: String,
    /// The root ID of the plugin.
    pub root_id: String,
}

impl Workload {
    /// `count` headers of the same length. Unless another configuration is given, it is a JSON
    /// object: header name → value.
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
            root_id: String::new(),
        }
    }

    /// The same with a root ID, for modules that require one.
    pub fn with_root_id(self, root_id: &str) -> Self {
        Self {
            root_id: root_id.to_owned(),
            ..self
        }
    }
}

impl Filter {
    /// The cluster that the filter needs.
    pub fn cluster(&self) -> Option<Value> {
        let Self::ExtProc(address) = self else {
            return None;
        };
        Some(json!({
            "name": EXT_PROC_CLUSTER,
            "load_assignment": {"cluster_name": EXT_PROC_CLUSTER, "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": loopback(address.port())}},
            ]}]},
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}},
                },
            },
        }))
    }

    /// The filter as an element of `http_filters`.
    pub fn to_json(&self, workload: &Workload) -> Option<Value> {
        match self {
            Self::None => None,
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
                Some(json!({"name": "header_mutation", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                    "mutations": {"response_mutations": mutations},
                }}))
            }
            Self::Lua => Some(json!({"name": "lua", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": {"inline_string": script(&workload.headers)},
            }})),
            Self::ExtProc(_) => Some(json!({"name": "ext_proc", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
                "grpc_service": {"envoy_grpc": {"cluster_name": EXT_PROC_CLUSTER}, "timeout": "60s"},
                "message_timeout": "60s",
                "processing_mode": {"request_header_mode": "SKIP", "response_header_mode": "SEND"},
            }})),
            Self::DynamicModule(path) => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let lines = workload.headers.iter();
                let lines: String = lines
                    .map(|(name, value)| format!("{name}: {value}\n"))
                    .collect();
                Some(json!({"name": "dynamic_module", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
                    "dynamic_module_config": {"name": name.trim_start_matches("lib")},
                    "filter_name": "append",
                    "filter_config": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": lines,
                    },
                }}))
            }
            Self::Module(path) => {
                let configuration = Configuration::Text(workload.configuration.clone());
                Some(wasm_filter(path, &workload.root_id, &configuration))
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_configuration_names_the_headers_that_the_script_adds() {
        let workload = Workload::new(2, None);
        assert_eq!(
            workload.configuration,
            r#"{"x-header-001":"value-001","x-header-002":"value-002"}"#
        );
        assert!(script(&workload.headers).contains(r#"headers:add("x-header-002", "value-002")"#));
    }

    #[test]
    fn given_configuration_is_passed_unchanged() {
        assert_eq!(Workload::new(1, Some("own")).configuration, "own");
    }
}
