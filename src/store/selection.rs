//! Which companies an erasure is about.

use super::record::Record;
use crate::domain::cvr::Cvr;
use crate::domain::timestamp::Timestamp;

/// Companies to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These; see [`Selection::of`].
    Companies(Vec<Cvr>),
    /// All whose latest login is before this time.
    LastBefore(Timestamp),
}

impl Selection {
    /// These companies, in any order.
    pub fn of(mut companies: Vec<Cvr>) -> Self {
        companies.sort_unstable();
        companies.dedup();
        Self::Companies(companies)
    }

    pub(super) fn covers(&self, record: &Record) -> bool {
        match self {
            Self::Companies(companies) => companies.binary_search(&record.cvr).is_ok(),
            Self::LastBefore(time) => record.login.last() < *time,
        }
    }
}
