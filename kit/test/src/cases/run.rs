//! Runs a case in a proxy, and compares what is expected with what is observed.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::compare::{Results, Scope};
use super::format::{Call, Case, CasePart, Expect, GrpcCall, Step};
use super::observed::{Observed, ObservedExchange};
use super::session::{Made, ProxySession, Stop};
use super::text::Text;

/// The result of a case in a proxy.
#[derive(Clone, Debug, Default)]
pub struct CaseResult {
    pub results: Results,
    pub observed: Observed,
    /// Why the proxy cannot run the case.
    pub unsupported: Option<&'static str>,
}

/// Runs a case.
pub fn run<S: ProxySession>(case: &Case, session: &mut S) -> CaseResult {
    let mut run = CaseRun {
        result: CaseResult::default(),
        has_expectations: has_expectations(case),
    };
    if let Err(stop) = run.case(case, session) {
        run.stop(stop);
    }
    match session.log() {
        Ok(log) => run.result.observed.log = log,
        Err(stop) => run.stop(stop),
    }
    run.result
}

/// A case without expectations only reports what was observed.
fn has_expectations(case: &Case) -> bool {
    part_expects(&case.part()) || any_step_expects(case.steps())
}

fn part_expects(part: &CasePart) -> bool {
    part.expect.is_some()
        || part.calls.iter().any(|call| call.expect.is_some())
        || part.grpc_calls.iter().any(|call| call.expect.is_some())
        || any_step_expects(part.meanwhile)
}

fn any_step_expects(steps: &[Spanned<Step>]) -> bool {
    steps.iter().any(|step| part_expects(&step.value.part()))
}

struct CaseRun {
    result: CaseResult,
    has_expectations: bool,
}

impl CaseRun {
    fn case<S: ProxySession>(&mut self, case: &Case, session: &mut S) -> Result<(), Stop> {
        let calls = session.services().expect(&case.calls, &case.grpc_calls);
        let rejected = match session.configure(&case.configuration) {
            Ok(()) => None,
            Err(Stop::Rejected(log)) => Some(log),
            Err(stop) => return Err(stop),
        };
        self.result.observed.accepted = rejected.is_none();
        self.result.observed.error.clone_from(&rejected);
        let mut exchange = None;
        if rejected.is_none() {
            exchange = self.exchange(&case.part(), session)?;
            self.steps(case.steps(), "", session)?;
        }
        self.finish(
            case.expect.as_ref(),
            (rejected.as_deref(), exchange.as_ref()),
            (calls, 0),
            session,
        )
    }

    fn steps<S: ProxySession>(
        &mut self,
        steps: &[Spanned<Step>],
        prefix: &str,
        session: &mut S,
    ) -> Result<(), Stop> {
        for (number, step) in (1..).zip(steps) {
            self.step(&step.value, format!("{prefix}step {number}: "), session)?;
        }
        Ok(())
    }

    fn step<S: ProxySession>(
        &mut self,
        step: &Step,
        prefix: String,
        session: &mut S,
    ) -> Result<(), Stop> {
        let outer = std::mem::replace(&mut self.result.results.prefix, prefix);
        let calls = session.services().expect(&step.calls, &step.grpc_calls);
        let log_start = session.log()?.len();
        let mut rejected = None;
        let exchange = self.exchange(&step.part(), session)?;
        if let Some(configuration) = &step.configure {
            match session.configure(configuration) {
                Ok(()) => {}
                Err(Stop::Rejected(log)) => rejected = Some(log),
                Err(stop) => return Err(stop),
            }
        }
        if let Some(time) = step.advance {
            session.advance(time.0)?;
        }
        self.finish(
            step.expect.as_ref(),
            (rejected.as_deref(), exchange.as_ref()),
            (calls, log_start),
            session,
        )?;
        self.result.results.prefix = outer;
        Ok(())
    }

    /// Sends the request, if there is one.
    fn exchange<S: ProxySession>(
        &mut self,
        part: &CasePart,
        session: &mut S,
    ) -> Result<Option<ObservedExchange>, Stop> {
        let Some(request) = part.request else {
            return Ok(None);
        };
        let place = self.result.observed.responses.len();
        self.result.observed.responses.push(None);
        let upstream = part.upstream.cloned().unwrap_or_default();
        let prefix = self.result.results.prefix.clone();
        let mut meanwhile = |session: &mut S| self.steps(part.meanwhile, &prefix, session);
        let observed = session.exchange(request, &upstream, &mut meanwhile)?;
        let total = &mut self.result.observed;
        if let Some(response) = total.responses.get_mut(place) {
            response.clone_from(&observed.response);
        }
        total
            .upstream_requests
            .extend(observed.upstream_request.clone());
        if let Some(fuel) = observed.fuel {
            *total.fuel.get_or_insert_default() += fuel;
        }
        Ok(Some(observed))
    }

    /// Compares what is expected of the case, or of a step, with what was observed.
    fn finish<S: ProxySession>(
        &mut self,
        expect: Option<&Expect>,
        (rejected, exchange): (Option<&str>, Option<&ObservedExchange>),
        (calls, log_start): (usize, usize),
        session: &mut S,
    ) -> Result<(), Stop> {
        session.finish_calls(calls)?;
        if !self.has_expectations {
            let unexpected = session.services().take_unexpected();
            if let Some(call) = unexpected.first() {
                let error =
                    format!("the extension makes a call that the case does not describe: {call}");
                self.result.observed.error.get_or_insert(error);
            }
            return Ok(());
        }
        self.calls(calls, session);
        let expect = expect.cloned().unwrap_or_default();
        let log = session.log()?;
        let names: Vec<_> = expect
            .metrics
            .0
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let metrics = match names.as_slice() {
            [] => BTreeMap::new(),
            names => session.metrics(names)?,
        };
        let all_host_calls = session.host_calls();
        let host_calls = exchange.and_then(|exchange| exchange.host_calls.as_ref());
        self.result.results.compare(
            &expect,
            &Scope {
                rejected,
                exchange,
                log: log.get(log_start..).unwrap_or_default(),
                metrics: &metrics,
                host_calls: host_calls.or(all_host_calls.as_ref()),
            },
        );
        Ok(())
    }

    /// Compares the calls that the extension has made.
    fn calls<S: ProxySession>(&mut self, id: usize, session: &mut S) {
        let services = session.services();
        let (made, missing) = (services.take_made(id), services.take_missing(id));
        let unexpected = services.take_unexpected();
        let results = &mut self.result.results;
        for made in made {
            match made {
                Made::Http(
                    _,
                    Call {
                        cluster, expect, ..
                    },
                    request,
                ) => {
                    if let Some(expect) = &expect {
                        results.request(&format!("calls.{cluster}"), expect, &request);
                    }
                }
                Made::Grpc(
                    _,
                    GrpcCall {
                        cluster, expect, ..
                    },
                    call,
                ) => {
                    if let Some(expect) = &expect {
                        results.grpc_call(&format!("grpc_calls.{cluster}"), expect, &call);
                    }
                }
            }
        }
        for cluster in missing {
            results.fail(
                "calls",
                format!("a call to the cluster {cluster}"),
                "no such call",
            );
        }
        for call in unexpected {
            let expected = "only the calls that the case describes";
            results.fail("calls", expected, format!("another call: {call}"));
        }
    }

    fn stop(&mut self, stop: Stop) {
        let (Stop::Failed(error) | Stop::Rejected(error)) = stop;
        self.result
            .observed
            .error
            .get_or_insert_with(|| error.clone());
        if self.has_expectations {
            self.result.results.fail("the case", "no error", error);
        }
    }
}

impl CaseResult {
    /// The result of a case that the proxy cannot run.
    #[cfg(feature = "envoy")]
    pub fn unsupported(reason: &'static str) -> Self {
        Self {
            unsupported: Some(reason),
            ..Self::default()
        }
    }

    /// The result of a case whose VM does not start.
    pub fn not_started(case: &Case, stop: Stop) -> Self {
        let mut run = CaseRun {
            result: Self::default(),
            has_expectations: has_expectations(case),
        };
        match (&stop, &case.expect) {
            (Stop::Rejected(log), Some(expect)) => {
                run.result.observed.error = Some(log.clone());
                let scope = Scope {
                    rejected: Some(log),
                    exchange: None,
                    log: &[],
                    metrics: &BTreeMap::new(),
                    host_calls: None,
                };
                run.result.results.compare(expect, &scope);
            }
            _ => run.stop(stop),
        }
        run.result
    }

    /// Whether everything that could be compared is as expected.
    pub fn has_passed(&self) -> bool {
        self.results.mismatches.is_empty()
    }
}

/// The name of a case.
pub fn name(case: &Case) -> &str {
    let Text(name) = &case.name;
    name
}
