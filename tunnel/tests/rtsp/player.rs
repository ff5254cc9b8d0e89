//! A scripted player.

use std::net::SocketAddr;

use bytes::Bytes;
use coco_tunnel::forward::rtsp::message::{Item, Message, Reader, frame};
use coco_tunnel::forward::rtsp::transport::{self, Lower};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::soon;

pub(crate) struct Player {
    pub(crate) socket: TcpStream,
    reader: Reader,
    /// The URL it plays.
    pub(crate) url: String,
    number: u32,
    /// Frames that came between the answers.
    frames: Vec<(u8, Bytes)>,
    pub(crate) session: Option<String>,
}

/// How one track comes.
pub(crate) enum Track {
    Udp { rtp: UdpSocket, rtcp: UdpSocket, to: (SocketAddr, SocketAddr) },
    Tcp { channels: (u8, u8) },
}

impl Player {
    pub(crate) async fn connect(to: SocketAddr, path: &str) -> Self {
        let socket = soon(TcpStream::connect(to)).await.unwrap();
        let url = format!("rtsp://{to}{path}");
        Self { socket, reader: Reader::default(), url, number: 0, frames: Vec::new(), session: None }
    }

    pub(crate) fn request(&mut self, method: &str, url: &str) -> Message {
        self.number += 1;
        let request = Message::request(method, url).with("CSeq", &self.number.to_string());
        match &self.session {
            Some(session) => request.with("Session", session),
            None => request,
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Ask, and see that the answer has the number of the request.
    pub(crate) async fn ask(&mut self, request: Message) -> Message {
        self.send(&request.encode()).await;
        let answer = self.answer().await;
        assert_eq!(answer.header("CSeq"), request.header("CSeq"));
        answer
    }

    pub(crate) async fn get(&mut self, method: &str) -> Message {
        let url = self.url.clone();
        let request = self.request(method, &url);
        self.ask(request).await
    }

    /// The next answer or request; frames are kept.
    pub(crate) async fn answer(&mut self) -> Message {
        loop {
            match self.item().await {
                Some(Item::Message(message)) => return message,
                Some(Item::Frame { channel, payload }) => self.frames.push((channel, payload)),
                None => panic!("the connection has ended"),
            }
        }
    }

    /// The next item; `None` at the end.
    pub(crate) async fn item(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.reader.next().unwrap() {
                return Some(item);
            }
            if soon(self.socket.read_buf(self.reader.buffer())).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Set up a track over `lower`.
    pub(crate) async fn setup(&mut self, track: &str, lower: Lower, channels: (u8, u8)) -> Track {
        let ports = pair().await;
        let offer = match lower {
            Lower::Tcp => format!("RTP/AVP/TCP;unicast;interleaved={}-{}", channels.0, channels.1),
            Lower::Udp => {
                let port = ports.0.local_addr().unwrap().port();
                format!("RTP/AVP;unicast;client_port={port}-{};destination=192.0.2.1", port + 1)
            }
        };
        let url = format!("{}/{track}", self.url);
        let request = self.request("SETUP", &url).with("Transport", &offer);
        let answer = self.ask(request).await;
        assert_eq!(answer.code(), Some(200), "{answer:?}");
        let said = transport::parse(&answer.header("Transport").unwrap()).remove(0);
        self.session = answer.header("Session").map(|id| id.split(';').next().unwrap().to_owned());
        assert_eq!(said.lower, lower);
        assert!(!answer.header("Transport").unwrap().contains("192.0.2.1"));
        match lower {
            Lower::Tcp => {
                assert_eq!(said.interleaved, Some(channels));
                Track::Tcp { channels }
            }
            Lower::Udp => {
                let (rtp, rtcp) = said.server_port.unwrap();
                assert_eq!((rtp % 2, rtcp), (0, rtp + 1));
                let ip = self.socket.peer_addr().unwrap().ip();
                let to = (SocketAddr::new(ip, rtp), SocketAddr::new(ip, rtcp));
                Track::Udp { rtp: ports.0, rtcp: ports.1, to }
            }
        }
    }

    /// The next packet of a track.
    pub(crate) async fn packet(&mut self, track: &Track, rtcp: bool) -> Bytes {
        match track {
            Track::Udp { rtp, rtcp: second, to } => {
                let mut buffer = vec![0; 65536];
                let socket = if rtcp { second } else { rtp };
                let (length, from) = soon(socket.recv_from(&mut buffer)).await.unwrap();
                assert_eq!(from, if rtcp { to.1 } else { to.0 });
                Bytes::copy_from_slice(&buffer[..length])
            }
            Track::Tcp { channels } => {
                let wanted = if rtcp { channels.1 } else { channels.0 };
                if let Some(at) = self.frames.iter().position(|(channel, _)| *channel == wanted) {
                    return self.frames.remove(at).1;
                }
                loop {
                    match self.item().await {
                        Some(Item::Frame { channel, payload }) if channel == wanted => return payload,
                        Some(Item::Frame { channel, payload }) => self.frames.push((channel, payload)),
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
    }

    /// Send a packet in a track.
    pub(crate) async fn give(&mut self, track: &Track, rtcp: bool, packet: &[u8]) {
        match track {
            Track::Udp { rtp, rtcp: second, to } => {
                let (socket, to) = if rtcp { (second, to.1) } else { (rtp, to.0) };
                socket.send_to(packet, to).await.unwrap();
            }
            Track::Tcp { channels } => {
                let channel = if rtcp { channels.1 } else { channels.0 };
                self.send(&frame(channel, packet).unwrap()).await;
            }
        }
    }
}

/// An even port and the next.
pub(crate) async fn pair() -> (UdpSocket, UdpSocket) {
    for _ in 0..1000 {
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = rtp.local_addr().unwrap().port();
        if port % 2 == 0
            && let Ok(rtcp) = UdpSocket::bind(("127.0.0.1", port + 1)).await
        {
            return (rtp, rtcp);
        }
    }
    panic!("no ports");
}
