"""Keys and certificates: read, judged, and turned into `ssl.SSLContext`s.

    load_file, load_pem_pair, load_text -> Keystore    load_truststore, with_refusals -> Truststore
    check(keystore, role, now, names)                  may it be used?
    server_context, client_context                     built whole from memory, never changed afterwards
    self_test(context, keystore)                       does it shake hands?
    Demand.judge(chain, now)                           may whoever has shaken hands come in, now?
    certificate_names(der)                             whom does a peer's certificate name?

Everything here may block; a running proxy calls it in a thread.
"""

from authproxy.keystore.check import check, remarks
from authproxy.keystore.combined import load_text
from authproxy.keystore.context import (
    ClientCertificates,
    ClientMode,
    believed,
    client_context,
    server_context,
    tunnel_context,
)
from authproxy.keystore.demand import Demand, PeerFault, Refused
from authproxy.keystore.deny import Denied
from authproxy.keystore.load import load_file, load_pem_pair
from authproxy.keystore.model import Keystore, Role, covers, fingerprint
from authproxy.keystore.names import certificate_names
from authproxy.keystore.pins import pin_judge
from authproxy.keystore.selftest import self_test
from authproxy.keystore.stores import Opening
from authproxy.keystore.trust import Refusals, Truststore, load_truststore, with_refusals

__all__ = [
    "ClientCertificates",
    "ClientMode",
    "Demand",
    "Denied",
    "Keystore",
    "Opening",
    "PeerFault",
    "Refusals",
    "Refused",
    "Role",
    "Truststore",
    "believed",
    "certificate_names",
    "check",
    "client_context",
    "covers",
    "fingerprint",
    "load_file",
    "load_pem_pair",
    "load_text",
    "load_truststore",
    "pin_judge",
    "remarks",
    "self_test",
    "server_context",
    "tunnel_context",
    "with_refusals",
]
