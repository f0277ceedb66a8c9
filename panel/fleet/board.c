/* The board. See board.h. One mutex: what is copied under it is small and fixed in size. */
#include "panel/fleet/board.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A failed table growth is reported, not fatal. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
    char id[65];
    struct node_live live;
    struct board_counts counts;
    struct board_orphan *orphans;
    size_t orphan_count;
    UT_hash_handle hh;
};

static void free_entry(struct entry *entry)
{
    if (entry)
        free(entry->orphans);
    free(entry);
}

struct board {
    pthread_mutex_t lock;
    struct entry *entries;
    _Atomic uint64_t version;
    _Atomic uint64_t status_version;
};

int board_create(struct board **ret_board, struct err *err)
{
    struct board *board = calloc(1, sizeof(*board));
    if (!board)
        return err_nomem(err);
    pthread_mutex_init(&board->lock, NULL);
    atomic_init(&board->version, 1);
    atomic_init(&board->status_version, 1);
    *ret_board = board;
    return 0;
}

void board_destroy(struct board *board)
{
    if (!board)
        return;
    struct entry *entry;
    struct entry *next;
    HASH_ITER(hh, board->entries, entry, next)
    {
        HASH_DEL(board->entries, entry);
        free_entry(entry);
    }
    pthread_mutex_destroy(&board->lock);
    free(board);
}

bool board_get(struct board *board, const char *node_id, struct node_live *ret_live)
{
    struct entry *entry;
    pthread_mutex_lock(&board->lock);
    HASH_FIND_STR(board->entries, node_id, entry);
    if (entry)
        *ret_live = entry->live;
    pthread_mutex_unlock(&board->lock);
    if (!entry)
        *ret_live = (struct node_live){.status = NODE_UNCONFIGURED};
    return entry != NULL;
}

static struct entry *add_entry(struct board *board, const char *node_id)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    snprintf(entry->id, sizeof(entry->id), "%s", node_id);
    HASH_ADD_STR(board->entries, id, entry);
    if (!entry->hh.tbl) { /* uthash's sign that the table could not take it */
        free(entry);
        return NULL;
    }
    return entry;
}

int board_put(struct board *board, const char *node_id, const struct node_live *live,
              struct err *err)
{
    struct entry *entry;
    bool status_changed = false;
    pthread_mutex_lock(&board->lock);
    HASH_FIND_STR(board->entries, node_id, entry);
    if (!entry) {
        entry = add_entry(board, node_id);
        status_changed = true;
    }
    if (entry) {
        status_changed |= entry->live.status != live->status;
        entry->live = *live;
    }
    pthread_mutex_unlock(&board->lock);
    if (!entry)
        return err_nomem(err);
    if (status_changed)
        atomic_fetch_add(&board->status_version, 1);
    atomic_fetch_add(&board->version, 1);
    return 0;
}

void board_remove(struct board *board, const char *node_id)
{
    struct entry *entry;
    pthread_mutex_lock(&board->lock);
    HASH_FIND_STR(board->entries, node_id, entry);
    if (entry)
        HASH_DEL(board->entries, entry);
    pthread_mutex_unlock(&board->lock);
    free_entry(entry);
    atomic_fetch_add(&board->status_version, 1);
    atomic_fetch_add(&board->version, 1);
}

int board_put_orphans(struct board *board, const char *node_id, const struct board_orphan *orphans,
                      size_t count, struct err *err)
{
    struct entry *entry;
    struct board_orphan *copy = calloc(count + 1, sizeof(*copy));
    if (!copy)
        return err_nomem(err);
    memcpy(copy, orphans, count * sizeof(*copy));
    pthread_mutex_lock(&board->lock);
    HASH_FIND_STR(board->entries, node_id, entry);
    struct board_orphan *old = entry ? entry->orphans : copy;
    if (entry) {
        entry->orphans = copy;
        entry->orphan_count = count;
    }
    pthread_mutex_unlock(&board->lock);
    free(old);
    atomic_fetch_add(&board->version, 1);
    return 0;
}

void board_orphans(struct board *board, const char *node_id,
                   void (*fn)(const struct board_orphan *orphan, void *arg), void *arg)
{
    struct entry *entry;
    pthread_mutex_lock(&board->lock);
    HASH_FIND_STR(board->entries, node_id, entry);
    for (size_t i = 0; entry && i < entry->orphan_count; i++)
        fn(&entry->orphans[i], arg);
    pthread_mutex_unlock(&board->lock);
}

void board_put_counts(struct board *board, const char *node_id, const struct board_counts *counts)
{
    struct entry *entry;
    pthread_mutex_lock(&board->lock);
    HASH_FIND_STR(board->entries, node_id, entry);
    if (entry)
        entry->counts = *counts;
    pthread_mutex_unlock(&board->lock);
}

void board_counts(struct board *board, const char *node_id, struct board_counts *ret_counts)
{
    struct entry *entry;
    *ret_counts = (struct board_counts){.states = {0}};
    pthread_mutex_lock(&board->lock);
    HASH_FIND_STR(board->entries, node_id, entry);
    if (entry)
        *ret_counts = entry->counts;
    pthread_mutex_unlock(&board->lock);
}

uint64_t board_version(struct board *board)
{
    return atomic_load(&board->version);
}

uint64_t board_status_version(struct board *board)
{
    return atomic_load(&board->status_version);
}

const char *node_status_name(enum node_status status)
{
    static const char *const names[] = {
        [NODE_UNCONFIGURED] = "Unconfigured", [NODE_ONLINE] = "Online",
        [NODE_SUSPECT] = "Suspect",           [NODE_OFFLINE] = "Offline",
        [NODE_MAINTENANCE] = "Maintenance",
    };
    return names[status];
}
