//! `atoll dev` and the commands for people, as people run them.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
const MANIFEST: &str = include_str!("../../../manifests/samples/three-regions.yaml");

/// A running `atoll dev`; it is killed when it is dropped.
struct Dev {
    directory: TempDir,
    manifest: PathBuf,
    child: Child,
}

impl Dev {
    fn start(directory: TempDir) -> Dev {
        let manifest = directory.path().join("shop.yaml");
        if !manifest.exists() {
            fs::write(&manifest, MANIFEST).unwrap();
        }
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let child = atoll(directory.path())
            .args(["dev", "--port", "0", "--file"])
            .arg(&manifest)
            .arg("--data")
            .arg(directory.path().join("data"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let dev = Dev {
            directory,
            manifest,
            child,
        };
        dev.until(&["status"], |output| {
            output.contains("3 of 3 regions answer")
        });
        dev
    }

    fn run(&self, arguments: &[&str]) -> Output {
        atoll(self.directory.path())
            .args(arguments)
            .output()
            .unwrap()
    }

    /// What a command prints; it must succeed.
    fn told(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let told = self.told(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&told).unwrap()
    }

    /// Code and words of a command that must fail.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), errors)
    }

    fn until(&self, arguments: &[&str], holds: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.run(arguments);
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            if holds(&told) {
                return;
            }
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                Instant::now() < deadline,
                "{arguments:?}: {told}{errors}{}",
                self.log()
            );
            sleep(LOOK_AGAIN_AFTER);
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Ends it as Ctrl-C does.
    fn end(mut self) -> TempDir {
        self.signal("-INT");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{}", self.log());
        std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn atoll(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atoll"));
    command
        .env("ATOLL_DEV_FILE", directory.join("dev.json"))
        .env_remove("ATOLL_SERVER")
        .stdin(Stdio::null());
    command
}

#[test]
fn a_partition_is_cut_healed_and_what_it_did_is_resolved() {
    let dev = Dev::start(tempfile::tempdir().unwrap());
    dev.told(&["put", "notes", "lunch", "lunch?", "--write-concern", "all"]);
    dev.told(&["dev", "partition", "us"]);
    dev.told(&["put", "notes", "lunch", "at noon", "--region", "eu"]);
    dev.told(&["put", "notes", "lunch", "\"at one\"", "--region", "us"]);
    assert_eq!(
        dev.told(&["get", "notes", "lunch", "--region", "ap"]),
        "at noon\n"
    );
    let (code, words) = dev.refused(&["verify", "--timeout", "100ms"]);
    assert!(
        code == 1 && words.contains("us lacks 1 entry of eu"),
        "{words}"
    );

    dev.told(&["dev", "heal"]);
    assert!(dev.told(&["verify"]).contains("✓ eu, us, ap are equal"));
    let rows = dev.json(&[
        "conflicts",
        "list",
        "--collection",
        "notes",
        "--state",
        "open",
    ]);
    let id = rows["conflicts"][0]["id"].as_str().unwrap();
    assert!(dev.told(&["conflicts", "show", id]).contains("\"at one\""));
    let (code, words) = dev.refused(&["conflicts", "resolve", id, "--take", "ap"]);
    assert!(
        code == 2 && words.contains("they are from eu and us"),
        "{words}"
    );
    dev.told(&["conflicts", "resolve", id, "--take", "us", "--region", "ap"]);
    for region in ["eu", "us", "ap"] {
        dev.until(&["get", "notes", "lunch", "--region", region], |told| {
            told == "\"at one\"\n"
        });
    }
    assert!(
        dev.told(&["conflicts", "list", "--state", "open"])
            .contains("No conflicts")
    );
    assert!(dev.told(&["verify"]).contains("Ledger: 1 row."));
    dev.end();
}

#[test]
fn every_type_is_written_and_read_from_the_shell() {
    let dev = Dev::start(tempfile::tempdir().unwrap());
    dev.told(&["put", "articles", "a", r#"{"title": "A", "draft": true}"#]);
    dev.told(&["patch", "articles", "a", r#"{"draft": null}"#]);
    assert_eq!(
        dev.json(&["get", "articles", "a"])["value"],
        json!({ "title": "A" })
    );
    dev.told(&["op", "votes", "v", "--increment", "5"]);
    dev.told(&["op", "votes", "v", "--decrement", "2"]);
    assert_eq!(dev.told(&["get", "votes", "v"]), "3\n");
    dev.told(&["op", "carts", "c", "--add", "tea", "7"]);
    dev.told(&["op", "carts", "c", "--remove", "tea"]);
    assert_eq!(dev.told(&["get", "carts", "c"]), "[7]\n");
    dev.told(&[
        "op",
        "profiles",
        "p",
        r#"{"put": {"name": "Ann"}, "increment": {"visits": 1}}"#,
    ]);
    assert_eq!(
        dev.json(&["get", "profiles", "p"])["value"],
        json!({ "name": "Ann", "visits": 1 })
    );

    let etag = dev.json(&["get", "articles", "a"])["etag"]
        .as_str()
        .unwrap()
        .to_owned();
    dev.told(&["delete", "articles", "a", "--if-match", &etag]);
    let (code, words) = dev.refused(&["get", "articles", "a"]);
    assert!(code == 1 && words.contains("holds nothing"), "{words}");
    for (arguments, code, expected) in [
        (&["put", "votes", "v", "1"][..], 1, "TypeMismatch"),
        (
            &["put", "pages", "v", "1", "--if-match", "*"],
            1,
            "PreconditionFailed",
        ),
        (&["get", "nope", "k"], 1, "UnknownCollection"),
        (&["op", "votes", "v"], 2, "no operation is given"),
        (&["patch", "articles", "a", "{"], 2, "not JSON"),
        (&["get", "pages", ".."], 2, "/v1/batch"),
        (
            &["status", "--region", "mars"],
            2,
            "no server of region mars",
        ),
        (
            &["--server", "http://127.0.0.1:1", "get", "pages", "k"],
            1,
            "cannot be reached",
        ),
    ] {
        let (seen, words) = dev.refused(arguments);
        assert!(
            seen == code && words.contains(expected),
            "{arguments:?}: {seen} {words}"
        );
    }
    dev.end();
}

#[test]
fn imports_resume_and_exports_give_the_same_back() {
    let dev = Dev::start(tempfile::tempdir().unwrap());
    let file = dev.directory.path().join("all.ndjson");
    let lines: Vec<_> = (0..2500)
        .map(|n| format!("{{\"key\":\"k{n:04}\",\"value\":{{\"n\":{n}}}}}\n"))
        .collect();
    fs::write(
        &file,
        lines[..1000].concat() + "{\"key\":\"k\",\"value\":1}\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let (code, words) = dev.refused(&["import", "countries", path]);
    assert!(
        code == 1 && words.contains("line 1001: a Document holds an object"),
        "{words}"
    );

    fs::write(&file, lines.concat()).unwrap();
    let imported = dev.json(&["import", "countries", path]);
    let (skipped, written) = (
        imported["skipped"].as_u64().unwrap(),
        imported["written"].as_u64().unwrap(),
    );
    assert_eq!(skipped + written, 2500);
    dev.told(&["verify", "countries"]);

    let out = dev.directory.path().join("out.ndjson");
    fs::write(
        dev.directory.path().join("out.ndjson.part"),
        lines[..700].concat() + "{\"key\":\"k0700",
    )
    .unwrap();
    let exported = dev.json(&[
        "export",
        "countries",
        out.to_str().unwrap(),
        "--region",
        "ap",
    ]);
    assert_eq!(exported, json!({ "kept": 700, "written": 1800 }));
    assert_eq!(fs::read_to_string(out).unwrap(), lines.concat());
    dev.end();
}

#[test]
fn a_store_keeps_its_data_and_rereads_its_manifests() {
    let dev = Dev::start(tempfile::tempdir().unwrap());
    dev.told(&["put", "pages", "home", "1", "--region", "ap"]);
    let dev = Dev::start(dev.end());
    assert_eq!(dev.told(&["get", "pages", "home", "--region", "ap"]), "1\n");

    let changed = MANIFEST.replace("type: Set", "type: Counter");
    fs::write(&dev.manifest, &changed).unwrap();
    dev.signal("-HUP");
    until(|| dev.log().contains("changed its type from Set"), &dev);
    let changed = MANIFEST.replace("policy: KeepSiblings", "policy: LastWriterWins");
    fs::write(&dev.manifest, &changed).unwrap();
    dev.signal("-HUP");
    let policy_of_notes = |status: &Value| {
        let collections = status["regions"][2]["status"]["collections"]
            .as_array()
            .unwrap()
            .clone();
        let notes = collections
            .into_iter()
            .find(|collection| collection["name"] == "notes");
        notes.unwrap()["conflicts"]["policy"].clone()
    };
    until(
        || policy_of_notes(&dev.json(&["status"])) == "LastWriterWins",
        &dev,
    );
    let directory = dev.end();
    assert!(!directory.path().join("dev.json").exists());
}

#[test]
fn a_region_of_several_nodes_is_led_by_one_and_answers_at_each() {
    let directory = tempfile::tempdir().unwrap();
    let three = MANIFEST.replace("name: eu\n", "name: eu\n      replicas: 3\n");
    fs::write(directory.path().join("shop.yaml"), &three).unwrap();
    let dev = Dev::start(directory);
    assert!(dev.log().contains("3 regions of 5 nodes"), "{}", dev.log());
    // The second and the third have a vote once they have caught up.
    let roles = || {
        let nodes = dev.json(&["status"])["regions"][0]["nodes"].clone();
        let roles = nodes
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n["role"].to_string());
        let mut roles: Vec<_> = roles.collect();
        roles.sort();
        roles
    };
    let expected = ["\"Follower\"", "\"Follower\"", "\"Leader\""];
    until(|| roles() == expected, &dev);
    assert!(dev.told(&["status"]).contains("eu-2 of eu"));
    let entry: Value =
        serde_json::from_str(&fs::read_to_string(dev.directory.path().join("dev.json")).unwrap())
            .unwrap();
    for node in entry["regions"][0]["nodes"].as_array().unwrap() {
        let (name, server) = (
            node["name"].as_str().unwrap(),
            node["server"].as_str().unwrap(),
        );
        dev.told(&[
            "put",
            "pages",
            name,
            "1",
            "--server",
            server,
            "--write-concern",
            "all",
        ]);
        assert_eq!(dev.told(&["get", "pages", name, "--region", "ap"]), "1\n");
    }
    let directory = dev.end();

    // Fewer nodes than before could not agree on a leader.
    fs::write(directory.path().join("shop.yaml"), MANIFEST).unwrap();
    let output = atoll(directory.path())
        .args(["dev", "--port", "0", "--file"])
        .arg(directory.path().join("shop.yaml"))
        .arg("--data")
        .arg(directory.path().join("data"))
        .output()
        .unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("region eu has more nodes"), "{words}");
}

fn until(holds: impl Fn() -> bool, dev: &Dev) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{}", dev.log());
        sleep(LOOK_AGAIN_AFTER);
    }
}

#[test]
fn manifests_are_refused_with_all_their_faults() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("bad.yaml");
    fs::write(
        &manifest,
        MANIFEST
            .replace("AllToAll", "Star")
            .replace("type: Set", "type: Sett"),
    )
    .unwrap();
    let output = atoll(directory.path())
        .args(["dev", "-f"])
        .arg(&manifest)
        .output()
        .unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        words.contains("2 faults") && words.contains("hub") && words.contains("Sett"),
        "{words}"
    );
}

#[test]
fn commands_without_a_store_work_without_one() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = atoll(directory.path()).args(arguments).output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, crds) = run(&["crds"]);
    assert!(code == 0 && crds.contains("name: geostores.atoll.dev") && crds.contains("---"));
    let (code, script) = run(&["completion", "bash"]);
    assert!(code == 0 && script.contains("_atoll"));
    let (code, version) = run(&["version"]);
    assert!(code == 0 && version.starts_with("atoll "), "{version}");
    assert_eq!(run(&["status"]).0, 2);
    assert_eq!(run(&["nonsense"]).0, 2);
}

#[test]
fn regions_come_and_go_and_the_links_change_as_the_manifest_says() {
    let dev = Dev::start(tempfile::tempdir().unwrap());
    dev.told(&["put", "pages", "home", "1", "--region", "us"]);
    let reread = |manifest: &str, told: &str| {
        fs::write(&dev.manifest, manifest).unwrap();
        dev.signal("-HUP");
        until(|| dev.log().contains(told), &dev);
    };
    let states = || {
        let members = dev.json(&["region", "list", "--region", "af"])["members"].clone();
        let state = |m: &Value| format!("{} {}", m["name"], m["state"]).replace('"', "");
        let mut states: Vec<String> = members.as_array().unwrap().iter().map(state).collect();
        states.sort();
        states
    };
    let star = MANIFEST.replace("type: AllToAll", "type: Star\n    hub: xx");
    reread(&star, "xx");
    assert!(!dev.log().contains("another one"), "nothing moved");

    let four = MANIFEST.replace("    - name: ap\n", "    - name: ap\n    - name: af\n");
    reread(&four, "af joined");
    assert_eq!(
        states(),
        ["af Active", "ap Active", "eu Active", "us Active"]
    );
    assert_eq!(dev.told(&["get", "pages", "home", "--region", "af"]), "1\n");

    let without = four.replace("    - name: us\n", "");
    reread(&without, "us left");
    assert_eq!(
        states(),
        ["af Active", "ap Active", "eu Active", "us Retired"]
    );
    let status = dev.told(&["topology", "show", "--region", "eu"]);
    assert!(status.contains("AllToAll, revision 3"), "{status}");
    dev.told(&["put", "pages", "home", "2", "--region", "eu"]);
    until(
        || dev.told(&["get", "pages", "home", "--region", "af"]) == "2\n",
        &dev,
    );
}
