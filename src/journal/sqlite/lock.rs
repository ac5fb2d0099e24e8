//! One writer: a lock file that names its holder.
//!
//! Rule: the operating system's lock decides, the text in the file only informs, so a file left
//! behind by a killed process holds nobody up.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use crate::journal::JournalError;

/// Held until dropped or until the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Self, JournalError> {
        let storage = |e: std::io::Error| JournalError::Storage(format!("{}: {e}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(storage)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(storage)?;
                return Err(JournalError::InUse(holder.trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(storage(error)),
        }
        file.set_len(0).map_err(storage)?;
        writeln!(file, "process {}", std::process::id()).map_err(storage)?;
        Ok(Self { _file: file })
    }
}
