//! The data plane of the local AWS as a program, beside `localstack/start`.
//!
//! Rule: everything it does is in the modules; this only reads the command line.

#![expect(unreachable_pub, reason = "nothing links to an example")]
#![expect(clippy::print_stdout, reason = "a program for people")]

#[path = "mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod dataplane;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use dataplane::load::{Load, Plan};
use dataplane::processes::{Launch, end_with_parent};
use dataplane::programs::{self, Faults};
use dataplane::{DataPlane, Settings};

#[derive(Debug, Parser)]
#[command(about = "Forwards real HTTP by the load balancers of the local AWS")]
enum Command {
    /// Follow one account: its tasks become processes, its listeners listen.
    Run {
        #[arg(long, default_value = "http://127.0.0.1:4566")]
        endpoint: String,
        /// The access key: any 12 digits.
        #[arg(long, default_value = "000000000000")]
        account: String,
        #[arg(long, default_value = "us-east-1")]
        region: String,
        /// A listener on port 80 is at 127.0.0.1 and this port more.
        #[arg(long, default_value_t = 10_000)]
        port_offset: u16,
        /// In a tenth of AWS's time.
        #[arg(long)]
        compressed: bool,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Be one of the demo's programs: api, users, threads or posts.
    Serve {
        #[arg(env = "PROGRAM")]
        name: String,
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// End when standard input does.
        #[arg(long)]
        with_parent: bool,
    },
    /// Send requests to all routes of the tutorial, and judge the answers; Ctrl-C ends it early.
    Load {
        /// Such as 127.0.0.1:10080.
        to: SocketAddr,
        #[arg(long, default_value_t = 200)]
        per_second: u32,
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match Command::parse() {
        Command::Run { endpoint, account, region, port_offset, compressed, seed } => {
            tracing_subscriber::fmt().init();
            let settings = if compressed { Settings::compressed() } else { Settings::default() };
            let settings = Settings { port_offset: Some(port_offset), seed, ..settings };
            let arguments = ["serve".to_owned(), "--with-parent".to_owned()].to_vec();
            let launch = Launch { command: std::env::current_exe()?, arguments };
            let plane = DataPlane::start(&endpoint, &account, &region, launch, settings)?;
            tell_addresses(&plane).await;
        }
        Command::Serve { name, port, with_parent } => {
            if with_parent {
                end_with_parent();
            }
            programs::serve(&name, port, Faults::of(|name| std::env::var(name).ok())).await?;
        }
        Command::Load { to, per_second, seconds } => {
            let plan =
                Plan { at_most: Duration::from_secs(seconds), ..Plan::tutorial(to, per_second) };
            let load = Load::start(plan)?;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            println!("{:#?}", load.stop().await);
        }
    }
    Ok(())
}

/// Prints where listeners listen as they come, until the program is stopped.
async fn tell_addresses(plane: &DataPlane) {
    let mut told = 0;
    let show = async {
        loop {
            let addresses = plane.addresses();
            if addresses.len() != told {
                told = addresses.len();
                println!("{addresses:#?}");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = show => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
