//! Streams: pictures, events, polls and large bodies go on when they come, and take no memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::origin::{connect, length_of, read_head};
use crate::support::net::{App, Net};
use crate::support::targets::serve;

/// What a first part may take from the request on, at best of several.
const FIRST_PART: Duration = Duration::from_millis(50);

/// Requests to find the best of.
const TRIES: usize = 10;

const PARTS: usize = 5;

/// An origin that sends the next part when the test says so, and not before.
fn on_demand(head: &'static str, part: fn(usize) -> Vec<u8>) -> (SocketAddr, Sender<()>) {
    let (next, more) = channel();
    let more: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(more));
    let address = serve(move |stream| {
        let mut reader = BufReader::new(&stream);
        while read_head(&mut reader).is_some() {
            (&stream).write_all(head.as_bytes()).unwrap();
            for number in 0..PARTS {
                if number > 0 && more.lock().unwrap().recv().is_err() {
                    return;
                }
                (&stream).write_all(&part(number)).unwrap();
            }
            if !head.contains("chunked") {
                return;
            }
            (&stream).write_all(b"0\r\n\r\n").unwrap();
        }
    });
    (address, next)
}

/// All parts arrive, each before the next is made; the first one quickly.
fn assert_not_held_back(viewer: &App, resource: &str, next: &Sender<()>, part: fn(usize) -> Vec<u8>) {
    let listener = viewer.open_address(resource);
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let mut stream = connect(listener);
        // The channel is there before the clock runs: it is not what this is about.
        let asked = Instant::now();
        write!(stream, "GET /{resource} HTTP/1.1\r\nHost: {listener}\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        read_head(&mut reader).unwrap();
        for number in 0..PARTS {
            let wanted = part(number);
            let mut got = vec![0; wanted.len()];
            // A part that is held back never comes: the next one is not sent before.
            reader.read_exact(&mut got).unwrap();
            assert!(got == wanted, "part {number} of {resource}");
            if number == 0 {
                best = best.min(asked.elapsed());
            }
            if number + 1 < PARTS {
                next.send(()).unwrap();
            }
        }
    }
    assert!(best < FIRST_PART, "the first part of {resource} took {best:?} at best of {TRIES}");
}

fn picture(number: usize) -> Vec<u8> {
    let jpeg = vec![b'0' + u8::try_from(number).unwrap(); 30_000 + number];
    let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
    [head.as_bytes(), &jpeg, b"\r\n"].concat()
}

fn event(number: usize) -> Vec<u8> {
    let event = format!("id: {number}\ndata: something\n\n");
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

#[test]
fn pictures_and_events_arrive_one_by_one() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let (mjpeg, next_picture) = on_demand(
        "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\nConnection: close\r\n\r\n",
        picture,
    );
    let (sse, next_event) = on_demand(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        event,
    );
    camera.expose(&format!("http://{mjpeg}/"), "mjpeg");
    camera.expose(&format!("http://{sse}/"), "sse");

    assert_not_held_back(&viewer, "mjpeg", &next_picture, picture);
    assert_not_held_back(&viewer, "sse", &next_event, event);
}

const GIB: u64 = 1 << 30;

/// Upload and download are this long each.
const LARGE: u64 = 2 * GIB;

const BLOCK: usize = 64 * 1024;

/// How much larger a daemon may become while it forwards.
const GROWTH_MAX: u64 = 48 << 20;

/// Blocks that say where they belong: none can be lost, doubled or swapped unseen.
struct Blocks(Vec<u8>);

impl Blocks {
    fn new() -> Self {
        Self((0..BLOCK).map(|at| u8::try_from(at % 251).unwrap()).collect())
    }

    fn at(&mut self, number: u64) -> &[u8] {
        self.0[..8].copy_from_slice(&number.to_le_bytes());
        self.0[BLOCK - 8..].copy_from_slice(&(!number).to_le_bytes());
        &self.0
    }
}

fn send_blocks(mut to: impl Write) {
    let mut blocks = Blocks::new();
    for number in 0..LARGE / BLOCK as u64 {
        to.write_all(blocks.at(number)).unwrap();
    }
}

/// How many bytes came before one was wrong.
fn check_blocks(mut from: impl Read) -> u64 {
    let (mut blocks, mut block) = (Blocks::new(), vec![0; BLOCK]);
    for number in 0..LARGE / BLOCK as u64 {
        if from.read_exact(&mut block).is_err() || block != blocks.at(number) {
            return number * BLOCK as u64;
        }
    }
    LARGE
}

#[test]
fn two_gibibytes_go_up_and_down_in_constant_memory() {
    // Alone: it takes all the processor there is.
    let net = Net::alone();
    let (camera, viewer) = net.pair();
    let origin = serve(|stream| {
        let mut reader = BufReader::with_capacity(BLOCK, &stream);
        let head = read_head(&mut reader).unwrap();
        let length = length_of(&head);
        if length == 0 {
            write!(&stream, "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").unwrap();
            send_blocks(&stream);
        } else {
            let good = check_blocks((&mut reader).take(length)).to_string();
            write!(&stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{good}", good.len()).unwrap();
        }
    });
    camera.expose(&format!("http://{origin}/"), "disk");
    let listener = viewer.open_address("disk");
    let memory = || camera.daemon().memory().max(viewer.daemon().memory());
    let before = memory();
    let most = |work: thread::JoinHandle<u64>| {
        let mut most = 0;
        while !work.is_finished() {
            most = most.max(memory());
            thread::sleep(Duration::from_millis(50));
        }
        (work.join().unwrap(), most)
    };

    let (down, while_down) = most(thread::spawn(move || {
        let mut stream = connect(listener);
        write!(stream, "GET / HTTP/1.1\r\nHost: {listener}\r\n\r\n").unwrap();
        let mut reader = BufReader::with_capacity(BLOCK, stream);
        assert_eq!(length_of(&read_head(&mut reader).unwrap()), LARGE);
        check_blocks(reader)
    }));
    let (up, while_up) = most(thread::spawn(move || {
        let mut stream = connect(listener);
        write!(stream, "PUT / HTTP/1.1\r\nHost: {listener}\r\nContent-Length: {LARGE}\r\n\r\n").unwrap();
        send_blocks(&stream);
        told(stream)
    }));

    assert_eq!((down, up), (LARGE, LARGE));
    let growth = while_down.max(while_up).saturating_sub(before);
    assert!(growth < GROWTH_MAX, "{} MiB more", growth >> 20);
}

/// The number in a response.
fn told(stream: TcpStream) -> u64 {
    let mut reader = BufReader::new(stream);
    let length = length_of(&read_head(&mut reader).unwrap());
    let mut body = String::new();
    reader.take(length).read_line(&mut body).unwrap();
    body.parse().unwrap()
}
