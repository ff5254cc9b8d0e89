//! Cameras are found by ONVIF, and what they say is taken with care.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use coco_lab::{Host, Lab, Site};
use cocod::surroundings::cameras::{self, discovery::GROUP};
use cocod::surroundings::links::Links;
use coconet::control::Camera;
use coconet::service::Login;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::on;

/// The port of a scripted camera's services.
const PORT: u16 = 8000;

/// Put a camera onto `host`: what it answers to the question, and to a request with that body, in whole
/// HTTP. Both end with the test program.
fn camera(
    host: &Host,
    matched: impl Fn(Ipv4Addr) -> String + Send + 'static,
    serve: impl Fn(&str, Ipv4Addr, TcpStream) + Send + Sync + 'static,
) {
    let ip = host.v4();
    host.enter(|| {
        let socket = UdpSocket::bind(("0.0.0.0", GROUP.port())).unwrap();
        socket.join_multicast_v4(GROUP.ip(), &ip).unwrap();
        let listener = TcpListener::bind((ip, PORT)).unwrap();
        thread::spawn(move || {
            let mut question = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let question = String::from_utf8_lossy(&question[..length]).into_owned();
                let id = between(&question, "MessageID>", "<").unwrap();
                let answer = format!(
                    "<e:Envelope xmlns:e=\"e\"><e:Header><RelatesTo>{id}</RelatesTo></e:Header><e:Body>\
                     <ProbeMatches><ProbeMatch>{}</ProbeMatch></ProbeMatches></e:Body></e:Envelope>",
                    matched(ip)
                );
                // Longer than a datagram can be, perhaps.
                let _ = socket.send_to(answer.as_bytes(), from);
            }
        });
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = Arc::clone(&serve);
                thread::spawn(move || {
                    if let Some(body) = request(&stream) {
                        serve(&body, ip, stream);
                    }
                });
            }
        });
    });
}

/// The body of a request.
fn request(mut stream: &TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length: usize = between(&(head.to_lowercase() + "\r"), "content-length: ", "\r")?.parse().ok()?;
        if body.len() >= length {
            return Some(body.to_owned());
        }
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

fn reply(mut stream: TcpStream, status: &str, body: &str) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    // Whoever asked may have hung up.
    let _ = stream.write_all((head + body).as_bytes());
}

fn here(ip: Ipv4Addr) -> String {
    format!(
        "<Scopes>onvif://www.onvif.org/name/Front%20Door onvif://www.onvif.org/hardware/XC-1</Scopes>\
         <XAddrs>http://{ip}:{PORT}/onvif/device_service</XAddrs>"
    )
}

/// What a good camera says.
fn good(body: &str, ip: Ipv4Addr) -> String {
    let inside = if body.contains("GetCapabilities") {
        format!("<Capabilities><Media><XAddr>http://{ip}:{PORT}/onvif/media</XAddr></Media></Capabilities>")
    } else if body.contains("GetProfiles") {
        let profile = |token: &str, width: u32| {
            format!(
                "<Profiles token=\"{token}\"><Name>{token} stream</Name><VideoEncoderConfiguration>\
                 <Encoding>H264</Encoding><Resolution><Width>{width}</Width><Height>480</Height></Resolution>\
                 <RateControl><FrameRateLimit>25</FrameRateLimit></RateControl></VideoEncoderConfiguration>\
                 </Profiles>"
            )
        };
        profile("main", 1920) + &profile("sub", 640)
    } else {
        let token = between(body, "ProfileToken>", "<").unwrap();
        format!("<MediaUri><Uri>rtsp://admin:secret@{ip}/{token}?a=1&amp;b=2</Uri></MediaUri>")
    };
    format!("<e:Envelope xmlns:e=\"e\"><e:Body>{inside}</e:Body></e:Envelope>")
}

fn found_from(host: &Host, login: Option<&Login>) -> Vec<Camera> {
    on(host, async || cameras::find(&Links::look().unwrap(), login).await.unwrap())
}

#[test]
fn a_camera_is_found_with_its_streams_and_without_the_login_in_their_urls() {
    let lab = Lab::new();
    let home = lab.site(Site::port_restricted());
    let (viewer, door) = (home.host("viewer"), home.host("door"));
    camera(&door, here, |body, ip, stream| reply(stream, "200 OK", &good(body, ip)));
    let found = found_from(&viewer, None);
    let [door_found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(door_found.address, format!("{}:{PORT}", door.v4()));
    assert_eq!(
        (door_found.name.as_deref(), door_found.hardware.as_deref()),
        (Some("Front Door"), Some("XC-1"))
    );
    assert_eq!((door_found.suggested.as_str(), &door_found.reason), ("front-door", &None));
    let urls: Vec<&str> = door_found.streams.iter().map(|stream| stream.url.as_str()).collect();
    let url = |token: &str| format!("rtsp://{}:554/{token}?a=1&b=2", door.v4());
    assert_eq!(urls, [url("main"), url("sub")]);
    let first = &door_found.streams[0];
    assert_eq!((first.profile.as_str(), first.size.as_deref()), ("main stream", Some("1920x480")));
    assert_eq!((first.codec.as_deref(), first.frame_rate), (Some("H264"), Some(25)));
}

/// Whether a request has the digest of `password`, and not the password.
fn proves(body: &str, password: &str) -> bool {
    let inner = |name: &str| {
        let (_, rest) = body.split_once(name)?;
        rest.split_once('>')?.1.split_once('<').map(|(value, _)| value.to_owned())
    };
    assert!(!body.contains(password), "{body}");
    let (Some(sent), Some(nonce), Some(created)) =
        (inner("<w:Password"), inner("<w:Nonce"), inner("<u:Created"))
    else {
        return false;
    };
    let nonce = data_encoding::BASE64.decode(nonce.as_bytes()).unwrap();
    let said = [&nonce[..], created.as_bytes(), password.as_bytes()].concat();
    data_encoding::BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &said).as_ref()) == sent
}

#[test]
fn a_camera_that_asks_who_is_there_is_given_a_digest() {
    let lab = Lab::new();
    let home = lab.site(Site::port_restricted());
    let (viewer, door) = (home.host("viewer"), home.host("door"));
    camera(&door, here, |body, ip, stream| {
        if body.contains("GetCapabilities") || proves(body, "opensesame") {
            return reply(stream, "200 OK", &good(body, ip));
        }
        let fault = "<e:E xmlns:e=\"e\"><e:Fault><e:Code><e:Value>ter:NotAuthorized</e:Value></e:Code></e:Fault></e:E>";
        reply(stream, "400 Bad Request", fault);
    });
    let with = |login: Option<&str>| {
        let login: Option<Login> = login.map(|text| text.parse().unwrap());
        let found = found_from(&viewer, login.as_ref());
        (found[0].streams.len(), found[0].reason.clone().unwrap_or_default())
    };
    assert_eq!(with(None), (0, "it wants a login".to_owned()));
    assert_eq!(with(Some("admin:wrong")), (0, "it refuses the login".to_owned()));
    assert_eq!(with(Some("admin:opensesame")), (2, String::new()));
}

#[test]
fn what_is_no_camera_is_bounded_and_leads_nowhere() {
    let lab = Lab::new();
    let home = lab.site(Site::port_restricted());
    let hosts =
        ["viewer", "elsewhere", "endless", "bomb", "silent", "liar", "shy"].map(|name| home.host(name));
    let [viewer, elsewhere, endless, bomb, silent, liar, shy] = &hosts;
    // Nobody is to come here.
    let (visits, trap) = (Arc::new(AtomicUsize::new(0)), viewer.v4());
    viewer.enter(|| {
        let (listener, visits) = (TcpListener::bind((trap, PORT)).unwrap(), Arc::clone(&visits));
        thread::spawn(move || {
            listener.incoming().for_each(|_| {
                visits.fetch_add(1, Ordering::SeqCst);
            })
        });
    });
    camera(elsewhere, move |_| here(trap), |_, _, _| {});
    camera(endless, here, |_, _, mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'<'; 65_536]).is_ok() {}
    });
    camera(bomb, here, |_, _, stream| {
        let lol = (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10)));
        let text = format!("<!DOCTYPE x [<!ENTITY l0 \"lol\">{}]><x>&l9;</x>", lol.collect::<String>());
        reply(stream, "200 OK", &text);
    });
    camera(silent, here, |_, _, stream| {
        // Until the other side has had enough.
        let _ = (&stream).read(&mut [0]);
    });
    camera(liar, here, move |body, ip, stream| {
        let text = good(body, ip);
        let text = match between(body, "ProfileToken>", "<") {
            Some("main") => text.replace(&format!("@{ip}"), &format!("@{trap}:{PORT}")),
            Some(_) => text.replace("?a=1", "';reboot;'"),
            None => text,
        };
        reply(stream, "200 OK", &text);
    });
    camera(
        shy,
        |ip| here(ip).replace("Front", "%1b%5B31m").replace("XC-1", &"x".repeat(3000)),
        |body, ip, stream| {
            reply(stream, "200 OK", &good(body, ip).replace("main stream", "main\u{9b}31m"));
        },
    );

    let found = found_from(viewer, None);
    let of = |host: &Host| found.iter().find(|camera| camera.address == format!("{}:{PORT}", host.v4()));
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(of(elsewhere).is_none());
    for (host, why) in [
        (endless, "its service gives no answer that can be read"),
        (bomb, "it names no streams"),
        (silent, "it did not answer in time"),
        (liar, "2 of its streams have no URL that leads to it"),
    ] {
        let camera = of(host).unwrap();
        assert_eq!((camera.streams.len(), camera.reason.as_deref()), (0, Some(why)));
    }
    let shy = of(shy).unwrap();
    assert_eq!((shy.name.as_deref(), shy.streams.len()), (Some("[31m Door"), 2));
    assert_eq!(shy.streams[0].profile, "main31m");
    assert_eq!(shy.hardware.as_ref().unwrap().len(), 64);
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[test]
fn a_lan_without_cameras_is_told_from_none() {
    let lab = Lab::new();
    let home = lab.site(Site::port_restricted());
    assert_eq!(found_from(&home.host("viewer"), None), []);
}
