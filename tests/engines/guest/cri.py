#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of the container runtime interface: cri.py METHOD REQUEST [METHOD REQUEST]...

REQUEST is JSON as protobuf's JSON mapping has it; `@` stands for the field of the same name in all former answers,
so that one call can make, fill and start a pod. Prints each answer as JSON on one line.
The messages are those of api.proto, compiled by protoc into api_pb2 next to this file.
"""

import json
import os
import sys

import grpc
from google.protobuf import json_format

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import api_pb2

SOCKET = os.environ.get("CRI_SOCKET", "unix:///run/containerd/containerd.sock")
IMAGE_METHODS = {"ListImages", "ImageStatus", "PullImage", "RemoveImage", "ImageFsInfo"}


def fill(request, known):
    """Replaces the values `@` by those of earlier answers under the same key."""
    if isinstance(request, dict):
        return {key: known[key] if value == "@" else fill(value, known) for key, value in request.items()}
    if isinstance(request, list):
        return [fill(value, known) for value in request]
    return request


def main():
    calls = sys.argv[1:]
    if not calls or len(calls) % 2:
        sys.exit(__doc__)
    known = {}
    with grpc.insecure_channel(SOCKET) as channel:
        for method, request in zip(calls[::2], calls[1::2], strict=True):
            service = "ImageService" if method in IMAGE_METHODS else "RuntimeService"
            message = json_format.ParseDict(fill(json.loads(request), known), getattr(api_pb2, method + "Request")())
            call = channel.unary_unary(
                f"/runtime.v1.{service}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=getattr(api_pb2, method + "Response").FromString,
            )
            try:
                answer = json_format.MessageToDict(call(message, timeout=180))
            except grpc.RpcError as error:
                sys.exit(f"cri.py: {method}: {error.code().name}: {error.details()}")
            known.update(answer)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
