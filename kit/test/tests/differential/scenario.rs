//! What a scenario consists of: a module, how it is set up, and what happens to it, step by step.

use std::time::Duration;

use crate::checksum::checksum;
use crate::messages::{Reaction, Reply, Request, reaction};
use crate::progress::Progress;
use crate::tcp::{Event, Side};
use crate::wat::Wat;

/// A placeholder in a module for the ID of its scenario: in the authority of HTTP calls and in the
/// names of metrics.
pub const ID: &str = "SCENARIO";

/// The metadata of a gRPC call that contains [`ID`].
pub const CALLER: &str = "x-caller";

/// A module, and what happens to it. Both proxies run it.
#[derive(Clone)]
pub struct Scenario {
    /// Unique, without spaces. It is also the VM ID.
    pub name: String,
    /// In the text format.
    pub module: String,
    /// The plugin's configuration, if it has one.
    pub configuration: Option<String>,
    /// The configuration of another plugin in the same VM.
    pub second_configuration: Option<String>,
    pub vm_configuration: Option<String>,
    /// Envoy's `allow_on_headers_stop_iteration`.
    pub stops_iteration: bool,
    /// Whether the module filters TCP connections, and not HTTP.
    pub is_tcp: bool,
    /// What the upstream does with a request.
    pub upstream: Reaction,
    /// What the services that the module calls do, by the path of the call. Other calls get
    /// [`Reply::hello`].
    pub services: Vec<(String, Reaction)>,
    pub steps: Vec<Step>,
    /// What the embedded proxy has done after each step. A real proxy gets time to do as much.
    pub progress: Vec<Progress>,
    /// The names of the metrics to compare.
    pub metrics: Vec<String>,
    /// Whether the scenario needs an Envoy of its own: Envoy crashes or hangs, or its log lines do not
    /// name the scenario.
    pub is_alone: bool,
    /// Whether Envoy may add fields, which are then compared, too.
    pub is_unfiltered: bool,
    /// How many times Envoy's worker thread may have to run before the next event can be observed.
    pub hops: u32,
}

/// A step of a scenario.
#[derive(Clone)]
pub enum Step {
    /// A client sends a request.
    Request(Request),
    /// The client of the last request disconnects.
    Disconnect,
    /// Something happens to the last TCP connection.
    Tcp(Event),
    /// Time passes until the module has logged a text.
    Wait { time: Duration, text: String },
}

impl Scenario {
    /// A scenario without steps: the plugin starts and is shut down.
    pub fn new(name: impl Into<String>, module: &Wat) -> Self {
        let name = name.into();
        let module = module.text().replace(&hex(ID), &hex(&id(&name)));
        Self {
            name,
            module,
            configuration: Some("configuration".to_owned()),
            second_configuration: None,
            vm_configuration: None,
            stops_iteration: false,
            is_tcp: false,
            upstream: Reaction::Reply(Reply::hello()),
            services: Vec::new(),
            steps: Vec::new(),
            progress: Vec::new(),
            metrics: Vec::new(),
            is_alone: false,
            is_unfiltered: false,
            hops: 1,
        }
    }

    /// A scenario with TCP connections.
    pub fn tcp(name: impl Into<String>, module: &Wat) -> Self {
        Self {
            is_tcp: true,
            ..Self::new(name, module)
        }
    }

    /// Another module, in the text format.
    pub fn text(mut self, module: &str) -> Self {
        module.clone_into(&mut self.module);
        self
    }

    pub fn configuration(mut self, configuration: Option<&str>) -> Self {
        self.configuration = configuration.map(str::to_owned);
        self
    }

    pub fn second_configuration(mut self, configuration: &str) -> Self {
        self.second_configuration = Some(configuration.to_owned());
        self
    }

    pub fn vm_configuration(mut self, configuration: &str) -> Self {
        self.vm_configuration = Some(configuration.to_owned());
        self
    }

    pub fn stops_iteration(mut self) -> Self {
        self.stops_iteration = true;
        self
    }

    pub fn upstream(mut self, reaction: impl Into<Reaction>) -> Self {
        self.upstream = reaction.into();
        self
    }

    pub fn service(mut self, path: &str, reaction: impl Into<Reaction>) -> Self {
        self.services.push((path.to_owned(), reaction.into()));
        self
    }

    pub fn request(mut self, request: Request) -> Self {
        self.steps.push(Step::Request(request));
        self
    }

    pub fn disconnect(mut self) -> Self {
        self.steps.push(Step::Disconnect);
        self
    }

    /// A client connects. What follows happens to this connection.
    pub fn connect(self) -> Self {
        self.event(Event::Connect)
    }

    /// One side of a connection sends bytes.
    pub fn send(self, side: Side, bytes: &str) -> Self {
        self.event(Event::Send(side, bytes.to_owned()))
    }

    /// One side of a connection sends nothing more.
    pub fn end(self, side: Side) -> Self {
        self.event(Event::End(side))
    }

    /// One side resets a connection.
    pub fn reset(self, side: Side) -> Self {
        self.event(Event::Reset(side))
    }

    fn event(mut self, event: Event) -> Self {
        self.steps.push(Step::Tcp(event));
        self
    }

    /// Lets time pass. A real proxy takes as long as it needs to log the text.
    pub fn wait(mut self, milliseconds: u64, text: &str) -> Self {
        self.steps.push(Step::Wait {
            time: Duration::from_millis(milliseconds),
            text: text.to_owned(),
        });
        self
    }

    pub fn metric(mut self, name: &str) -> Self {
        self.metrics.push(name.replace(ID, &id(&self.name)));
        self
    }

    pub fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    pub fn unfiltered(mut self) -> Self {
        self.is_unfiltered = true;
        self
    }

    /// Makes gRPC calls, which pass through Envoy twice.
    pub fn grpc(mut self) -> Self {
        self.hops = 3;
        self
    }

    /// The name of the plugin.
    pub fn plugin_name(&self) -> String {
        format!("plugin-{}", self.name)
    }

    /// The root ID of the plugin.
    pub fn root_id(&self) -> String {
        format!("root-{}", self.name)
    }

    /// What replaces [`ID`] in the module.
    pub fn id(&self) -> String {
        id(&self.name)
    }

    /// What a service does with a call to this path.
    pub fn service_reaction(&self, path: &str) -> Reaction {
        reaction(&self.services, path)
    }
}

/// What replaces [`ID`] in the module of a scenario. It has the same length.
fn id(name: &str) -> String {
    format!("{:08x}", checksum(name.as_bytes()))
}

/// A text as the WebAssembly text format writes data.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("\\{byte:02x}")).collect()
}
