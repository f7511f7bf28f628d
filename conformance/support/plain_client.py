"""A Socket.IO client in Python as its users write it: registers at connect, listens to message.

Usage: plain_client.py URL USER TRANSPORTS [in-order]

Prints one line of JSON per thing that happened. Ends when its standard input does.
"""

import json
import sys

import engineio
import socketio

url, user, transports, *rest = sys.argv[1:]


class InOrderEngine(engineio.Client):
    """The library starts a thread for each packet, and threads overtake each other: this shows packets as they came."""

    def _trigger_event(self, event, *args, **kwargs):
        kwargs["run_async"] = False
        return super()._trigger_event(event, *args, **kwargs)


class InOrderClient(socketio.Client):
    def _engineio_client_class(self):
        return InOrderEngine


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


Client = InOrderClient if rest == ["in-order"] else socketio.Client
sio = Client(reconnection_delay=0.05, reconnection_delay_max=0.2)


@sio.event
def connect():
    sio.emit("register", user, callback=lambda answer: say(registered=answer))
    say(connected=True)


@sio.event
def message(data):
    say(message=data)


sio.connect(url, transports=transports.split(",") if transports else None)
sys.stdin.read()
sio.disconnect()
