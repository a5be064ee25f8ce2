//! Which server a command talks to: `--server`, `ATOLL_SERVER`, or the dev store that is running, which is plain.

use std::time::Duration;

use atoll_client::{Client, ClientError, Dialer, Settings};
use clap::Args;

use crate::certificates::CertificateArguments;
use crate::dev::control::{self, DevStore};
use crate::failure::Failure;
use crate::output::Format;

/// Flags that most commands have.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TargetArguments {
    /// Server to talk to; several, separated by commas, for commands that compare regions.
    /// Default: the dev store that is running
    #[arg(
        long = "server",
        value_name = "URL",
        env = "ATOLL_SERVER",
        value_delimiter = ',',
        global = true
    )]
    servers: Vec<String>,
    #[command(flatten)]
    shown: Shown,
    /// Bearer token for the server
    #[arg(
        long,
        value_name = "TOKEN",
        env = "ATOLL_TOKEN",
        hide_env_values = true,
        hide = true,
        global = true
    )]
    token: Option<String>,
    #[command(flatten)]
    certificates: CertificateArguments,
    /// Servers that were found in another way than by these flags.
    #[arg(skip)]
    found: Option<Vec<Place>>,
}

/// Which region is asked, and how its answer is written: wherever the store is.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Shown {
    /// Region to talk to
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) region: Option<String>,
    /// How results are written
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "table",
        global = true
    )]
    pub(crate) output: Format,
}

/// One server, and the region's name as far as it is known without asking.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) region: Option<String>,
    pub(crate) client: Client,
}

impl Place {
    /// The region's name, or the address.
    pub(crate) fn name(&self) -> String {
        match &self.region {
            Some(region) => region.clone(),
            None => self.client.server().to_owned(),
        }
    }
}

impl TargetArguments {
    /// Of servers that were found in another way.
    pub(crate) fn of(places: Vec<Place>, shown: Shown) -> Self {
        TargetArguments {
            found: Some(places),
            shown,
            ..TargetArguments::default()
        }
    }

    /// How results are written.
    pub(crate) fn format(&self) -> Format {
        self.shown.output
    }

    /// How servers are connected to.
    pub(crate) fn dialer(&self) -> Result<Dialer, Failure> {
        if self.servers.is_empty() {
            return Ok(Dialer::default());
        }
        self.certificates.dialer()
    }

    /// The one server to talk to.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let places = self.places()?;
        let Some(wanted) = &self.shown.region else {
            let first = places.into_iter().next();
            return first.map(|place| place.client).ok_or_else(nowhere);
        };
        let mut known = Vec::new();
        for place in places {
            let region = match place.region {
                Some(region) => region,
                None => place.client.status().await?.region,
            };
            if region == *wanted {
                return Ok(place.client);
            }
            known.push(region);
        }
        Err(
            Failure::usage(format!("there is no server of region {wanted} here"))
                .help(format!("regions at hand: {}", known.join(", "))),
        )
    }

    /// All servers at hand, without asking any of them.
    pub(crate) fn places(&self) -> Result<Vec<Place>, Failure> {
        if let Some(found) = &self.found {
            return Ok(found.clone());
        }
        if self.servers.is_empty() {
            return self.places_of(&control::running()?.ok_or_else(nowhere)?);
        }
        let dialer = self.dialer()?;
        let place = |server: &String| {
            let client = self.connect(server, dialer.clone())?;
            Ok(Place {
                region: None,
                client,
            })
        };
        self.servers.iter().map(place).collect()
    }

    /// The regions to show or compare: all at hand, or the one asked for.
    pub(crate) async fn regions(&self) -> Result<Vec<Place>, Failure> {
        match &self.shown.region {
            Some(region) => Ok(vec![Place {
                client: self.client().await?,
                region: Some(region.clone()),
            }]),
            None => self.places(),
        }
    }

    fn places_of(&self, store: &DevStore) -> Result<Vec<Place>, Failure> {
        let place = |region: &control::DevRegion| {
            Ok(Place {
                region: Some(region.name.clone()),
                client: self.connect(&region.server, Dialer::default())?,
            })
        };
        store.regions.iter().map(place).collect()
    }

    fn connect(&self, server: &str, dialer: Dialer) -> Result<Client, ClientError> {
        let settings = Settings {
            connect_timeout: Duration::from_secs(3),
            token: self.token.clone(),
            dialer,
            ..Settings::default()
        };
        Client::with_settings(server, settings)
    }
}

fn nowhere() -> Failure {
    Failure::usage("no server is named, and no dev store is running here").help(
        "start one with `atoll dev -f manifests/samples/three-regions.yaml`, or name a server with --server or ATOLL_SERVER",
    )
}
