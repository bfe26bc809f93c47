#!/usr/bin/env bash
# Prints a table for comparisons: llama-bench's speeds at growing context with the VRAM in use, then one tool
# call to a running llama-server. In the image it is called `llama-bench-table`; without the image:
#
#   docker/bench.sh --model ~/models/qwen3-8b-q4_k_m.gguf --url http://127.0.0.1:8080
#
# The image contains only bash, coreutils, mawk and curl: no jq and no Python.
set -euo pipefail
export LC_ALL=C

readonly OK=0 BENCH_FAILED=1 USAGE=2 NO_TOOL_CALL=3

usage() {
    cat <<'END'
Usage: llama-bench-table --model FILE [OPTIONS] [-- OPTIONS OF llama-bench]

Prints prompt and generation speed at several context depths with the peak VRAM of each card, then asks
a running llama-server for a tool call.

  --model FILE     the model [default: $LLAMA_ARG_MODEL]
  --depths LIST    tokens of context before each test [default: 0,2048,4096,8192]
  --url URL        the server of the tool call [default: $LLAMA_URL, or http://127.0.0.1:8080]
  --no-bench       only the tool call
  --no-tools       only the table
  --help           this

Exit code: 0, 1 if llama-bench failed, 2 for wrong options, 3 if the server made no tool call. A server
that cannot be reached is said, and is no failure.

VRAM is what the driver counts for each card, whoever uses it: a server that is running is part of it.

Example:
  llama-bench-table --model /models/qwen3-8b-q4_k_m.gguf --depths 0,16384 -- -fa 1 -r 3
END
}

say() { printf '%s\n' "$*" >&2; }

wrong() {
    say "llama-bench-table: $*"
    say 'See llama-bench-table --help.'
    exit "$USAGE"
}

model=${LLAMA_ARG_MODEL:-}
depths=0,2048,4096,8192
url=${LLAMA_URL:-http://127.0.0.1:8080}
with_bench=yes
with_tools=yes
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h)
            usage
            exit "$OK"
            ;;
        --model | -m | --depths | --url)
            [ $# -ge 2 ] || wrong "$1 needs a value"
            case $1 in
                --depths) depths=$2 ;;
                --url) url=$2 ;;
                *) model=$2 ;;
            esac
            shift 2
            ;;
        --no-bench)
            with_bench=no
            shift
            ;;
        --no-tools)
            with_tools=no
            shift
            ;;
        --)
            shift
            break
            ;;
        *) wrong "there is no option $1" ;;
    esac
done
url=${url%/}
if [ "$with_bench" = yes ]; then
    [ -n "$model" ] || wrong 'give a model: --model FILE'
    [ -f "$model" ] || wrong "there is no file $model"
    [[ $depths =~ ^[0-9]+(,[0-9]+)*$ ]] || wrong "--depths is numbers with commas, not $depths"
fi

work=$(mktemp -d)
running=
finish() {
    # llama-bench would continue to use the GPU when this script is stopped.
    if [ -n "$running" ] && [ -d "/proc/$running" ]; then
        kill "$running"
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Bytes of VRAM in use on each card, by its name.
declare -A peak=()
shopt -s nullglob
sample() {
    local file card bytes
    for file in "${SYSFS:-/sys}"/class/drm/card*/device/mem_info_vram_used; do
        card=${file#*/class/drm/}
        card=${card%%/*}
        read -r bytes <"$file" || continue
        if [ "$bytes" -gt "${peak[$card]:-0}" ]; then
            peak[$card]=$bytes
        fi
    done
}

# `7421 + 7390`: MiB of each card, ordered by number.
mebibytes() {
    local card text=
    [ ${#peak[@]} -gt 0 ] || {
        echo n/a
        return
    }
    while read -r card; do
        text+="${text:+ + }$((peak[$card] / 1048576))"
    done < <(printf '%s\n' "${!peak[@]}" | sort -V)
    echo "$text"
}

# One field of the tests in a JSONL file: the first line with the wanted kind of test.
#   field FILE prompt|generation|any NAME
field() {
    awk -v kind="$2" -v name="$3" '
        function value(key,    at, rest) {
            at = match($0, "\"" key "\": *")
            if (!at) return ""
            rest = substr($0, at + RLENGTH)
            if (substr(rest, 1, 1) == "\"") {
                rest = substr(rest, 2)
                return substr(rest, 1, index(rest, "\"") - 1)
            }
            match(rest, /^[^,}]*/)
            return substr(rest, 1, RLENGTH)
        }
        kind == "prompt" && value("n_prompt") + 0 == 0 { next }
        kind == "generation" && value("n_gen") + 0 == 0 { next }
        value(name) != "" { print value(name); exit }
    ' "$1"
}

speed() {
    local average deviation
    average=$(field "$1" "$2" avg_ts)
    deviation=$(field "$1" "$2" stddev_ts)
    [ -n "$average" ] || return 1
    awk -v a="$average" -v d="${deviation:-0}" 'BEGIN { printf "%.2f ± %.2f\n", a, d }'
}

failed() {
    say ''
    say "llama-bench failed at context $1: $2. It said:"
    cat "$work/stdout" "$work/stderr" >&2
    say ''
    say "If it ran out of memory: a server that is running on this GPU has VRAM too; stop it first."
    exit "$BENCH_FAILED"
}

bench() {
    local depth code row
    local started=$SECONDS titled=no
    sample
    say "VRAM in use before, MiB of each card: $(mebibytes)"
    for depth in ${depths//,/ }; do
        say "llama-bench at context $depth, $((SECONDS - started)) s since the start ..."
        peak=()
        llama-bench -m "$model" -p 512 -n 128 -d "$depth" -ngl 99 -o jsonl "$@" \
            >"$work/stdout" 2>"$work/stderr" &
        running=$!
        while [ -d "/proc/$running" ]; do
            sample
            sleep 0.2
        done
        code=0
        wait "$running" || code=$?
        running=
        [ "$code" = 0 ] || failed "$depth" "exit code $code"
        # Print only lines that may explain a number.
        sed -n '/rocblas\|error\|warn/Ip' "$work/stderr" >&2
        if ! row=$(speed "$work/stdout" prompt && speed "$work/stdout" generation); then
            failed "$depth" 'no result in its output'
        fi
        if [ "$titled" = no ]; then
            titled=yes
            printf '%s, %s; llama.cpp %s; rocBLAS backend: %s\n\n' \
                "$(field "$work/stdout" any model_type)" "${model##*/}" \
                "$(field "$work/stdout" any build_commit)" "${ROCBLAS_SHIM_BACKEND:-the default}"
            printf '| %7s | %18s | %18s | %13s |\n' \
                context 'prompt t/s' 'generation t/s' 'peak VRAM MiB'
            echo '|--------:|-------------------:|-------------------:|--------------:|'
        fi
        # Print each row immediately, so that results stay on the screen when a later depth fails.
        # 19, since printf counts the two bytes of ±.
        printf '| %7s | %19s | %19s | %13s |\n' \
            "$depth" "${row%%$'\n'*}" "${row##*$'\n'}" "$(mebibytes)"
    done
    echo
}

request='{
  "messages": [{"role": "user", "content": "What is the weather in Paris now? Use the tool."}],
  "tools": [{
    "type": "function",
    "function": {
      "name": "get_weather",
      "description": "The current weather of a city",
      "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The name of the city"}},
        "required": ["city"]
      }
    }
  }],
  "tool_choice": "auto",
  "temperature": 0,
  "max_tokens": 2048
}'

# Prints the HTTP status of a request, 000 if there was no response; the body is in a file.
http() {
    local code=0 status
    status=$(curl --silent --show-error --output "$work/body" --write-out '%{http_code}' \
        --connect-timeout 5 "$@" 2>"$work/curl") || code=$?
    [ "$code" = 0 ] || status=000
    echo "$status"
}

# Unescapes a JSON string, as far as a line on a terminal requires.
plain() { sed -e 's/\\n/ /g' -e 's/\\"/"/g' -e 's/\\\\/\\/g'; }

no_call() {
    say "tool call: none, $*"
    exit "$NO_TOOL_CALL"
}

tools() {
    local status waited=$SECONDS body call name arguments
    : >"$work/body"
    while status=$(http --max-time 10 "$url/health") && [ "$status" = 503 ]; do
        [ $((SECONDS - waited)) -lt "${LLAMA_PATIENCE:-600}" ] ||
            no_call "the server at $url is still loading its model"
        say "the server at $url is loading its model ..."
        sleep 2
    done
    if [ "$status" = 000 ]; then
        echo "tool call: skipped, no server at $url: $(cat "$work/curl")"
        return
    fi
    say "asking $url for a tool call ..."
    status=$(http --max-time 600 --header 'Content-Type: application/json' \
        --data "$request" "$url/v1/chat/completions")
    [ "$status" != 000 ] || no_call "no answer: $(cat "$work/curl")"
    body=$(tr -d '\n\r' <"$work/body")
    [ "$status" = 200 ] || no_call "HTTP status $status: ${body:0:500}"
    # From the array on: `"finish_reason":"tool_calls"` is elsewhere.
    call=$(sed -nE 's/.*"tool_calls": *\[ *(\{.*)/\1/p' <<<"$body")
    if [ -z "$call" ]; then
        body=$(sed -nE 's/.*"content": *"(([^"\\]|\\.)*)".*/\1/p' <<<"$body" | plain)
        no_call "but an answer in words: ${body:0:500}"
    fi
    name=$(sed -nE 's/^[^]]*"name": *"([^"]*)".*/\1/p' <<<"$call")
    arguments=$(sed -nE 's/.*"arguments": *"(([^"\\]|\\.)*)".*/\1/p' <<<"$call" | plain)
    if [ "$name" != get_weather ] || [[ $arguments != *'"city"'* ]]; then
        no_call "but ${name:-a function without a name}($arguments)"
    fi
    echo "tool call: ok $name($arguments)"
}

if [ "$with_bench" = yes ]; then
    bench "$@"
fi
if [ "$with_tools" = yes ]; then
    tools
fi
