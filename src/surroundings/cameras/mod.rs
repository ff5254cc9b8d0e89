//! Cameras on the LAN: who answers an ONVIF question, and which streams it says it has.
//!
//! The question ([`discovery`]) goes to a group on every LAN, twice, since packets are lost. Each camera
//! that answers is asked by SOAP over HTTP ([`media`]) where its media service is, which profiles it has and
//! what their URLs are. A camera that wants to know who asks is given the login, if there is one, as a
//! digest. The daemon gives it none: whoever answers would get something to guess the password from.
//!
//! Everything a camera says is bounded and may be a lie: it is asked at the address its answer came from and
//! nowhere else, its texts are cleaned, and of URLs only those are handed on that lead to itself.

pub mod discovery;
pub mod media;
pub mod xml;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use coconet::calendar::Day;
use coconet::control::{Camera, CameraStream};
use coconet::name::Name;
use coconet::service::Login;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::lan::socket::INTERFACES_MAX;
use super::links::Links;
use crate::{clock, random};
use discovery::{At, Found, GROUP};
use media::Token;

/// Most cameras that are asked.
pub const CAMERAS_MAX: usize = 64;

/// How many of them at a time.
const AT_A_TIME: usize = 8;

/// Longest wait for answers to the question. Cameras wait up to half a second, so that not all answer at
/// once.
const PROBE_WAIT: Duration = Duration::from_secs(3);

/// Time between the question and its repetition.
const PROBE_AGAIN: Duration = Duration::from_millis(700);

/// Longest answer to the question, in bytes.
const ANSWER_MAX: usize = 16 * 1024;

/// Longest request by HTTP, from the connection to the last byte.
const HTTP_WAIT: Duration = Duration::from_secs(4);

/// Longest time for all that one camera is asked.
const CAMERA_WAIT: Duration = Duration::from_secs(12);

/// Ask the LANs, and every camera that answers.
pub async fn find(links: &Links, login: Option<&Login>) -> io::Result<Vec<Camera>> {
    let number = u128::from_be_bytes(random::bytes().map_err(io::Error::other)?);
    let lans = links.lans().take(INTERFACES_MAX);
    let from = lans.filter_map(|lan| {
        lan.addresses.iter().find_map(|ip| match ip {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        })
    });
    let answers = join_all(from.map(|from| probe(from, number))).await;
    let mut found: BTreeMap<Ipv4Addr, Found> = BTreeMap::new();
    for camera in answers.into_iter().flatten() {
        if found.len() < CAMERAS_MAX {
            found.entry(*camera.at.host.ip()).or_insert(camera);
        }
    }
    let mut cameras: Vec<(SocketAddrV4, Camera)> = stream::iter(found.into_values())
        .map(|found| async move { (found.at.host, ask(found, login).await) })
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    cameras.sort_by_key(|(host, _)| *host);
    Ok(cameras.into_iter().map(|(_, camera)| camera).collect())
}

/// Ask one LAN. One that cannot be spoken on has no cameras.
async fn probe(from: Ipv4Addr, number: u128) -> Vec<Found> {
    let mut found = Vec::new();
    let socket = match socket(from) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(%error, "no cameras can be looked for on a LAN");
            return found;
        }
    };
    let (question, begun) = (discovery::probe(number), Instant::now());
    let mut answer = vec![0; ANSWER_MAX];
    for until in [begun + PROBE_AGAIN, begun + PROBE_WAIT] {
        if let Err(error) = socket.send_to(question.as_bytes(), SocketAddr::V4(GROUP)).await {
            tracing::debug!(%error, "cameras not asked");
        }
        while let Ok(received) = timeout_at(until, socket.recv_from(&mut answer)).await {
            let Ok((length, SocketAddr::V4(from))) = received else {
                // About a packet of before; a socket that is gone says so for ever.
                sleep_until((Instant::now() + Duration::from_millis(50)).min(until)).await;
                continue;
            };
            let camera = discovery::found(&answer[..length], number, *from.ip());
            if let Some(camera) = camera.filter(|_| discovery::may_be_asked(*from.ip()))
                && found.len() < CAMERAS_MAX
                && !found.contains(&camera)
            {
                found.push(camera);
            }
        }
    }
    found
}

fn socket(from: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_multicast_if_v4(&from)?;
    socket.set_multicast_ttl_v4(1)?;
    socket.bind(&SocketAddrV4::new(from, 0).into())?;
    UdpSocket::from_std(socket.into())
}

async fn ask(found: Found, login: Option<&Login>) -> Camera {
    let mut streams = Vec::new();
    let asked = timeout(CAMERA_WAIT, ask_streams(&found.at, login, &mut streams)).await;
    let reason = match asked {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => Some("it did not answer in time".to_owned()),
    };
    let named = found.name.as_deref().or(found.hardware.as_deref()).unwrap_or("camera");
    Camera {
        address: found.at.host.to_string(),
        suggested: Name::closest(named, "camera"),
        name: found.name,
        hardware: found.hardware,
        streams,
        reason,
    }
}

/// Adds what it has to `streams`, so that a camera that stops answering half way is not for nothing.
async fn ask_streams(at: &At, login: Option<&Login>, streams: &mut Vec<CameraStream>) -> Result<(), String> {
    let ip = *at.host.ip();
    let mut token = None;
    let mut answer = soap(at, &media::ask_capabilities(None)).await?;
    if media::wants_login(&answer) {
        token = login;
        answer = soap(at, &media::ask_capabilities(fresh(token)?.as_ref())).await?;
    }
    // Old cameras have one service for everything.
    let media = media::media_at(&answer, ip).unwrap_or_else(|| at.clone());
    let mut answer = soap(&media, &media::ask_profiles(fresh(token)?.as_ref())).await?;
    if media::wants_login(&answer) && token.is_none() && login.is_some() {
        token = login;
        answer = soap(&media, &media::ask_profiles(fresh(token)?.as_ref())).await?;
    }
    if media::wants_login(&answer) {
        let with = if login.is_some() { "it refuses the login" } else { "it wants a login" };
        return Err(with.to_owned());
    }
    let profiles = media::profiles(&answer);
    let (mut elsewhere, all) = (0, profiles.len());
    for profile in profiles {
        let answer = soap(&media, &media::ask_stream(fresh(token)?.as_ref(), &profile.token)).await?;
        match media::stream_url(&answer, ip) {
            Some(url) => streams.push(CameraStream { url, ..profile.stream }),
            None => elsewhere += 1,
        }
    }
    match (all, elsewhere) {
        (0, _) => Err("it names no streams".to_owned()),
        (_, 0) => Ok(()),
        (_, count) => Err(format!("{count} of its streams have no URL that leads to it")),
    }
}

/// A token of its own for each request.
fn fresh(login: Option<&Login>) -> Result<Option<Token<'_>>, String> {
    let Some(login) = login else { return Ok(None) };
    let nonce = random::bytes().map_err(|error| error.to_string())?;
    Ok(Some(Token { login, nonce, created: utc(clock::now_ms()) }))
}

/// `2026-11-22T19:00:00Z`.
fn utc(ms: u64) -> String {
    let day = Day::at(ms);
    let (month, seconds) = (day.month().number(), ms / 1000 % 86_400);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", month / 100, month % 100, day.of_month())
}

/// One request. Also what comes with an error is an answer.
async fn soap(at: &At, body: &str) -> Result<String, String> {
    let asked = async {
        let stream = TcpStream::connect(at.host).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let request = Request::builder()
            .method("POST")
            .uri(&at.path)
            .header(header::HOST, at.host.to_string())
            .header(header::CONTENT_TYPE, "application/soap+xml; charset=utf-8")
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(body.to_owned())))
            .map_err(io::Error::other)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let body = Limited::new(response.into_body(), xml::TEXT_MAX).collect().await;
            Ok::<Bytes, io::Error>(body.map_err(io::Error::other)?.to_bytes())
        };
        tokio::pin!(answer, connection);
        tokio::select! {
            answer = &mut answer => answer,
            // Over, and what has arrived is all there is.
            ended = &mut connection => {
                ended.map_err(io::Error::other)?;
                answer.await
            }
        }
    };
    match timeout(HTTP_WAIT, asked).await {
        Ok(Ok(body)) => Ok(String::from_utf8_lossy(&body).into_owned()),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a camera gives no answer");
            Err("its service gives no answer that can be read".to_owned())
        }
        Err(_) => Err("it did not answer in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_cameras_read_them() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1_284_623_445_000), "2010-09-16T07:50:45Z");
    }
}
