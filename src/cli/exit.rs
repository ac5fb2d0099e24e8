//! How a command ended, for scripts: one table, printed under `--help`.

use std::process::ExitCode;

use serde::Serialize;

/// The table shown to people; [`Exit`] is the same for the program.
pub(super) const TABLE: &str = "\
Exit codes:
   0  done, or nothing to do
   1  failed, or refused
   2  changes are pending (only `plan --detailed-exitcode`)
   3  blocked: the order stands, but something keeps it from taking effect; or a cutover waits for
      a person
  64  wrong usage
  69  the server, or AWS, cannot be reached
  75  try again later
  77  not permitted
  78  the configuration is not valid";

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    ChangesPending = 2,
    Blocked = 3,
    Usage = 64,
    Unreachable = 69,
    RetryLater = 75,
    NotPermitted = 77,
    BadConfig = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked, and what to do about it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Failure {
    pub exit: Exit,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What to do where the table of the configuration is missing.
const NO_TABLE: &str = "create it with cloudformation/journal-table.yaml, or name another under \
                        `journal` in the configuration";

impl From<crate::access::LedgerError> for Failure {
    fn from(error: crate::access::LedgerError) -> Self {
        use crate::access::LedgerError;
        let (exit, hint) = match &error {
            LedgerError::InUse => {
                (Exit::RetryLater, "a server runs on this state: give its address with --server")
            }
            LedgerError::Newer { .. } => {
                (Exit::Failed, "use the version that wrote it, or a later one")
            }
            LedgerError::Broken(_) => (
                Exit::Failed,
                "somebody wrote to it: keep the file `access.record`, or the items `#access` of the \
                 table, for inspection and move them away; a new record begins, and no token that \
                 was handed out counts any more",
            ),
            LedgerError::NoTable(_) => (Exit::Failed, NO_TABLE),
            LedgerError::Taken(_) => {
                (Exit::Failed, "choose another name, or revoke that token first")
            }
            LedgerError::Storage(_) => (
                Exit::Failed,
                "check space and permissions of the state directory, or whether the table of the \
                 configuration can be reached",
            ),
        };
        Self::new(exit, error.to_string()).hint(hint)
    }
}

impl From<crate::journal::JournalError> for Failure {
    fn from(error: crate::journal::JournalError) -> Self {
        use crate::journal::JournalError;
        let hint = match &error {
            JournalError::Deposed(_) => "ask the replica that leads",
            JournalError::NoTable(_) => NO_TABLE,
            JournalError::InUse(_) => "a server runs on this state: give its address with --server",
            JournalError::Newer { .. } => "use the version that wrote it, or a later one",
            JournalError::Damaged(_) => {
                "keep it for inspection and start with another --state, or another table: every \
                 cluster begins in observe mode there"
            }
            JournalError::Storage(_) => {
                "check space and permissions of the state directory, or whether the table of the \
                 configuration can be reached"
            }
        };
        let exit = match &error {
            JournalError::InUse(_) | JournalError::Deposed(_) => Exit::RetryLater,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string()).hint(hint)
    }
}
