//! The arguments about metrics, the same for every command of the three binaries.

use std::net::SocketAddr;
use std::path::PathBuf;

use url::Url;

use super::push::Gateway;
use crate::answer::Failure;

/// Named on each argument: a heading for all of them would go on over the arguments behind them.
const METRICS: &str = "Metrics";

/// Where the metrics go. Without any of these there are none.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TelemetryArgs {
    /// Serve the metrics of this process at http://ADDRESS/metrics while it runs [without ADDRESS: 127.0.0.1:9464].
    #[arg(long, help_heading = METRICS, global = true, value_name = "ADDRESS", num_args = 0..=1, require_equals = true,
          default_missing_value = "127.0.0.1:9464")]
    pub metrics_listen: Option<SocketAddr>,
    /// Let --metrics-listen take an address that other machines reach: whoever reaches it may read the metrics.
    #[arg(long, help_heading = METRICS, global = true)]
    pub metrics_public: bool,
    /// At the end, go on serving until one scrape has seen it, at most this long: twice the scrape interval.
    #[arg(long, help_heading = METRICS, global = true, value_name = "SECONDS", default_value_t = 30)]
    pub metrics_linger: u64,
    /// Push the metrics to this Pushgateway, at the start, every 5 seconds and at the end. A gateway that does not
    /// answer is a warning and nothing else.
    #[arg(long, help_heading = METRICS, global = true, value_name = "URL", value_parser = gateway_url)]
    pub push_gateway: Option<Url>,
    /// The `instance` to push as: each process that works on one run needs one of its own.
    #[arg(long, help_heading = METRICS, global = true, value_name = "NAME")]
    pub push_instance: Option<String>,
    /// Keep the metrics in a file for node_exporter's textfile collector.
    #[arg(long, help_heading = METRICS, global = true, value_name = "FILE")]
    pub metrics_textfile: Option<PathBuf>,
}

impl TelemetryArgs {
    /// Whether metrics go anywhere.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.metrics_listen.is_some() || self.push_gateway.is_some() || self.metrics_textfile.is_some()
    }

    // clap checks `requires` before it hands global arguments down, so what belongs together is checked here.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if let Some(address) = self.metrics_listen
            && !address.ip().is_loopback()
            && !self.metrics_public
        {
            return Err(Failure::failed(format_args!(
                "--metrics-listen={address} can be reached from other machines: add --metrics-public if it should"
            )));
        }
        if self.metrics_public && self.metrics_listen.is_none() {
            return Err(Failure::failed("--metrics-public needs --metrics-listen"));
        }
        if self.push_instance.is_some() && self.push_gateway.is_none() {
            return Err(Failure::failed("--push-instance needs --push-gateway"));
        }
        Ok(())
    }

    pub(super) fn gateway(&self, command: &str) -> Option<Gateway> {
        self.push_gateway.as_ref().map(|url| Gateway::new(url, command, self.push_instance.as_deref()))
    }
}

fn gateway_url(text: &str) -> Result<Url, String> {
    crate::http::base_url(text)
}
