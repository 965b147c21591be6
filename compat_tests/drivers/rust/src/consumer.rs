//! Partitions read one after another, each from the offset after the last record that came of it.

use std::collections::VecDeque;

use rskafka::client::Client;
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::record::RecordAndOffset;
use serde_json::{Value, json};

use crate::{Failure, text};

struct Reading {
    client: PartitionClient,
    /// Of the next fetch.
    offset: i64,
    fetched: VecDeque<RecordAndOffset>,
}

pub struct Consumer {
    reset: Option<OffsetAt>,
    min_bytes: i32,
    max_bytes: i32,
    wait_ms: i64,
    partitions: Vec<Reading>,
}

impl Consumer {
    pub fn new(call: &Value) -> Self {
        let number = |name: &str, default| call[name].as_i64().unwrap_or(default);
        Consumer {
            reset: match call["reset"].as_str() {
                Some("earliest") => Some(OffsetAt::Earliest),
                Some("none") => None,
                _ => Some(OffsetAt::Latest),
            },
            min_bytes: number("fetch_min_bytes", 1) as i32,
            max_bytes: number("partition_fetch_bytes", 1 << 20) as i32,
            wait_ms: number("fetch_wait_ms", 500),
            partitions: vec![],
        }
    }

    /// The offset to begin at where none is given or the given one is not there.
    async fn begin(&self, client: &PartitionClient) -> Result<i64, Failure> {
        match self.reset {
            Some(at) => Ok(client.get_offset(at).await?),
            None => Err(Failure("NO_OFFSET".into(), "none given, and no reset".into())),
        }
    }

    pub async fn assign(&mut self, client: &Client, offsets: &Value) -> Result<(), Failure> {
        self.partitions.clear();
        for row in offsets.as_array().expect("offsets") {
            let topic = row[0].as_str().expect("a topic");
            let number = row[1].as_i64().expect("a partition") as i32;
            let client = client.partition_client(topic, number, UnknownTopicHandling::Error).await?;
            let offset = match row[2].as_i64() {
                Some(offset) => offset,
                None => self.begin(&client).await?,
            };
            self.partitions.push(Reading { client, offset, fetched: VecDeque::new() });
        }
        Ok(())
    }

    pub fn seek(&mut self, call: &Value) {
        for reading in &mut self.partitions {
            if call["topic"] == reading.client.topic() && call["partition"] == reading.client.partition() {
                reading.offset = call["offset"].as_i64().expect("an offset");
                reading.fetched.clear();
            }
        }
    }

    pub async fn poll(&mut self, call: &Value) -> Result<Value, Failure> {
        let count = call["count"].as_u64().expect("a count") as usize;
        if self.partitions.iter().all(|reading| reading.fetched.is_empty()) {
            let share = self.partitions.len().max(1) as i64;
            self.fetch((self.wait_ms.min(call["wait_ms"].as_i64().expect("a wait")) / share) as i32).await?;
        }
        let mut rows = vec![];
        for reading in &mut self.partitions {
            let some = reading.fetched.len().min(count - rows.len());
            for RecordAndOffset { record, offset } in reading.fetched.drain(..some) {
                let headers: Vec<_> =
                    record.headers.iter().map(|(name, value)| json!([name, text(Some(value))])).collect();
                rows.push(json!([
                    reading.client.topic(), reading.client.partition(), offset, record.timestamp.timestamp_millis(),
                    text(record.key.as_ref()), text(record.value.as_ref()), headers
                ]));
            }
        }
        Ok(rows.into())
    }

    async fn fetch(&mut self, wait_ms: i32) -> Result<(), Failure> {
        for place in 0..self.partitions.len() {
            let reading = &self.partitions[place];
            let done = reading.client.fetch_records(reading.offset, self.min_bytes..self.max_bytes, wait_ms).await;
            let records = match done.map_err(Failure::from) {
                Ok((records, _)) => records,
                Err(Failure(name, _)) if name == "OFFSET_OUT_OF_RANGE" && self.reset.is_some() => {
                    self.partitions[place].offset = self.begin(&reading.client).await?;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let reading = &mut self.partitions[place];
            if let Some(last) = records.last() {
                reading.offset = last.offset + 1;
            }
            reading.fetched = records.into();
        }
        Ok(())
    }
}
