//! An Envoy with a listener for each scenario of a batch.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use proxy_wasm_test::envoy::find_or_fetch;
use proxy_wasm_test::envoy::process::{Launch, Process};
use proxy_wasm_test::envoy::resources::{discovery_response, replace};

use crate::observation::Observation;
use crate::progress::Progress;
use crate::scenario::{Scenario, Step};

use super::client::Client;
use super::log::{self, Entry, entries};
use super::resources::{self, BARRIER, Ports};
use super::server::Server;
use super::services::{self, Services};
use super::tcp::Connections;
use super::wire::{Kind, Pieces, parse};

/// How long an Envoy may take to start, to log a text, or to update its listeners.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait before Envoy is polled again.
const POLL: Duration = Duration::from_millis(2);

/// How many rounds in succession must be idle. Between two rounds, the kernel may deliver what one
/// socket has sent to another.
const IDLE_ROUNDS: u32 = 4;

/// How long a client waits for a response if the embedded proxy sends none.
const QUIET_TIME: Duration = Duration::from_millis(30);

/// How long it waits if the embedded proxy sends one.
const MAX_QUIET_TIME: Duration = Duration::from_secs(10);

/// How many rounds a step may take before the scenario counts as endless.
const MAX_ROUNDS: u32 = 2000;

pub struct RealEnvoy {
    process: Process,
    directory: tempfile::TempDir,
    listeners: BTreeMap<String, SocketAddr>,
    barrier: TcpStream,
    upstream: Server,
    service: Server,
    connections: Connections,
    services: Services,
}

impl RealEnvoy {
    pub fn start(scenarios: &[&Scenario]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let (upstream, service) = (Server::start()?, Server::start()?);
        let connections = Connections::start()?;
        let mut listeners = vec![resources::barrier()];
        for scenario in scenarios {
            let module = directory.path().join(format!("{}.wasm", scenario.name));
            fs::write(&module, ::wat::parse_str(&scenario.module)?)?;
            listeners.extend(resources::listeners(scenario, &module));
        }
        let file = listeners_file(directory.path());
        fs::write(&file, discovery_response(&listeners).to_string())?;
        let bootstrap = directory.path().join("envoy.json");
        let ports = Ports {
            upstream: upstream.port()?,
            service: service.port()?,
            tcp: connections.port()?,
        };
        let written = resources::bootstrap(directory.path(), &file, &ports);
        fs::write(&bootstrap, written.to_string())?;

        let binary = find_or_fetch()?;
        let levels = ["--log-level", "warn", "--component-log-level", "wasm:info"];
        let arguments = levels.iter().chain(&["--log-format", log::FORMAT]);
        let launch = Launch {
            binary: &binary,
            bootstrap: &bootstrap,
            directory: directory.path(),
            workers: 1,
            drain_seconds: 1,
            arguments: arguments.map(|&argument| argument.to_owned()).collect(),
        };
        let process = Process::start(launch.command(), directory.path(), TIMEOUT)?;
        wait_until("start its listeners", || {
            let stat = listener_stats(&process)?;
            let updates = stat("lds.update_success") + stat("lds.update_rejected");
            Ok(updates > 0 && stat("listener_create_success") == stat("listener_added"))
        })
        .with_context(|| format!("Envoy's log:\n{}", process.log_from(0)))?;
        let listeners = process.admin().listener_addresses()?;
        let address = listeners.get(BARRIER).context("Envoy has no listener")?;
        let barrier = TcpStream::connect(address)?;
        barrier.set_nodelay(true)?;
        barrier.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self {
            process,
            directory,
            listeners,
            barrier,
            upstream,
            service,
            connections,
            services: Services::new(scenarios),
        })
    }

    /// Whether it, or V8 in it, has logged that it crashes.
    pub fn has_crashed(&self) -> bool {
        has_crashed(&self.process.log_from(0))
    }

    /// Runs a scenario. Returns where its part of the log begins, and what is observed outside of the
    /// log.
    pub fn run(&mut self, scenario: &Scenario) -> Result<(usize, Observation)> {
        let start = self.log_length();
        let mut observation = Observation::default();
        if let Some(address) = self.listeners.get(&scenario.name).copied() {
            observation.has_started = true;
            let mut clients = Vec::new();
            self.wait_until_idle(scenario, &mut clients)?;
            let mut progress = scenario.progress.iter().copied();
            for step in &scenario.steps {
                self.step(scenario, step, address, &mut clients)?;
                let expected = progress.next().unwrap_or_default();
                self.wait_for(expected, scenario, &mut clients)?;
            }
            observation.responses = clients.iter().map(Client::response).collect();
            observation.upstream = self.upstream.take_requests(|_| true);
            (observation.tcp_clients, observation.tcp_upstreams) = self.connections.received();
            for client in &mut clients {
                client.peer.is_closed = true;
            }
            drop(clients);
            self.connections.disconnect_clients();
            self.wait_until_idle(scenario, &mut [])?;
            self.connections.disconnect_upstream();
            self.disconnect_upstream(scenario)?;
            let id = scenario.id();
            observation.calls = services::take_calls(&mut self.service, &id);
            if !scenario.metrics.is_empty() {
                let stats = self.process.admin().stats("wasmcustom")?;
                for name in &scenario.metrics {
                    if let Some(value) = stats.get(&format!("wasmcustom.{name}")) {
                        observation.metrics.insert(name.clone(), *value);
                    }
                }
            }
        }
        Ok((start, observation))
    }

    /// Closes the connections to the upstream, so that what one scenario leaves there does not disturb
    /// another. Envoy closes its side when it has removed a connection from its pool: before that, it
    /// could send the next scenario's request there.
    fn disconnect_upstream(&mut self, scenario: &Scenario) -> Result<()> {
        self.upstream.disconnect();
        let deadline = Instant::now() + TIMEOUT;
        loop {
            self.wait_until_idle(scenario, &mut [])?;
            if !self.upstream.is_connected() {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "Envoy does not close a connection that the upstream has ended"
            );
        }
        self.upstream.clear_requests();
        Ok(())
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
                        self.wait_until_idle(scenario, clients)?;
                        if rest.is_empty() {
                            break;
                        }
                    }
                }
            }
            Step::Disconnect => {
                if let Some(client) = clients.last_mut() {
                    client.disconnect();
                }
            }
            Step::Tcp(event) => self.connections.apply(event, address)?,
            Step::Wait { text, .. } => {
                let deadline = Instant::now() + TIMEOUT;
                while Instant::now() < deadline && !self.has_logged(scenario, text)? {
                    self.wait_until_idle(scenario, clients)?;
                    thread::sleep(POLL);
                }
            }
        }
        self.wait_until_idle(scenario, clients)
    }

    /// Waits until Envoy has done what the embedded proxy did. If a client still waits, the system may
    /// only be slow.
    fn wait_for(
        &mut self,
        expected: Progress,
        scenario: &Scenario,
        clients: &mut [Client],
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            let responses: Vec<_> = clients.iter().map(Client::response).collect();
            let (tcp_clients, tcp_upstreams) = self.connections.received();
            let streams = tcp_clients.iter().chain(&tcp_upstreams);
            let quiet_time = if !Progress::new(&responses, streams).has_reached(expected) {
                MAX_QUIET_TIME
            } else if clients.iter().any(Client::is_waiting) {
                QUIET_TIME
            } else {
                return Ok(());
            };
            if start.elapsed() > quiet_time {
                return Ok(());
            }
            self.wait_until_idle(scenario, clients)?;
        }
    }

    /// Lets Envoy and the servers react until nothing more happens.
    fn wait_until_idle(&mut self, scenario: &Scenario, clients: &mut [Client]) -> Result<()> {
        let enough = IDLE_ROUNDS * scenario.hops;
        let mut idle_rounds = 0;
        let mut rounds = 0;
        while idle_rounds < enough {
            rounds += 1;
            ensure!(rounds < MAX_ROUNDS, "the scenario does not become idle");
            self.wait_for_worker()?;
            let mut has_progress = false;
            for client in &mut *clients {
                has_progress |= client.peer.read();
            }
            has_progress |= self.connections.poll()?;
            has_progress |= self.upstream.poll(|_| scenario.upstream.clone())?;
            has_progress |= self.service.poll(|call| self.services.react(call))?;
            idle_rounds = if has_progress { 0 } else { idle_rounds + 1 };
            if idle_rounds == enough && (self.service.send_piece() || self.upstream.send_piece()) {
                idle_rounds = 0;
            }
        }
        Ok(())
    }

    /// Waits until the worker thread has processed what was sent to it before.
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

    /// Adds what the module has logged, until a callback traps: in the worker thread or, if the plugin
    /// has not started, in the main thread. `starts` is where each scenario's part of the log begins,
    /// and `own` is the index of this scenario.
    pub fn observe_log(
        &self,
        log: &[Entry],
        starts: &[usize],
        own: usize,
        scenario: &Scenario,
        observation: &mut Observation,
    ) {
        let has_started = observation.has_started;
        let part = |place: usize| starts.partition_point(|start| *start <= place);
        // Envoy does not log whose trap it is: that of the module that has logged the line before, or of
        // the scenario that runs.
        let mut last_line = None;
        for entry in log
            .iter()
            .filter(|entry| self.is_worker(entry) == has_started)
        {
            if entry.is_line() {
                let line = entry.line_of(scenario);
                last_line = Some((part(entry.place), line.is_some()));
                observation.log.extend(line);
            } else if let Some(callback) = entry.trap() {
                let is_own = match last_line {
                    Some((last, is_own)) if last == part(entry.place) => is_own,
                    _ => part(entry.place) == own + 1,
                };
                if is_own {
                    observation.trap = Some(callback);
                    return;
                }
            }
        }
    }

    /// Whether a worker thread has logged it. The main thread starts each plugin before the workers do.
    fn is_worker(&self, entry: &Entry) -> bool {
        entry.thread != self.process.id()
    }

    pub fn log(&self) -> Result<Vec<u8>> {
        Ok(fs::read(self.directory.path().join("log"))?)
    }

    pub fn log_length(&self) -> usize {
        usize::try_from(self.process.log_length()).unwrap_or(usize::MAX)
    }

    /// Removes all listeners but one, which shuts their plugins down.
    pub fn shut_plugins_down(&mut self) -> Result<()> {
        let remaining = discovery_response(&[resources::barrier()]);
        replace(&listeners_file(self.directory.path()), &remaining)?;
        wait_until("remove its listeners", || {
            let stat = listener_stats(&self.process)?;
            let is_removed = stat("total_listeners_active") == resources::PERMANENT_LISTENERS;
            Ok(is_removed && stat("total_listeners_draining") == 0)
        })?;
        self.wait_for_worker()
    }
}

/// Whether Envoy, or V8 in it, has logged that it crashes.
pub fn has_crashed(log: &str) -> bool {
    log.contains(">>>Caught ") || log.contains("# Fatal error in ")
}

fn listeners_file(directory: &Path) -> PathBuf {
    directory.join("listeners.json")
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
