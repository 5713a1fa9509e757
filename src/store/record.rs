//! The record that every store keeps.

use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;

/// One company and its logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The company.
    pub cvr: Cvr,
    /// Its first and its latest login.
    pub login: LoginSpan,
}

/// Sorts records by company and merges those of the same one.
pub(crate) fn merge_by_company(logins: &mut Vec<Record>) {
    logins.sort_unstable_by_key(|record| record.cvr);
    logins.dedup_by(|next, kept| {
        let same = next.cvr == kept.cvr;
        if same {
            kept.login = kept.login.merge(next.login);
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::Timestamp;

    #[test]
    fn logins_of_one_company_become_one_record() {
        let at = |number, millis| Record {
            cvr: Cvr::from_number(number).unwrap(),
            login: LoginSpan::at(Timestamp::from_millis(millis).unwrap()),
        };
        let mut logins = vec![at(7, 5), at(3, 9), at(7, 2), at(3, 9), at(7, 8)];
        merge_by_company(&mut logins);
        let merged: Vec<_> = logins
            .iter()
            .map(|record| (record.cvr.number(), record.login.first().millis(), record.login.last().millis()))
            .collect();
        assert_eq!(merged, [(3, 9, 9), (7, 2, 8)]);
    }
}
