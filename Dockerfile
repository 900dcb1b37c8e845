# The image of worker, learner, simulator and every other `journey` command.
#
#   docker build -t journey-streams .
#   docker run --read-only --tmpfs /tmp journey-streams --help
#
# Everything is installed from the versions of constraints.txt, those that the tests run with. No compiler is needed.
# The tag names one release of Python and of Debian; where an image must not change at all, add its digest.
ARG PYTHON=python:3.11.13-slim-bookworm

FROM ${PYTHON} AS built
WORKDIR /source
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/journey
COPY constraints.txt pyproject.toml hatch_build.py README.md LICENSE ./
COPY avro avro
COPY streams streams
RUN /opt/journey/bin/pip install --constraint constraints.txt . \
    && /opt/journey/bin/python -m compileall -q -j 0 /opt/journey/lib \
    && /opt/journey/bin/pip uninstall --yes --quiet pip setuptools

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
