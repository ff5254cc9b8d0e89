//! A scripted camera: a [`Script`] says which oddities it has, a [`Log`] what was done to it.
//!
//! Without oddities it is a good camera that takes UDP and TCP, has one track, and sends [`Script::packets`] packets
//! at PLAY, each with its number in it, and then BYE.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cameras::Takes;
use crate::dialogue::{Item, Message, Reader};
use crate::login::Login;
use crate::rtp::{is_rtcp, packet};
use crate::viewer::{port, port_pair};

/// The path of its stream.
pub(crate) const PATH: &str = "/stream";

/// What stands before the number in each packet.
pub(crate) const MAGIC: &[u8] = b"picture ";

/// Sent when the film is over.
const BYE: [u8; 8] = [0x81, 203, 0, 1, 0, 0, 0xC0, 0xC0];

/// What it does beside the rules, or within them and rarely.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) takes: Takes,
    /// Said to transports that it does not take.
    pub(crate) refusal: &'static str,
    /// Whether it says its UDP ports.
    pub(crate) announces: bool,
    /// Whether its packets come from the ports it said.
    pub(crate) keeps_ports: bool,
    /// Packets that leave before PLAY is answered.
    pub(crate) eager: u32,
    /// How many bytes it writes at once; nothing: everything.
    pub(crate) chunk: Option<usize>,
    /// Holds its answers back, to write them together with what follows.
    pub(crate) coalesces: bool,
    pub(crate) line_end: &'static str,
    pub(crate) folds: bool,
    /// How it spells CSeq; nothing: it forgets it.
    pub(crate) number: Option<&'static str>,
    /// RTP-Info for the URL of the track.
    pub(crate) rtp_info: Option<fn(&str) -> String>,
    /// Content-Base for its address.
    pub(crate) content_base: Option<fn(SocketAddr) -> String>,
    /// `a=control` for its address.
    pub(crate) control: fn(SocketAddr) -> String,
    /// The path and query that SETUP has to have.
    pub(crate) track: &'static str,
    /// Lines of its SDP before the media.
    pub(crate) session_lines: &'static str,
    /// Lines after the track's.
    pub(crate) more_lines: &'static str,
    /// Put behind the Transport of its answers.
    pub(crate) transport_more: &'static str,
    pub(crate) multicast: bool,
    pub(crate) login: Option<Login>,
    /// Asks its viewer something while it plays.
    pub(crate) asks: bool,
    /// Ends sessions that it has not heard of for so long.
    pub(crate) timeout: Option<Duration>,
    pub(crate) sessions_max: usize,
    pub(crate) packets: u32,
    /// The length of each packet's payload.
    pub(crate) size: usize,
    pub(crate) interval: Duration,
    /// Written between frames and answers, as it is.
    pub(crate) rubbish: Vec<u8>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            takes: Takes::Both,
            refusal: "461 Unsupported Transport",
            announces: true,
            keeps_ports: true,
            eager: 0,
            chunk: None,
            coalesces: false,
            line_end: "\r\n",
            folds: false,
            number: Some("CSeq"),
            rtp_info: Some(|track| format!("url={track};seq=0;rtptime=0")),
            content_base: Some(|address| format!("rtsp://{address}{PATH}/")),
            control: |_| "track1".to_owned(),
            track: "/stream/track1",
            session_lines: "o=- 1 1 IN IP4 127.0.0.1\r\ns=scripted\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n",
            more_lines: "",
            transport_more: "",
            multicast: false,
            login: None,
            asks: false,
            timeout: None,
            sessions_max: 8,
            packets: 100,
            size: 900,
            interval: Duration::from_millis(5),
            rubbish: Vec::new(),
        }
    }
}

/// What happened to it.
#[derive(Default)]
pub(crate) struct Log {
    /// Requests as they came.
    pub(crate) requests: Vec<Message>,
    /// Answers to what it asked.
    pub(crate) answers: Vec<Message>,
    pub(crate) sessions: u32,
    pub(crate) open: usize,
    pub(crate) most_open: usize,
    pub(crate) teardowns: u32,
    /// Sessions it ended itself because nobody was heard of.
    pub(crate) forgotten: u32,
    /// Receiver reports.
    pub(crate) reports: u32,
    /// What came on RTP ports and channels.
    pub(crate) heard: Vec<Vec<u8>>,
    /// Where the viewer of the last session takes RTP.
    pub(crate) client: Option<SocketAddr>,
    /// Where its own side of that is.
    pub(crate) server: Option<SocketAddr>,
    /// Logins that were wrong.
    pub(crate) refused: u32,
}

pub(crate) struct Camera {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Log>>,
}

impl Camera {
    pub(crate) fn start(script: Script) -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into(), script)
    }

    pub(crate) fn on(ip: IpAddr, script: Script) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::<Mutex<Log>>::default();
        let shared = Arc::clone(&log);
        // Ends with the test program.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log) = (script.clone(), Arc::clone(&shared));
                thread::spawn(move || {
                    // Viewers come and go as they like.
                    let _ = Connection::new(stream, address, script, log).and_then(Connection::serve);
                });
            }
        });
        Self { address, log }
    }

    pub(crate) fn url(&self) -> String {
        format!("rtsp://{}{PATH}", self.address)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        locked(&self.log)
    }
}

fn locked(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where packets of one track go.
#[derive(Clone)]
enum Way {
    Udp { rtp: Arc<UdpSocket>, rtcp: Arc<UdpSocket>, to: SocketAddr },
    Tcp { channel: u8 },
}

struct Session {
    id: String,
    ways: Vec<Way>,
    heard: Arc<Mutex<Instant>>,
    playing: Arc<Mutex<bool>>,
}

struct Connection {
    out: Arc<Mutex<Out>>,
    reader: Reader,
    peer: IpAddr,
    address: SocketAddr,
    script: Script,
    log: Arc<Mutex<Log>>,
    session: Option<Session>,
}

/// The writing side, with its habits.
struct Out {
    stream: TcpStream,
    chunk: Option<usize>,
    held: Option<Vec<u8>>,
}

impl Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(held) = &mut self.held {
            held.extend(bytes);
            if held.len() < 6000 {
                return Ok(());
            }
            let all = std::mem::take(held);
            return self.stream.write_all(&all);
        }
        match self.chunk {
            None => self.stream.write_all(bytes),
            Some(chunk) => bytes.chunks(chunk).try_for_each(|bytes| self.stream.write_all(bytes)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let held = self.held.as_mut().map(std::mem::take).unwrap_or_default();
        self.stream.write_all(&held)
    }
}

impl Connection {
    fn new(stream: TcpStream, address: SocketAddr, script: Script, log: Arc<Mutex<Log>>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (peer, reader) = (stream.peer_addr()?.ip(), Reader::new(stream.try_clone()?));
        let held = script.coalesces.then(Vec::new);
        let out = Arc::new(Mutex::new(Out { stream, chunk: script.chunk, held }));
        Ok(Self { out, reader, peer, address, script, log, session: None })
    }

    fn serve(mut self) -> io::Result<()> {
        let ended = self.talk();
        if let Some(session) = self.session.take() {
            // As cameras do: the connection is gone and the session stays, for as long as it may.
            *session.playing.lock().unwrap_or_else(PoisonError::into_inner) = false;
            if self.script.timeout.is_none() {
                thread::sleep(Duration::from_secs(60));
            }
            locked(&self.log).open -= 1;
        }
        ended
    }

    fn talk(&mut self) -> io::Result<()> {
        while let Some(item) = self.reader.item()? {
            if let Some(session) = &self.session {
                *session.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            }
            match item {
                Item::Frame(channel, frame) => hear(&self.log, &frame, channel % 2 == 1),
                Item::Message(message) if message.status().is_some() => {
                    locked(&self.log).answers.push(message)
                }
                Item::Message(message) => {
                    locked(&self.log).requests.push(message.clone());
                    if !self.request(&message)? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn request(&mut self, request: &Message) -> io::Result<bool> {
        if let Some(login) = &self.script.login
            && request.method() != "OPTIONS"
            && let Err(challenges) = login.check(request)
        {
            let sent = request.get("Authorization").is_some();
            locked(&self.log).refused += u32::from(sent);
            let challenges =
                challenges.iter().map(|challenge| format!("WWW-Authenticate: {challenge}")).collect();
            self.answer(request, "401 Unauthorized", challenges, "")?;
            return Ok(true);
        }
        match request.method() {
            "OPTIONS" => {
                let methods =
                    "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, RECORD, ANNOUNCE, GET_PARAMETER, TEARDOWN";
                self.answer(request, "200 OK", vec![format!("Public: {methods}")], "")?;
            }
            "DESCRIBE" => self.describe(request)?,
            "SETUP" => self.setup(request)?,
            "PLAY" => self.play(request)?,
            "TEARDOWN" => {
                // Written down before it is answered, so that whoever has the answer sees it.
                let mut log = locked(&self.log);
                log.teardowns += 1;
                if let Some(session) = self.session.take() {
                    *session.playing.lock().unwrap_or_else(PoisonError::into_inner) = false;
                    log.open -= 1;
                }
                drop(log);
                self.answer(request, "200 OK", Vec::new(), "")?;
            }
            "GET_PARAMETER" | "SET_PARAMETER" | "PAUSE" | "ANNOUNCE" | "RECORD" => {
                self.answer(request, "200 OK", Vec::new(), "")?;
            }
            _ => self.answer(request, "501 Not Implemented", Vec::new(), "")?,
        }
        Ok(true)
    }

    fn describe(&mut self, request: &Message) -> io::Result<()> {
        let Script { session_lines, more_lines, control, .. } = self.script;
        let control = control(self.address);
        let body = format!(
            "v=0\r\n{session_lines}m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:{control}\r\n{more_lines}"
        );
        let mut headers = vec!["Content-Type: application/sdp".to_owned()];
        headers.extend(self.script.content_base.map(|base| format!("Content-Base: {}", base(self.address))));
        self.answer(request, "200 OK", headers, &body)
    }

    fn setup(&mut self, request: &Message) -> io::Result<()> {
        let path = path_of(request.uri());
        if path != self.script.track && !(self.script.more_lines.contains("m=") && path.starts_with(PATH)) {
            return self.answer(request, "404 Not Found", Vec::new(), "");
        }
        let asked = request.get("Transport").unwrap_or_default().to_owned();
        let choice = asked.split(',').find(|one| self.takes(one));
        let Some(choice) = choice.map(str::to_owned) else {
            let refusal = self.script.refusal;
            return self.answer(request, refusal, Vec::new(), "");
        };
        if self.session.is_none() {
            if locked(&self.log).open >= self.script.sessions_max {
                return self.answer(
                    request,
                    "453 Not Enough Bandwidth",
                    vec!["X-Why: one viewer".to_owned()],
                    "",
                );
            }
            self.open();
        }
        let Some(session) = &mut self.session else { return Ok(()) };
        let field = |name: &str| {
            let fields = choice.split(';').filter_map(|field| field.trim().split_once('='));
            let value = fields.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next();
            value.and_then(|value| value.split('-').next()?.parse::<u16>().ok())
        };
        let more = self.script.transport_more;
        let transport = if self.script.multicast {
            "RTP/AVP;multicast;destination=239.255.77.7;port=47000-47001;ttl=1".to_owned()
        } else if choice.contains("TCP") {
            let channel = field("interleaved").and_then(|channel| u8::try_from(channel).ok()).unwrap_or(0);
            session.ways.push(Way::Tcp { channel });
            format!("RTP/AVP/TCP;unicast;interleaved={channel}-{};ssrc=0000C0C0{more}", channel + 1)
        } else {
            let client = field("client_port").unwrap_or(0);
            let (rtp, rtcp) = port_pair_on(self.address.ip())?;
            let said = port(&rtp);
            let to = SocketAddr::new(self.peer, client);
            listen(&rtp, &self.log, &session.heard, false);
            listen(&rtcp, &self.log, &session.heard, true);
            let (rtp, rtcp) =
                if self.script.keeps_ports { (rtp, rtcp) } else { port_pair_on(self.address.ip())? };
            {
                let mut log = locked(&self.log);
                (log.client, log.server) = (Some(to), rtp.local_addr().ok());
            }
            session.ways.push(Way::Udp { rtp: Arc::new(rtp), rtcp: Arc::new(rtcp), to });
            let server = if self.script.announces {
                format!(";server_port={said}-{}", said + 1)
            } else {
                String::new()
            };
            format!("RTP/AVP;unicast;client_port={client}-{}{server};ssrc=0000C0C0{more}", client + 1)
        };
        let id = session.id.clone();
        let timeout =
            self.script.timeout.map_or_else(String::new, |timeout| format!(";timeout={}", timeout.as_secs()));
        self.answer(
            request,
            "200 OK",
            vec![format!("Transport: {transport}"), format!("Session: {id}{timeout}")],
            "",
        )
    }

    fn takes(&self, transport: &str) -> bool {
        let tcp = transport.contains("RTP/AVP/TCP");
        !transport.contains("multicast")
            && match self.script.takes {
                Takes::Udp => !tcp,
                Takes::Tcp => tcp,
                Takes::Both => true,
            }
    }

    fn open(&mut self) {
        let mut log = locked(&self.log);
        log.sessions += 1;
        log.open += 1;
        log.most_open = log.most_open.max(log.open);
        let id = format!("{:08}", 12_345_670 + log.sessions);
        let heard = Arc::new(Mutex::new(Instant::now()));
        self.session = Some(Session { id, ways: Vec::new(), heard, playing: Arc::default() });
    }

    fn play(&mut self, request: &Message) -> io::Result<()> {
        let Some(session) = &self.session else {
            return self.answer(request, "454 Session Not Found", Vec::new(), "");
        };
        if request.get("Session").map(|id| id.split(';').next().unwrap_or_default()) != Some(&session.id) {
            return self.answer(request, "454 Session Not Found", Vec::new(), "");
        }
        *session.playing.lock().unwrap_or_else(PoisonError::into_inner) = true;
        let sender = Sender {
            script: self.script.clone(),
            out: Arc::clone(&self.out),
            ways: session.ways.clone(),
            playing: Arc::clone(&session.playing),
            heard: Arc::clone(&session.heard),
            log: Arc::clone(&self.log),
        };
        let mut headers = vec![format!("Session: {}", session.id)];
        let track = format!("rtsp://{}{}", self.address, self.script.track);
        headers.extend(self.script.rtp_info.map(|info| format!("RTP-Info: {}", info(&track))));
        for number in 0..self.script.eager {
            sender.send(number)?;
        }
        self.answer(request, "200 OK", headers, "")?;
        let eager = self.script.eager;
        thread::spawn(move || {
            // The viewer may be gone.
            let _ = sender.film(eager);
        });
        Ok(())
    }

    fn answer(
        &mut self,
        request: &Message,
        status: &str,
        headers: Vec<String>,
        body: &str,
    ) -> io::Result<()> {
        let mut lines = vec![format!("RTSP/1.0 {status}")];
        if let Some(name) = self.script.number {
            lines.push(format!("{name}: {}", request.get("CSeq").unwrap_or_default()));
        }
        lines.extend(headers);
        if !body.is_empty() {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        if self.script.folds {
            for line in &mut lines[1..] {
                // Where blanks may stand already.
                *line = line.replacen(": ", ":\r\n\t", 1).replacen(';', ";\r\n  ", 1);
            }
        }
        let text = format!("{}\r\n\r\n", lines.join("\r\n")).replace("\r\n", self.script.line_end);
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write(&[text.as_bytes(), body.as_bytes(), &self.script.rubbish].concat())?;
        // Nothing follows what is not PLAY, until it is answered.
        if request.method() == "PLAY" { Ok(()) } else { out.flush() }
    }
}

/// Sends the packets of one PLAY.
struct Sender {
    script: Script,
    out: Arc<Mutex<Out>>,
    ways: Vec<Way>,
    playing: Arc<Mutex<bool>>,
    heard: Arc<Mutex<Instant>>,
    log: Arc<Mutex<Log>>,
}

impl Sender {
    fn film(&self, from: u32) -> io::Result<()> {
        for number in from..self.script.packets {
            let silent = self.heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            if self.script.timeout.is_some_and(|timeout| silent > timeout) {
                locked(&self.log).forgotten += 1;
                return Ok(());
            }
            if !*self.playing.lock().unwrap_or_else(PoisonError::into_inner) {
                return Ok(());
            }
            if self.script.asks && number == self.script.packets / 2 {
                let question = "SET_PARAMETER rtsp://viewer/ RTSP/1.0\r\nCSeq: 77\r\nX-Camera: hello\r\n\r\n";
                self.out().write(question.as_bytes())?;
            }
            if number % 10 == 5 {
                self.out().write(&self.script.rubbish)?;
            }
            self.send(number)?;
            thread::sleep(self.script.interval);
        }
        for way in &self.ways {
            match way {
                Way::Udp { rtcp, to, .. } => {
                    let mut to = *to;
                    to.set_port(to.port() + 1);
                    rtcp.send_to(&BYE, to)?;
                }
                Way::Tcp { channel } => self.frame(channel + 1, &BYE)?,
            }
        }
        self.out().flush()
    }

    fn send(&self, number: u32) -> io::Result<()> {
        let mut payload = [MAGIC, &number.to_be_bytes(), &now().to_be_bytes()].concat();
        payload.resize(self.script.size.max(payload.len()), b'.');
        let packet = packet(number as u16, number.wrapping_mul(6000), true, &payload);
        for way in &self.ways {
            match way {
                Way::Udp { rtp, to, .. } => drop(rtp.send_to(&packet, to)?),
                Way::Tcp { channel } => self.frame(*channel, &packet)?,
            }
        }
        Ok(())
    }

    fn frame(&self, channel: u8, bytes: &[u8]) -> io::Result<()> {
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?.to_be_bytes();
        self.out().write(&[&[b'$', channel, length[0], length[1]], bytes].concat())
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nanoseconds since the first look at the clock.
pub(crate) fn now() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The number in a packet, and when it was sent.
pub(crate) fn numbered(packet: &[u8]) -> Option<(u32, u64)> {
    let rest = packet.get(crate::rtp::HEADER..)?.strip_prefix(MAGIC)?;
    let (number, rest) = rest.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), u64::from_be_bytes(*rest.first_chunk::<8>()?)))
}

/// The path and query of a URI.
pub(crate) fn path_of(uri: &str) -> &str {
    let rest = uri.strip_prefix("rtsp://").unwrap_or(uri);
    rest.find('/').map_or("/", |at| &rest[at..])
}

fn hear(log: &Mutex<Log>, bytes: &[u8], rtcp: bool) {
    let mut log = locked(log);
    if rtcp && is_rtcp(bytes, 201) {
        log.reports += 1;
    } else if !rtcp {
        log.heard.push(bytes.to_vec());
    }
}

fn listen(socket: &UdpSocket, log: &Arc<Mutex<Log>>, heard: &Arc<Mutex<Instant>>, rtcp: bool) {
    let Ok(socket) = socket.try_clone() else { return };
    let (log, heard) = (Arc::clone(log), Arc::clone(heard));
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count) = socket.recv(&mut buffer) {
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            hear(&log, &buffer[..count], rtcp);
        }
    });
}

fn port_pair_on(ip: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    if ip == IpAddr::from(Ipv4Addr::LOCALHOST) {
        return port_pair();
    }
    for _ in 0..100 {
        let rtp = UdpSocket::bind((ip, 0))?;
        let number = port(&rtp);
        if number.is_multiple_of(2)
            && let Ok(rtcp) = UdpSocket::bind((ip, number + 1))
        {
            return Ok((rtp, rtcp));
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}
