# What the shell scripts that try a built program share: sourced with the script's arguments, before anything else.
#
# Takes --binary FILE (default: the debug build) and --help, which prints the comment that the script begins with. Sets
# `binary` to its absolute path, `chosen` to the same or to nothing without --binary, and `rest` to the other arguments,
# and goes to the root of the repository.
set -euo pipefail

fail() { echo "${0#./}: $*" >&2; exit 1; }

chosen= rest=()
while (($#)); do
    case $1 in
        --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;;
        --binary) chosen=$(realpath "${2:?FILE is missing after --binary}"); shift 2 ;;
        *) rest+=("$1"); shift ;;
    esac
done
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
binary=${chosen:-$PWD/target/debug/virksomhedslogin}

no_other_arguments() { ((${#rest[@]} == 0)) || fail "unknown: ${rest[*]}; --help shows what it takes"; }

# wait_for COMMAND…: runs it until it succeeds, for 30 seconds at most.
wait_for() {
    for _ in $(seq 300); do
        "$@" > /dev/null 2>&1 && return
        sleep 0.1
    done
    fail "waited in vain for: $*"
}

# A loopback port on which nothing listens now.
free_port() { python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'; }

# The variables that the image sets, a line each.
image_variables() { sed -n '/^ENV VIRKSOMHEDSLOGIN_CONFIG/,/[^\\]$/p' deploy/docker/Dockerfile | sed 's/^ENV//; s/\\$//' | tr -s ' ' '\n' | grep =; }

# start_dev STORE LINE: starts `dev` in the background as `service`, and waits for its line of JSON in the file LINE.
start_dev() {
    "$binary" dev --listen 127.0.0.1:0 --data "$1" --json > "$2" 2> "$2.log" &
    service=$!
    wait_for test -s "$2"
}

# install_npm DIRECTORY TARGET: what its package-lock.json lists, into TARGET.
install_npm() {
    cmp -s "$1/package-lock.json" "$2/installed.json" && return
    mkdir -p "$2"
    cp "$1/package.json" "$1/package-lock.json" "$2"
    (cd "$2" && npm ci --ignore-scripts --no-audit --no-fund >&2)
    cp "$1/package-lock.json" "$2/installed.json"
}

# run_pytest DIRECTORY: the tests in it, with what e2e/support has for them and with the other arguments.
run_pytest() {
    local python
    python=$(e2e/support/environment)
    export PYTHONPATH=e2e/support PYTHONDONTWRITEBYTECODE=1
    exec "$python" -m pytest -p live -p no:cacheprovider --strict-markers --tb=short -q --binary "$binary" "$1" "${rest[@]}"
}
