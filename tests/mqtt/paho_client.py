"""paho-mqtt as a guest: publish door/#, subscribe door/+ and sensors/+/temp.

usage: paho_client.py PORT BROKER_PORT VERSION     (3, 4 or 5; the broker's port is that at home)
"""

import hashlib
import queue
import sys

import paho.mqtt.client as mqtt

PATIENCE = 30


class Client:
    def __init__(self, port, name, version, will=None):
        self.events = queue.Queue()
        self.messages = queue.Queue()
        keeps = {} if version == mqtt.MQTTv5 else {"clean_session": True}
        self.version = version
        self.client = mqtt.Client(client_id=name, protocol=version, **keeps)
        self.client.on_connect = lambda c, u, f, rc, p=None: self.events.put(("connect", int_of(rc)))
        self.client.on_subscribe = lambda c, u, mid, codes, p=None: self.events.put(
            ("subscribe", mid, [int_of(code) for code in codes])
        )
        self.client.on_unsubscribe = lambda c, u, mid, p=None, r=None: self.events.put(("unsubscribe", mid))
        self.client.on_publish = lambda c, u, mid: self.events.put(("publish", mid))
        self.client.on_message = lambda c, u, m: self.messages.put((m.topic, m.payload))
        if will:
            self.client.will_set(will, b"gone")
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def event(self):
        return self.events.get(timeout=PATIENCE)

    def subscribe(self, *filters):
        _, mid = self.client.subscribe([(name, 1) for name in filters] if self.version != mqtt.MQTTv5 else
                                       [(name, mqtt.SubscribeOptions(qos=1)) for name in filters])
        what, answered, codes = self.event()
        assert (what, answered) == ("subscribe", mid), (what, answered, mid)
        return codes

    def publish(self, topic, payload, qos):
        info = self.client.publish(topic, payload, qos)
        assert self.event() == ("publish", info.mid)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def int_of(code):
    return getattr(code, "value", code)


def main():
    port, at_home, version = (int(word) for word in sys.argv[1:])
    denied = 135 if version == mqtt.MQTTv5 else 128

    refused = Client(port, "refused", version, will="window")
    assert refused.event() == ("connect", 135 if version == mqtt.MQTTv5 else 5)
    refused.client.loop_stop()

    home = Client(at_home, "home", mqtt.MQTTv311)
    assert home.event() == ("connect", 0)
    assert home.subscribe("#") == [1]
    guest = Client(port, "guest", version, will="door/lost")
    assert guest.event() == ("connect", 0)
    assert guest.subscribe("door/+", "#", "sensors/a/temp", "$share/g/#") == [1, denied, 1, denied]

    # Denied and allowed ones in turns: every one is acknowledged, and the allowed ones arrive in order.
    allowed = []
    for qos in (0, 1, 2):
        guest.publish("window", b"%d" % qos, qos)
        guest.publish("door/bell", b"%d" % qos, qos)
        allowed.append(("door/bell", b"%d" % qos))
    assert [home.messages.get(timeout=PATIENCE) for _ in allowed] == allowed
    assert [guest.messages.get(timeout=PATIENCE) for _ in allowed] == allowed

    picture = bytes(range(256)) * 8192
    guest.publish("door/picture", picture, 2)
    topic, payload = home.messages.get(timeout=PATIENCE)
    assert topic == "door/picture" and hashlib.sha256(payload).digest() == hashlib.sha256(picture).digest()
    assert guest.messages.get(timeout=PATIENCE) == ("door/picture", picture)

    home.publish("sensors/b/temp", b"1", 1)
    home.publish("sensors/a/temp", b"2", 1)
    assert guest.messages.get(timeout=PATIENCE) == ("sensors/a/temp", b"2")
    _, mid = guest.client.unsubscribe("sensors/a/temp")
    assert guest.event() == ("unsubscribe", mid)
    home.publish("sensors/a/temp", b"3", 1)
    home.publish("door/end", b"", 1)
    assert guest.messages.get(timeout=PATIENCE) == ("door/end", b"")
    guest.close()
    home.close()
    print("all as it should be")


main()
