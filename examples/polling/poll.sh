#!/usr/bin/env bash
# Keeps a copy of the list of companies up to date, and fetches only what changed since the last run.
#   poll.sh URL TOKEN_FILE COPY
# URL is the service (https://…), TOKEN_FILE holds the bearer token alone, COPY is the file that is kept: one JSON object
# with the list's entity tag and its companies. The file is replaced as a whole once an answer has arrived to its end, so
# tag and companies never contradict each other; a second run at the same time waits for the first. Prints errors only.
# Needs bash, curl, jq and flock (util-linux).
set -euo pipefail
url=${1:?URL is missing} token_file=${2:?TOKEN_FILE is missing} copy=${3:?COPY is missing}

exec 9>> "$copy.lock"
flock 9 # until the script ends
work=$(mktemp -d "$copy.XXXXXX") # beside the copy, so that `mv` replaces it in one step
trap 'rm -rf "$work"' EXIT
printf 'Authorization: Bearer %s\n' "$(cat "$token_file")" > "$work/authorization" # on a command line `ps` would show it

tag='""' # matches nothing
[[ ! -e $copy ]] || tag=$(jq -r .tag "$copy")
# Ends the script when the answer breaks off: curl then exits with an error.
status=$(curl --silent --show-error --compressed --max-time 600 \
    --header "@$work/authorization" --header 'A-IM: feed' --header "If-None-Match: $tag" \
    --dump-header "$work/headers" --output "$work/body" --write-out '%{http_code}' "$url/v1/Logins")
new_tag=$(tr -d '\r' < "$work/headers" | sed -n 's/^etag: *//Ip' | tail -n 1)

case $status in
    200) # everything: replaces the copy
        jq -ce --arg tag "$new_tag" '{tag: $tag, virksomheder}' "$work/body" > "$work/copy" ;;
    226) # what changed: replaces these companies in the copy
        jq -ce --arg tag "$new_tag" --slurpfile old "$copy" '
            INDEX(.virksomheder[]; .cvrNummer) as $changed
            | [$old[0].virksomheder[] | select($changed[.cvrNummer] == null)] + .virksomheder
            | {tag: $tag, virksomheder: sort_by(.cvrNummer)}
        ' "$work/body" > "$work/copy" ;;
    304) exit ;; # nothing changed
    *) echo "$status: $(cat "$work/body")" >&2; exit 1 ;;
esac
sync "$work/copy"
mv "$work/copy" "$copy"
