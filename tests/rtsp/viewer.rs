//! A scripted player. It speaks as the RTSP client of VLC does (live555), remembers everything that it was sent, and
//! does what tests ask of it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use md5::{Digest as _, Md5};

use crate::dialogue::{Item, Message, Reader};
use crate::players::Transport;
use crate::rtp::{is_rtcp, receiver_report};

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// One look at a socket.
const LOOK: Duration = Duration::from_millis(5);

/// What live555 sends to open NATs: no RTP.
pub(crate) const LATCH: [u8; 4] = [0xCE, 0xFA, 0xED, 0xFE];

const USER_AGENT: &str = "LibVLC/3.0.24 (LIVE555 Streaming Media v2016.11.28)";

/// RTCP: the sender has nothing more to say.
const BYE: u8 = 203;

pub(crate) struct Viewer {
    stream: TcpStream,
    reader: Reader,
    url: String,
    transport: Transport,
    number: u32,
    /// What is relative is relative to this.
    pub(crate) base: String,
    pub(crate) sdp: String,
    pub(crate) session: Option<String>,
    /// The answers to SETUP.
    pub(crate) setups: Vec<Message>,
    /// For each track: RTP, RTCP, and the port of the other side.
    pub(crate) ports: Vec<(UdpSocket, UdpSocket, Option<u16>)>,
    /// Frames that came before they were asked for.
    early: VecDeque<(u8, Vec<u8>)>,
    /// Requests that the other side made; they are answered.
    pub(crate) asked: Vec<Message>,
    /// What is added to each request.
    pub(crate) extra: Vec<String>,
    /// RTCP that came.
    pub(crate) reports: Vec<Vec<u8>>,
    /// Sends no reports.
    pub(crate) silent: bool,
    /// What it logs in with: user, password, and the nonce it was given.
    login: Option<(String, String)>,
    nonce: Option<Nonce>,
}

/// Of a camera whose challenge is MD5.
struct Nonce {
    realm: String,
    nonce: String,
    opaque: String,
    count: u32,
}

impl Viewer {
    pub(crate) fn connect(url: &str, transport: Transport) -> io::Result<Self> {
        let rest = url.strip_prefix("rtsp://").unwrap_or(url);
        let address = rest.split('/').next().unwrap_or(rest);
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
        let reader = Reader::new(stream.try_clone()?);
        Ok(Self {
            stream,
            reader,
            url: url.to_owned(),
            transport,
            number: 1,
            base: url.to_owned(),
            sdp: String::new(),
            session: None,
            setups: Vec::new(),
            ports: Vec::new(),
            early: VecDeque::new(),
            asked: Vec::new(),
            extra: Vec::new(),
            reports: Vec::new(),
            silent: false,
            login: None,
            nonce: None,
        })
    }

    /// Connect, and ask what there is.
    pub(crate) fn open(url: &str, transport: Transport) -> io::Result<Self> {
        let mut viewer = Self::connect(url, transport)?;
        viewer.describe().map_err(io::Error::other)?;
        Ok(viewer)
    }

    /// OPTIONS and DESCRIBE.
    pub(crate) fn describe(&mut self) -> Result<(), String> {
        let url = self.url.clone();
        self.well("OPTIONS", &url, &[])?;
        let answer = self.well("DESCRIBE", &url, &["Accept: application/sdp"])?;
        let base = answer.get("Content-Base").or(answer.get("Content-Location"));
        self.base = base.unwrap_or(&url).to_owned();
        self.sdp = String::from_utf8(answer.body).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// The control URLs of the tracks, absolute, in their order.
    pub(crate) fn tracks(&self) -> Vec<String> {
        let media = self.sdp.split("\nm=").skip(1);
        let control = |media: &str| {
            let line = media.lines().find_map(|line| line.trim().strip_prefix("a=control:"));
            match line {
                Some(control) if control.starts_with("rtsp://") => control.to_owned(),
                Some("*") | None => self.base.clone(),
                // As live555 does it, and as cameras expect: put behind, whatever RFC 3986 says.
                Some(control) if self.base.ends_with('/') => format!("{}{control}", self.base),
                Some(control) => format!("{}/{control}", self.base),
            }
        };
        media.map(control).collect()
    }

    /// SETUP of one track; the answer, whatever it is.
    pub(crate) fn setup(&mut self, track: &str) -> Result<Message, String> {
        let header = match self.transport {
            Transport::Udp => {
                let (rtp, rtcp) = port_pair().map_err(|error| error.to_string())?;
                let ports = (port(&rtp), port(&rtcp));
                self.ports.push((rtp, rtcp, None));
                format!("Transport: RTP/AVP;unicast;client_port={}-{}", ports.0, ports.1)
            }
            Transport::Tcp => {
                let channel = 2 * self.setups.len();
                format!("Transport: RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel + 1)
            }
        };
        let answer = self.request("SETUP", track, &[&header])?;
        if answer.status() == Some(200) {
            let session = answer.get("Session").ok_or("SETUP is answered without a session")?;
            self.session = Some(session.split(';').next().unwrap_or_default().trim().to_owned());
            let server =
                answer.transport("server_port").and_then(|pair| pair.split('-').next()?.parse().ok());
            if let Some((rtp, _, place)) = self.ports.last_mut()
                && let Some(port) = server
            {
                *place = Some(port);
                let _ = rtp.send_to(&LATCH, (Ipv4Addr::LOCALHOST, port));
            }
            self.setups.push(answer.clone());
        }
        Ok(answer)
    }

    /// SETUP of all tracks, and PLAY.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        for track in self.tracks() {
            let answer = self.setup(&track)?;
            if answer.status() != Some(200) {
                return Err(format!("SETUP: {}", answer.first));
            }
        }
        self.play().map(drop)
    }

    pub(crate) fn play(&mut self) -> Result<Message, String> {
        let base = self.base.clone();
        self.well("PLAY", &base, &["Range: npt=0.000-"])
    }

    pub(crate) fn teardown(&mut self) -> Result<(), String> {
        let base = self.base.clone();
        // A camera whose film is over may have gone already.
        match self.request("TEARDOWN", &base, &[]) {
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Ask, and take nothing but 200.
    pub(crate) fn well(&mut self, method: &str, uri: &str, headers: &[&str]) -> Result<Message, String> {
        let answer = self.request(method, uri, headers)?;
        if answer.status() == Some(200) { Ok(answer) } else { Err(format!("{method}: {}", answer.first)) }
    }

    /// Answer challenges, by Digest with MD5, over the base URI as live555 does.
    pub(crate) fn logs_in(&mut self, user: &str, password: &str) {
        self.login = Some((user.to_owned(), password.to_owned()));
    }

    /// Ask; the answer, whatever it is. A challenge is answered once.
    pub(crate) fn request(&mut self, method: &str, uri: &str, headers: &[&str]) -> Result<Message, String> {
        let signed = self.signature(method);
        let mut with: Vec<&str> = headers.to_vec();
        with.extend(signed.as_deref());
        let answer = self.ask(method, uri, &with)?;
        let Some(challenge) = answer.get("WWW-Authenticate").filter(|_| answer.status() == Some(401)) else {
            return Ok(answer);
        };
        if self.login.is_none() {
            return Ok(answer);
        }
        let fields = crate::login::fields(challenge.strip_prefix("Digest ").unwrap_or_default());
        let get = |name: &str| fields.get(name).cloned().unwrap_or_default();
        self.nonce =
            Some(Nonce { realm: get("realm"), nonce: get("nonce"), opaque: get("opaque"), count: 0 });
        let signed = self.signature(method);
        let mut with: Vec<&str> = headers.to_vec();
        with.extend(signed.as_deref());
        self.ask(method, uri, &with)
    }

    fn signature(&mut self, method: &str) -> Option<String> {
        let ((user, password), nonce) = (self.login.as_ref()?, self.nonce.as_mut()?);
        nonce.count += 1;
        let hash = |text: String| HEXLOWER.encode(&Md5::digest(text.as_bytes()));
        let secret = hash(format!("{user}:{}:{password}", nonce.realm));
        let (count, base) = (format!("{:08x}", nonce.count), &self.base);
        let asked = hash(format!("{method}:{base}"));
        let response = hash(format!("{secret}:{}:{count}:c:auth:{asked}", nonce.nonce));
        let Nonce { realm, nonce, opaque, .. } = nonce;
        let opaque = opaque.replace('"', "\\\"");
        Some(format!(
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{base}\", response=\"{response}\", opaque=\"{opaque}\", qop=auth, nc={count}, cnonce=\"c\""
        ))
    }

    fn ask(&mut self, method: &str, uri: &str, headers: &[&str]) -> Result<Message, String> {
        self.send(method, uri, headers).map_err(|error| format!("{method}: {error}"))?;
        let (number, began) = (self.number.to_string(), Instant::now());
        while began.elapsed() < ANSWER_MAX {
            match self.look().map_err(|error| format!("{method}: {error}"))? {
                Some(Item::Message(answer)) => {
                    if answer.get("CSeq") == Some(&number) {
                        return Ok(answer);
                    }
                    return Err(format!("{method} has the number {number}, the answer is {answer:?}"));
                }
                Some(Item::Frame(channel, frame)) => self.early.push_back((channel, frame)),
                None => {}
            }
        }
        Err(format!("{method}: no answer"))
    }

    /// Ask and do not wait.
    pub(crate) fn send(&mut self, method: &str, uri: &str, headers: &[&str]) -> io::Result<()> {
        self.number += 1;
        let mut text =
            format!("{method} {uri} RTSP/1.0\r\nCSeq: {}\r\nUser-Agent: {USER_AGENT}\r\n", self.number);
        let session = self.session.iter().map(|session| format!("Session: {session}"));
        for header in
            headers.iter().map(|header| (*header).to_owned()).chain(session).chain(self.extra.clone())
        {
            text += &header;
            text += "\r\n";
        }
        self.write(format!("{text}\r\n").as_bytes())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Let something come, whatever it is; [`Viewer::seen`] has it.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.look().map(drop)
    }

    /// The next thing on the connection, if it comes soon. Requests of the other side are answered.
    fn look(&mut self) -> io::Result<Option<Item>> {
        match self.reader.item() {
            Ok(Some(Item::Message(message))) if message.status().is_none() => {
                let number = message.get("CSeq").unwrap_or("0");
                let answer = format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\n\r\n");
                self.asked.push(message);
                self.write(answer.as_bytes())?;
                Ok(None)
            }
            Ok(Some(item)) => Ok(Some(item)),
            Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if is_soon(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Take RTP until then, until a BYE, or until the connection ends. Reports are sent back as players do.
    pub(crate) fn receive(&mut self, until: Instant, mut packet: impl FnMut(&[u8])) -> io::Result<()> {
        self.receive_tracks(until, |_, bytes| {
            packet(bytes);
            true
        })
    }

    /// The same, with the track's number, as long as `packet` wants more.
    pub(crate) fn receive_tracks(
        &mut self,
        until: Instant,
        mut packet: impl FnMut(usize, &[u8]) -> bool,
    ) -> io::Result<()> {
        let (mut reported, mut buffer) = (Instant::now(), vec![0; 1 << 16]);
        while Instant::now() < until {
            if !self.silent && reported.elapsed() > Duration::from_secs(1) {
                reported = Instant::now();
                match self.report() {
                    Err(error) if is_over(&error) => return Ok(()),
                    told => told?,
                }
            }
            let mut bye = false;
            for (track, (rtp, rtcp, _)) in self.ports.iter().enumerate() {
                rtp.set_nonblocking(true)?;
                rtcp.set_nonblocking(true)?;
                while let Ok(count) = rtp.recv(&mut buffer) {
                    if !packet(track, &buffer[..count]) {
                        return Ok(());
                    }
                }
                while let Ok(count) = rtcp.recv(&mut buffer) {
                    self.reports.push(buffer[..count].to_vec());
                    bye |= holds_bye(&buffer[..count]);
                }
            }
            while let Some((channel, frame)) = self.early.pop_front() {
                if channel % 2 == 1 {
                    bye |= holds_bye(&frame);
                    self.reports.push(frame);
                } else if !packet(usize::from(channel) / 2, &frame) {
                    return Ok(());
                }
            }
            if bye {
                return Ok(());
            }
            match self.look() {
                Ok(Some(Item::Frame(channel, frame))) => self.early.push_back((channel, frame)),
                Ok(Some(Item::Message(message))) => {
                    return Err(io::Error::other(format!("unasked: {message:?}")));
                }
                Ok(None) => {}
                Err(error) if is_over(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A receiver report for each track.
    fn report(&mut self) -> io::Result<()> {
        for (_, rtcp, place) in &self.ports {
            if let Some(port) = place {
                let _ = rtcp.send_to(&receiver_report(), (Ipv4Addr::LOCALHOST, port + 1));
            }
        }
        if self.transport == Transport::Tcp {
            for track in 0..self.setups.len() {
                self.frame(u8::try_from(2 * track + 1).unwrap_or(u8::MAX), &receiver_report())?;
            }
        }
        Ok(())
    }

    /// Send an interleaved frame.
    pub(crate) fn frame(&mut self, channel: u8, bytes: &[u8]) -> io::Result<()> {
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?.to_be_bytes();
        self.write(&[&[b'$', channel, length[0], length[1]], bytes].concat())
    }

    /// Everything that came on the connection.
    pub(crate) fn seen(&self) -> &[u8] {
        &self.reader.seen
    }
}

/// Two ports in a row, the first even.
pub(crate) fn port_pair() -> io::Result<(UdpSocket, UdpSocket)> {
    for _ in 0..100 {
        let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let number = port(&rtp);
        if number.is_multiple_of(2)
            && let Ok(rtcp) = UdpSocket::bind((Ipv4Addr::LOCALHOST, number + 1))
        {
            return Ok((rtp, rtcp));
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

pub(crate) fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().map_or(0, |address| address.port())
}

fn is_soon(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn is_over(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// In any of the packets of a compound one.
fn holds_bye(mut packet: &[u8]) -> bool {
    while packet.len() >= 4 {
        if is_rtcp(&[packet, &[0; 8]].concat(), BYE) {
            return true;
        }
        let length = 4 * (usize::from(u16::from_be_bytes([packet[2], packet[3]])) + 1);
        packet = packet.get(length..).unwrap_or_default();
    }
    false
}
