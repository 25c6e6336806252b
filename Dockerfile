# Build: install all packages, compile TypeScript to JavaScript, then keep only production packages. It runs on the builder's own
# platform, because the result is the same for all: no package has native code.
FROM --platform=$BUILDPLATFORM node:22-alpine AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY plugins ./plugins
COPY routes ./routes
RUN npm run compile && npm prune --omit=dev
# The command line on the PATH: docker compose exec replica-1 refresh-token-service doctor
RUN mkdir bin && ln -s /app/dist/src/cli/main.js bin/refresh-token-service

# Run: without compiler and package cache, not as root, with no folder to write to. It runs no command, so that every builder can
# build it for every platform. The release gives both stages the image by its digest.
FROM node:22-alpine
WORKDIR /app
ENV NODE_ENV=production \
    HOST=0.0.0.0
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/bin /usr/local/bin
USER node
EXPOSE 3000 3001
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD wget -q -O /dev/null "http://127.0.0.1:${INTERNAL_PORT:-3001}/healthz" || exit 1
CMD ["node", "dist/src/server.js"]
