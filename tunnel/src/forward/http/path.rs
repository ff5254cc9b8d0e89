//! Paths that are granted one by one.
//!
//! A grant such as `read:/snapshot` is only worth something when every server in the world reads the
//! path that was judged as it was judged. So [`plain`] decodes a path once and takes it only when nobody
//! could read it differently: no encoded separators, no dot segments in any spelling, nothing that stays
//! encoded, no empty segments, no parameters, no look-alikes of these. The path itself is forwarded as it came:
//! the bytes judged are the bytes sent.

/// What a path is decoded to, when there is one way to read it.
///
/// `target` is the request target, with its query, which is nobody's path.
pub fn plain(target: &[u8]) -> Option<String> {
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    if !path.starts_with(b"/") {
        return None;
    }
    let decoded = String::from_utf8(decode(path)?).ok()?;
    let segments = decoded.split('/').skip(1);
    let last = segments.clone().count() - 1;
    let clear = |(at, segment): (usize, &str)| {
        // Only the last one may be empty: that is a slash at the end.
        (!segment.is_empty() || at == last) && !hides_dots(segment)
    };
    (segments.enumerate().all(clear) && !decoded.contains(is_separator_to_some)).then_some(decoded)
}

/// Whether `path`, which is [`plain`], is `prefix` or below it, by whole segments.
pub fn is_below(path: &str, prefix: &str) -> bool {
    let Some(prefix) = plain(prefix.as_bytes()).filter(|_| !prefix.contains('?')) else { return false };
    let prefix = prefix.strip_suffix('/').unwrap_or(&prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Percent-decode once. Whatever means something to some server when it is not encoded must not be encoded:
/// `None`.
fn decode(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let [high, low] = [digits[0], digits[1]].map(|digit| char::from(digit).to_digit(16));
        let byte = u8::try_from(high? << 4 | low?).ok()?;
        if byte.is_ascii_control() || b"/\\.%;?#".contains(&byte) {
            return None;
        }
        decoded.push(byte);
        rest = after;
    }
    Some(decoded)
}

/// `.` and `..`, also with the dots and spaces that some file systems drop.
fn hides_dots(segment: &str) -> bool {
    !segment.is_empty() && segment.chars().all(|c| c == '.' || c == ' ')
}

/// What is a separator, a dot, an escape or nothing at all to some server that tidies up what it reads.
fn is_separator_to_some(c: char) -> bool {
    c.is_control()
        || matches!(c, '\\' | ';' | '#')
        // Full-width forms and small variants become the plain characters when compatibility is normalised.
        || matches!(c, '\u{ff00}'..='\u{ffef}' | '\u{fe50}'..='\u{fe6f}')
        // Leaders and ellipses become dots; fraction and division slashes, and their kin, become slashes.
        || matches!(c, '\u{2024}'..='\u{2026}' | '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{29f5}' | '\u{29f8}')
        // Invisible ones disappear.
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_reads_one_way_is_decoded() {
        for (target, path) in [
            ("/", "/"),
            ("/snapshot", "/snapshot"),
            ("/snapshot/", "/snapshot/"),
            ("/snapshot.jpg?../admin", "/snapshot.jpg"),
            ("/%73napshot/a%20b", "/snapshot/a b"),
            ("/K%C3%BCche", "/K\u{fc}che"),
            ("/a.b/..c/d..", "/a.b/..c/d.."),
        ] {
            assert_eq!(plain(target.as_bytes()).as_deref(), Some(path), "{target}");
        }
    }

    #[test]
    fn a_path_that_could_be_read_differently_is_none() {
        for target in [
            "",
            "*",
            "snapshot",
            "/snapshot/../admin",
            "/snapshot/..",
            "/snapshot/./x",
            "/./admin",
            "/snapshot/%2e%2e/admin",
            "/snapshot/%2E./admin",
            "/snapshot/.%2e/admin",
            "/snapshot/..%2fadmin",
            "/snapshot%2ejpg",
            "/snapshot%2Fadmin",
            "/snapshot%5c..%5cadmin",
            "/snapshot\\..\\admin",
            "//admin",
            "/snapshot//../admin",
            "/snapshot//x",
            "/snapshot/..;/admin",
            "/snapshot;a=b/admin",
            "/snapshot%3b/admin",
            "/snapshot/%252e%252e/admin",
            "/snapshot/%25%32%65",
            "/snapshot%3f/../admin",
            "/snapshot%23/admin",
            "/snapshot%00/admin",
            "/snapshot%0d%0aX: y",
            "/snapshot/%c0%ae%c0%ae/admin",
            "/snapshot%c0%af..%c0%afadmin",
            "/snapshot/%ef%bc%8e%ef%bc%8e/admin",
            "/snapshot%ef%bc%8fadmin",
            "/snapshot/%e2%80%a5/admin",
            "/snapshot/.%e2%80%8b./admin",
            "/snapshot/%u002e%u002e/admin",
            "/snapshot/%zz",
            "/snapshot/%2",
            "/snapshot/%",
            "/snapshot/.. /admin",
            "/snapshot/...%20/admin",
        ] {
            assert_eq!(plain(target.as_bytes()), None, "{target}");
        }
    }

    #[test]
    fn a_prefix_matches_whole_segments() {
        for (path, prefix, below) in [
            ("/snapshot", "/snapshot", true),
            ("/snapshot/1.jpg", "/snapshot", true),
            ("/snapshot/", "/snapshot/", true),
            ("/snapshot", "/snapshot/", true),
            ("/snapshots", "/snapshot", false),
            ("/snapshot.jpg", "/snapshot", false),
            ("/", "/snapshot", false),
            ("/Snapshot", "/snapshot", false),
            ("/anything", "/", true),
            ("/", "/", true),
            ("/a b/c", "/a%20b", true),
            ("/x", "x", false),
            ("/x", "", false),
            ("/x", "/x/..", false),
            ("/x", "/x?y", false),
        ] {
            assert_eq!(is_below(path, prefix), below, "{path} below {prefix}");
        }
    }
}
