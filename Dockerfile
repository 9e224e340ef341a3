# Your definitions are mounted at /project, or baked in: FROM audiences, then COPY . /project
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
LABEL org.opencontainers.image.title="audiences" \
      org.opencontainers.image.description="Keep lists in other people's systems equal to what SQL files in git say." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/audiences /opt/audiences
# The state is all that the worker writes; a new volume takes over its owner from here.
RUN install --directory --owner=10001 --group=10001 /state
ENV PATH="/opt/audiences/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_STATE_HOME=/state
VOLUME ["/state"]
WORKDIR /project
USER 10001:10001
ENTRYPOINT ["audiences"]
