//! What a client does when servers fail: a write under its key is applied once, whatever broke when.
//!
//! The servers are of this file: they follow a script, and remember what they applied.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atoll_api::http::{Problem, RawJson, Reason};
use atoll_client::{Client, ClientError, ReadOptions, Settings, WriteOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with one request.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Applies it and answers.
    Answer,
    /// Closes the connection before it has read all.
    BreakBefore,
    /// Applies it and closes the connection without a word.
    BreakAfter,
    /// Applies it and closes within the answer's head.
    BreakInHead,
    /// Applies it and closes within the answer's body.
    BreakInBody,
    /// Applies it and says nothing.
    Hang,
    /// Refuses.
    Refuse(Reason),
    /// Answers as something that is no server of ours.
    Strange(u16),
}

/// What all servers of a region have applied: dots by key.
#[derive(Default)]
struct Region {
    applied: BTreeMap<String, usize>,
    /// The key of each request that came, in order.
    keys: Vec<Option<String>>,
    /// Requests that were applied without a key.
    keyless: usize,
}

struct Server {
    address: String,
    script: Arc<Mutex<VecDeque<Act>>>,
}

/// A server that acts so, then answers.
async fn server(region: &Arc<Mutex<Region>>, script: &[Act]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let script: Arc<Mutex<VecDeque<Act>>> = Arc::new(Mutex::new(script.iter().copied().collect()));
    let (acts, region) = (Arc::clone(&script), Arc::clone(region));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&acts), Arc::clone(&region)));
        }
    });
    Server { address, script }
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Mutex<VecDeque<Act>>>,
    region: Arc<Mutex<Region>>,
) {
    while let Some(key) = read_request(&mut stream).await {
        let act = script.lock().unwrap().pop_front().unwrap_or(Act::Answer);
        let applies = !matches!(act, Act::BreakBefore | Act::Refuse(_) | Act::Strange(_));
        let body = answer(&region, key, applies);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let sent = match act {
            Act::Answer => head + &body,
            Act::BreakBefore | Act::BreakAfter => return,
            Act::BreakInHead => head[..20].to_owned(),
            Act::BreakInBody => head + &body[..body.len() / 2],
            Act::Hang => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
            Act::Refuse(reason) => {
                let problem = Problem::new(reason, "as the script says");
                let body = serde_json::to_string(&problem).unwrap();
                let (status, length) = (reason.status(), body.len());
                format!("HTTP/1.1 {status} No\r\ncontent-length: {length}\r\n\r\n{body}")
            }
            Act::Strange(status) => {
                format!("HTTP/1.1 {status} No\r\ncontent-length: 4\r\n\r\nnope")
            }
        };
        stream.write_all(sent.as_bytes()).await.unwrap();
        if matches!(act, Act::BreakInHead | Act::BreakInBody) {
            return;
        }
    }
}

/// Notes a request, applies it once by its key, and answers with a receipt.
fn answer(region: &Mutex<Region>, key: Option<String>, applies: bool) -> String {
    let mut region = region.lock().unwrap();
    region.keys.push(key.clone());
    let mut seq = 0;
    if applies {
        match key {
            Some(key) => {
                let next = region.applied.len() + 1;
                seq = *region.applied.entry(key).or_insert(next);
            }
            None => region.keyless += 1,
        }
    }
    format!(r#"{{"dot":"00000000000000a1:{seq}","session":"s"}}"#)
}

/// Reads one request with its body; its idempotency key, if it has one.
async fn read_request(stream: &mut TcpStream) -> Option<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                let lines = head.lines().filter_map(|line| line.split_once(": "));
                let mut found = lines.filter(|(n, _)| n.eq_ignore_ascii_case(name));
                found.next().map(|(_, value)| value.to_owned())
            };
            let length = header("content-length").map_or(0, |n| n.parse().unwrap());
            if body.len() >= length {
                return Some(header("idempotency-key"));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn settings() -> Settings {
    Settings {
        request_timeout: Duration::from_millis(300),
        retry_pause: Duration::from_millis(1),
        retry_for: Duration::from_secs(5),
        ..Settings::default()
    }
}

async fn put(client: &Client, options: &WriteOptions) -> Result<String, ClientError> {
    let value = RawJson::from_string("1".to_owned()).unwrap();
    let receipt = client.put_json("pages", "a", &value, options).await?;
    Ok(receipt.dot)
}

const PASSING: [Act; 10] = [
    Act::BreakBefore,
    Act::BreakAfter,
    Act::BreakInHead,
    Act::BreakInBody,
    Act::Hang,
    Act::Refuse(Reason::NoLeader),
    Act::Refuse(Reason::Draining),
    Act::Refuse(Reason::Overloaded),
    Act::Strange(503),
    Act::Strange(502),
];

/// Every attempt has the key of the first, and every write a key of its own.
#[tokio::test]
async fn a_write_is_applied_once_whatever_breaks_when() {
    for lone in [true, false] {
        for act in PASSING {
            let region = Arc::new(Mutex::new(Region::default()));
            let first = server(&region, &[act, act]).await;
            let second = server(&region, &[]).await;
            let mut servers = vec![first.address.clone()];
            if !lone {
                servers.push(second.address.clone());
            }
            let client = Client::of_region(&servers, settings()).unwrap();
            let dot = put(&client, &WriteOptions::default()).await.unwrap();
            assert_eq!(dot, "00000000000000a1:1", "{act:?}");
            let other = put(&client, &WriteOptions::default()).await.unwrap();
            assert_eq!(
                other, "00000000000000a1:2",
                "each write has a key of its own"
            );
            let region = region.lock().unwrap();
            assert_eq!((region.applied.len(), region.keyless), (2, 0), "{act:?}");
            let expected = if lone { 4 } else { 3 };
            assert_eq!(region.keys.len(), expected, "{act:?}: {:?}", region.keys);
            assert_eq!(region.keys[0], region.keys[1], "{act:?}");
            assert!(region.keys[0].as_ref().unwrap().len() == 32);
        }
    }
}

#[tokio::test]
async fn the_next_server_is_asked_when_nobody_is_there_and_stays_the_first_one() {
    let region = Arc::new(Mutex::new(Region::default()));
    let alive = server(&region, &[]).await;
    let servers = [nobody().await, nobody().await, alive.address.clone()];
    let client = Client::of_region(&servers, settings()).unwrap();
    put(&client, &WriteOptions::default()).await.unwrap();
    assert_eq!(client.server(), alive.address);
    client
        .get("pages", "a", &ReadOptions::default())
        .await
        .unwrap();
    assert_eq!(region.lock().unwrap().keys.len(), 2);
}

/// While a leader is elected every server says so, for longer than a few attempts.
#[tokio::test]
async fn a_region_without_a_leader_is_waited_for() {
    let region = Arc::new(Mutex::new(Region::default()));
    let electing = [Act::Refuse(Reason::NoLeader); 14];
    let (a, b) = (
        server(&region, &electing).await,
        server(&region, &electing).await,
    );
    let client = Client::of_region(&[&a.address, &b.address], settings()).unwrap();
    put(&client, &WriteOptions::default()).await.unwrap();
    assert_eq!(region.lock().unwrap().applied.len(), 1);
    assert!(a.script.lock().unwrap().is_empty() || b.script.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_request_is_given_up_in_the_end() {
    let region = Arc::new(Mutex::new(Region::default()));
    let endless = [Act::Refuse(Reason::NoLeader); 1000];
    let (a, b) = (
        server(&region, &endless).await,
        server(&region, &endless).await,
    );
    let brief = Settings {
        retry_for: Duration::from_millis(50),
        ..settings()
    };
    let client = Client::of_region(&[&a.address, &b.address], brief).unwrap();
    let error = put(&client, &WriteOptions::default()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NoLeader));
    let asked = region.lock().unwrap().keys.len();
    assert!((6..100).contains(&asked), "{asked}");
}

/// Caught: the last error alone, which said that nothing was sent.
#[tokio::test]
async fn a_write_that_may_stand_is_never_said_to_be_unsent() {
    let region = Arc::new(Mutex::new(Region::default()));
    let refusals = [Act::Refuse(Reason::NoLeader); 1000];
    let script = [&[Act::BreakAfter][..], &refusals].concat();
    let broken = server(&region, &script).await;
    let brief = Settings {
        retry_for: Duration::from_millis(50),
        ..settings()
    };
    let client = Client::of_region(&[broken.address.clone(), nobody().await], brief).unwrap();
    let error = put(&client, &WriteOptions::default()).await.unwrap_err();
    assert!(!error.is_unsent() && error.reason().is_none(), "{error}");
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_asked_again() {
    for reason in [
        Reason::PreconditionFailed,
        Reason::IdempotencyKeyReused,
        Reason::UnknownCollection,
        Reason::WriteConcernTimeout,
        Reason::DiskFull,
        Reason::SessionNotReached,
    ] {
        let region = Arc::new(Mutex::new(Region::default()));
        let refusing = server(&region, &[Act::Refuse(reason)]).await;
        let other = server(&region, &[]).await;
        let servers = [&refusing.address, &other.address];
        let client = Client::of_region(&servers, settings()).unwrap();
        let error = put(&client, &WriteOptions::default()).await.unwrap_err();
        assert_eq!(error.reason(), Some(reason));
        assert_eq!(region.lock().unwrap().keys.len(), 1, "{reason}");
    }
}

/// A client that was told to try once gives no key of its own; a key that it is given it passes on.
#[tokio::test]
async fn a_key_is_the_callers_or_made_only_where_it_is_needed() {
    let region = Arc::new(Mutex::new(Region::default()));
    let alone = server(&region, &[Act::BreakAfter]).await;
    let once = Settings {
        attempts: 1,
        ..settings()
    };
    let client = Client::with_settings(&alone.address, once).unwrap();
    let error = put(&client, &WriteOptions::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error}");
    let options = WriteOptions {
        idempotency_key: Some("mine".into()),
        ..WriteOptions::default()
    };
    put(&client, &options).await.unwrap();
    let keys = region.lock().unwrap().keys.clone();
    assert_eq!(keys, [None, Some("mine".to_owned())]);
}

#[tokio::test]
async fn a_region_has_at_least_one_server() {
    let none: [&str; 0] = [];
    for bad in [&none[..], &["http://eu:1", "eu:2"]] {
        let error = Client::of_region(bad, settings()).unwrap_err();
        assert!(
            matches!(error, ClientError::InvalidServer { .. }),
            "{error}"
        );
    }
}
