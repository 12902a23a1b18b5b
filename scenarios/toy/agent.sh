#!/usr/bin/env -S LC_ALL=C bash
#
# A toy agent with four planted tells.
#
# It does what a coding agent does when it is asked one thing: it writes a prompt, posts it to its model (an Anthropic
# Messages request, plain HTTP), and prints what the model says. And, like no agent should, it lets the prompt depend on
# where it runs. A *tell* is such a dependence: something in what is sent from which whoever receives it could learn
# something about the machine, though nobody said that it would be told.
#
# Parallax must find each of the four, and say exactly on what it depends. Everything else here is innocent: the local
# date and the name of the host are written in plain words, and are explained, not tells.
#
# It needs bash and coreutils. (LC_ALL=C above: bash itself would complain on its standard error about a locale that the
# machine does not have, which would be a fifth tell, and not ours. The agent reads LANG.)

set -u
prompt=${1:-Reply with OK.}
base_url=${TOY_BASE_URL:-http://api.toy.example}

# Tell 1, a main effect: one visible word depends on the locale alone.
manner=Please
case ${LANG:-} in de_* | ja_*) manner=Kindly ;; esac

# Tell 2, an interaction: the apostrophe is U+2019 in two time zones, but only away from the vendor's own host. Neither
# the zone nor the base URL does anything alone.
apostrophe="'"
case ${TZ:-} in
Asia/Shanghai | Asia/Tokyo)
  [[ $base_url == http://api.toy.example* ]] || apostrophe=$'\xe2\x80\x99'
  ;;
esac

# Tell 3, one level of twelve: a number is another one in a single region.
budget=512
[[ ${REGION:-} == eu-north-1 ]] && budget=500

# Tell 4, an invisible character: a zero-width space (U+200B) on one host.
mark=
[[ $HOSTNAME == build-07 ]] && mark=$'\xe2\x80\x8b'

# Overt, and explained: the local date, and the host by its name.
printf -v today '%(%Y-%m-%d)T' -1

system="You are a toy agent. Don${apostrophe}t guess.\nToday is ${today}.\nHost: ${HOSTNAME}.\nKeep to${mark} the task.\nUse at most ${budget} words."
body='{"model":"toy-1","max_tokens":64,"system":"'$system'","messages":[{"role":"user","content":"'$manner' answer. '$prompt'"}]}'

# http://host[:port]/path, straight or through a proxy (which wants the absolute form of the target).
authority=${base_url#http://}
authority=${authority%%/*}
target=/v1/messages
dial=$authority
proxy=${HTTP_PROXY:-${http_proxy:-}}
if [[ -n $proxy ]]; then
  dial=${proxy#http://}
  dial=${dial%%/*}
  target=http://$authority$target
fi
port=80
[[ $dial == *:* ]] && port=${dial##*:}

if ! exec 3<>"/dev/tcp/${dial%%:*}/$port"; then
  echo "toy: cannot reach $dial" >&2
  exit 1
fi
printf '%s\r\n' \
  "POST $target HTTP/1.1" \
  "Host: $authority" \
  'User-Agent: toy-agent/1.0' \
  "x-api-key: ${TOY_API_KEY:-}" \
  'anthropic-version: 2023-06-01' \
  'Content-Type: application/json' \
  "Content-Length: ${#body}" \
  'Connection: close' \
  '' >&3
printf '%s' "$body" >&3

# The reply: {"content":[{"type":"text","text":"…"}], …}.
reply=$(cat <&3)
text=${reply#*'"text":"'}
if [[ $text == "$reply" ]]; then
  echo "toy: no text in the reply: ${reply%%$'\r'*}" >&2
  exit 1
fi
printf '%s\n' "${text%%'"'*}"
