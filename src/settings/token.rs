//! `[token]`: whose tokens are believed, and what their claims are called.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use url::{Host, Url};

use super::error::{SettingError, did_you_mean, shown};
use super::keys;
use super::keys::{ALGORITHMS, Key};
use super::read::{Reported, check_text};
use super::source::{Source, Value, joined, read_text};
use super::{ClaimNames, JwksSource, Token};
use crate::domain::access::OrganisationType;
use crate::files;

/// Claims that mean something of their own; none can hold an organisation or a scope.
const RESERVED: [&str; 7] = ["iss", "aud", "exp", "nbf", "iat", "sub", "client_id"];

pub(super) fn read(source: &mut Source) -> Result<Token, Reported> {
    let issuer = source.mandatory(&keys::ISSUER);
    let audience = source.list(&keys::AUDIENCE);
    let jwks = jwks(source, issuer.as_deref().ok());
    let ca_file = ca_file(source);
    let algorithms = algorithms(source);
    let leeway = source.seconds(&keys::LEEWAY);
    let types = types(source);
    let max_lifetime = source.seconds(&keys::MAX_LIFETIME);
    let jwks_refresh = source.seconds(&keys::JWKS_REFRESH);
    let jwks_max_stale = source.seconds(&keys::JWKS_MAX_STALE);
    let claims = claims(source);
    let organisation_types = organisation_types(source);
    let (jwks_refresh, jwks_max_stale) = (jwks_refresh?, jwks_max_stale?);
    if jwks_max_stale < jwks_refresh && !source.incomplete {
        let reason = format!(
            "{} is less than jwks_refresh_seconds = {}",
            jwks_max_stale.as_secs(),
            jwks_refresh.as_secs()
        );
        let help = "keys would expire before they are fetched anew: raise it, or lower the other";
        return Err(source.fault(&keys::JWKS_MAX_STALE, reason, help));
    }
    Ok(Token {
        issuer: issuer?,
        audience: audience?,
        jwks: jwks?,
        ca_file: ca_file?,
        algorithms: algorithms?,
        leeway: leeway?,
        types: types?,
        max_lifetime: max_lifetime?,
        jwks_refresh,
        jwks_max_stale,
        claims: claims?,
        organisation_types: organisation_types?,
    })
}

fn jwks(source: &mut Source, issuer: Option<&str>) -> Result<JwksSource, Reported> {
    let text = source.mandatory(&keys::JWKS)?;
    if text == "discover" {
        // An issuer that is itself at fault was told already.
        if let Some(Err((reason, help))) = issuer.map(issuer_address) {
            return Err(source.fault(&keys::ISSUER, reason, help));
        }
        return Ok(JwksSource::Discover);
    }
    if let Some(path) = text.strip_prefix("file:") {
        return key_file(source, path);
    }
    if text.contains("://") {
        return match address(&text) {
            Ok(url) => Ok(JwksSource::Https(url)),
            Err((reason, help)) => Err(source.fault(&keys::JWKS, reason, help)),
        };
    }
    let help =
        did_you_mean(&text, ["discover"], || "write file:PATH, https://ADDRESS or discover".to_owned());
    Err(source.fault(&keys::JWKS, format!("{} is no source of keys", shown(&text)), help))
}

fn key_file(source: &mut Source, path: &str) -> Result<JwksSource, Reported> {
    let file = source.resolved(path);
    let readable = match fs::metadata(&file) {
        _ if path.is_empty() => Err("names no path after file:".to_owned()),
        Ok(data) if data.is_dir() => Err(format!("{} is a directory", file.display())),
        Ok(_) => files::open(&file).map(drop).map_err(|error| cannot(&file, &error)),
        Err(error) => Err(cannot(&file, &error)),
    };
    match readable {
        Ok(()) => Ok(JwksSource::File(file)),
        Err(reason) => {
            Err(source.fault(&keys::JWKS, reason, "name a JSON Web Key Set that this user may read"))
        }
    }
}

fn cannot(file: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {error}", file.display())
}

/// Keys decide who is believed: they come over https, or from this machine. Nothing of a user name or
/// password in the address is repeated.
fn address(text: &str) -> Result<Url, (String, String)> {
    let url = Url::parse(text)
        .map_err(|error| (format!("is no address: {error}"), "write https://HOST/PATH".to_owned()))?;
    let refuse = |reason: &str, help: &str| Err((reason.to_owned(), help.to_owned()));
    if !url.username().is_empty() || url.password().is_some() {
        refuse("has a user name or password in it", "remove it; public keys need no password")
    } else if url.fragment().is_some() {
        refuse("has a fragment (#…)", "remove it; it is never sent")
    } else {
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_loopback(&url) => Ok(url),
            "http" => refuse("is http:// to another machine", "use https://; http:// is for loopback only"),
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

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn ca_file(source: &mut Source) -> Result<Option<PathBuf>, Reported> {
    let Some(file) = source.path(&keys::CA_FILE)? else {
        return Ok(None);
    };
    let fault = match read_text(&file) {
        Ok(text) if has_certificate(&text) => return Ok(Some(file)),
        Ok(_) => (
            "has no PEM certificate in it".to_owned(),
            "name a file with -----BEGIN CERTIFICATE----- blocks".to_owned(),
        ),
        Err(fault) => fault,
    };
    Err(source.fault(&keys::CA_FILE, format!("{} {}", file.display(), fault.0), fault.1))
}

/// Whether one block is base64 of a DER sequence (X.690 §8.9); the rest of X.509 is the TLS library's to judge.
fn has_certificate(text: &str) -> bool {
    text.split("-----BEGIN CERTIFICATE-----").skip(1).any(|rest| {
        let body = rest.split_once("-----END CERTIFICATE-----").map_or("", |(body, _)| body);
        let body: String = body.split_ascii_whitespace().collect();
        BASE64.decode(body.as_bytes()).is_ok_and(|der| der.len() > 2 && der.first() == Some(&0x30))
    })
}

fn algorithms(source: &mut Source) -> Result<Vec<String>, Reported> {
    let names = source.list(&keys::TOKEN_ALGORITHMS)?;
    let mut told = None;
    for name in &names {
        let reason = match name.to_ascii_uppercase().as_str() {
            "NONE" => "none is no signature: anybody could write such a token".to_owned(),
            "HS256" | "HS384" | "HS512" => {
                format!("{name} is a shared secret: whoever can check such a token can also write one")
            }
            _ if ALGORITHMS.contains(&name.as_str()) => continue,
            _ => format!("{} is no algorithm of this program", shown(name)),
        };
        // Only letter case is a slip; the name next in spelling is quite another algorithm.
        let help = ALGORITHMS.iter().find(|known| known.eq_ignore_ascii_case(name)).map_or_else(
            || format!("use {}", ALGORITHMS.join(", ")),
            |known| format!("did you mean {known}?"),
        );
        told = Some(source.fault(&keys::TOKEN_ALGORITHMS, reason, help));
    }
    told.map_or(Ok(names), Err)
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
            return Err(source.fault(key, format!("{} names no type", shown(&name)), help));
        }
        if types.contains(&typ) {
            return Err(source.fault(key, format!("{} stands twice", shown(&name)), "name it once"));
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
            return Err(source.fault(key, format!("{name} has a meaning of its own in every token"), help));
        }
        if let Some((_, other)) = taken.iter().find(|(other, _)| *other == name) {
            let reason = format!("{} is already {other}", shown(&name));
            return Err(source.fault(key, reason, "give every claim a name of its own"));
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
    let mut told = None;
    for (claim, entry) in source.organisation_types.clone() {
        match organisation_type(&claim, &entry.value) {
            Ok(organisation) => {
                types.insert(claim, organisation);
            }
            Err((reason, help)) => {
                let key = Some(joined(key.path, &claim));
                source.faults.push(SettingError { origin: entry.origin, key, reason, help });
                told = Some(Reported);
            }
        }
    }
    told.map_or(Ok(types), Err)
}

fn organisation_type(claim: &str, value: &Value) -> Result<OrganisationType, (String, String)> {
    let names = OrganisationType::ALL.map(OrganisationType::name);
    let all = || format!("use {}", names.join(", "));
    if let Some((reason, help)) = check_text(claim) {
        return Err((format!("the claim's value {reason}"), help.to_owned()));
    }
    let (Value::Text(name) | Value::Variable(name)) = value else {
        return Err((format!("is {}, not a string", value.type_name()), all()));
    };
    let Some(organisation) = OrganisationType::parse(name) else {
        let help = did_you_mean(name, names, all);
        return Err((format!("{} is no organisation type", shown(name)), help));
    };
    // A plain name means itself; a table that says otherwise would let in the wrong ones.
    match OrganisationType::parse(claim) {
        Some(itself) if itself != organisation => Err((
            format!("would make {claim} mean {organisation}"),
            "remove it; a plain name means itself".to_owned(),
        )),
        _ => Ok(organisation),
    }
}
