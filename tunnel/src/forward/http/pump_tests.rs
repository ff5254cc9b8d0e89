#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

/// Forwards everything as it is, but for paths that begin with `/no`.
#[derive(Default)]
struct Plain(Counters);

impl Policy for Plain {
    fn request(&self, request: &Request) -> Result<Bytes, Refusal> {
        let refused = request.target().starts_with(b"/no");
        if refused { Err(Refusal::Path) } else { Ok(request.head.bytes().clone()) }
    }

    fn response(&self, response: &Response, _: &Asked) -> Bytes {
        response.head.bytes().clone()
    }

    fn counters(&self) -> &Counters {
        &self.0
    }
}

struct From(UnboundedReceiver<Bytes>, Result<(), Reset>);

struct To(Option<UnboundedSender<Bytes>>);

impl Source for From {
    async fn ready(&mut self) -> Result<(), Broken> {
        self.1.map_err(|code| Broken::Refused { code, reason: String::new() })
    }

    async fn read(&mut self, chunks: &mut VecDeque<Bytes>) -> Result<bool, Broken> {
        let Some(chunk) = self.0.recv().await else { return Ok(false) };
        chunks.push_back(chunk);
        Ok(true)
    }
}

impl Sink for To {
    async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), Broken> {
        for chunk in chunks {
            let to = self.0.as_ref().unwrap();
            to.send(std::mem::take(chunk)).map_err(|_| Broken::Here(Reset::PeerReset))?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Broken> {
        self.0 = None;
        Ok(())
    }
}

/// A client or a server, on the other side of the pump.
struct Side {
    to: Option<UnboundedSender<Bytes>>,
    from: UnboundedReceiver<Bytes>,
}

impl Side {
    fn says(&self, text: impl AsRef<[u8]>) {
        self.to.as_ref().unwrap().send(Bytes::copy_from_slice(text.as_ref())).unwrap();
    }

    fn hangs_up(&mut self) {
        self.to = None;
    }

    /// All that has come when nothing more happens.
    async fn heard(&mut self) -> String {
        settle().await;
        let mut heard = Vec::new();
        while let Ok(chunk) = self.from.try_recv() {
            heard.extend_from_slice(&chunk);
        }
        String::from_utf8(heard).unwrap()
    }

    /// Whether the pump says that nothing more will come.
    async fn is_told_the_end(&mut self) -> bool {
        settle().await;
        self.from.try_recv() == Err(mpsc::error::TryRecvError::Disconnected)
    }
}

struct World {
    client: Side,
    server: Side,
    policy: Arc<Plain>,
    pump: JoinHandle<Result<(), Broken>>,
}

fn world() -> World {
    world_where(Ok(()))
}

fn world_where(server_opens: Result<(), Reset>) -> World {
    let ((client_to, from_client), (server_to, from_server)) = (unbounded_channel(), unbounded_channel());
    let ((to_client, client_from), (to_server, server_from)) = (unbounded_channel(), unbounded_channel());
    let policy = Arc::new(Plain::default());
    let pumping = Arc::clone(&policy);
    let pump = tokio::spawn(async move {
        let client = (From(from_client, Ok(())), To(Some(to_client)));
        let server = (From(from_server, server_opens), To(Some(to_server)));
        run(&*pumping, client, server).await
    });
    World {
        client: Side { to: Some(client_to), from: client_from },
        server: Side { to: Some(server_to), from: server_from },
        policy,
        pump,
    }
}

/// Virtual time goes on only when nobody has anything to do.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn requests_and_responses_alternate_on_one_connection() {
    let World { mut client, mut server, pump, .. } = world();
    for path in ["/1", "/2", "/3"] {
        client.says(get(path));
        assert_eq!(server.heard().await, get(path));
        server.says(OK);
        assert_eq!(client.heard().await, OK);
    }
    client.hangs_up();
    assert!(server.is_told_the_end().await && client.is_told_the_end().await);
    assert!(pump.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn it_does_not_matter_how_the_bytes_are_cut() {
    let World { mut client, mut server, .. } = world();
    let post = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for byte in [post, &get("/next")].concat().bytes() {
        client.says([byte]);
    }
    assert_eq!(server.heard().await, [post, &get("/next")].concat());
    for byte in [OK, OK].concat().bytes() {
        server.says([byte]);
    }
    assert_eq!(client.heard().await, [OK, OK].concat());
}

#[tokio::test(start_paused = true)]
async fn every_piece_of_a_body_goes_on_when_it_comes() {
    let World { mut client, mut server, .. } = world();
    client.says("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n");
    assert!(server.heard().await.ends_with("\r\n\r\n"));
    for piece in ["a", "bc", "d"] {
        client.says(piece);
        assert_eq!(server.heard().await, piece);
    }
    server.says("HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n");
    assert!(client.heard().await.ends_with("\r\n\r\n"));
    for piece in ["--picture 1", "--picture 2"] {
        server.says(piece);
        assert_eq!(client.heard().await, piece);
    }
    server.hangs_up();
    assert!(client.is_told_the_end().await);
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_answered_in_order_and_a_refusal_is_the_last_word() {
    let World { mut client, mut server, policy, .. } = world();
    client.says([get("/1"), get("/2"), get("/no"), get("/4")].concat());
    assert_eq!(server.heard().await, [get("/1"), get("/2")].concat(), "nothing behind what was refused");
    assert_eq!(client.heard().await, "");
    server.says(OK);
    assert_eq!(client.heard().await, OK);
    server.says(OK);
    let heard = client.heard().await;
    let refused = heard.strip_prefix(OK).unwrap();
    assert!(refused.starts_with("HTTP/1.1 403 Forbidden\r\n") && refused.ends_with(" (path)\n"), "{refused}");
    assert!(client.is_told_the_end().await);
    assert_eq!(policy.0.refused().collect::<Vec<_>>(), [(Refusal::Path, 1)]);
    assert_eq!(policy.0.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_requests_wait_for_their_responses() {
    let World { client, mut server, .. } = world();
    client.says(get("/").repeat(PIPELINE_MAX + 10));
    // One more has been taken out of the queue, to wait for its response.
    assert_eq!(server.heard().await.matches("GET").count(), PIPELINE_MAX + 1);
    server.says(OK);
    assert_eq!(server.heard().await.matches("GET").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn responses_without_a_body_are_not_waited_for() {
    let World { mut client, mut server, .. } = world();
    let head = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";
    client.says([head, &get("/"), &get("/")].concat());
    settle().await;
    let bodiless = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        OK,
    ];
    server.says(bodiless.concat());
    assert_eq!(client.heard().await, bodiless.concat());
    client.says(get("/again"));
    assert!(server.heard().await.ends_with(&get("/again")));
    server.says(OK);
    assert_eq!(client.heard().await, OK);
    // The refusal of a HEAD has no body either.
    client.says("HEAD /no HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(client.heard().await.ends_with("\r\n\r\n"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_100_continue_gets_it_and_then_sends() {
    let World { mut client, mut server, .. } = world();
    client.says("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert!(server.heard().await.contains("Expect"));
    server.says("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.heard().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.says("ab");
    assert_eq!(server.heard().await, "ab");
    server.says(OK);
    assert_eq!(client.heard().await, OK);
}

#[tokio::test(start_paused = true)]
async fn after_101_everything_is_raw_and_nothing_before_it() {
    let World { mut client, mut server, policy, pump } = world();
    client.says([UPGRADE, "early"].concat());
    client.says(get("/no"));
    assert_eq!(server.heard().await, UPGRADE, "what came before 101 is held");
    server.says([SWITCHED, "hello"].concat());
    assert_eq!(client.heard().await, [SWITCHED, "hello"].concat());
    assert_eq!(server.heard().await, format!("early{}", get("/no")));
    assert_eq!(policy.0.upgrades(), 1);

    // A half-close is one, as on any stream.
    server.says("bye");
    server.hangs_up();
    assert_eq!(client.heard().await, "bye");
    assert!(client.is_told_the_end().await);
    tokio::time::sleep(LINGER * 2).await;
    client.says("still here");
    assert_eq!(server.heard().await, "still here");
    client.hangs_up();
    assert!(pump.await.unwrap().is_ok());
    assert_eq!(policy.0.upgrades(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_denied_upgrade_is_a_request_and_judged() {
    let World { mut client, mut server, .. } = world();
    client.says([UPGRADE, &get("/2"), &get("/no")].concat());
    assert_eq!(server.heard().await, UPGRADE);
    server.says(OK);
    assert_eq!(client.heard().await, OK);
    assert_eq!(server.heard().await, get("/2"));
    server.says(OK);
    assert!(client.heard().await.contains("403 Forbidden"));
    assert_eq!(server.heard().await, "");
}

#[tokio::test(start_paused = true)]
async fn another_protocol_that_nobody_asked_for_is_no_answer() {
    let World { mut client, server, policy, .. } = world();
    client.says(get("/"));
    settle().await;
    server.says([SWITCHED, "raw"].concat());
    assert!(client.heard().await.starts_with("HTTP/1.1 502 "));
    assert_eq!(policy.0.refused().collect::<Vec<_>>(), [(Refusal::BadAnswer, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_belongs_to_nobody_is_not_forwarded() {
    let World { mut client, mut server, .. } = world();
    client.says(get("/"));
    assert_eq!(server.heard().await, get("/"));
    server.says([OK, OK].concat());
    assert_eq!(client.heard().await, OK);
    assert!(client.is_told_the_end().await, "and the connection ends");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_turns_out_malformed_is_answered_though_the_target_waits() {
    let World { mut client, mut server, policy, .. } = world();
    client.says("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    assert!(server.heard().await.ends_with("abc\r\n"));
    client.says("0x0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n");
    assert!(client.heard().await.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    assert_eq!(server.heard().await, "", "nothing of what was malformed");
    assert_eq!(policy.0.refused().collect::<Vec<_>>(), [(Refusal::Chunk, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_turns_out_malformed_breaks_the_connection() {
    let World { mut client, server, pump, .. } = world();
    client.says(get("/"));
    settle().await;
    server.says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n");
    let broken = pump.await.unwrap();
    assert!(matches!(broken, Err(Broken::Here(Reset::Protocol))), "{broken:?}");
    assert!(!client.heard().await.contains('X'));
}

#[tokio::test(start_paused = true)]
async fn a_malformed_response_is_a_bad_gateway() {
    for head in ["SSH-2.0-OpenSSH_9.9\r\n", "HTTP/1.1 200 OK\nX: y\n\n", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n"] {
        let World { mut client, server, .. } = world();
        client.says(get("/"));
        settle().await;
        server.says(head);
        settle().await;
        drop(server);
        assert!(client.heard().await.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_up_instead_of_answering_leaves_the_client_to_try_again() {
    let World { mut client, mut server, pump, .. } = world();
    client.says(get("/"));
    settle().await;
    server.hangs_up();
    assert_eq!(client.heard().await, "");
    assert!(client.is_told_the_end().await);
    client.hangs_up();
    assert!(pump.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_before_the_whole_request_is_not_lost() {
    let World { mut client, mut server, .. } = world();
    client.says("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nabc");
    settle().await;
    let early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    server.says(early);
    server.hangs_up();
    drop(std::mem::replace(&mut server.from, unbounded_channel().1));
    client.says("more that nobody reads");
    assert_eq!(client.heard().await, early);
    assert!(client.is_told_the_end().await);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_takes_too_long_is_not_waited_for() {
    let World { mut client, mut server, .. } = world();
    let began = Instant::now();
    for byte in get("/").bytes().take(8) {
        client.says([byte]);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(HEAD_TIMEOUT - began.elapsed()).await;
    assert!(client.heard().await.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    assert_eq!(server.heard().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_is_asked_ends_and_a_slow_answer_is_waited_for() {
    let World { mut client, mut server, pump, .. } = world();
    client.says(get("/poll"));
    tokio::time::sleep(IDLE_TIMEOUT * 3).await;
    server.says(OK);
    assert_eq!(client.heard().await, OK);
    tokio::time::sleep(IDLE_TIMEOUT - Duration::from_secs(1)).await;
    assert!(!client.is_told_the_end().await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(client.is_told_the_end().await);
    assert_eq!(server.heard().await, get("/poll"));
    assert!(tokio::time::timeout(LINGER * 2, pump).await.unwrap().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_hangs_up_is_not_read_for_ever() {
    let World { mut client, server: _server, pump, .. } = world();
    client.says(get("/no"));
    assert!(client.heard().await.contains("403"));
    let began = Instant::now();
    client.says("and on and on");
    assert!(pump.await.unwrap().is_ok());
    assert!((LINGER - Duration::from_millis(10)..LINGER * 2).contains(&began.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_does_not_open_is_told_in_http() {
    for (code, status) in [
        (Reset::NotPermitted, "403 Forbidden"),
        (Reset::Unreachable, "502 Bad Gateway"),
        (Reset::MaxClients, "503 Service Unavailable"),
    ] {
        let World { mut client, pump, .. } = world_where(Err(code));
        client.says(get("/"));
        assert!(client.heard().await.starts_with(&format!("HTTP/1.1 {status}\r\n")));
        client.hangs_up();
        let ended = pump.await.unwrap();
        assert!(matches!(ended, Err(Broken::Refused { code: told, .. }) if told == code), "{ended:?}");
    }
}
