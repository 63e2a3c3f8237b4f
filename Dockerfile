# The service in a container. State lives in one volume; secrets come from the environment.
#   docker build -t trellis .
#   docker run -d --name trellis -v trellis:/data -e TRELLIS_TELEGRAM_TOKEN -e TRELLIS_OWNER_ID trellis
# Built with Podman on a stand-in for the base image (Debian's Python 3.11); not yet with a Docker engine.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 TRELLIS_HOME=/data

RUN useradd --uid 10001 --create-home trellis && install -d -o trellis -g trellis -m 700 /data
WORKDIR /trellis

# The lock file first: the layer with the dependencies stays while the code changes.
COPY requirements.lock .
RUN pip install --require-hashes --no-deps -r requirements.lock

COPY run.py settings.toml LICENSE ./
COPY scripts/entry.sh scripts/entry.sh
COPY trading trading
COPY alerts alerts
COPY storage storage
COPY bot bot
COPY service service
RUN python -m compileall -q .

USER trellis
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "run.py", "check", "--alive"]
ENTRYPOINT ["sh", "scripts/entry.sh"]
