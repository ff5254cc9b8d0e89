#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::prelude::*;

use super::*;

const RFC_7616: &str = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
const RFC_7616_CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

fn one(value: &str) -> Challenge {
    let mut found = challenges([value]);
    assert_eq!(found.len(), 1, "{value}: {found:?}");
    found.remove(0)
}

fn none(value: &str) {
    assert_eq!(challenges([value]), [], "{value}");
}

/// What is said for `name`, without its quotes.
fn said<'a>(authorization: &'a str, name: &str) -> Option<&'a str> {
    let fields = authorization.strip_prefix("Digest ")?.split(", ");
    fields
        .filter_map(|field| field.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"'))
}

fn get(value: &str, password: &str, cnonce: &str) -> String {
    one(value).authorization("Mufasa", password, "GET", "/dir/index.html", 1, cnonce).to_string()
}

#[test]
fn rfc_7616_answers_sha_256() {
    assert_eq!(
        get(RFC_7616, "Circle of Life", RFC_7616_CNONCE),
        r#"Digest username="Mufasa", realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", algorithm=SHA-256, opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", qop=auth, nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ""#
    );
}

#[test]
fn rfc_7616_answers_md5_and_the_session_kinds() {
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("MD5-sess", "e783283f46242139c486a698fec7211d"),
        ("sha-256-SESS", "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7"),
    ] {
        let answer = get(&RFC_7616.replace("SHA-256", algorithm), "Circle of Life", RFC_7616_CNONCE);
        assert_eq!(said(&answer, "response"), Some(response), "{algorithm}");
        assert_eq!(said(&answer, "algorithm"), Some(algorithm));
    }
}

#[test]
fn rfc_2617_answers_md5_with_qop_and_no_algorithm() {
    let challenge = r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
    let answer = get(challenge, "Circle Of Life", "0a4f113b");
    assert_eq!(said(&answer, "response"), Some("6629fae49393a05397450978507c4ef1"));
    assert_eq!(said(&answer, "algorithm"), None);
}

#[test]
fn rfc_2069_answers_without_qop_count_and_cnonce() {
    let challenge = r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
    let answer = get(challenge, "CircleOfLife", "0a4f113b");
    // The figure in RFC 2069 itself is wrong; this is its erratum's.
    assert_eq!(said(&answer, "response"), Some("1949323746fe6a43ef61f9606e7febea"));
    assert_eq!((said(&answer, "qop"), said(&answer, "nc"), said(&answer, "cnonce")), (None, None, None));
}

#[test]
fn a_request_to_a_camera_signs_its_method_and_whole_uri() {
    let challenge =
        one(r#"Digest realm="IP Camera(21388)", nonce="534407f373af1bdff561b7b4da295354", stale="FALSE""#);
    let uri = "rtsp://192.168.1.64:554/Streaming/Channels/101?transportmode=unicast";
    let answer = challenge.authorization("admin", "secret 1", "DESCRIBE", uri, 1, "");
    assert_eq!(said(&answer, "response"), Some("b103ea437f483d31c12c3356353c06ce"));
    assert_eq!(said(&answer, "uri"), Some(uri));
}

#[test]
fn basic_is_answered_in_base64() {
    let challenge = one(r#"Basic realm="WallyWorld""#);
    assert_eq!(
        *challenge.authorization("Aladdin", "open sesame", "PLAY", "*", 1, ""),
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    );
}

#[test]
fn the_strongest_is_chosen_from_several_headers_and_from_one() {
    let md5 = r#"Digest realm="a", nonce="1""#;
    let with_qop = r#"Digest realm="a", nonce="2", qop="auth""#;
    let sha = r#"Digest realm="a", nonce="3", algorithm="SHA-256""#;
    let basic = r#"Basic realm="a, Digest b=\"""#;
    for (offered, nonce) in [
        (vec![basic, md5], "1"),
        (vec![md5, with_qop, basic], "2"),
        (vec![with_qop, sha, basic], "3"),
        (vec![r#"Digest realm="a", nonce="first""#, md5], "first"),
    ] {
        for headers in [offered.clone(), vec![offered.join(", ").as_str()], vec![offered.join(",").as_str()]]
        {
            let found = challenges(headers.iter().copied());
            assert_eq!(found.len(), offered.len(), "{headers:?}");
            let answer = strongest(found).unwrap().authorization("u", "p", "PLAY", "*", 1, "c").to_string();
            assert_eq!(said(&answer, "nonce"), Some(nonce), "{headers:?}");
        }
    }
    assert_eq!(strongest(challenges([basic])), Some(Challenge::Basic));
    assert_eq!(strongest(Vec::new()), None);
}

#[test]
fn schemes_that_we_do_not_know_are_passed_over() {
    let value = r#"Negotiate YII=, Bearer realm="x", scope="y z",NTLM, Basic realm="b", Digest nonce=n"#;
    assert_eq!(challenges([value]).len(), 2);
    none(r#"Digest nonce="n", algorithm=SHA-512-256"#);
    none(r#"Digest nonce="n", qop="auth-int""#);
    none("Negotiate");
}

#[test]
fn what_cameras_do_to_the_grammar_is_read() {
    for value in [
        r#"Digest realm="r",nonce="n=="#.to_owned() + "\"",
        "digest  realm=r , nonce=n== ,".to_owned(),
        r#"DIGEST REALM = "r" , NONCE = "n==""#.to_owned(),
        r#", ,Digest realm="r", , nonce="n==", stale=FALSE"#.to_owned(),
        "Digest realm=\"r\",\r\n\tnonce=\"n==\"".to_owned(),
        r#"Digest realm="r", nonce="n==", qop="""#.to_owned(),
    ] {
        let answer = one(&value).authorization("u", "p", "PLAY", "*", 1, "c").to_string();
        assert_eq!((said(&answer, "realm"), said(&answer, "nonce")), (Some("r"), Some("n==")), "{value}");
        assert_eq!(said(&answer, "qop"), None, "{value}");
    }
}

#[test]
fn quotes_are_taken_off_and_put_on_again() {
    let answer =
        one(r#"Digest realm="a \"b\" \\c", nonce="n\"""#).authorization("u\"", "p", "PLAY", "*", 1, "");
    assert!(
        answer.starts_with(r#"Digest username="u\"", realm="a \"b\" \\c", nonce="n\"", uri="*""#),
        "{answer:?}"
    );
}

#[test]
fn nothing_said_gets_out_of_its_header() {
    none("Digest nonce=\"n\r\nX: y\"");
    none("Digest nonce=n\u{7f}");
    let answer = Challenge::authorization(&one("Digest nonce=n"), "u\r\nX: y", "p", "PLAY", "*\r\n", 1, "");
    assert!(!answer.contains(['\r', '\n']), "{answer:?}");
}

#[test]
fn what_is_malformed_ends_its_header_and_no_other() {
    for broken in [
        r#"Digest realm="r", nonce="n"#,
        r#"Digest realm="r", nonce="n\"#,
        r#"Digest nonce="n", nonce="m""#,
        r#"Digest realm="r""#,
        r#"Digest nonce="n"; x"#,
        r#"Digest nonce=n"n"#,
        r#"realm="r""#,
        "=",
        "",
    ] {
        none(broken);
        assert_eq!(challenges([broken, "Basic"]), [Challenge::Basic], "{broken}");
    }
    assert_eq!(challenges([r#"Basic realm="b", Digest nonce="n"#]), [Challenge::Basic]);
}

#[test]
fn what_is_read_is_bounded() {
    none(&format!("Basic realm=\"{}\"", "r".repeat(VALUE_MAX)));
    none(&format!("Digest nonce=n{}", ", a=b".repeat(PARAMETERS_MAX)));
    assert_eq!(challenges(["Basic, ".repeat(100).as_str(); 3]).len(), CHALLENGES_MAX);
}

#[test]
fn a_nonce_is_used_again_with_a_count_that_rises() {
    let mut answers = Answers::new(one(RFC_7616), "c".to_owned());
    let counts: Vec<String> =
        (0..3).map(|_| said(&answers.next("u", "p", "PLAY", "*"), "nc").unwrap().to_owned()).collect();
    assert_eq!(counts, ["00000001", "00000002", "00000003"]);
}

#[test]
fn a_stale_or_another_nonce_is_answered_and_a_wrong_login_is_not_tried_again() {
    let offered = |more: &str| one(&format!(r#"Digest realm="r", nonce="n"{more}"#));
    let (same, stale, other) = (offered(""), offered(", stale=TRUE"), one(r#"Digest realm="r", nonce="m""#));
    let mut answers = Answers::new(same.clone(), String::new());
    assert!(!answers.refused_by(&same));
    answers.next("u", "p", "DESCRIBE", "*");
    assert!(answers.refused_by(&same) && answers.refused_by(&other) && answers.refused_by(&stale));
    answers.next("u", "p", "SETUP", "*");
    assert!(answers.refused_by(&same) && !answers.refused_by(&other) && !answers.refused_by(&stale));
    let mut answers = Answers::new(Challenge::Basic, String::new());
    assert!(!answers.refused_by(&Challenge::Basic));
    answers.next("u", "p", "DESCRIBE", "*");
    answers.next("u", "p", "DESCRIBE", "*");
    assert!(answers.refused_by(&Challenge::Basic));
}

proptest! {
    #[test]
    fn any_text_is_read_and_answered(values in prop::collection::vec("(Digest|Basic|[a-z=\",\\\\ ]|nonce=|realm=\"|.){0,60}", 0..4)) {
        for challenge in challenges(values.iter().map(String::as_str)) {
            let answer = challenge.authorization("u", "p", "PLAY", "*", 1, "c");
            prop_assert!(!answer.contains(|char: char| char.is_control()));
            prop_assert_eq!(challenges([answer.replace("username", "nonce2").as_str()]).len(), 1);
        }
    }
}
