//! What every command of every binary takes.

use crate::format::Format;
use crate::logs::LogArgs;
use crate::target::DatabaseArgs;
use crate::telemetry::TelemetryArgs;

/// What every command takes.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// Which database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How the report is written to standard output. Everything else goes to standard error.
    #[arg(long, global = true, default_value = "text")]
    pub format: Format,
    /// Where its metrics go.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// Where its log goes.
    #[command(flatten)]
    pub logs: LogArgs,
}
