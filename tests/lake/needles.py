"""What must be found nowhere: tokens of people, and what was lent to them."""

import base64
import subprocess


def of(lake):
    """Whole secrets, the parts of tokens that only they have, and the forms that they could be written in."""
    found = set()
    for secret in lake.issuer.issued + lake.gateway.tell(secrets=True):
        parts = secret.split(".") if secret.startswith("eyJ") else [secret]
        found.update(part for part in parts[-2:] if len(part) >= 20)
    found |= {base64.b64encode(text.encode()).decode().rstrip("=")[:-2] for text in list(found)}
    found |= {text.replace("/", "%2F").replace("+", "%2B") for text in list(found)}
    assert len(found) > 20, len(found)
    return [text.encode() for text in found]


def find(folder, needles, data):
    """Where the first of them is, or -1, by a program that looks for hundreds at once."""
    patterns = folder / "needles"
    patterns.write_bytes(b"\n".join(needles))
    found = subprocess.run(["grep", "-m1", "-aboFf", patterns], input=data, capture_output=True, check=False, env={"LC_ALL": "C"}).stdout
    return int(found.split(b":")[0]) if found else -1
