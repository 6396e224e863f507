//! The servers of the story.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use serde_json::Value;
use sti_cli::prometheus::Prometheus;
use sti_core::metrics::ours;
use sti_core::test_support::postgres::{Binaries, Server, ServerOptions};
use tempfile::TempDir;

use super::api::Api;
use super::processes::{Running, free_port};
use super::scaled;
use super::wait::until;
use super::webhook::Webhook;
use crate::failure::Failure;
use crate::monitoring::tools::finish;

/// Which of the ports are those of the backfills.
pub(super) const PORTS: Range<usize> = 3..6;

/// Everything that runs beside the backfills. Dropped from top to bottom.
pub(super) struct Services {
    running: Vec<Running>,
    pub(super) api: Api,
    pub(super) webhook: Webhook,
    pub(super) prometheus: Prometheus,
    pub(super) ports: Vec<u16>,
    pub(super) binaries: PathBuf,
    pub(super) database_url: String,
    _postgres: Server,
    folder: TempDir,
}

impl Services {
    pub(super) fn start(root: &Path, binaries: PathBuf) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::during("make a temporary folder"))?;
        let found = Binaries::from_environment().map_err(Failure::during("find PostgreSQL"))?;
        let postgres =
            Server::start(&found, &ServerOptions::new()).map_err(Failure::during("start PostgreSQL"))?;
        let database_url = database(&postgres)?;
        let ports = (0..PORTS.end).map(|_| free_port()).collect::<Result<Vec<_>, _>>()?;
        let (api, webhook) = (Api::start()?, Webhook::start()?);
        configure(root, folder.path(), &ports, &api, &webhook)?;
        let url = format!("http://127.0.0.1:{}", ports[0]).parse().map_err(Failure::during("read a URL"))?;
        let running = servers(folder.path(), &ports, &postgres.url("postgres"))?;
        let prometheus = Prometheus::new(url);
        until("Prometheus answers", || Ok(prometheus.query("1").is_ok()))?;
        Ok(Self {
            running,
            api,
            webhook,
            prometheus,
            ports,
            binaries,
            database_url,
            _postgres: postgres,
            folder,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn is_true(&self, query: &str) -> Result<bool, Failure> {
        let samples = self.prometheus.query(query).map_err(|e| Failure::new(e.to_string()))?;
        Ok(!samples.is_empty())
    }

    /// Waits until the rules record what a baseline is made of.
    pub(super) fn measured(&self) -> Result<(), Failure> {
        let p95 = "job:http_request_duration_seconds:p95_rate5m";
        let time = r#"datname:pg_stat_database_active_time_seconds_per_xacts:ratio_rate5m{datname="app"}"#;
        until("API and database have been measured for 3 s", || {
            let measured = |series| self.is_true(&format!("{series} > 0 and {series} offset 3s"));
            Ok(measured(p95)? && measured(time)?)
        })
    }

    /// Freezes the baseline by `sti baseline`, and has it loaded.
    pub(super) fn baseline(&self) -> Result<(), Failure> {
        let mut command = self.sti("baseline");
        finish(command.args(["--over", "3s", "--out"]).arg(self.folder().join("baseline.rules.yml")), &[0])?;
        self.running[0].signal("HUP")?;
        until("the baseline is loaded", || {
            Ok(self.is_true("job:http_request_duration_seconds:p95_baseline")?
                && self.is_true("datname:pg_stat_database_active_time_seconds_per_xacts:baseline")?)
        })
    }

    fn sti(&self, command: &str) -> Command {
        let mut sti = Command::new(self.binaries.join("sti"));
        sti.args([command, "--prometheus", self.prometheus.url().as_str()]).env_remove("DATABASE_URL");
        sti
    }

    /// The exit code of `sti gate`. How long a transaction of this small database takes is noise, so that trigger, and
    /// the alert that may come of it, are left out; the backfill's errors count for an hour.
    pub(super) fn gate(&self) -> Result<i32, Failure> {
        let without = ["database", "alerts", "backfill-errors", "backfill-errors-now"];
        let without = without.iter().flat_map(|trigger| ["--without", trigger]);
        let output = self.sti("gate").args(["--window", "5s"]).args(without).output();
        let output = output.map_err(Failure::during("run sti gate"))?;
        match output.status.code() {
            Some(code @ (0 | 1)) => Ok(code),
            _ => Err(Failure::new(format!("sti gate: {}", String::from_utf8_lossy(&output.stderr)))),
        }
    }

    /// What the gate says of every trigger.
    pub(super) fn gate_report(&self) -> Result<Value, Failure> {
        let output = self.sti("gate").args(["--window", "5s", "--format", "json"]).output();
        let output = output.map_err(Failure::during("run sti gate"))?;
        serde_json::from_slice(&output.stdout).map_err(Failure::during("read the gate's report"))
    }

    /// Whether an alert is firing.
    pub(super) fn is_firing(&self, alert: &str) -> Result<bool, Failure> {
        self.is_true(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}"))
    }

    /// Checks that an alert was pending before it fired.
    pub(super) fn was_pending(&self, alert: &str) -> Result<(), Failure> {
        let pending = format!("last_over_time(ALERTS{{alertname=\"{alert}\",alertstate=\"pending\"}}[2m])");
        if self.is_true(&pending)? {
            return Ok(());
        }
        Err(Failure::new(format!("{alert} fires and was never pending")))
    }

    /// Waits until an alert is neither pending nor firing.
    pub(super) fn is_over(&self, alert: &str) -> Result<(), Failure> {
        until(&format!("{alert} is over"), || Ok(!self.is_true(&format!("ALERTS{{alertname=\"{alert}\"}}"))?))
    }

    /// Our metrics whose type Prometheus knows as another one than the catalogue says.
    pub(super) fn types_that_differ(&self) -> Result<Vec<String>, Failure> {
        let url = format!("{}api/v1/metadata", self.prometheus.url());
        let mut answer =
            ureq::get(&url).call().map_err(Failure::during("ask Prometheus for its metadata"))?;
        let text =
            answer.body_mut().read_to_string().map_err(Failure::during("read Prometheus' metadata"))?;
        let answer: Value =
            serde_json::from_str(&text).map_err(Failure::during("read Prometheus' metadata"))?;
        let known: BTreeMap<&str, &Value> = answer["data"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, entries)| (name.as_str(), &entries[0]["type"]))
            .collect();
        let differs = ours().filter_map(|metric| {
            let found = known.get(metric.name)?.as_str()?;
            let expected = metric.kind.as_str();
            (found != expected)
                .then(|| format!("{}: {expected} in the catalogue, {found} when scraped", metric.name))
        });
        Ok(differs.collect())
    }

    pub(super) fn show_logs(&self) {
        for running in &self.running {
            eprintln!("-- {}\n{}", running.name(), running.said());
        }
    }
}

/// A database with projects, and somebody who works on it all the time.
fn database(postgres: &Server) -> Result<String, Failure> {
    let failed = "make the database";
    let mut admin = PgConnection::establish(&postgres.url("postgres")).map_err(Failure::during(failed))?;
    admin.batch_execute("CREATE DATABASE app").map_err(Failure::during(failed))?;
    let url = postgres.url("app");
    let this = std::env::current_exe().map_err(Failure::during("find this program"))?;
    finish(Command::new(this).args(["sample", "--projects", "2000", "--database-url", &url]), &[0])?;
    let load = url.clone();
    // Ends with the server. A session's statistics are sure to be there when it has ended.
    std::thread::spawn(move || {
        while let Ok(mut session) = PgConnection::establish(&load) {
            let _ = session.batch_execute(&"SELECT pg_sleep(0.005);".repeat(20));
        }
    });
    Ok(url)
}

fn configure(root: &Path, folder: &Path, ports: &[u16], api: &Api, webhook: &Webhook) -> Result<(), Failure> {
    let read = |name: &str| {
        fs::read_to_string(root.join("docs/monitoring").join(name))
            .map_err(Failure::during(format!("read {name}")))
    };
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).map_err(Failure::during(format!("write {name}")))
    };
    write("rules.yml", &scaled::rules(&read("rules.yml")?)?)?;
    write("alertmanager.yml", &scaled::alertmanager(&read("alertmanager.yml")?, webhook.port)?)?;
    let backfills: Vec<String> = ports[PORTS].iter().map(|port| format!("'127.0.0.1:{port}'")).collect();
    write(
        "prometheus.yml",
        &format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: [rules.yml, baseline.rules.yml]\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]}}\n\
             scrape_configs:\n\
             - {{job_name: api, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n\
             - {{job_name: postgres, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n\
             - {{job_name: sti, static_configs: [{{targets: [{}]}}]}}\n",
            ports[1],
            api.port,
            ports[2],
            backfills.join(", ")
        ),
    )
}

/// Prometheus, Alertmanager and postgres_exporter, in this order.
fn servers(folder: &Path, ports: &[u16], postgres: &str) -> Result<Vec<Running>, Failure> {
    let listen = |port: u16| format!("--web.listen-address=127.0.0.1:{port}");
    let mut prometheus = Command::new("prometheus");
    prometheus.args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", &listen(ports[0])]);
    // Also an alert that fires while Alertmanager is being discovered anew, after the baseline is loaded, is told.
    prometheus.arg("--rules.alert.resend-delay=1s");
    let mut alertmanager = Command::new("prometheus-alertmanager");
    alertmanager.args([
        "--config.file=alertmanager.yml",
        "--storage.path=alerts",
        "--cluster.listen-address=",
    ]);
    alertmanager.arg(listen(ports[1]));
    let mut exporter = Command::new("prometheus-postgres-exporter");
    exporter.arg(listen(ports[2])).arg("--disable-settings-metrics");
    exporter.env("DATA_SOURCE_NAME", format!("{postgres}&sslmode=disable"));
    Ok(vec![
        Running::start(folder, "prometheus", &prometheus)?,
        Running::start(folder, "alertmanager", &alertmanager)?,
        Running::start(folder, "postgres-exporter", &exporter)?,
    ])
}
