//! Where notifications may go.
//!
//! Rule: https only, but for this machine; never to the addresses where a machine finds its own
//! credentials. A name is judged by what it resolves to, at each connection.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Why nothing is sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it is no address of a web server; write `https://HOST/PATH`")]
    NoUrl,
    #[error("it has a user or a password in it; use the signature instead")]
    UserInside,
    #[error("it is not https; plain http goes only to `localhost`, `127.0.0.1` and `[::1]`")]
    NotSecure,
    #[error("it is link-local, unspecified or multicast: nobody is told there")]
    Reserved,
}

/// The address, if something may be sent there as far as it can be told without a look-up.
pub(super) fn check(text: &str) -> Result<Url, Refused> {
    let url = Url::parse(text).map_err(|_| Refused::NoUrl)?;
    let host = url.host_str().ok_or(Refused::NoUrl)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::UserInside);
    }
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    if literal.is_some_and(is_reserved) {
        return Err(Refused::Reserved);
    }
    let here = literal.map_or(host == "localhost", |ip| ip.to_canonical().is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if here => Ok(url),
        "http" => Err(Refused::NotSecure),
        _ => Err(Refused::NoUrl),
    }
}

/// IPv6 address of the metadata of an EC2 instance. Source:
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

fn is_reserved(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast()
        }
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast() || ip == METADATA
        }
    }
}

/// Looks names up, and gives none of the addresses of a name that has a refused one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged;

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<_> = found.collect();
            judge(name.as_str(), &found)?;
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

fn judge(name: &str, found: &[SocketAddr]) -> Result<(), Refused> {
    let elsewhere = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
    if found.iter().any(|address| is_reserved(address.ip())) {
        return Err(Refused::Reserved);
    }
    if name == "localhost" && found.iter().any(elsewhere) {
        return Err(Refused::NotSecure);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_told() {
        for (address, want) in [
            ("https://hooks.example.com/x", Ok(())),
            ("https://10.0.0.7/x", Ok(())),
            ("http://localhost:9000/x", Ok(())),
            ("http://127.0.0.1/x", Ok(())),
            ("http://[::1]:80/x", Ok(())),
            ("http://hooks.example.com/x", Err(Refused::NotSecure)),
            ("http://localhost.example.com/x", Err(Refused::NotSecure)),
            ("http://127.0.0.1@hooks.example.com/x", Err(Refused::UserInside)),
            ("https://ops:pw@hooks.example.com/", Err(Refused::UserInside)),
            ("https://169.254.169.254/latest", Err(Refused::Reserved)),
            ("https://0xa9fea9fe/latest", Err(Refused::Reserved)),
            ("https://2852039166/latest", Err(Refused::Reserved)),
            ("https://[::ffff:169.254.169.254]/", Err(Refused::Reserved)),
            ("https://[fd00:ec2::254]/", Err(Refused::Reserved)),
            ("https://[fe80::1]/", Err(Refused::Reserved)),
            ("http://0.0.0.0/", Err(Refused::Reserved)),
            ("ftp://hooks.example.com/", Err(Refused::NoUrl)),
            ("hooks.example.com", Err(Refused::NoUrl)),
        ] {
            assert_eq!(check(address).map(|_| ()), want, "{address}");
        }
    }

    #[test]
    fn a_name_is_judged_by_all_it_resolves_to() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 0);
        let public = [at("203.0.113.7"), at("2001:db8::7")];
        assert_eq!(judge("hooks.example.com", &public), Ok(()));
        let rebound = [at("203.0.113.7"), at("169.254.170.2")];
        assert_eq!(judge("hooks.example.com", &rebound), Err(Refused::Reserved));
        assert_eq!(judge("localhost", &[at("127.0.0.1"), at("::1")]), Ok(()));
        assert_eq!(judge("localhost", &[at("203.0.113.7")]), Err(Refused::NotSecure));
    }
}
