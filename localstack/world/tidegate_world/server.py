"""The HTTP server of the endpoint, bound to the loopback address (GATEWAY_SERVER=loopback).

Rule: nothing but this machine can reach the local AWS. LocalStack's own Twisted server ignores the host of
GATEWAY_LISTEN for IPv4 and binds 0.0.0.0.
"""

from localstack.runtime.server.core import RuntimeServer, RuntimeServerPlugin


class LoopbackServerPlugin(RuntimeServerPlugin):
    name = "loopback"

    def load(self, *args, **kwargs) -> RuntimeServer:
        from localstack.runtime.server import twisted as localstack_server
        from twisted.internet import endpoints

        class LoopbackEndpoints:
            """Stands in for twisted's module; only the IPv4 endpoint differs."""

            TCP6ServerEndpoint = endpoints.TCP6ServerEndpoint

            @staticmethod
            def TCP4ServerEndpoint(reactor, port):
                return endpoints.TCP4ServerEndpoint(reactor, port, interface="127.0.0.1")

        localstack_server.endpoints = LoopbackEndpoints
        return localstack_server.TwistedRuntimeServer()
