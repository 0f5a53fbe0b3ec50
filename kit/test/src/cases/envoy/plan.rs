//! What a case requires of Envoy, and whether Envoy can run it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_saphyr::Spanned;

use crate::cases::format::{Call, Case, CasePart, FailureKind, GrpcCall, Step};

/// The cluster of the requests.
pub const UPSTREAM: &str = "upstream";

/// The longest time that a case may wait in Envoy, which uses the real time.
const MAX_ADVANCE: Duration = Duration::from_secs(60);

/// What a case requires.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The clusters, and whether something listens there.
    pub clusters: BTreeMap<String, bool>,
    /// The clusters of gRPC services.
    pub grpc_clusters: BTreeMap<String, bool>,
    /// Whether the case compares metrics, which other cases in the same Envoy would change.
    pub needs_own_process: bool,
}

impl Plan {
    /// The requirements of a case. The error says why Envoy cannot run it.
    pub fn of(case: &Case) -> Result<Self, &'static str> {
        if !case.properties.0.is_empty() {
            return Err("Envoy sets the properties itself");
        }
        let mut plan = Self::default();
        plan.add(&case.part())?;
        plan.add_steps(case.steps())?;
        plan.clusters.entry(UPSTREAM.to_owned()).or_insert(true);
        for cluster in &case.options.missing_clusters {
            plan.clusters.remove(cluster);
            plan.grpc_clusters.remove(cluster);
        }
        Ok(plan)
    }

    fn add_steps(&mut self, steps: &[Spanned<Step>]) -> Result<(), &'static str> {
        for Spanned { value: step, .. } in steps {
            if step.advance.is_some_and(|time| time.0 > MAX_ADVANCE) {
                return Err("in Envoy, it would take more than a minute");
            }
            self.add(&step.part())?;
        }
        Ok(())
    }

    fn add(&mut self, part: &CasePart) -> Result<(), &'static str> {
        if let Some(request) = part.request {
            let mut names = request.headers.0.iter().map(|(name, _)| name);
            if names.any(|name| name.starts_with(':') && name != ":authority") {
                return Err("an HTTP/1.1 client sends no pseudo-headers");
            }
            let failure = part.upstream.and_then(|upstream| upstream.failure);
            let is_reachable = failure != Some(FailureKind::Unreachable);
            add_cluster(&mut self.clusters, UPSTREAM, is_reachable)?;
        }
        for Call {
            cluster,
            response,
            expect,
        } in part.calls
        {
            if cluster == UPSTREAM {
                return Err(
                    "in Envoy, the cluster \"upstream\" is the upstream of the requests; call another \
                     cluster",
                );
            }
            let is_reachable = response.failure != Some(FailureKind::Unreachable);
            if !is_reachable && expect.is_some() {
                return Err("Envoy does not show a call to a service that cannot be reached");
            }
            add_cluster(&mut self.clusters, cluster, is_reachable)?;
        }
        for GrpcCall { cluster, .. } in part.grpc_calls {
            add_cluster(&mut self.grpc_clusters, cluster, true)?;
        }
        let mentions_metrics = part
            .expect
            .is_some_and(|expect| !expect.metrics.0.is_empty());
        self.needs_own_process |= mentions_metrics;
        self.add_steps(part.meanwhile)
    }
}

fn add_cluster(
    clusters: &mut BTreeMap<String, bool>,
    name: &str,
    is_reachable: bool,
) -> Result<(), &'static str> {
    match clusters.insert(name.to_owned(), is_reachable) {
        Some(other) if other != is_reachable => {
            Err("in Envoy, a service cannot be reachable for only a part of the case")
        }
        _ => Ok(()),
    }
}
