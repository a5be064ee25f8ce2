/* All randomness of a process from one seed, and a clock that only it moves.
 *
 * A schedule of whole nodes runs libraries that draw where nobody can hand them a generator: the order in
 * which a runtime polls and wakes, the keys of hash maps, election timeouts. All of them seed themselves from
 * the system once. This stands in the place of the system: with ATOLL_SIM_CHANCE in the environment, a process
 * draws the same numbers in every run. Without it nothing changes. Linked into atoll-sim alone.
 *
 * Likewise the system's clock: HTTP/2 reads it to decide for how long it remembers a stream that was reset, and
 * what it then answers to a late frame would depend on how busy the machine is. Here every look at the clock
 * moves it by a microsecond, so the same run sees the same times. Nothing that the simulation waits for goes by it. */

#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t state; /* SplitMix64; one thread draws while a schedule is played */

static int is_seeded(void) {
    static int known = -1;
    if (known < 0) {
        const char *seed = getenv("ATOLL_SIM_CHANCE");
        known = seed != NULL;
        if (known)
            state = strtoull(seed, NULL, 10);
    }
    return known;
}

int clock_gettime(clockid_t clock, struct timespec *into) {
    static uint64_t looks;
    if (!is_seeded() || (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME))
        return (int)syscall(SYS_clock_gettime, clock, into);
    looks++;
    into->tv_sec = (clock == CLOCK_REALTIME ? 1767225600 : 1000) + (time_t)(looks / 1000000);
    into->tv_nsec = (long)(looks % 1000000 * 1000);
    return 0;
}

ssize_t getrandom(void *into, size_t length, unsigned flags) {
    if (!is_seeded())
        return syscall(SYS_getrandom, into, length, flags);
    unsigned char *bytes = into;
    for (size_t i = 0; i < length; i += 8) {
        uint64_t z = (state += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        for (size_t j = i; j < length && j < i + 8; j++, z >>= 8)
            bytes[j] = (unsigned char)z;
    }
    return (ssize_t)length;
}
