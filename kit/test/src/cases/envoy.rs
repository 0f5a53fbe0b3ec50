//! Cases in a real Envoy: one after another, each with a listener, clusters and a VM of its own.

use std::path::{Path, PathBuf};

mod barrier;
mod grpc;
mod log;
mod plan;
mod process;
mod resources;
mod server;
mod session;

use crate::cases::format::Case;
use crate::cases::run::{self, CaseResult};
use crate::error::Error;

use plan::Plan;
use process::EnvoyProcess;
use session::EnvoySession;

/// Runs cases in Envoys.
pub struct EnvoyRunner<'a> {
    binary: PathBuf,
    module: &'a Path,
    /// The Envoy that has run the cases before, unless a case has needed one of its own.
    envoy: Option<EnvoyProcess>,
}

impl<'a> EnvoyRunner<'a> {
    /// Prepares to run cases with this Envoy and this module.
    pub fn new(binary: PathBuf, module: &'a Path) -> Self {
        Self {
            binary,
            module,
            envoy: None,
        }
    }

    /// Runs a case.
    pub fn run(&mut self, case: &Case) -> Result<CaseResult, Error> {
        let plan = match Plan::of(case) {
            Ok(plan) => plan,
            Err(reason) => return Ok(CaseResult::unsupported(reason)),
        };
        let earlier = self.envoy.take().filter(|_| !plan.needs_own_process);
        let mut envoy = match earlier {
            Some(envoy) => envoy,
            None => EnvoyProcess::start(&self.binary)?,
        };
        let mut session = EnvoySession::start(&mut envoy, self.module, case, &plan)?;
        let result = run::run(case, &mut session);
        drop(session);
        if !plan.needs_own_process && !envoy.has_ended() {
            self.envoy = Some(envoy);
        }
        Ok(result)
    }
}
