//! The names under which the dashboard answers.
//!
//! A page from elsewhere can have its own name lead to this machine (DNS rebinding), and a browser would then take it for
//! one of ours. So what is asked under a name that nobody configured is refused, whoever asks.

use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use queue_core::model::Error;

use super::Refusal;

/// The names and addresses that are ours beside loopback's, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    /// The names that are configured, and the address that is listened on.
    ///
    /// # Errors
    ///
    /// `BADARG` for what is no name and no address.
    pub(crate) fn new(names: &[String], listen: &str) -> Result<Self, Error> {
        let allowed = "a name or an address as browsers have it, without a port, such as queue.example.org";
        let named = names.iter().map(|name| plain(name).ok_or_else(|| Error::bad_arg("host", name, allowed)));
        let mut hosts = named.collect::<Result<Vec<_>, _>>()?;
        // Where every address is listened on, none of them is known by its name.
        hosts.extend(of(listen).filter(|host| !host.parse().is_ok_and(|address: IpAddr| address.is_unspecified())));
        Ok(Self(hosts))
    }

    fn has(&self, host: &str) -> bool {
        let loopback = |address: IpAddr| address.to_canonical().is_loopback();
        host == "localhost" || host.parse().is_ok_and(loopback) || self.0.iter().any(|ours| ours == host)
    }

    /// Refuses a request that names another host, or not one.
    pub(super) fn check(&self, request: &Parts) -> Result<(), Refusal> {
        let mut named = request.headers.get_all(header::HOST).iter();
        let (first, second) = (named.next().and_then(|host| host.to_str().ok()), named.next());
        let (Some(first), None) = (first, second) else {
            let advice = "Send one header Host with the name or address of the dashboard.";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "No host", "the request does not name one host", advice));
        };
        // A request may name its host twice, as a proxy's does; then both have to be ours.
        let whole = request.uri.authority().map(Authority::as_str);
        match std::iter::once(first).chain(whole).find(|host| !of(host).is_some_and(|host| self.has(&host))) {
            None => Ok(()),
            Some(other) => Err(elsewhere(other)),
        }
    }
}

fn elsewhere(host: &str) -> Refusal {
    let shown: String = host.chars().take(255).collect();
    let name = of(host).unwrap_or_else(|| "NAME".to_owned());
    let advice = format!(
        "If this is a name of the dashboard, start it with --host {name}. If you did not type that name, leave the page \
         that led here."
    );
    let message = format!("this dashboard is not known as {shown}");
    Refusal::new(StatusCode::MISDIRECTED_REQUEST, "Another host is meant", message, advice)
}

/// The host of `HOST` or `HOST:PORT`, in one spelling.
fn of(authority: &str) -> Option<String> {
    let parsed: Authority = authority.parse().ok().filter(|_| !authority.contains('@'))?;
    let host = parsed.host();
    let port = authority.get(host.len()..)?;
    if !port.is_empty() && port.strip_prefix(':').is_none_or(|port| port.parse::<u16>().is_err()) {
        return None;
    }
    plain(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
}

/// A host without a port, in one spelling: an address as it is written shortest, a name in lower case without the dot
/// that may end it.
fn plain(host: &str) -> Option<String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!name.is_empty() && name.bytes().all(fits)).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn check(hosts: &Hosts, uri: &str, named: &[&str]) -> u16 {
        let request = named.iter().fold(Request::get(uri), |request, host| request.header(header::HOST, *host));
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        hosts.check(&parts).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_names_of_ours_are_answered() {
        let names = ["Queue.Example.org.".to_owned(), "10.0.0.7".to_owned(), "fe80::1".to_owned()];
        let hosts = Hosts::new(&names, "192.168.1.5:7610").expect("sound names");
        let ours = [
            "localhost",
            "LOCALHOST:1",
            "localhost.",
            "127.0.0.1:7610",
            "127.9.9.9",
            "[::1]:7610",
            "[::1]",
            "10.0.0.7",
            "queue.example.org:443",
            "[fe80::1]:1",
            "192.168.1.5",
            "[::ffff:127.0.0.1]",
        ];
        for host in ours {
            assert_eq!(check(&hosts, "/", &[host]), 200, "{host}");
        }
        let others = [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "example.org",
            "0.0.0.0",
            "10.0.0.8",
            "a@localhost",
            "localhost:x",
            "localhost:99999",
            "evil.example:7610",
            "[::2]",
            "local host",
            "127.1",
            "",
        ];
        for host in others {
            assert_eq!(check(&hosts, "/", &[host]), 421, "{host}");
        }
        assert_eq!(check(&hosts, "/", &[]), 400);
        assert_eq!(check(&hosts, "/", &["localhost", "localhost"]), 400);
        assert_eq!(check(&hosts, "http://localhost/", &["localhost"]), 200);
        assert_eq!(check(&hosts, "http://evil.example/", &["localhost"]), 421);
    }

    #[test]
    fn an_address_of_all_is_no_name() {
        let hosts = Hosts::new(&[], "0.0.0.0:7610").expect("sound");
        assert_eq!(check(&hosts, "/", &["0.0.0.0:7610"]), 421);
        let refusal = elsewhere("Evil.example:80");
        assert!(refusal.advice.contains("--host evil.example."), "{}", refusal.advice);
        for name in ["", "a b", "a:1", "http://a", "a/b"] {
            let error = Hosts::new(&[name.to_owned()], "127.0.0.1:1").expect_err(name);
            assert!(error.message.starts_with("host is "), "{}", error.message);
        }
    }
}
