//! What happens in a proxy, step by step.

use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(feature = "envoy")]
use super::format::FailureKind;
use super::format::{Call, GrpcCall, Reply, Request};
use super::json::CaseConfiguration;
use super::observed::{ObservedExchange, ObservedGrpcCall, ObservedMetrics, ObservedRequest};
use crate::records::LogLine;

/// Why a case cannot continue.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The extension rejects the configuration, and has logged this.
    Rejected(String),
    /// A trap, or another error. The case ends.
    Failed(String),
}

/// A proxy with an extension, while a case runs.
pub trait ProxySession {
    /// Configures the extension, or configures it again. A new configuration applies to new requests.
    fn configure(&mut self, configuration: &CaseConfiguration) -> Result<(), Stop>;

    /// Sends a request. `meanwhile` is called before the upstream responds.
    fn exchange(
        &mut self,
        request: &Request,
        upstream: &Reply,
        meanwhile: &mut dyn FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<ObservedExchange, Stop>;

    /// Lets time pass.
    fn advance(&mut self, duration: Duration) -> Result<(), Stop>;

    /// The services that the extension calls.
    fn services(&mut self) -> &mut Services;

    /// Waits for the calls with this identifier that the extension has not made yet, and responds
    /// to them.
    fn finish_calls(&mut self, id: usize) -> Result<(), Stop>;

    /// The log lines of the extension since the beginning.
    fn log(&mut self) -> Result<Vec<LogLine>, Stop>;

    /// The metrics of these names.
    fn metrics(&mut self, names: &[&str]) -> Result<ObservedMetrics, Stop>;

    /// The host calls since the beginning. `None` if the proxy does not count them.
    fn host_calls(&mut self) -> Option<BTreeMap<&'static str, u64>>;
}

/// The services that the extension calls: which calls are expected, and which have been made.
#[derive(Debug, Default)]
pub struct Services {
    next: usize,
    http: Vec<(usize, Call)>,
    grpc: Vec<(usize, GrpcCall)>,
    made: Vec<Made>,
    unexpected: Vec<String>,
}

/// A call that the extension has made.
#[derive(Clone, Debug)]
pub enum Made {
    Http(usize, Call, ObservedRequest),
    Grpc(usize, GrpcCall, ObservedGrpcCall),
}

impl Services {
    /// Adds expected calls. Returns a new identifier for all of them.
    pub fn expect(&mut self, calls: &[Call], grpc_calls: &[GrpcCall]) -> usize {
        let id = self.next;
        self.next += 1;
        self.http
            .extend(calls.iter().map(|call| (id, call.clone())));
        self.grpc
            .extend(grpc_calls.iter().map(|call| (id, call.clone())));
        id
    }

    /// Records a call to a cluster. Returns the expected call that it matches: the first one to this
    /// cluster that has not been made. `None` if the case does not describe the call.
    pub fn make(&mut self, cluster: &str, request: ObservedRequest) -> Option<Call> {
        let Some(place) = self
            .http
            .iter()
            .position(|(_, call)| call.cluster == cluster)
        else {
            let (method, path) = (&request.method, &request.path);
            self.unexpected
                .push(format!("{method} {path} to the cluster {cluster}"));
            return None;
        };
        let (id, call) = self.http.remove(place);
        self.made.push(Made::Http(id, call.clone(), request));
        Some(call)
    }

    /// As [`Services::make`], for a gRPC call.
    pub fn make_grpc(&mut self, cluster: &str, made: ObservedGrpcCall) -> Option<GrpcCall> {
        let Some(place) = self
            .grpc
            .iter()
            .position(|(_, call)| call.cluster == cluster)
        else {
            let (service, method) = (&made.service, &made.method);
            self.unexpected
                .push(format!("gRPC {service}/{method} to the cluster {cluster}"));
            return None;
        };
        let (id, call) = self.grpc.remove(place);
        self.made.push(Made::Grpc(id, call.clone(), made));
        Some(call)
    }

    /// Whether all calls with this identifier have been made.
    #[cfg(feature = "envoy")]
    pub fn is_complete(&self, id: usize) -> bool {
        let is_of = |other: &usize| *other == id;
        let mut waiting = self.http.iter().map(|(other, _)| other);
        let mut grpc = self.grpc.iter().map(|(other, _)| other);
        !waiting.any(is_of) && !grpc.any(is_of)
    }

    /// Takes the calls with this identifier that have been made.
    pub fn take_made(&mut self, id: usize) -> Vec<Made> {
        let is_of = |made: &mut Made| match made {
            Made::Http(other, ..) | Made::Grpc(other, ..) => *other == id,
        };
        self.made.extract_if(.., is_of).collect()
    }

    /// Takes the calls that the case does not describe.
    pub fn take_unexpected(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unexpected)
    }

    /// Removes calls to services that cannot be reached: a real proxy does not show them.
    #[cfg(feature = "envoy")]
    pub fn remove_unreachable(&mut self) {
        let is_reachable = |call: &Call| call.response.failure != Some(FailureKind::Unreachable);
        self.http.retain(|(_, call)| is_reachable(call));
    }

    /// Takes the clusters of the calls with this identifier that have not been made.
    pub fn take_missing(&mut self, id: usize) -> Vec<String> {
        let http = self.http.extract_if(.., |(other, _)| *other == id);
        let grpc = self.grpc.extract_if(.., |(other, _)| *other == id);
        http.map(|(_, call)| call.cluster)
            .chain(grpc.map(|(_, call)| call.cluster))
            .collect()
    }
}
