//! RTSP and its media.

pub mod auth;
pub mod judge;
pub mod lanes;
pub mod media;
pub mod message;
pub mod transport;
pub mod urls;
