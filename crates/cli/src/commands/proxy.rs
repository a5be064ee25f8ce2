//! `atoll proxy` (hidden): delays everything that passes through a TCP port. For scripts and tests.

use std::net::SocketAddr;

use atoll_api::manifest::TimeSpan;
use clap::Args;

use crate::dev::proxy::Proxy;
use crate::dev::signals;
use crate::failure::Failure;
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct ProxyCommand {
    /// Where to listen
    #[arg(long, value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// Where to pass everything on to
    #[arg(long, value_name = "HOST:PORT")]
    to: SocketAddr,
    /// Delay of each direction
    #[arg(long, value_name = "TIME")]
    delay: TimeSpan,
}

impl ProxyCommand {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let delay = self.delay.as_duration();
        let proxy = Proxy::start(self.listen, self.to, delay)
            .await
            .map_err(|error| Failure::new(format!("{} cannot be used: {error}", self.listen)))?;
        output::line(&format!(
            "{} passes on to {}, {} later each way",
            proxy.address(),
            self.to,
            self.delay
        ));
        signals::wait_for_end().await?;
        Ok(())
    }
}
