//! What stands in Prometheus' place: answers by a part of the query.

use std::sync::{Arc, Condvar, Mutex};

/// A part of the query, the labels as JSON, the value.
type Answers = Vec<(&'static str, &'static str, &'static str)>;

#[derive(Default)]
struct State {
    answers: Mutex<Answers>,
    asked: Mutex<usize>,
    changed: Condvar,
}

/// A server of `/api/v1/query`.
pub(super) struct Prometheus {
    url: String,
    state: Arc<State>,
}

impl Prometheus {
    /// One that gives these answers, and none to other queries.
    pub(super) fn start(answers: Answers) -> Self {
        Self::serve(answers, None)
    }

    /// One that says the same to everything.
    pub(super) fn start_with(body: &'static str) -> Self {
        Self::serve(Vec::new(), Some(body))
    }

    fn serve(answers: Answers, always: Option<&'static str>) -> Self {
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.server_addr());
        let state = Arc::new(State { answers: Mutex::new(answers), ..State::default() });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for mut request in server.incoming_requests() {
                assert_eq!(request.url(), "/api/v1/query");
                let mut form = String::new();
                request.as_reader().read_to_string(&mut form).unwrap();
                let (_, query) = url::form_urlencoded::parse(form.as_bytes()).next().unwrap();
                let body =
                    always.map_or_else(|| answer(&shared.answers.lock().unwrap(), &query), str::to_owned);
                let _ = request.respond(tiny_http::Response::from_string(body));
                *shared.asked.lock().unwrap() += 1;
                shared.changed.notify_all();
            }
        });
        Self { url, state }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Other answers from now on.
    pub(super) fn answer(&self, answers: Answers) {
        *self.state.answers.lock().unwrap() = answers;
    }

    /// Waits until so many queries have been answered.
    pub(super) fn wait_for(&self, queries: usize) {
        let asked = self.state.asked.lock().unwrap();
        drop(self.state.changed.wait_while(asked, |asked| *asked < queries).unwrap());
    }
}

fn answer(answers: &Answers, query: &str) -> String {
    let of =
        |(_, labels, value): &(&str, &str, &str)| format!(r#"{{"metric":{labels},"value":[1,"{value}"]}}"#);
    let series: Vec<String> = answers.iter().filter(|(part, ..)| query.contains(part)).map(of).collect();
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, series.join(","))
}
