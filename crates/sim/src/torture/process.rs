//! One `atoll node` process: started, killed, frozen, stopped in order, and never left behind.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::Instant;

/// How long an orderly stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(60);
const SIGTERM: i32 = 15;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A process that can be started again and again with the same configuration. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    program: PathBuf,
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    pub(crate) fn new(program: PathBuf, config: PathBuf, log: PathBuf) -> Process {
        Process {
            program,
            config,
            log,
            child: None,
        }
    }

    /// Starts it, unless it runs.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let log: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let child = Command::new(&self.program)
            .arg("node")
            .arg("--config")
            .arg(&self.config)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C is for the torturer, which ends its nodes itself.
            .process_group(0)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?; // SIGKILL
            child.wait()?;
        }
        Ok(())
    }

    /// It does nothing from now on, and does not know.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        self.signal("STOP")
    }

    pub(crate) fn thaw(&self) -> io::Result<()> {
        self.signal("CONT")
    }

    /// Asks it to stop, and waits.
    pub(crate) async fn stop(&mut self) -> io::Result<()> {
        self.signal("TERM")?;
        let started = Instant::now();
        while let Some(child) = &mut self.child {
            if let Some(status) = child.try_wait()? {
                self.child = None;
                // One that was told before it listened ends by the signal itself: as good as kill -9.
                return match status.success() || status.signal() == Some(SIGTERM) {
                    true => Ok(()),
                    false => Err(io::Error::other(format!(
                        "it ended with {status} when told to stop"
                    ))),
                };
            }
            if started.elapsed() > STOP_WITHIN {
                self.kill()?;
                let what = format!("it was told to stop and went on for {STOP_WITHIN:?}");
                return Err(io::Error::other(what));
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
        Ok(())
    }

    /// How it ended, if it did by itself.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), Child::try_wait)
    }

    /// By the shell: the standard library sends no signal but SIGKILL.
    fn signal(&self, name: &str) -> io::Result<()> {
        let Some(child) = &self.child else {
            return Ok(());
        };
        let order = format!("kill -s {name} {}", child.id());
        let status = Command::new("/bin/sh").arg("-c").arg(&order).status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("`{order}` failed: {status}"))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
