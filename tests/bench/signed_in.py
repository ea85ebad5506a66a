"""Users of the load who have signed in, as a browser does it."""

import http.client
import ssl
from urllib.parse import urlencode

from tests.bench.material import PROXY_NAMES, REQUESTS, Material, request


def sign_in(port: int, material: Material) -> tuple[str, ...]:
    """Return the cookie of each user, from the login of the proxy on `port`.

    Raises:
        RuntimeError: somebody is not let in.
    """
    context = ssl.create_default_context(cafile=material.authority)
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
    cookies = []
    for user in material.users:
        form = urlencode({"user-id": user.id, "token": user.token})
        headers = {
            "Host": PROXY_NAMES[0], "Origin": f"https://{PROXY_NAMES[0]}", "Sec-Fetch-Site": "same-origin",
            "Content-Type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        connection.request("POST", "/auth/login", form, headers)
        answer = connection.getresponse()
        answer.read()
        cookie = answer.getheader("Set-Cookie", "").partition(";")[0]
        if not cookie:
            raise RuntimeError(f"a user could not sign in: {answer.status}")
        cookies.append(cookie)
    connection.close()
    return tuple(cookies)


def requests_of(material: Material, cookies: tuple[str, ...]) -> bytes:
    """Return the heads of the load with cookies instead of tokens."""
    return b"".join(request(number, material.users, cookies) for number in range(REQUESTS))
