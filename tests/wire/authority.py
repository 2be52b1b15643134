"""Certificates for tests, made with openssl."""

import os
import subprocess


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def certificate(folder, name, kind="ec", issuer=None, subject=None, names="", days=2):
    """Paths of a new certificate and key: self-signed for 127.0.0.1, or signed by `issuer` with alternative names."""
    pem, key = (os.path.join(folder, f"{name}.{end}") for end in ("pem", "key"))
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["-newkey", "rsa:2048", "-sha512"]
    new += ["-nodes", "-keyout", key, "-subj", subject or f"/CN={name}"]
    if issuer:
        request, extensions = (os.path.join(folder, f"{name}.{end}") for end in ("csr", "ext"))
        with open(extensions, "w") as file:
            file.write(f"subjectAltName={names}\n" if names else "basicConstraints=CA:FALSE\n")
        openssl("req", "-new", *new, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", issuer[0], "-CAkey", issuer[1], "-CAcreateserial", "-days", str(days),
                "-extfile", extensions, "-out", pem)
    else:
        openssl("req", "-x509", *new, "-out", pem, "-days", str(days), "-addext", "subjectAltName=IP:127.0.0.1")
    return pem, key


def tls_settings(pem, key):
    return f"server.tls_certificate={pem}", f"server.tls_key={key}"
