//! ONVIF's device and media services as texts: which streams a camera has, and where.

use std::net::Ipv4Addr;

use coconet::control::CameraStream;
use coconet::resource::Kind;
use coconet::service::Login;
use coconet::target::{Place, Target};
use data_encoding::BASE64;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::discovery::{At, at, shown};
use super::xml::{self, escaped};

/// Most streams of one camera that are looked at.
pub const STREAMS_MAX: usize = 8;

/// Longest token of a profile; the specification allows 64 characters.
const TOKEN_MAX: usize = 256;

/// Our name for ONVIF's name spaces, and theirs.
const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
const SCHEMA: &str = "http://www.onvif.org/ver10/schema";

/// What a request needs to say who asks: a number used once, and the time.
#[derive(Debug)]
pub struct Token<'a> {
    /// Who.
    pub login: &'a Login,
    /// Random.
    pub nonce: [u8; 16],
    /// UTC, such as `2026-11-22T19:00:00Z`.
    pub created: String,
}

/// A profile: a stream before its place is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What the camera knows it by.
    pub token: String,
    /// The rest, with an empty URL.
    pub stream: CameraStream,
}

/// Where is the media service?
pub fn ask_capabilities(token: Option<&Token<'_>>) -> String {
    let ask =
        format!("<t:GetCapabilities xmlns:t=\"{DEVICE}\"><t:Category>Media</t:Category></t:GetCapabilities>");
    envelope(token, &ask)
}

/// What streams are there?
pub fn ask_profiles(token: Option<&Token<'_>>) -> String {
    envelope(token, &format!("<t:GetProfiles xmlns:t=\"{MEDIA}\"/>"))
}

/// Where is that one?
pub fn ask_stream(token: Option<&Token<'_>>, profile: &str) -> String {
    let ask = format!(
        "<t:GetStreamUri xmlns:t=\"{MEDIA}\" xmlns:s=\"{SCHEMA}\"><t:StreamSetup>\
         <s:Stream>RTP-Unicast</s:Stream><s:Transport><s:Protocol>RTSP</s:Protocol></s:Transport>\
         </t:StreamSetup><t:ProfileToken>{}</t:ProfileToken></t:GetStreamUri>",
        escaped(profile)
    );
    envelope(token, &ask)
}

/// The media service of `camera`.
pub fn media_at(answer: &str, camera: Ipv4Addr) -> Option<At> {
    let document = xml::parse(answer)?;
    let media = xml::find(document.root_element(), "Media")?;
    at(&xml::text(media, "XAddr")?, camera)
}

/// The profiles in an answer.
pub fn profiles(answer: &str) -> Vec<Profile> {
    let Some(document) = xml::parse(answer) else { return Vec::new() };
    let elements = document.descendants().filter(|node| node.tag_name().name() == "Profiles");
    let read = |node: xml::Node<'_, '_>| {
        let token = node.attribute("token").filter(|token| token.len() <= TOKEN_MAX)?.to_owned();
        let encoder = xml::find(node, "VideoEncoderConfiguration")?;
        let number = |name| xml::text(encoder, name)?.parse::<u32>().ok();
        let name = node.children().find(|child| child.tag_name().name() == "Name");
        let profile = name.and_then(|name| shown(name.text()?)).or_else(|| shown(&token))?;
        let size = number("Width").zip(number("Height")).map(|(width, height)| format!("{width}x{height}"));
        let stream = CameraStream {
            profile,
            codec: xml::text(encoder, "Encoding").and_then(|codec| shown(&codec)),
            size,
            frame_rate: number("FrameRateLimit"),
            url: String::new(),
        };
        Some(Profile { token, stream })
    };
    elements.filter_map(read).take(STREAMS_MAX).collect()
}

/// The URL of a stream of `camera`, without the login that some put into it. Only what `tunnel expose`
/// takes and a shell can quote, at the camera itself.
pub fn stream_url(answer: &str, camera: Ipv4Addr) -> Option<String> {
    let document = xml::parse(answer)?;
    let uri = xml::text(xml::find(document.root_element(), "MediaUri")?, "Uri")?;
    let plain = uri.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\'' | b'\\'));
    let target: Target = uri.parse().ok().filter(|_| plain)?;
    let Place::Net { host, .. } = &target.place else { return None };
    let here = host.as_str().parse() == Ok(camera);
    (target.kind == Kind::Rtsp && here).then(|| target.to_string())
}

/// Whether the camera wants to know who asks.
pub fn wants_login(answer: &str) -> bool {
    let Some(document) = xml::parse(answer) else { return false };
    let fault = xml::find(document.root_element(), "Fault");
    fault.is_some_and(|fault| {
        fault.descendants().any(|node| node.text().is_some_and(|text| text.contains("NotAuthorized")))
    })
}

fn envelope(token: Option<&Token<'_>>, body: &str) -> String {
    let header = token.map_or_else(String::new, security);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\">\
         <e:Header>{header}</e:Header><e:Body>{body}</e:Body></e:Envelope>"
    )
}

/// A UsernameToken (WSS 1.0) with a digest: the password itself is not sent.
fn security(token: &Token<'_>) -> String {
    const SECEXT: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
    const UTILITY: &str =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
    const PROFILE: &str =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0";
    const MESSAGE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0";
    let Token { login, nonce, created } = token;
    let said = [&nonce[..], created.as_bytes(), login.password().as_bytes()].concat();
    let digest = BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &said).as_ref());
    format!(
        "<w:Security xmlns:w=\"{SECEXT}\" xmlns:u=\"{UTILITY}\"><w:UsernameToken><w:Username>{user}</w:Username>\
         <w:Password Type=\"{PROFILE}#PasswordDigest\">{digest}</w:Password>\
         <w:Nonce EncodingType=\"{MESSAGE}#Base64Binary\">{nonce}</w:Nonce>\
         <u:Created>{created}</u:Created></w:UsernameToken></w:Security>",
        user = escaped(login.user()),
        nonce = BASE64.encode(nonce),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const CAMERA: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);

    fn uri(uri: &str) -> String {
        format!("<e:E xmlns:e=\"e\"><r><MediaUri><Uri>{}</Uri></MediaUri></r></e:E>", escaped(uri))
    }

    #[test]
    fn a_camera_says_where_its_media_service_is() {
        let text = "<e><Capabilities><Media><XAddr>http://192.168.1.20/onvif/Media</XAddr></Media>\
                    </Capabilities></e>";
        assert_eq!(media_at(text, CAMERA).unwrap().path, "/onvif/Media");
        assert_eq!(media_at(&text.replace(".20/", ".21/"), CAMERA), None);
    }

    #[test]
    fn profiles_are_read_and_no_more_than_so_many() {
        let profile = "<t:Profiles token=\"P&amp;1\"><s:Name>Main\u{7}</s:Name><s:VideoEncoderConfiguration>\
                       <s:Encoding>H264</s:Encoding><s:Resolution><s:Width>1920</s:Width><s:Height>1080\
                       </s:Height></s:Resolution><s:RateControl><s:FrameRateLimit>25</s:FrameRateLimit>\
                       </s:RateControl></s:VideoEncoderConfiguration></t:Profiles>";
        let profile = profile.replace('\u{7}', "");
        let without = "<t:Profiles token=\"audio\"><s:Name>Audio</s:Name></t:Profiles>";
        let text = format!("<t:R xmlns:t=\"t\" xmlns:s=\"s\">{without}{}</t:R>", profile.repeat(20));
        let found = profiles(&text);
        assert_eq!(found.len(), STREAMS_MAX);
        let Profile { token, stream } = &found[0];
        assert_eq!((token.as_str(), stream.profile.as_str()), ("P&1", "Main"));
        assert_eq!((stream.codec.as_deref(), stream.size.as_deref()), (Some("H264"), Some("1920x1080")));
        assert_eq!(stream.frame_rate, Some(25));
        assert!(ask_stream(None, token).contains("<t:ProfileToken>P&amp;1</t:ProfileToken>"));
    }

    #[test]
    fn a_stream_is_at_the_camera_and_has_no_login() {
        let found = |url: &str| stream_url(&uri(url), CAMERA);
        let plain = "rtsp://192.168.1.20:554/live?channel=1&subtype=0";
        assert_eq!(found("rtsp://192.168.1.20/live?channel=1&subtype=0").as_deref(), Some(plain));
        assert_eq!(found("rtsp://admin:pw@192.168.1.20/s").as_deref(), Some("rtsp://192.168.1.20:554/s"));
        for elsewhere in [
            "rtsp://192.168.1.21/s",
            "rtsp://192.168.1.20@evil/s",
            "http://192.168.1.20/s",
            "rtsp://camera/s",
            "rtsp://192.168.1.20/';reboot;'",
            "rtsp://192.168.1.20/a\\b",
            "rtsp://192.168.1.20/a b",
            "rtsp://192.168.1.20/\u{e4}",
            "",
        ] {
            assert_eq!(found(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(found(&format!("rtsp://192.168.1.20/{}", "x".repeat(4000))), None);
    }

    #[test]
    fn a_login_is_sent_as_the_digest_of_the_specification() {
        // The example of ONVIF's application programmer's guide, 6.1.1.
        let login = "user:userpassword".parse().unwrap();
        let nonce = BASE64.decode(b"LKqI6G/AikKCQrN0zqZFlg==").unwrap().try_into().unwrap();
        let created = "2010-09-16T07:50:45Z".to_owned();
        let text = ask_profiles(Some(&Token { login: &login, nonce, created }));
        assert!(text.contains(">tuOSpGlFlIXsozq4HFNeeGeFLEI=<"), "{text}");
        assert!(!text.contains("userpassword") && xml::parse(&text).is_some());
    }

    #[test]
    fn a_refusal_is_told_from_other_faults() {
        let fault = |code: &str| {
            format!("<e:E xmlns:e=\"e\"><e:Fault><e:Code><e:Value>{code}</e:Value></e:Code></e:Fault></e:E>")
        };
        assert!(wants_login(&fault("ter:NotAuthorized")) && !wants_login(&fault("ter:Action")));
    }

    #[test]
    fn what_is_no_answer_says_nothing() {
        for text in [
            "",
            "<a>",
            "<!DOCTYPE x [<!ENTITY a \"b\">]><e><Media><XAddr>&a;</XAddr></Media></e>",
            &"<a>".repeat(100_000),
            &format!("<a>{}</a>", "<Profiles/>".repeat(30_000)),
        ] {
            assert_eq!((media_at(text, CAMERA), stream_url(text, CAMERA)), (None, None));
            assert_eq!(profiles(text), []);
        }
    }
}
