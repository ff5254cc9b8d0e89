//! The bare carrier: TCP to one QUIC stream per connection and back, and nothing else.
//!
//! TLS 1.3 of rustls with ring, restricted to ChaCha20-Poly1305 and raw public keys that nobody checks;
//! coco's own transport settings and socket buffers; one thread. What coco costs beyond this is its own
//! doing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use bytes::BytesMut;
use coco_tunnel::SOCKET_BUFFER;
use coco_tunnel::endpoint::{KEEP_ALIVE, transport};
use noq::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use noq::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use noq::rustls::crypto::{CryptoProvider, ring};
use noq::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use noq::rustls::server::AlwaysResolvesServerRawPublicKeys;
use noq::rustls::{self, DigitallySignedStruct, SignatureScheme, quic};
use noq::{ClientConfig, Endpoint, EndpointConfig, RecvStream, SendStream, ServerConfig, TokioRuntime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Bytes read from a TCP socket at once, as coco does.
const READ_SIZE: usize = coco_tunnel::forward::READ_SIZE;

/// The listening end; prints its address.
pub(crate) async fn near(peer: SocketAddr) -> anyhow::Result<()> {
    let endpoint = bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), None)?;
    let connection = endpoint.connect_with(client_config()?, peer, "bare")?.await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (tcp, _) = listener.accept().await?;
        let (tx, rx) = connection.open_bi().await?;
        tokio::spawn(forward(tcp, tx, rx));
    }
}

/// The target's end; says when it listens.
pub(crate) async fn far(listen: SocketAddr, target: SocketAddr) -> anyhow::Result<()> {
    let endpoint = bind(listen, Some(server_config()?))?;
    println!("ready");
    loop {
        let connection = endpoint.accept().await.context("the endpoint is closed")?.await?;
        tokio::spawn(async move {
            while let Ok((tx, rx)) = connection.accept_bi().await {
                tokio::spawn(async move { forward(TcpStream::connect(target).await?, tx, rx).await });
            }
        });
    }
}

async fn forward(tcp: TcpStream, tx: SendStream, rx: RecvStream) -> anyhow::Result<()> {
    tcp.set_nodelay(true)?;
    let (read, write) = tcp.into_split();
    tokio::try_join!(up(read, tx), down(rx, write)).map(|_| ())
}

async fn up(mut read: OwnedReadHalf, mut tx: SendStream) -> anyhow::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ_SIZE);
        if read.read_buf(&mut buffer).await? == 0 {
            return Ok(tx.finish()?);
        }
        tx.write_chunk(buffer.split().freeze()).await?;
    }
}

async fn down(mut rx: RecvStream, mut write: OwnedWriteHalf) -> anyhow::Result<()> {
    while let Some(chunk) = rx.read_chunk(usize::MAX).await? {
        write.write_all(&chunk).await?;
    }
    Ok(write.shutdown().await?)
}

fn bind(listen: SocketAddr, server: Option<ServerConfig>) -> anyhow::Result<Endpoint> {
    let socket = std::net::UdpSocket::bind(listen)?;
    let tuned = socket2::SockRef::from(&socket);
    tuned.set_recv_buffer_size(SOCKET_BUFFER)?;
    tuned.set_send_buffer_size(SOCKET_BUFFER)?;
    Ok(Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime))?)
}

fn server_config() -> anyhow::Result<ServerConfig> {
    let tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(raw_key()?)));
    let crypto = QuicServerConfig::with_initial(Arc::new(tls), initial_suite()?)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport(KEEP_ALIVE)));
    Ok(config)
}

fn client_config() -> anyhow::Result<ClientConfig> {
    let tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyKey(provider())))
        .with_no_client_auth();
    let crypto = QuicClientConfig::with_initial(Arc::new(tls), initial_suite()?)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport(KEEP_ALIVE)));
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256];
    Arc::new(provider)
}

/// The first packets are AES by RFC 9001, whatever comes after.
fn initial_suite() -> anyhow::Result<quic::Suite> {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    suite.and_then(rustls::Tls13CipherSuite::quic_suite).context("no initial cipher suite")
}

/// A fixed Ed25519 key: the seed 0, 1, ... 31 in PKCS #8 version 1. It protects nothing.
fn raw_key() -> anyhow::Result<Arc<rustls::sign::CertifiedKey>> {
    let mut pkcs8 = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    pkcs8.extend(0..32u8);
    let key = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8))?;
    let public = key.public_key().context("no public key")?;
    Ok(Arc::new(rustls::sign::CertifiedKey::new(vec![CertificateDer::from(public.to_vec())], key)))
}

/// Takes whatever key the other end has: both ends are ours, for a minute.
#[derive(Debug)]
struct AnyKey(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
