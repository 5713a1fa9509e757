//! SIGHUP: matrix, key file and audit file are read or opened anew, all or nothing (docs/INTERFACE.md, "Signals").

use std::path::PathBuf;
use std::sync::Arc;

use actix_web::web;

use crate::api::ApiState;
use crate::settings::access;

/// Reads anew what may change without a restart.
#[derive(Clone)]
pub struct Reload {
    api: web::Data<ApiState>,
    access_file: PathBuf,
}

impl Reload {
    pub(super) fn new(api: web::Data<ApiState>, access_file: PathBuf) -> Self {
        Self { api, access_file }
    }

    /// Reads everything and uses it, or changes nothing and tells every reason why not.
    ///
    /// # Errors
    /// All faults found, one a line.
    pub fn run(&self) -> Result<(), String> {
        let mut faults = Vec::new();
        let access_table = access::read_matrix(&self.access_file).map_err(|found| {
            faults.extend(found.iter().map(ToString::to_string));
        });
        let audit = self.api.audit.reopen().map_err(|error| faults.push(format!("audit.file: {error}")));
        let authenticator = &self.api.authenticator;
        let keys = authenticator
            .prepare_reload()
            .map_err(|error| faults.push(format!("token.jwks: {}", error.with_help())));
        let (Ok(access_table), Ok(audit), Ok(keys)) = (access_table, audit, keys) else {
            authenticator.refuse_reload();
            return Err(faults.join("\n"));
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
