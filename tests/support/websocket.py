#!/usr/bin/python3
"""A WebSocket server that echoes, and a client that checks the echo.

Usage: websocket.py serve       prints the address it serves
       websocket.py talk URL    says "all right", or fails
"""
import asyncio
import os
import sys

import websockets

# Where a frame's length changes its shape, and one that is many frames of the layers below.
SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]


async def echo(socket, _path=None):
    async for message in socket:
        await socket.send(message)


async def serve():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
        print("127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


async def talk(url):
    async with websockets.connect(url, max_size=None) as socket:
        for size in SIZES:
            for message in (os.urandom(size), "ü" * size):
                await socket.send(message)
                answer = await socket.recv()
                assert answer == message, f"{size} of {type(message)} came back as {len(answer)} of {type(answer)}"
        await asyncio.wait_for(await socket.ping(b"are you there"), 10)
        messages = [os.urandom(100) for _ in range(1000)]
        for message in messages:
            await socket.send(message)
        assert [await socket.recv() for _ in messages] == messages, "not in order"
    assert socket.close_code == 1000, socket.close_code
    print("all right")


asyncio.run(serve() if sys.argv[1] == "serve" else asyncio.wait_for(talk(sys.argv[2]), 50))
