//! The copy of the list that a client keeps by asking for what changed, and the law that it must obey.

use std::collections::BTreeMap;

use super::logins::{Logins, logins};
use super::process::{Service, agent};

/// How often each status answered.
pub(crate) type Statuses = BTreeMap<u16, u32>;

/// A list, and the tag that names it.
#[derive(Clone)]
pub(crate) struct ListCopy {
    pub(crate) tag: String,
    pub(crate) rows: Logins,
}

impl Default for ListCopy {
    fn default() -> Self {
        Self { tag: r#""""#.to_owned(), rows: Logins::new() }
    }
}

impl ListCopy {
    /// Asks for what changed, and does what the status says; a broken answer changes nothing.
    pub(crate) fn poll(&mut self, address: &str, token: &str) -> Option<u16> {
        let request = agent().get(format!("http://{address}/v1/Logins"));
        let request = request.header("Authorization", format!("Bearer {token}"));
        let request = request.header("A-IM", "feed").header("If-None-Match", &self.tag);
        let mut response = request.call().ok()?;
        let status = response.status().as_u16();
        if ![200, 226, 304].contains(&status) {
            return Some(status);
        }
        let tag = response.headers().get("etag").expect("a tag").to_str().unwrap().to_owned();
        if status != 304 {
            let text = response.body_mut().with_config().limit(1 << 30).read_to_string().ok()?;
            if status == 200 {
                self.rows.clear();
            }
            self.rows.extend(logins(&text));
        }
        self.tag = tag;
        Some(status)
    }

    /// Polls a service that answers to no other client now, and compares with the whole list.
    pub(crate) fn is_right(&mut self, service: &Service, statuses: &mut Statuses, what: &str) {
        let before = self.tag.clone();
        let status = self.poll(&service.address, &service.token).unwrap();
        assert!([200, 226, 304].contains(&status), "{what}: {status}");
        *statuses.entry(status).or_insert(0) += 1;
        let listed = super::logins::listed(service);
        let differ: Vec<_> = listed.iter().filter(|(cvr, row)| self.rows.get(cvr) != Some(row)).collect();
        assert!(
            differ.is_empty() && self.rows.len() == listed.len(),
            "{what}: {status} for {before} led to {} companies of {}, of which the list has otherwise: {differ:?}",
            self.rows.len(),
            listed.len()
        );
    }
}
