# A small image of the broker: no compiler, no root, data in a volume.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY flymq flymq
COPY protocol protocol
COPY cli cli
RUN python -m venv /opt/flymq && /opt/flymq/bin/pip install --no-cache-dir .

FROM python:3.13-slim
COPY --from=build /opt/flymq /opt/flymq
# Not with useradd's --create-home: it would fill the data folder with a shell's dot files.
RUN useradd --uid 10001 --home-dir /var/lib/flymq --no-create-home --shell /usr/sbin/nologin flymq \
  && install -d -o flymq -g flymq -m 700 /var/lib/flymq
USER flymq
WORKDIR /var/lib/flymq
VOLUME /var/lib/flymq
EXPOSE 9092
# Behind a port mapping the dialled address can't be guessed: override this where clients are elsewhere.
ENV FLYMQ_ADVERTISED_LISTENERS=PLAINTEXT://localhost:9092
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["/opt/flymq/bin/python", "-c", "import socket; socket.create_connection(('127.0.0.1', 9092), 2).close()"]
ENTRYPOINT ["/opt/flymq/bin/flymq"]
CMD ["serve", "--data-dir", "/var/lib/flymq", "--listen", "0.0.0.0:9092"]
