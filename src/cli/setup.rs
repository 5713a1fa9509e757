//! What most commands begin with: the configuration, and logging.

use log::LevelFilter;

use super::arguments::ConfigArgs;
use super::outcome::Failure;
use crate::server::process;
use crate::settings::{self, Settings};
use crate::telemetry::logging;

/// Loads the configuration and this process's environment; all errors in one failure.
pub(super) fn load_settings(arguments: &ConfigArgs) -> Result<Settings, Failure> {
    Ok(settings::load(&arguments.config, std::env::vars_os())?)
}

/// Logs from this level, unless `RUST_LOG` sets another.
pub(super) fn start_logging(settings: &Settings, level: LevelFilter) {
    process::prepare();
    logging::init(settings.log_format);
    if std::env::var_os("RUST_LOG").is_none() {
        log::set_max_level(level);
    }
}
