"""An issuer of JSON Web Tokens: keys of each kind, tokens that they sign, and a server of their set (JWKS), also as an OpenID provider."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

_RSA = [rsa.generate_private_key(public_exponent=65537, key_size=2048)]


class SigningKey:
    """One key pair. algorithm: of the tokens that it signs. kid: "" = none."""

    def __init__(self, algorithm: str, kid: str = "") -> None:
        self.algorithm = algorithm
        self.kid = kid
        if algorithm.startswith(("RS", "PS")):
            self.private: Any = _RSA.pop() if _RSA else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        elif algorithm == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.generate()
        else:
            curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
            self.private = ec.generate_private_key(curves[algorithm])

    @property
    def pem(self) -> str:
        public: bytes = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return public.decode()

    @property
    def private_pem(self) -> str:
        private: bytes = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return private.decode()

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as sets have it."""
        public = self.private.public_key()
        of = RSAAlgorithm if self.algorithm[0] in "RP" else OKPAlgorithm if self.algorithm == "EdDSA" else ECAlgorithm
        return {**json.loads(of.to_jwk(public)), "use": "sig", **({"kid": self.kid} if self.kid else {})}

    def token(self, sub: str | None = "eve", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Sign a token, which ends in an hour unless `exp` says otherwise."""
        return sign(self.private, self.algorithm, sub, {**({"kid": self.kid} if self.kid else {}), **(headers or {})}, **claims)


def sign(key: Any, algorithm: str, sub: str | None = "eve", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """Sign a token with a private key or a secret."""
    said = {**({} if sub is None else {"sub": sub}), "exp": int(time.time()) + 3600, **claims}
    return jwt.encode(said, key, algorithm, headers)


class Issuer:
    """Serves a set of keys on loopback, and where it is. keys: what it has now; status: what it answers; fetched: how often it was asked.

    issuer: its name as an OpenID provider; configuration: what it says as one; told: how often.
    """

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = list(keys)
        self.status = 200
        self.fetched = self.told = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told = self.path.endswith("/.well-known/openid-configuration")
                issuer.told += told
                issuer.fetched += not told
                body = json.dumps(issuer.configuration if told else {"keys": [key.jwk for key in issuer.keys]}).encode()
                self.send_response(issuer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self.issuer}/keys"
        self.configuration: Any = {"issuer": self.issuer, "jwks_uri": self.url}
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
