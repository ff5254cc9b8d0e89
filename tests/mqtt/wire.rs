//! MQTT by hand, for what no library says.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::support::wait::PATIENCE;

/// A connection.
pub(crate) struct Raw(TcpStream);

/// Version 3.1.1, clean session, that client id.
pub(crate) fn connect(id: &str) -> Vec<u8> {
    packet(0x10, &[&b"\0\x04MQTT\x04\x02\0\x3c"[..], &text(id)].concat())
}

/// Version 5, clean start, that client id.
pub(crate) fn connect_5(id: &str) -> Vec<u8> {
    packet(0x10, &[&b"\0\x04MQTT\x05\x02\0\x3c\0"[..], &text(id)].concat())
}

/// Any packet of up to 127 bytes behind its header.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first, u8::try_from(body.len()).unwrap()][..], body].concat()
}

/// A text with its length.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

impl Raw {
    pub(crate) fn to(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub(crate) fn says(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// The next packet, which is a short one.
    pub(crate) fn hears(&mut self) -> Vec<u8> {
        let mut header = [0; 2];
        self.0.read_exact(&mut header).unwrap();
        assert!(header[1] < 128, "{header:?}");
        let mut body = vec![0; header[1].into()];
        self.0.read_exact(&mut body).unwrap();
        [&header[..], &body].concat()
    }

    /// Nothing more comes, and the connection ends: returns whether by a clean end.
    pub(crate) fn ends(mut self) -> bool {
        let mut rest = Vec::new();
        let ended = match self.0.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        };
        assert!(rest.is_empty(), "{rest:?}");
        ended
    }
}
