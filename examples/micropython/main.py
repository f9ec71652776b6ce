"""One sample per minute to Sève, at QoS 1, with birth and last will. MicroPython on an ESP32, as `main.py`.

Needs `umqtt.simple`: `import mip; mip.install("umqtt.simple")`. Samples wait in memory until the broker acknowledges
them. They carry the time at which they were taken: a repeated sample is stored once.
"""

import json
import time

import machine
import network
import ntptime
from umqtt.simple import MQTTClient, MQTTException

WIFI_NAME, WIFI_PASSWORD = "wifi", "password"
MQTT_HOST = "192.168.1.10"  # where Sève runs, with MQTT_LISTEN=0.0.0.0:1883 and MQTT_DEVICES=own
# this device: unique, without spaces, also its user and client id; `./seve device add croissance` prints the password
MODULE, MQTT_PASSWORD = "croissance", "something-long"
INTERVAL_S = 60
WAITING_MAX = 240
UNIX_OFFSET = 946684800 if time.gmtime(0)[0] == 2000 else 0  # ESP32 counts from 2000

waiting = []


def read_sensor():
    """Replace this by your sensor."""
    return machine.ADC(machine.Pin(34)).read_u16() * 3.3 / 65535


def now():
    """Seconds since 1970, or None while the clock is not set."""
    seconds = time.time() + UNIX_OFFSET
    return seconds if seconds > 1700000000 else None


def connect():
    """Join the network, set the clock, connect to the broker and publish the birth."""
    wifi = network.WLAN(network.STA_IF)
    wifi.active(True)
    if not wifi.isconnected():
        wifi.connect(WIFI_NAME, WIFI_PASSWORD)
        while not wifi.isconnected():
            time.sleep(1)
    if now() is None:
        ntptime.settime()
    client = MQTTClient(MODULE, MQTT_HOST, user=MODULE, password=MQTT_PASSWORD, keepalive=120)
    client.set_last_will(MODULE + "/status", "offline", retain=True, qos=1)
    client.connect()
    client.publish(MODULE + "/status", "online", retain=True, qos=1)
    config = {"ip": wifi.ifconfig()[0]}
    client.publish(MODULE + "/system/config", json.dumps(config), retain=True, qos=1)
    return client


def sample():
    """Keep one sample; beyond WAITING_MAX the oldest is dropped."""
    taken = {"value": read_sensor()}
    seconds = now()
    if seconds is not None:
        taken["time"] = seconds
    waiting.append(taken)
    del waiting[:-WAITING_MAX]


def run():
    """Sample for ever; a lost connection is made again at the next sample."""
    client = None
    while True:
        sample()
        try:
            if client is None:
                client = connect()
            while waiting:
                client.publish(MODULE + "/voltage", json.dumps(waiting[0]), qos=1)  # comes back after PUBACK
                waiting.pop(0)
        except (OSError, IndexError, MQTTException):  # umqtt raises IndexError if the broker closes the connection
            client = None
        time.sleep(INTERVAL_S)


if __name__ == "__main__":
    run()
