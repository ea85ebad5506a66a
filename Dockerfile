# The image: authproxy, its locked dependencies and nothing else of ours on the base. See deploy/README.md for running it.
#
#   docker build -t authproxy:local .
#   docker run --read-only --cap-drop ALL -p 8443:8443 -v DIRECTORY:/etc/authproxy:ro authproxy:local
#
# It is built from .dockerignore's short list alone. Everything installed is named with its hash in .ci/requirements*.txt.

ARG PYTHON_IMAGE=python:3.13-slim-trixie

# ---------------------------------------------------------------- everything is made here
# hadolint ignore=DL3006  (the tag stands in the argument)
FROM ${PYTHON_IMAGE} AS build

# pip and the builder live in /build and stay there; what is shipped has no installer.
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/authproxy
COPY .ci/requirements.txt .ci/requirements-build.txt /src/
RUN /build/bin/python -m pip install --quiet --no-cache-dir --require-hashes -r /src/requirements-build.txt \
 && /build/bin/python -m pip --python /opt/authproxy/bin/python install --quiet --no-cache-dir --no-compile \
      --only-binary :all: --require-hashes -r /src/requirements.txt

COPY pyproject.toml README.md LICENSE /src/
COPY authproxy /src/authproxy
# A container's root is read-only, so bytecode is made now, else every start and every healthcheck would compile again:
# for what is imported by any module of authproxy, the standard library's too, which the base ships without.
# It is valid without looking at its source (unchecked-hash), because no file of an image ever changes.
ENV PYTHONPYCACHEPREFIX=/opt/authproxy/bytecode
# hadolint ignore=DL3003
RUN /build/bin/python -m pip wheel --quiet --no-cache-dir --no-deps --no-build-isolation --wheel-dir /src/wheel /src \
 && /build/bin/python -m pip --python /opt/authproxy/bin/python install --quiet --no-cache-dir --no-compile --no-deps \
      --no-index /src/wheel/*.whl \
 && find /opt/authproxy/lib \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.[ch]' \) -delete \
 && rm -rf "$PYTHONPYCACHEPREFIX" \
 && cd /opt/authproxy \
 && PYTHONDONTWRITEBYTECODE=1 bin/python -c 'import authproxy, importlib, pkgutil, sys; \
      [importlib.import_module(found.name) for found in pkgutil.walk_packages(authproxy.__path__, "authproxy.")]; \
      files = {getattr(module, "__file__", None) or "" for module in sys.modules.values()}; \
      print(*sorted(name for name in files if name.endswith(".py")), sep="\n")' > /src/imported \
 && bin/python -m compileall -q --invalidation-mode unchecked-hash -i /src/imported \
 && mkdir -p /state

# ---------------------------------------------------------------- and this is shipped
# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}

ARG PYTHON_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="authproxy" \
      org.opencontainers.image.description="A TLS front door for legacy services" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"

# What the base brings and nobody here needs: pip, and programs that lend whoever starts them the rights of another user.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/site-packages/pip* /usr/local/lib/python3.*/ensurepip \
      /usr/share/python-wheels \
 && find / -xdev -type f -perm /6000 -exec chmod ug-s {} +

COPY --from=build /opt/authproxy /opt/authproxy
# A volume that is mounted here for the first time takes over this owner.
COPY --from=build --chown=10001:10001 /state /var/lib/authproxy
COPY --from=build --chown=10001:10001 /state /run/authproxy

ENV PATH=/opt/authproxy/bin:$PATH \
    PYTHONPYCACHEPREFIX=/opt/authproxy/bytecode \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    AUTHPROXY_CONFIG=/etc/authproxy/authproxy.yaml

# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 10001:10001
WORKDIR /var/lib/authproxy
EXPOSE 8443
# Drains, then exits 0; `docker stop` needs more time than timeouts.drain (30 s): -t 40, stop_grace_period: 40s.
STOPSIGNAL SIGTERM
# Asks `ops`, so the configuration needs one: ops: {bind: 127.0.0.1:9901}.
# The first minute's failures do not count: a start takes a second, or ten where many start at once on few cores.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["authproxy", "healthcheck"]
ENTRYPOINT ["authproxy"]
CMD ["run"]
