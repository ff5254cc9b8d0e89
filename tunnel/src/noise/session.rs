//! The handshake as noq wants it: a `Session` per connection, made by a client or a server configuration.

use std::{any::Any, io::Cursor, sync::Arc};

use noq::{
    ConnectError, ConnectionId, Side, TransportErrorCode,
    crypto::{
        ClientConfig, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session,
        UnsupportedVersion,
    },
};
use noq_proto::{TransportError, transport_parameters::TransportParameters};

use super::{
    LocalStatic, MIN_INITIAL_CID, PeerStatic, QUIC_VERSION,
    handshake::{Exporter, HandshakeError, Initiator, NewKeys, Responder, Secrets},
    initial, packet,
};

/// Dials the node with the key `remote`.
pub(super) struct Client {
    local: LocalStatic,
    remote: [u8; 32],
}

impl Client {
    pub(super) fn new(local: LocalStatic, remote: [u8; 32]) -> Self {
        Self { local, remote }
    }
}

impl ClientConfig for Client {
    fn start_session(
        &self,
        version: u32,
        _server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        if version != QUIC_VERSION {
            return Err(ConnectError::UnsupportedVersion);
        }
        // Our servers have keys for names: a key that cannot be dialled is the nearest error noq has.
        let initiator = Initiator::new(&self.local, self.remote, &encode(params))
            .map_err(|error| ConnectError::InvalidServerName(error.to_string()))?;
        Ok(Box::new(NoiseSession { machine: Machine::Client(initiator), responder: self.remote, next: None }))
    }
}

/// Answers under the key `local`.
pub(super) struct Server {
    local: LocalStatic,
}

impl Server {
    pub(super) fn new(local: LocalStatic) -> Self {
        Self { local }
    }
}

impl ServerConfig for Server {
    fn initial_keys(&self, version: u32, dst_cid: ConnectionId) -> Result<Keys, UnsupportedVersion> {
        if version != QUIC_VERSION || dst_cid.len() < MIN_INITIAL_CID {
            return Err(UnsupportedVersion);
        }
        Ok(initial::keys(&self.local.public(), dst_cid, Side::Server))
    }

    fn retry_tag(&self, _version: u32, orig_dst_cid: ConnectionId, packet: &[u8]) -> [u8; 16] {
        initial::retry_tag(&self.local.public(), orig_dst_cid, &[packet])
    }

    fn start_session(&self, _version: u32, params: &TransportParameters) -> Box<dyn Session> {
        let responder = Responder::new(&self.local, &encode(params));
        Box::new(NoiseSession {
            machine: Machine::Server(responder),
            responder: self.local.public(),
            next: None,
        })
    }
}

struct NoiseSession {
    machine: Machine,
    /// The public key that Initial and Retry packets are made with.
    responder: [u8; 32],
    /// Secrets after the next key update; none before the handshake is complete.
    next: Option<Secrets>,
}

enum Machine {
    Client(Initiator),
    Server(Responder),
}

impl NoiseSession {
    fn exporter(&self) -> Option<&Exporter> {
        match &self.machine {
            Machine::Client(client) => client.exporter(),
            Machine::Server(server) => server.exporter(),
        }
    }
}

impl Session for NoiseSession {
    fn initial_keys(&self, dst_cid: ConnectionId, side: Side) -> Keys {
        initial::keys(&self.responder, dst_cid, side)
    }

    /// We negotiate nothing, so there is never any.
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        let key = match &self.machine {
            Machine::Client(client) => client.peer_static(),
            Machine::Server(server) => server.peer_static(),
        }?;
        Some(Box::new(PeerStatic(key)))
    }

    /// No 0-RTT: its data could be replayed.
    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        match &self.machine {
            Machine::Client(client) => client.is_handshaking(),
            Machine::Server(server) => server.is_handshaking(),
        }
    }

    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        match &mut self.machine {
            Machine::Client(client) => client.read(buf),
            Machine::Server(server) => server.read(buf),
        }
        .map_err(transport_error)?;
        Ok(false)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let (payload, side) = match &self.machine {
            Machine::Client(client) => (client.peer_payload(), Side::Client),
            Machine::Server(server) => (server.peer_payload(), Side::Server),
        };
        let Some(payload) = payload else {
            return Ok(None);
        };
        Ok(Some(TransportParameters::read(side, &mut Cursor::new(payload))?))
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        let keys = match &mut self.machine {
            Machine::Client(client) => client.write(buf),
            Machine::Server(server) => server.write(buf),
        };
        let secrets = match keys? {
            NewKeys::Handshake(secrets) => secrets,
            NewKeys::Data(secrets) => {
                self.next = Some(secrets.next());
                secrets
            }
        };
        Some(packet::keys(&secrets))
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let secrets = self.next.as_mut()?;
        let keys = packet::packet_keys(secrets);
        *secrets = secrets.next();
        Some(keys)
    }

    fn is_valid_retry(&self, orig_dst_cid: ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        initial::is_valid_retry(&self.responder, orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        let exporter = self.exporter().ok_or(ExportKeyingMaterialError)?;
        if exporter.export(output, label, context) { Ok(()) } else { Err(ExportKeyingMaterialError) }
    }
}

fn encode(params: &TransportParameters) -> Vec<u8> {
    let mut bytes = Vec::new();
    params.write(&mut bytes);
    bytes
}

/// The alert is TLS's `handshake_failure`; the reason tells the peer nothing that it could not know.
fn transport_error(error: HandshakeError) -> TransportError {
    const HANDSHAKE_FAILURE: u8 = 40;
    let code = TransportErrorCode::crypto(HANDSHAKE_FAILURE);
    let mut transport = TransportError::new(code, error.to_string());
    transport.crypto = Some(Arc::new(error));
    transport
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
