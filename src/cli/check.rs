//! `check`: everything that `serve` would refuse, without touching the store.

use super::arguments::CheckArgs;
use super::{Exit, Failure, Output, refused};
use crate::app::{key_source, token_rules};
use crate::auth;
use crate::settings::{self, Fault, Faults, Origin, Token};

pub(super) fn run(arguments: &CheckArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let mut faults = match settings::load(&arguments.config, std::env::vars_os()) {
        Ok(_) => vec![],
        Err(faults) => faults.0,
    };
    if let Some(token) = settings::load_token(&arguments.config, std::env::vars_os()) {
        faults.extend(check_keys(&token, output)?);
    }
    if !faults.is_empty() {
        return Err(refused(&Faults(faults)));
    }
    output.print(&format!("{}: no faults\n", arguments.config.display()))?;
    Ok(Exit::Done)
}

/// Whether the key set that the settings name holds one usable key; the ones left out are warned of.
fn check_keys(token: &Token, output: &mut Output<'_>) -> Result<Vec<Fault>, Failure> {
    let source = key_source(token);
    match auth::check_source(&token_rules(token), &source) {
        Ok(checked) => {
            for key in &checked.left_out {
                output.print(&format!("warning: token.jwks: {key}\n"))?;
            }
            Ok(vec![])
        }
        Err(error) => Ok(vec![Fault {
            origin: match source {
                auth::Source::File(path) => Origin::File { path, line: None },
                _ => Origin::Variable("token.jwks".to_owned()),
            },
            key: Some("token.jwks".to_owned()),
            reason: error.to_string(),
            mend: "publish at least one public key that can check signatures of token.algorithms".to_owned(),
        }]),
    }
}
