//! Runs scenarios in a real Envoy, one after another.
//!
//! One Envoy with one worker thread has a listener for each scenario of a batch. The upstream, the
//! service and the client run in the thread of the test. Between any two steps, a listener without an
//! extension responds to a request: then the worker has dealt with all that came before.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use proxy_wasm_test::envoy::find_or_fetch;
use proxy_wasm_test::envoy::process::{Launch, Process};
use proxy_wasm_test::envoy::resources::{discovery_response, replace};

use crate::log::{self, Entry, entries};
use crate::observation::{Failure, Observation, Received, Response};
use crate::resources::{self, BARRIER};
use crate::scenario::{CALLER, Reaction, Request, Scenario, Step, reaction};
use crate::server::{Peer, Server};
use crate::wire::{Kind, Pieces, parse};

/// How long an Envoy may take for something.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait before Envoy is asked again.
const POLL: Duration = Duration::from_millis(2);

/// How many times in succession nothing has to happen. Between two times, the kernel may hand over
/// what one socket has sent to another.
const IDLE_ROUNDS: u32 = 4;

/// How often something may happen before a scenario counts as endless.
const MAX_ROUNDS: u32 = 2000;

/// Runs scenarios in one Envoy. If it crashes in one of them, the others run in another.
pub fn run(scenarios: &[&Scenario]) -> Result<Vec<Observation>> {
    let (index, observation) = match try_all(scenarios)? {
        Outcome::Survived(observations) => return Ok(observations),
        Outcome::Crashed(index, observation) => (index, observation),
    };
    let (before, after) = (&scenarios[..index], &scenarios[index + 1..]);
    if scenarios.len() > 1 {
        println!(
            "{} crashes Envoy: it takes less time alone",
            scenarios[index].name
        );
    }
    let mut observations = match before.len() + after.len() {
        0 => Vec::new(),
        _ => run(&[before, after].concat())?,
    };
    observations.insert(index, observation);
    Ok(observations)
}

/// What has become of an Envoy.
enum Outcome {
    Survived(Vec<Observation>),
    /// It has crashed in the scenario with this index.
    Crashed(usize, Observation),
}

fn try_all(scenarios: &[&Scenario]) -> Result<Outcome> {
    let crash = Observation {
        failure: Some(Failure::Crash),
        ..Observation::default()
    };
    let mut envoy = match RealEnvoy::start(scenarios) {
        Err(error) if scenarios.len() == 1 && has_crashed(&format!("{error:?}")) => {
            return Ok(Outcome::Crashed(0, crash));
        }
        result => result?,
    };
    let mut runs = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        match envoy.run(scenario) {
            Ok(run) => runs.push(run),
            Err(_) if has_crashed(&envoy.process.log_from(0)) => {
                let log = entries(&envoy.log()?);
                let mut observation = Observation {
                    has_started: true,
                    ..crash
                };
                envoy.observe_log(&log, &(0..0), scenario, &mut observation);
                return Ok(Outcome::Crashed(index, observation));
            }
            Err(error) => return Err(error.context(format!("{} in Envoy", scenario.name))),
        }
    }
    envoy.shut_plugins_down()?;
    let log = entries(&envoy.log()?);
    let observations = scenarios
        .iter()
        .zip(runs)
        .map(|(scenario, (places, mut observation))| {
            envoy.observe_log(&log, &places, scenario, &mut observation);
            observation
        });
    Ok(Outcome::Survived(observations.collect()))
}

/// Whether Envoy, or V8 in it, has logged that it crashes.
fn has_crashed(log: &str) -> bool {
    log.contains(">>>Caught ") || log.contains("# Fatal error in ")
}

struct RealEnvoy {
    process: Process,
    folder: tempfile::TempDir,
    listeners: BTreeMap<String, SocketAddr>,
    barrier: TcpStream,
    upstream: Server,
    service: Server,
    callers: Callers,
}

/// What the services of each scenario do, by the scenario's ID: a plugin may call one as soon as it
/// starts.
struct Callers(BTreeMap<String, Vec<(String, Reaction)>>);

impl Callers {
    fn react(&self, call: &Received) -> Reaction {
        let services = caller(call).and_then(|id| self.0.get(id));
        let path = call.start.split(' ').nth(1);
        reaction(
            services.map_or(&[], Vec::as_slice),
            path.unwrap_or_default(),
        )
    }
}

/// The ID of the scenario that a call belongs to: its authority or, in a gRPC call, a field.
fn caller(call: &Received) -> Option<&str> {
    let mut fields = call.fields.iter();
    let field = fields.find(|(name, _)| name == CALLER);
    field.map_or_else(|| call.start.split(' ').nth(2), |(_, id)| Some(id))
}

/// Of a gRPC call, the path and the metadata that the module has set.
fn without_frames(mut call: Received) -> Received {
    if call.fields.iter().any(|(name, _)| name == CALLER) {
        call.fields.retain(|(name, _)| name.starts_with("x-"));
        call.body.clear();
        call.is_complete = true;
    }
    call
}

/// The clients of a scenario.
struct Client {
    peer: Peer,
    kind: Kind,
    has_left: bool,
}

impl RealEnvoy {
    fn start(scenarios: &[&Scenario]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (upstream, service) = (Server::start()?, Server::start()?);
        let mut listeners = vec![resources::barrier()];
        for scenario in scenarios {
            let module = folder.path().join(format!("{}.wasm", scenario.name));
            fs::write(&module, ::wat::parse_str(&scenario.module)?)?;
            listeners.push(resources::listener(scenario, &module));
        }
        let file = listeners_file(folder.path());
        fs::write(&file, discovery_response(&listeners).to_string())?;
        let bootstrap = folder.path().join("envoy.json");
        let written = resources::bootstrap(folder.path(), &file, upstream.port()?, service.port()?);
        fs::write(&bootstrap, written.to_string())?;

        let binary = find_or_fetch()?;
        let levels = ["--log-level", "warn", "--component-log-level", "wasm:info"];
        let arguments = levels.iter().chain(&["--log-format", log::FORMAT]);
        let launch = Launch {
            binary: &binary,
            bootstrap: &bootstrap,
            folder: folder.path(),
            workers: 1,
            drain_seconds: 1,
            arguments: arguments.map(|&argument| argument.to_owned()).collect(),
        };
        let process = Process::start(launch.command(), folder.path(), TIMEOUT)?;
        wait_until("start its listeners", || {
            let stat = listener_stats(&process)?;
            let updates = stat("lds.update_success") + stat("lds.update_rejected");
            Ok(updates > 0 && stat("listener_create_success") == stat("listener_added"))
        })
        .with_context(|| format!("Envoy's log:\n{}", process.log_from(0)))?;
        let callers = scenarios.iter();
        let callers = callers.map(|scenario| (scenario.id(), scenario.services.clone()));
        let listeners = process.admin().listener_addresses()?;
        let address = listeners.get(BARRIER).context("Envoy has no listener")?;
        let barrier = TcpStream::connect(address)?;
        barrier.set_nodelay(true)?;
        barrier.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self {
            process,
            folder,
            listeners,
            barrier,
            upstream,
            service,
            callers: Callers(callers.collect()),
        })
    }

    /// Runs a scenario. Returns where its part of the log begins and ends, and what is observed
    /// outside of the log.
    fn run(&mut self, scenario: &Scenario) -> Result<(Range<usize>, Observation)> {
        let start = self.log_length();
        let mut observation = Observation::default();
        if let Some(address) = self.listeners.get(&scenario.name).copied() {
            observation.has_started = true;
            let mut clients = Vec::new();
            self.settle(scenario, &mut clients)?;
            for step in &scenario.steps {
                self.step(scenario, step, address, &mut clients)?;
            }
            observation.responses = clients.iter().map(Client::response).collect();
            observation.upstream = self.upstream.take_requests(|_| true);
            for client in &mut clients {
                client.peer.is_closed = true;
            }
            drop(clients);
            self.settle(scenario, &mut [])?;
            self.upstream.disconnect();
            self.settle(scenario, &mut [])?;
            let id = scenario.id();
            let calls = self.service.take_requests(|call| caller(call) == Some(&id));
            observation.calls = calls.into_iter().map(without_frames).collect();
            if !scenario.metrics.is_empty() {
                let stats = self.process.admin().stats("wasmcustom")?;
                for name in &scenario.metrics {
                    if let Some(value) = stats.get(&format!("wasmcustom.{name}")) {
                        observation.metrics.insert(name.clone(), *value);
                    }
                }
            }
        }
        Ok((start..self.log_length(), observation))
    }

    fn step(
        &mut self,
        scenario: &Scenario,
        step: &Step,
        address: SocketAddr,
        clients: &mut Vec<Client>,
    ) -> Result<()> {
        match step {
            Step::Request(request) => {
                clients.push(Client::connect(address, request)?);
                for piece in Pieces::of_request(request).0 {
                    let mut rest = piece.as_slice();
                    while let Some(client) = clients.last_mut() {
                        let written = client.peer.write(rest);
                        rest = &rest[written..];
                        self.settle(scenario, clients)?;
                        if rest.is_empty() {
                            break;
                        }
                    }
                }
            }
            Step::Leave => {
                if let Some(client) = clients.last_mut() {
                    client.leave();
                }
                self.settle(scenario, clients)?;
            }
            Step::Wait { text, .. } => {
                let deadline = Instant::now() + TIMEOUT;
                while Instant::now() < deadline && !self.has_logged(scenario, text)? {
                    self.settle(scenario, clients)?;
                    thread::sleep(POLL);
                }
                self.settle(scenario, clients)?;
            }
        }
        Ok(())
    }

    /// Lets Envoy and the servers react until nothing happens any more.
    fn settle(&mut self, scenario: &Scenario, clients: &mut [Client]) -> Result<()> {
        let enough = IDLE_ROUNDS * scenario.hops;
        let mut idle_rounds = 0;
        let mut rounds = 0;
        while idle_rounds < enough {
            rounds += 1;
            ensure!(rounds < MAX_ROUNDS, "there is no end");
            self.wait_for_worker()?;
            let mut has_progress = false;
            for client in &mut *clients {
                has_progress |= client.peer.read();
            }
            has_progress |= self.upstream.poll(|_| scenario.upstream.clone())?;
            has_progress |= self.service.poll(|call| self.callers.react(call))?;
            idle_rounds = if has_progress { 0 } else { idle_rounds + 1 };
            if idle_rounds == enough && (self.service.send_piece() || self.upstream.send_piece()) {
                idle_rounds = 0;
            }
        }
        Ok(())
    }

    /// Waits until the worker thread has dealt with what was sent to it before.
    fn wait_for_worker(&mut self) -> Result<()> {
        let request = b"GET / HTTP/1.1\r\nhost: barrier\r\n\r\n";
        self.barrier.write_all(request)?;
        let mut response = Vec::new();
        let mut buffer = [0; 1024];
        while parse(&response, Kind::Response, false)
            .is_none_or(|(response, _)| !response.is_complete)
        {
            match self.barrier.read(&mut buffer)? {
                0 => bail!("Envoy has closed a connection"),
                length => response.extend_from_slice(&buffer[..length]),
            }
        }
        Ok(())
    }

    fn has_logged(&self, scenario: &Scenario, text: &str) -> Result<bool> {
        let log = entries(&self.log()?);
        let mut entries = log.iter().filter(|entry| self.is_worker(entry));
        Ok(entries.any(|entry| {
            let line = entry.line_of(scenario);
            line.is_some_and(|line| line.contains(text))
        }))
    }

    /// Adds what the module has logged in the worker, or anywhere if it did not get that far, until a
    /// callback traps.
    fn observe_log(
        &self,
        log: &[Entry],
        places: &Range<usize>,
        scenario: &Scenario,
        observation: &mut Observation,
    ) {
        let has_started = observation.has_started;
        let mut entries = log
            .iter()
            .filter(|entry| self.is_worker(entry) == has_started);
        // A trap does not say whose it is: it is of the module that has logged the line before, or of
        // the scenario that runs.
        let mut is_own = false;
        let mut last_line = 0;
        for entry in &mut entries {
            if entry.is_line() {
                let line = entry.line_of(scenario);
                is_own = line.is_some();
                last_line = entry.place;
                observation.log.extend(line);
            } else if let Some(callback) = entry.trap()
                && (is_own || places.contains(&entry.place) && !places.contains(&last_line))
            {
                observation.trap = Some(callback);
                return;
            }
        }
    }

    /// Before the worker starts a plugin, the main thread tries it out.
    fn is_worker(&self, entry: &Entry) -> bool {
        entry.thread != self.process.id()
    }

    fn log(&self) -> Result<Vec<u8>> {
        Ok(fs::read(self.folder.path().join("log"))?)
    }

    fn log_length(&self) -> usize {
        usize::try_from(self.process.log_length()).unwrap_or(usize::MAX)
    }

    /// Removes all listeners but one, which shuts their plugins down.
    fn shut_plugins_down(&mut self) -> Result<()> {
        let remaining = discovery_response(&[resources::barrier()]);
        replace(&listeners_file(self.folder.path()), &remaining)?;
        wait_until("remove its listeners", || {
            let stat = listener_stats(&self.process)?;
            let is_removed = stat("total_listeners_active") == resources::PERMANENT_LISTENERS;
            Ok(is_removed && stat("total_listeners_draining") == 0)
        })?;
        self.wait_for_worker()
    }
}

impl Client {
    fn connect(address: SocketAddr, request: &Request) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        Ok(Self {
            peer: Peer::new(stream)?,
            kind: match request.method.as_str() {
                "HEAD" => Kind::ResponseToHead,
                _ => Kind::Response,
            },
            has_left: false,
        })
    }

    fn leave(&mut self) {
        self.has_left = true;
        self.peer.disconnect();
    }

    fn response(&self) -> Response {
        match parse(&self.peer.arrived, self.kind, self.peer.is_closed) {
            Some((mut received, length)) if received.is_complete => {
                received.has_rest = length < self.peer.arrived.len();
                Response::Complete(received)
            }
            _ if self.peer.is_closed && !self.has_left => Response::CutOff,
            _ => Response::Waiting,
        }
    }
}

fn listeners_file(folder: &Path) -> PathBuf {
    folder.join("listeners.json")
}

/// Envoy's counters and gauges of its listeners, by their names.
fn listener_stats(process: &Process) -> Result<impl Fn(&str) -> u64 + use<>> {
    let stats = process.admin().stats("listener_manager")?;
    Ok(move |name: &str| {
        let value = stats.get(&format!("listener_manager.{name}"));
        value.copied().unwrap_or_default()
    })
}

fn wait_until(what: &str, mut is_done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    while !is_done()? {
        if Instant::now() > deadline {
            return Err(anyhow!("Envoy did not {what} within {TIMEOUT:?}"));
        }
        thread::sleep(POLL);
    }
    Ok(())
}
