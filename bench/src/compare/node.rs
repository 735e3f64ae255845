//! The peers that run on Node: installed from npm by lock file into `target/`, started once per figure.
//!
//! The scripts lie in `bench/node/`; each run prints `{"value": number}` as its last line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::scenario::Scenario;

/// What is copied beside the installed packages.
const FILES: [&str; 6] = ["package.json", "package-lock.json", "harness.js", "bullmq.js", "longshore.js", "run.js"];

/// A folder with scripts and packages.
pub(super) struct NodePeers {
    folder: PathBuf,
}

impl NodePeers {
    /// Copies the scripts to `target/bench-node` and installs the packages unless the lock file is the one installed last.
    pub(super) fn install() -> Result<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
        let folder = std::env::current_dir()?.join("target/bench-node");
        fs::create_dir_all(&folder)?;
        for file in FILES {
            fs::copy(source.join(file), folder.join(file)).with_context(|| format!("cannot copy {file}"))?;
        }
        let peers = Self { folder };
        peers.install_packages()?;
        Ok(peers)
    }

    fn install_packages(&self) -> Result<()> {
        let lock = fs::read(self.folder.join("package-lock.json"))?;
        let installed = self.folder.join("installed-lock.json");
        if fs::read(&installed).is_ok_and(|last| last == lock) {
            return Ok(());
        }
        eprintln!("installing BullMQ and ioredis into {}", self.folder.display());
        // Not `npm ci`: that refuses a lock file without the optional binaries of every other platform. Versions and
        // checksums come from the lock file either way.
        let output = Command::new("npm")
            .args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&self.folder)
            .output()
            .context("cannot start npm; install it: apt-get install nodejs npm (Node 20 or newer)")?;
        check("npm install", &output)?;
        fs::write(installed, lock)?;
        Ok(())
    }

    /// Versions of Node, of the packages and of Redis, in one line.
    pub(super) fn versions(&self) -> Result<String> {
        let node = Command::new("node").arg("--version").output().context("cannot start node")?;
        let redis = Command::new("redis-server")
            .arg("--version")
            .output()
            .context("cannot start redis-server; install it: apt-get install redis-server (version 7)")?;
        let redis = String::from_utf8_lossy(&redis.stdout);
        let redis = redis.split("v=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("of unknown version");
        let package = |name: &str| -> Result<String> {
            let text = fs::read(self.folder.join("node_modules").join(name).join("package.json"))?;
            let json: Value = serde_json::from_slice(&text)?;
            Ok(json["version"].as_str().unwrap_or("of unknown version").to_owned())
        };
        let node = String::from_utf8_lossy(&node.stdout).trim().to_owned();
        let (bullmq, ioredis) = (package("bullmq")?, package("ioredis")?);
        Ok(format!("Node {node}, BullMQ {bullmq}, ioredis {ioredis}, Redis {redis} (appendfsync always)"))
    }

    /// Runs `scenario` of `peer` once against the server on `port`.
    pub(super) fn run(&self, peer: &str, scenario: Scenario, port: u16, jobs: u64) -> Result<f64> {
        let output = Command::new("node")
            .args(["run.js", peer, scenario.name(), &port.to_string(), &jobs.to_string()])
            .current_dir(&self.folder)
            .output()
            .context("cannot start node")?;
        check("node run.js", &output)?;
        let text = String::from_utf8(output.stdout)?;
        let line = text.lines().last().context("the script printed nothing")?;
        let outcome: Value = serde_json::from_str(line).with_context(|| format!("the script printed {line:?}"))?;
        outcome["value"].as_f64().with_context(|| format!("no value in {line:?}"))
    }
}

fn check(what: &str, output: &Output) -> Result<()> {
    ensure!(output.status.success(), "{what} failed: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(())
}
