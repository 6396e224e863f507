#[derive(Debug, clap::Args)]
pub(crate) struct Options {}
pub(crate) fn run(_options: &Options) -> crate::failure::Outcome {
    Err(crate::failure::Failure::new("x"))
}
