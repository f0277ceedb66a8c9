"""A client without the tests' checks, whose cost would drown what is measured."""
import http.client
import json


class Plain:
    """One kept-alive connection."""

    def __init__(self, port, key):
        self.port = port
        self.headers = {"x-api-key": key, "Content-Type": "application/json"}
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def call(self, method, path, body=None):
        """(status, parsed JSON or None)"""
        status, data = self.fetch(method, path, body)
        return status, json.loads(data) if data else None

    def fetch(self, method, path, body=None):
        """(status, bytes)"""
        data = None if body is None else json.dumps(body)
        self.connection.request(method, path, body=data, headers=self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def expect(self, wanted, method, path, body=None):
        status, value = self.call(method, path, body)
        if status != wanted:
            raise AssertionError(f"{method} {path}: {status} {value}")
        return value
