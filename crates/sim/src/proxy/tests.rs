#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
//! Each fault, as the two ends of a connection see it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::{Conditions, Passage, Proxy, WayConditions};

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
/// Long enough for bytes that nobody holds back to arrive.
const SOON: Duration = Duration::from_secs(20);
/// So long is nothing expected.
const A_WHILE: Duration = Duration::from_millis(60);

/// A proxy, and who listens behind it.
struct Bench {
    proxy: Proxy,
    listener: TcpListener,
}

impl Bench {
    async fn new() -> Bench {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let to = listener.local_addr().unwrap();
        let proxy = Proxy::start(ANY.into(), &[to]).await.unwrap();
        Bench { proxy, listener }
    }

    /// Both ends of a new connection, which the proxy knows of.
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let known = self.proxy.traffic().connections;
        let near = TcpStream::connect(self.proxy.address()).await.unwrap();
        let (far, _) = timeout(SOON, self.listener.accept())
            .await
            .unwrap()
            .unwrap();
        while self.proxy.traffic().connections == known {
            tokio::task::yield_now().await;
        }
        (near, far)
    }
}

async fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let reading = stream.read_exact(&mut bytes);
    timeout(SOON, reading).await.unwrap().unwrap();
    bytes
}

async fn stays_silent(stream: &mut TcpStream) {
    let mut byte = [0];
    let read = timeout(A_WHILE, stream.read(&mut byte)).await;
    assert!(read.is_err(), "something came: {read:?}");
}

async fn is_reset(stream: &mut TcpStream) {
    let mut byte = [0];
    let read = timeout(SOON, stream.read(&mut byte)).await.unwrap();
    let kind = read.map_err(|error| error.kind());
    assert_eq!(kind, Err(std::io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn bytes_pass_both_ways_and_are_counted() {
    let bench = Bench::new().await;
    let (mut near, mut far) = bench.connect().await;
    near.write_all(b"question").await.unwrap();
    assert_eq!(read(&mut far, 8).await, b"question");
    far.write_all(b"answer").await.unwrap();
    assert_eq!(read(&mut near, 6).await, b"answer");
    let traffic = bench.proxy.traffic();
    let counted = (traffic.there_bytes, traffic.back_bytes, traffic.connections);
    assert_eq!(counted, (8, 6, 1));
}

#[tokio::test]
async fn a_half_closed_connection_stays_half_closed() {
    let bench = Bench::new().await;
    let (mut near, mut far) = bench.connect().await;
    near.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(SOON, far.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    far.write_all(b"late").await.unwrap();
    assert_eq!(read(&mut near, 4).await, b"late");
}

#[tokio::test]
async fn much_passes_late_and_in_order_but_not_slowly() {
    let bench = Bench::new().await;
    let delay = Duration::from_millis(80);
    let jitter = Duration::from_millis(20);
    bench.proxy.set(Conditions::delayed(delay, jitter));
    let (near, mut far) = bench.connect().await;
    let sent: Vec<u8> = (0..8_u32 << 20).map(|i| (i / 7 % 251) as u8).collect();
    let (expected, started) = (sent.clone(), Instant::now());
    let (_near_read, mut near_write) = near.into_split();
    let writing = tokio::spawn(async move { near_write.write_all(&sent).await });
    assert!(read(&mut far, expected.len()).await == expected);
    let taken = started.elapsed();
    writing.await.unwrap().unwrap();
    assert!(taken >= delay, "{taken:?}");
    assert!(taken < Duration::from_secs(15), "{taken:?}");
}

#[tokio::test]
async fn a_delay_of_one_way_leaves_the_other_alone() {
    let bench = Bench::new().await;
    let (mut near, mut far) = bench.connect().await;
    let delay = Duration::from_millis(300);
    let mut conditions = Conditions::default();
    conditions.back.delay = delay;
    bench.proxy.set(conditions);
    let started = Instant::now();
    far.write_all(b"late").await.unwrap();
    near.write_all(b"soon").await.unwrap();
    read(&mut far, 4).await;
    assert!(started.elapsed() < delay);
    read(&mut near, 4).await;
    assert!(started.elapsed() >= delay);
}

#[tokio::test]
async fn a_rate_holds_for_all_connections_together() {
    let bench = Bench::new().await;
    let way = WayConditions {
        bytes_per_second: Some(1 << 20),
        ..WayConditions::default()
    };
    bench.proxy.set(Conditions {
        there: way,
        ..Conditions::default()
    });
    let (mut one, mut one_far) = bench.connect().await;
    let (mut two, mut two_far) = bench.connect().await;
    let half = vec![7; 128 << 10];
    let started = Instant::now();
    one.write_all(&half).await.unwrap();
    two.write_all(&half).await.unwrap();
    read(&mut one_far, half.len()).await;
    read(&mut two_far, half.len()).await;
    // A quarter of a megabyte in a quarter of a second.
    assert!(started.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn what_was_held_back_passes_when_it_is_healed() {
    let bench = Bench::new().await;
    let (mut near, mut far) = bench.connect().await;
    bench.proxy.set(Conditions::cut(Passage::Held));
    near.write_all(b"one").await.unwrap();
    far.write_all(b"two").await.unwrap();
    stays_silent(&mut far).await;
    stays_silent(&mut near).await;
    bench.proxy.heal();
    assert_eq!(read(&mut far, 3).await, b"one");
    assert_eq!(read(&mut near, 3).await, b"two");
}

#[tokio::test]
async fn a_cut_of_one_way_lets_the_other_pass() {
    let bench = Bench::new().await;
    let (mut near, mut far) = bench.connect().await;
    bench.proxy.set(Conditions {
        there: WayConditions::cut(Passage::Swallowed),
        ..Conditions::default()
    });
    near.write_all(b"lost").await.unwrap();
    far.write_all(b"heard").await.unwrap();
    assert_eq!(read(&mut near, 5).await, b"heard");
    stays_silent(&mut far).await;
}

#[tokio::test]
async fn a_connection_that_lost_bytes_is_reset_and_never_shows_a_gap() {
    let bench = Bench::new().await;
    let (mut near, mut far) = bench.connect().await;
    let (mut idle, mut idle_far) = bench.connect().await;
    bench.proxy.set(Conditions::cut(Passage::Swallowed));
    near.write_all(b"lost").await.unwrap();
    stays_silent(&mut far).await;
    bench.proxy.heal();
    is_reset(&mut far).await;
    is_reset(&mut near).await;
    // One that lost nothing goes on.
    idle.write_all(b"fine").await.unwrap();
    assert_eq!(read(&mut idle_far, 4).await, b"fine");
    assert_eq!(bench.proxy.traffic().there_bytes, 4);
}

#[tokio::test]
async fn nobody_is_reached_through_a_cut() {
    let bench = Bench::new().await;
    for passage in [Passage::Held, Passage::Swallowed] {
        let mut conditions = Conditions::default();
        conditions.back.passage = passage;
        bench.proxy.set(conditions);
        let _near = TcpStream::connect(bench.proxy.address()).await.unwrap();
        let accepted = timeout(A_WHILE, bench.listener.accept()).await;
        assert!(accepted.is_err(), "{passage:?}");
        bench.proxy.heal();
        let accepted = timeout(SOON, bench.listener.accept()).await;
        assert!(accepted.is_ok(), "{passage:?}");
    }
}

#[tokio::test]
async fn refused_connections_are_reset_while_open_ones_go_on() {
    let bench = Bench::new().await;
    let (mut near, mut far) = bench.connect().await;
    bench.proxy.set(Conditions {
        refuses: true,
        ..Conditions::default()
    });
    let mut refused = TcpStream::connect(bench.proxy.address()).await.unwrap();
    is_reset(&mut refused).await;
    near.write_all(b"open").await.unwrap();
    assert_eq!(read(&mut far, 4).await, b"open");
}

#[tokio::test]
async fn open_connections_are_reset_at_both_ends_and_new_ones_are_welcome() {
    let bench = Bench::new().await;
    let (mut near, mut far) = bench.connect().await;
    bench.proxy.reset();
    is_reset(&mut near).await;
    is_reset(&mut far).await;
    let (mut near, mut far) = bench.connect().await;
    near.write_all(b"new").await.unwrap();
    assert_eq!(read(&mut far, 3).await, b"new");
}

#[tokio::test]
async fn who_dials_what_is_not_there_is_reset() {
    let nobody: SocketAddr = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(ANY.into(), &[nobody]).await.unwrap();
    let mut near = TcpStream::connect(proxy.address()).await.unwrap();
    is_reset(&mut near).await;
    assert_eq!(proxy.traffic().connections, 0);
}

#[tokio::test]
async fn of_several_addresses_each_has_its_turn_and_nobody_is_passed_over() {
    let one = TcpListener::bind(ANY).await.unwrap();
    let two = TcpListener::bind(ANY).await.unwrap();
    let to = [one.local_addr().unwrap(), two.local_addr().unwrap()];
    let proxy = Proxy::start(ANY.into(), &to).await.unwrap();
    let _first = TcpStream::connect(proxy.address()).await.unwrap();
    timeout(SOON, one.accept()).await.unwrap().unwrap();
    let _second = TcpStream::connect(proxy.address()).await.unwrap();
    timeout(SOON, two.accept()).await.unwrap().unwrap();
    drop(one);
    let _third = TcpStream::connect(proxy.address()).await.unwrap();
    timeout(SOON, two.accept()).await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_end_with_the_proxy() {
    let Bench { proxy, listener } = Bench::new().await;
    let mut near = TcpStream::connect(proxy.address()).await.unwrap();
    let (_far, _) = listener.accept().await.unwrap();
    drop(proxy);
    let mut byte = [0];
    let ended = timeout(SOON, near.read(&mut byte)).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}
