//! `turnstile produce`, on the embedded broker, read back by a consumer.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use turnstile::broker::EmbeddedBroker;

use super::support::{text, turnstile};

/// Keys and values of every partition, each in its order.
fn messages(broker: &EmbeddedBroker, topic: &str, partitions: i32) -> Vec<(String, String)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .set("group.id", "test")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    let mut expected = 0;
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        expected += broker.end_offset(topic, partition).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let utf8 = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut found = Vec::new();
    while found.len() < usize::try_from(expected).unwrap() {
        assert!(Instant::now() < deadline, "{} of {expected} messages", found.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.unwrap();
            found.push((utf8(message.key()), utf8(message.payload())));
        }
    }
    found
}

#[test]
fn readings_go_to_a_topic_made_for_them() {
    let broker = EmbeddedBroker::start().unwrap();
    let address = broker.address();
    let produce = |topic: &str| {
        let mut command = turnstile();
        command.args(["produce", "turnstile", "--bootstrap-servers", &address]);
        command.args([
            "--topic",
            topic,
            "--partitions",
            "3",
            "--events",
            "5000",
            "--seed",
            "7",
        ]);
        command.output().unwrap()
    };
    let output = produce("a");
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("made topic `a` with 3 partitions"), "{}", text(&output));
    assert!(text(&output).contains("5000 readings delivered to `a`"), "{}", text(&output));
    let mut first = messages(&broker, "a", 3);
    assert_eq!(first.len(), 5_000);
    for (key, line) in &first {
        assert_eq!(line.split(',').nth(11), Some(key.as_str()), "the key is the ID");
    }
    assert!(produce("b").status.success());
    let mut second = messages(&broker, "b", 3);
    first.sort();
    second.sort();
    assert_eq!(first, second, "the same seed gives the same readings");
    assert!(!text(&produce("a")).contains("made topic"), "it is there already");
}

#[test]
fn speed_stretches_event_time() {
    let broker = EmbeddedBroker::start().unwrap();
    let output = turnstile()
        .args(["produce", "turnstile", "--bootstrap-servers", &broker.address()])
        .args(["--events", "200", "--rate", "1000", "--speed", "18000", "--partitions", "1"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    // 200 readings at 1000/s are 0.2 s, and 18000 times that is an hour. A late
    // reading may make it look up to 2 minutes longer.
    let at = |line: &str| {
        let text = line.rsplit(',').next().unwrap();
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap()
    };
    let times: Vec<_> =
        messages(&broker, "turnstile", 1).iter().map(|(_, line)| at(line)).collect();
    let hours = *times.iter().max().unwrap() - *times.iter().min().unwrap();
    assert!((58..=63).contains(&hours.num_minutes()), "{hours}");
}

/// Two turnstiles, audited at 00:00, 04:00 and 08:00, in the order of the MTA's
/// files, and two rows that are broken.
const AUDITS: &str = "\
C/A,UNIT,SCP,STATION,LINENAME,DIVISION,DATE,TIME,DESC,ENTRIES,EXITS          
A002,R051,02-00-00,59 ST,NQR456W,BMT,09/23/2023,00:00:00,REGULAR,100,50       
A002,R051,02-00-00,59 ST,NQR456W,BMT,09/23/2023,04:00:00,REGULAR,109,54       
broken
A002,R051,02-00-00,59 ST,NQR456W,BMT,09/23/2023,08:00:00,REGULAR,119,64       
A002,R051,02-00-01,59 ST,NQR456W,BMT,09/23/2023,00:00:00,REGULAR,1,1          
A002,R051,02-00-01,59 ST,NQR456W,BMT,09/23/2023,04:00:00,REGULAR,3,4          
A002,R051,02-00-01,59 ST,NQR456W,BMT,09/23/2023,06:00:00,REGULAR,many,4       
A002,R051,02-00-01,59 ST,NQR456W,BMT,09/23/2023,08:00:00,REGULAR,3,9          
";

fn replay(broker: &EmbeddedBroker, topic: &str, more: &[&str]) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("turnstile_230923.txt");
    std::fs::write(&file, AUDITS).unwrap();
    let output = turnstile()
        .args(["produce", "csv", "--bootstrap-servers", &broker.address()])
        .args(["--topic", topic, "--partitions", "1"])
        .args(more)
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let cells = |line: String| {
        let fields: Vec<&str> = line.split(',').collect();
        format!("{} {} {} {}", fields[2], fields[7], fields[9], fields[10])
    };
    let found = messages(broker, topic, 1).into_iter().map(|(_, line)| cells(line)).collect();
    (text(&output), found)
}

#[test]
fn published_files_become_readings_in_their_order() {
    let broker = EmbeddedBroker::start().unwrap();
    let (said, found) = replay(&broker, "t", &[]);
    assert_eq!(
        found,
        [
            "02-00-00 04:00:00 9 4",
            "02-00-00 08:00:00 10 10",
            "02-00-01 04:00:00 2 3",
            "02-00-01 08:00:00 0 5",
        ]
    );
    for part in [
        "turnstile_230923.txt:4: 1 fields, expected 11",
        "turnstile_230923.txt:8: ENTRIES is no counter: `many`",
        "4 readings delivered to `t`",
        "2 first audits, 0 resets, 2 bad lines",
        "note: 1 of them are more than 5 minutes older",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
}

#[test]
fn published_files_may_be_sent_by_time() {
    let broker = EmbeddedBroker::start().unwrap();
    let (said, found) = replay(&broker, "t", &["--by-time"]);
    assert_eq!(
        found,
        [
            "02-00-00 04:00:00 9 4",
            "02-00-01 04:00:00 2 3",
            "02-00-00 08:00:00 10 10",
            "02-00-01 08:00:00 0 5",
        ]
    );
    assert!(!said.contains("note:"), "{said}");
}

#[test]
fn a_mistake_on_the_command_line_is_the_authors() {
    for (args, said) in [
        (&["produce", "turnstile", "--events", "x"][..], "invalid value 'x'"),
        (&["produce", "turnstile", "--speed", "2"], "--rate"),
        (&["produce", "turnstile", "--speed", "2", "--rate", "0"], "--rate is 0"),
        (&["produce", "turnstile", "--config", "/nowhere"], "/nowhere"),
        (&["produce", "csv", "/nowhere"], "/nowhere"),
        (&["prodce"], "unrecognized subcommand"),
    ] {
        let output = turnstile().args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", text(&output));
        assert!(text(&output).contains(said), "{args:?}: {}", text(&output));
    }
    assert!(turnstile().arg("--help").output().unwrap().status.success());
}

#[test]
fn absent_brokers_are_the_worlds_fault() {
    let output = turnstile()
        .args(["produce", "turnstile", "--bootstrap-servers", "127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("no answer from the brokers at 127.0.0.1:1"));
}

/// The brokers go away while a producer runs, and its queue fills. Ctrl-C ends
/// it all the same, and it says that it does not know what became of the rest.
#[test]
fn ctrl_c_is_heard_while_the_brokers_are_gone() {
    let broker = EmbeddedBroker::start().unwrap();
    let mut child = turnstile()
        .args(["produce", "turnstile", "--events", "1000000000"])
        .args(["--bootstrap-servers", &broker.address()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("made topic")));
    drop(broker);
    // The first line about the rate comes when the queue is long full.
    assert!(lines.any(|line| line.contains("messages/s")));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let asked_at = Instant::now();
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(2), "{said:?}");
    assert!(asked_at.elapsed() < Duration::from_secs(30));
    assert!(said.iter().any(|line| line.contains("it is not known")), "{said:?}");
}
