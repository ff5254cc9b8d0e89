//! What drives `coco-manager`.

use coco_manager::config::{parse, sample};

/// `manager.toml`.
pub fn config(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    match parse(&text) {
        Ok(config) => {
            // What `init` would write for these addresses says the same.
            let again = parse(&sample(&config.listen, &config.public)).expect("our own file");
            assert_eq!((again.listen, again.public), (config.listen, config.public));
            true
        }
        Err(error) => {
            assert!(!error.message.is_empty() && (1..=text.lines().count() + 1).contains(&error.line));
            false
        }
    }
}
