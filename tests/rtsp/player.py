#!/usr/bin/python3
"""A player of the tests: GStreamer's rtspsrc. Usage: player.py URL udp|tcp [SECONDS]

Plays to the end, or for some seconds from the first packet. Prints `played PICTURES SPAN LOST`: pictures that came,
pictures that there are by the timestamps between the first and the last of them, packets missing in between.
"""
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402  the version comes first

TICKS = 90_000 // 15  # of the clock, for one picture


class Count:
    def __init__(self):
        self.stamps, self.numbers = set(), set()

    def take(self, head):
        self.numbers.add(int.from_bytes(head[2:4], "big"))
        self.stamps.add(int.from_bytes(head[4:8], "big"))

    def __str__(self):
        # No test is so long that either wraps round twice: count from the largest hole on.
        span = around(self.stamps, 1 << 32) // TICKS + 1 if self.stamps else 0
        lost = around(self.numbers, 1 << 16) + 1 - len(self.numbers) if self.numbers else 0
        return f"{len(self.stamps)} {span} {lost}"


def around(values, modulus):
    """The way from the first to the last of numbers that may have wrapped round."""
    ordered = sorted(values)
    holes = [(after - before) % modulus for before, after in zip(ordered, ordered[1:] + ordered[:1])]
    return modulus - max(holes) if len(ordered) > 1 else 0


def main():
    url, transport = sys.argv[1:3]
    seconds = float(sys.argv[3]) if sys.argv[3:] else None
    Gst.init(None)
    player = Gst.parse_launch(
        f"rtspsrc name=source location={url} protocols={transport} latency=200 ! identity name=packets"
        " ! rtph264depay ! h264parse ! fakesink sync=false"
    )
    loop, count, errors = GLib.MainLoop(), Count(), []

    def packet(_pad, info):
        if seconds and not count.numbers:
            GLib.timeout_add(int(seconds * 1000), loop.quit)
        count.take(info.get_buffer().extract_dup(0, 8))
        return Gst.PadProbeReturn.OK

    def packets(_pad, info):
        several = info.get_buffer_list()
        for at in range(several.length()):
            count.take(several.get(at).extract_dup(0, 8))
        return Gst.PadProbeReturn.OK

    def message(_bus, message):
        if message.type == Gst.MessageType.EOS:
            loop.quit()
        if message.type == Gst.MessageType.ERROR:
            errors.append(" ".join(str(part) for part in message.parse_error()))
            loop.quit()

    pad = player.get_by_name("packets").get_static_pad("sink")
    pad.add_probe(Gst.PadProbeType.BUFFER, packet)
    pad.add_probe(Gst.PadProbeType.BUFFER_LIST, packets)
    bus = player.get_bus()
    bus.add_signal_watch()
    bus.connect("message", message)
    player.set_state(Gst.State.PLAYING)
    loop.run()
    player.set_state(Gst.State.NULL)
    if errors:
        sys.exit("error: " + errors[0])
    print("played", count)


main()
