//! Regions of real processes join, leave and are removed, under writers that never rest.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may print what it measured, and fail by panicking"
)]

mod forced;
mod joins;
#[path = "../support/mod.rs"]
mod support;

use atoll_api::http::{MemberState, MemberStatus};
use atoll_client::{Client, ClientError, Content, ReadOptions, WriteOptions};
use support::until;

async fn try_put(client: &Client, key: &str) -> Result<(), ClientError> {
    let options = WriteOptions::default();
    let put = client.put("pages", key, "application/json", "true", &options);
    put.await.map(drop)
}

async fn has(client: &Client, key: &str) -> bool {
    let read = client.get("pages", key, &ReadOptions::default()).await;
    read.unwrap().content != Content::Absent
}

async fn member(client: &Client, name: &str) -> MemberStatus {
    let list = client.members().await.unwrap();
    let named = list.members.into_iter().find(|m| m.name == name);
    named.unwrap()
}

async fn reaches(client: &Client, name: &str, state: MemberState) {
    until(&format!("{name} is {state:?}"), async || {
        let list = client.members().await.ok()?;
        let member = list.members.into_iter().find(|m| m.name == name)?;
        (member.state == state).then_some(())
    })
    .await;
}
