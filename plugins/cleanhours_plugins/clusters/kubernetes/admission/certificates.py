"""Certificates: an authority and a server certificate of our own, and what to renew next. Pure but for dice.

A new authority is trusted before anybody shows a certificate of it: it is appended to the bundle first, the webhook
configuration takes the bundle over, and only then is a server certificate signed by it.
"""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE: Final = timedelta(days=3650)
SERVER_LIFE: Final = timedelta(days=365)
RENEWED_AFTER: Final = 2 / 3
"""Of its life."""
_SKEW: Final = timedelta(hours=1)
"""Clocks of API servers may be behind ours."""


@dataclass(frozen=True, slots=True)
class Papers:
    """PEM texts, as the Secret keeps them. `bundle` holds the authorities to trust, the one that signs last."""

    bundle: bytes
    authority_key: bytes
    server: bytes
    server_key: bytes


def renewed(papers: Papers | None, names: Sequence[str], now: datetime, *, trusted: bytes) -> Papers | None:
    """What to keep instead of `papers` (None: nothing is kept yet), or None when all is well for now.

    `names` are DNS names and IP addresses that the server is called by. `trusted` is what the webhook configuration
    trusts now: nothing is signed by an authority that is not there yet, but at the very beginning.
    """
    if papers is None or not _whole(papers):
        return _begun(papers, names, now)
    authorities = x509.load_pem_x509_certificates(papers.bundle)
    signing = authorities[-1]
    valid = [one for one in authorities[:-1] if one.not_valid_after_utc > now] + [signing]
    if _due(signing, now):
        key, new = _authority(now)
        return replace(papers, bundle=_pem(*valid, new), authority_key=_key_pem(key))
    server = x509.load_pem_x509_certificate(papers.server)
    current = _issued_by(server, signing) and not _due(server, now) and _names_of(server) == set(names)
    if not current and _pem(signing) in trusted:
        signed, key = _server(signing, _key_of(papers.authority_key), names, now)
        return replace(papers, bundle=_pem(*valid), server=_pem(signed), server_key=_key_pem(key))
    if len(valid) < len(authorities):
        return replace(papers, bundle=_pem(*valid))
    return None


def context_of(server: bytes, server_key: bytes) -> ssl.SSLContext:
    """What a server shows. Raises ssl.SSLError when the two are no certificate and its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory() as folder:  # private; OpenSSL reads files only
        certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        certificate.write_bytes(server)
        key.write_bytes(server_key)
        context.load_cert_chain(certificate, key)
    return context


def _begun(papers: Papers | None, names: Sequence[str], now: datetime) -> Papers:
    """All new. What was trusted before stays so: another replica may still show a certificate of it."""
    key, authority = _authority(now)
    server, server_key = _server(authority, key, names, now)
    before = [] if papers is None else list(_readable(papers.bundle))
    return Papers(_pem(*before, authority), _key_pem(key), _pem(server), _key_pem(server_key))


def _whole(papers: Papers) -> bool:
    try:
        signing = x509.load_pem_x509_certificates(papers.bundle)[-1]
        pairs = (
            (signing, papers.authority_key),
            (x509.load_pem_x509_certificate(papers.server), papers.server_key),
        )
        return all(one.public_key() == _key_of(key).public_key() for one, key in pairs)
    except (ValueError, TypeError, IndexError):
        return False


def _readable(bundle: bytes) -> Iterator[x509.Certificate]:
    try:
        yield from x509.load_pem_x509_certificates(bundle)
    except ValueError:
        return


def _due(certificate: x509.Certificate, now: datetime) -> bool:
    begun, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= begun + (ends - begun) * RENEWED_AFTER


def _issued_by(server: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        server.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names_of(certificate: x509.Certificate) -> set[str]:
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = {str(address) for address in alternative.get_values_for_type(x509.IPAddress)}
    return addresses | set(alternative.get_values_for_type(x509.DNSName))


def _authority(now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"cleanhours admission {now:%Y-%m-%d}"
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    built = (
        _builder(name, name, key, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return key, built.sign(key, hashes.SHA256())


def _server(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
    now: datetime,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = str(authority.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    built = (
        _builder("cleanhours admission", issuer, key, now, SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(issuer_id, critical=False)
    )
    return built.sign(authority_key, hashes.SHA256()), key


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    subject_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(subject_id, critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_of(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises ValueError or TypeError when it is no private key of ours."""
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not an elliptic curve key")
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)
