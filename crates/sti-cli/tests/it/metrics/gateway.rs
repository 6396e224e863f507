//! What stands in a Pushgateway's place: keeps every request.

use std::sync::{Arc, Mutex};

type Requests = Arc<Mutex<Vec<(String, String)>>>;

/// A server that answers every request with the same status and keeps it.
pub(super) struct Gateway {
    url: String,
    requests: Requests,
}

impl Gateway {
    /// One that is well.
    pub(super) fn start() -> Self {
        Self::answering(202)
    }

    pub(super) fn answering(status: u16) -> Self {
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.server_addr());
        let requests = Requests::default();
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for mut request in server.incoming_requests() {
                let mut body = String::new();
                request.as_reader().read_to_string(&mut body).unwrap();
                kept.lock().unwrap().push((format!("{} {}", request.method(), request.url()), body));
                let _ = request.respond(tiny_http::Response::empty(status));
            }
        });
        Self { url, requests }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The last request: method and path, and what it brought.
    pub(super) fn last(&self) -> (String, String) {
        self.requests.lock().unwrap().last().cloned().unwrap()
    }

    /// What was last brought to a method and path.
    pub(super) fn last_at(&self, path: &str) -> String {
        let requests = self.requests.lock().unwrap();
        let found = requests.iter().rev().find(|(at, _)| at == path);
        found.unwrap_or_else(|| panic!("nothing was pushed to {path}")).1.clone()
    }
}
