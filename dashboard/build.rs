//! Compresses script, style and pictures once, when the program is built: what browsers take is served as it lies there.
//!
//! Leaves to `assets.rs` which files are served. Every file of `assets/` that is no text about others gets a `.br` and a
//! `.gz` beside its name in the build's own folder.

use std::error::Error;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Where the files stand.
const FOLDERS: [&str; 2] = ["assets", "assets/vendor"];
/// The endings of what is served.
const KINDS: [&str; 3] = ["css", "js", "svg"];
/// As small as it gets: it is done once, and read by everybody.
const BROTLI: (u32, u32) = (11, 22);
const BUFFER: usize = 1 << 16;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo says where to write")?);
    println!("cargo::rerun-if-changed=build.rs");
    for folder in FOLDERS {
        println!("cargo::rerun-if-changed={folder}");
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().and_then(OsStr::to_str).is_some_and(|kind| KINDS.contains(&kind)) {
                compress(&path, &out)?;
            }
        }
    }
    Ok(())
}

fn compress(path: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let (bytes, name) = (fs::read(path)?, path.file_name().and_then(OsStr::to_str).ok_or("names are text")?);
    let beside = |ending: &str| File::create(out.join(format!("{name}.{ending}")));
    CompressorWriter::new(beside("br")?, BUFFER, BROTLI.0, BROTLI.1).write_all(&bytes)?;
    let mut gzip = GzEncoder::new(beside("gz")?, Compression::best());
    gzip.write_all(&bytes)?;
    gzip.finish()?;
    Ok(())
}
