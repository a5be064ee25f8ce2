//! The servers of one region as a client sees them: connections, timeouts, retries, the session.
//!
//! What can be asked is in the neighbours: `data` (keys, batches, changes), `ledger` and `admin`; when to try
//! again in `attempts`. Writes of data carry an idempotency key, so that they can be sent again although the
//! first one may stand: it is applied once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_api::http::{Problem, header};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use url::Url;

use crate::attempts::{Attempts, Servers};
use crate::dialer::{Connector, Dialer};
use crate::error::ClientError;
use crate::options::to_value;
use crate::request::{Answer, Request};
use crate::resend::Resends;
use crate::session::Session;
use crate::tls::Protocols;

/// Connections kept open while nobody uses them.
const IDLE_CONNECTIONS_MAX: usize = 256;
/// Most of an unexpected answer's body that is shown.
const SHOWN_BYTES_MAX: usize = 200;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take, on top of what the server is asked to wait.
    pub request_timeout: Duration,
    /// How often a request is tried at each server when trying again is safe and may help; at least once.
    pub attempts: u32,
    /// The pause before a server is asked again; it doubles up to half a second, and varies by half.
    pub retry_pause: Duration,
    /// How long the servers of a region are asked in turn when there are several: longer than it takes to
    /// elect a leader.
    pub retry_for: Duration,
    /// Whether answers' sessions are kept and sent along.
    pub keeps_session: bool,
    /// Bearer token.
    pub token: Option<String>,
    /// How connections are made: plainly, or with certificates.
    pub dialer: Dialer,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(30),
            attempts: 3,
            retry_pause: Duration::from_millis(50),
            retry_for: Duration::from_secs(10),
            keeps_session: false,
            token: None,
            dialer: Dialer::default(),
        }
    }
}

/// One region, by one or several of its servers. Clones share connections and session.
#[derive(Clone, Debug)]
pub struct Client {
    http: legacy::Client<Connector, Full<Bytes>>,
    /// What every request carries.
    headers: Arc<HeaderMap>,
    servers: Arc<Servers>,
    settings: Arc<Settings>,
    session: Option<Arc<Session>>,
}

impl Client {
    /// A client of the server at `http://host:port`, or `https` with certificates ([`Settings::dialer`]).
    ///
    /// # Errors
    /// [`ClientError::InvalidServer`].
    pub fn new(server: &str) -> Result<Self, ClientError> {
        Client::with_settings(server, Settings::default())
    }

    /// A client that behaves as told.
    ///
    /// # Errors
    /// [`ClientError::InvalidServer`], or [`ClientError::InvalidHeader`] for the token.
    pub fn with_settings(server: &str, settings: Settings) -> Result<Self, ClientError> {
        Client::of_region(&[server], settings)
    }

    /// A client of a region by the addresses of its nodes, all of them or some. When one is unreachable, is
    /// about to stop or has no leader, the next is asked.
    ///
    /// # Errors
    /// [`ClientError::InvalidServer`], also for none, [`ClientError::WrongScheme`], or
    /// [`ClientError::InvalidHeader`] for the token.
    pub fn of_region<S: AsRef<str>>(
        servers: &[S],
        settings: Settings,
    ) -> Result<Self, ClientError> {
        let invalid = |server: &str| ClientError::InvalidServer {
            server: server.to_owned(),
        };
        let urls = servers.iter().map(|server| {
            let server = server.as_ref();
            plain_address(server).ok_or_else(|| invalid(server))
        });
        let urls: Vec<Url> = urls.collect::<Result<_, _>>()?;
        if urls.is_empty() {
            return Err(invalid("nothing"));
        }
        let dialer = settings.dialer.clone();
        for url in &urls {
            let checked = dialer.check(Some(url.scheme()));
            checked.map_err(|wrong| ClientError::wrong_scheme(url.as_str(), wrong))?;
        }
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(crate::USER_AGENT));
        if let Some(token) = &settings.token {
            let mut value = to_value("authorization", &format!("Bearer {token}"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let connector = Connector {
            dialer,
            protocols: Protocols::Http1,
            connect_timeout: settings.connect_timeout,
        };
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector);
        let session = settings.keeps_session.then(Arc::default);
        Ok(Client {
            http,
            headers: Arc::new(headers),
            servers: Arc::new(Servers::new(urls)),
            settings: Arc::new(settings),
            session,
        })
    }

    /// The address of the server that is asked first: the one that answered last.
    #[must_use]
    pub fn server(&self) -> &str {
        self.servers.name(self.servers.preferred())
    }

    /// Whether a request is ever sent twice.
    pub(crate) fn tries_again(&self) -> bool {
        self.settings.attempts > 1 || self.servers.len() > 1
    }

    /// The session so far, for a client of another region; absent when none is kept or nothing was seen.
    #[must_use]
    pub fn session(&self) -> Option<String> {
        self.session.as_ref().and_then(|session| session.token())
    }

    /// Whatever `path` answers, as text; `path` begins with a slash. For `/metrics` and the like.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let request = Request::new(Method::GET, self.at(path)?);
        let answer = self.ask(request).await?;
        String::from_utf8(answer.body.into())
            .map_err(|_| self.unexpected(answer.status, "the body is not UTF-8"))
    }

    /// The address below the server, from segments that are encoded here.
    pub(crate) fn address(&self, segments: &[&str]) -> Result<Url, ClientError> {
        // The URL standard takes them for directories, even percent-encoded.
        if segments
            .iter()
            .any(|segment| matches!(*segment, "." | ".."))
        {
            return Err(ClientError::UnusableKey);
        }
        let mut url = self.servers.url(0).clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        Ok(url)
    }

    fn at(&self, path: &str) -> Result<Url, ClientError> {
        self.servers
            .url(0)
            .join(path)
            .map_err(|_| ClientError::InvalidServer {
                server: format!("{}{path}", self.server()),
            })
    }

    /// Sends a request as often as it is safe and sensible; any status below 400 is an answer.
    pub(crate) async fn ask(&self, request: Request) -> Result<Answer, ClientError> {
        let timeout = self.settings.request_timeout + request.patience;
        let mut trial = Trial::of(&request);
        loop {
            let place = self.servers.preferred();
            match self.ask_once(&request, place, timeout).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.turn_away(&mut trial, place, error).await?,
            }
        }
    }

    /// As [`Client::ask`], but the body is still to come, for as long as it takes.
    pub(crate) async fn open(&self, request: Request) -> Result<Response<Incoming>, ClientError> {
        let timeout = self.settings.request_timeout + request.patience;
        let mut trial = Trial::of(&request);
        loop {
            let place = self.servers.preferred();
            match self.send_once(&request, place, timeout).await {
                Ok(response) => return Ok(response),
                Err(error) => self.turn_away(&mut trial, place, error).await?,
            }
        }
    }

    /// Goes on to the next server after a pause, or gives up with the error that it was given.
    async fn turn_away(
        &self,
        trial: &mut Trial,
        place: usize,
        error: ClientError,
    ) -> Result<(), ClientError> {
        let attempts = Attempts {
            rounds: self.settings.attempts,
            lasting: self.settings.retry_for,
            pause: self.settings.retry_pause,
            servers: self.servers.len(),
        };
        trial.made += 1;
        let (after, dice) = (trial.begun.elapsed(), rand::random());
        let next = attempts.next(&error, trial.is_repeatable, trial.made, after, dice);
        let Some(pause) = next else {
            return Err(trial.end_with(error));
        };
        if error.leaves_open() {
            trial.open.get_or_insert(error);
        }
        self.servers.leave(place);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    async fn ask_once(
        &self,
        request: &Request,
        place: usize,
        timeout: Duration,
    ) -> Result<Answer, ClientError> {
        let server = self.servers.name(place);
        let asking = async {
            let (head, body) = self.send_once(request, place, timeout).await?.into_parts();
            let body = body.collect().await;
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: body
                    .map_err(|error| ClientError::from_body(&error, server))?
                    .to_bytes(),
            })
        };
        let answered = tokio::time::timeout(timeout, asking).await;
        answered.unwrap_or_else(|_| Err(too_slow(server, timeout)))
    }

    async fn send_once(
        &self,
        request: &Request,
        place: usize,
        head_timeout: Duration,
    ) -> Result<Response<Incoming>, ClientError> {
        let server = self.servers.name(place);
        let sending = async {
            let mut resends = Resends::default();
            loop {
                match self.http.request(self.message(request, place)?).await {
                    Err(error) if resends.allow(&error) => {}
                    sent => return sent.map_err(|error| ClientError::from_call(&error, server)),
                }
            }
        };
        let Ok(sent) = tokio::time::timeout(head_timeout, sending).await else {
            return Err(too_slow(server, head_timeout));
        };
        let response = sent?;
        if let (Some(session), Some(token)) =
            (&self.session, text(response.headers(), header::SESSION))
        {
            session.note(&token);
        }
        match response.status().as_u16() {
            404 if request.takes_absence => Ok(response),
            400.. => {
                let status = response.status();
                let body = response.into_body().collect().await;
                let body = body
                    .map(http_body_util::Collected::to_bytes)
                    .unwrap_or_default();
                Err(self.refusal(status, &body))
            }
            _ => Ok(response),
        }
    }

    fn message(
        &self,
        request: &Request,
        place: usize,
    ) -> Result<http::Request<Full<Bytes>>, ClientError> {
        let url = self.servers.place_at(&request.url, place);
        let uri = Uri::try_from(url.as_str()).map_err(|_| ClientError::UnusableKey)?;
        let mut message = http::Request::new(Full::default());
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = uri;
        let headers = message.headers_mut();
        headers.clone_from(&self.headers);
        headers.extend(request.headers.clone());
        if !headers.contains_key(header::SESSION)
            && let Some(token) = self.session()
        {
            let token = to_value(header::SESSION, &token)?;
            headers.insert(header::SESSION, token);
        }
        if let Some((media_type, body)) = &request.body {
            headers.insert(CONTENT_TYPE, to_value(header::CONTENT_TYPE, media_type)?);
            *message.body_mut() = Full::new(body.clone());
        }
        Ok(message)
    }

    pub(crate) fn refusal(&self, status: StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) if !problem.reason_word.is_empty() => {
                ClientError::Refused(Box::new(problem))
            }
            _ => self.unexpected(status, &shown(body)),
        }
    }

    pub(crate) fn unexpected(&self, status: StatusCode, detail: &str) -> ClientError {
        ClientError::Unexpected {
            server: self.server().to_owned(),
            status: status.as_u16(),
            detail: detail.to_owned(),
        }
    }

    /// An answer's JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, ClientError> {
        serde_json::from_slice(&answer.body)
            .map_err(|error| self.unexpected(answer.status, &error.to_string()))
    }
}

/// How far the attempts at one request are.
struct Trial {
    begun: Instant,
    made: u32,
    /// Whether it may be sent again although it may stand.
    is_repeatable: bool,
    /// The first error after which it may stand.
    open: Option<ClientError>,
}

impl Trial {
    fn of(request: &Request) -> Self {
        Trial {
            begun: Instant::now(),
            made: 0,
            is_repeatable: request.is_safe || request.headers.contains_key(header::IDEMPOTENCY_KEY),
            open: None,
        }
    }

    /// What the caller is told: that nobody is there now says nothing of an earlier attempt, which may stand.
    fn end_with(&mut self, last: ClientError) -> ClientError {
        match self.open.take() {
            Some(open) if last.is_passing() => open,
            _ => last,
        }
    }
}

fn too_slow(server: &str, timeout: Duration) -> ClientError {
    ClientError::Timeout {
        server: server.to_owned(),
        timeout,
    }
}

/// An address of a server and nothing else: `http://host:port`, or `https`.
fn plain_address(server: &str) -> Option<Url> {
    let url: Url = server.parse().ok()?;
    let is_plain = matches!(url.path(), "" | "/") && url.query().is_none();
    let is_http = matches!(url.scheme(), "http" | "https");
    (is_http && url.host().is_some() && is_plain).then_some(url)
}

/// A header as text.
pub(crate) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(ToOwned::to_owned)
}

fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return "the body is empty".to_owned();
    }
    text.chars().take(SHOWN_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn keys_are_encoded_as_one_segment() {
        let client = Client::new("http://127.0.0.1:7400").unwrap();
        let at = |key| client.address(&["v1", "collections", "pages", "keys", key]);
        for (key, path) in [
            ("home", "home"),
            ("a/b?c#d%", "a%2Fb%3Fc%23d%25"),
            ("é ü", "%C3%A9%20%C3%BC"),
            ("...", "..."),
        ] {
            let expected = format!("http://127.0.0.1:7400/v1/collections/pages/keys/{path}");
            assert_eq!(at(key).unwrap().as_str(), expected);
        }
        for key in [".", ".."] {
            assert!(matches!(at(key), Err(ClientError::UnusableKey)), "{key}");
        }
    }

    #[test]
    fn a_server_is_a_plain_http_address() {
        for good in [
            "http://127.0.0.1:7400",
            "http://[::1]:7400/",
            "http://eu.example",
        ] {
            assert!(Client::new(good).is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:7400", "ftp://eu:1", "http://eu/x", "eu"] {
            let error = Client::new(bad).unwrap_err();
            assert!(matches!(error, ClientError::InvalidServer { .. }), "{bad}");
        }
        let error = Client::new("https://eu:1").unwrap_err();
        assert!(matches!(error, ClientError::WrongScheme { .. }), "{error}");
    }
}
