# The gateway: our own executable and nothing else. `parallax` builds this image itself, tagged by the executable's digest.
FROM scratch
COPY root/ /
ENTRYPOINT ["/parallax", "gateway"]
