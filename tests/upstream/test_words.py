"""What is told of an upstream that was not believed, or did not believe us."""

import ssl

import pytest

from authproxy.upstream.words import explain, explain_loss


def made(reason=None, text="said so"):
    """An error as OpenSSL makes it, or as we do."""
    error = ssl.SSLError(ssl.SSLErrorNumber.SSL_ERROR_SSL, text)
    if reason is not None:
        error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (made("WRONG_VERSION_NUMBER"), "does not speak TLS (WRONG_VERSION_NUMBER)"),
        (
            made("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
            "wants a client certificate: set the upstream's keystore (TLSV13_ALERT_CERTIFICATE_REQUIRED)",
        ),
        (made("NO_WORDS_FOR_IT"), "NO_WORDS_FOR_IT"),
        (made(), "said so"),
    ],
)
def test_it_is_told_in_an_operators_words(error, says):
    """With OpenSSL's own behind them, for whoever looks them up; a judge's words are told as they are."""
    assert explain(error, "ca.pem") == says
    assert explain_loss(error, "closed") == says


def test_a_certificate_is_told_with_who_could_have_vouched_for_it():
    """The truststore is what one would look at."""
    error = ssl.SSLCertVerificationError(1, "failed")
    error.verify_message = "certificate has expired"

    assert explain(error, "truststores.internal") == "certificate has expired (asked: truststores.internal)"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (None, "closed"),
        (OSError(), "closed"),
        (ConnectionResetError(104, "Connection reset by peer"), "[Errno 104] Connection reset by peer"),
    ],
)
def test_what_is_not_known_is_not_made_up(error, says):
    """What the kernel said, or nothing."""
    assert explain_loss(error, "closed") == says
