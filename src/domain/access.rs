//! The table of "Tilladte organisationer": who may call which method, and why.
//!
//! The table is data (`config/access.toml`); this module holds its vocabulary and the one decision made with
//! it. What the table does not name is denied, and every decision carries its reason. Does not: read tokens.

use std::fmt;

use strum::{Display, EnumCount, EnumMessage, EnumString, IntoStaticStr};

/// A method of the contract, by its name on the page, in the access table, the audit line and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumCount, EnumString, IntoStaticStr)]
pub enum Method {
    /// `GET /v1/Login`: one company.
    GetLogin,
    /// `PUT /v1/Login/{CvrNummer}`: a company logged in.
    SetLogin,
    /// `GET /v1/Logins`: all companies.
    GetLogins,
}

/// The kind of organisation that calls, by its name in tokens, in the configuration and on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumCount, EnumString, IntoStaticStr)]
pub enum OrganisationType {
    /// An unemployment fund.
    #[strum(to_string = "A-kasse")]
    AKasse,
    /// A municipal job centre.
    JobCenter,
    /// The labour-market agency itself.
    #[strum(to_string = "STAR")]
    Star,
}

/// The capacity in which the caller acts: a column of the table, by its name in tokens and configuration. Each comment is the
/// column's heading on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumCount, EnumMessage, EnumString, IntoStaticStr)]
pub enum AccessMode {
    /// Alle borgere
    AlleBorgere,
    /// Egne borgere
    EgneBorgere,
    /// Tidligere egne borgere
    TidligereEgneBorgere,
    /// Gæsteadgang
    Gaesteadgang,
    /// Anden Aktør - egne borgere
    AndenAktoerEgneBorgere,
    /// Anden Aktør - gæsteadgang
    AndenAktoerGaesteadgang,
    /// Anden Aktør - alle borgere
    AndenAktoerAlleBorgere,
    /// System - alle borgere
    SystemAlleBorgere,
}

impl Method {
    /// Every method, in the order of the contract's page.
    pub const ALL: [Self; Self::COUNT] = [Self::GetLogin, Self::SetLogin, Self::GetLogins];

    /// The same name as [`fmt::Display`] writes.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The scope that a token must carry, spelled as on the page (sic).
    pub const fn scope(self) -> &'static str {
        match self {
            Self::GetLogin | Self::GetLogins => "virksomhedsinstats.login.read",
            Self::SetLogin => "virksomhedsinstats.login.write",
        }
    }
}

impl OrganisationType {
    /// Every organisation type, in the order of the contract's page.
    pub const ALL: [Self; Self::COUNT] = [Self::AKasse, Self::JobCenter, Self::Star];

    /// The same name as [`fmt::Display`] writes.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl AccessMode {
    /// Every access mode, in the order of the page's columns.
    pub const ALL: [Self; Self::COUNT] = [
        Self::AlleBorgere,
        Self::EgneBorgere,
        Self::TidligereEgneBorgere,
        Self::Gaesteadgang,
        Self::AndenAktoerEgneBorgere,
        Self::AndenAktoerGaesteadgang,
        Self::AndenAktoerAlleBorgere,
        Self::SystemAlleBorgere,
    ];

    /// The same name as [`fmt::Display`] writes.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether it says that an "Anden Aktør" acts, whom a token must then name.
    pub fn needs_actor(self) -> bool {
        self.name().starts_with("AndenAktoer")
    }

    /// The column's heading on the page.
    pub fn heading(self) -> &'static str {
        self.get_documentation().unwrap_or_default()
    }
}

/// Access modes, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccessModes(u16);

const _: () = assert!(AccessMode::ALL.len() <= 16, "one bit a mode");

impl AccessModes {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// The same set with this mode in it.
    #[must_use]
    pub const fn with(self, mode: AccessMode) -> Self {
        Self(self.0 | 1 << mode as u8)
    }

    /// Whether the mode is in the set.
    pub const fn contains(self, mode: AccessMode) -> bool {
        self.0 & (1 << mode as u8) != 0
    }

    /// Whether no mode is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The modes in the set, in the order of the page's columns.
    pub fn iter(self) -> impl Iterator<Item = AccessMode> {
        AccessMode::ALL.into_iter().filter(move |mode| self.contains(*mode))
    }
}

impl FromIterator<AccessMode> for AccessModes {
    fn from_iter<I: IntoIterator<Item = AccessMode>>(modes: I) -> Self {
        modes.into_iter().fold(Self::NONE, Self::with)
    }
}

/// The loaded table: which access modes let which organisation type call which method.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessTable {
    rows: [[AccessModes; OrganisationType::ALL.len()]; Method::ALL.len()],
}

impl AccessTable {
    /// A table that denies everything.
    pub fn deny_all() -> Self {
        Self::default()
    }

    /// Allows exactly these access modes.
    pub fn set(&mut self, method: Method, organisation: OrganisationType, modes: AccessModes) {
        self.rows[method as usize][organisation as usize] = modes;
    }

    /// The allowed access modes.
    pub fn allowed(&self, method: Method, organisation: OrganisationType) -> AccessModes {
        self.rows[method as usize][organisation as usize]
    }

    /// Whether the caller may call the method, and why: one claimed mode that the table allows is enough, and the first in
    /// the order of the page's columns is the reason.
    pub fn decide(&self, method: Method, organisation: OrganisationType, claimed: AccessModes) -> Reason {
        let row = self.allowed(method, organisation);
        match claimed.iter().find(|mode| row.contains(*mode)) {
            Some(mode) => Reason::Rule(method, organisation, mode),
            None if row.is_empty() => Reason::OrganisationNotAllowed(method, organisation),
            None if claimed.is_empty() => Reason::UnknownMode(method, organisation),
            None => Reason::ModeNotAllowed(method, organisation, claimed),
        }
    }
}

/// Why a caller is let in or not. For logs and `explain`, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The table allows this access mode.
    Rule(Method, OrganisationType, AccessMode),
    /// The table allows no access mode at all.
    OrganisationNotAllowed(Method, OrganisationType),
    /// The caller claims no access mode that the service knows.
    UnknownMode(Method, OrganisationType),
    /// The table allows access modes, but none of those that the caller claims.
    ModeNotAllowed(Method, OrganisationType, AccessModes),
}

impl Reason {
    /// Whether it lets the caller in.
    pub const fn allows(&self) -> bool {
        matches!(self, Self::Rule(..))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // In the audit line of nearly every call, where a format string would take ten times as long.
            Self::Rule(method, row, mode) => {
                f.write_str(&[method.name(), ".", row.name(), " allows ", mode.name()].concat())
            }
            Self::OrganisationNotAllowed(method, row) => write!(f, "{method}.{row} allows no access mode"),
            Self::UnknownMode(method, row) => write!(f, "{method}.{row}: no known access mode was claimed"),
            Self::ModeNotAllowed(method, row, claimed_modes) => {
                let claimed: Vec<_> = claimed_modes.iter().map(AccessMode::name).collect();
                write!(f, "{method}.{row} does not allow {}", claimed.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access_table() -> AccessTable {
        let mut access_table = AccessTable::deny_all();
        let modes = [AccessMode::AlleBorgere, AccessMode::EgneBorgere].into_iter().collect();
        access_table.set(Method::GetLogin, OrganisationType::JobCenter, modes);
        access_table
    }

    fn reason(organisation: OrganisationType, claimed_modes: &[AccessMode]) -> (bool, String) {
        let reason =
            access_table().decide(Method::GetLogin, organisation, claimed_modes.iter().copied().collect());
        (reason.allows(), reason.to_string())
    }

    #[test]
    fn names_are_read_exactly() {
        for mode in AccessMode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
            assert!(mode.name().to_lowercase().parse::<AccessMode>().is_err());
        }
        for organisation in OrganisationType::ALL {
            assert_eq!(organisation.name().parse(), Ok(organisation));
            assert!(format!(" {organisation}").parse::<OrganisationType>().is_err());
        }
        for method in Method::ALL {
            assert_eq!(method.name().parse(), Ok(method));
        }
    }

    #[test]
    fn one_allowed_mode_is_enough_and_is_the_reason() {
        assert_eq!(
            reason(OrganisationType::JobCenter, &[AccessMode::SystemAlleBorgere, AccessMode::EgneBorgere]),
            (true, "GetLogin.JobCenter allows EgneBorgere".to_owned())
        );
    }

    #[test]
    fn denial_names_what_was_lacking() {
        assert_eq!(
            reason(OrganisationType::Star, &[AccessMode::AlleBorgere]),
            (false, "GetLogin.STAR allows no access mode".to_owned())
        );
        assert_eq!(
            reason(OrganisationType::JobCenter, &[]),
            (false, "GetLogin.JobCenter: no known access mode was claimed".to_owned())
        );
        assert_eq!(
            reason(OrganisationType::JobCenter, &[AccessMode::Gaesteadgang, AccessMode::SystemAlleBorgere]),
            (false, "GetLogin.JobCenter does not allow Gaesteadgang, SystemAlleBorgere".to_owned())
        );
    }

    #[test]
    fn empty_table_denies_everything() {
        let everything = AccessMode::ALL.into_iter().collect();
        for method in Method::ALL {
            for organisation in OrganisationType::ALL {
                assert!(!AccessTable::deny_all().decide(method, organisation, everything).allows());
            }
        }
    }
}
