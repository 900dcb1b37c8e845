# The image of worker, learner, simulator and every other `journey` command, for amd64.
#
#   docker build -t journey-streams .
#   docker run --read-only --tmpfs /tmp journey-streams --help
#   docker build --target sbom --output build .        its bill of materials (CycloneDX)
#
# Everything is installed by the hashes of deploy/image/*.lock, in the versions of constraints.txt, those that the tests
# run with; no compiler is needed. The same sources give the same files, byte for byte and with the same times:
# `make image-steps` runs the steps below twice and compares. The tag of the base names one release of Python and of
# Debian; where an image must not change at all, add its digest.
ARG PYTHON=python:3.11.13-slim-bookworm

FROM ${PYTHON} AS built
# The time of every file, as seconds of the epoch.
ARG SOURCE_DATE_EPOCH=1580601600
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} \
    PYTHONHASHSEED=0 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_COMPILE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
COPY deploy/image/build.lock deploy/image/requirements.lock ./
# What builds is apart from what is kept: the image has no pip.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --quiet --require-hashes --only-binary :all: --requirement build.lock \
    && python -m venv --without-pip /opt/journey \
    && /opt/build/bin/pip --python /opt/journey/bin/python install --quiet \
        --require-hashes --only-binary :all: --requirement requirements.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY avro avro
COPY streams streams
# Tests of the packages are left out. Compiled files are never compared with their source: no time is written into them.
RUN /opt/build/bin/python -m hatchling build -t wheel -d dist \
    && /opt/build/bin/pip --python /opt/journey/bin/python install --quiet --no-deps --no-index dist/*.whl \
    && find /opt/journey/lib -type d -name tests -prune -exec rm -r {} + \
    && /opt/journey/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/journey/lib \
    && find /opt/journey -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +

FROM built AS billed
COPY deploy/image/sbom.lock ./
RUN python -m venv /opt/sbom \
    && /opt/sbom/bin/pip install --quiet --require-hashes --only-binary :all: --requirement sbom.lock \
    && /opt/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
        --output-reproducible --spec-version 1.6 --output-format JSON --output-file /opt/sbom/journey.cdx.json \
        /opt/journey/bin/python

FROM scratch AS sbom
COPY --from=billed /opt/sbom/journey.cdx.json /

FROM ${PYTHON}
LABEL org.opencontainers.image.title="journey-streams" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=built /opt/journey /opt/journey
# Nothing is written but to /tmp: the root file system may be read-only, and the user any number.
ENV PATH=/opt/journey/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    JOURNEY_DATA=/tmp/.journey \
    JOURNEY_HTTP_HOST=0.0.0.0 \
    JOURNEY_LOG_FORMAT=json
WORKDIR /tmp
USER 10001:10001
EXPOSE 9107 9108
# The worker's. A learner listens on 9107 and says so where it is run; commands that end need none.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9108/livez', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["journey"]
CMD ["--help"]
