# Cleans up when the process that started the peers is gone without having stopped them: interrupted, killed or crashed.
#
# Standard input is a pipe from that process, which names each process group that it starts on a line of its own, and
# says `done` when it has cleaned up itself. The end of the pipe without `done` means that nobody is left to do so.
# The first argument is the folder to remove.
trap '' HUP INT TERM
groups=
while read -r line; do
    [ "$line" = done ] && exit 0
    groups="$line $groups"
done

# A process that nobody has waited for is a zombie, which still takes signals but needs no more of them.
alive() {
    kill -s 0 -- "-$1" 2>/dev/null || return 1
    case "$(cat "/proc/$1/stat" 2>/dev/null)" in *') Z '*) return 1 ;; esac
}

# The newest first: an API server that loses its etcd does not stop by itself.
for group in $groups; do
    kill -s TERM -- "-$group" 2>/dev/null
    tries=0
    while alive "$group" && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    kill -s KILL -- "-$group" 2>/dev/null
done
rm -rf -- "$1"
