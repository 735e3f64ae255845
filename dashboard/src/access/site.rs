//! From where a request was made: nothing is changed for a page of another site, and its pages only link here.
//!
//! Browsers say so in `Sec-Fetch-Site`, which no page can set; over plain HTTP beyond loopback they leave it out, and older
//! ones do not know it. Then `Origin`, else `Referer`, has to name the host that is asked.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};

use super::Refusal;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Here,
    Elsewhere,
    /// Nothing says it.
    Unknown,
}

/// Refuses what another site may not ask.
pub(super) fn check(request: &Parts) -> Result<(), Refusal> {
    let headers = &request.headers;
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    if reads {
        // A link from anywhere may lead here; nothing else of a page elsewhere may load from here.
        let link = text(headers, &FETCH_MODE) == Some("navigate");
        return if fetched(headers) == Some(From::Elsewhere) && !link { Err(refused("read")) } else { Ok(()) };
    }
    match from(headers) {
        From::Here => Ok(()),
        From::Elsewhere => Err(refused("change anything")),
        From::Unknown => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "Not from a page of the dashboard",
            "the request does not say from which page it comes",
            "Nothing was changed. A program sends the dashboard's own address as the header Origin, such as \
             Origin: http://127.0.0.1:7610.",
        )),
    }
}

fn refused(what: &str) -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        "From another site",
        format!("a page of another site cannot {what} here"),
        "Nothing was changed. Open the dashboard itself. Behind a proxy, let that pass on the header Host.",
    )
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    // What is no text is there all the same.
    headers.get(name).map(|value| value.to_str().unwrap_or(""))
}

/// What the browser itself says.
fn fetched(headers: &HeaderMap) -> Option<From> {
    text(headers, &FETCH_SITE).map(|site| match site {
        "same-origin" | "none" => From::Here,
        _ => From::Elsewhere,
    })
}

fn from(headers: &HeaderMap) -> From {
    let host = text(headers, &header::HOST).unwrap_or_default();
    let here = |page: &str| if is_at(page, host) { From::Here } else { From::Elsewhere };
    fetched(headers)
        .or_else(|| text(headers, &header::ORIGIN).map(here))
        .or_else(|| text(headers, &header::REFERER).map(here))
        .unwrap_or(From::Unknown)
}

/// Whether the address of a page has this host and port.
fn is_at(page: &str, host: &str) -> bool {
    let Ok(page) = page.parse::<Uri>() else { return false };
    let port = match page.scheme_str() {
        Some("http") => ":80",
        Some("https") => ":443",
        _ => return false,
    };
    let without = |authority: &str| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    page.authority().is_some_and(|authority| without(authority.as_str()) == without(host))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn status(method: &Method, headers: &[(&str, &str)]) -> u16 {
        let request = Request::builder().method(method).header("host", "queue.example:7610");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        check(&parts).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn what_changes_comes_from_here() {
        let check = |headers: &[(&str, &str)], expected| {
            for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
                assert_eq!(status(&method, headers), expected, "{method} {headers:?}");
            }
        };
        check(&[("sec-fetch-site", "same-origin")], 200);
        check(&[("sec-fetch-site", "none")], 200);
        check(&[("sec-fetch-site", "same-site")], 403);
        check(&[("sec-fetch-site", "cross-site")], 403);
        check(&[("sec-fetch-site", "anything")], 403);
        check(&[("sec-fetch-site", "cross-site"), ("origin", "http://queue.example:7610")], 403);
        check(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], 403);
        check(&[("origin", "http://queue.example:7610")], 200);
        check(&[("origin", "HTTP://Queue.Example:7610")], 200);
        check(&[("origin", "http://queue.example")], 403);
        check(&[("origin", "http://evil.example:7610")], 403);
        check(&[("origin", "null")], 403);
        check(&[("origin", "")], 403);
        check(&[("origin", "http://evil.example"), ("referer", "http://queue.example:7610/jobs")], 403);
        check(&[("referer", "http://queue.example:7610/jobs?q=a")], 200);
        check(&[("referer", "http://evil.example/queue.example:7610")], 403);
        check(&[("referer", "http://queue.example:7610@evil.example/")], 403);
        check(&[], 403);
    }

    #[test]
    fn other_sites_only_link_here() {
        let check =
            |headers: &[(&str, &str)], expected| assert_eq!(status(&Method::GET, headers), expected, "{headers:?}");
        check(&[], 200);
        check(&[("referer", "http://evil.example/")], 200);
        check(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], 200);
        check(&[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "no-cors")], 200);
        check(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], 403);
        check(&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")], 403);
        check(&[("sec-fetch-site", "cross-site")], 403);
    }

    #[test]
    fn the_port_of_the_scheme_need_not_be_said() {
        for (page, host, same) in [
            ("https://q.example", "q.example:443", true),
            ("https://q.example:443", "q.example", true),
            ("http://q.example", "q.example:80", true),
            ("http://q.example", "q.example:443", false),
            ("https://q.example", "q.example:80", false),
            ("ftp://q.example", "q.example", false),
        ] {
            assert_eq!(is_at(page, host), same, "{page} {host}");
        }
    }
}
