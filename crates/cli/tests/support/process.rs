//! One `atoll node` process: started, awaited, killed, and started again on the same port and data.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use atoll_client::{Client, Settings};
use serde_json::Value;

use super::ports::Port;
use super::until;

const LOG_LINES_SHOWN: usize = 40;

/// A node that runs, or was told to.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) data: PathBuf,
    config: PathBuf,
    log: PathBuf,
    port: Port,
    answers_within: Duration,
    child: Option<Child>,
}

impl Process {
    /// A node below `directory` that does not run yet. Its clients wait for at most `answers_within`.
    pub(crate) fn new(directory: &Path, name: &str, port: Port, answers_within: Duration) -> Self {
        let file = |end: &str| directory.join(format!("{name}.{end}"));
        Process {
            name: name.to_owned(),
            data: directory.join(format!("{name}-data")),
            config: file("yaml"),
            log: file("log"),
            port,
            answers_within,
            child: None,
        }
    }

    /// Writes its configuration.
    pub(crate) fn configure(&self, config: &Value) {
        // JSON is YAML.
        fs::write(&self.config, config.to_string()).unwrap();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A client of this node alone, which sends everything once.
    pub(crate) fn client(&self) -> Client {
        let settings = Settings {
            attempts: 1,
            request_timeout: self.answers_within,
            ..Settings::default()
        };
        Client::with_settings(&self.url(), settings).unwrap()
    }

    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        self.child = Some(spawn(&self.config, &self.log));
    }

    pub(crate) fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Waits until it answers.
    pub(crate) async fn ready(&mut self) {
        let client = self.client();
        let (name, log) = (self.name.clone(), self.log.clone());
        let child = self.child.as_mut().expect("a started node");
        until(&format!("{name} is ready"), async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{name} ended with {status}:\n{}", last_lines(&log));
            }
            client.readiness().await.ok().filter(|r| r.ready)
        })
        .await;
    }

    /// Ends its process as a crash would.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("a started node");
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
    }

    /// Ends its process in good order.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM");
        let mut child = self.child.take().expect("a started node");
        let status = until("a node stops in good order", async || {
            child.try_wait().unwrap()
        })
        .await;
        assert!(status.success(), "{} ended with {status}", self.name);
    }

    /// Sends its process a signal, such as STOP.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("a started node").id();
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(pid.to_string())
            .status();
        assert!(sent.unwrap().success());
    }

    /// Loses its disk.
    pub(crate) fn lose_disk(&self) {
        assert!(self.child.is_none(), "{} runs", self.name);
        fs::remove_dir_all(&self.data).unwrap();
    }

    /// What it has logged last.
    pub(crate) fn last_lines(&self) -> String {
        last_lines(&self.log)
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Starts a second process with this node's configuration, changed; answers with how it ended and what it
    /// said.
    pub(crate) async fn refuse(&self, change: impl FnOnce(&mut Value)) -> (ExitStatus, String) {
        let text = fs::read_to_string(&self.config).unwrap();
        let mut config: Value = serde_json::from_str(&text).unwrap();
        change(&mut config);
        let file = self.config.with_extension("changed.yaml");
        let log = self.config.with_extension("changed.log");
        let _ = fs::remove_file(&log);
        fs::write(&file, config.to_string()).unwrap();
        let mut child = Stopped(spawn(&file, &log));
        let status = until("the node ends by itself", async || {
            child.0.try_wait().unwrap()
        })
        .await;
        (status, fs::read_to_string(&log).unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.take().map(Stopped));
        if std::thread::panicking() {
            eprintln!("--- {} at the end ---\n{}", self.name, self.last_lines());
        }
    }
}

/// A process that does not outlive the test.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program that is tested; ATOLL_PROGRAM names another build of it, for figures.
pub(crate) fn program() -> OsString {
    let named = std::env::var_os("ATOLL_PROGRAM");
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_atoll").into())
}

fn spawn(config: &Path, log: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(log);
    let log: File = log.unwrap();
    Command::new(program())
        .arg("node")
        .arg("--config")
        .arg(config)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}
