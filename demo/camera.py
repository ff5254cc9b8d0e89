#!/usr/bin/python3
"""A camera to try coco with: RTSP on loopback, H.264, a test picture with a running clock.

Plays over UDP and over TCP. Prints its URL on stdout once it serves, then stays until it is killed.
Usage: camera.py [PORT [BITS_PER_SECOND]]   (a free port by default; a given rate is filled with noise)
"""
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  the versions come first

RATE, PATTERN = (sys.argv[2], "snow") if sys.argv[2:] else ("800000", "smpte")
PICTURE = (
    f"( videotestsrc is-live=true pattern={PATTERN} ! video/x-raw,width=640,height=360,framerate=25/1"
    " ! clockoverlay time-format=%H:%M:%S font-desc=\"Sans 40\""
    f" ! videoconvert ! openh264enc complexity=low bitrate={RATE} gop-size=25"
    " ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)

signal.signal(signal.SIGINT, signal.SIG_DFL)
Gst.init(None)
try:
    Gst.parse_launch(PICTURE)  # a missing element is told now, by name, and not to the first viewer
except GLib.Error as e:
    sys.exit(f"error: cannot make the test picture: {e.message}")

factory = GstRtspServer.RTSPMediaFactory(launch=PICTURE, shared=True)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1] if sys.argv[1:] else "0")
server.get_mount_points().add_factory("/camera", factory)
if server.attach(None) == 0:
    sys.exit(f"error: cannot listen on 127.0.0.1:{server.get_service()}")
print(f"rtsp://127.0.0.1:{server.get_bound_port()}/camera", flush=True)
GLib.MainLoop().run()
