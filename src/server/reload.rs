//! SIGHUP: access table, key file and audit file are read or opened again, all or nothing (INTERFACE: "Listeners").

use std::path::PathBuf;
use std::sync::Arc;

use actix_web::web;

use crate::api::ApiState;
use crate::settings::access;

/// Reloads what may change without a restart.
#[derive(Clone)]
pub struct Reload {
    api: web::Data<ApiState>,
    access_file: PathBuf,
}

/// Every reason why nothing was reloaded, a line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ReloadError(Vec<String>);

impl Reload {
    pub(super) fn new(api: web::Data<ApiState>, access_file: PathBuf) -> Self {
        Self { api, access_file }
    }

    /// Reloads everything, or changes nothing.
    pub fn run(&self) -> Result<(), ReloadError> {
        let mut errors = Vec::new();
        let access_table = access::read_table(&self.access_file).map_err(|found| {
            errors.extend(found.iter().map(ToString::to_string));
        });
        let audit = self.api.audit.reopen().map_err(|error| errors.push(format!("audit.file: {error}")));
        let authenticator = &self.api.authenticator;
        let keys = authenticator
            .prepare_reload()
            .map_err(|error| errors.push(format!("token.jwks: {}", error.with_help())));
        let (Ok(access_table), Ok(audit), Ok(keys)) = (access_table, audit, keys) else {
            authenticator.abandon_reload();
            return Err(ReloadError(errors));
        };
        self.api.access_table.store(Arc::new(access_table));
        authenticator.commit_reload(keys);
        authenticator.forget_verified();
        if let Some(audit) = audit {
            self.api.audit.switch_to(audit);
        }
        Ok(())
    }
}
