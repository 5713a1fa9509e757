//! Every key of the configuration, declared once: name, type, range, default and meaning.
//!
//! The readers take range and default from here, the environment's names follow from the paths, and a test
//! holds `config/virksomhedslogin.toml` against this table.

/// A key of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    /// Section and name, with dots: `token.claims.scope`.
    pub path: &'static str,
    /// What kind of value it takes.
    pub kind: Kind,
    /// What holds when it is not given.
    pub default: Default,
    /// What it is for, in one line.
    pub meaning: &'static str,
}

/// What kind of value a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string.
    Text,
    /// A path, relative to the configuration file's directory unless absolute.
    Path,
    /// A string or a list of strings.
    TextOrList,
    /// A list of strings.
    List,
    /// A whole number in this range, both ends included.
    Number {
        /// The smallest value allowed.
        min: u64,
        /// The greatest value allowed.
        max: u64,
    },
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A table from text to text.
    Table,
}

/// What holds when a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Default {
    /// The start stops.
    Mandatory,
    /// Nothing: the key is only needed in combination with others.
    Nothing,
    /// This text.
    Text(&'static str),
    /// This number.
    Number(u64),
    /// This truth.
    Boolean(bool),
    /// This list.
    List(&'static [&'static str]),
    /// The number of processor cores.
    Cores,
    /// A table without entries.
    EmptyTable,
}

/// Every algorithm that may be allowed. HMAC and `none` are not among them, and never will be.
pub(crate) const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// What every variable of ours begins with. `VIRKSOMHEDSLOGIN_CONFIG` does not (one underscore), nor do the
/// variables that Kubernetes sets for a service of this name.
pub(crate) const PREFIX: &str = "VIRKSOMHEDSLOGIN__";

impl Key {
    /// The name of the environment variable that overrides this key.
    pub(crate) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.to_uppercase().replace('.', "__"))
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }

    /// All of the path but its last part.
    pub(crate) fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }
}

macro_rules! keys {
    ($($name:ident = $path:literal, $kind:expr, $default:expr, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub(crate) const $name: Key = Key { path: $path, kind: $kind, default: $default, meaning: $meaning };
        )*
        /// Every key, in the order of the reference.
        pub(crate) const ALL: &[Key] = &[$($name),*];
    };
}

const fn number(min: u64, max: u64) -> Kind {
    Kind::Number { min, max }
}

keys! {
    LISTEN = "server.listen", Kind::Text, Default::Text("127.0.0.1:8080"),
        "Where the API answers: an IP address with its port, or unix:PATH.";
    MANAGEMENT = "server.management", Kind::Text, Default::Text("127.0.0.1:9090"),
        "Where health, metrics and export answer: an IP address with its port, unix:PATH, or off.";
    WORKERS = "server.workers", number(1, 512), Default::Cores,
        "How many threads answer requests; default: the number of processor cores.";
    SHUTDOWN_TIMEOUT = "server.shutdown_timeout_seconds", number(1, 3600), Default::Number(10),
        "How long requests in flight may take after SIGTERM or SIGINT.";
    DOCUMENTATION = "server.documentation", Kind::Boolean, Default::Boolean(true),
        "Whether the documentation page, /openapi.json and /swagger/ are served on listen.";
    CONNECTIONS = "limits.connections", number(16, 65_536), Default::Number(4096),
        "How many connections are served at once; one more is answered 503 and closed.";
    REQUEST_TIMEOUT = "limits.request_timeout_seconds", number(1, 300), Default::Number(10),
        "How long a request's head may take to arrive, and after it its body.";
    WRITE_TIMEOUT = "limits.write_timeout_seconds", number(1, 3600), Default::Number(60),
        "How long a client may read nothing of its answer.";
    IDLE_TIMEOUT = "limits.idle_timeout_seconds", number(1, 3600), Default::Number(75),
        "How long an idle connection is kept; must exceed the idle time of the proxy in front.";
    REQUESTS_PER_SECOND = "limits.requests_per_second", number(0, 100_000), Default::Number(0),
        "How many calls a second one client may make, on average; more are answered 429. 0 sets no limit.";
    BURST = "limits.burst", number(0, 100_000), Default::Number(0),
        "How many calls one client may make at once after a pause; 0 means requests_per_second.";
    REFUSED_PER_SECOND = "limits.refused_per_second", number(0, 100_000), Default::Number(50),
        "How many denied calls a second one address may make without a valid token; more are answered 429. 0 sets no limit.";
    STORE_KIND = "store.kind", Kind::OneOf(&["embedded", "postgres"]), Default::Text("embedded"),
        "Which store keeps the logins: embedded or postgres.";
    STORE_PATH = "store.path", Kind::Path, Default::Nothing,
        "Directory of the embedded store, created with mode 0700 when absent; mandatory for embedded.";
    STORE_CREATE = "store.create", Kind::Boolean, Default::Boolean(true),
        "Embedded only: create an absent store (true), or fail, so that an unmounted volume is not taken for an empty register.";
    STORE_URL = "store.url", Kind::Text, Default::Nothing,
        "PostgreSQL connection string; for postgres exactly one of url and url_file.";
    STORE_URL_FILE = "store.url_file", Kind::Path, Default::Nothing,
        "File that holds the connection string and nothing else.";
    STORE_PASSWORD_FILE = "store.password_file", Kind::Path, Default::Nothing,
        "PostgreSQL only: file that holds the password and nothing else, for a connection string without one.";
    STORE_TLS_CA_FILE = "store.tls_ca_file", Kind::Path, Default::Nothing,
        "PostgreSQL only: PEM bundle of authorities trusted instead of the public ones.";
    STORE_TLS_CERT_FILE = "store.tls_cert_file", Kind::Path, Default::Nothing,
        "PostgreSQL only: PEM file with the client certificate; only together with tls_key_file.";
    STORE_TLS_KEY_FILE = "store.tls_key_file", Kind::Path, Default::Nothing,
        "PostgreSQL only: PEM file with the unencrypted private key of the client certificate.";
    DEADLINE = "store.deadline_seconds", number(1, 60), Default::Number(5),
        "A disk or database call that takes longer is answered 503.";
    CREATE_SCHEMA = "store.create_schema", Kind::Boolean, Default::Boolean(true),
        "PostgreSQL only: create what is missing (true), or only check that it is there (false).";
    STORE_CONNECTIONS = "store.connections", number(6, 200), Default::Number(10),
        "PostgreSQL only: how many connections this instance opens at most; five work, each further one carries a list.";
    PREPARED_STATEMENTS = "store.prepared_statements", Kind::Boolean, Default::Boolean(false),
        "PostgreSQL only: prepare statements once a connection; faster, but not behind PgBouncer in transaction mode.";
    ISSUER = "token.issuer", Kind::Text, Default::Mandatory,
        "The claim iss that every token must carry, byte for byte.";
    AUDIENCE = "token.audience", Kind::TextOrList, Default::Mandatory,
        "The claim aud must name this service; a list accepts any of its entries.";
    JWKS = "token.jwks", Kind::Text, Default::Mandatory,
        "Where the issuer's public keys are: file:PATH, https://ADDRESS or discover.";
    CA_FILE = "token.ca_file", Kind::Path, Default::Nothing,
        "PEM bundle trusted beside the public authorities when keys are fetched.";
    TOKEN_ALGORITHMS = "token.algorithms", Kind::List, Default::List(&["RS256", "PS256", "ES256"]),
        "Signature algorithms that are accepted.";
    LEEWAY = "token.leeway_seconds", number(0, 60), Default::Number(30),
        "How far the issuer's clock and ours may differ.";
    TOKEN_TYPES = "token.types", Kind::List, Default::List(&["at+jwt", "JWT", ""]),
        "Which typ headers are accepted, without case and without a leading application/; \"\" is a token without one.";
    MAX_LIFETIME = "token.max_lifetime_seconds", number(0, 315_360_000), Default::Number(86_400),
        "How long after its iat (or, without one, after now) a token may expire; one with a later exp is refused.";
    JWKS_REFRESH = "token.jwks_refresh_seconds", number(10, 3600), Default::Number(300),
        "How often the keys are fetched; more often when max-age of the issuer's answer is shorter, down to 10 s.";
    JWKS_MAX_STALE = "token.jwks_max_stale_seconds", number(10, 2_592_000), Default::Number(86_400),
        "How long the last good keys serve while the issuer is away; at least jwks_refresh_seconds.";
    CLAIM_ORGANISATION_TYPE = "token.claims.organisation_type", Kind::Text, Default::Text("organisationType"),
        "Claim that holds A-kasse, JobCenter or STAR, or a value of token.organisation_types.";
    CLAIM_ORGANISATION_CODE = "token.claims.organisation_code", Kind::Text, Default::Text("organisationCode"),
        "Claim that holds the job centre's or the fund's number; it goes to the audit log.";
    CLAIM_ACCESS = "token.claims.access", Kind::Text, Default::Text("adgang"),
        "Claim that holds the access mode, or a list of them.";
    CLAIM_SCOPE = "token.claims.scope", Kind::Text, Default::Text("scope"),
        "Claim that holds the scopes: a string with spaces between them; named scp it may be a list.";
    CLAIM_ACTING_CVR = "token.claims.acting_cvr", Kind::Text, Default::Text("cvr"),
        "Claim that holds the CVR number of an acting third party; it goes to the audit log.";
    ORGANISATION_TYPES = "token.organisation_types", Kind::Table, Default::EmptyTable,
        "Meaning of other values of the organisation type's claim; the plain names stay valid.";
    ACCESS_FILE = "access.file", Kind::Path, Default::Mandatory,
        "The access table: who may call which method, see access.toml.";
    AUDIT_FILE = "audit.file", Kind::Text, Default::Text("-"),
        "Where the audit lines go: a file that is appended to, or - for standard output.";
    LOG_FORMAT = "log.format", Kind::OneOf(&["text", "json"]), Default::Text("text"),
        "How log lines look on standard error: text or json; their level comes from RUST_LOG.";
}

/// The key at this path.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    ALL.iter().find(|key| key.path == path)
}

/// Whether some key lies within this section.
pub(crate) fn is_section(path: &str) -> bool {
    ALL.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}
