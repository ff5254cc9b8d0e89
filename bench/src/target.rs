//! The server that all traffic goes to, with blocking threads so that it adds as little as it can.
//!
//! The first byte of a connection says what is wanted of it.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Give everything back, this byte included.
pub(crate) const ECHO: u8 = b'E';

/// Take everything, and say how many bytes it was.
pub(crate) const SINK: u8 = b'S';

/// Send for so many milliseconds (four bytes, big-endian).
pub(crate) const SOURCE: u8 = b'G';

/// Bytes read or written at once.
pub(crate) const BLOCK: usize = 128 * 1024;

/// Listen; prints the address, then serves until killed.
pub(crate) fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen)?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        // A client that goes away in the middle is its own affair.
        std::thread::spawn(move || answer(stream));
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    stream.read_exact(&mut first)?;
    match first {
        [SINK] => sink(&mut stream),
        [SOURCE] => source(&mut stream),
        _ => echo(&mut stream, first),
    }
}

fn sink(stream: &mut TcpStream) -> io::Result<()> {
    let mut taken = 0u64;
    let mut block = vec![0; BLOCK];
    loop {
        match stream.read(&mut block)? {
            0 => return stream.write_all(&taken.to_be_bytes()),
            count => taken += count as u64,
        }
    }
}

fn source(stream: &mut TcpStream) -> io::Result<()> {
    let mut milliseconds = [0; 4];
    stream.read_exact(&mut milliseconds)?;
    let until = Instant::now() + Duration::from_millis(u32::from_be_bytes(milliseconds).into());
    let block = vec![0x5a; BLOCK];
    while Instant::now() < until {
        stream.write_all(&block)?;
    }
    stream.shutdown(Shutdown::Write)
}

fn echo(stream: &mut TcpStream, first: [u8; 1]) -> io::Result<()> {
    stream.write_all(&first)?;
    let mut block = [0; 4096];
    loop {
        match stream.read(&mut block)? {
            0 => return Ok(()),
            count => stream.write_all(&block[..count])?,
        }
    }
}
