# Build: install all packages, compile TypeScript to JavaScript, then keep only production packages.
FROM node:22-alpine AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY plugins ./plugins
COPY routes ./routes
RUN npm run compile && npm prune --omit=dev

# Run: without compiler and package cache, not as root, with no folder to write to.
FROM node:22-alpine
WORKDIR /app
ENV NODE_ENV=production \
    HOST=0.0.0.0
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# The command line on the PATH: docker compose exec replica-1 refresh-token-service doctor
RUN ln -s /app/dist/src/cli/main.js /usr/local/bin/refresh-token-service
USER node
EXPOSE 3000 3001
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD wget -q -O /dev/null "http://127.0.0.1:${INTERNAL_PORT:-3001}/healthz" || exit 1
CMD ["node", "dist/src/server.js"]
