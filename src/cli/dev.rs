//! `dev`: the whole service for a newcomer, in one command and without a configuration.
//!
//! It writes a real configuration into a temporary folder (key set, access table and all) and serves that, so that
//! nothing a newcomer sees differs from `serve` but where it came from. Loopback only: the signing key is in this
//! process, and its tokens let anybody in who can read the terminal.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arguments::DevArgs;
use super::serve::Process;
use super::{Exit, Failure, Output, refused};
use crate::auth::{Signer, SigningError};
use crate::domain::access::OrganisationType;
use crate::domain::clock::{Clock, SystemClock};
use crate::server::App;
use crate::settings;

const ISSUER: &str = "https://sts.dev.invalid";
const AUDIENCE: &str = "virksomhedslogin-dev";
/// How long the printed tokens are good: a working day and an evening.
const TOKEN_SECONDS: i64 = 12 * 60 * 60;
const ACCESS: &str = include_str!("../../config/access.toml");
const READ: &str = "virksomhedsinstats.login.read";
const WRITE: &str = "virksomhedsinstats.login.write";

/// Runs the service on a loopback address, with its store in `data` or in a temporary folder.
pub(super) fn run(arguments: &DevArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let process = Process::of_a_terminal()?;
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| Failure::new(Exit::Failed, format!("{what}: {error}"))
    };
    let folder = tempfile::Builder::new()
        .prefix("virksomhedslogin-dev-")
        .tempdir()
        .map_err(failed("a temporary folder cannot be made"))?;
    let signer = Signer::generate_es256("dev").map_err(signing)?;
    let config = folder.path().join("virksomhedslogin.toml");
    let store = match &arguments.data {
        Some(data) => std::path::absolute(data).map_err(failed("--data"))?,
        None => folder.path().join("store"),
    };
    for (name, text) in [
        ("access.toml", ACCESS.to_owned()),
        ("jwks.json", signer.jwks()),
        ("virksomhedslogin.toml", configuration(arguments.listen, &store)),
    ] {
        std::fs::write(folder.path().join(name), text)
            .map_err(failed("the temporary folder cannot be written"))?;
    }
    let settings = settings::load(&config, std::iter::empty()).map_err(|faults| refused(&faults))?;
    process.run_with(settings, |app| {
        let started = Started::of(app, &signer, store, folder.path()).map_err(signing)?;
        if arguments.json {
            let line = serde_json::to_string(&started)
                .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
            return output.print(&format!("{line}\n"));
        }
        output.print(&greeting(&started, arguments.data.is_none()))
    })
}

/// What is printed at the start: `--json` prints it as it is.
#[derive(Serialize)]
struct Started {
    addresses: Addresses,
    tokens: Tokens,
    paths: Paths,
}

/// URLs; those of the listeners have no path.
#[derive(Serialize)]
struct Addresses {
    api: String,
    documentation: String,
    swagger: String,
    management: String,
}

/// A bearer token of each organisation type, under the contract's name for it.
#[derive(Serialize)]
struct Tokens {
    #[serde(rename = "STAR")]
    star: String,
    #[serde(rename = "JobCenter")]
    job_center: String,
    #[serde(rename = "A-kasse")]
    a_kasse: String,
}

#[derive(Serialize)]
struct Paths {
    store: PathBuf,
    audit: PathBuf,
    configuration: PathBuf,
}

impl Started {
    fn of(app: &App, signer: &Signer, store: PathBuf, folder: &Path) -> Result<Self, SigningError> {
        let api = format!("http://{}", app.address());
        let all = format!("{READ} {WRITE}");
        Ok(Self {
            addresses: Addresses {
                documentation: format!("{api}/"),
                swagger: format!("{api}/swagger/"),
                management: format!("http://{}", app.management_address().unwrap_or_default()),
                api,
            },
            tokens: Tokens {
                star: token(signer, OrganisationType::Star, "STAR", &all)?,
                job_center: token(signer, OrganisationType::JobCenter, "101", &all)?,
                a_kasse: token(signer, OrganisationType::AKasse, "12", READ)?,
            },
            paths: Paths {
                store,
                audit: folder.join("audit.ndjson"),
                configuration: folder.join("virksomhedslogin.toml"),
            },
        })
    }
}

fn signing(error: SigningError) -> Failure {
    Failure::new(Exit::Failed, error.to_string())
}

fn configuration(listen: SocketAddr, store: &Path) -> String {
    let store = toml::Value::String(store.display().to_string());
    format!(
        r#"[server]
listen = "{listen}"
management = "127.0.0.1:0"
shutdown_timeout_seconds = 2

[store]
path = {store}

[token]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
jwks = "file:jwks.json"
algorithms = ["ES256"]

[access]
file = "access.toml"

[audit]
file = "audit.ndjson"
"#
    )
}

fn token(
    signer: &Signer,
    organisation: OrganisationType,
    code: &str,
    scope: &str,
) -> Result<String, SigningError> {
    let now = SystemClock.now().millis() / 1_000;
    let claims = serde_json::json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + TOKEN_SECONDS,
        "sub": "dev", "client_id": "dev", "scope": scope,
        "organisationType": organisation.name(), "organisationCode": code, "adgang": "AlleBorgere",
    });
    signer.sign(&claims.to_string())
}

fn greeting(started: &Started, temporary: bool) -> String {
    let Addresses { api, documentation, swagger, management } = &started.addresses;
    let Tokens { star, job_center, a_kasse } = &started.tokens;
    let Paths { store, audit, configuration } = &started.paths;
    let put = |token: &str, number: &str| {
        format!(
            "curl -i -X PUT '{api}/v1/Login/{number}' -H 'Authorization: Bearer {token}' \
             -H 'Content-Type: application/json' -d '{{\"VirksomhedsLoginDto\":{{\"cvrNummer\":\"{number}\"}}}}'"
        )
    };
    let get = |token: &str, path: &str| format!("curl -i '{api}{path}' -H 'Authorization: Bearer {token}'");
    let kept = if temporary { " (temporary: gone when this stops)" } else { "" };
    let hours = TOKEN_SECONDS / 3_600;
    format!(
        "virksomhedslogin runs for development; Ctrl-C stops it.

  API            {api}
  documentation  {documentation}
  Swagger UI     {swagger}
  management     {management}/readyz
  store          {store}{kept}
  audit log      {audit}
  configuration  {configuration}

Paste these lines into another terminal. Their tokens are good for {hours} hours and for this run only.

# STAR records a login of company 12345678: 204
{star_put}

# JobCenter reads that company: 200
{job_center_get}

# A-kasse lists all companies: 200
{a_kasse_list}

# JobCenter may not record a login: 403
{job_center_put}

The bare tokens:

STAR       {star}
JobCenter  {job_center}
A-kasse    {a_kasse}

",
        store = store.display(),
        audit = audit.display(),
        configuration = configuration.display(),
        star_put = put(star, "12345678"),
        job_center_get = get(job_center, "/v1/Login?cvrNummer=12345678"),
        a_kasse_list = get(a_kasse, "/v1/Logins"),
        job_center_put = put(job_center, "12345678"),
    )
}
