//! All the ways to say the same in CBOR, or nearly the same, that must not be taken.

/// One data item: its head, and where it ends.
struct Item {
    at: usize,
    head_len: usize,
    major: u8,
    argument: u64,
    end: usize,
    /// Where the key and the value of each pair begin, of a map.
    pairs: Vec<(usize, usize)>,
}

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;

/// Bytes that differ from the canonical `bytes` in one place, each with what was done.
pub(crate) fn others(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut items = Vec::new();
    assert_eq!(walk(bytes, 0, &mut items), bytes.len(), "the literal is one CBOR item");
    let mut others = vec![("a byte behind", [bytes, &[0]].concat())];
    others.extend((0..bytes.len()).map(|end| ("the end cut off", bytes[..end].to_vec())));
    for item in &items {
        let (before, body, after) =
            (&bytes[..item.at], &bytes[item.at + item.head_len..item.end], &bytes[item.end..]);
        let mut put = |how, middle: &[&[u8]]| others.push((how, [before, &middle.concat(), after].concat()));
        put("a tag", &[&[0xc1], &bytes[item.at..item.end]]);
        if item.major == SIMPLE {
            continue;
        }
        put("a longer head", &[&longer_head(item), body]);
        match item.major {
            BYTES | TEXT => {
                put("no length", &[&[item.major << 5 | 31], &bytes[item.at..item.end], &[0xff]]);
            }
            ARRAY => {
                put("no length", &[&[0x9f], body, &[0xff]]);
                put("one more", &[&head(ARRAY, item.argument + 1), body, &[0xf6]]);
            }
            MAP => {
                put("no length", &[&[0xbf], body, &[0xff]]);
                if let [(first, _), (second, _), rest @ ..] = &item.pairs[..] {
                    let third = rest.first().map_or(item.end, |(key, _)| *key);
                    let (one, two) = (&bytes[*first..*second], &bytes[*second..third]);
                    put("keys out of order", &[&head(MAP, item.argument), two, one, &bytes[third..item.end]]);
                }
                if let Some((key, _)) = item.pairs.last() {
                    let (more, last) = (head(MAP, item.argument + 1), &bytes[*key..item.end]);
                    put("a pair twice", &[&more, body, last]);
                    // Integer keys are fields; an unknown one is another version's.
                    if bytes[*key] >> 5 == 0 {
                        put("an unknown key", &[&more, body, &[0x17, 0xf6]]);
                    }
                }
            }
            _ => {}
        }
    }
    others
}

/// Collects the item at `at` and those in it; returns where it ends.
fn walk(bytes: &[u8], at: usize, items: &mut Vec<Item>) -> usize {
    let (major, info) = (bytes[at] >> 5, bytes[at] & 31);
    let width = match info {
        0..=23 => 0,
        24..=27 => 1 << (info - 24),
        _ => panic!("the literal has a head that is not canonical"),
    };
    let head_len = 1 + width;
    let argument = match width {
        0 => u64::from(info),
        _ => bytes[at + 1..at + head_len].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    };
    let (mut end, mut pairs) = (at + head_len, Vec::new());
    match major {
        BYTES | TEXT => end += usize::try_from(argument).unwrap(),
        ARRAY => (0..argument).for_each(|_| end = walk(bytes, end, items)),
        MAP => {
            for _ in 0..argument {
                let value = walk(bytes, end, items);
                pairs.push((end, value));
                end = walk(bytes, value, items);
            }
        }
        _ => {}
    }
    items.push(Item { at, head_len, major, argument, end, pairs });
    end
}

/// The item's head, one size longer than it needs to be.
fn longer_head(item: &Item) -> Vec<u8> {
    let info = match item.head_len {
        1 => 24,
        2 => 25,
        3 => 26,
        _ => 27,
    };
    let argument = item.argument.to_be_bytes();
    let mut head = vec![item.major << 5 | info];
    head.extend_from_slice(&argument[8 - (1 << (info - 24))..]);
    // The longest head has no longer one: 28 is reserved.
    if item.head_len == 9 {
        head[0] = item.major << 5 | 28;
    }
    head
}

fn head(major: u8, argument: u64) -> Vec<u8> {
    let argument = u8::try_from(argument).unwrap();
    assert!(argument < 24, "no literal here has so long a list");
    vec![major << 5 | argument]
}
