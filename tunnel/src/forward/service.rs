//! What an exporter serves, and to whom.

use coconet::control::Facts;
use coconet::resource::Kind;
use coconet::rights::Rights;
use coconet::service::{Login, ServiceOptions};
use coconet::target::Target;

use super::{Meter, http, mqtt, rtsp, udp};

/// One exposed target: shared by all who open it.
#[derive(Debug)]
pub struct Service {
    /// Where it is, and what it speaks.
    pub target: Target,
    /// How it is served.
    pub options: ServiceOptions,
    /// Its login, which stays here.
    pub login: Option<Login>,
    /// What went through.
    pub meter: Meter,
    /// Counters of HTTP.
    pub http: http::Counters,
    /// Counters of MQTT.
    pub mqtt: mqtt::Counters,
    /// Sessions with the camera.
    pub rtsp: rtsp::Cameras,
    /// Counters of datagrams.
    pub udp: udp::Counters,
}

/// Who is at the other end of a channel.
#[derive(Debug, Clone)]
pub struct Caller {
    /// What it may do.
    pub rights: Rights,
    /// A pseudonym: always the same for this node and that one, and telling nobody else which one it is.
    pub alias: String,
}

impl Service {
    /// Serve `target`.
    pub fn new(target: Target, options: ServiceOptions, login: Option<Login>) -> Self {
        Self {
            target,
            options,
            login,
            meter: Meter::default(),
            http: http::Counters::default(),
            mqtt: mqtt::Counters::default(),
            rtsp: rtsp::Cameras::default(),
            udp: udp::Counters::default(),
        }
    }

    /// What its protocol says of it.
    pub fn facts(&self) -> Option<Facts> {
        match self.target.kind {
            Kind::Tcp if self.target.udp => Some(Facts::Udp(self.udp.facts())),
            Kind::Tcp | Kind::Ip => None,
            Kind::Udp => Some(Facts::Udp(self.udp.facts())),
            Kind::Http => Some(Facts::Http(self.http.facts())),
            Kind::Rtsp => Some(Facts::Rtsp(self.rtsp.facts())),
            Kind::Mqtt => Some(Facts::Mqtt(self.mqtt.facts())),
        }
    }
}
