"""A private key that opens nothing, made once a process: making one costs a tenth of a second."""

from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@cache
def private_key():
    """As Google's file has it: PEM on one line."""
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(*kinds).decode().replace("\n", "\\n")
