//! Tidegate against a local AWS: the real program as a process, judged by what the AWS API and the
//! endpoint's own record of requests say.
//!
//! Rule: no verdict is Tidegate's own. Each test has an account of its own, so all run at once.

#![expect(unreachable_pub, reason = "nothing links to a test binary")]

mod aws;
mod crash;
mod faults;
mod fleets;
mod gate;
mod growing;
mod harness;
mod leaving;
mod proxy;
mod sharing;
mod watching;
