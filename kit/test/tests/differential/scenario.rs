//! What a scenario consists of: a module, how it is set up, and what happens to it, step by step.

use std::time::Duration;

use crate::wat::Wat;

/// Stands in the texts of a module for what tells the scenario from all others: in the authority of
/// HTTP calls and in the names of metrics.
pub const ID: &str = "SCENARIO";

/// The metadata of a gRPC call that contains [`ID`].
pub const CALLER: &str = "x-caller";

/// A field: its name and its value.
pub type Field = (String, String);

/// A module, and what happens to it. Both proxies run it.
#[derive(Clone)]
pub struct Scenario {
    /// Unique, without spaces. It is also the VM ID.
    pub name: String,
    /// In the text format.
    pub module: String,
    /// The plugin's configuration, if it has one.
    pub configuration: Option<String>,
    pub vm_configuration: Option<String>,
    /// Envoy's `allow_on_headers_stop_iteration`.
    pub stops_iteration: bool,
    /// What the upstream does with a request.
    pub upstream: Reaction,
    /// What the services that the module calls do, by the path of the call. Other calls get
    /// [`Reply::hello`].
    pub services: Vec<(String, Reaction)>,
    pub steps: Vec<Step>,
    /// The names of the metrics to compare.
    pub metrics: Vec<String>,
    /// Whether Envoy crashes, hangs, or logs what cannot be told from other scenarios, so that it
    /// needs an Envoy of its own.
    pub is_alone: bool,
    /// Whether to compare the fields that Envoy adds, too.
    pub is_unfiltered: bool,
    /// How many turns Envoy's worker may need before the next thing is seen to happen.
    pub hops: u32,
}

/// What happens next.
#[derive(Clone)]
pub enum Step {
    /// A client sends a request.
    Request(Request),
    /// The client of the last request disconnects.
    Leave,
    /// Time passes until the module has logged a text.
    Wait { time: Duration, text: String },
}

/// A request of a client.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub fields: Vec<Field>,
    /// The pieces of the body: each is sent when the proxy has read the one before.
    pub body: Vec<String>,
    pub trailers: Vec<Field>,
    /// Whether the client keeps the end to itself.
    pub is_unfinished: bool,
}

/// The response of a server.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub fields: Vec<Field>,
    /// The pieces of the body: each is sent when the proxy has read the one before.
    pub body: Vec<String>,
    pub trailers: Vec<Field>,
    /// Whether the server disconnects before the end.
    pub is_cut_off: bool,
}

/// What a server does with a request.
#[derive(Clone)]
pub enum Reaction {
    Reply(Reply),
    /// It disconnects.
    Reset,
    /// It never responds.
    Silence,
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
            vm_configuration: None,
            stops_iteration: false,
            upstream: Reaction::Reply(Reply::hello()),
            services: Vec::new(),
            steps: Vec::new(),
            metrics: Vec::new(),
            is_alone: false,
            is_unfiltered: false,
            hops: 1,
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

    pub fn leave(mut self) -> Self {
        self.steps.push(Step::Leave);
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

    /// What stands for [`ID`] in the module.
    pub fn id(&self) -> String {
        id(&self.name)
    }

    /// What a service does with a call to this path.
    pub fn service_reaction(&self, path: &str) -> Reaction {
        reaction(&self.services, path)
    }
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            fields: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
            is_unfinished: false,
        }
    }

    pub fn get() -> Self {
        Self::new("GET", "/")
    }

    /// With these pieces as its body.
    pub fn post(body: &[&str]) -> Self {
        let mut request = Self::new("POST", "/");
        request.body = body.iter().map(|&piece| piece.to_owned()).collect();
        request
    }

    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn unfinished(mut self) -> Self {
        self.is_unfinished = true;
        self
    }

    /// The fields that a client sends after the request line and `host`. With the last one, Envoy does
    /// not add one of its own.
    pub fn all_fields(&self) -> Vec<Field> {
        let mut fields = self.fields.clone();
        if !self.trailers.is_empty() || self.is_unfinished {
            fields.push(field("transfer-encoding", "chunked"));
        } else if !self.body.is_empty() {
            fields.push(field("content-length", &length(&self.body)));
        }
        fields.push(field("x-forwarded-proto", "http"));
        fields
    }

    pub fn is_chunked(&self) -> bool {
        is_chunked(&self.all_fields())
    }

    pub fn has_body(&self) -> bool {
        !self.body.is_empty() || self.is_chunked()
    }
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self {
            status,
            fields: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
            is_cut_off: false,
        }
    }

    /// The reply of a server about which nothing else is said.
    pub fn hello() -> Self {
        Self::new(200)
            .field("content-type", "text/plain")
            .field("x-up", "1")
            .body("hello")
    }

    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, piece: &str) -> Self {
        self.body.push(piece.to_owned());
        self
    }

    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn cut_off(mut self) -> Self {
        self.is_cut_off = true;
        self
    }

    /// The reply of a gRPC service: messages, and a status as trailers.
    pub fn grpc(messages: &[&str], status: u32, message: &str) -> Self {
        let reply = Self::new(200)
            .field("content-type", "application/grpc")
            .trailer("grpc-status", &status.to_string());
        let reply = match message {
            "" => reply,
            message => reply.trailer("grpc-message", message),
        };
        let messages = messages.iter();
        messages.fold(reply, |reply, message| reply.body(&grpc_frame(message)))
    }

    /// The fields that the server sends.
    pub fn all_fields(&self) -> Vec<Field> {
        let mut fields = self.fields.clone();
        if !self.trailers.is_empty() || self.is_cut_off {
            fields.push(field("transfer-encoding", "chunked"));
        } else if self.status != 204 && self.status != 304 {
            fields.push(field("content-length", &length(&self.body)));
        }
        fields
    }

    pub fn is_chunked(&self) -> bool {
        is_chunked(&self.all_fields())
    }

    pub fn has_body(&self) -> bool {
        !self.body.is_empty() || self.is_chunked()
    }
}

impl From<Reply> for Reaction {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// What one of these services does with a call to this path.
pub fn reaction(services: &[(String, Reaction)], path: &str) -> Reaction {
    let found = services.iter().find(|(other, _)| other == path);
    found.map_or_else(|| Reply::hello().into(), |(_, reaction)| reaction.clone())
}

/// What stands for [`ID`] in the module of a scenario: as many letters (FNV-1a).
pub fn id(name: &str) -> String {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{hash:08x}")
}

/// A text as the text format writes data.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("\\{byte:02x}")).collect()
}

pub fn field(name: &str, value: &str) -> Field {
    (name.to_owned(), value.to_owned())
}

/// A message of gRPC as a body contains it: whether it is compressed, its length, and itself.
pub fn grpc_frame(message: &str) -> String {
    let length = u32::try_from(message.len())
        .unwrap_or_default()
        .to_be_bytes();
    format!(
        "\0{}{message}",
        length.map(char::from).iter().collect::<String>()
    )
}

fn is_chunked(fields: &[Field]) -> bool {
    fields.iter().any(|(name, _)| name == "transfer-encoding")
}

fn length(pieces: &[String]) -> String {
    pieces.iter().map(String::len).sum::<usize>().to_string()
}
