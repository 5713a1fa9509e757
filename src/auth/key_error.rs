//! Why there is no usable set of keys: the errors of reading, fetching and checking one, each with its help.
//!
//! They hold nothing secret, and what came from elsewhere is escaped.

/// Why there is no usable set of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: {cause}")]
    Unreadable { path: String, cause: std::io::Error },
    #[error("the key set is larger than 1 MiB")]
    TooLarge,
    #[error("the key set is not JSON: {0}")]
    NotJson(String),
    #[error("the key set is not one JSON object with one array named keys")]
    NotASet,
    /// Every key was skipped, for these reasons, or there was none.
    #[error("the key set has no usable key{}", .0.iter().map(|line| format!("; {line}")).collect::<String>())]
    NoUsableKey(Vec<String>),
    /// A fetch brought no set. In an outage the issuer gave no answer, so a later attempt may succeed with nothing changed here.
    #[error("{reason}")]
    Fetch { reason: String, help: &'static str, outage: bool },
    #[error("no thread for the keys: {0}")]
    NoThread(std::io::Error),
}

impl KeyError {
    /// What an operator can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "name a file that the service's user may read",
            Self::TooLarge => "publish only the keys that sign now",
            Self::NotJson(_) | Self::NotASet => {
                "publish a JSON Web Key Set, {\"keys\": [ … ]}; neither PEM nor a single JWK is one"
            }
            Self::NoUsableKey(_) => {
                "publish at least one public key that can check signatures of token.algorithms"
            }
            Self::Fetch { help, .. } => help,
            Self::NoThread(_) => "raise TasksMax= (ulimit -u)",
        }
    }

    /// The error with its help, as one line.
    pub fn with_help(&self) -> String {
        format!("{self}; {}", self.help())
    }

    /// Whether the issuer gave no answer, so that a later attempt may succeed with nothing changed here.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Fetch { outage: true, .. })
    }
}
