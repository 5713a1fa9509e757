//! `[token]`: whose tokens are accepted, and the names of their claims.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use strum::VariantNames;
use url::Url;

use super::error::SettingError;
use super::keys;
use super::keys::Key;
use super::read::Reported;
use super::source::{Source, Value};
use super::text::{check_text, did_you_mean, joined, nearest, shown};
use super::toml_file::read_text;
use crate::auth::{self, Algorithm, ClaimNames, Remote, Rules, is_loopback};
use crate::domain::access::OrganisationType;
use crate::files;

/// Claims that mean something of their own; none can hold an organisation or a scope.
const RESERVED: [&str; 7] = ["iss", "aud", "exp", "nbf", "iat", "sub", "client_id"];

/// How a bearer token is checked: what it must meet, and where the keys are.
#[derive(Debug, Clone)]
pub struct Token {
    pub rules: Rules,
    pub keys: auth::Source,
}

/// The value of `token.jwks`.
enum Location {
    File(PathBuf),
    /// At this address, or as the OpenID configuration of the issuer says.
    Published(Option<Url>),
}

pub(super) fn read(source: &mut Source) -> Result<Token, Reported> {
    let issuer = source.mandatory(&keys::ISSUER);
    let audience = source.list(&keys::AUDIENCE);
    let location = location(source, issuer.as_deref().ok());
    let ca_file = ca_file(source);
    let algorithms = algorithms(source);
    let leeway = source.seconds(&keys::LEEWAY);
    let types = types(source);
    let max_lifetime = source.seconds(&keys::MAX_LIFETIME);
    let refresh = source.seconds(&keys::JWKS_REFRESH);
    let max_stale = source.seconds(&keys::JWKS_MAX_STALE);
    let claims = claims(source);
    let organisation_types = organisation_types(source);
    let (refresh, max_stale, ca_file) = (refresh?, max_stale?, ca_file?);
    if max_stale < refresh && !source.incomplete {
        let (max_stale, refresh) = (max_stale.as_secs(), refresh.as_secs());
        let reason = format!("{max_stale} is less than jwks_refresh_seconds = {refresh}");
        let help = "keys would expire before they are fetched again: raise it, or lower the other";
        return Err(source.error(&keys::JWKS_MAX_STALE, reason, help));
    }
    let keys = match location? {
        Location::File(path) => auth::Source::File(path),
        Location::Published(address) => auth::Source::Remote(Remote { address, ca_file, refresh, max_stale }),
    };
    let rules = Rules {
        issuer: issuer?,
        audience: audience?,
        algorithms: algorithms?,
        leeway: leeway?,
        types: types?,
        max_lifetime: max_lifetime?,
        claims: claims?,
        organisation_types: organisation_types?,
    };
    Ok(Token { rules, keys })
}

fn location(source: &mut Source, issuer: Option<&str>) -> Result<Location, Reported> {
    let text = source.mandatory(&keys::JWKS)?;
    if text == "discover" {
        // An issuer that is missing or not a text was reported already.
        if let Some(Err((reason, help))) = issuer.map(issuer_address) {
            return Err(source.error(&keys::ISSUER, reason, help));
        }
        return Ok(Location::Published(None));
    }
    if let Some(path) = text.strip_prefix("file:") {
        return key_file(source, path).map(Location::File);
    }
    if text.contains("://") {
        return match address(&text) {
            Ok(url) => Ok(Location::Published(Some(url))),
            Err((reason, help)) => Err(source.error(&keys::JWKS, reason, help)),
        };
    }
    let help = match nearest(&text, ["discover"]) {
        Some(_) => "did you mean discover?",
        None => "write file:PATH, https://ADDRESS or discover",
    };
    Err(source.error(&keys::JWKS, format!("{} is no source of keys", shown(&text)), help))
}

fn key_file(source: &mut Source, path: &str) -> Result<PathBuf, Reported> {
    let file = source.resolved(path);
    let readable = match fs::metadata(&file) {
        _ if path.is_empty() => Err("names no path after file:".to_owned()),
        Ok(data) if data.is_dir() => Err(format!("{} is a directory", file.display())),
        Ok(_) => files::open(&file).map(drop).map_err(|error| cannot(&file, &error)),
        Err(error) => Err(cannot(&file, &error)),
    };
    match readable {
        Ok(()) => Ok(file),
        Err(reason) => {
            Err(source.error(&keys::JWKS, reason, "name a JSON Web Key Set that this user may read"))
        }
    }
}

fn cannot(file: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {error}", file.display())
}

/// Keys decide who is accepted, so they come over https or from this machine. No user name or password is repeated.
fn address(text: &str) -> Result<Url, (String, String)> {
    let url = Url::parse(text)
        .map_err(|error| (format!("is no address: {error}"), "write https://HOST/PATH".to_owned()))?;
    let reject = |reason: &str, help: &str| Err((reason.to_owned(), help.to_owned()));
    if !url.username().is_empty() || url.password().is_some() {
        reject("has a user name or password in it", "remove it; public keys need no password")
    } else if url.fragment().is_some() {
        reject("has a fragment (#…)", "remove it; it is never sent")
    } else {
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_loopback(&url) => Ok(url),
            "http" => reject("is http:// to another machine", "use https://; http:// is for loopback only"),
            other => Err((format!("has the scheme {}", shown(other)), "use https://".to_owned())),
        }
    }
}

fn issuer_address(issuer: &str) -> Result<Url, (String, String)> {
    let help =
        "token.jwks = \"discover\" needs an issuer that is an https:// address without query or fragment";
    match address(issuer) {
        Ok(url) if url.query().is_none() => Ok(url),
        Ok(_) => Err(("has a query (?…)".to_owned(), help.to_owned())),
        Err((reason, _)) => Err((reason, help.to_owned())),
    }
}

fn ca_file(source: &mut Source) -> Result<Option<PathBuf>, Reported> {
    let Some(file) = source.path(&keys::CA_FILE)? else {
        return Ok(None);
    };
    let error = match read_text(&file) {
        Ok(text) if CertificateDer::pem_slice_iter(text.as_bytes()).any(|found| found.is_ok()) => {
            return Ok(Some(file));
        }
        Ok(_) => (
            "has no PEM certificate in it".to_owned(),
            "name a file with -----BEGIN CERTIFICATE----- blocks".to_owned(),
        ),
        Err(error) => error,
    };
    Err(source.error(&keys::CA_FILE, format!("{} {}", file.display(), error.0), error.1))
}

fn algorithms(source: &mut Source) -> Result<Vec<Algorithm>, Reported> {
    let names = source.list(&keys::TOKEN_ALGORITHMS)?;
    let algorithms: Vec<_> = names.iter().filter_map(|name| name.parse().ok()).collect();
    for name in names.iter().filter(|name| name.parse::<Algorithm>().is_err()) {
        let reason = match name.to_ascii_uppercase().as_str() {
            "NONE" => "none is no signature: anybody could write such a token".to_owned(),
            "HS256" | "HS384" | "HS512" => {
                format!("{name} is a shared secret: a client that can check such a token can also write one")
            }
            _ => format!("{} is no algorithm of this program", shown(name)),
        };
        // Only letter case is a misspelling; the name next in spelling is quite another algorithm.
        let help = match Algorithm::VARIANTS.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            Some(known) => format!("did you mean {known}?"),
            None => format!("use {}", Algorithm::VARIANTS.join(", ")),
        };
        source.error(&keys::TOKEN_ALGORITHMS, reason, help);
    }
    if algorithms.len() == names.len() { Ok(algorithms) } else { Err(Reported) }
}

/// The types as tokens are compared with them: in lower case and without a leading `application/` (RFC 7515 §4.1.9).
fn types(source: &mut Source) -> Result<Vec<String>, Reported> {
    let key = &keys::TOKEN_TYPES;
    let names = source.list_of(key, |name| if name.is_empty() { None } else { check_text(name) })?;
    let mut types: Vec<String> = Vec::new();
    for name in names {
        let lower = name.to_ascii_lowercase();
        let typ = lower.strip_prefix("application/").unwrap_or(&lower).to_owned();
        if typ.is_empty() && !name.is_empty() {
            let help = "name one, or write \"\" for tokens without typ";
            return Err(source.error(key, format!("{} names no type", shown(&name)), help));
        }
        if types.contains(&typ) {
            return Err(source.error(key, format!("{} occurs twice", shown(&name)), "name it once"));
        }
        types.push(typ);
    }
    Ok(types)
}

fn claims(source: &mut Source) -> Result<ClaimNames, Reported> {
    let mut taken: Vec<(String, &'static str)> = Vec::new();
    let mut claim = |key: &Key| {
        let name = source.mandatory(key)?;
        if RESERVED.contains(&name.as_str()) {
            let help = "name the claim that holds this and nothing else";
            return Err(source.error(key, format!("{name} has a meaning of its own in every token"), help));
        }
        if let Some((_, other)) = taken.iter().find(|(other, _)| *other == name) {
            let reason = format!("{} is already {other}", shown(&name));
            return Err(source.error(key, reason, "give every claim a name of its own"));
        }
        taken.push((name.clone(), key.path));
        Ok(name)
    };
    let organisation_type = claim(&keys::CLAIM_ORGANISATION_TYPE);
    let organisation_code = claim(&keys::CLAIM_ORGANISATION_CODE);
    let access = claim(&keys::CLAIM_ACCESS);
    let scope = claim(&keys::CLAIM_SCOPE);
    let acting_cvr = claim(&keys::CLAIM_ACTING_CVR);
    Ok(ClaimNames {
        organisation_type: organisation_type?,
        organisation_code: organisation_code?,
        access: access?,
        scope: scope?,
        acting_cvr: acting_cvr?,
    })
}

fn organisation_types(source: &mut Source) -> Result<BTreeMap<String, OrganisationType>, Reported> {
    let key = &keys::ORGANISATION_TYPES;
    if let Some(value) = source.values.get(key.path).map(|entry| entry.value.clone()) {
        return Err(source.wrong_type(key, &value));
    }
    let mut types = BTreeMap::new();
    let mut reported = None;
    for (claim, entry) in source.organisation_types.clone() {
        match organisation_type(&claim, &entry.value) {
            Ok(organisation) => {
                types.insert(claim, organisation);
            }
            Err((reason, help)) => {
                let key = Some(joined(key.path, &claim));
                source.errors.push(SettingError { origin: entry.origin, key, reason, help });
                reported = Some(Reported);
            }
        }
    }
    reported.map_or(Ok(types), Err)
}

fn organisation_type(claim: &str, value: &Value) -> Result<OrganisationType, (String, String)> {
    let names = OrganisationType::ALL.map(OrganisationType::name);
    if let Some((reason, help)) = check_text(claim) {
        return Err((format!("the claim's value {reason}"), help.to_owned()));
    }
    let (Value::Text(name) | Value::Variable(name)) = value else {
        return Err((format!("is {}, not a string", value.type_name()), format!("use {}", names.join(", "))));
    };
    let Ok(organisation) = name.parse::<OrganisationType>() else {
        let help = did_you_mean(name, names);
        return Err((format!("{} is no organisation type", shown(name)), help));
    };
    // A plain name means itself; a table that says otherwise would let in the wrong ones.
    match claim.parse::<OrganisationType>() {
        Ok(itself) if itself != organisation => Err((
            format!("would make {claim} mean {organisation}"),
            "remove it; a plain name means itself".to_owned(),
        )),
        _ => Ok(organisation),
    }
}
