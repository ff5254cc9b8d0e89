//! RTSP, parsed.

pub mod judge;
pub mod lanes;
pub mod message;
pub mod transport;
pub mod urls;
