//! The fields in the `spec` of each mesh's resource: Maistra 2.2, Istio 1.31 and Envoy Gateway 1.9.
//! Rules that the API server checks with expressions are not checked here, except which fields
//! exclude each other.

use super::schema::ObjectSchema as Fields;
use super::schema::Schema::{self, Any, Boolean, Enum, Integer, List, Map, Object, Text};

const PORT: Schema = Integer { min: 1, max: 65535 };
const LABELS: Schema = Map(&Text);

/// Maistra's ServiceMeshExtension, of both versions. `config` differs.
pub const SERVICE_MESH_EXTENSION: Schema = Object(
    Fields::new(&[
        ("image", Text),
        ("imagePullPolicy", Text),
        (
            "imagePullSecrets",
            List(&Object(Fields::new(&[("name", Text)]))),
        ),
        (
            "workloadSelector",
            Object(Fields::new(&[("labels", LABELS)]).require(&["labels"])),
        ),
        ("phase", Any),
        ("priority", Any),
        ("config", Any),
    ])
    .require(&["phase"]),
);

const SELECTOR: Schema = Object(Fields::new(&[("matchLabels", LABELS)]));

const TARGET: Schema = Object(
    Fields::new(&[
        ("group", Text),
        ("kind", Text),
        ("name", Text),
        ("namespace", Text),
    ])
    .require(&["kind", "name"]),
);

const MATCH: Schema = List(&Object(Fields::new(&[
    (
        "mode",
        Enum(&["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"]),
    ),
    (
        "ports",
        List(&Object(
            Fields::new(&[("number", PORT)]).require(&["number"]),
        )),
    ),
])));

const FAIL_STRATEGY: Schema = Enum(&["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"]);
const PULL_POLICY: Schema = Enum(&["UNSPECIFIED_POLICY", "IfNotPresent", "Always"]);
const PLUGIN_TYPE: Schema = Enum(&["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"]);

const VM_CONFIG: Schema = Object(Fields::new(&[(
    "env",
    List(&Object(
        Fields::new(&[
            ("name", Text),
            ("value", Text),
            ("valueFrom", Enum(&["INLINE", "HOST"])),
        ])
        .require(&["name"]),
    )),
)]));

/// Istio's WasmPlugin.
pub const WASM_PLUGIN: Schema = Object(
    Fields::new(&[
        ("selector", SELECTOR),
        ("targetRef", TARGET),
        ("targetRefs", List(&TARGET)),
        ("url", Text),
        ("sha256", Text),
        ("imagePullPolicy", PULL_POLICY),
        ("imagePullSecret", Text),
        ("verificationKey", Text),
        ("pluginConfig", Any),
        ("pluginName", Text),
        ("phase", Any),
        ("priority", Any),
        ("failStrategy", FAIL_STRATEGY),
        ("vmConfig", VM_CONFIG),
        ("match", MATCH),
        ("type", PLUGIN_TYPE),
    ])
    .require(&["url"])
    .exclude(&["selector", "targetRef", "targetRefs"]),
);

/// Istio's TrafficExtension.
pub const TRAFFIC_EXTENSION: Schema = Object(
    Fields::new(&[
        ("selector", SELECTOR),
        ("targetRefs", List(&TARGET)),
        ("phase", Any),
        ("priority", Any),
        ("match", MATCH),
        ("lua", Any),
        (
            "wasm",
            Object(
                Fields::new(&[
                    ("url", Text),
                    ("sha256", Text),
                    ("imagePullPolicy", PULL_POLICY),
                    ("imagePullSecret", Text),
                    ("verificationKey", Text),
                    ("pluginConfig", Any),
                    ("pluginName", Text),
                    ("failStrategy", FAIL_STRATEGY),
                    ("vmConfig", VM_CONFIG),
                    ("type", PLUGIN_TYPE),
                ])
                .require(&["url"]),
            ),
        ),
    ])
    .exclude(&["selector", "targetRefs"]),
);

/// Istio's EnvoyFilter. What it matches depends on `applyTo`, and its values are Envoy's.
pub const ENVOY_FILTER: Schema = Object(
    Fields::new(&[
        (
            "workloadSelector",
            Object(Fields::new(&[("labels", LABELS)])),
        ),
        ("targetRefs", List(&TARGET)),
        ("priority", Any),
        (
            "configPatches",
            List(&Object(Fields::new(&[
                ("applyTo", APPLY_TO),
                ("match", Any),
                (
                    "patch",
                    Object(Fields::new(&[
                        ("operation", OPERATION),
                        ("filterClass", FILTER_CLASS),
                        ("value", Any),
                    ])),
                ),
            ]))),
        ),
    ])
    .exclude(&["workloadSelector", "targetRefs"]),
);

const APPLY_TO: Schema = Enum(&[
    "LISTENER",
    "FILTER_CHAIN",
    "NETWORK_FILTER",
    "HTTP_FILTER",
    "ROUTE_CONFIGURATION",
    "VIRTUAL_HOST",
    "HTTP_ROUTE",
    "CLUSTER",
    "EXTENSION_CONFIG",
    "BOOTSTRAP",
    "LISTENER_FILTER",
]);

const OPERATION: Schema = Enum(&[
    "MERGE",
    "ADD",
    "REMOVE",
    "INSERT_BEFORE",
    "INSERT_AFTER",
    "INSERT_FIRST",
    "REPLACE",
    "MERGE_AND_REPLACE_LIST",
]);

const FILTER_CLASS: Schema = Enum(&["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"]);

const REFERENCE: Schema = Object(
    Fields::new(&[
        ("group", Text),
        ("kind", Text),
        ("name", Text),
        ("namespace", Text),
    ])
    .require(&["name"]),
);

const ROUTE_TARGET: Schema = Object(
    Fields::new(&[
        ("group", Text),
        ("kind", Text),
        ("name", Text),
        ("sectionName", Text),
    ])
    .require(&["group", "kind", "name"]),
);

const TLS: Schema =
    Object(Fields::new(&[("caCertificateRef", REFERENCE)]).require(&["caCertificateRef"]));

/// Envoy Gateway's EnvoyExtensionPolicy. Its other kinds of extensions are not compared.
pub const ENVOY_EXTENSION_POLICY: Schema = Object(
    Fields::new(&[
        ("targetRef", ROUTE_TARGET),
        ("targetRefs", List(&ROUTE_TARGET)),
        ("targetSelectors", Any),
        ("mergeType", Text),
        ("extProc", Any),
        ("lua", Any),
        ("dynamicModule", Any),
        ("wasm", List(&EXTENSION)),
    ])
    .exclude(&["targetRef", "targetRefs"]),
);

const EXTENSION: Schema = Object(
    Fields::new(&[
        ("name", Text),
        ("rootID", Text),
        ("config", Any),
        ("failOpen", Boolean),
        ("env", Object(Fields::new(&[("hostKeys", List(&Text))]))),
        (
            "code",
            Object(
                Fields::new(&[
                    ("type", Enum(&["HTTP", "Image"])),
                    ("pullPolicy", Enum(&["IfNotPresent", "Always"])),
                    (
                        "http",
                        Object(
                            Fields::new(&[("url", Text), ("sha256", Text), ("tls", TLS)])
                                .require(&["url"]),
                        ),
                    ),
                    (
                        "image",
                        Object(
                            Fields::new(&[
                                ("url", Text),
                                ("sha256", Text),
                                ("pullSecretRef", REFERENCE),
                                ("tls", TLS),
                            ])
                            .require(&["url"]),
                        ),
                    ),
                ])
                .require(&["type"]),
            ),
        ),
    ])
    .require(&["code"]),
);
