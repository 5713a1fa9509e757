//! `dev`: the whole service for a newcomer, in one command and without a configuration.
//!
//! It writes a real configuration (key set, access table and all) into a temporary directory and runs it as `serve` does.
//! Loopback only: its tokens admit anyone who can read the terminal.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use log::LevelFilter;
use serde_json::{Map, Value, json};

use super::arguments::DevArgs;
use super::outcome::{Exit, Failure, Output};
use super::serve::Process;
use super::setup::start_logging;
use crate::auth::Signer;
use crate::domain::access::OrganisationType;
use crate::domain::clock::{Clock, SystemClock};
use crate::server::App;
use crate::settings;

const ISSUER: &str = "https://sts.dev.invalid";
const AUDIENCE: &str = "virksomhedslogin-dev";
/// Lifetime of the printed tokens: a working day and an evening.
const TOKEN_SECONDS: i64 = 12 * 60 * 60;
const ACCESS: &str = include_str!("../../config/access.toml");
const READ: &str = "virksomhedsinstats.login.read";
const WRITE: &str = "virksomhedsinstats.login.write";

pub(super) fn run(arguments: &DevArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let process = Process::of_a_terminal()?;
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| Failure::failed(format!("{what}: {error}"))
    };
    let directory = tempfile::Builder::new()
        .prefix("virksomhedslogin-dev-")
        .tempdir()
        .map_err(failed("a temporary directory cannot be made"))?;
    let signer = Signer::generate_es256("dev").map_err(Failure::failed)?;
    let config = directory.path().join("virksomhedslogin.toml");
    let store = match &arguments.data {
        Some(data) => std::path::absolute(data).map_err(failed("--data"))?,
        None => directory.path().join("store"),
    };
    for (name, text) in [
        ("access.toml", ACCESS.to_owned()),
        ("jwks.json", signer.jwks()),
        ("virksomhedslogin.toml", configuration(arguments.listen, &store)),
    ] {
        std::fs::write(directory.path().join(name), text)
            .map_err(failed("the temporary directory cannot be written"))?;
    }
    let settings = settings::load(&config, std::iter::empty())?;
    let start = || {
        start_logging(&settings, LevelFilter::Info);
        Ok(App::build(settings, Arc::new(SystemClock))?)
    };
    process.run(start, |app| {
        let api = format!("http://{}", app.address());
        let all = format!("{READ} {WRITE}");
        let tokens = [
            (OrganisationType::Star, "STAR", all.as_str()),
            (OrganisationType::JobCenter, "101", &all),
            (OrganisationType::AKasse, "12", READ),
        ];
        let now = SystemClock.now().millis() / 1_000;
        let tokens = tokens.map(|(organisation, code, scope)| {
            let claims = json!({
                "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + TOKEN_SECONDS,
                "sub": "dev", "client_id": "dev", "scope": scope,
                "organisationType": organisation.name(), "organisationCode": code, "adgang": "AlleBorgere",
            });
            let token = signer.sign(&claims.to_string()).map_err(Failure::failed)?;
            Ok((organisation.name().to_owned(), Value::String(token)))
        });
        // As `--json` prints it.
        let started = json!({
            "addresses": {
                "api": api, "documentation": format!("{api}/"), "swagger": format!("{api}/swagger/"),
                "management": format!("http://{}", app.management_address().unwrap_or_default()),
            },
            "tokens": tokens.into_iter().collect::<Result<Map<_, _>, Failure>>()?,
            "paths": {
                "store": store.display().to_string(),
                "audit": directory.path().join("audit.ndjson").display().to_string(),
                "configuration": config.display().to_string(),
            },
        });
        output.print(&if arguments.json {
            format!("{started}\n")
        } else {
            greeting(&started, arguments.data.is_none())
        })
    })
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

fn greeting(started: &Value, temporary: bool) -> String {
    let text = |path: &str| started.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let api = text("/addresses/api");
    let [star, job_center, a_kasse] =
        ["STAR", "JobCenter", "A-kasse"].map(|name| text(&format!("/tokens/{name}")));
    let put = |token: &str| {
        format!(
            "curl -i -X PUT '{api}/v1/Login/12345678' -H 'Authorization: Bearer {token}' \
             -H 'Content-Type: application/json' -d '{{\"VirksomhedsLoginDto\":{{\"cvrNummer\":\"12345678\"}}}}'"
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

Paste these lines into another terminal. Their tokens are valid for {hours} hours and for this run only.

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
        documentation = text("/addresses/documentation"),
        swagger = text("/addresses/swagger"),
        management = text("/addresses/management"),
        store = text("/paths/store"),
        audit = text("/paths/audit"),
        configuration = text("/paths/configuration"),
        star_put = put(star),
        job_center_get = get(job_center, "/v1/Login?cvrNummer=12345678"),
        a_kasse_list = get(a_kasse, "/v1/Logins"),
        job_center_put = put(job_center),
    )
}
