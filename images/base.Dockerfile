# A base image with further Debian packages. `apt/` has this machine's package sources, which are used where the image is of
# the same release as the machine (`MACHINE`), its proxy settings and certificates. All of it is used while packages are
# installed, and nothing that runs later trusts it.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ARG PACKAGES
ARG MACHINE
COPY apt/ /tmp/apt/
RUN set -eu; \
    rm -rf /etc/apt.image; cp -a /etc/apt /etc/apt.image; \
    if [ "$(. /etc/os-release; echo "$ID ${VERSION_CODENAME:-}")" != "$MACHINE" ]; then \
        rm -rf /tmp/apt/etc/sources.list /tmp/apt/etc/sources.list.d; \
    fi; \
    if [ -e /tmp/apt/etc/sources.list ] || [ -d /tmp/apt/etc/sources.list.d ]; then \
        rm -rf /etc/apt/sources.list /etc/apt/sources.list.d; \
    fi; \
    if [ -d /tmp/apt/etc ]; then cp -r /tmp/apt/etc/. /etc/apt/; fi; \
    if [ -f /tmp/apt/certificates.crt ]; then \
        echo 'Acquire::https::CaInfo "/tmp/apt/certificates.crt";' > /etc/apt/apt.conf.d/zz-certificates; \
    fi; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get -q update; \
    apt-get -q install -y --no-install-recommends $PACKAGES; \
    apt-get clean; \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /tmp/apt /etc/apt; \
    mv /etc/apt.image /etc/apt
