/* All randomness of a process from one seed.
 *
 * A schedule of whole nodes runs libraries that draw where nobody can hand them a generator: the order in
 * which a runtime polls and wakes, the keys of hash maps, election timeouts. All of them seed themselves from
 * the system once. This stands in the place of the system: with ATOLL_SIM_CHANCE in the environment, a process
 * draws the same numbers in every run. Without it nothing changes. Linked into atoll-sim alone. */

#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t getrandom(void *into, size_t length, unsigned flags) {
    static uint64_t state; /* SplitMix64; one thread draws while a schedule is played */
    static int is_seeded = -1;
    if (is_seeded < 0) {
        const char *seed = getenv("ATOLL_SIM_CHANCE");
        is_seeded = seed != NULL;
        if (is_seeded)
            state = strtoull(seed, NULL, 10);
    }
    if (!is_seeded)
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
