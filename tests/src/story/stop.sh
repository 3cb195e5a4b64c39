#!/bin/sh
# Stops what the demo left running, and removes its folders, this one included.
here=$(dirname "$0")

# The folder of a part, and the numbers of its process groups. A number may belong to somebody else by now: ours write
# their log into the folder.
stop() {
    folder=$1
    shift
    for group; do
        case "$(readlink "/proc/$group/fd/1")" in "$folder"/*) echo "$group" ;; esac
    done | sh "$here/watchdog.sh" "$folder"
}

%parts%
