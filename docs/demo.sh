#!/bin/sh
# The demonstration: real guests get NICs from vmnet, use them, and lose them again. It fails if anything does.
# Run as `make demo`; this file then runs itself a second time, inside a lab.
set -eu

gateway=10.99.0.1
patience=30 # seconds for anything that is waited for
pings=/run/vmnet-lab/pings

outside() {
    say "This starts two small virtual machines on a private libvirt daemon, with a private LAN." \
        "All of it lives in namespaces that nothing else on this computer can see, and goes when it ends."
    before=$(traces)
    as_root env "PATH=$PATH" "VMNET_DEMO=$$" vmnet lab run --guests 2 -- "$0" inside
    after=$(traces)
    [ "$before" = "$after" ] || fail "the lab left something behind: before: $before; after: $after"
    say "Nothing is left: no link, no mount, no process of the lab." \
        "Try it yourself:  sudo .venv/bin/vmnet lab shell"
}

inside() {
    exec 2>&1 # the steps that vmnet tells on stderr, in their place among its results
    title "1. macvtap: a guest directly on the host's network card"
    say "up0 is this host's card; it leads to a LAN whose gateway is $gateway. Neither guest has a NIC yet."
    run vmnet list
    say "Both guests get a NIC that is a macvtap on up0, while they run."
    run vmnet attach guest1 --direct up0
    run vmnet attach guest2 --direct up0 --quiet
    reach_lan guest1
    say "The guests also reach each other, because the macvtap mode is bridge."
    other=$(address guest2)
    from guest1 ping -c 2 -W 2 "$other"
    run vmnet list
    say "The NICs go again. vmnet waits until each guest has really let go."
    run vmnet detach guest1 1
    run vmnet detach guest2 1
    empty

    title "2. bridge: a guest on a bridge that is not there yet"
    say "There is no br0. vmnet makes it over up0 and attaches the guest to it, as one plan. First the plan alone:"
    run vmnet attach guest1 --bridge br0 --uplink up0 --mac seed:demo --dry-run
    if ip link show br0 >/dev/null 2>&1; then fail "the dry run made br0"; fi
    say "Now for real."
    run vmnet attach guest1 --bridge br0 --uplink up0 --mac seed:demo
    reach_lan guest1
    run vmnet list
    run vmnet detach guest1 1
    empty

    title "3. the host's only card: a bridge over the address that the host is reached at"
    run vmnet bridge dismantle br0
    say "This host gets its only address, and its way out, on up0. From here on the LAN pings it each 10 ms."
    run ip address add 10.99.0.11/24 dev up0
    run ip route add default via "$gateway"
    ip netns exec lan ping -q -i 0.01 10.99.0.11 >"$pings" &
    pinging=$!
    run vmnet bridge prepare br0 --uplink up0 --yes
    run ip -br address show scope global
    say "A guest on the bridge reaches the LAN, and this host too."
    run vmnet attach guest1 --bridge br0 --quiet
    reach_lan guest1
    from guest1 ping -c 2 -W 2 10.99.0.11
    run vmnet detach guest1 1 --quiet
    run vmnet bridge dismantle br0 --yes
    run ip -br address show scope global
    kill -INT "$pinging"
    wait "$pinging" || fail "the LAN's ping failed"
    say "What the LAN's ping has to say:"
    cat "$pings"
    sent=$(sed -n 's/^\([0-9]*\) packets transmitted, .*/\1/p' "$pings")
    lost=$((sent - $(sed -n 's/.* transmitted, \([0-9]*\) received, .*/\1/p' "$pings")))
    [ "$lost" -le 2 ] || fail "the host lost $lost packets"

    title "What was proved"
    say "- Running guests got a macvtap NIC and a bridge NIC, without a restart." \
        "- Through each, the LAN reached the guest and the guest reached the LAN." \
        "- The bridge was made on the way. Each NIC was listed with its address, and detached." \
        "- The host's own address and routes moved to a bridge and back; of $sent packets $lost were lost."
}

# Pings in both directions, once the guest has an address.
reach_lan() {
    say "$1 asks the LAN for an address. Then the LAN pings $1, and $1 pings the LAN:"
    mine=$(address "$1")
    run ip netns exec lan ping -c 2 -W 2 "$mine"
    from "$1" ping -c 2 -W 2 "$gateway"
}

# The guest's address, as vmnet lists it once the guest has one.
address() {
    await "$1 has no address" has_address "$1"
    has_address "$1"
}
has_address() { vmnet list "$1" | grep -Eom 1 '10\.99\.0\.[0-9]+'; }

empty() {
    [ "$(vmnet list)" = "There is no NIC." ] || fail "a NIC is still there"
    if ip -br link | grep -E '^(macvtap|vnet)'; then fail "the kernel still has a link of a guest"; fi
}

# Run a command in a guest, by its agent, and show what it printed.
from() {
    guest=$1
    shift
    printf '\n%s# %s\n' "$guest" "$*"
    arguments=$(shift && printf ',"%s"' "$@")
    pid=$(agent guest-exec "\"path\":\"$1\",\"arg\":[${arguments#,}],\"capture-output\":true" | grep -o '[0-9]\+')
    await "$* in $guest does not end" has_exited "$pid"
    echo "$answer" | sed -n 's/.*"out-data":"\([^"]*\)".*/\1/p' | base64 -d
    case $answer in *'"exitcode":0'[,}]*) ;; *) fail "$guest: $* failed" ;; esac
}
# The agent tells of an end only once, so its answer is kept.
has_exited() {
    answer=$(agent guest-exec-status "\"pid\":$1")
    case $answer in *'"exited":true'*) ;; *) return 1 ;; esac
}
agent() { virsh --quiet qemu-agent-command "$guest" "{\"execute\":\"$1\",\"arguments\":{$2}}"; }

# Wait until a command succeeds; fail with the words given if it does not in time.
await() {
    words=$1 deadline=$(($(date +%s) + patience))
    shift
    until "$@" >/dev/null; do
        [ "$(date +%s)" -lt "$deadline" ] || fail "$words after $patience s"
        sleep 0.1
    done
}

# What a lab could leave in the world outside it.
traces() {
    for link in up0 br0 lan0 port1; do [ ! -e "/sys/class/net/$link" ] || echo "link $link"; done
    grep -o 'vmnet-lab[^ ]*' /proc/mounts || true
    as_root grep -lsz "^VMNET_DEMO=$$\$" /proc/[0-9]*/environ || true
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
title() { printf '\n==== %s\n' "$1"; }
say() { printf '\n'; printf '# %s\n' "$@"; }
run() {
    printf '\n$ %s\n' "$*"
    "$@" || fail "$*"
}
fail() {
    printf '\nThe demonstration failed: %s\n' "$1" >&2
    exit 1
}

"${1:-outside}"
