#!/usr/bin/env bash
# Deploys the service into the current kind cluster and updates it twice under load: no refresh may fail. Checks also that only named
# namespaces reach the internal port. Needs docker, kind and kubectl, and an image refresh-token-service:kind:
#
#   docker build -t refresh-token-service:kind . && kind create cluster && deploy/kubernetes/kind/rolling-update.sh
set -euo pipefail
cd "$(dirname "$0")"

readonly service=deployment/refresh-token-service
in_service() { kubectl --namespace refresh-token-service "$@"; }
in_login() { kubectl --namespace login "$@"; }
wait_until() {
  local end=$((SECONDS + 120))
  until "$@"; do
    ((SECONDS < end)) || { echo "not within two minutes: $*" >&2; return 1; }
    sleep 1
  done
}
random() { openssl rand -base64 64 | tr -d '\n'; }

kind load docker-image refresh-token-service:kind

# Pods that break the restricted standard are refused.
kubectl create namespace refresh-token-service
kubectl label namespace refresh-token-service pod-security.kubernetes.io/enforce=restricted
kubectl create namespace login
kubectl create namespace stranger

api_key=$(random)
in_service create secret generic refresh-token-service \
  --from-literal=REDIS_URL=redis://redis:6379 \
  --from-literal=ACCESS_TOKEN_SECRETS="$(random)" \
  --from-literal=REFRESH_TOKEN_SECRETS="$(random)" \
  --from-literal=INTERNAL_API_KEYS="login:open:$api_key"
in_login create secret generic load --from-literal=API_KEY="$api_key"

kubectl apply --kustomize .
in_service rollout status --timeout=180s deployment/redis
in_service rollout status --timeout=180s "$service"
# The autoscaler has no metrics here, but keeps its minimum.
in_service wait --for=jsonpath='{.status.readyReplicas}'=3 --timeout=180s "$service"

reach='fetch("http://refresh-token-service-internal.refresh-token-service:3001/healthz", { signal: AbortSignal.timeout(5000) }).then(() => console.log("reached"), () => console.log("refused"))'
reached_from() {
  kubectl --namespace "$1" run reach --image=refresh-token-service:kind --image-pull-policy=Never --restart=Never --quiet --rm --attach --command -- node -e "$reach"
}
[[ "$(reached_from login)" == *reached* ]] || { echo 'The namespace login must reach the internal port.' >&2; exit 1; }
[[ "$(reached_from stranger)" == *refused* ]] || { echo 'No other namespace may reach the internal port.' >&2; exit 1; }

kubectl apply --kustomize load
in_login wait --for=condition=Ready --timeout=60s pod/load
is_loaded() { [[ "$(in_login logs load)" == *running* ]]; }
wait_until is_loaded

for _ in 1 2; do
  in_service rollout restart "$service"
  in_service rollout status --timeout=300s "$service"
done
# Old pods still serve for SHUTDOWN_DELAY.
have_left() { [[ "$(in_service get pods --selector=app.kubernetes.io/name=refresh-token-service --output=name | wc -l)" -eq 3 ]]; }
wait_until have_left

in_login exec load -- kill -TERM 1
in_login wait --for=jsonpath='{.status.phase}'=Succeeded --timeout=60s pod/load || true
in_login logs load
[[ "$(in_login get pod load --output=jsonpath='{.status.phase}')" == Succeeded ]]
