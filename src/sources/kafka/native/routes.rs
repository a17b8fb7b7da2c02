//! Who leads which partition, and a connection to each of them.
//!
//! Asking and connecting block, so they are done on a thread of their own while
//! the reader goes on with what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use rand::seq::SliceRandom;

use super::connection::{Connection, Fault};
use super::settings::Settings;
use crate::sources::SplitId;

/// A broker's number.
pub type Node = i32;

/// What was found.
#[derive(Default)]
pub struct Routes {
    /// For each partition that has a leader, who it is and since which epoch.
    pub leaders: BTreeMap<SplitId, (Node, Option<i32>)>,
    /// Leaders that there was no connection to.
    pub connections: BTreeMap<Node, Connection>,
    /// Why partitions have no leader.
    pub trouble: Vec<(SplitId, ResponseError)>,
    /// Leaders that could not be connected to.
    pub unreachable: Vec<(Node, Fault)>,
}

impl Routes {
    pub fn is_complete(&self) -> bool {
        self.trouble.is_empty() && self.unreachable.is_empty()
    }
}

/// Routes to be told of, or why no broker could say any.
pub type Finding = Receiver<Result<Routes, Fault>>;

/// Begins to find the leaders of `wanted`. `connected`: who needs no connection.
pub fn find(
    settings: &Arc<Settings>,
    wanted: Vec<SplitId>,
    connected: BTreeSet<Node>,
) -> Finding {
    let (tell, finding) = bounded(1);
    let settings = Arc::clone(settings);
    std::thread::Builder::new()
        .name("kafka-routes".to_owned())
        .spawn(move || {
            // Nobody waits for it any more if the job has ended.
            let _ = tell.send(routes(&settings, &wanted, &connected));
        })
        .expect("the system can start a thread");
    finding
}

fn routes(
    settings: &Settings,
    wanted: &[SplitId],
    connected: &BTreeSet<Node>,
) -> Result<Routes, Fault> {
    let mut servers = settings.servers.clone();
    servers.shuffle(&mut rand::rng());
    let mut last = Fault::Protocol("no broker is named".to_owned());
    for (host, port) in &servers {
        let asked = Connection::open(host, *port, settings).and_then(|connection| {
            routes_by((host, *port), connection, settings, wanted, connected)
        });
        match asked {
            Ok(routes) => return Ok(routes),
            Err(Fault::Io(error)) => {
                last =
                    std::io::Error::new(error.kind(), format!("{host}:{port}: {error}")).into();
            }
            Err(fault @ Fault::Denied(_)) => return Err(fault),
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

/// Asks one broker; its own connection is kept if it is a leader.
fn routes_by(
    (host, port): (&str, u16),
    mut connection: Connection,
    settings: &Settings,
    wanted: &[SplitId],
    connected: &BTreeSet<Node>,
) -> Result<Routes, Fault> {
    let topics: BTreeSet<&Arc<str>> = wanted.iter().map(|split| &split.topic).collect();
    let topic = |name: &&Arc<str>| {
        let name = TopicName(StrBytes::from_string(name.to_string()));
        MetadataRequestTopic::default().with_name(Some(name))
    };
    let request = MetadataRequest::default()
        .with_topics(Some(topics.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(false);
    let told = connection.ask(&request)?;
    let mut routes = Routes::default();
    for split in wanted {
        let named = |name: &TopicName| name.as_str() == &*split.topic;
        let topic = told.topics.iter().find(|topic| topic.name.as_ref().is_some_and(named));
        let partition = topic.and_then(|topic| {
            topic.partitions.iter().find(|p| p.partition_index == split.partition)
        });
        let code = match (topic, partition) {
            (Some(topic), _) if topic.error_code != 0 => topic.error_code,
            (_, Some(partition)) if partition.leader_id.0 >= 0 => {
                let epoch = (partition.leader_epoch >= 0).then_some(partition.leader_epoch);
                routes.leaders.insert(split.clone(), (partition.leader_id.0, epoch));
                continue;
            }
            (_, Some(_)) => ResponseError::LeaderNotAvailable.code(),
            _ => ResponseError::UnknownTopicOrPartition.code(),
        };
        let error =
            ResponseError::try_from_code(code).unwrap_or(ResponseError::UnknownServerError);
        routes.trouble.push((split.clone(), error));
    }
    let leaders: BTreeSet<Node> = routes.leaders.values().map(|(node, _)| *node).collect();
    let mut own = Some(connection);
    for node in leaders.difference(connected) {
        let broker = told.brokers.iter().find(|broker| broker.node_id.0 == *node);
        let address = broker.and_then(|b| Some((b.host.as_str(), u16::try_from(b.port).ok()?)));
        let Some((leader, leader_port)) = address else { continue };
        let opened = match own.take_if(|_| (leader, leader_port) == (host, port)) {
            Some(own) => Ok(own),
            None => Connection::open(leader, leader_port, settings),
        };
        match opened {
            Ok(connection) => {
                routes.connections.insert(*node, connection);
            }
            Err(fault @ Fault::Denied(_)) => return Err(fault),
            Err(fault) => routes.unreachable.push((*node, fault)),
        }
    }
    Ok(routes)
}
