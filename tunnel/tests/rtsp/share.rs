//! One session with the camera for all viewers.
