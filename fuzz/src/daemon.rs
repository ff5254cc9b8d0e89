//! What drives `cocod`.

use cocod::config::{CLIENTS_MAX, parse};

/// `cocod.toml`.
pub fn config(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    match parse(&text) {
        Ok(config) => {
            assert!((1..=CLIENTS_MAX).contains(&config.tunnel.max_clients));
            assert!(config.node.listen.len() <= 2);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}
