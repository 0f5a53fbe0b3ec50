//! The fields in the `spec` of each mesh's resource: Maistra 2.2, Istio 1.31 and Envoy Gateway 1.9. Rules
//! that the API server checks with expressions are not checked here, except which fields exclude each other.

use super::schema::ObjectSchema as Fields;
use super::schema::Schema::{self, Any, Boolean, Integer, List, Map, ObjectSchema, Text, Word};

const PORT: Schema = Integer { min: 1, max: 65535 };
const LABELS: Schema = Map(&Text);

/// Maistra's ServiceMeshExtension, of both versions. `config` differs.
pub const SERVICE_MESH_EXTENSION: Schema = ObjectSchema(
    Fields::new(&[
        ("image", Text),
        ("imagePullPolicy", Text),
        (
            "imagePullSecrets",
            List(&ObjectSchema(Fields::new(&[("name", Text)]))),
        ),
        (
            "workloadSelector",
            ObjectSchema(Fields::new(&[("labels", LABELS)]).require(&["labels"])),
        ),
        ("phase", Any),
        ("priority", Any),
        ("config", Any),
    ])
    .require(&["phase"]),
);

const SELECTOR: Schema = ObjectSchema(Fields::new(&[("matchLabels", LABELS)]));

const TARGET: Schema = ObjectSchema(
    Fields::new(&[
        ("group", Text),
        ("kind", Text),
        ("name", Text),
        ("namespace", Text),
    ])
    .require(&["kind", "name"]),
);

const MATCH: Schema = List(&ObjectSchema(Fields::new(&[
    (
        "mode",
        Word(&["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"]),
    ),
    (
        "ports",
        List(&ObjectSchema(
            Fields::new(&[("number", PORT)]).require(&["number"]),
        )),
    ),
])));

const FAIL_STRATEGY: Schema = Word(&["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"]);
const PULL_POLICY: Schema = Word(&["UNSPECIFIED_POLICY", "IfNotPresent", "Always"]);
const PLUGIN_TYPE: Schema = Word(&["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"]);

const VM_CONFIG: Schema = ObjectSchema(Fields::new(&[(
    "env",
    List(&ObjectSchema(
        Fields::new(&[
            ("name", Text),
            ("value", Text),
            ("valueFrom", Word(&["INLINE", "HOST"])),
        ])
        .require(&["name"]),
    )),
)]));

/// Istio's WasmPlugin.
pub const WASM_PLUGIN: Schema = ObjectSchema(
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
pub const TRAFFIC_EXTENSION: Schema = ObjectSchema(
    Fields::new(&[
        ("selector", SELECTOR),
        ("targetRefs", List(&TARGET)),
        ("phase", Any),
        ("priority", Any),
        ("match", MATCH),
        ("lua", Any),
        (
            "wasm",
            ObjectSchema(
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
pub const ENVOY_FILTER: Schema = ObjectSchema(
    Fields::new(&[
        (
            "workloadSelector",
            ObjectSchema(Fields::new(&[("labels", LABELS)])),
        ),
        ("targetRefs", List(&TARGET)),
        ("priority", Any),
        (
            "configPatches",
            List(&ObjectSchema(Fields::new(&[
                ("applyTo", APPLY_TO),
                ("match", Any),
                (
                    "patch",
                    ObjectSchema(Fields::new(&[
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

const APPLY_TO: Schema = Word(&[
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

const OPERATION: Schema = Word(&[
    "MERGE",
    "ADD",
    "REMOVE",
    "INSERT_BEFORE",
    "INSERT_AFTER",
    "INSERT_FIRST",
    "REPLACE",
    "MERGE_AND_REPLACE_LIST",
]);

const FILTER_CLASS: Schema = Word(&["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"]);

const REFERENCE: Schema = ObjectSchema(
    Fields::new(&[
        ("group", Text),
        ("kind", Text),
        ("name", Text),
        ("namespace", Text),
    ])
    .require(&["name"]),
);

const ROUTE_TARGET: Schema = ObjectSchema(
    Fields::new(&[
        ("group", Text),
        ("kind", Text),
        ("name", Text),
        ("sectionName", Text),
    ])
    .require(&["group", "kind", "name"]),
);

const TLS: Schema =
    ObjectSchema(Fields::new(&[("caCertificateRef", REFERENCE)]).require(&["caCertificateRef"]));

/// Envoy Gateway's EnvoyExtensionPolicy. Its other kinds of extensions are not compared.
pub const ENVOY_EXTENSION_POLICY: Schema = ObjectSchema(
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

const EXTENSION: Schema = ObjectSchema(
    Fields::new(&[
        ("name", Text),
        ("rootID", Text),
        ("config", Any),
        ("failOpen", Boolean),
        (
            "env",
            ObjectSchema(Fields::new(&[("hostKeys", List(&Text))])),
        ),
        (
            "code",
            ObjectSchema(
                Fields::new(&[
                    ("type", Word(&["HTTP", "Image"])),
                    ("pullPolicy", Word(&["IfNotPresent", "Always"])),
                    (
                        "http",
                        ObjectSchema(
                            Fields::new(&[("url", Text), ("sha256", Text), ("tls", TLS)])
                                .require(&["url"]),
                        ),
                    ),
                    (
                        "image",
                        ObjectSchema(
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
