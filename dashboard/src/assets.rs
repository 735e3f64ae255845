//! Script and style, in the program itself: nothing is fetched from elsewhere, and no user needs npm.
//!
//! A file is served under a name with a checksum of its bytes in it, so that a browser may keep it for good; and packed, by
//! `build.rs`, for whoever takes that.

use std::sync::LazyLock;

use crate::encoding::Encoding;

/// A file as it is served.
pub(crate) struct Asset {
    /// The name it is known by here, such as `app.css`.
    pub(crate) name: &'static str,
    /// The name that it is served under, such as `app.1a2b3c4d.css`.
    pub(crate) served: String,
    pub(crate) kind: &'static str,
    pub(crate) bytes: &'static [u8],
    brotli: &'static [u8],
    gzip: &'static [u8],
}

impl Asset {
    /// The bytes for a client that takes this packing; with none where that would not be shorter.
    pub(crate) fn packed(&self, taken: Option<Encoding>) -> (Option<Encoding>, &'static [u8]) {
        let packed = match taken {
            Some(Encoding::Brotli) => self.brotli,
            Some(Encoding::Gzip) => self.gzip,
            None => self.bytes,
        };
        if packed.len() < self.bytes.len() { (taken, packed) } else { (None, self.bytes) }
    }
}

macro_rules! files {
    ($($name:literal = $path:literal),+ $(,)?) => {
        /// Every file, in the order in which a page asks for it.
        pub(crate) static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
            vec![$(asset(
                $name,
                include_bytes!(concat!("../assets/", $path)),
                include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".br")),
                include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")),
            )),+]
        });
    };
}

files! {
    "app.css" = "app.css",
    "icon.svg" = "icon.svg",
    "htmx.js" = "vendor/htmx.js",
    "hx-sse.js" = "vendor/hx-sse.js",
    "app.js" = "app.js",
    "uplot.css" = "vendor/uplot.css",
    "uplot.js" = "vendor/uplot.js",
    "chart.js" = "chart.js",
}

fn asset(name: &'static str, bytes: &'static [u8], brotli: &'static [u8], gzip: &'static [u8]) -> Asset {
    let (stem, kind) = name.rsplit_once('.').expect("a file has an ending");
    let served = format!("{stem}.{:08x}.{kind}", crc32c::crc32c(bytes));
    let kind = match kind {
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    Asset { name, served, kind, bytes, brotli, gzip }
}

/// The path of a file.
pub(crate) fn path(name: &str) -> String {
    let found = ASSETS.iter().find(|asset| asset.name == name).expect("pages name files that there are");
    format!("/assets/{}", found.served)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::ASSETS;

    /// Script and style together, as a browser gets them.
    const BYTES_MAX: usize = 130_000;

    #[test]
    fn third_party_files_are_as_they_were_published() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/vendor");
        let sums = std::fs::read_to_string(format!("{folder}/SHA256SUMS")).expect("there are checksums");
        let mut named = vec!["README.md".to_owned(), "SHA256SUMS".to_owned()];
        for line in sums.lines() {
            let (sum, name) = line.split_once("  ").expect("a sum and a name");
            let bytes = std::fs::read(format!("{folder}/{name}")).expect(name);
            let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, sum, "{name}");
            named.push(name.to_owned());
        }
        for entry in std::fs::read_dir(folder).expect("the folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("plain names");
            assert!(named.contains(&name), "{name} has no checksum");
        }
    }

    #[test]
    fn script_and_style_stay_small() {
        let bytes = |name: &str| ASSETS.iter().filter(|asset| asset.name == name).map(|asset| asset.bytes.len()).sum();
        let sum: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(sum <= BYTES_MAX, "{sum} bytes");
        for (name, most) in [("app.css", 16_000), ("app.js", 8_000), ("chart.js", 8_000)] {
            let found: usize = bytes(name);
            assert!(found > 0 && found <= most, "{name}: {found} bytes");
        }
    }
}
