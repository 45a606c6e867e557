#!/usr/bin/python3
"""A device over MQTT: telemetry with QoS 1, attributes on request and when they change."""

import argparse
import json
import math
import time

import paho.mqtt.client as mqtt

TELEMETRY = "v1/devices/me/telemetry"
ATTRIBUTES = "v1/devices/me/attributes"
REQUEST = "v1/devices/me/attributes/request/1"
RESPONSE = "v1/devices/me/attributes/response/+"


class Device:
    """One connection; `interval` seconds between readings can be set from the server."""

    def __init__(self, token):
        self.interval = 1.0
        self.client = mqtt.Client()
        self.client.username_pw_set(token)
        self.client.on_connect = self.on_connect
        self.client.on_message = self.on_message

    def on_connect(self, client, _userdata, _flags, code):
        if code != 0:
            raise SystemExit(f"refused: {mqtt.connack_string(code)}")
        client.subscribe([(ATTRIBUTES, 1), (RESPONSE, 1)])
        client.publish(REQUEST, json.dumps({"sharedKeys": "interval"}), qos=1)

    def on_message(self, _client, _userdata, message):
        print("received", message.topic, message.payload.decode())
        values = json.loads(message.payload)
        values = values.get("shared", values)
        if isinstance(values.get("interval"), (int, float)):
            self.interval = max(0.1, values["interval"])

    def send(self, values):
        """Returns when the server has committed the values."""
        self.client.publish(TELEMETRY, json.dumps(values), qos=1).wait_for_publish()
        print("stored", values)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--token", default="A1_TEST_TOKEN")
    parser.add_argument("--count", type=int, default=10, help="readings to send; 0 = no end")
    options = parser.parse_args()

    device = Device(options.token)
    device.client.connect(options.host, options.port)
    device.client.loop_start()
    sent = 0
    while not options.count or sent < options.count:
        device.send({"temperature": round(21 + 5 * math.sin(sent / 5), 2), "count": sent})
        sent += 1
        time.sleep(device.interval)
    device.client.disconnect()


if __name__ == "__main__":
    main()
