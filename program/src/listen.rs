//! Where a program listens: reading and resolving the address, and the rule beyond loopback.
//!
//! Invariant: beyond loopback nothing listens for which nobody said that it may.

use std::net::{Ipv4Addr, SocketAddr};

use queue_core::model::{Error, Word, fragment};
use tokio::net::TcpListener;

/// An address as somebody gave it.
#[derive(Clone, Copy, Debug)]
pub struct Listen<'a> {
    /// The setting that has it, without dashes.
    pub flag: &'a str,
    /// `HOST:PORT`; port 0 takes any that is free.
    pub address: &'a str,
    /// A good one, to name in errors.
    pub usual: &'a str,
    /// Why an address beyond loopback is refused, as what is allowed instead; `None` where it is not.
    pub loopback_only: Option<&'a str>,
}

impl Listen<'_> {
    /// Listens there.
    ///
    /// # Errors
    ///
    /// `BADARG` for an address that is none, or one beyond loopback that is not allowed; `STATE` for one that is taken.
    pub async fn bind(self) -> Result<TcpListener, Error> {
        let Self { flag, address, .. } = self;
        let resolved = self.resolve().await?;
        if let (false, Some(allowed)) = (resolved.ip().is_loopback(), self.loopback_only) {
            return Err(Error::bad_arg(flag, address, allowed));
        }
        TcpListener::bind(resolved).await.map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::AddrInUse => format!("; another address: --{flag} HOST:PORT"),
                _ => String::new(),
            };
            Error::new(Word::State, format!("cannot listen on {address}: {}{hint}", fragment(&error)))
        })
    }

    /// A name of several addresses is taken at the first, but `localhost` where clients look for it.
    async fn resolve(self) -> Result<SocketAddr, Error> {
        let Self { flag, address, usual, .. } = self;
        let none = || Error::bad_arg(flag, address, &format!("HOST:PORT, such as {usual}"));
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) {
            return Err(none());
        }
        let unknown = |error| Error::new(Word::BadArg, format!("{flag} is {address}: {}", fragment(&error)));
        let found: Vec<_> = tokio::net::lookup_host(address).await.map_err(unknown)?.collect();
        let usual = found.iter().find(|found| found.ip() == Ipv4Addr::LOCALHOST);
        usual.or(found.first()).copied().ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(address: &str, loopback_only: Option<&str>, expected: &str) {
        let listen = Listen { flag: "admin", address, usual: "127.0.0.1:7601", loopback_only };
        let error = listen.bind().await.expect_err(address);
        assert!(error.message.starts_with(expected), "{}", error.message);
    }

    #[tokio::test]
    async fn addresses_that_will_not_do_are_named_with_what_will() {
        for address in ["7601", ":7601", "localhost", "localhost:x", "localhost:70000", ""] {
            let shown = if address.is_empty() { "empty" } else { address };
            check(address, None, &format!("admin is {shown}; allowed: HOST:PORT, such as 127.0.0.1:7601")).await;
        }
        let guard = Some("a loopback address; beyond it a password");
        check("0.0.0.0:0", guard, "admin is 0.0.0.0:0; allowed: a loopback address; beyond it a password").await;
        check("[::]:0", guard, "admin is [::]:0; allowed: a loopback address; beyond it a password").await;
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named_with_what_to_do() {
        let any = Listen { flag: "admin", address: "localhost:0", usual: "127.0.0.1:7601", loopback_only: Some("one") };
        let taken = any.bind().await.expect("a free one").local_addr().expect("an address");
        assert_eq!(taken.ip(), Ipv4Addr::LOCALHOST);
        let again = any.bind().await.expect("another free one");
        let address = again.local_addr().expect("an address").to_string();
        let said = format!("cannot listen on {address}: address already in use; another address: --admin HOST:PORT");
        check(&address, None, &said).await;
    }
}
