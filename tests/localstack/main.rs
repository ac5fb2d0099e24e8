//! Tidegate against a local AWS: the real program as a process, judged by what the AWS API and the
//! endpoint's own record of requests say.
//!
//! Rule: no verdict is Tidegate's own. Each test has an account of its own, so all run at once.

#![expect(unreachable_pub, reason = "nothing links to a test binary")]

mod aws;
mod crash;
#[path = "../../localstack/dataplane/mod.rs"]
#[allow(dead_code, reason = "the program of the same name uses the rest")]
mod dataplane;
mod demo;
mod faults;
mod fleets;
mod following;
mod footing;
mod forwarding;
mod gate;
mod growing;
#[path = "../guides/mod.rs"]
mod guides;
mod handback;
mod harness;
mod hearing;
#[path = "../iam/mod.rs"]
mod iam;
mod leaving;
mod monolith;
mod permitted;
mod proxy;
mod release;
mod replicas;
mod sharing;
mod takeover;
mod watching;
