//! Requests and replies, and what a server does with a request.

/// A field: its name and its value.
pub type Field = (String, String);

/// A request of a client.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub fields: Vec<Field>,
    /// The chunks of the body: each is sent when the proxy has read the one before.
    pub body: Vec<String>,
    pub trailers: Vec<Field>,
    /// Whether the client does not send the end.
    pub is_unfinished: bool,
}

/// The response of a server.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub fields: Vec<Field>,
    /// The chunks of the body: each is sent when the proxy has read the one before.
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

    /// With these chunks as its body.
    pub fn post(body: &[&str]) -> Self {
        let mut request = Self::new("POST", "/");
        request.body = body.iter().map(|&chunk| chunk.to_owned()).collect();
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

    /// The default reply of a server.
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

    pub fn body(mut self, chunk: &str) -> Self {
        self.body.push(chunk.to_owned());
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

fn length(chunks: &[String]) -> String {
    chunks.iter().map(String::len).sum::<usize>().to_string()
}
