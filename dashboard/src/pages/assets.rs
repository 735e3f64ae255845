//! `/assets/…`: script and style, for good.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use queue_core::model::Error;

use crate::assets::ASSETS;
use crate::encoding::Encoding;
use crate::visit::{Shown, Visit};

/// A name has a checksum in it, so what stands under it never changes.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

pub(crate) async fn file(visit: &Visit) -> Result<Shown, Error> {
    let name = visit.segment("file");
    let found = ASSETS.iter().find(|asset| asset.served == name);
    Ok(Shown::Other(match found {
        Some(asset) => {
            let (encoding, bytes) = asset.packed(Encoding::taken(&visit.headers));
            let headers = [
                (header::CONTENT_TYPE, asset.kind),
                (header::CACHE_CONTROL, FOR_GOOD),
                (header::VARY, header::ACCEPT_ENCODING.as_str()),
            ];
            let encoding = encoding.map(|encoding| [(header::CONTENT_ENCODING, encoding.as_str())]);
            (headers, encoding, Body::from(bytes)).into_response()
        }
        None => Response::builder().status(404).body(Body::from("no such file\n")).unwrap_or_default(),
    }))
}
