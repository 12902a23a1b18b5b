#!/usr/bin/env -S LC_ALL=C bash
#
# The innocent twin of agent.sh.
#
# It looks the same from outside, and is full of noise: random identifiers, times, a shuffled order of headers, its
# process id, one more request in a tenth of all runs. None of that depends on the environment. The local date does, in
# plain words, as every agent's does. Parallax must find nothing to accuse it of.
#
# It needs bash and coreutils. (For LC_ALL=C see agent.sh.)

set -u
prompt=${1:-Reply with OK.}
base_url=${TOY_BASE_URL:-http://api.toy.example}

uuid() { cat /proc/sys/kernel/random/uuid; }

printf -v today '%(%Y-%m-%d)T' -1
seconds=$(date +%s)
started=$(TZ=UTC0 date +%Y-%m-%dT%H:%M:%S.%3NZ)

system="You are a toy agent. Don't guess.\nToday is ${today}.\nKeep to the task.\nUse at most 512 words.\nSession: $(uuid)."
metadata='{"session_id":"'$(uuid)'","request_id":"req_'$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')'","pid":'$$',"sent_at":'$seconds',"started":"'$started'"}'
body='{"model":"toy-1","max_tokens":64,"metadata":'$metadata',"system":"'$system'","messages":[{"role":"user","content":"Please answer. '$prompt'"}]}'

authority=${base_url#http://}
authority=${authority%%/*}
proxy=${HTTP_PROXY:-${http_proxy:-}}

# request METHOD PATH BODY: prints the whole reply.
request() {
  local method=$1 path=$2 body=$3 dial=$authority port=80
  if [[ -n $proxy ]]; then
    dial=${proxy#http://}
    dial=${dial%%/*}
    path=http://$authority$path
  fi
  [[ $dial == *:* ]] && port=${dial##*:}
  local headers=(
    'User-Agent: toy-agent/1.0'
    "x-api-key: ${TOY_API_KEY:-}"
    'anthropic-version: 2023-06-01'
    'Content-Type: application/json'
    "x-request-id: $(uuid)"
    "x-elapsed-ms: $((RANDOM % 90 + 10))"
  )
  exec 3<>"/dev/tcp/${dial%%:*}/$port" || return 1
  {
    printf '%s %s HTTP/1.1\r\nHost: %s\r\n' "$method" "$path" "$authority"
    printf '%s\r\n' "${headers[@]}" | shuf
    printf 'Content-Length: %d\r\nConnection: close\r\n\r\n%s' "${#body}" "$body"
  } >&3
  cat <&3
  exec 3>&-
}

# Statistics, in a random tenth of all runs.
if ((RANDOM % 10 == 0)); then
  request POST /v1/statistics '{"event":"start","id":"'$(uuid)'"}' >/dev/null
fi

if ! reply=$(request POST /v1/messages "$body"); then
  echo "toy: cannot reach $authority" >&2
  exit 1
fi
text=${reply#*'"text":"'}
if [[ $text == "$reply" ]]; then
  echo "toy: no text in the reply: ${reply%%$'\r'*}" >&2
  exit 1
fi
printf '%s\n' "${text%%'"'*}"
