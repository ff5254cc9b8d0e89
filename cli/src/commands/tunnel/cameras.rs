//! `tunnel expose --discover`: what could be exposed.

use coconet::control::{Camera, Cameras, FindCameras};

use super::Context;
use crate::client::SLOW;
use crate::fail::Fail;
use crate::table::Table;

/// List the cameras that the daemon finds, and what to type for the first stream.
pub(super) async fn list(context: &Context) -> Result<(), Fail> {
    let request = FindCameras::default();
    let asking = context.client.post::<Cameras>("/v1/cameras", &request, SLOW);
    let answer = context.during("looking for cameras", asking).await?;
    context.out.answer(&answer, |found| table(&found.cameras))?;
    if answer.value.cameras.is_empty() {
        context.out.note("no camera has answered");
    }
    let first = answer.value.cameras.iter().find_map(|camera| Some((camera, camera.streams.first()?)));
    if let Some((camera, stream)) = first {
        let (me, name) = (context.me(), &camera.suggested);
        context.out.hint(&format!("{me} tunnel expose {} --name {name}", quoted(&stream.url)));
    }
    Ok(())
}

/// The streams as a table, with the reasons of cameras that have not told all of theirs below it.
fn table(cameras: &[Camera]) -> Vec<String> {
    if cameras.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&["CAMERA", "HARDWARE", "ADDRESS", "PROFILE", "CODEC", "SIZE", "RATE", "URL"]);
    let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
    for camera in cameras {
        for stream in &camera.streams {
            table.row([
                or_none(&camera.name),
                or_none(&camera.hardware),
                camera.address.clone(),
                stream.profile.clone(),
                or_none(&stream.codec),
                or_none(&stream.size),
                stream.frame_rate.map_or_else(String::new, |rate| rate.to_string()),
                stream.url.clone(),
            ]);
        }
    }
    let named = |camera: &Camera| camera.name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
    let reasons = cameras.iter().filter_map(|camera| {
        Some(format!("{}{}: {}", camera.address, named(camera), camera.reason.as_ref()?))
    });
    let streams = cameras.iter().any(|camera| !camera.streams.is_empty());
    let lines = if streams { table.lines() } else { Vec::new() };
    lines.into_iter().chain(reasons).collect()
}

/// One word for a shell: what a camera says must not become a command.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_one_word_for_a_shell() {
        assert_eq!(quoted("rtsp://a/?b&c;$(d)"), "'rtsp://a/?b&c;$(d)'");
        assert_eq!(quoted("a'b"), "'a'\\''b'");
    }
}
