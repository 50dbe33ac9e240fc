#!/bin/busybox sh
# The first program of the guest: tells what it sees, tests it, and switches the power off.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
$B mount -t tmpfs tmp /tmp
$B --install -s /bin

# The word `name=value` of the kernel's command line.
word() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
# Reports the outcome of the last command as a test's.
report() { if [ $? = 0 ]; then echo "test $1 ... ok"; else echo "test $1 ... FAILED: $2"; fi; }
# Hundredths of a second since the start.
now() { read -r up _ < /proc/uptime; echo $((${up%.*} * 100 + 1${up#*.} - 100)); }
# The sum of an interrupt's counts.
interrupts() { sed -n "s/^ *$1: *\([0-9 ]*\).*/\1/p" /proc/interrupts | { read -r counts; echo $((0 $(for n in $counts; do echo -n "+ $n "; done))); }; }

echo "guest: $(uname -a)"
grep -q '^flags.*\bhypervisor\b' /proc/cpuinfo; report hypervisor_flag "not in /proc/cpuinfo"
echo "guest: $(sed -n 's/^MemTotal: *//p' /proc/meminfo) of memory"
# All but what is below the first MiB, in pages.
present=$(($(sed -n 's/^ *present  *\([0-9]*\)$/\1 +/p' /proc/zoneinfo) 0)); most=$(($(word mib) * 256))
[ $present -gt $((most - 256)) ] && [ $present -le $most ]; report memory_size "$present of $most pages"
# A test of the host, not of the guest.
case "$(word end)" in
    reset) reboot -f ;;
    fetch) /bin/guest-test fetch ;;
esac
[ "$(grep -c ^processor /proc/cpuinfo)" = "$(word processors)" ]; report processors "not $(word processors)"
if [ -n "$(word shell)" ]; then
    echo "guest: a shell; poweroff -f ends it"
    setsid cttyhack sh
    poweroff -f
fi

i=0; sum=0
while [ $i -lt 3000 ]; do sum=$((sum + i * i)); i=$((i + 1)); done
[ $sum = 8995500500 ]; report cpu "the sum of squares is $sum"
hash=$(yes linux | head -c 300000 | sha256sum)
[ "${hash%% *}" = 80d8c74f03dd8295a72333f668f39b09744fe4bae9a77be876ed2c4e9c37915d ]; report sha256 "$hash"

head -c 4194304 /dev/urandom > /tmp/a && cp /tmp/a /tmp/b && cmp /tmp/a /tmp/b; report memory "copies differ"
dd if=/dev/zero of=/tmp/c bs=1048576 count=24 2> /dev/null
[ "$(tr -d '\000' < /tmp/c | wc -c)" = 0 ]; report zeroes "new pages are not clear"
rm /tmp/a /tmp/b /tmp/c

n=0; i=0
while [ $i -lt 40 ]; do (exit 3) || n=$((n + $?)); i=$((i + 1)); done
[ $n = 120 ]; report fork "the exit codes add up to $n"
[ "$(seq 200 | sort -n | uniq | tail -n 1)" = 200 ]; report pipes "seq | sort | uniq"

before=$(now); ticks=$(interrupts LOC)
sleep 0.3; sleep 0.2
took=$(($(now) - before)); ticks=$(($(interrupts LOC) - ticks))
# How long it takes at most is certain only where time is that of the guest.
[ $took -ge 50 ] && [ $took -le "$(word longest)" ]; report timer "0.5 s took $took hundredths"
[ $ticks -ge 2 ]; report timer_interrupts "$ticks of them"

devmem 0xd0000000 32 0x12345678; [ "$(devmem 0xd0000000 32)" = 0xFFFFFFFF ]; report absent_memory "it is there"
# Ends with the signal: SIGILL (132), or SIGSEGV (139) where privilege counts first. AMD's processors ask for it before the intercept, since the
# EFER.SVME that they see is always 1 in a guest.
illegal() { /bin/guest-test $1 2> /dev/null; code=$?; [ $code = $2 ]; report illegal_$1 "it ended with $code, not $2"; }
svm=132; grep -q AuthenticAMD /proc/cpuinfo && svm=139
illegal vmxon 132; illegal vmlaunch 132; illegal vmrun $svm; illegal vmsave $svm

if [ "$(word processors)" -gt 1 ]; then
    before=$(interrupts CAL)
    n=0
    for cpu in 0 1 0 1; do [ "$(taskset -c $cpu sh -c 'cut -d" " -f39 /proc/self/stat')" = $cpu ] && n=$((n + 1)); done
    [ $n = 4 ]; report affinity "$n of 4 ran where they should"
    taskset -c 0 sh -c 'i=0; while [ $i -lt 4000 ]; do i=$((i + 1)); done' &
    taskset -c 1 sh -c 'i=0; while [ $i -lt 4000 ]; do i=$((i + 1)); done' &
    wait
    echo 3 > /proc/sys/vm/drop_caches
    calls=$(($(interrupts CAL) - before))
    [ $calls -ge 1 ]; report interrupts_between_processors "none"
    /bin/guest-test shootdown; report shootdown "a stale translation was used"
    [ "$(interrupts TLB)" -ge 1 ]; report shootdown_interrupts "$(interrupts TLB) of them"
fi

echo "guest: done"
poweroff -f
