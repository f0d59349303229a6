# docker build -t tepui:0.1.0 .
FROM node:24-bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev linux-libc-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/tepui
COPY package.json package-lock.json ./
# The image has a Node of its own: the one that the npm package `node` brings for other machines is left out.
RUN npm ci --omit=dev --ignore-scripts \
 && rm -rf node_modules/node node_modules/node-bin-*
COPY LICENSE CHANGELOG.md ./
COPY crds crds
COPY apiserver apiserver
COPY controllers controllers
COPY runtime runtime
COPY cli cli
RUN rm -rf runtime/launcher/build && node runtime/launcher/build.ts

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="tepui" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/tepui /opt/tepui
RUN ln -s /opt/tepui/cli/tepui /usr/local/bin/tepui && tepui --version
ENTRYPOINT ["tepui"]
CMD ["--help"]
