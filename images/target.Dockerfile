# A target: its files, read-only to the agent, over a base image. `parallax` builds this image itself, tagged by the digest of
# the installed files. Install scripts follow as RUN lines, without a network.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY target/ /opt/target/
