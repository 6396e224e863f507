//! Where Alertmanager tells of alerts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tiny_http::{Response, Server};

use crate::failure::Failure;

type Heard = Arc<Mutex<BTreeSet<(String, String)>>>;

/// A webhook that keeps which alerts it heard of, and in which state.
pub(super) struct Webhook {
    pub(super) port: u16,
    heard: Heard,
}

impl Webhook {
    pub(super) fn start() -> Result<Self, Failure> {
        let server = Server::http("127.0.0.1:0").map_err(Failure::during("start the webhook"))?;
        let port = server.server_addr().to_ip().map_or(0, |address| address.port());
        let heard = Heard::default();
        let kept = Arc::clone(&heard);
        std::thread::spawn(move || {
            for mut request in server.incoming_requests() {
                let message: Value = serde_json::from_reader(request.as_reader()).unwrap_or_default();
                for alert in message["alerts"].as_array().into_iter().flatten() {
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    let word = (text(&alert["labels"]["alertname"]), text(&alert["status"]));
                    kept.lock().unwrap_or_else(PoisonError::into_inner).insert(word);
                }
                let _ = request.respond(Response::empty(200));
            }
        });
        Ok(Self { port, heard })
    }

    pub(super) fn heard(&self, alert: &str, state: &str) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.contains(&(alert.to_owned(), state.to_owned()))
    }
}
