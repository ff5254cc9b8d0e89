//! RTSP.

pub mod auth;
pub mod media;
