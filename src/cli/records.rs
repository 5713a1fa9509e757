//! `export`, `import`, `verify`: the commands that read or fill the store.

use super::arguments::{ExportArgs, ImportArgs, VerifyArgs};
use super::{Exit, Failure, Output};

pub(super) fn export(_arguments: &ExportArgs, _output: &mut Output<'_>) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "export is not in this build"))
}

pub(super) fn import(_arguments: &ImportArgs, _output: &mut Output<'_>) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "import is not in this build"))
}

pub(super) fn verify(_arguments: &VerifyArgs, _output: &mut Output<'_>) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "verify is not in this build"))
}
