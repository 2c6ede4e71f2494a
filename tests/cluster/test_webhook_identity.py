"""The API server shows webhooks who it is: one that wants a certificate of the cluster's authority gets one."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from typing_extensions import override

from support.cluster.certificates import API_SERVER, make_authority, name, write_certificate
from support.cluster.definition import Cluster
from support.cluster.kubectl import Kubectl


class Webhook(ThreadingHTTPServer):
    """Allows everything, and remembers the names of those who asked."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.callers: list[str] = []


class Answer(BaseHTTPRequestHandler):
    """To one AdmissionReview."""

    def do_POST(self) -> None:
        assert isinstance(self.server, Webhook)
        assert isinstance(self.connection, ssl.SSLSocket)
        subject = (self.connection.getpeercert() or {}).get("subject", ())
        self.server.callers += [str(value) for part in subject for key, value in part if key == "commonName"]
        review = json.loads(self.rfile.read(int(self.headers["content-length"])))
        review["response"] = {"uid": review.pop("request")["uid"], "allowed": True}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def webhook(cluster: Cluster, folder: Path) -> Generator[Webhook]:
    """One that serves only those whose certificate is of the cluster's authority."""
    authority = make_authority()
    write_certificate(folder / "ca.crt", authority.certificate)
    authority.issue(folder, "webhook", name("webhook"), ("127.0.0.1",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(cluster.pki("ca.crt")))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "webhook.crt", folder / "webhook.key")
    with Webhook(context) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_webhook_sees_the_api_server_s_certificate(
    api_server: Cluster, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    with webhook(api_server, tmp_path) as server:
        bundle = base64.b64encode((tmp_path / "ca.crt").read_bytes()).decode()
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
        hook = {
            "name": "identity.example.com",
            "clientConfig": {"url": f"https://127.0.0.1:{server.server_port}/", "caBundle": bundle},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        kubectl.apply(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": namespace},
                "webhooks": [hook],
            }
        )
        try:
            for number in range(100):
                kubectl("create", "configmap", f"c{number}", "-n", namespace)
                if server.callers:
                    break
        finally:
            kubectl("delete", "validatingwebhookconfiguration", namespace)
        assert set(server.callers) == {API_SERVER}
