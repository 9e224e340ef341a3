# Your definitions are mounted at /project, or baked in: deploy/Dockerfile
#   docker run --read-only --tmpfs /tmp --env-file .env --volume "$PWD:/project:ro" --volume audiences-state:/state audiences plan
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY requirements.lock requirements-dev.lock ./
# uv builds and installs; the lock's hash vouches for it as for the rest.
RUN awk '/^uv==/ { take = 1 } take { print } take && !/\\$/ { exit }' requirements-dev.lock > uv.txt \
    && pip install --no-cache-dir --no-deps --require-hashes --requirement uv.txt
RUN uv venv /opt/audiences \
    && uv pip sync --no-cache --compile-bytecode --require-hashes --python /opt/audiences/bin/python requirements.lock
COPY . .
RUN uv build --no-cache --wheel --require-hashes --build-constraints requirements-dev.lock \
    && uv pip install --no-cache --compile-bytecode --no-deps --python /opt/audiences/bin/python dist/*.whl

FROM python:3.11-slim-bookworm
ARG REVISION=""
LABEL org.opencontainers.image.title="audiences" \
      org.opencontainers.image.description="Keep lists in other people's systems equal to what SQL files in git say." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /opt/audiences /opt/audiences
COPY deploy/healthcheck.py /opt/audiences/healthcheck.py
# The state is all that the worker writes; a new volume takes over its owner from here. There is no VOLUME: an unnamed
# one would hide that none was given, and go with the container.
RUN install --directory --owner=10001 --group=10001 /state
ENV PATH="/opt/audiences/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_STATE_HOME=/state \
    AUDIENCES_PORT=8080
EXPOSE 8080
WORKDIR /project
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python", "/opt/audiences/healthcheck.py"]
# No shell stands between: the worker itself hears the signal, and needs AUDIENCES_GRACE seconds (60) from there.
ENTRYPOINT ["audiences"]
CMD ["serve"]
