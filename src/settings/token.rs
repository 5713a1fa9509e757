//! `[token]`: whose tokens are accepted, and the names of their claims.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use strum::VariantNames;
use url::Url;

use super::error::{SettingError, Wrong};
use super::keys;
use super::keys::Key;
use super::read::wrong_type;
use super::source::{Source, Value};
use super::text::{check_text, did_you_mean, joined, nearest, shown};
use crate::auth::{self, Algorithm, ClaimName, ClaimNames, Remote, Rules, is_loopback};
use crate::domain::access::OrganisationType;
use crate::files;

/// Claims that mean something of their own; none can hold an organisation or a scope.
const RESERVED: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "sub"];

/// How a bearer token is checked: what it must meet, and where the keys are.
#[derive(Debug, Clone)]
pub struct Token {
    pub rules: Rules,
    pub keys: auth::Source,
    /// The header in which a trusted proxy shows the client's certificate.
    pub certificate_header: String,
}

pub(super) fn read(source: &mut Source) -> Option<Token> {
    let issuer = source.text(&keys::ISSUER);
    let audience = source.list(&keys::AUDIENCE, check_text);
    let keys = key_source(source, issuer.as_deref());
    let certificate_header = certificate_header(source);
    let rules = Rules {
        audience,
        algorithms: algorithms(source),
        leeway: source.seconds(&keys::LEEWAY),
        types: types(source),
        max_lifetime: source.seconds(&keys::MAX_LIFETIME),
        certificate_bound: source
            .text(&keys::CERTIFICATE_BOUND)
            .and_then(|bound| bound.parse().ok())
            .unwrap_or_default(),
        claims: claims(source),
        organisation_types: organisation_types(source),
        issuer: issuer?,
    };
    Some(Token { rules, keys: keys?, certificate_header: certificate_header? })
}

/// A token, as the name of a header is (RFC 9110 §5.6.2).
fn certificate_header(source: &mut Source) -> Option<String> {
    let key = &keys::CERTIFICATE_HEADER;
    let name = source.text(key)?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)) {
        let help = "write Client-Cert, or the name that the proxy uses";
        source.error(key, format!("{} is no name of a header", shown(&name)), help);
    }
    Some(name)
}

fn key_source(source: &mut Source, issuer: Option<&str>) -> Option<auth::Source> {
    let authorities = authorities(source).unwrap_or_default();
    let refresh = source.seconds(&keys::JWKS_REFRESH);
    let max_stale = source.seconds(&keys::JWKS_MAX_STALE);
    let text = source.text(&keys::JWKS)?;
    let address = if text == "discover" {
        // An issuer that is missing or not a text was reported already.
        source.check(&keys::ISSUER, issuer_address(issuer?))?;
        None
    } else if let Some(path) = text.strip_prefix("file:") {
        let file = key_file(path, source.resolved(path));
        return source.check(&keys::JWKS, file).map(auth::Source::File);
    } else if text.contains("://") {
        Some(source.check(&keys::JWKS, address(&text))?)
    } else {
        let is_misspelt = nearest(&text, ["discover"]).is_some();
        let help = if is_misspelt {
            "did you mean discover?"
        } else {
            "write file:PATH, https://ADDRESS or discover"
        };
        source.error(&keys::JWKS, format!("{} is no source of keys", shown(&text)), help);
        return None;
    };
    Some(auth::Source::Remote(Remote { address, authorities, refresh, max_stale }))
}

fn key_file(path: &str, file: PathBuf) -> Result<PathBuf, Wrong> {
    let reason = match files::open(&file) {
        _ if path.is_empty() => "names no path after file:".to_owned(),
        Ok(_) => return Ok(file),
        Err(_) if file.is_dir() => format!("{} is a directory", file.display()),
        Err(error) => format!("{} cannot be read: {error}", file.display()),
    };
    Err((reason, "name a JSON Web Key Set that this user may read".to_owned()))
}

/// Keys decide who is accepted, so they come over https or from this machine. No user name or password is repeated.
fn address(text: &str) -> Result<Url, Wrong> {
    let wrong = |reason: &str, help: &str| Err((reason.to_owned(), help.to_owned()));
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return wrong(&format!("is no address: {error}"), "write https://HOST/PATH"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("has a user name or password in it", "remove it; public keys need no password");
    }
    if url.fragment().is_some() {
        return wrong("has a fragment (#…)", "remove it; it is never sent");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => wrong("is http:// to another machine", "use https://; http:// is for loopback only"),
        other => wrong(&format!("has the scheme {}", shown(other)), "use https://"),
    }
}

fn issuer_address(issuer: &str) -> Result<(), Wrong> {
    let help =
        "token.jwks = \"discover\" needs an issuer that is an https:// address without query or fragment";
    let reason = match address(issuer) {
        Ok(url) if url.query().is_none() => return Ok(()),
        Ok(_) => "has a query (?…)".to_owned(),
        Err((reason, _)) => reason,
    };
    Err((reason, help.to_owned()))
}

fn authorities(source: &mut Source) -> Option<Vec<CertificateDer<'static>>> {
    let file = source.path(&keys::CA_FILE)?;
    source.content(&keys::CA_FILE, &file, |text| {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let help = "name a file with -----BEGIN CERTIFICATE----- blocks";
        match found {
            Ok(found) if found.is_empty() => {
                Err(("has no PEM certificate in it".to_owned(), help.to_owned()))
            }
            Ok(found) => Ok(found),
            Err(error) => Err((format!("has a broken certificate in it: {error}"), help.to_owned())),
        }
    })
}

fn algorithms(source: &mut Source) -> Vec<Algorithm> {
    let names = source.list(&keys::TOKEN_ALGORITHMS, check_text);
    names.iter().filter_map(|name| source.check(&keys::TOKEN_ALGORITHMS, algorithm(name))).collect()
}

fn algorithm(name: &str) -> Result<Algorithm, Wrong> {
    name.parse().map_err(|_| {
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
        (reason, help)
    })
}

/// The types as tokens are compared with them: in lower case and without a leading `application/` (RFC 7515 §4.1.9).
fn types(source: &mut Source) -> Vec<String> {
    let key = &keys::TOKEN_TYPES;
    let mut types: Vec<String> = Vec::new();
    for name in source.list(key, |name| if name.is_empty() { Ok(()) } else { check_text(name) }) {
        let lower = name.to_ascii_lowercase();
        let typ = lower.strip_prefix("application/").unwrap_or(&lower).to_owned();
        if typ.is_empty() && !name.is_empty() {
            let help = "name one, or write \"\" for tokens without typ";
            source.error(key, format!("{} names no type", shown(&name)), help);
        } else if types.contains(&typ) {
            source.error(key, format!("{} occurs twice", shown(&name)), "name it once");
        }
        types.push(typ);
    }
    types
}

fn claims(source: &mut Source) -> ClaimNames {
    let names = source.list(&keys::CLAIM_CLIENT_ID, check_text);
    let client_id = names.iter().map(|name| claim(source, &keys::CLAIM_CLIENT_ID, name)).collect();
    let mut named = |key: &Key| {
        let name = source.text(key).unwrap_or_default();
        claim(source, key, &name)
    };
    ClaimNames {
        organisation_type: named(&keys::CLAIM_ORGANISATION_TYPE),
        organisation_code: named(&keys::CLAIM_ORGANISATION_CODE),
        access: named(&keys::CLAIM_ACCESS),
        scope: named(&keys::CLAIM_SCOPE),
        acting_cvr: named(&keys::CLAIM_ACTING_CVR),
        client_id,
    }
}

/// A claim's name or JSON Pointer (RFC 6901), in which `~` begins `~0` or `~1`.
fn claim(source: &mut Source, key: &Key, name: &str) -> ClaimName {
    let pointer = name.strip_prefix('/');
    let is_escaped = |pointer: &str| pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if RESERVED.contains(&pointer.unwrap_or(name)) {
        let help = "name the claim that holds this and nothing else";
        source.error(key, format!("{name} has a meaning of its own in every token"), help);
    } else if pointer.is_some_and(|pointer| !is_escaped(pointer)) {
        let help = "write ~0 for ~ and ~1 for / within a name";
        source.error(key, format!("{} is no JSON Pointer", shown(name)), help);
    }
    ClaimName::from(name)
}

fn organisation_types(source: &mut Source) -> BTreeMap<String, OrganisationType> {
    let key = &keys::ORGANISATION_TYPES;
    if let Some(value) = source.values.get(key.path).map(|entry| entry.value.clone()) {
        return source.check(key, Err(wrong_type(key, &value))).unwrap_or_default();
    }
    let mut types = BTreeMap::new();
    for (claim, entry) in std::mem::take(&mut source.organisation_types) {
        match organisation_type(&claim, &entry.value) {
            Ok(organisation) => drop(types.insert(claim, organisation)),
            Err(wrong) => {
                source.errors.push(SettingError::new(entry.origin, joined(key.path, &claim), wrong));
                source.failed = true;
            }
        }
    }
    types
}

fn organisation_type(claim: &str, value: &Value) -> Result<OrganisationType, Wrong> {
    let names = OrganisationType::ALL.map(OrganisationType::name);
    check_text(claim).map_err(|(reason, help)| (format!("the claim's value {reason}"), help))?;
    let (Value::Text(name) | Value::Variable(name)) = value else {
        return Err((format!("is {}, not a string", value.type_name()), format!("use {}", names.join(", "))));
    };
    let organisation = name
        .parse()
        .map_err(|_| (format!("{} is no organisation type", shown(name)), did_you_mean(name, names)))?;
    // A plain name means itself; a table that says otherwise would let in the wrong ones.
    match claim.parse::<OrganisationType>() {
        Ok(itself) if itself != organisation => Err((
            format!("would make {claim} mean {organisation}"),
            "remove it; a plain name means itself".to_owned(),
        )),
        _ => Ok(organisation),
    }
}
