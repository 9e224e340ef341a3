"""Standard Webhooks: a call signed so that its receiver knows who sent it, and that nothing was changed on the way.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (1.0.0, read 2026-11)
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Mapping

KEY_BYTES = range(24, 65)
SECRET_RULE = "whsec_ and the base64 of 24 to 64 random bytes"


def signing_key(secret: str) -> bytes:
    """The bytes that sign. Raises ValueError where a secret is not as SECRET_RULE says."""
    prefix, _, text = secret.strip().partition("_")
    try:
        key = base64.b64decode(text, validate=True) if prefix == "whsec" else b""
    except ValueError:
        key = b""
    if len(key) not in KEY_BYTES:
        raise ValueError(f"it must be {SECRET_RULE}")
    return key


def signed(key: bytes, name: str, body: bytes) -> Mapping[str, str]:
    """The headers of one attempt, made as it is sent: receivers turn away a signature that is minutes old.

    name: the message's `webhook-id`, the same for each attempt
    """
    now = str(int(time.time()))
    mac = hmac.new(key, f"{name}.{now}.".encode(), "sha256")
    mac.update(body)  # other threads run meanwhile, as they do not beside hmac.digest
    return {"webhook-timestamp": now, "webhook-signature": f"v1,{base64.b64encode(mac.digest()).decode()}"}
