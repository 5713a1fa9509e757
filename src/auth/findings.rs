//! Where the checks of a token report what they find.
//!
//! The service stops at the first finding, `explain` collects all of them: each rule is written once, for both.

/// Receives the findings of a check.
pub(super) trait Findings<E> {
    /// Reports a broken rule. An error stops the check.
    fn report(&mut self, error: E) -> Result<(), E>;

    /// The value, or an empty one where the finding does not stop the check.
    fn recover<T: Default>(&mut self, value: Result<T, E>) -> Result<T, E> {
        value.or_else(|error| self.report(error).map(|()| T::default()))
    }
}

/// Stops at the first finding.
pub(super) struct First;

impl<E> Findings<E> for First {
    fn report(&mut self, error: E) -> Result<(), E> {
        Err(error)
    }
}

/// Collects all findings.
#[derive(Default)]
pub(super) struct All(pub(super) Vec<String>);

impl<E: ToString> Findings<E> for All {
    fn report(&mut self, error: E) -> Result<(), E> {
        self.0.push(error.to_string());
        Ok(())
    }
}
