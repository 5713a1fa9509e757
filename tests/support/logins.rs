//! What a running service lists, and when it dies.

use std::collections::BTreeMap;

use virksomhedslogin::testing::Timestamp;

use super::process::{Service, agent};

/// CVR number → first and last login in milliseconds.
pub(crate) type Logins = BTreeMap<u32, (i64, i64)>;

/// Everything that the service lists; nothing when the connection breaks.
pub(crate) fn list(address: &str, token: &str) -> Option<Logins> {
    let request = agent().get(format!("http://{address}/v1/Logins"));
    let mut response = request.header("Authorization", format!("Bearer {token}")).call().ok()?;
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string().ok()?;
    Some(logins(&text))
}

/// What an answer of GetLogins says.
pub(crate) fn logins(text: &str) -> Logins {
    let body: serde_json::Value = serde_json::from_str(text).unwrap();
    let millis =
        |row: &serde_json::Value, name: &str| Timestamp::parse(row[name].as_str().unwrap()).unwrap().millis();
    let rows = body["virksomheder"].as_array().unwrap_or_else(|| panic!("{text}")).iter();
    rows.map(|row| {
        let cvr = row["cvrNummer"].as_str().unwrap().parse().unwrap();
        (cvr, (millis(row, "tidligsteLoginTidspunkt"), millis(row, "senesteLogintidspunkt")))
    })
    .collect()
}

/// What a running service lists.
pub(crate) fn listed(service: &Service) -> Logins {
    list(&service.address, &service.token).unwrap()
}

/// Kills the process as `kill -9` does.
pub(crate) fn kill(service: &mut Service) {
    service.child.kill().unwrap();
    service.child.wait().unwrap();
}
