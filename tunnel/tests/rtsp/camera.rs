//! A scripted camera, with oddities to choose from.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use coco_tunnel::forward::rtsp::message::{Item, Message, Reader, frame};
use coco_tunnel::forward::rtsp::transport::{self, Lower};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::player::pair;
use crate::soon;

/// Packets of each track after PLAY: as many as a socket of a player holds that reads one track first.
pub(crate) const PACKETS: u32 = 60;

/// Longer than a tunnel datagram.
pub(crate) const LENGTH: usize = 1460;

type Stream = Arc<tokio::sync::Mutex<OwnedWriteHalf>>;

/// What it does differently.
#[derive(Clone)]
pub(crate) struct Oddities {
    /// What it takes; the others are answered with 461.
    pub(crate) takes: Vec<Lower>,
    /// It does not say its ports.
    pub(crate) no_server_port: bool,
    /// It sends from ports that it did not say.
    pub(crate) other_ports: bool,
    /// What it sends over UDP never arrives.
    pub(crate) lost: bool,
    /// Its answers have no CSeq.
    pub(crate) no_number: bool,
    /// A frame stands before the answer to PLAY.
    pub(crate) early: bool,
    /// It wants this in Authorization, and offers this.
    pub(crate) login: Option<(&'static str, &'static str)>,
    /// Packets of each track after PLAY.
    pub(crate) packets: u32,
}

impl Default for Oddities {
    fn default() -> Self {
        Self {
            takes: vec![Lower::Udp, Lower::Tcp],
            no_server_port: false,
            other_ports: false,
            lost: false,
            no_number: false,
            early: false,
            login: None,
            packets: PACKETS,
        }
    }
}

/// A camera, and what was seen of it.
pub(crate) struct Camera {
    pub(crate) address: SocketAddr,
    asked: watch::Receiver<Vec<Message>>,
    got: tokio::sync::Mutex<mpsc::UnboundedReceiver<(bool, Bytes)>>,
    /// Its media sockets, by track and RTP before RTCP.
    pub(crate) ports: Arc<Mutex<Vec<SocketAddr>>>,
}

struct Connection {
    oddities: Oddities,
    address: SocketAddr,
    asked: watch::Sender<Vec<Message>>,
    got: mpsc::UnboundedSender<(bool, Bytes)>,
    ports: Arc<Mutex<Vec<SocketAddr>>>,
    legs: Vec<Arc<Leg>>,
    playing: Option<JoinHandle<()>>,
}

enum Leg {
    Udp { rtp: Arc<UdpSocket>, rtcp: Arc<UdpSocket>, to: (SocketAddr, SocketAddr) },
    Tcp { channels: (u8, u8) },
}

impl Camera {
    pub(crate) async fn start(oddities: Oddities) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asks, asked) = watch::channel(Vec::new());
        let (gets, got) = mpsc::unbounded_channel();
        let ports = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let theirs = Arc::clone(&ports);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let connection = Connection {
                    oddities: oddities.clone(),
                    address,
                    asked: asks.clone(),
                    got: gets.clone(),
                    ports: Arc::clone(&theirs),
                    legs: Vec::new(),
                    playing: None,
                };
                tokio::spawn(connection.serve(stream));
            }
        });
        Self { address, asked, got: got.into(), ports }
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Message> {
        self.asked.borrow().clone()
    }

    /// The methods of the requests so far.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.asked().iter().filter_map(|request| request.method().map(ToOwned::to_owned)).collect()
    }

    /// The first request with this method, once it has come.
    pub(crate) async fn hears(&self, method: &str) -> Message {
        let mut asked = self.asked.clone();
        let heard = |asked: &Vec<Message>| asked.iter().any(|one| one.method() == Some(method));
        let asked = soon(asked.wait_for(heard)).await.unwrap().clone();
        asked.into_iter().find(|one| one.method() == Some(method)).unwrap()
    }

    /// The next packet that a player has sent, and whether it is RTCP.
    pub(crate) async fn gets(&self) -> (bool, Bytes) {
        soon(async { self.got.lock().await.recv().await }).await.unwrap()
    }
}

/// The packet of that number.
pub(crate) fn packet(track: u8, number: u32) -> Bytes {
    let mut packet = vec![track; LENGTH];
    packet[..2].copy_from_slice(&[0x80, 96]);
    packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&(number * 3000).to_be_bytes());
    packet[8..12].copy_from_slice(&u32::from(track).to_be_bytes());
    packet.into()
}

/// A sender report.
pub(crate) fn report(track: u8) -> Bytes {
    let mut report = vec![0; 28];
    report[..4].copy_from_slice(&[0x80, 200, 0, 6]);
    report[7] = track;
    report.into()
}

impl Connection {
    async fn serve(mut self, stream: TcpStream) {
        let (mut from, to) = stream.into_split();
        let to = Arc::new(tokio::sync::Mutex::new(to));
        let mut reader = Reader::default();
        loop {
            while let Some(item) = reader.next().unwrap() {
                match item {
                    Item::Message(request) => self.hear(request, &to).await,
                    Item::Frame { channel, payload } => {
                        let rtcp = self
                            .legs
                            .iter()
                            .any(|leg| matches!(&**leg, Leg::Tcp { channels } if channels.1 == channel));
                        let _ = self.got.send((rtcp, payload));
                    }
                }
            }
            if from.read_buf(reader.buffer()).await.unwrap_or(0) == 0 {
                self.asked.send_modify(|asked| asked.push(Message::request("CLOSED", "*")));
                return;
            }
        }
    }

    async fn hear(&mut self, request: Message, to: &Stream) {
        self.asked.send_modify(|asked| asked.push(request.clone()));
        if request.code().is_some() {
            return;
        }
        let mut answer = self.answer(&request).await;
        if let Some(number) = request.header("CSeq").filter(|_| !self.oddities.no_number) {
            answer.set("CSeq", &number);
        }
        let plays = request.method() == Some("PLAY") && answer.code() == Some(200);
        if plays && self.oddities.early {
            to.lock().await.write_all(&frame(1, &report(0)).unwrap()).await.unwrap();
        }
        if request.method() == Some("TEARDOWN") && !self.oddities.lost {
            self.legs.clear();
        }
        if request.method() == Some("TEARDOWN")
            && let Some(playing) = self.playing.take()
        {
            playing.abort();
        }
        to.lock().await.write_all(&answer.encode()).await.unwrap();
        if plays {
            let (mut legs, to) = (self.legs.clone(), Arc::clone(to));
            legs.retain(|leg| !self.oddities.lost || matches!(&**leg, Leg::Tcp { .. }));
            self.playing = Some(tokio::spawn(play(self.oddities.packets, legs, to)));
        }
    }

    async fn answer(&mut self, request: &Message) -> Message {
        if let Some((wanted, offered)) = self.oddities.login
            && request.method() != Some("OPTIONS")
            && request.header("Authorization").is_none_or(|value| !value.contains(wanted))
        {
            return Message::response(401, "Unauthorized").with("WWW-Authenticate", offered);
        }
        let ok = Message::response(200, "OK");
        match request.method().unwrap() {
            "OPTIONS" => ok.with("Public", "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"),
            "DESCRIBE" => {
                let address = self.address;
                let mut described = ok
                    .with("Content-Type", "application/sdp")
                    .with("Content-Base", &format!("rtsp://{address}/live/"));
                described.set_body(
                    format!(
                        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=live\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\na=control:*\r\n\
                         m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=framesize:96 640-480\r\na=control:rtsp://{address}/live/track0\r\n\
                         m=audio 0 RTP/AVP 0\r\na=control:track1\r\n\
                         m=audio 0 RTP/AVP 0\r\na=control:track2\r\na=sendonly\r\n"
                    )
                    .into(),
                );
                described
            }
            "SETUP" => self.setup(request, ok).await,
            "PLAY" => ok
                .with("Session", "12345678")
                .with("RTP-Info", &format!("url=rtsp://{}/live/track0;seq=0;rtptime=0", self.address)),
            _ => ok.with("Session", "12345678"),
        }
    }

    async fn setup(&mut self, request: &Message, ok: Message) -> Message {
        let offer = transport::parse(&request.header("Transport").unwrap()).remove(0);
        if !self.oddities.takes.contains(&offer.lower) {
            return Message::response(461, "Unsupported Transport, says the camera");
        }
        assert!(!request.header("Transport").unwrap().contains("destination"));
        // Another session has another id.
        let id = match (request.header("Session"), self.legs.is_empty()) {
            (Some(id), _) => id.into_owned(),
            (None, true) => "12345678".to_owned(),
            (None, false) => "87654321".to_owned(),
        };
        let ok = ok.with("Session", &format!("{id};timeout=60"));
        let (leg, said) = match offer.lower {
            Lower::Tcp => {
                let channels = offer.interleaved.unwrap();
                (Leg::Tcp { channels }, offer.over_tcp(channels).to_string())
            }
            Lower::Udp => {
                let (rtp, rtcp) = pair().await;
                let ports = (rtp.local_addr().unwrap().port(), rtcp.local_addr().unwrap().port());
                let client = offer.client_port.unwrap();
                assert_eq!((client.0 % 2, client.1), (0, client.0 + 1));
                let to = (
                    SocketAddr::from(([127, 0, 0, 1], client.0)),
                    SocketAddr::from(([127, 0, 0, 1], client.1)),
                );
                self.ports.lock().unwrap().extend([to.0, to.1]);
                let (rtp, rtcp) = (Arc::new(rtp), Arc::new(rtcp));
                for (socket, is_rtcp) in [(&rtp, false), (&rtcp, true)] {
                    let (socket, got) = (Arc::clone(socket), self.got.clone());
                    tokio::spawn(async move {
                        let mut buffer = [0; 2048];
                        while let Ok((length, _)) = socket.recv_from(&mut buffer).await {
                            let _ = got.send((is_rtcp, Bytes::copy_from_slice(&buffer[..length])));
                        }
                    });
                }
                let said = offer.over_udp(client, (!self.oddities.no_server_port).then_some(ports));
                let leg = if self.oddities.other_ports {
                    let (rtp, rtcp) = pair().await;
                    Leg::Udp { rtp: Arc::new(rtp), rtcp: Arc::new(rtcp), to }
                } else {
                    Leg::Udp { rtp, rtcp, to }
                };
                (leg, format!("{said};source=127.0.0.1;ssrc=00000001"))
            }
        };
        self.legs.push(Arc::new(leg));
        ok.with("Transport", &said)
    }
}

async fn play(packets: u32, legs: Vec<Arc<Leg>>, stream: Stream) {
    for number in 0..packets {
        for (track, leg) in (0u8..).zip(&legs) {
            let (packet, report) = (packet(track, number), report(track));
            match &**leg {
                Leg::Udp { rtp, rtcp, to } => {
                    let _ = rtp.send_to(&packet, to.0).await;
                    if number == 0 {
                        let _ = rtcp.send_to(&report, to.1).await;
                    }
                }
                Leg::Tcp { channels } => {
                    let mut frames = frame(channels.0, &packet).unwrap().to_vec();
                    if number == 0 {
                        frames.extend_from_slice(&frame(channels.1, &report).unwrap());
                    }
                    if stream.lock().await.write_all(&frames).await.is_err() {
                        return;
                    }
                }
            }
        }
        // The pace of a camera with a large picture.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}
