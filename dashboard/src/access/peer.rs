//! From which address a request comes, and whether the browser spoke HTTPS.
//!
//! A proxy's word counts only where its address is among those that are trusted; anybody else could say what they like.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// `None` where whoever brought the listener does not say.
    pub(super) address: Option<IpAddr>,
    pub(super) https: bool,
}

impl Peer {
    pub(super) fn of(request: &Parts, trusted: &[IpAddr]) -> Self {
        let connected = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        Self::behind(connected, &request.headers, trusted)
    }

    fn behind(connected: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpAddr]) -> Self {
        let trusts = |address: &IpAddr| trusted.contains(address);
        if !connected.as_ref().is_some_and(trusts) {
            return Self { address: connected, https: false };
        }
        // Each proxy adds behind the others whom it was asked by: the last that is no proxy of ours is the browser.
        let named = listed(headers, &FORWARDED_FOR).into_iter().rev().map(|word| word.parse::<IpAddr>().ok());
        let first = named
            .map(|address| address.map(|address| address.to_canonical()))
            .find(|address| !address.as_ref().is_some_and(trusts));
        let https = listed(headers, &FORWARDED_PROTO).last().is_some_and(|word| word.eq_ignore_ascii_case("https"));
        Self { address: first.flatten().or(connected), https }
    }

    /// What is counted as one: an address, or the network that one customer has of the longer ones.
    pub(super) fn counted(&self) -> Option<IpAddr> {
        self.address.map(|address| match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(long) => IpAddr::V6((long.to_bits() >> 64 << 64).into()),
        })
    }
}

fn listed<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    let texts = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or(""));
    texts.flat_map(|text| text.split(',')).map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let at = |text: &str| text.parse::<IpAddr>().expect("an address");
        let check = |connected: &str, forwarded: &str, address: &str, https: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_FOR, forwarded.parse().expect("text"));
            headers.insert(FORWARDED_PROTO, "https".parse().expect("text"));
            let peer = Peer::behind(Some(at(connected)), &headers, &[at("10.0.0.1"), at("10.0.0.2")]);
            assert_eq!(peer, Peer { address: Some(at(address)), https }, "{connected} {forwarded}");
        };
        check("192.0.2.1", "198.51.100.1", "192.0.2.1", false);
        check("10.0.0.1", "198.51.100.1", "198.51.100.1", true);
        check("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1", true);
        check("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1", true);
        check("10.0.0.1", "anything", "10.0.0.1", true);
        check("10.0.0.1", "10.0.0.2", "10.0.0.1", true);
        let peer = Peer { address: Some(at("2001:db8:1:2:3::4")), https: false };
        assert_eq!(peer.counted(), Some(at("2001:db8:1:2::")));
    }
}
