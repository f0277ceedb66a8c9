/* Counts in windows. See limiter.h.
 *
 * A slot is a thing and a word: the number of the window in its upper half, the count in its lower.
 * Counting in the current window is one atomic addition; the first of a window exchanges the word.
 * A slot is taken over by setting its word before its name, so what others count in between lands
 * in a word that is nearly empty. Two threads may give the same new thing two slots; the first that
 * is met then counts on. */
#include "panel/auth/limiter.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"

#define REACH 8 /* slots that are looked at for one thing */

struct slot {
    _Atomic uint64_t thing; /* 0: free */
    _Atomic uint64_t word;
};

struct limiter {
    size_t mask;
    uint32_t window_ms;
    uint8_t secret[CRYPTO_HASH_BYTES];
    struct slot slots[];
};

int limiter_create(size_t slots, uint32_t window_ms, struct limiter **ret_limiter, struct err *err)
{
    struct limiter *limiter = calloc(1, sizeof(*limiter) + slots * sizeof(struct slot));
    if (!limiter)
        return err_nomem(err);
    limiter->mask = slots - 1;
    limiter->window_ms = window_ms;
    crypto_random(limiter->secret, sizeof(limiter->secret));
    *ret_limiter = limiter;
    return 0;
}

void limiter_destroy(struct limiter *limiter)
{
    free(limiter);
}

static uint64_t mix(uint64_t n)
{
    n = (n ^ n >> 32) * 0x9e3779b97f4a7c15u;
    return n ^ n >> 29;
}

struct place {
    uint64_t window; /* its number, in the upper half of a word */
    uint32_t left_ms;
    size_t first; /* slot */
};

static struct place place_of(const struct limiter *limiter, uint64_t thing, int64_t now_ms)
{
    uint64_t mixed = mix(thing);
    uint64_t at = (uint64_t)now_ms + mixed % limiter->window_ms;
    return (struct place){.window = at / limiter->window_ms << 32,
                          .left_ms = limiter->window_ms - (uint32_t)(at % limiter->window_ms),
                          .first = (size_t)(mixed >> 7)};
}

static struct slot *slot_at(struct limiter *limiter, const struct place *place, size_t i)
{
    return &limiter->slots[(place->first + i) & limiter->mask];
}

static struct slot *find(struct limiter *limiter, const struct place *place, uint64_t thing)
{
    for (size_t i = 0; i < REACH; i++) {
        struct slot *slot = slot_at(limiter, place, i);
        if (atomic_load_explicit(&slot->thing, memory_order_acquire) == thing)
            return slot;
    }
    return NULL;
}

/* How much would be lost with what is in the slot. */
static uint64_t worth(struct slot *slot, const struct place *place)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    if (!atomic_load_explicit(&slot->thing, memory_order_relaxed))
        return 0;
    return word < place->window ? 1 : 2 + (uint32_t)word;
}

static struct slot *take(struct limiter *limiter, const struct place *place, uint64_t thing)
{
    struct slot *least = slot_at(limiter, place, 0);
    for (size_t i = 1; i < REACH; i++) {
        struct slot *slot = slot_at(limiter, place, i);
        if (worth(slot, place) < worth(least, place))
            least = slot;
    }
    atomic_store_explicit(&least->word, place->window, memory_order_relaxed);
    atomic_store_explicit(&least->thing, thing, memory_order_release);
    return least;
}

struct limiter_count limiter_add(struct limiter *limiter, uint64_t thing, int64_t now_ms)
{
    struct place place = place_of(limiter, thing, now_ms);
    struct slot *slot = find(limiter, &place, thing);
    if (!slot)
        slot = take(limiter, &place, thing);
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    while (word < place.window) {
        if (atomic_compare_exchange_weak(&slot->word, &word, place.window | 1))
            return (struct limiter_count){1, place.left_ms};
    }
    word = atomic_fetch_add_explicit(&slot->word, 1, memory_order_relaxed);
    return (struct limiter_count){(uint32_t)word + 1, place.left_ms};
}

struct limiter_count limiter_look(struct limiter *limiter, uint64_t thing, int64_t now_ms)
{
    struct place place = place_of(limiter, thing, now_ms);
    struct slot *slot = find(limiter, &place, thing);
    uint64_t word = slot ? atomic_load_explicit(&slot->word, memory_order_relaxed) : 0;
    return (struct limiter_count){word < place.window ? 0 : (uint32_t)word, place.left_ms};
}

void limiter_forget(struct limiter *limiter, uint64_t thing)
{
    struct place place = place_of(limiter, thing, 0);
    struct slot *slot = find(limiter, &place, thing);
    if (slot)
        atomic_store_explicit(&slot->word, 0, memory_order_relaxed);
}

uint64_t limiter_thing(const struct limiter *limiter, const void *bytes, size_t len)
{
    uint8_t mac[CRYPTO_HASH_BYTES];
    uint64_t thing;
    crypto_mac(limiter->secret, bytes, len, mac);
    memcpy(&thing, mac, sizeof(thing));
    return thing | 1;
}
