//! A store that refuses requests, does them without saying so, does them when
//! nobody waits any more, or takes its time.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::log::{self, Log, TOPIC};
use super::proxy::{Fate, Message, Met, Proxy, at_random};
use super::{Job, Place, Tale, in_rounds};
use crate::support::{S3, Watcher, python, text};

const BUCKET: &str = "bucket";
/// How long a job waits for an answer: not as long as by default.
const TIMEOUT: Duration = Duration::from_secs(1);

const FED_FOR: Duration = Duration::from_secs(3);

/// A job that reaches its bucket through a proxy only.
fn behind(proxy: &Proxy, s3: &S3, job: &mut Job) {
    job.environment = s3.environment();
    job.environment.push(("AWS_ENDPOINT_URL", proxy.address()));
    job.environment.push(("AWS_TIMEOUT", format!("{} seconds", TIMEOUT.as_secs())));
}

fn place(s3: &S3, rng: &mut StdRng) -> Place {
    let name: u64 = rng.random();
    let bucket = Place { path: format!("s3://{BUCKET}"), folder: s3.folder().join(BUCKET) };
    bucket.join(&name.to_string())
}

/// How a job may stop: it tells of the store, and can be gone on with.
fn is_of_the_store(said: &str) -> bool {
    said.contains("s3://") && !said.contains("taken over")
}

fn killed_on_a_bad_store(s3: &S3, rng: &mut StdRng) -> String {
    let scripts = tempfile::tempdir().unwrap();
    let log = Log::new(rng, 3_000);
    let broker = log::broker();
    let place = place(s3, rng);
    let (lake, state) = (place.join("lake"), place.join("state"));
    let mut job = Job::new(scripts.path(), &log, &broker.address(), TOPIC, lake, state);
    let proxy = Proxy::start(s3.port(), at_random(rng.random(), TIMEOUT));
    behind(&proxy, s3, &mut job);
    let watcher = Watcher::start(job.lake.folder.clone());
    let tale = log::feeding(&broker, &log, log::ALL, FED_FOR, || {
        Tale::until_the_end(&job, rng, Duration::from_secs(3), is_of_the_store)
    });
    let files = watcher.finish();
    job.compare();
    format!("{tale:?}, {files} files; requests: {:?}", proxy.met())
}

#[test]
fn a_killed_job_on_a_bad_store_writes_each_row_once() {
    let (Some(_), Some(s3)) = (python(), S3::start(BUCKET)) else { return };
    in_rounds(|rng| killed_on_a_bad_store(&s3, rng));
}

/// The first time that each of these requests is made nobody learns that it was
/// done, or it is done later. Made again, it meets itself.
fn first_unsaid(is_one: fn(&Message) -> bool) -> impl FnMut(&Message) -> Fate + Send {
    let mut sent = BTreeSet::new();
    move |request| {
        if !is_one(request) || !sent.insert(request.first_line().to_owned()) {
            return Fate::Passed;
        }
        match sent.len() % 2 {
            1 => Fate::ReplyLost,
            _ => Fate::Late(Duration::from_millis(150)),
        }
    }
}

/// Runs a job whose first requests of a kind are not answered; it goes through,
/// in one process. Gives what its requests met.
fn unanswered(s3: &S3, is_one: fn(&Message) -> bool, rng: &mut StdRng) -> Met {
    let scripts = tempfile::tempdir().unwrap();
    let log = Log::new(rng, 1_000);
    let broker = log::broker();
    let place = place(s3, rng);
    let (lake, state) = (place.join("lake"), place.join("state"));
    let mut job = Job::new(scripts.path(), &log, &broker.address(), TOPIC, lake, state);
    let proxy = Proxy::start(s3.port(), first_unsaid(is_one));
    behind(&proxy, s3, &mut job);
    let output = log::feeding(&broker, &log, log::ALL, FED_FOR, || job.start(2).output());
    assert!(output.status.success(), "{}", text(&output));
    job.compare();
    proxy.met()
}

#[test]
fn a_manifest_whose_answer_was_lost_is_known_again() {
    let (Some(_), Some(s3)) = (python(), S3::start(BUCKET)) else { return };
    in_rounds(|rng| {
        let met = unanswered(&s3, Message::creates, rng);
        let all = ["reply lost", "late", "was there"].iter().all(|fate| met.contains_key(fate));
        assert!(all, "{met:?}");
        format!("requests: {met:?}")
    });
}

#[test]
fn any_request_may_have_been_done_before() {
    let (Some(_), Some(s3)) = (python(), S3::start(BUCKET)) else { return };
    in_rounds(|rng| format!("requests: {:?}", unanswered(&s3, |_| true, rng)));
}
