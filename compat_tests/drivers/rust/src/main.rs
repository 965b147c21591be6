//! rskafka: the protocol in Rust. Its user names the partition and the offset of each request; it has no groups.

mod consumer;

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use rskafka::BackoffConfig;
use rskafka::chrono::DateTime;
use rskafka::client::error::Error;
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use consumer::Consumer;

const WAIT: Duration = Duration::from_secs(30);
const WAIT_MS: i32 = 30_000;
/// rskafka makes one batch of what it is given, also one that is larger than a broker takes.
const BATCH_BYTES: usize = 900_000;

/// Kafka's name, and what the library said.
pub struct Failure(String, String);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let name = match &error {
            Error::ServerError { protocol_error, .. } => upper(&format!("{protocol_error:?}")),
            Error::RetryFailed(_) | Error::Timeout => "TIMED_OUT".into(),
            Error::Connection(_) => "Connection".into(),
            Error::Request(_) => "Request".into(),
            _ => "InvalidResponse".into(),
        };
        Failure(name, error.to_string())
    }
}

/// `UnknownTopicOrPartition` -> `UNKNOWN_TOPIC_OR_PARTITION`.
fn upper(name: &str) -> String {
    let mut found = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !found.is_empty() {
            found.push('_');
        }
        found.push(letter.to_ascii_uppercase());
    }
    found
}

fn bytes(text: &Value) -> Option<Vec<u8>> {
    text.as_str().map(|text| STANDARD.decode(text).expect("base64"))
}

pub fn text(bytes: Option<&Vec<u8>>) -> Value {
    bytes.map_or(Value::Null, |bytes| STANDARD.encode(bytes).into())
}

fn string(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn record(given: &Value) -> Record {
    let headers = given["headers"].as_array().into_iter().flatten();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let timestamp = given["timestamp"].as_i64().unwrap_or_else(now);
    Record {
        key: bytes(&given["key"]),
        value: bytes(&given["value"]),
        headers: headers.map(|pair| (string(&pair[0]), bytes(&pair[1]).unwrap_or_default())).collect(),
        timestamp: DateTime::from_timestamp_millis(timestamp).expect("milliseconds"),
    }
}

struct Driver {
    client: Client,
    partitions: HashMap<(String, i32), PartitionClient>,
    codecs: HashMap<String, Compression>,
    consumers: HashMap<String, Consumer>,
}

impl Driver {
    async fn call(&mut self, call: &Value) -> Result<Value, Failure> {
        let topic = call["topic"].as_str().unwrap_or_default();
        match call["do"].as_str().unwrap_or_default() {
            "create_topic" => {
                let count = call["partitions"].as_i64().expect("a count") as i32;
                self.client.controller_client()?.create_topic(topic, count, 1, WAIT_MS).await?;
            }
            "delete_topic" => self.client.controller_client()?.delete_topic(topic, WAIT_MS).await?,
            "list_topics" => {
                let found = self.client.list_topics().await?;
                return Ok(found.into_iter().map(|topic| topic.name).collect());
            }
            "delete_records" => return self.delete_records(topic, &call["offsets"]).await,
            "list_offsets" => return self.list_offsets(topic, &call["at"]).await,
            "open_producer" => {
                self.codecs.insert(string(&call["producer"]), codec(call["codec"].as_str().unwrap_or("none")));
            }
            "send" => {
                let codec = self.codecs[call["producer"].as_str().expect("a name")];
                return self.send(topic, call["records"].as_array().expect("records"), codec).await;
            }
            "close_producer" => {
                self.codecs.remove(&string(&call["producer"]));
            }
            "open_consumer" => {
                self.consumers.insert(string(&call["consumer"]), Consumer::new(call));
            }
            "close_consumer" => {
                self.consumers.remove(&string(&call["consumer"]));
            }
            name => return self.of_consumer(name, call).await,
        }
        Ok(Value::Null)
    }

    async fn of_consumer(&mut self, name: &str, call: &Value) -> Result<Value, Failure> {
        let consumer = self.consumers.get_mut(call["consumer"].as_str().unwrap_or_default());
        let consumer = consumer.ok_or_else(|| Failure("NoSuchCall".into(), name.into()))?;
        match name {
            "assign" => consumer.assign(&self.client, &call["offsets"]).await?,
            "seek" => consumer.seek(call),
            "poll" => return consumer.poll(call).await,
            _ => return Err(Failure("NoSuchCall".into(), name.into())),
        }
        Ok(Value::Null)
    }

    async fn partition(&mut self, topic: &str, partition: i32) -> Result<&PartitionClient, Failure> {
        let key = (topic.to_owned(), partition);
        if !self.partitions.contains_key(&key) {
            let opened = self.client.partition_client(topic, partition, UnknownTopicHandling::Error).await?;
            self.partitions.insert(key.clone(), opened);
        }
        Ok(&self.partitions[&key])
    }

    async fn delete_records(&mut self, topic: &str, offsets: &Value) -> Result<Value, Failure> {
        let mut deleted = vec![];
        for pair in offsets.as_array().expect("offsets") {
            let number = pair[0].as_i64().expect("a partition");
            let partition = self.partition(topic, number as i32).await?;
            partition.delete_records(pair[1].as_i64().expect("an offset"), WAIT_MS).await?;
            deleted.push(json!([number, partition.get_offset(OffsetAt::Earliest).await?]));
        }
        Ok(deleted.into())
    }

    async fn list_offsets(&mut self, topic: &str, at: &Value) -> Result<Value, Failure> {
        let at = match at.as_str() {
            Some("earliest") => OffsetAt::Earliest,
            Some(_) => OffsetAt::Latest,
            None => OffsetAt::Timestamp(
                at.as_i64().and_then(DateTime::from_timestamp_millis).expect("milliseconds"),
            ),
        };
        let topics = self.client.list_topics().await?;
        let Some(found) = topics.into_iter().find(|one| one.name == topic) else {
            return Err(Failure("UNKNOWN_TOPIC_OR_PARTITION".into(), "not in its list of topics".into()));
        };
        let mut rows = vec![];
        for number in found.partitions {
            let offset = self.partition(topic, number).await?.get_offset(at).await?;
            rows.push(json!([number, (offset >= 0).then_some(offset)]));
        }
        Ok(rows.into())
    }

    async fn send(&mut self, topic: &str, records: &[Value], codec: Compression) -> Result<Value, Failure> {
        let mut rows = vec![Value::Null; records.len()];
        let mut of_partition: HashMap<i32, Vec<usize>> = HashMap::new();
        for (place, given) in records.iter().enumerate() {
            of_partition.entry(given["partition"].as_i64().unwrap_or(0) as i32).or_default().push(place);
        }
        for (number, places) in of_partition {
            let partition = self.partition(topic, number).await?;
            let mut places = places.into_iter().peekable();
            while places.peek().is_some() {
                let (mut size, mut batch, mut sent) = (0, vec![], vec![]);
                while let Some(&place) = places.peek() {
                    let record = record(&records[place]);
                    size += record.approximate_size();
                    if size > BATCH_BYTES && !batch.is_empty() {
                        break;
                    }
                    sent.push((place, record.timestamp.timestamp_millis()));
                    batch.push(record);
                    places.next();
                }
                let offsets = partition.produce(batch, codec).await?;
                for ((place, timestamp), offset) in sent.into_iter().zip(offsets) {
                    rows[place] = json!([number, offset, timestamp]);
                }
            }
        }
        Ok(rows.into())
    }
}

fn codec(name: &str) -> Compression {
    match name {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::NoCompression,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bootstrap = std::env::args().nth(1).ok_or("no bootstrap server given")?;
    let patience = BackoffConfig { deadline: Some(WAIT), max_backoff: Duration::from_secs(1), ..Default::default() };
    let client = ClientBuilder::new(vec![bootstrap]).backoff_config(patience).build().await?;
    let mut driver =
        Driver { client, partitions: HashMap::new(), codecs: HashMap::new(), consumers: HashMap::new() };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut out = tokio::io::stdout();
    while let Some(line) = lines.next_line().await? {
        let answer = match driver.call(&serde_json::from_str(&line)?).await {
            Ok(result) => json!({"result": result}),
            Err(Failure(name, message)) => json!({"error": name, "message": message}),
        };
        out.write_all(format!("{answer}\n").as_bytes()).await?;
        out.flush().await?;
    }
    Ok(())
}
