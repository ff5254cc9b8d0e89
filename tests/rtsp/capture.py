#!/usr/bin/python3
"""Everything that goes over an interface, written to stdout as it is. Usage: capture.py INTERFACE (as root)"""
import socket
import sys

EVERYTHING = 3  # ETH_P_ALL

packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING))
packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
packets.bind((sys.argv[1], 0))
print("listening", flush=True)
while True:
    sys.stdout.buffer.write(packets.recv(1 << 16))
    sys.stdout.buffer.flush()
