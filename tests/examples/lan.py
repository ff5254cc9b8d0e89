#!/usr/bin/python3
"""What the examples lead to on the LAN: a camera at 192.168.1.20, web pages there and at 192.168.1.30.

Prints `ready` once all of it serves.
"""
import http.server
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  the versions come first

PICTURE = (
    "( videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=15/1"
    " ! openh264enc complexity=low gop-size=15 ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"warm\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words):
        pass


# Behind port 22 is a shell in the examples; they only look whether somebody is there.
for address in (("192.168.1.20", 80), ("192.168.1.30", 80), ("127.0.0.1", 22)):
    server = http.server.ThreadingHTTPServer(address, Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
Gst.init(None)
camera = GstRtspServer.RTSPServer()
camera.set_address("192.168.1.20")
camera.set_service("554")
film = GstRtspServer.RTSPMediaFactory()
film.set_launch(PICTURE)
film.set_shared(True)
camera.get_mount_points().add_factory("/stream1", film)
camera.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
