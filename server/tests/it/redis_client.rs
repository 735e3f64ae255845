//! A foreign client: redis-rs, over both versions of the protocol.

use crate::common::{Server, config};
use redis::{FromRedisValue, Value, cmd};

async fn connect(server: &Server, version: &str) -> redis::aio::MultiplexedConnection {
    let url = format!("redis://{}/?protocol={version}", server.address());
    let client = redis::Client::open(url).expect("a good address");
    client.get_multiplexed_async_connection().await.expect("the server answers its handshake")
}

async fn drive(version: &str) {
    let server = Server::start(config());
    let mut connection = connect(&server, version).await;
    let (number, word): (u64, String) =
        cmd("JOB.ADD").arg("q").arg("n").arg(&b"\x00\xff"[..]).query_async(&mut connection).await.expect("added");
    assert_eq!((number, word.as_str()), (1, "created"));
    let mut pipeline = redis::pipe();
    for _ in 0..100 {
        pipeline.cmd("JOB.ADD").arg("q").arg("n").arg("{}").arg(r#"{"priority":-1}"#);
    }
    let added: Vec<(u64, String)> = pipeline.query_async(&mut connection).await.expect("all added");
    assert_eq!(added.last().map(|(number, _)| *number), Some(101));
    let leased: Vec<Vec<Value>> =
        cmd("JOB.LEASE").arg("w").arg("QUEUES").arg("q").query_async(&mut connection).await.expect("leased");
    let [job] = leased.as_slice() else { panic!("{leased:?}") };
    let token = String::from_redis_value(job[1].clone()).expect("a token");
    assert_eq!(job[11], Value::BulkString(b"\x00\xff".to_vec()));
    assert_eq!(job[4], Value::Nil);
    let settled: Vec<Value> = cmd("JOB.SETTLE")
        .arg(2)
        .arg(&["COMPLETE", "1", &token, "COMPLETE", "2", "1-1"])
        .query_async(&mut connection)
        .await
        .expect("one stale lease does not spoil the reply");
    let settled = Vec::<Vec<String>>::from_redis_value(settled[0].clone()).expect("words");
    assert_eq!((settled[0][0].as_str(), settled[1][0].as_str()), ("counted", "STALE"));
    let error = cmd("QUEUE.GET").arg("none").query_async::<String>(&mut connection).await.expect_err("none");
    assert_eq!(error.code(), Some("NOQUEUE"));
    server.stop().expect("a clean stop");
}

#[tokio::test]
async fn redis_rs_works_over_resp2() {
    drive("resp2").await;
}

#[tokio::test]
async fn redis_rs_works_over_resp3() {
    drive("resp3").await;
}
