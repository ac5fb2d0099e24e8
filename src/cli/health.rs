//! `tidegate health`: whether the server on this machine is to be replaced, for what runs it.
//!
//! Rule: nothing but 0 and 1, which is all that health checks of containers know.

use serde::{Deserialize, Serialize};

use super::exit::{Exit, Failure};
use super::output::Output;
use super::remote::{Remote, Where};

#[derive(Debug, Deserialize, Serialize)]
struct Health {
    status: String,
}

pub(super) async fn health(at: Where, output: Output) -> Result<Exit, Failure> {
    let health = asked(&at).await.map_err(|failure| Failure { exit: Exit::Failed, ..failure })?;
    output.result(&health, || health.status.clone());
    Ok(Exit::Ok)
}

async fn asked(at: &Where) -> Result<Health, Failure> {
    Remote::must(at).await?.get("/livez").await
}
