//! The safety kernel: the last word on every write. Fails closed and cannot be gone round.

use crate::model::Planned;

/// An action that passed every check. Only [`admit`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted(Planned);

impl Admitted {
    /// What was admitted; used by the journal to make the intent.
    pub fn into_planned(self) -> Planned {
        self.0
    }

    pub fn planned(&self) -> &Planned {
        &self.0
    }
}
