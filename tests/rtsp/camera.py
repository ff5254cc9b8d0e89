#!/usr/bin/python3
"""A camera of the tests: RTSP on loopback, H.264, 320x240 at 15 pictures a second, as many as asked for.

Usage: camera.py [--protocols udp|tcp|both] [--login basic|digest:USER:PASSWORD] MOUNT=PICTURES...

`front=150` is a film of its own for everybody who plays /front; `live=0` is one that all who play /live share,
and that has no end. Prints `rtsp://...` once it serves; then, on a line each, `sent MOUNT PICTURES` when a film is
over or nobody plays it any more, `session ID` and `teardown ID` for each session that is asked for and given back.
"""
import argparse
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402  the versions come first

UDP, TCP = GstRtsp.RTSPLowerTrans.UDP, GstRtsp.RTSPLowerTrans.TCP
PROTOCOLS = {"udp": UDP, "tcp": TCP, "both": UDP | TCP}
PICTURE = (
    "( videotestsrc is-live=true pattern=ball num-buffers={count} ! video/x-raw,width=320,height=240,framerate=15/1"
    " ! openh264enc complexity=low rate-control=off gop-size=15"
    " ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)


def say(*words):
    # In one piece: films end in threads of their own, and print() writes word by word.
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def pictures_in(info):
    """The pictures that end in what passes: their last packet has the marker bit."""
    if info.type & Gst.PadProbeType.BUFFER_LIST:
        packets = info.get_buffer_list()
        packets = [packets.get(at) for at in range(packets.length())]
    else:
        packets = [info.get_buffer()]
    return sum(packet.extract_dup(1, 1)[0] >> 7 for packet in packets)


def watch(_factory, media, mount):
    sent = 0

    def passes(_pad, info):
        nonlocal sent
        if info.type & Gst.PadProbeType.EVENT_DOWNSTREAM:
            if info.get_event().type == Gst.EventType.EOS:
                say("sent", mount, sent)
        else:
            sent += pictures_in(info)
        return Gst.PadProbeReturn.OK

    kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST | Gst.PadProbeType.EVENT_DOWNSTREAM
    media.get_element().get_by_name("pay0").get_static_pad("src").add_probe(kinds, passes)
    media.connect("unprepared", lambda _media: say("left", mount, sent))


def factory_of(mount, count, protocols, login):
    launch = PICTURE.format(count=count or -1)
    factory = GstRtspServer.RTSPMediaFactory(launch=launch, shared=count == 0)
    factory.set_protocols(protocols)
    factory.connect("media-configure", watch, mount)
    if login:
        permissions = {"media.factory.access": True, "media.factory.construct": True}
        structure = Gst.Structure.new_empty("viewer")
        for name, value in permissions.items():
            structure.set_value(name, value)
        allowed = GstRtspServer.RTSPPermissions()
        allowed.add_role_from_structure(structure)
        factory.set_permissions(allowed)
    return factory


def auth_of(login):
    kind, user, password = login.split(":", 2)
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if kind == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    return auth


def arrived(_server, client):
    def session(_client, session):
        say("session", session.get_sessionid())

    def teardown(_client, context):
        say("teardown", context.session.get_sessionid() if context.session else "none")

    client.connect("new-session", session)
    client.connect("teardown-request", teardown)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocols", choices=PROTOCOLS, default="both")
    parser.add_argument("--login")
    parser.add_argument("mounts", nargs="+", metavar="MOUNT=PICTURES")
    args = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Gst.init(None)
    try:
        Gst.parse_launch(PICTURE.format(count=1))  # a missing element is told now, by name
    except GLib.Error as error:
        sys.exit(f"error: cannot make the test picture: {error.message}")

    server = GstRtspServer.RTSPServer(address="127.0.0.1", service="0")
    if args.login:
        server.set_auth(auth_of(args.login))
    for mount in args.mounts:
        name, count = mount.split("=")
        factory = factory_of(name, int(count), PROTOCOLS[args.protocols], args.login)
        server.get_mount_points().add_factory(f"/{name}", factory)
    server.connect("client-connected", arrived)
    if server.attach(None) == 0:
        sys.exit(f"error: cannot listen on 127.0.0.1:{server.get_service()}")
    say(f"rtsp://127.0.0.1:{server.get_bound_port()}")
    GLib.MainLoop().run()


main()
