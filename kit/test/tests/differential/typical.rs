//! What typical extensions do.

use crate::scenario::{Reaction, Reply, Request, Scenario};
use crate::module::Module;
use crate::wat::Wat;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("typical.nothing", &tracer()).request(Request::get()),
        Scenario::new("typical.post", &tracer()).request(Request::post(&["one", "two"])),
        Scenario::new("typical.trailers", &tracer())
            .upstream(Reply::hello().body("more").trailer("a", "b"))
            .request(Request::post(&["one", "two"]).trailer("c", "d")),
        Scenario::new("typical.leave", &tracer()).upstream(Reaction::Silence).request(Request::get()).leave(),
        Scenario::new("typical.trap", &Module::new().on("proxy_on_request_trailers", "unreachable").wat())
            .request(Request::post(&["one", "two"]).trailer("c", "d")),
        Scenario::new("typical.reset", &tracer()).upstream(Reaction::Reset).request(Request::get()),
        Scenario::new("typical.cut", &tracer()).upstream(Reply::hello().cut_off()).request(Request::get()),
        Scenario::new("typical.reject", &Wat::new().on("proxy_on_configure", "(call $say @\"no\") (return #0)")).request(Request::get()),
        Scenario::new("typical.head", &tracer()).request(Request::new("HEAD", "/x")),
    ]
}

/// Logs every callback.
fn tracer() -> Wat {
    Module::new().wat()
}
