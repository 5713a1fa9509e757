//! Every key of the configuration, declared once: name, type, range and default.
//!
//! The readers take range and default from here, and the environment's names follow from the paths. What a key means is
//! said in `config/virksomhedslogin.toml`; a test holds that file against this table.

/// A key of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    /// Section and name, with dots: `token.claims.scope`.
    pub path: &'static str,
    pub kind: Kind,
    pub default: Default,
}

/// The type of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    TextOrList,
    List,
    /// A whole number in this range, both ends included.
    Number {
        min: i64,
        max: i64,
    },
    Boolean,
    OneOf(&'static [&'static str]),
    /// A table from text to text.
    Table,
}

/// The value of a key that is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Default {
    Mandatory,
    /// None: the key is only needed in combination with others.
    Nothing,
    /// This text, read as if the key's variable had it.
    Is(&'static str),
    /// The number of processor cores.
    Cores,
}

/// The prefix of our variables. `VIRKSOMHEDSLOGIN_CONFIG` does not (one underscore), nor do the
/// variables that Kubernetes sets for a service of this name.
pub(crate) const PREFIX: &str = "VIRKSOMHEDSLOGIN__";

impl Key {
    /// The name of the environment variable that overrides this key.
    pub(crate) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.to_uppercase().replace('.', "__"))
    }

    /// Whether the key's list may be empty, as it is by default.
    pub(super) fn may_be_empty(&self) -> bool {
        self.default == Default::Is("")
    }

    pub(crate) fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }

    pub(crate) fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }
}

macro_rules! keys {
    ($($name:ident = $path:literal, $kind:expr, $default:expr;)*) => {
        $(pub(crate) const $name: Key = Key { path: $path, kind: $kind, default: $default };)*
        /// Every key, in the order of the reference.
        pub(crate) const ALL: &[Key] = &[$($name),*];
    };
}

const fn number(min: i64, max: i64) -> Kind {
    Kind::Number { min, max }
}

keys! {
    LISTEN = "server.listen", Kind::Text, Default::Is("127.0.0.1:8080");
    MANAGEMENT = "server.management", Kind::Text, Default::Is("127.0.0.1:9090");
    TRUSTED_PROXIES = "server.trusted_proxies", Kind::List, Default::Is("");
    PUBLIC_URL = "server.public_url", Kind::Text, Default::Nothing;
    WORKERS = "server.workers", number(1, 512), Default::Cores;
    SHUTDOWN_TIMEOUT = "server.shutdown_timeout_seconds", number(1, 3600), Default::Is("10");
    DOCUMENTATION = "server.documentation", Kind::Boolean, Default::Is("true");
    CONNECTIONS = "limits.connections", number(16, 65_536), Default::Is("4096");
    REQUEST_TIMEOUT = "limits.request_timeout_seconds", number(1, 300), Default::Is("10");
    WRITE_TIMEOUT = "limits.write_timeout_seconds", number(1, 3600), Default::Is("60");
    IDLE_TIMEOUT = "limits.idle_timeout_seconds", number(1, 3600), Default::Is("75");
    REQUESTS_PER_SECOND = "limits.requests_per_second", number(0, 100_000), Default::Is("0");
    BURST = "limits.burst", number(0, 100_000), Default::Is("0");
    REFUSED_PER_SECOND = "limits.refused_per_second", number(0, 100_000), Default::Is("50");
    STORE_KIND = "store.kind", Kind::OneOf(&["embedded", "postgres"]), Default::Is("embedded");
    STORE_PATH = "store.path", Kind::Text, Default::Nothing;
    STORE_CREATE = "store.create", Kind::Boolean, Default::Is("true");
    STORE_URL = "store.url", Kind::Text, Default::Nothing;
    STORE_URL_FILE = "store.url_file", Kind::Text, Default::Nothing;
    STORE_PASSWORD_FILE = "store.password_file", Kind::Text, Default::Nothing;
    STORE_TLS_CA_FILE = "store.tls_ca_file", Kind::Text, Default::Nothing;
    STORE_TLS_CERT_FILE = "store.tls_cert_file", Kind::Text, Default::Nothing;
    STORE_TLS_KEY_FILE = "store.tls_key_file", Kind::Text, Default::Nothing;
    DEADLINE = "store.deadline_seconds", number(1, 60), Default::Is("5");
    CREATE_SCHEMA = "store.create_schema", Kind::Boolean, Default::Is("true");
    STORE_CONNECTIONS = "store.connections", number(6, 200), Default::Is("10");
    PREPARED_STATEMENTS = "store.prepared_statements", Kind::Boolean, Default::Is("false");
    ISSUER = "token.issuer", Kind::Text, Default::Mandatory;
    AUDIENCE = "token.audience", Kind::TextOrList, Default::Mandatory;
    JWKS = "token.jwks", Kind::Text, Default::Mandatory;
    CA_FILE = "token.ca_file", Kind::Text, Default::Nothing;
    TOKEN_ALGORITHMS = "token.algorithms", Kind::List, Default::Is("RS256,PS256,ES256");
    LEEWAY = "token.leeway_seconds", number(0, 60), Default::Is("30");
    TOKEN_TYPES = "token.types", Kind::List, Default::Is("at+jwt,JWT,");
    MAX_LIFETIME = "token.max_lifetime_seconds", number(0, 315_360_000), Default::Is("86400");
    CERTIFICATE_BOUND = "token.certificate_bound", Kind::OneOf(&["when_bound", "required", "off"]), Default::Is("when_bound");
    CERTIFICATE_HEADER = "token.certificate_header", Kind::Text, Default::Is("Client-Cert");
    JWKS_REFRESH = "token.jwks_refresh_seconds", number(10, 3600), Default::Is("300");
    JWKS_MAX_STALE = "token.jwks_max_stale_seconds", number(10, 2_592_000), Default::Is("86400");
    CLAIM_ORGANISATION_TYPE = "token.claims.organisation_type", Kind::Text, Default::Is("organisationType");
    CLAIM_ORGANISATION_CODE = "token.claims.organisation_code", Kind::Text, Default::Is("organisationCode");
    CLAIM_ACCESS = "token.claims.access", Kind::Text, Default::Is("adgang");
    CLAIM_SCOPE = "token.claims.scope", Kind::Text, Default::Is("scope");
    CLAIM_ACTING_CVR = "token.claims.acting_cvr", Kind::Text, Default::Is("cvr");
    CLAIM_CLIENT_ID = "token.claims.client_id", Kind::TextOrList, Default::Is("client_id,azp,appid");
    ORGANISATION_TYPES = "token.organisation_types", Kind::Table, Default::Nothing;
    ACCESS_FILE = "access.file", Kind::Text, Default::Mandatory;
    AUDIT_FILE = "audit.file", Kind::Text, Default::Is("-");
    LOG_FORMAT = "log.format", Kind::OneOf(&["text", "json"]), Default::Is("text");
}

/// The key at this path.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    ALL.iter().find(|key| key.path == path)
}

/// Whether some key lies within this section.
pub(crate) fn is_section(path: &str) -> bool {
    ALL.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}
